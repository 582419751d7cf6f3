/* SPDX-License-Identifier: MIT */
/* The engine's side of document extraction: starts lathe-extract, hands it open files, and cuts
 * the text that comes back into segments.
 *
 *   document ─► sha256 ─► lathe-extract ─frames─► [ text waiting ≤ segment + 64 KiB ] ─► segments
 *
 *   struct extract *x;  extract_open(&x, NULL, err)
 *   extract_begin(x, path, &options, err)                     one document at a time
 *   while ((got = extract_next(x, &segment, err)) == 1) …     segments in order
 *   got < 0: extract_reason(x) says in a word why             the next extract_begin works again
 *   extract_close(x)
 *
 * A segment is cut behind the last blank line in its second half, else behind the last newline
 * there, else between two characters; so memory is bounded by the segment size whatever the
 * document. The program is started by posix_spawn, which is safe from any thread, with an empty
 * environment, in its own process group, every descriptor but its socket closed. It is started at
 * the first document and again after it was killed. One client belongs to one thread.
 */
#ifndef LATHE_EXTRACT_CLIENT_H
#define LATHE_EXTRACT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct extract;

struct extract_options {
  const char *type;  /* NULL or "": decided by content, then by name; "probe" tries the cage */
  const char *name;  /* NULL: the path; what the file is called, for its type and for messages */
  uint64_t segment;  /* bytes; 0: 8 MiB */
  uint64_t text_max; /* bytes of text; 0: 1 GiB, or three times the file if that is more */
  uint64_t unpacked_max; /* bytes an archive may unpack to; 0: 256 MiB */
  uint32_t cpu_seconds;  /* per document; 0: 300, and more for files over 1 GiB */
  uint32_t page_seconds; /* CPU per PDF page; 0: 10 */
  uint32_t idle_seconds; /* wall clock without a sign of life; 0: 120 */
};

struct extract_page {
  uint32_t page;   /* from 1 */
  uint64_t offset; /* of its first byte in the extracted text */
};

struct extract_segment {
  const char *text; /* valid UTF-8, valid until the next call */
  size_t len;
  uint64_t start;                   /* offset in the extracted text; the end is start + len */
  const struct extract_page *pages; /* those that begin in this segment, and before them the one
                                       that its first byte lies on */
  size_t page_count;
  const char *const *notes; /* what was left out, since the segment before */
  size_t note_count;
};

/* Facts of the document; strings are "" when unknown, valid until the next extract_begin.
 * Title, author, type and encoding are there once extract_next has returned. */
struct extract_document {
  char sha256[65];
  uint64_t bytes;
  const char *type, *title, *author, *encoding;
  const char *language; /* as the document says it: "en", "pt-BR" */
};

/* Facts of the running program, for a log line and for `lathe doctor`. */
struct extract_info {
  char program[4096];
  unsigned landlock; /* ABI; 0: the kernel has none, reading is then not confined */
  bool seccomp;      /* system calls are filtered */
  char poppler[32];  /* version, or "" when built without */
};

/* `program` NULL: $LATHE_EXTRACT, then lathe-extract beside this program, then in ../libexec/lathe.
 * ERR_NOTFOUND names the places looked at. Starts nothing yet. */
int extract_open(struct extract **out, const char *program, struct err *err);
void extract_close(struct extract *x);

/* Opens and hashes the file and sends it. ERR_NOTFOUND, ERR_IO (also for what is not a regular
 * file), ERR_CANCELLED, or what starting the program can give. */
int extract_begin(struct extract *x, const char *path, const struct extract_options *options,
                  struct err *err);

/* 1: a segment; 0: the end; −1: err. ERR_UNSUPPORTED, ERR_FORMAT (damaged, encrypted, refused, died
 * on it, no text in it), ERR_LIMIT, ERR_TRANSIENT (wall clock: try again), ERR_NOMEM, ERR_IO,
 * ERR_CANCELLED. */
int extract_next(struct extract *x, struct extract_segment *out, struct err *err);

const struct extract_document *extract_document(const struct extract *x);

/* After −1: "unsupported", "archive" (its members can be read: see below), "unreadable", "limit",
 * "crashed", "memory", "empty", "transient", "io", "cancelled". */
const char *extract_reason(const struct extract *x);

/* ---- archives ----
 *
 * ZIP, TAR, and what gzip, zstd, xz or bzip2 made of a TAR or of one file. The isolated child
 * unpacks; each member arrives in a file in memory, which is sealed. Nothing is written to disk.
 *
 *   struct extract_members *m;
 *   extract_members_open(&m, x, path, NULL, err)
 *   while ((got = extract_members_next(m, &member, err)) == 1)
 *     member.file ? extract_begin(x, member.file, …) : member.reason says why it was left out
 *   extract_members_close(m, x)
 *
 * Members come in the archive's order. One that is an archive itself is walked in its place, to a
 * small depth; limits count over all levels. Folders, and what macOS adds (__MACOSX/, ._name), are
 * passed over in silence; everything else is either given or said to be left out. The client itself
 * stays free: documents may be read while members come. */
struct extract_members;

struct extract_members_options {
  const char *name;      /* NULL: the path; for messages, and of one compressed file */
  uint64_t unpacked_max; /* bytes, all members together; 0: 16 GiB */
  uint64_t member_max;   /* bytes of one member, which is held in memory; 0: 512 MiB */
  uint64_t members_max;  /* 0: 1,000,000 */
  uint32_t ratio_max;    /* unpacked : packed, once 16 MiB have been unpacked; 0: 200 */
  uint32_t depth;        /* archives inside archives; 0: 3; at most EXTRACT_DEPTH_MAX */
  uint32_t cpu_seconds;  /* of unpacking one archive; 0: 300, and more for files over 1 GiB */
  uint32_t idle_seconds; /* as above */
};
#define EXTRACT_DEPTH_MAX 8

struct extract_member {
  const char *name;   /* "inner.zip/a/b.md": safe to join to a path, valid UTF-8; "": the archive */
  const char *file;   /* "/proc/self/fd/N", to be opened as often as one likes until the next step;
                         NULL: left out */
  uint64_t bytes;     /* of the member, 0 when left out */
  const char *note;   /* "" or what was done to its name */
  int code;           /* left out: ERR_LIMIT …; else 0 */
  const char *reason; /* left out, or with name "" what ended the archive early: "link", "special",
                         "encrypted", "limit", "unreadable", "crashed", "memory", "transient" */
  const char *message;
};

/* ERR_UNSUPPORTED when the file is no archive: a DOCX, say, or a text. Other failures as those of
 * extract_begin and extract_next; extract_reason(x) says them in a word. */
int extract_members_open(struct extract_members **out, struct extract *x, const char *path,
                         const struct extract_members_options *options, struct err *err);
/* 1: a member, or one that was left out; 0: the end; −1: err (ERR_CANCELLED, ERR_IO, ERR_NOMEM).
 * After a member with name "" comes the end. */
int extract_members_next(struct extract_members *m, struct extract_member *out, struct err *err);
/* The program that unpacks: for tests that kill it. */
int extract_members_pid(const struct extract_members *m);
/* x may be NULL when it is closed already. m may be NULL. */
void extract_members_close(struct extract_members *m, struct extract *x);

/* Starts the program if it is not running and tells about it. */
int extract_info(struct extract *x, struct extract_info *out, struct err *err);

/* The program's process, 0 when none runs: for tests that kill it. */
int extract_pid(const struct extract *x);

#endif

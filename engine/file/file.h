/* SPDX-License-Identifier: MIT */
/* Files: read whole, mapped, by line; written through one atomic replace.
 *
 * Reading. file_read for small things with a stated limit; file_map for model files and token
 * caches (random access, shared between processes); lines for JSONL and text (bounded memory, gzip
 * and zstd recognised by their first bytes). Streams use read(2) with POSIX_FADV_SEQUENTIAL and
 * drop the pages they have passed, so that a 2 GB text does not fill the page cache's share of a
 * container.
 *
 * Writing. There is one way to make a file: file_replace. It writes PATH.tmp-PID-N beside the
 * target, fsyncs, renames, fsyncs the folder. Whatever happens, PATH is the old file or the whole
 * new one.
 *
 *   struct file_replace *w;
 *   rc = file_replace_open(&w, path, 0, err);
 *   rc = rc ? rc : file_replace_write(w, bytes, n, err);      any number of times
 *   rc = rc ? rc : file_replace_commit(w, err);               now it exists
 *   file_replace_close(w);                                    removes the temporary unless
 * committed
 */
#ifndef LATHE_FILE_FILE_H
#define LATHE_FILE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

/* ---- whole files ---- */

/* Appends the file's bytes to out. More than `limit` bytes: ERR_LIMIT. */
int file_read(const char *path, uint64_t limit, struct buf *out, struct err *err);

/* Bytes [start, end) of a file appended to out; ERR_FORMAT when the file is shorter. */
int file_read_range(const char *path, uint64_t start, uint64_t end, struct buf *out,
                    struct err *err);

/* SHA-256 of a file's bytes, read as a stream. ERR_CANCELLED when interrupted. */
int file_sha256(const char *path, unsigned char out[SHA256_BYTES], struct err *err);
/* A quick hash of a file's bytes, for caches (made of xxh3, but not the xxh3 of the whole). */
int file_xxh3(const char *path, uint64_t out[2], struct err *err);

/* ---- mapped files ---- */

struct file_map {
  const char *data; /* read-only; non-NULL even when size is 0 */
  uint64_t size;
  void *base; /* what to unmap */
};
int file_map_open(struct file_map *m, const char *path, struct err *err);
void file_map_close(struct file_map *m); /* may be called twice */

/* ---- atomic writing ---- */

struct file_replace;
enum {
  FILE_NO_SYNC = 1, /* skip both fsyncs: for files that a re-run makes again */
  FILE_PRIVATE = 2, /* nobody but the user may read it (mode 0600) */
  FILE_BEFORE = 4   /* another file is committed into the same folder before this one counts: that
                       one syncs the folder, and nothing is synced of an empty file */
};
int file_replace_open(struct file_replace **out, const char *path, int flags, struct err *err);
int file_replace_write(struct file_replace *w, const void *bytes, size_t n, struct err *err);
/* Appends all bytes of another file. */
int file_replace_append(struct file_replace *w, const char *path, struct err *err);
/* Overwrites bytes already written (headers with offsets); does not move the end. */
int file_replace_patch(struct file_replace *w, uint64_t at, const void *bytes, size_t n,
                       struct err *err);
uint64_t file_replace_size(const struct file_replace *w); /* bytes written so far */
/* Completes the file under its temporary name and gives its descriptor back, for writers that hold
 * many; commit does it too. After it nothing may be written. */
int file_replace_finish(struct file_replace *w, struct err *err);
/* Another path in the same folder, for a name that is known only at the end. */
int file_replace_retarget(struct file_replace *w, const char *path, struct err *err);
int file_replace_commit(struct file_replace *w, struct err *err);
void file_replace_close(struct file_replace *w);

/* The common case in one call. */
int file_write(const char *path, const void *bytes, size_t n, int flags, struct err *err);

/* Appends one block to a log-like file with a single write(2) (O_APPEND); creates it when missing.
 */
int file_append(const char *path, const void *bytes, size_t n, struct err *err);

/* ---- lines ---- */

/* A reader of lines ended by "\n" (the last may lack it; a "\r" before it is kept).
 * A line longer than max_line is skipped without being held: lines_next reports it as too_long,
 * with its number and its length so far as known (exact), and text = NULL. */
struct lines;
struct line {
  const char *text; /* valid until the next call; not zero-terminated; NULL when too long */
  size_t len;
  uint64_t number; /* from 1 */
  uint64_t offset; /* of its first byte in the (decompressed) stream */
  bool too_long;
  bool ended; /* false: the last line had no "\n" */
};
int lines_open(struct lines **out, const char *path, size_t max_line, struct err *err);
int lines_open_range(struct lines **out, const char *path, uint64_t start, uint64_t end,
                     size_t max_line, struct err *err); /* plain files only; no compression */
/* 1 and *line filled, 0 at the end, or −1 with err filled. */
int lines_next(struct lines *r, struct line *line, struct err *err);
/* The same for a file of records: lines of nothing but spaces, tabs and "\r" are passed over. */
int lines_next_record(struct lines *r, struct line *line, struct err *err);
void lines_close(struct lines *r);
#define LINES_MAX_DEFAULT ((size_t)64 << 20)

/* ---- streams: bytes of a plain, gzip or zstd file, told apart by the first bytes ---- */

struct stream;
int stream_open(struct stream **out, const char *path, struct err *err);
/* Bytes read (≤ n), 0 at the end, −1 on error. */
long long stream_read(struct stream *s, void *bytes, size_t n, struct err *err);
/* Passes over n bytes, or to the end; of a plain file without reading them. */
int stream_skip(struct stream *s, uint64_t n, struct err *err);
void stream_close(struct stream *s);

/* ---- folders and names ---- */

struct file_info {
  bool exists, is_dir, is_file, is_link;
  uint64_t size;
  int64_t mtime_ns;
};
int file_stat(const char *path, struct file_info *out,
              struct err *err);                     /* missing is not an error */
int file_mkdirs(const char *path, struct err *err); /* like mkdir -p */
int file_remove_tree(const char *path,
                     struct err *err);              /* does not follow links; missing is fine */
int file_unlink(const char *path, struct err *err); /* missing is fine */
int file_rename(const char *from, const char *to, struct err *err); /* and fsyncs the folder */
int file_sync_dir(const char *path, struct err *err);

/* An advisory lock (flock) on a file that is made if missing; held until closed or the process
 * ends, however it ends. Returns the descriptor in *fd; ERR_TRANSIENT when another process holds
 * it for longer than a second. */
int file_lock(const char *path, int *fd, struct err *err);
void file_unlock(int fd);

/* Cuts a file of records into groups, carrying on from a group begun in the file before: *cut says
 * what that holds, and afterwards what the one still open holds. A group ends behind the line that brings
 * it to max_records records or max_bytes bytes; boundary(arg, offset, line) is called with the offset
 * behind that line and its number. Records are lines that lines_next_record gives; a last line
 * without "\n" counts. */
struct file_cut {
  uint64_t records, bytes;     /* of the group still open */
  uint64_t total, lines, size; /* of the file: records, lines, bytes */
};
typedef int file_boundary(void *arg, uint64_t offset, uint64_t line, struct err *err);
int file_cut(const char *path, uint64_t max_records, uint64_t max_bytes, struct file_cut *cut,
             file_boundary *boundary, void *arg, struct err *err);

/* Calls each(arg, name, is_dir) for the entries of a folder in byte order of their names, "." and
 * ".." left out. Stops with each's non-zero return. */
typedef int file_entry(void *arg, const char *name, bool is_dir, struct err *err);
int file_list(const char *path, file_entry *each, void *arg, struct err *err);

#endif

/* SPDX-License-Identifier: MIT */
/* An archive's members as frames; see protocol.h, and client.h for what they are for.
 *
 *   MEMBER "a/b.md"  DATA …  DATA …  END whole
 *   MEMBER "a/link"                  END link "a symbolic link to /etc/passwd"
 *   RESULT
 *
 * Names go out as they stand in the archive (the engine makes them safe), but in UTF-8: those of a
 * ZIP that are not are code page 437, as its specification says. libarchive reads ZIP, TAR and four
 * compressions; its other formats and its helper programs are left out.
 *
 * A ZIP whose members share their packed bytes is a bomb made by hand and refused before anything
 * is unpacked: 42 kB can name the same megabytes a thousand times.
 */
#include "base/mem.h"
#include "base/reader.h"
#include "base/utf8.h"
#include "extract/package.h"
#include "extract/worker.h"
#include "text/encoding.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK         ((size_t)64 << 10)
#define DATA_MAX      ((size_t)EXTRACT_FRAME - 1)
#define TAIL_MAX      ((size_t)(64 << 10) + 22) /* where the end of a ZIP's directory must begin */
#define DIRECTORY_MAX ((uint64_t)256 << 20)

struct unpack {
  struct job *job;
  struct archive *archive;
  bool is_zip, is_compressed;
  char *block;
};

/* ---- a ZIP's directory ---- */

struct range {
  uint64_t start, end;
};

static int by_start(const void *a, const void *b) {
  const struct range *x = a, *y = b;
  return x->start < y->start ? -1 : x->start > y->start;
}

/* The entries' packed bytes, from the directory at `bytes`; as many as can be read. 32-bit archives
 * only: those of 4 GiB and more are no hand-made bombs of a few kilobytes. */
static size_t read_directory(const void *bytes, size_t n, struct range *out, size_t cap) {
  struct reader r;
  size_t count = 0;
  reader_init(&r, bytes, n);
  while (count < cap && reader_u32(&r) == 0x02014b50) {
    reader_skip(&r, 16);
    uint64_t packed = reader_u32(&r);
    reader_skip(&r, 4);
    size_t more = reader_u16(&r);
    more += reader_u16(&r);
    more += reader_u16(&r);
    reader_skip(&r, 8);
    uint64_t start = reader_u32(&r);
    reader_skip(&r, more);
    if (r.bad) break;
    if (packed < UINT32_MAX && start < UINT32_MAX)
      out[count++] = (struct range){start, start + 30 + packed};
  }
  return count;
}

static bool overlap(struct range *ranges, size_t n) {
  qsort(ranges, n, sizeof *ranges, by_start);
  for (size_t i = 1; i < n; i++)
    if (ranges[i].start < ranges[i - 1].end) return true;
  return false;
}

/* Refuses a ZIP whose members overlap. What is odd in other ways is libarchive's to judge. */
static int check_overlap(struct job *job, struct err *err) {
  size_t tail = job->bytes < TAIL_MAX ? (size_t)job->bytes : TAIL_MAX;
  struct range *ranges = NULL;
  char *directory = NULL, *bytes = mem_alloc(tail + 1);
  int rc = 0;
  if (!bytes) return err_nomem(err, tail, "a ZIP's directory");
  long long n = job_read(job, job->bytes - tail, bytes, tail, err);
  if (n < 22) goto done;
  for (size_t at = (size_t)n - 22 + 1; at-- > 0;) {
    if (memcmp(bytes + at, "PK\5\6", 4) != 0) continue;
    struct reader r;
    reader_init(&r, bytes + at + 10, 10);
    size_t count = reader_u16(&r);
    uint64_t size = reader_u32(&r), start = reader_u32(&r);
    if (!count || size > DIRECTORY_MAX || start > job->bytes || size > job->bytes - start) break;
    directory = mem_alloc((size_t)size + 1);
    ranges = mem_array((size_t)(size / 46) + 1, sizeof *ranges);
    if (!directory || !ranges) {
      rc = err_nomem(err, size, "a ZIP's directory");
      break;
    }
    n = job_read(job, start, directory, (size_t)size, err);
    if (n <= 0) break;
    count = read_directory(directory, (size_t)n, ranges, (size_t)(size / 46) + 1);
    if (overlap(ranges, count))
      rc = err_set(err, ERR_LIMIT,
                   "limit: members of the archive share their packed bytes (a zip bomb?)");
    break;
  }
done:
  mem_free(ranges);
  mem_free(directory);
  mem_free(bytes);
  return rc;
}

/* ---- members ---- */

static void begin_member(struct unpack *u, struct archive_entry *entry) {
  struct out *o = &u->job->out;
  const char *name = archive_entry_pathname_utf8(entry);
  struct buf converted;
  buf_init(&converted);
  if (!name) name = archive_entry_pathname(entry);
  if (!name || archive_format(u->archive) == ARCHIVE_FORMAT_RAW) name = "";
  size_t n = strlen(name);
  if (u->is_zip && utf8_check(name, n) != n &&
      !encoding_to_utf8(name, n, "CP437", &converted, NULL, NULL) && !converted.failed) {
    name = converted.data;
    n = converted.len;
  }
  out_frame(o, FRAME_MEMBER, name, n < DATA_MAX ? n : DATA_MAX, "", 0);
  buf_clear(&converted);
}

static void end_member(struct unpack *u, uint32_t left, const char *text) {
  size_t n = strlen(text);
  if (n >= EXTRACT_MESSAGE) n = EXTRACT_MESSAGE - 1;
  out_frame(&u->job->out, FRAME_END, &left, sizeof left, text, n);
}

static void leave_out(struct unpack *u, struct archive_entry *entry, uint32_t left,
                      const char *text) {
  begin_member(u, entry);
  end_member(u, left, text);
}

static void leave_out_link(struct unpack *u, struct archive_entry *entry, const char *kind,
                           const char *target) {
  char text[EXTRACT_MESSAGE];
  snprintf(text, sizeof text, "%s to %.400s, which is not followed", kind, target ? target : "?");
  leave_out(u, entry, LEFT_LINK, text);
}

/* Reads a member that is a file. ERR_FORMAT when the archive is damaged there. */
static int send_member(struct unpack *u, struct archive_entry *entry, struct err *err) {
  uint64_t sent = 0, most = u->job->request.member_max;
  char text[EXTRACT_MESSAGE];
  snprintf(text, sizeof text, "limit: a member of more than member_max (%llu bytes)",
           (unsigned long long)most);
  begin_member(u, entry);
  if (archive_entry_size_is_set(entry) && (uint64_t)archive_entry_size(entry) > most)
    return end_member(u, LEFT_LARGE, text), 0;
  while (!u->job->out.gone) {
    la_ssize_t n = archive_read_data(u->archive, u->block, DATA_MAX);
    if (n < 0) {
      const char *why = archive_error_string(u->archive);
      snprintf(text, sizeof text, "unreadable: %.400s", why ? why : "damaged");
      end_member(u, LEFT_DAMAGED, text);
      if (n > ARCHIVE_FATAL) return 0; /* this member only */
      return err_set(err, ERR_FORMAT, "unreadable archive: %s", why ? why : "damaged");
    }
    if (n == 0) return end_member(u, LEFT_NOT, ""), 0;
    sent += (uint64_t)n;
    if (sent > most) return end_member(u, LEFT_LARGE, text), 0;
    out_frame(&u->job->out, FRAME_DATA, u->block, (size_t)n, "", 0);
  }
  return 0;
}

static int visit(struct unpack *u, struct archive_entry *entry, struct err *err) {
  const char *hard = archive_entry_hardlink(entry);
  mode_t type = archive_entry_filetype(entry);
  if (type == AE_IFDIR) return 0;
  if (hard)
    leave_out_link(u, entry, "a link", hard);
  else if (type == AE_IFLNK)
    leave_out_link(u, entry, "a symbolic link", archive_entry_symlink(entry));
  else if (type != AE_IFREG && type != 0)
    leave_out(u, entry, LEFT_SPECIAL, "a device, pipe or socket");
  else if (archive_entry_is_encrypted(entry))
    leave_out(u, entry, LEFT_ENCRYPTED, "it is encrypted");
  else
    return send_member(u, entry, err);
  return 0;
}

/* ---- the archive ---- */

static int no_archive(struct unpack *u, struct err *err) {
  const char *why = archive_error_string(u->archive);
  if (u->is_zip || u->is_compressed)
    return err_set(err, ERR_FORMAT, "unreadable archive: %s", why ? why : "damaged");
  return err_set(err, ERR_UNSUPPORTED,
                 "unsupported type: it is neither a ZIP nor a TAR archive%s%s%s", why ? " (" : "",
                 why ? why : "", why ? ")" : "");
}

static int walk(struct unpack *u, struct err *err) {
  struct archive_entry *entry;
  struct archive *a = u->archive;
  int rc = 0;
  if (lseek(u->job->fd, 0, SEEK_SET) < 0) return err_errno(err, "cannot read");
  if (archive_read_open_fd(a, u->job->fd, BLOCK) != ARCHIVE_OK) return no_archive(u, err);
  for (bool first = true; !rc && !u->job->out.gone; first = false) {
    int e = archive_read_next_header(a, &entry);
    bool raw = archive_format(a) == ARCHIVE_FORMAT_RAW;
    if (e == ARCHIVE_EOF) break;
    if (first && raw && archive_filter_count(a) < 2) return no_archive(u, err);
    if (e == ARCHIVE_RETRY) continue;
    if (e < ARCHIVE_WARN) {
      const char *why = archive_error_string(a);
      return err_set(err, ERR_FORMAT, "unreadable archive: %s", why ? why : "damaged");
    }
    rc = visit(u, entry, err);
  }
  return rc;
}

/* A DOCX is a ZIP too, but to be read, not unpacked. */
static int refuse_document(struct job *job, struct err *err) {
  enum package_kind kind;
  int rc = package_kind(job, &kind, err);
  if (!rc && kind != PACKAGE_ZIP)
    rc = err_set(err, ERR_UNSUPPORTED, "it is not an archive but %s", package_describe(kind));
  return rc;
}

int unpack_run(struct job *job, struct err *err) {
  struct unpack u = {.job = job};
  char head[4] = {0};
  int rc = job_read(job, 0, head, sizeof head, err) < 0 ? ERR_IO : 0;
  u.is_zip = !memcmp(head, "PK", 2);
  u.is_compressed = !memcmp(head, "\x1F\x8B", 2) || !memcmp(head, "\x28\xB5\x2F\xFD", 4) ||
                    !memcmp(head,
                            "\xFD"
                            "7zX",
                            4) ||
                    !memcmp(head, "BZh", 3);
  if (!rc && u.is_zip) rc = refuse_document(job, err);
  if (!rc && u.is_zip) rc = check_overlap(job, err);
  if (rc) return rc;
  u.archive = archive_read_new();
  u.block = mem_alloc(BLOCK);
  if (!u.archive || !u.block) rc = err_nomem(err, BLOCK, "the archive reader");
  if (!rc) {
    archive_read_support_filter_gzip(u.archive);
    archive_read_support_filter_bzip2(u.archive);
    archive_read_support_filter_xz(u.archive);
    archive_read_support_filter_zstd(u.archive);
    archive_read_support_format_zip(u.archive);
    archive_read_support_format_tar(u.archive);
    archive_read_support_format_raw(u.archive);
    archive_read_support_format_empty(u.archive);
    rc = walk(&u, err);
  }
  if (u.archive) archive_read_free(u.archive);
  mem_free(u.block);
  return rc;
}

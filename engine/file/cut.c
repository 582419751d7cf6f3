/* SPDX-License-Identifier: MIT */
/* Locks, and the cutting of line files into groups; see file.h. One pass of memchr over a mapping's
 * worth of read(2) buffers: the cutter looks at newlines and at what a line begins with. */
#include "base/cancel.h"
#include "base/mem.h"
#include "file/file.h"
#include "file/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)

/* A process that was just killed holds its locks until the kernel has taken it apart, which takes a
 * moment on a busy machine: whoever starts the same command again at once should not be refused. */
static int lock_patiently(int fd) {
  struct timespec pause = {.tv_nsec = 20000000};
  for (int tries = 50; flock(fd, LOCK_EX | LOCK_NB); tries--) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK || tries == 0 || cancel_requested()) return -1;
    nanosleep(&pause, NULL);
  }
  return 0;
}

int file_lock(const char *path, int *fd, struct err *err) {
  *fd = sys_open_write(path, O_RDWR | O_CREAT, 0666);
  if (*fd < 0) return err_errno(err, "cannot write %s", path);
  if (lock_patiently(*fd) == 0) return 0;
  int rc = errno == EWOULDBLOCK
               ? err_set(err, ERR_TRANSIENT, "%s: another process is using this folder", path)
               : err_errno(err, "%s", path);
  close(*fd);
  *fd = -1;
  return rc;
}

void file_unlock(int fd) {
  if (fd >= 0) close(fd);
}

struct cutter {
  struct file_cut *cut;
  uint64_t max_records, max_bytes;
  file_boundary *boundary;
  void *arg;
  bool in_line, filled; /* bytes since the last newline; one of them is no blank */
};

static int end_of_line(struct cutter *c, struct err *err) {
  struct file_cut *cut = c->cut;
  cut->lines++;
  cut->total += c->filled;
  cut->records += c->filled;
  c->in_line = c->filled = false;
  if (cut->records < c->max_records && cut->bytes < c->max_bytes) return 0;
  cut->records = cut->bytes = 0;
  return c->boundary(c->arg, cut->size, cut->lines, err);
}

static bool has_more_than_blanks(const char *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r' && p[i] != '\n') return true;
  return false;
}

static int cut_piece(struct cutter *c, const char *p, size_t n, struct err *err) {
  int rc = 0;
  while (n > 0 && !rc) {
    const char *nl = memchr(p, '\n', n);
    size_t k = nl ? (size_t)(nl - p) + 1 : n;
    c->cut->size += k;
    c->cut->bytes += k;
    c->in_line = true;
    c->filled = c->filled || has_more_than_blanks(p, k);
    if (nl) rc = end_of_line(c, err);
    p += k, n -= k;
  }
  return rc;
}

int file_cut(const char *path, uint64_t max_records, uint64_t max_bytes, struct file_cut *cut,
             file_boundary *boundary, void *arg, struct err *err) {
  struct cutter c = {.cut = cut,
                     .max_records = max_records,
                     .max_bytes = max_bytes,
                     .boundary = boundary,
                     .arg = arg};
  struct stream *s = NULL;
  char *piece = mem_alloc(PIECE);
  long long got = 1;
  cut->total = cut->lines = cut->size = 0;
  int rc = piece ? stream_open(&s, path, err) : err_nomem(err, PIECE, path);
  while (!rc && got > 0) {
    got = stream_read(s, piece, PIECE, err);
    if (got < 0)
      rc = err ? err->code : ERR_IO;
    else
      rc = cut_piece(&c, piece, (size_t)got, err);
    if (!rc) rc = cancel_check(err);
  }
  if (!rc && c.in_line) rc = end_of_line(&c, err);
  stream_close(s);
  mem_free(piece);
  return rc;
}

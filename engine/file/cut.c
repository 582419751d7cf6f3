/* SPDX-License-Identifier: MIT */
/* Locks, and the cutting of line files into groups; see file.h. One pass of memchr over a mapping's
 * worth of read(2) buffers: the cutter looks at newlines only, never at what is between them. */
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
  struct file_cut *state;
  uint64_t max_records, max_bytes, lines, at; /* at: offset of the next byte */
  file_boundary *boundary;
  void *arg;
  bool in_line; /* bytes since the last newline */
};

static int end_of_line(struct cutter *c, struct err *err) {
  c->lines++;
  c->state->records++;
  c->in_line = false;
  if (c->state->records < c->max_records && c->state->bytes < c->max_bytes) return 0;
  *c->state = (struct file_cut){0};
  return c->boundary(c->arg, c->at, c->lines, err);
}

static int cut_piece(struct cutter *c, const char *p, size_t n, struct err *err) {
  int rc = 0;
  while (n > 0 && !rc) {
    const char *nl = memchr(p, '\n', n);
    size_t k = nl ? (size_t)(nl - p) + 1 : n;
    c->at += k;
    c->state->bytes += k;
    c->in_line = true;
    if (nl) rc = end_of_line(c, err);
    p += k, n -= k;
  }
  return rc;
}

int file_cut(const char *path, uint64_t max_records, uint64_t max_bytes, struct file_cut *state,
             file_boundary *boundary, void *arg, uint64_t *lines, uint64_t *size, struct err *err) {
  struct cutter c = {.state = state,
                     .max_records = max_records,
                     .max_bytes = max_bytes,
                     .boundary = boundary,
                     .arg = arg};
  struct stream *s = NULL;
  char *piece = mem_alloc(PIECE);
  long long got = 1;
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
  *lines += c.lines;
  *size = c.at;
  stream_close(s);
  mem_free(piece);
  return rc;
}

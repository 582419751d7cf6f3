/* SPDX-License-Identifier: MIT */
/* file_replace: the one way in which a file comes to be. See file.h.
 *
 * Small writes gather in a 256 KiB buffer. Close without commit unlinks the temporary, so a failed
 * or cancelled writer leaves nothing; a killed one leaves PATH.tmp-PID-N, which the runner sweeps.
 */
#include "base/cancel.h"
#include "base/mem.h"
#include "file/file.h"
#include "file/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUFFER ((size_t)256 << 10)

struct file_replace {
  char *path, *temporary;
  int fd, flags;
  uint64_t size;            /* with what is still in the buffer */
  size_t buffered;          /* bytes in buffer */
  bool finished, committed; /* finished: complete under its temporary name */
  char buffer[BUFFER];
};

int file_replace_open(struct file_replace **out, const char *path, int flags, struct err *err) {
  static atomic_uint counter; /* names only; any value does */
  char suffix[48];
  int rc = 0;
  *out = NULL;
  struct file_replace *w = mem_alloc(sizeof *w);
  if (!w) return err_nomem(err, sizeof *w, path);
  w->fd = -1, w->flags = flags, w->size = 0, w->buffered = 0, w->committed = false;
  w->finished = false;
  snprintf(suffix, sizeof suffix, ".tmp-%ld-%u", (long)getpid(), atomic_fetch_add(&counter, 1));
  size_t n = strlen(path), m = strlen(suffix);
  w->path = mem_strdup(path);
  w->temporary = mem_alloc(n + m + 1);
  if (!w->path || !w->temporary) {
    rc = err_nomem(err, n + m + 1, path);
    goto done;
  }
  memcpy(w->temporary, path, n);
  memcpy(w->temporary + n, suffix, m + 1);
  w->fd =
      sys_open_write(w->temporary, O_WRONLY | O_CREAT | O_EXCL, flags & FILE_PRIVATE ? 0600 : 0666);
  if (w->fd < 0) rc = err_errno(err, "cannot write %s", path);
done:
  if (rc)
    file_replace_close(w);
  else
    *out = w;
  return rc;
}

static int flush(struct file_replace *w, const char *bytes, size_t n, struct err *err) {
  while (n > 0) {
    ssize_t put = sys_write(w->fd, bytes, n);
    if (put < 0) return err_errno(err, "cannot write %s", w->path);
    bytes += put;
    n -= (size_t)put;
  }
  return 0;
}

static int flush_buffer(struct file_replace *w, struct err *err) {
  int rc = flush(w, w->buffer, w->buffered, err);
  w->buffered = 0;
  return rc;
}

int file_replace_write(struct file_replace *w, const void *bytes, size_t n, struct err *err) {
  int rc = 0;
  if (n > BUFFER - w->buffered) rc = flush_buffer(w, err);
  if (rc) return rc;
  w->size += n;
  if (n > BUFFER) return flush(w, bytes, n, err);
  if (n) memcpy(w->buffer + w->buffered, bytes, n);
  w->buffered += n;
  return 0;
}

int file_replace_append(struct file_replace *w, const char *path, struct err *err) {
  int rc = flush_buffer(w, err), fd = rc ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (rc) return rc;
  if (fd < 0) return err_errno(err, "%s", path);
  for (;;) { /* the buffer is empty: bytes go through it */
    ssize_t got = read(fd, w->buffer, BUFFER);
    if (got < 0 && errno == EINTR && !cancel_requested()) continue;
    if (got < 0) rc = cancel_check(err) ? ERR_CANCELLED : err_errno(err, "%s", path);
    if (got <= 0) break;
    w->size += (uint64_t)got;
    if ((rc = flush(w, w->buffer, (size_t)got, err))) break;
  }
  close(fd);
  return rc;
}

int file_replace_patch(struct file_replace *w, uint64_t at, const void *bytes, size_t n,
                       struct err *err) {
  const char *p = bytes;
  int rc = flush_buffer(w, err);
  if (!rc && (at > w->size || n > w->size - at))
    return err_set(err, ERR_MISUSE, "%s: patch beyond what was written", w->path);
  while (!rc && n > 0) {
    ssize_t put = sys_pwrite(w->fd, p, n, (off_t)at);
    if (put < 0) return err_errno(err, "cannot write %s", w->path);
    p += put, at += (uint64_t)put, n -= (size_t)put;
  }
  return rc;
}

uint64_t file_replace_size(const struct file_replace *w) {
  return w->size;
}

static int sync_parent(const char *path, struct err *err) {
  char *dir = mem_strdup(path);
  if (!dir) return err_nomem(err, strlen(path), path);
  char *slash = strrchr(dir, '/');
  if (slash == dir)
    slash[1] = 0;
  else if (slash)
    *slash = 0;
  int rc = file_sync_dir(slash ? dir : ".", err);
  mem_free(dir);
  return rc;
}

int file_replace_finish(struct file_replace *w, struct err *err) {
  if (w->finished) return 0;
  int rc = flush_buffer(w, err);
  if (rc) return rc;
  bool skip = w->flags & FILE_NO_SYNC || (w->flags & FILE_BEFORE && w->size == 0);
  if (!skip && sys_fsync(w->fd)) return err_errno(err, "cannot write %s", w->path);
  int closed = sys_close(w->fd);
  w->fd = -1;
  if (closed) return err_errno(err, "cannot write %s", w->path);
  w->finished = true;
  return 0;
}

int file_replace_retarget(struct file_replace *w, const char *path, struct err *err) {
  char *copy = mem_strdup(path);
  if (!copy) return err_nomem(err, strlen(path), path);
  mem_free(w->path);
  w->path = copy;
  return 0;
}

int file_replace_commit(struct file_replace *w, struct err *err) {
  int rc = file_replace_finish(w, err);
  if (rc) return rc;
  if (sys_rename(w->temporary, w->path)) return err_errno(err, "cannot rename to %s", w->path);
  w->committed = true;
  return w->flags & (FILE_NO_SYNC | FILE_BEFORE) ? 0 : sync_parent(w->path, err);
}

void file_replace_close(struct file_replace *w) {
  if (!w) return;
  int kept = errno;
  if (w->fd >= 0) sys_close(w->fd);
  if (!w->committed && w->temporary) sys_unlink(w->temporary);
  mem_free(w->temporary);
  mem_free(w->path);
  mem_free(w);
  errno = kept;
}

int file_write(const char *path, const void *bytes, size_t n, int flags, struct err *err) {
  struct file_replace *w;
  int rc = file_replace_open(&w, path, flags, err);
  rc = rc ? rc : file_replace_write(w, bytes, n, err);
  rc = rc ? rc : file_replace_commit(w, err);
  file_replace_close(w);
  return rc;
}

int file_append(const char *path, const void *bytes, size_t n, struct err *err) {
  int fd = sys_open_write(path, O_WRONLY | O_CREAT | O_APPEND, 0666), rc = 0;
  if (fd < 0) return err_errno(err, "cannot write %s", path);
  ssize_t put = sys_write(fd, bytes, n);
  if (put < 0)
    rc = err_errno(err, "cannot write %s", path);
  else if ((size_t)put != n)
    rc = err_set(err, ERR_IO, "cannot write %s: disk full", path);
  if (sys_close(fd) && !rc) rc = err_errno(err, "cannot write %s", path);
  return rc;
}

int file_rename(const char *from, const char *to, struct err *err) {
  if (sys_rename(from, to)) return err_errno(err, "cannot rename %s to %s", from, to);
  return sync_parent(to, err);
}

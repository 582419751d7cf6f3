/* SPDX-License-Identifier: MIT */
/* Whole-file reads and read-only mappings; see file.h. */
#include "base/mem.h"
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)

static int open_file(const char *path, int *fd, uint64_t *size, struct err *err) {
  struct stat st;
  *fd = open(path, O_RDONLY | O_CLOEXEC);
  if (*fd < 0) return err_errno(err, "%s", path);
  if (fstat(*fd, &st)) return err_errno(err, "%s", path);
  if (S_ISDIR(st.st_mode))
    return err_set(err, ERR_IO, "%s: is a folder, a file was expected", path);
  *size = st.st_size > 0 ? (uint64_t)st.st_size : 0;
  return 0;
}

/* Appends up to `want` bytes; ends early at the end of the file. */
static int append(int fd, uint64_t want, struct buf *out, const char *path, struct err *err) {
  while (want > 0) {
    size_t n = want < PIECE ? (size_t)want : PIECE;
    if (buf_reserve(out, n)) return err_nomem(err, n, path);
    ssize_t got = read(fd, out->data + out->len, n);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return err_errno(err, "%s", path);
    if (got == 0) break;
    out->len += (size_t)got;
    out->data[out->len] = 0;
    want -= (uint64_t)got;
  }
  return 0;
}

int file_read(const char *path, uint64_t limit, struct buf *out, struct err *err) {
  int fd = -1;
  uint64_t size;
  size_t before = out->len;
  int rc = open_file(path, &fd, &size, err);
  if (rc) goto done;
  if (size > limit) goto too_big;
  rc = buf_reserve(out, (size_t)size + 1) ? err_nomem(err, size, path) : 0;
  rc = rc ? rc : append(fd, limit < UINT64_MAX ? limit + 1 : limit, out, path, err);
  if (rc || out->len - before <= limit) goto done;
too_big:
  rc = err_set(err, ERR_LIMIT, "%s: larger than the %llu bytes allowed here", path,
               (unsigned long long)limit);
done:
  if (fd >= 0) close(fd);
  return rc;
}

int file_read_range(const char *path, uint64_t start, uint64_t end, struct buf *out,
                    struct err *err) {
  int fd = -1;
  uint64_t size;
  size_t before = out->len;
  int rc = open_file(path, &fd, &size, err);
  if (rc) goto done;
  if (start > end || end > size || lseek(fd, (off_t)start, SEEK_SET) < 0) goto short_file;
  rc = append(fd, end - start, out, path, err);
  if (rc || out->len - before == end - start) goto done;
short_file:
  rc = err_set(err, ERR_FORMAT, "%s: bytes %llu to %llu expected, it has %llu", path,
               (unsigned long long)start, (unsigned long long)end, (unsigned long long)size);
done:
  if (fd >= 0) close(fd);
  return rc;
}

int file_map_open(struct file_map *m, const char *path, struct err *err) {
  static const char empty[1];
  int fd = -1;
  uint64_t size;
  *m = (struct file_map){0};
  int rc = open_file(path, &fd, &size, err);
  if (rc) goto done;
  m->data = empty;
  if (size == 0) goto done;
  void *base = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) {
    rc = err_errno(err, "%s: cannot map %llu bytes", path, (unsigned long long)size);
    goto done;
  }
  *m = (struct file_map){.data = base, .size = size, .base = base};
done:
  if (fd >= 0) close(fd);
  return rc;
}

void file_map_close(struct file_map *m) {
  if (m && m->base) munmap(m->base, (size_t)m->size);
  if (m) *m = (struct file_map){0};
}

/* SPDX-License-Identifier: MIT */
/* SHA-256 of a file as a stream: what is hashed is often far larger than the memory a run may use,
 * and a mapped file counts as resident until it is unmapped. */
#include "base/cancel.h"
#include "base/mem.h"
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define BLOCK ((size_t)1 << 20)

static int hash_fd(int fd, const char *path, unsigned char *out, struct err *err) {
  struct sha256 *h = NULL;
  char *block = mem_alloc(BLOCK);
  int rc = block ? sha256_new(&h, err) : err_nomem(err, BLOCK, path);
  posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  while (!rc && !(rc = cancel_check(err))) {
    ssize_t n = read(fd, block, BLOCK);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) rc = err_errno(err, "%s", path);
    if (n <= 0) break;
    rc = sha256_update(h, block, (size_t)n, err);
  }
  if (!rc) rc = sha256_final(h, out, err);
  sha256_free(h);
  mem_free(block);
  return rc;
}

int file_sha256(const char *path, unsigned char out[SHA256_BYTES], struct err *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return err_errno(err, "%s", path);
  int rc = hash_fd(fd, path, out, err);
  close(fd);
  return rc;
}

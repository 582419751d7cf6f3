/* SPDX-License-Identifier: MIT */
/* Hashes of a file as a stream: what is hashed is often far larger than the memory a run may use,
 * and a mapped file counts as resident until it is unmapped. */
#include "base/cancel.h"
#include "base/mem.h"
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define BLOCK ((size_t)1 << 20)
#define SMALL ((size_t)128 << 10) /* stays in the processor's cache */

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

/* Each block's hash is the seed of the next. */
static int xxh3_fd(int fd, const char *path, uint64_t out[2], struct err *err) {
  char *block = mem_alloc(SMALL);
  int rc = block ? 0 : err_nomem(err, SMALL, path);
  size_t held = 0;
  ssize_t n = 1;
  out[0] = out[1] = 0;
  while (!rc && n > 0) {
    n = read(fd, block + held, SMALL - held);
    bool again = n < 0 && errno == EINTR;
    if (n < 0 && !again) rc = err_errno(err, "%s", path);
    if (n > 0) held += (size_t)n;
    if (again) n = 1;
    if (n > 0 && held < SMALL) continue;
    uint64_t seed = out[0] ^ out[1] * 0x9E3779B97F4A7C15u;
    hash_xxh3_128(block, held, seed, out);
    held = 0;
    rc = rc ? rc : cancel_check(err);
  }
  mem_free(block);
  return rc;
}

int file_xxh3(const char *path, uint64_t out[2], struct err *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return err_errno(err, "%s", path);
  int rc = xxh3_fd(fd, path, out, err);
  close(fd);
  return rc;
}

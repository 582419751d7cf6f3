/* SPDX-License-Identifier: MIT */
/* The failing twin of engine/file/sys.c, linked into build/fault.
 *
 * LATHE_FAULT_DISK=BYTES   the disk is full once so many bytes were written (ENOSPC)
 * LATHE_FAULT_FSYNC=N      the N-th fsync fails (EIO)
 * LATHE_FAULT_RENAME=N     the N-th rename fails (EIO)
 */
#include "file/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_llong written;
static atomic_long syncs, renames;

static long long setting(const char *name) {
  const char *s = getenv(name);
  return s ? atoll(s) : -1;
}

static bool nth(atomic_long *count, const char *name) {
  long long n = setting(name);
  return n > 0 && atomic_fetch_add(count, 1) + 1 == n;
}

/* How many of n bytes still fit; 0 sets ENOSPC. */
static size_t fits(size_t n) {
  long long room = setting("LATHE_FAULT_DISK");
  if (room < 0) return n;
  long long before = atomic_load(&written);
  if (before >= room) return errno = ENOSPC, 0;
  if ((long long)n > room - before) n = (size_t)(room - before);
  atomic_fetch_add(&written, (long long)n);
  return n;
}

int sys_open_write(const char *path, int flags, mode_t mode) {
  return open(path, flags | O_CLOEXEC, mode);
}
ssize_t sys_write(int fd, const void *bytes, size_t n) {
  size_t k = fits(n);
  return k == 0 && n > 0 ? -1 : write(fd, bytes, k);
}
ssize_t sys_pwrite(int fd, const void *bytes, size_t n, off_t at) {
  size_t k = fits(n);
  return k == 0 && n > 0 ? -1 : pwrite(fd, bytes, k, at);
}
int sys_fsync(int fd) {
  return nth(&syncs, "LATHE_FAULT_FSYNC") ? (errno = EIO, -1) : fsync(fd);
}
int sys_close(int fd) {
  return close(fd);
}
int sys_rename(const char *from, const char *to) {
  return nth(&renames, "LATHE_FAULT_RENAME") ? (errno = EIO, -1) : rename(from, to);
}
int sys_unlink(const char *path) {
  return unlink(path);
}
int sys_mkdir(const char *path, mode_t mode) {
  return mkdir(path, mode);
}

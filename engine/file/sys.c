/* SPDX-License-Identifier: MIT */
/* The writing seam over the system calls; see sys.h. */
#include "file/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int sys_open_write(const char *path, int flags, mode_t mode) {
  int fd;
  do fd = open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

ssize_t sys_write(int fd, const void *bytes, size_t n) {
  ssize_t w;
  do w = write(fd, bytes, n);
  while (w < 0 && errno == EINTR);
  return w;
}

ssize_t sys_pwrite(int fd, const void *bytes, size_t n, off_t at) {
  ssize_t w;
  do w = pwrite(fd, bytes, n, at);
  while (w < 0 && errno == EINTR);
  return w;
}

int sys_fsync(int fd) {
  return fsync(fd);
}
int sys_close(int fd) {
  return close(fd);
}
int sys_rename(const char *from, const char *to) {
  return rename(from, to);
}
int sys_unlink(const char *path) {
  return unlink(path);
}
int sys_mkdir(const char *path, mode_t mode) {
  return mkdir(path, mode);
}

/* SPDX-License-Identifier: MIT */
/* The writing seam: every system call that changes the file system goes through here, so that a
 * test build (build/fault) can make it fail: a full disk at byte N, a failing fsync or rename.
 * Returns and errno as the calls themselves; EINTR is retried. Only file/ includes this. */
#ifndef LATHE_FILE_SYS_H
#define LATHE_FILE_SYS_H

#include <stddef.h>
#include <sys/types.h>

int sys_open_write(const char *path, int flags, mode_t mode);
ssize_t sys_write(int fd, const void *bytes, size_t n);
ssize_t sys_pwrite(int fd, const void *bytes, size_t n, off_t at);
int sys_fsync(int fd);
int sys_close(int fd);
int sys_rename(const char *from, const char *to);
int sys_unlink(const char *path);
int sys_mkdir(const char *path, mode_t mode);

#endif

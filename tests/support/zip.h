/* SPDX-License-Identifier: MIT */
/* A small ZIP writer, for tests that need archives no sane program makes. */
#ifndef LATHE_TEST_ZIP_H
#define LATHE_TEST_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zip {
  char *bytes; /* the file so far; malloc */
  size_t len, cap;
  char *directory;
  size_t directory_len, directory_cap;
  unsigned count;
};

enum { ZIP_STORE = 0, ZIP_DEFLATE = 8, ZIP_SYMLINK = 1 << 8, ZIP_ENCRYPTED = 1 << 9 };

/* Adds a member: `repeat` times the bytes. Flags as above. */
void zip_add(struct zip *z, const char *name, const void *bytes, size_t n, size_t repeat,
             int flags);
/* Writes the directory and the file; frees. True when all is well. */
bool zip_write(struct zip *z, const char *path);

#endif

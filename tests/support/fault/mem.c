/* SPDX-License-Identifier: MIT */
/* The failing twin of engine/base/mem.c, linked into build/fault.
 *
 * LATHE_FAULT_ALLOC=N     the N-th allocation fails (from 1)
 * LATHE_FAULT_ALLOC=N+    the N-th and all after it
 * LATHE_FAULT_LARGE=BYTES every allocation of at least so many bytes fails
 */
#include "base/checked.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

static bool fails(size_t size) {
  static atomic_long count;
  static long at = -1, large;
  static bool on;
  if (at < 0) {
    const char *s = getenv("LATHE_FAULT_ALLOC"), *b = getenv("LATHE_FAULT_LARGE");
    on = s && strchr(s, '+');
    large = b ? atol(b) : 0;
    at = s ? atol(s) : 0;
  }
  if (large > 0 && size >= (size_t)large) return true;
  if (at <= 0) return false;
  long n = atomic_fetch_add(&count, 1) + 1;
  return on ? n >= at : n == at;
}

void *mem_alloc(size_t size) {
  return fails(size) ? NULL : malloc(size ? size : 1);
}
void *mem_zero(size_t size) {
  return fails(size) ? NULL : calloc(1, size ? size : 1);
}
void *mem_realloc(void *p, size_t size) {
  return fails(size) ? NULL : realloc(p, size ? size : 1);
}
void mem_free(void *p) {
  free(p);
}

void *mem_array(size_t count, size_t size) {
  size_t bytes;
  return checked_mul(count, size, &bytes) ? mem_alloc(bytes) : NULL;
}
void *mem_zeros(size_t count, size_t size) {
  size_t bytes;
  return checked_mul(count, size, &bytes) ? mem_zero(bytes) : NULL;
}
void *mem_rearray(void *p, size_t count, size_t size) {
  size_t bytes;
  return checked_mul(count, size, &bytes) ? mem_realloc(p, bytes) : NULL;
}

char *mem_dup(const void *bytes, size_t size) {
  char *p = size < SIZE_MAX ? mem_alloc(size + 1) : NULL;
  if (p) memcpy(p, bytes, size), p[size] = 0;
  return p;
}
char *mem_strdup(const char *s) {
  return mem_dup(s, strlen(s));
}

void *mem_aligned(size_t size) {
  void *p = NULL;
  return fails(size) || posix_memalign(&p, 64, size ? size : 1) ? NULL : p;
}
void mem_free_aligned(void *p, size_t size) {
  (void)size;
  free(p);
}

void mem_huge(void *p, size_t size) {
  (void)p, (void)size;
}

void mem_trim(void) {
#if defined(__GLIBC__) && !defined(LATHE_SANITIZE)
  malloc_trim(0);
#endif
}

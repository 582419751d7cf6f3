/* SPDX-License-Identifier: MIT */
/* The allocator seam over malloc. See mem.h. tests/support/fault/mem.c is its failing twin. */
#include "base/mem.h"
#include "base/checked.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

void *mem_alloc(size_t size) {
  return malloc(size ? size : 1);
}
void *mem_zero(size_t size) {
  return calloc(1, size ? size : 1);
}
void *mem_realloc(void *p, size_t size) {
  return realloc(p, size ? size : 1);
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
  size_t with_zero;
  char *p = checked_add(size, 1, &with_zero) ? mem_alloc(with_zero) : NULL;
  if (!p) return NULL;
  if (size) memcpy(p, bytes, size);
  p[size] = 0;
  return p;
}

char *mem_strdup(const char *s) {
  return mem_dup(s, strlen(s));
}

void *mem_aligned(size_t size) {
  void *p = NULL;
  size_t align = size >= HUGE_PAGE ? HUGE_PAGE : 64;
  if (posix_memalign(&p, align, size ? size : 1)) return NULL;
  if (size >= HUGE_PAGE) madvise(p, size & ~(HUGE_PAGE - 1), MADV_HUGEPAGE);
  return p;
}

void mem_free_aligned(void *p, size_t size) {
  (void)size;
  free(p);
}

void mem_huge(void *p, size_t size) {
#ifndef LATHE_SANITIZE
  uintptr_t from = ((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
  uintptr_t to = ((uintptr_t)p + size) & ~(uintptr_t)(HUGE_PAGE - 1);
  if (p && to > from) madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
  (void)p, (void)size;
#endif
}

void mem_trim(void) {
#if defined(__GLIBC__) && !defined(LATHE_SANITIZE)
  malloc_trim(0);
#endif
}

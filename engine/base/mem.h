/* SPDX-License-Identifier: MIT */
/* The allocator seam. All memory of the engine comes from here, so that one place can account for
 * it and a test build (build/fault) can make any allocation fail by linking another mem.c.
 *
 * Sizes of zero are legal and give a unique pointer. NULL means out of memory, never anything else.
 * mem_free accepts NULL. Memory is not cleared unless the name says so.
 */
#ifndef LATHE_BASE_MEM_H
#define LATHE_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size) __attribute__((malloc, warn_unused_result));
void *mem_zero(size_t size) __attribute__((malloc, warn_unused_result));
void *mem_realloc(void *p, size_t size) __attribute__((warn_unused_result));
void mem_free(void *p);

/* count × size bytes, or NULL when the product overflows. mem_array is uncleared, mem_zeros
 * cleared. */
void *mem_array(size_t count, size_t size) __attribute__((malloc, warn_unused_result));
void *mem_zeros(size_t count, size_t size) __attribute__((malloc, warn_unused_result));
void *mem_rearray(void *p, size_t count, size_t size) __attribute__((warn_unused_result));

/* A copy of `size` bytes with a zero byte after them; of a C string. The caller frees. */
char *mem_dup(const void *bytes, size_t size) __attribute__((malloc, warn_unused_result));
char *mem_strdup(const char *s) __attribute__((malloc, warn_unused_result));

/* Memory for kernels: 64-byte aligned, huge pages advised when large; free with mem_free_aligned.
 */
void *mem_aligned(size_t size) __attribute__((malloc, warn_unused_result));
void mem_free_aligned(void *p, size_t size);

/* Says that a large block of the above is going to be filled from end to end: the system gives it in
 * pieces of 2 MiB, which takes a tenth of the time. Does nothing to small ones. */
void mem_huge(void *p, size_t size);

/* Gives freed memory back to the system, where the C library would keep it for later. Takes about a
 * millisecond: for after something large. */
void mem_trim(void);

#endif

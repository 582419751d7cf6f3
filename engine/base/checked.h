/* SPDX-License-Identifier: MIT */
/* Sums and products of sizes that came from outside. Each returns true and stores the result, or
 * returns false on overflow and leaves *out unspecified. */
#ifndef LATHE_BASE_CHECKED_H
#define LATHE_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool checked_add(size_t a, size_t b, size_t *out) {
  return !__builtin_add_overflow(a, b, out);
}
static inline bool checked_mul(size_t a, size_t b, size_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}
static inline bool checked_add64(uint64_t a, uint64_t b, uint64_t *out) {
  return !__builtin_add_overflow(a, b, out);
}
static inline bool checked_mul64(uint64_t a, uint64_t b, uint64_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}
/* v rounded up to a multiple of `to` (a power of two). */
static inline bool checked_align64(uint64_t v, uint64_t to, uint64_t *out) {
  return checked_add64(v, to - 1, out) && ((*out &= ~(to - 1)), true);
}

#endif

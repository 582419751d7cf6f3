/* SPDX-License-Identifier: MIT */
/* MinHash kernels; see minhash.h.
 *
 * One body, written as plain loops that the compiler vectorises over the permutations, compiled for
 * three widths. Eight hashes are taken at a time, so that a permutation's constants and its minimum
 * are loaded once for eight:
 *
 *           x0 … x7
 *   a0 b0 │ min ──► least[0]          16 lanes of AVX-512 do least[0 … 15] at once
 *   a1 b1 │ min ──► least[1]
 */
#include "dedup/minhash.h"
#include "base/cpu.h"
#include "base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define SEED UINT64_C(0x6c61746865)
#define STEP 8

static inline __attribute__((always_inline)) void body(const struct minhash *c, const uint32_t *x,
                                                       size_t n, uint32_t *restrict least) {
  size_t i = 0;
  for (; i + STEP <= n; i += STEP) {
    const uint32_t x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
    const uint32_t x4 = x[i + 4], x5 = x[i + 5], x6 = x[i + 6], x7 = x[i + 7];
    for (unsigned k = 0; k < MINHASH_COUNT; k++) {
      uint32_t a = c->a[k], m = least[k], v;
      v = a * x0 + c->b[k], m = v < m ? v : m;
      v = a * x1 + c->b[k], m = v < m ? v : m;
      v = a * x2 + c->b[k], m = v < m ? v : m;
      v = a * x3 + c->b[k], m = v < m ? v : m;
      v = a * x4 + c->b[k], m = v < m ? v : m;
      v = a * x5 + c->b[k], m = v < m ? v : m;
      v = a * x6 + c->b[k], m = v < m ? v : m;
      v = a * x7 + c->b[k], m = v < m ? v : m;
      least[k] = m;
    }
  }
  for (; i < n; i++)
    for (unsigned k = 0; k < MINHASH_COUNT; k++) {
      uint32_t v = c->a[k] * x[i] + c->b[k];
      least[k] = v < least[k] ? v : least[k];
    }
}

#define WIDE __attribute__((optimize("O3")))

/* One hash and one permutation at a time: the reference. */
__attribute__((optimize("no-tree-vectorize"))) static void
scalar(const struct minhash *m, const uint32_t *x, size_t n, uint32_t least[MINHASH_COUNT]) {
  for (size_t i = 0; i < n; i++)
    for (unsigned k = 0; k < MINHASH_COUNT; k++) {
      uint32_t v = m->a[k] * x[i] + m->b[k];
      if (v < least[k]) least[k] = v;
    }
}

WIDE static void plain(const struct minhash *m, const uint32_t *x, size_t n,
                       uint32_t least[MINHASH_COUNT]) {
  body(m, x, n, least);
}

#if defined(__x86_64__)
WIDE __attribute__((target("avx2"))) static void avx2(const struct minhash *m, const uint32_t *x,
                                                      size_t n, uint32_t least[MINHASH_COUNT]) {
  body(m, x, n, least);
}

WIDE __attribute__((
    target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512"))) static void
avx512(const struct minhash *m, const uint32_t *x, size_t n, uint32_t least[MINHASH_COUNT]) {
  body(m, x, n, least);
}
#endif

size_t minhash_kernels(minhash_kernel *out[4]) {
  size_t n = 0;
  out[n++] = scalar;
  out[n++] = plain;
#if defined(__x86_64__)
  struct cpu cpu;
  cpu_detect(&cpu);
  if (cpu.avx2) out[n++] = avx2;
  if (cpu.avx512) out[n++] = avx512;
#endif
  return n;
}

void minhash_init(struct minhash *m) {
  minhash_kernel *all[4];
  m->kernel = all[minhash_kernels(all) - 1];
  for (unsigned i = 0; i < MINHASH_COUNT; i++) {
    m->a[i] = (uint32_t)rng_at(SEED, i, 0) | 1;
    m->b[i] = (uint32_t)rng_at(SEED, i, 1);
  }
}

void minhash_least(const struct minhash *m, const uint32_t *x, size_t n,
                   uint32_t least[MINHASH_COUNT]) {
  memset(least, 0xff, MINHASH_COUNT * sizeof *least);
  m->kernel(m, x, n, least);
}

double minhash_found(double j, unsigned buckets, unsigned rows) {
  return 1.0 - pow(1.0 - pow(j, rows), buckets);
}

void minhash_bands(double j, unsigned *buckets, unsigned *rows) {
  *rows = 1;
  for (unsigned r = 2; r <= 28; r++)
    if (minhash_found(j, MINHASH_COUNT / r, r) >= 0.92) *rows = r;
  *buckets = MINHASH_COUNT / *rows;
}

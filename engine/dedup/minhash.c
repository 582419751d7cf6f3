/* SPDX-License-Identifier: MIT */
/* MinHash kernels; see minhash.h.
 *
 * Hashes stream past minima that stay in registers:
 *
 *              x0, x1, x2 …          each hash is read once for up to 128 permutations
 *   a0 … a15 │ multiply, add, min ──► least[0 … 15]      one register of 16 lanes
 *      …     │                          …
 *   … a127   │                    ──► least[112 … 127]   eight such: constants and minima together
 *                                                        fill 24 of AVX-512's 32 registers
 *
 * AVX2 has 16 registers of 8 lanes, so there 32 permutations go at a time. 112 permutations take
 * seven registers, the whole set once. The plain body is the same for any other processor, in
 * portable C that the compiler vectorises.
 */
#include "dedup/minhash.h"
#include "base/cpu.h"
#include "base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define SEED UINT64_C(0x6c61746865)
#define WIDE __attribute__((optimize("O3")))

static unsigned places(const struct minhash *m) {
  return (m->count + MINHASH_STEP - 1) / MINHASH_STEP * MINHASH_STEP;
}

/* One hash and one permutation at a time: the reference. */
__attribute__((optimize("no-tree-vectorize"))) static void
scalar(const struct minhash *m, const uint32_t *x, size_t n, uint32_t *least) {
  memset(least, 0xff, places(m) * sizeof *least);
  for (size_t i = 0; i < n; i++)
    for (unsigned k = 0; k < places(m); k++) {
      uint32_t v = m->a[k] * x[i] + m->b[k];
      if (v < least[k]) least[k] = v;
    }
}

/* Sixteen permutations at a time, in local arrays. */
WIDE static void plain(const struct minhash *m, const uint32_t *x, size_t n, uint32_t *least) {
  for (unsigned at = 0; at < places(m); at += MINHASH_STEP) {
    uint32_t a[MINHASH_STEP], b[MINHASH_STEP], low[MINHASH_STEP];
    memcpy(a, m->a + at, sizeof a);
    memcpy(b, m->b + at, sizeof b);
    memset(low, 0xff, sizeof low);
    for (size_t i = 0; i < n; i++)
      for (unsigned k = 0; k < MINHASH_STEP; k++) {
        uint32_t v = a[k] * x[i] + b[k];
        low[k] = v < low[k] ? v : low[k];
      }
    memcpy(least + at, low, sizeof low);
  }
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2   __attribute__((target("avx2"), optimize("O3")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"), optimize("O3")))

/* 8 · V permutations from `at` on. */
#define AVX2_TILE(V)                                                                               \
  AVX2 static void avx2_##V(const struct minhash *m, unsigned at, const uint32_t *x, size_t n,     \
                            uint32_t *least) {                                                     \
    __m256i a[V], b[V], low[V];                                                                    \
    for (unsigned k = 0; k < (V); k++) {                                                           \
      a[k] = _mm256_loadu_si256((const __m256i *)(const void *)(m->a + at + 8 * k));               \
      b[k] = _mm256_loadu_si256((const __m256i *)(const void *)(m->b + at + 8 * k));               \
      low[k] = _mm256_set1_epi32(-1);                                                              \
    }                                                                                              \
    for (size_t i = 0; i < n; i++) {                                                               \
      __m256i v = _mm256_set1_epi32((int)x[i]);                                                    \
      for (unsigned k = 0; k < (V); k++)                                                           \
        low[k] = _mm256_min_epu32(low[k], _mm256_add_epi32(_mm256_mullo_epi32(v, a[k]), b[k]));    \
    }                                                                                              \
    for (unsigned k = 0; k < (V); k++)                                                             \
      _mm256_storeu_si256((__m256i *)(void *)(least + at + 8 * k), low[k]);                        \
  }
AVX2_TILE(2)
AVX2_TILE(4)

static void avx2(const struct minhash *m, const uint32_t *x, size_t n, uint32_t *least) {
  unsigned at = 0, all = places(m);
  for (; at + 32 <= all; at += 32) avx2_4(m, at, x, n, least);
  for (; at < all; at += 16) avx2_2(m, at, x, n, least);
}

/* 16 · V permutations from `at` on. */
#define AVX512_TILE(V)                                                                             \
  AVX512 static void avx512_##V(const struct minhash *m, unsigned at, const uint32_t *x, size_t n, \
                                uint32_t *least) {                                                 \
    __m512i a[V], b[V], low[V];                                                                    \
    for (unsigned k = 0; k < (V); k++) {                                                           \
      a[k] = _mm512_loadu_si512(m->a + at + 16 * k);                                               \
      b[k] = _mm512_loadu_si512(m->b + at + 16 * k);                                               \
      low[k] = _mm512_set1_epi32(-1);                                                              \
    }                                                                                              \
    for (size_t i = 0; i < n; i++) {                                                               \
      __m512i v = _mm512_set1_epi32((int)x[i]);                                                    \
      for (unsigned k = 0; k < (V); k++)                                                           \
        low[k] = _mm512_min_epu32(low[k], _mm512_add_epi32(_mm512_mullo_epi32(v, a[k]), b[k]));    \
    }                                                                                              \
    for (unsigned k = 0; k < (V); k++) _mm512_storeu_si512(least + at + 16 * k, low[k]);           \
  }
AVX512_TILE(1)
AVX512_TILE(4)
AVX512_TILE(7)
AVX512_TILE(8)

static void avx512(const struct minhash *m, const uint32_t *x, size_t n, uint32_t *least) {
  unsigned at = 0, all = places(m);
  for (; at + 128 <= all; at += 128) avx512_8(m, at, x, n, least);
  if (all - at == 112) {
    avx512_7(m, at, x, n, least);
    return;
  }
  for (; at + 64 <= all; at += 64) avx512_4(m, at, x, n, least);
  for (; at < all; at += 16) avx512_1(m, at, x, n, least);
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

void minhash_init(struct minhash *m, unsigned count) {
  minhash_kernel *all[4];
  m->kernel = all[minhash_kernels(all) - 1];
  m->count = count;
  for (unsigned i = 0; i < MINHASH_MAX; i++) {
    m->a[i] = (uint32_t)rng_at(SEED, i, 0) | 1;
    m->b[i] = (uint32_t)rng_at(SEED, i, 1);
  }
}

void minhash_least(const struct minhash *m, const uint32_t *x, size_t n, uint32_t *least) {
  m->kernel(m, x, n, least);
}

double minhash_found(double j, unsigned bands, unsigned rows) {
  return 1.0 - pow(1.0 - pow(j, rows), bands);
}

void minhash_bands(double j, unsigned *bands, unsigned *rows) {
  *bands = 14;
  *rows = 8;
  if (j >= 0.8) return;
  *rows = 1;
  for (unsigned r = 2; r <= 8; r++)
    if (minhash_found(j, 112 / r, r) >= 0.92) *rows = r;
  *bands = 112 / *rows;
}

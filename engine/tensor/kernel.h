/* SPDX-License-Identifier: MIT */
/* What all kernels share: 16-lane vectors and the KERNEL mark.
 *
 * KERNEL compiles a function for AVX-512, AVX2 and the base processor and lets the loader choose
 * (off under sanitizers, whose start-up cannot live with such functions). Vectors are GCC's vector
 * extension, 16 floats wide whatever the processor: the order of every sum is written down in the
 * source, so that each of the three versions gives the same bits (the build contracts nothing into
 * fused multiply-adds).
 *
 * Reductions over n elements: lane j sums the elements j, j+16, j+32 …; then the lanes fold in
 * halves: 8, 4, 2, 1.
 */
#ifndef LATHE_TENSOR_KERNEL_H
#define LATHE_TENSOR_KERNEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(LATHE_SANITIZE) && \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define KERNEL __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define KERNEL
#endif
#define INLINE static inline __attribute__((always_inline, unused))

/* The functions below are always inlined: how a vector would be passed (-Wpsabi) matters not. */

#define LANES 16
typedef float v16 __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));

INLINE v16 v_load(const float *p) {
  v16 v;
  memcpy(&v, p, sizeof v);
  return v;
}
INLINE void v_store(float *p, v16 v) {
  memcpy(p, &v, sizeof v);
}
INLINE v16 v_all(float x) {
  return (v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}
/* n < 16 elements, the other lanes `rest`. */
INLINE v16 v_load_part(const float *p, size_t n, float rest) {
  v16 v = v_all(rest);
  memcpy(&v, p, n * sizeof *p);
  return v;
}
/* Lanes of a where mask is −1, of b where it is 0. */
INLINE v16 v_select(v16i mask, v16 a, v16 b) {
  return (v16)((mask & (v16i)a) | (~mask & (v16i)b));
}
INLINE v16 v_max(v16 a, v16 b) {
  return v_select((v16i)(a > b), a, b);
}
INLINE float v_sum(v16 v) {
  float s[LANES];
  memcpy(s, &v, sizeof s);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) s[i] += s[i + half];
  return s[0];
}
INLINE float v_top(v16 v) {
  float s[LANES];
  memcpy(s, &v, sizeof s);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) s[i] = s[i + half] > s[i] ? s[i + half] : s[i];
  return s[0];
}

/* e^x: x = n·ln2 + r with |r| ≤ ln2/2, e^r by its Taylor polynomial of degree 7 (truncation
 * 5e-9), times 2^n put into the exponent. Relative error below 2e-7 for −87 ≤ x ≤ 88; 0 under that,
 * e^88 above; NaN stays. */
INLINE v16 v_exp(v16 x) {
  const float magic = 12582912.0f; /* 1.5 · 2^23: adding it rounds to an integer */
  v16i low = (v16i)(x < v_all(-87.0f));
  x = v_select((v16i)(x > v_all(88.0f)), v_all(88.0f), x);
  x = v_select(low, v_all(-87.0f), x);
  v16 t = x * v_all(1.44269504f) + v_all(magic), n = t - v_all(magic);
  v16 r = (x - n * v_all(0.693359375f)) - n * v_all(-2.12194440e-4f);
  v16 p = v_all(1.0f / 5040);
  p = p * r + v_all(1.0f / 720);
  p = p * r + v_all(1.0f / 120);
  p = p * r + v_all(1.0f / 24);
  p = p * r + v_all(1.0f / 6);
  p = p * r + v_all(0.5f);
  p = p * r + v_all(1.0f);
  p = p * r + v_all(1.0f);
  v16i exponent = ((v16i)t - (v16i)v_all(magic) + 127) << 23;
  return v_select(low, v_all(0), p * (v16)exponent);
}

INLINE v16 v_sigmoid(v16 x) {
  return v_all(1) / (v_all(1) + v_exp(-x));
}

INLINE float k_dot(const float *a, const float *b, size_t n) {
  v16 s0 = v_all(0), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 4 * LANES <= n; i += 4 * LANES) {
    s0 += v_load(a + i) * v_load(b + i);
    s1 += v_load(a + i + LANES) * v_load(b + i + LANES);
    s2 += v_load(a + i + 2 * LANES) * v_load(b + i + 2 * LANES);
    s3 += v_load(a + i + 3 * LANES) * v_load(b + i + 3 * LANES);
  }
  for (; i + LANES <= n; i += LANES) s0 += v_load(a + i) * v_load(b + i);
  if (i < n) s1 += v_load_part(a + i, n - i, 0) * v_load_part(b + i, n - i, 0);
  return v_sum((s0 + s1) + (s2 + s3));
}

#endif

/* SPDX-License-Identifier: MIT */
/* What all kernels share: vectors of 8 floats, and e^x.
 *
 * Vectors are GCC's vector extension, 8 floats wide whatever the processor, so that the order of
 * every sum is written down in the source. A file that uses them must be compiled for the processor
 * it is to run on (the files of cpu/ops/ are, once for each kernel set): GCC lowers vectors before
 * it looks at target_clones, so the attribute alone would leave base code. Plain loops do gain from
 * it: KERNEL marks those (off under sanitizers, whose start-up cannot live with such functions).
 *
 * Reductions over n elements: lane j sums the elements j, j+8, j+16 …; then the lanes fold in
 * halves: 4, 2, 1.
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

#define LANES 8
typedef float vec __attribute__((vector_size(32)));
typedef int32_t vec_i __attribute__((vector_size(32)));
typedef float vec_half __attribute__((vector_size(16)));

INLINE vec v_load(const float *p) {
  vec v;
  memcpy(&v, p, sizeof v);
  return v;
}
INLINE void v_store(float *p, vec v) {
  memcpy(p, &v, sizeof v);
}
INLINE vec v_all(float x) {
  return (vec){x, x, x, x, x, x, x, x};
}
/* n < 8 elements, the other lanes `rest`. */
INLINE vec v_load_part(const float *p, size_t n, float rest) {
  vec v = v_all(rest);
  memcpy(&v, p, n * sizeof *p);
  return v;
}
/* Lanes of a where mask is −1, of b where it is 0. */
INLINE vec v_select(vec_i mask, vec a, vec b) {
  return (vec)((mask & (vec_i)a) | (~mask & (vec_i)b));
}
INLINE vec v_max(vec a, vec b) {
  return v_select((vec_i)(a > b), a, b);
}
INLINE float v_sum(vec v) {
  vec_half h[2];
  memcpy(h, &v, sizeof h);
  h[0] += h[1];
  return (h[0][0] + h[0][2]) + (h[0][1] + h[0][3]);
}
INLINE float v_top(vec v) {
  float s[LANES];
  memcpy(s, &v, sizeof s);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) s[i] = s[i + half] > s[i] ? s[i + half] : s[i];
  return s[0];
}

/* e^x: x = n·ln2 + r with |r| ≤ ln2/2, e^r by its Taylor polynomial of degree 7 (truncation
 * 5e-9), times 2^n put into the exponent. Relative error below 2e-7 for −87 ≤ x ≤ 88; 0 under that,
 * e^88 above; NaN stays. */
INLINE vec v_exp(vec x) {
  const float magic = 12582912.0f; /* 1.5 · 2^23: adding it rounds to an integer */
  vec_i low = (vec_i)(x < v_all(-87.0f));
  x = v_select((vec_i)(x > v_all(88.0f)), v_all(88.0f), x);
  x = v_select(low, v_all(-87.0f), x);
  vec t = x * v_all(1.44269504f) + v_all(magic), n = t - v_all(magic);
  vec r = (x - n * v_all(0.693359375f)) - n * v_all(-2.12194440e-4f);
  vec p = v_all(1.0f / 5040);
  p = p * r + v_all(1.0f / 720);
  p = p * r + v_all(1.0f / 120);
  p = p * r + v_all(1.0f / 24);
  p = p * r + v_all(1.0f / 6);
  p = p * r + v_all(0.5f);
  p = p * r + v_all(1.0f);
  p = p * r + v_all(1.0f);
  vec_i exponent = ((vec_i)t - (vec_i)v_all(magic) + 127) << 23;
  return v_select(low, v_all(0), p * (vec)exponent);
}

INLINE vec v_sigmoid(vec x) {
  return v_all(1) / (v_all(1) + v_exp(-x));
}

INLINE float k_dot(const float *a, const float *b, size_t n) {
  vec s0 = v_all(0), s1 = s0, s2 = s0, s3 = s0;
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

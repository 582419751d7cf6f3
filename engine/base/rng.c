/* SPDX-License-Identifier: MIT */
/* Deterministic random numbers; see rng.h. */
#include "base/rng.h"

#include <math.h>
#include <string.h>

#define GOLDEN 0x9E3779B97F4A7C15u

uint64_t rng_mix(uint64_t v) {
  v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9u;
  v = (v ^ (v >> 27)) * 0x94D049BB133111EBu;
  return v ^ (v >> 31);
}

uint64_t rng_at(uint64_t seed, uint64_t a, uint64_t b) {
  return rng_mix(rng_mix(rng_mix(seed + GOLDEN) ^ (a + GOLDEN)) ^ (b + GOLDEN));
}

void rng_seed(struct rng *r, uint64_t seed) {
  for (int i = 0; i < 4; i++) r->s[i] = rng_mix(seed += GOLDEN);
}

static uint64_t rotl(uint64_t v, int k) {
  return v << k | v >> (64 - k);
}

uint64_t rng_u64(struct rng *r) {
  uint64_t *s = r->s, out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotl(s[3], 45);
  return out;
}

uint64_t rng_below(struct rng *r, uint64_t n) {
  uint64_t limit = -n % n, v; /* 2^64 mod n: draws under it would be favoured */
  do v = rng_u64(r);
  while (v < limit);
  return v % n;
}

double rng_double(struct rng *r) {
  return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double rng_normal(struct rng *r) {
  double u = 1.0 - rng_double(r), v = rng_double(r);
  return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void rng_shuffle(struct rng *r, void *items, size_t count, size_t size) {
  char *p = items, swap[64];
  for (size_t i = count; i > 1; i--) {
    char *a = p + (i - 1) * size, *b = p + rng_below(r, i) * size;
    for (size_t done = 0; done < size && a != b;) {
      size_t n = size - done < sizeof swap ? size - done : sizeof swap;
      memcpy(swap, a + done, n);
      memcpy(a + done, b + done, n);
      memcpy(b + done, swap, n);
      done += n;
    }
  }
}

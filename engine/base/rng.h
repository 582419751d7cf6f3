/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same on every machine.
 *
 * Sequential: xoshiro256** (Blackman and Vigna, 2018), its state filled by SplitMix64 from one
 * seed. Counter-based: rng_at(seed, a, b) is a pure function, for dropout and per-record choices,
 * so that the number of threads and the order of work cannot change it.
 */
#ifndef LATHE_BASE_RNG_H
#define LATHE_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
  uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* uniform in [0, n), n ≥ 1, no modulo bias */
double rng_double(struct rng *r);              /* uniform in [0, 1), 53 bits */
double rng_normal(struct rng *r); /* mean 0, variance 1 (Box–Muller, one value a call) */
void rng_shuffle(struct rng *r, void *items, size_t count, size_t size); /* Fisher–Yates */

uint64_t rng_mix(uint64_t v);                           /* SplitMix64's finaliser: a bijection */
uint64_t rng_at(uint64_t seed, uint64_t a, uint64_t b); /* counter-based draw */

#endif

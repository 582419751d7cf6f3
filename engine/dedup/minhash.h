/* SPDX-License-Identifier: MIT */
/* MinHash: for each of MINHASH_COUNT permutations the least image of a set of 32-bit hashes. Two
 * sets agree in a place with a probability of their Jaccard similarity.
 *
 * The permutations are x → a·x + b mod 2³², a odd. The same on every processor: the kernels differ
 * in width only.
 *
 * Banding: `buckets` × `rows` places; two sets are candidates when they agree in all rows of some
 * bucket: P = 1 − (1 − Jʳ)ᵇ. 14 × 8 finds a pair of J = 0.8 with probability 0.924.
 */
#ifndef LATHE_DEDUP_MINHASH_H
#define LATHE_DEDUP_MINHASH_H

#include <stddef.h>
#include <stdint.h>

#define MINHASH_COUNT 112

struct minhash;
typedef void minhash_kernel(const struct minhash *m, const uint32_t *x, size_t n,
                            uint32_t least[MINHASH_COUNT]);
struct minhash { /* plain data, read-only once made */
  uint32_t a[MINHASH_COUNT], b[MINHASH_COUNT];
  minhash_kernel *kernel;
};

void minhash_init(struct minhash *m); /* with the widest kernel of this processor */
/* Every kernel that runs here, the scalar reference first; they must agree. Returns how many. */
size_t minhash_kernels(minhash_kernel *out[4]);

/* least[i] for a set; UINT32_MAX everywhere for an empty one. */
void minhash_least(const struct minhash *m, const uint32_t *x, size_t n,
                   uint32_t least[MINHASH_COUNT]);

/* Buckets and rows whose chance of finding a pair of similarity j is at least 0.92 with as many
 * rows as possible: (14, 8) for 0.8. buckets × rows ≤ MINHASH_COUNT. */
void minhash_bands(double j, unsigned *buckets, unsigned *rows);
double minhash_found(double j, unsigned buckets, unsigned rows);

#endif

/* SPDX-License-Identifier: MIT */
/* MinHash: for each of `count` permutations the least image of a set of 32-bit hashes. Two sets
 * agree in a place with a probability of their Jaccard similarity.
 *
 * The permutations are x → a·x + b mod 2³², a odd; the first n of them are the same whatever the
 * count. The same on every processor: the kernels differ in width only.
 *
 * Banding: `bands` × `rows` places; two sets are candidates when they agree in all rows of some
 * band: P = 1 − (1 − Jʳ)ᵇ. 14 × 8 finds a pair of J = 0.8 with probability 0.924.
 */
#ifndef LATHE_DEDUP_MINHASH_H
#define LATHE_DEDUP_MINHASH_H

#include <stddef.h>
#include <stdint.h>

#define MINHASH_MAX  1024 /* permutations */
#define MINHASH_STEP 16   /* computed together: a signature has room for a multiple of so many */

struct minhash;
/* Fills least[0 … count rounded up to MINHASH_STEP). */
typedef void minhash_kernel(const struct minhash *m, const uint32_t *x, size_t n, uint32_t *least);
struct minhash { /* plain data, read-only once made */
  uint32_t a[MINHASH_MAX], b[MINHASH_MAX];
  unsigned count;
  minhash_kernel *kernel;
};

void minhash_init(struct minhash *m, unsigned count); /* with the widest kernel of this processor */
/* Every kernel that runs here, the scalar reference first; they must agree. Returns how many. */
size_t minhash_kernels(minhash_kernel *out[4]);

/* least[i] for a set; UINT32_MAX everywhere for an empty one. `least` has room for m->count rounded
 * up to a multiple of MINHASH_STEP. */
void minhash_least(const struct minhash *m, const uint32_t *x, size_t n, uint32_t *least);

/* 14 bands of 8 rows from a similarity of 0.8 on; below it those of at most 112 places whose chance
 * of finding a pair of similarity j is at least 0.92 with as many rows as possible. */
void minhash_bands(double j, unsigned *bands, unsigned *rows);
double minhash_found(double j, unsigned bands, unsigned rows);

#endif

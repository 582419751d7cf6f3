/* SPDX-License-Identifier: MIT */
/* What bpe.c and bpe_merge.c share: looking up a pair, and merging a row of symbols.
 *
 * The table of merges is one number of 32 bits a slot, so that it stays in the cache: looking
 * pairs up is what merging costs. A slot has the rank, and some bits of the hash instead of the
 * pair itself:
 *
 *   slot   ┌── rank ──┬ twin ┬── tag ──┐       merges[rank]   left, right, result
 *
 * Every pair that is in the table is found with its rank. A pair that is not may be found with that of
 * another one (once in some thousands): whoever wants to merge must look at merges[rank] anyway and sees
 * then. `twin` is set where another pair with the same tag had to be put further on; there the pair
 * is compared at once.
 *
 * The hash differs from load to load: a file cannot be made to collide.
 */
#ifndef LATHE_TOKENIZER_BPE_H
#define LATHE_TOKENIZER_BPE_H

#include "tokenizer/parts.h"

#define BPE_NO_RANK UINT32_MAX
#define BPE_EMPTY   UINT32_MAX

static inline uint64_t bpe_hash(const struct bpe *b, uint32_t left, uint32_t right) {
  uint64_t h = ((uint64_t)left << 32 | right) * b->factor[0];
  return (h ^ h >> 32) * b->factor[1];
}

/* Slots and tags that belong to a hash. */
static inline size_t bpe_home(const struct bpe *b, uint64_t hash) {
  return (size_t)(hash >> b->home_shift);
}
static inline uint32_t bpe_tag(const struct bpe *b, uint64_t hash) {
  return (uint32_t)hash & b->tag_mask;
}

/* The rank of the pair, for certain. */
uint32_t bpe_rank_exact(const struct bpe *b, uint32_t left, uint32_t right);

/* The rank of the pair if there is one, else BPE_NO_RANK or, seldom, any rank. */
static inline uint32_t bpe_rank(const struct bpe *b, uint32_t left, uint32_t right) {
  uint64_t h = bpe_hash(b, left, right);
  uint32_t tag = bpe_tag(b, h), v;
  for (size_t i = bpe_home(b, h); (v = b->slots[i]) != BPE_EMPTY; i = (i + 1) & b->slot_mask) {
    if ((v & b->tag_mask) != tag) continue;
    uint32_t rank = v >> b->rank_shift;
    if (v >> (b->rank_shift - 1) & 1) return bpe_rank_exact(b, left, right);
    __builtin_prefetch(&b->merges[rank]); /* soon asked for, if the pair is merged */
    return rank;
  }
  return BPE_NO_RANK;
}

static inline bool bpe_is(const struct bpe *b, uint32_t rank, uint32_t left, uint32_t right) {
  return b->merges[rank].left == left && b->merges[rank].right == right;
}

#define BPE_SHORT 64 /* symbols of a short row */

/* Symbols ids[0, n) with the ranks of each with its right neighbour (the last one's is anything),
 * merged in place; returns how many tokens are left. first: NULL, or the number of each symbol,
 * which becomes that of each token's first. For short rows: n². */
size_t bpe_merge_short(const struct bpe *b, uint32_t *ids, uint32_t *ranks, uint32_t *first,
                       size_t n);
/* A row of any length, the n symbols x->ids: its tokens are appended to out, the numbers of their
 * first symbols stand in x->first. */
int bpe_merge_long(const struct bpe *b, struct bpe_scratch *x, size_t n, struct tokens *out,
                   struct err *err);

#endif

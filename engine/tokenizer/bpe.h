/* SPDX-License-Identifier: MIT */
/* What bpe.c and bpe_merge.c share: looking up a pair, and merging a row of symbols.
 *
 * The table of merges is an array of 8-byte slots. A pair's key, left and right id side by side, is
 * scrambled by a bijection; its high bits are the slot, the others stand in the slot together with
 * how far from home it had to be put, so that nothing of the key has to be stored twice and a slot
 * that agrees is the pair:
 *
 *   scrambled key   ┌──── slot ────┬─ rest (≤ 24 bits) ─┐       slot   rest << 8 | distance,  rank
 *
 * The numbers of the bijection differ from load to load: a file cannot be made to collide.
 */
#ifndef LATHE_TOKENIZER_BPE_H
#define LATHE_TOKENIZER_BPE_H

#include "tokenizer/parts.h"

#define BPE_NO_RANK UINT32_MAX

/* key < 2^(2·id_bits); so is what comes out. */
static inline uint64_t bpe_scramble(const struct bpe *b, uint64_t key) {
  key = key * b->factor[0] & b->key_mask;
  key ^= key >> b->id_bits;
  return key * b->factor[1] & b->key_mask;
}

static inline uint32_t bpe_rank(const struct bpe *b, uint32_t left, uint32_t right) {
  uint64_t h = bpe_scramble(b, (uint64_t)left << b->id_bits | right);
  size_t i = (size_t)(h >> b->rest_bits);
  uint32_t want = (uint32_t)(h & b->rest_mask) << 8;
  for (uint32_t far = 0; far <= b->farthest; far++, i = (i + 1) & b->slot_mask) {
    const struct bpe_slot *s = &b->slots[i];
    if (s->check == (want | far)) {
      __builtin_prefetch(&b->result[s->rank]); /* soon asked for, if the pair is merged */
      return s->rank;
    }
    if (s->rank == BPE_NO_RANK) break;
  }
  return BPE_NO_RANK;
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

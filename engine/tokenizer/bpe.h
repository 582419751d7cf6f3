/* SPDX-License-Identifier: MIT */
/* What bpe.c and bpe_merge.c share: looking up a pair, and merging a row of symbols.
 *
 * The table of merges is one number of 32 bits a slot, so that it stays in the cache: looking
 * pairs up is what merging costs. A slot has the rank, and some bits of the hash instead of the
 * pair itself; eight of them are a bucket, filled from its beginning and compared at once:
 *
 *   slot   ┌── rank ──┬ twin ┬── tag ──┐       merges[rank]   left, right, result
 *
 * Every pair that is in the table is found with its rank, in its bucket or, if that is full, in the
 * next one. A pair that is not may be found with that of another one (once in some hundreds): whoever
 * wants to merge must look at merges[rank] anyway and sees then. `twin` is set where another pair with
 * the same tag had to be put further on; there the pair is compared at once.
 *
 * The hash differs from load to load: a file cannot be made to collide.
 */
#ifndef LATHE_TOKENIZER_BPE_H
#define LATHE_TOKENIZER_BPE_H

#include "tokenizer/parts.h"
#include "tokenizer/scan.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define BPE_NO_RANK UINT32_MAX
#define BPE_EMPTY   UINT32_MAX

static inline uint64_t bpe_hash(const struct bpe *b, uint32_t left, uint32_t right) {
  uint64_t h = ((uint64_t)left << 32 | right) * b->factor[0];
  return (h ^ h >> 32) * b->factor[1];
}

/* Buckets and tags that belong to a hash. */
#define BPE_BUCKET 8u
static inline size_t bpe_home(const struct bpe *b, uint64_t hash) {
  return (size_t)(hash >> b->home_shift);
}
static inline uint32_t bpe_tag(const struct bpe *b, uint64_t hash) {
  return (uint32_t)hash & b->tag_mask;
}
/* A bit for each slot of the bucket that has the tag. Empty ones have all bits, a twin's too. */
static inline unsigned bpe_match(const uint32_t *bucket, uint32_t tag, uint32_t tag_mask) {
#if defined(__SSE2__)
  const __m128i *half = (const __m128i *)(const void *)bucket;
  __m128i want = _mm_set1_epi32((int)tag), mask = _mm_set1_epi32((int)tag_mask);
  __m128i low = _mm_cmpeq_epi32(_mm_and_si128(_mm_loadu_si128(half), mask), want);
  __m128i high = _mm_cmpeq_epi32(_mm_and_si128(_mm_loadu_si128(half + 1), mask), want);
  __m128i both = _mm_packs_epi32(low, high);
  return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(both, _mm_setzero_si128()));
#else
  unsigned m = 0;
  for (unsigned i = 0; i < BPE_BUCKET; i++) m |= (unsigned)((bucket[i] & tag_mask) == tag) << i;
  return m;
#endif
}

/* The rank of the pair, for certain. */
uint32_t bpe_rank_exact(const struct bpe *b, uint32_t left, uint32_t right);

/* The rank of the pair whose hash is h; BPE_NO_RANK or, seldom, any rank if there is none; BPE_UNSURE,
 * more seldom, for either: then bpe_rank_exact knows. Whether it is found is not branched on: nobody
 * could foretell it. */
#define BPE_UNSURE (UINT32_MAX - 1)
static inline __attribute__((always_inline)) uint32_t
bpe_rank_probe_with(const struct bpe *b, uint64_t h,
                    unsigned (*match)(const uint32_t *bucket, uint32_t tag, uint32_t tag_mask)) {
  uint32_t tag = bpe_tag(b, h);
  for (size_t i = bpe_home(b, h);; i = (i + 1) & b->bucket_mask) {
    const uint32_t *bucket = b->slots + i * BPE_BUCKET;
    unsigned m = match(bucket, tag, b->tag_mask);
    uint32_t v = bucket[__builtin_ctz(m | 1u << (BPE_BUCKET - 1))];
    bool full = bucket[BPE_BUCKET - 1] != BPE_EMPTY;
    if (__builtin_expect(!m & full, 0)) continue;
    if (__builtin_expect((m != 0) & (v >> (b->rank_shift - 1)) & 1, 0)) return BPE_UNSURE;
    return m ? v >> b->rank_shift : BPE_NO_RANK;
  }
}
static inline uint32_t bpe_rank_probe(const struct bpe *b, uint64_t h) {
  return bpe_rank_probe_with(b, h, bpe_match);
}
static inline uint32_t bpe_rank_hashed(const struct bpe *b, uint64_t h, uint32_t left,
                                       uint32_t right) {
  uint32_t rank = bpe_rank_probe(b, h);
  return rank == BPE_UNSURE ? bpe_rank_exact(b, left, right) : rank;
}
static inline uint32_t bpe_rank(const struct bpe *b, uint32_t left, uint32_t right) {
  uint32_t rank = bpe_rank_hashed(b, bpe_hash(b, left, right), left, right);
  bool none = rank == BPE_NO_RANK; /* else it is soon asked for, if it is merged */
  __builtin_prefetch(none ? (const void *)b->slots : (const void *)&b->merges[rank]);
  return rank;
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

/* Short words side by side (bpe_lanes.c): while one waits for memory, the others go on. */
#define BPE_LANE      32 /* bytes of a word */
#define BPE_LANES     32 /* words at once */
#define BPE_LANE_RANK 27 /* bits of a rank */
struct bpe_lane {
  _Alignas(64) uint32_t keys[BPE_LANE + 1]; /* of each symbol with the next: rank << 5 | place;
                                               and one that is never read */
  uint32_t ids[BPE_LANE]; /* symbols; a merged one stands at the place of its first */
  uint32_t live;          /* a bit for each place that has a symbol */
  uint32_t low;           /* the key of the next merge */
  bool wide;              /* more than half of the places are used */
  struct bpe_asked {
    uint64_t hash;
    uint32_t place; /* of the left one; BPE_LANE: none */
    uint32_t none;  /* all bits: there is no such pair */
  } asked[2];       /* the pairs of the symbol that was merged last, whose buckets were asked for */
};
/* bpe_whole for count ≤ BPE_LANES words of up to BPE_LANE bytes, whatever the file says. */
struct bpe_word_query {
  const char *word;
  size_t n;
  uint32_t id; /* filled; TOKENIZER_NONE: it is no token */
};
void bpe_wholes(const struct tokenizer *t, struct bpe_word_query *words, size_t count, int kind);
/* False: the word is none for lanes (too long, a character without a token, affixes). */
bool bpe_lane_begin(const struct bpe *b, struct bpe_lane *lane, const char *word, size_t n,
                    int kind);
/* count ≤ BPE_LANES words are merged. */
void bpe_lanes_merge(const struct bpe *b, struct bpe_lane *lanes, size_t count);
void bpe_lanes_merge_with(enum scan_masks how, const struct bpe *b, struct bpe_lane *lanes,
                          size_t count);
/* A merged word's tokens; how many. out has room for BPE_LANE. */
size_t bpe_lane_ids(const struct bpe_lane *lane, uint32_t *out);

#endif

/* SPDX-License-Identifier: MIT */
/* Words of up to thirty-two bytes, many at once. Merging one word waits for memory at every step,
 * since which pair is next depends on the ranks just looked up; so each step is done for all words
 * before the next one:
 *
 *   look    the ranks of pairs whose buckets were asked for; the lowest of all; its merge is asked for
 *   merge   two symbols become one; the buckets of its pairs with its neighbours are asked for
 *
 * Symbols stay where they are; a bit for each place tells which are left, and a key holds rank and
 * place, so that the least of the keys is the next merge: lowest rank, leftmost.
 */
#include "base/utf8.h"
#include "tokenizer/bpe.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define NO_KEY UINT32_MAX /* ranks are fewer than 2^27 − 1 */
#define PLACES 5          /* bits of a place */
#define HALF   (BPE_LANE / 2)

INLINE uint32_t key_of(uint32_t rank, uint32_t place) {
  return rank == BPE_NO_RANK ? NO_KEY : rank << PLACES | place;
}

/* ---- beginning ---- */

static void ask_nothing(struct bpe_lane *lane) {
  lane->asked[0] = lane->asked[1] = (struct bpe_asked){0, BPE_LANE, NO_KEY};
}

static void begin_bytes(const struct bpe *b, struct bpe_lane *lane, const char *word, size_t n) {
  const unsigned char *s = (const unsigned char *)word;
  for (uint32_t i = 0; i < n; i++) lane->ids[i] = b->byte_id[s[i]];
  for (uint32_t i = 0; i + 1 < n; i++)
    lane->keys[i] = key_of(b->byte_rank[s[i] << 8 | s[i + 1]], i);
  lane->live = (uint32_t)(((uint64_t)1 << n) - 1);
}

static bool begin_characters(const struct bpe *b, struct bpe_lane *lane, const char *word, size_t n,
                             bool spaces) {
  uint64_t hash[BPE_LANE];
  uint32_t count = 0;
  for (size_t i = 0, used; i < n; i += used) {
    uint32_t c = utf8_decode(word + i, n - i, &used);
    if (c == UTF8_BAD) return false;
    uint32_t id = spaces && c == ' ' ? b->space_id : bpe_character(b, c);
    if (id == TOKENIZER_NONE) return false;
    lane->ids[count++] = id;
  }
  for (uint32_t i = 0; i + 1 < count; i++) {
    hash[i] = bpe_hash(b, lane->ids[i], lane->ids[i + 1]);
    __builtin_prefetch(&b->slots[bpe_home(b, hash[i]) * BPE_BUCKET]);
  }
  for (uint32_t i = 0; i + 1 < count; i++)
    lane->keys[i] = key_of(bpe_rank_hashed(b, hash[i], lane->ids[i], lane->ids[i + 1]), i);
  lane->live = (uint32_t)(((uint64_t)1 << count) - 1);
  return true;
}

bool bpe_lane_begin(const struct bpe *b, struct bpe_lane *lane, const char *word, size_t n,
                    int kind) {
  if (!n || n > BPE_LANE || b->prefix_len || b->suffix_len) return false;
  if (32 - b->rank_shift > BPE_LANE_RANK || (kind == BPE_BYTES && !b->complete)) return false;
  lane->wide = n > HALF;
  ask_nothing(lane);
  for (int i = 0; i < HALF; i++) lane->keys[i] = NO_KEY;
  for (int i = HALF; lane->wide && i < BPE_LANE; i++) lane->keys[i] = NO_KEY;
  if (kind != BPE_BYTES) return begin_characters(b, lane, word, n, kind == BPE_SPACES);
  begin_bytes(b, lane, word, n);
  return true;
}

/* ---- merging ---- */

/* What differs between processors. */
struct how {
  uint32_t (*least)(const uint32_t *keys); /* of HALF keys */
  unsigned (*match)(const uint32_t *bucket, uint32_t tag, uint32_t tag_mask);
};

INLINE uint32_t least(const uint32_t *keys) {
  uint32_t low = NO_KEY;
  for (int i = 0; i < HALF; i++) low = keys[i] < low ? keys[i] : low;
  return low;
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))

AVX2 INLINE uint32_t least_avx2(const uint32_t *keys) {
  const __m256i *at = (const __m256i *)(const void *)keys;
  __m256i low = _mm256_min_epu32(_mm256_load_si256(at), _mm256_load_si256(at + 1));
  __m128i four = _mm_min_epu32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  four = _mm_min_epu32(four, _mm_shuffle_epi32(four, 0x4E));
  four = _mm_min_epu32(four, _mm_shuffle_epi32(four, 0xB1));
  return (uint32_t)_mm_cvtsi128_si32(four);
}

AVX2 INLINE unsigned match_avx2(const uint32_t *bucket, uint32_t tag, uint32_t tag_mask) {
  __m256i slots = _mm256_loadu_si256((const __m256i *)(const void *)bucket);
  slots = _mm256_and_si256(slots, _mm256_set1_epi32((int)tag_mask));
  __m256i same = _mm256_cmpeq_epi32(slots, _mm256_set1_epi32((int)tag));
  return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(same));
}
#endif

/* The key that was asked for. */
INLINE uint32_t answer(const struct bpe *b, const struct bpe_lane *lane, const struct bpe_asked *a,
                       const struct how *how) {
  uint32_t rank = bpe_rank_probe_with(b, a->hash, how->match);
  if (__builtin_expect(rank == BPE_UNSURE, 0)) {
    if (a->place == BPE_LANE) return NO_KEY;
    uint32_t above = lane->live & ~(((uint32_t)2 << a->place) - 1);
    rank = bpe_rank_exact(b, lane->ids[a->place], lane->ids[__builtin_ctz(above)]);
  }
  return key_of(rank, a->place) | a->none;
}

/* False: nothing is left to merge. Both answers are stored, but not read again as part of a vector
 * before the next step: they would have to reach the processor's cache first. */
INLINE bool look(const struct bpe *restrict b, struct bpe_lane *restrict lane,
                 const struct how *how) {
  uint32_t low = how->least(lane->keys);
  if (lane->wide) {
    uint32_t other = how->least(lane->keys + HALF);
    low = other < low ? other : low;
  }
  for (int i = 0; i < 2; i++) {
    uint32_t key = answer(b, lane, &lane->asked[i], how);
    lane->keys[lane->asked[i].place] = key;
    low = key < low ? key : low;
  }
  lane->low = low;
  if (low == NO_KEY) return false;
  __builtin_prefetch(&b->merges[low >> PLACES]);
  return true;
}

INLINE void ask(const struct bpe *b, struct bpe_asked *a, uint32_t place, uint32_t left,
                uint32_t right, bool none) {
  a->hash = none ? 0 : bpe_hash(b, left, right);
  a->place = none ? BPE_LANE : place;
  a->none = none ? NO_KEY : 0;
  __builtin_prefetch(&b->slots[bpe_home(b, a->hash) * BPE_BUCKET]);
}

INLINE void merge(const struct bpe *restrict b, struct bpe_lane *restrict lane) {
  uint32_t place = lane->low % BPE_LANE, rank = lane->low >> PLACES;
  uint32_t above = lane->live & ~(((uint32_t)2 << place) - 1);
  uint32_t below = lane->live & (((uint32_t)1 << place) - 1);
  uint32_t next = (uint32_t)__builtin_ctz(above);
  if (__builtin_expect(!bpe_is(b, rank, lane->ids[place], lane->ids[next]), 0)) {
    lane->keys[place] = key_of(bpe_rank_exact(b, lane->ids[place], lane->ids[next]), place);
    ask_nothing(lane);
    return;
  }
  uint32_t id = b->merges[rank].result;
  uint32_t before = 31u - (uint32_t)__builtin_clz(below | 1);
  above &= above - 1;
  uint32_t after = (uint32_t)__builtin_ctz(above | (uint32_t)1 << 31);
  lane->live &= ~((uint32_t)1 << next);
  lane->ids[place] = id;
  lane->keys[place] = lane->keys[next] = NO_KEY;
  lane->keys[below ? before : BPE_LANE] = NO_KEY;
  ask(b, &lane->asked[0], place, id, lane->ids[after], !above);
  ask(b, &lane->asked[1], before, lane->ids[before], id, !below);
}

INLINE void run(const struct bpe *restrict b, struct bpe_lane *restrict lanes, size_t count,
                const struct how *how) {
  struct bpe_lane *busy[BPE_LANES];
  for (size_t i = 0; i < count; i++) busy[i] = &lanes[i];
  while (count) {
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
      struct bpe_lane *lane = busy[i];
      busy[left] = lane;
      left += look(b, lane, how);
    }
    count = left;
    for (size_t i = 0; i < count; i++) merge(b, busy[i]);
  }
}

#if defined(__x86_64__)
AVX2 static void run_avx2(const struct bpe *restrict b, struct bpe_lane *restrict lanes,
                          size_t count) {
  static const struct how how = {least_avx2, match_avx2};
  run(b, lanes, count, &how);
}
#endif

void bpe_lanes_merge_with(enum scan_masks how, const struct bpe *b, struct bpe_lane *lanes,
                          size_t count) {
#if defined(__x86_64__)
  if (how != SCAN_PLAIN) {
    run_avx2(b, lanes, count);
    return;
  }
#endif
  (void)how;
  static const struct how plain = {least, bpe_match};
  run(b, lanes, count, &plain);
}

void bpe_lanes_merge(const struct bpe *b, struct bpe_lane *lanes, size_t count) {
  bpe_lanes_merge_with(scan_masks_best(), b, lanes, count);
}

size_t bpe_lane_ids(const struct bpe_lane *lane, uint32_t *out) {
  size_t count = 0;
  for (uint32_t live = lane->live; live; live &= live - 1)
    out[count++] = lane->ids[__builtin_ctz(live)];
  return count;
}

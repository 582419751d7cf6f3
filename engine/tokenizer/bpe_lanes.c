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

#define INLINE static inline __attribute__((always_inline))
#define NO_KEY UINT32_MAX /* ranks are fewer than 2^27 − 1 */
#define PLACES 5          /* bits of a place */
#define HALF   (BPE_LANE / 2)

INLINE uint32_t key_of(uint32_t rank, uint32_t place) {
  return rank == BPE_NO_RANK ? NO_KEY : rank << PLACES | place;
}

/* The symbols at two places; none: there is no such pair, and the answer goes nowhere. */
INLINE void ask(const struct bpe *b, struct bpe_lane *lane, unsigned i, uint32_t place,
                uint32_t right, bool none) {
  struct bpe_ask *a = &lane->ask[i];
  a->left = lane->ids[place];
  a->right = lane->ids[right];
  a->hash = none ? 0 : bpe_hash(b, a->left, a->right);
  a->place = none ? BPE_LANE : place;
  lane->keys[a->place] = NO_KEY;
  __builtin_prefetch(&b->slots[bpe_home(b, a->hash) * BPE_BUCKET]);
}

static bool begin_bytes(const struct bpe *b, struct bpe_lane *lane, const char *word, size_t n) {
  const unsigned char *s = (const unsigned char *)word;
  for (uint32_t i = 0; i < n; i++) lane->ids[i] = b->byte_id[s[i]];
  for (uint32_t i = 0; i + 1 < n; i++)
    lane->keys[i] = key_of(b->byte_rank[s[i] << 8 | s[i + 1]], i);
  lane->live = (uint32_t)(((uint64_t)1 << n) - 1);
  lane->asks = 0;
  return b->complete;
}

static bool begin_characters(const struct bpe *b, struct bpe_lane *lane, const char *word, size_t n,
                             bool spaces) {
  uint32_t count = 0;
  for (size_t i = 0, used; i < n; i += used) {
    uint32_t c = utf8_decode(word + i, n - i, &used);
    if (c == UTF8_BAD) return false;
    uint32_t id = spaces && c == ' ' ? b->space_id : bpe_character(b, c);
    if (id == TOKENIZER_NONE) return false;
    lane->ids[count++] = id;
  }
  lane->live = (uint32_t)(((uint64_t)1 << count) - 1);
  lane->asks = count - 1;
  for (uint32_t i = 0; i + 1 < count; i++) ask(b, lane, i, i, i + 1, false);
  return true;
}

bool bpe_lane_begin(const struct bpe *b, struct bpe_lane *lane, const char *word, size_t n,
                    int kind) {
  if (!n || n > BPE_LANE || b->prefix_len || b->suffix_len) return false;
  if (32 - b->rank_shift > BPE_LANE_RANK) return false;
  for (int i = 0; i < HALF; i++) lane->keys[i] = NO_KEY;
  lane->wide = n > HALF;
  for (int i = HALF; lane->wide && i < BPE_LANE; i++) lane->keys[i] = NO_KEY;
  if (kind == BPE_BYTES) return begin_bytes(b, lane, word, n);
  return begin_characters(b, lane, word, n, kind == BPE_SPACES);
}

INLINE uint32_t least(const uint32_t *keys) {
  uint32_t low = NO_KEY;
  for (int i = 0; i < HALF; i++) low = keys[i] < low ? keys[i] : low;
  return low;
}

/* False: nothing is left to merge. */
INLINE bool look(const struct bpe *b, struct bpe_lane *lane) {
  for (unsigned i = 0; i < lane->asks; i++) {
    const struct bpe_ask *a = &lane->ask[i];
    lane->keys[a->place] = key_of(bpe_rank_hashed(b, a->hash, a->left, a->right), a->place);
  }
  uint32_t low = least(lane->keys);
  if (lane->wide) {
    uint32_t other = least(lane->keys + HALF);
    low = other < low ? other : low;
  }
  lane->low = low;
  if (low == NO_KEY) return false;
  __builtin_prefetch(&b->merges[low >> PLACES]);
  return true;
}

INLINE void merge(const struct bpe *b, struct bpe_lane *lane) {
  uint32_t place = lane->low % BPE_LANE, rank = lane->low >> PLACES;
  uint32_t above = lane->live & ~(((uint32_t)2 << place) - 1);
  uint32_t below = lane->live & (((uint32_t)1 << place) - 1);
  uint32_t next = (uint32_t)__builtin_ctz(above);
  if (__builtin_expect(!bpe_is(b, rank, lane->ids[place], lane->ids[next]), 0)) {
    rank = bpe_rank_exact(b, lane->ids[place], lane->ids[next]);
    lane->keys[place] = key_of(rank, place);
    lane->asks = 0;
    return;
  }
  above &= above - 1;
  lane->live &= ~((uint32_t)1 << next);
  lane->ids[place] = b->merges[rank].result;
  lane->keys[place] = lane->keys[next] = NO_KEY;
  lane->asks = 2;
  ask(b, lane, 0, place, (uint32_t)__builtin_ctz(above | 1u << 31), !above);
  ask(b, lane, 1, 31u - (uint32_t)__builtin_clz(below | 1u), place, !below);
}

INLINE void run(const struct bpe *b, struct bpe_lane *lanes, size_t count) {
  struct bpe_lane *busy[BPE_LANES];
  for (size_t i = 0; i < count; i++) busy[i] = &lanes[i];
  while (count) {
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
      struct bpe_lane *lane = busy[i];
      busy[left] = lane;
      left += look(b, lane);
    }
    count = left;
    for (size_t i = 0; i < count; i++) merge(b, busy[i]);
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2,bmi,bmi2,lzcnt"))) static void
run_avx2(const struct bpe *b, struct bpe_lane *lanes, size_t count) {
  run(b, lanes, count);
}
#endif

void bpe_lanes_merge(const struct bpe *b, struct bpe_lane *lanes, size_t count) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) {
    run_avx2(b, lanes, count);
    return;
  }
#endif
  run(b, lanes, count);
}

size_t bpe_lane_ids(const struct bpe_lane *lane, uint32_t *out) {
  size_t count = 0;
  for (uint32_t live = lane->live; live; live &= live - 1)
    out[count++] = lane->ids[__builtin_ctz(live)];
  return count;
}

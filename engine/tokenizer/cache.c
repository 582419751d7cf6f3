/* SPDX-License-Identifier: MIT */
/* The word cache. Looking a word up costs what fetching a line of memory costs, so what is asked for
 * often must be small: a table of eight bytes a slot, eight slots a bucket, and an arena.
 *
 *   slot    ┌── the key without the bits that name the bucket ──┬── value ──┐
 *   value   0 empty │ up to ids: a token, plus 1 │ above: a place in the arena
 *
 *   tiny    a word of up to 7 bytes: its bytes, a bit behind the last one that tells how many, and
 *           whether it is a part: 58 bits. Permuted, the upper ones name the bucket and all others
 *           stand in the slot: nothing is lost, so a slot that matches is the word, and most slots
 *           are its token too (quotienting: Knuth, TAOCP 3, 6.4, exercise 13)
 *   longer  in the table's other half: 58 bits of a hash, and a record, which is compared
 *
 *   arena   [ length, part, count │ bytes … │ ids … ]   in the order in which words were first seen:
 *                                                       frequent ones lie together
 *
 * The table begins small and doubles when six slots of eight are taken in one of its halves. A bucket
 * that is full keeps its first four; an arena that is full empties everything. At most 16 MiB of table
 * and 32 MiB of arena for one work. Results do not depend on any of it.
 *
 *   shared  by threads, it has the size that a text and what was kept before ask for, until the next
 *           one, and words are only added: without a lock, a slot by compare-and-swap, a record in room
 *           that the thread took before
 */
#include "tokenizer/cache.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define KEY_BITS    58u
#define BITS_MOST   17u
#define ARENA_FIRST ((size_t)1 << 12) /* units */
#define ARENA_LARGE ((size_t)1 << 16)
#define ARENA_MOST  ((size_t)1 << 22)
#define LINE        8u   /* units */
#define ROOM        512u /* what a thread takes of a shared one: more than any record */
/* Bytes of text for each slot of a half when it cannot grow: about one word in thirty is new. Records
 * are a half of a text of 1 MB, a fifth of one of 68 MB. */
#define TEXT_PER_SLOT 256u
_Static_assert(ROOM > LINE + 1 + (CACHE_LONG + 7) / 8 + (CACHE_LONG + 1) / 2, "a record fits");

/* A slot is written once while others read it, and its record before it. Records are reached through
 * slots, which orders the loads on any processor; only the race detector has to be told. */
#if defined(__SANITIZE_THREAD__)
#define SLOT_ORDER __ATOMIC_ACQUIRE
#else
#define SLOT_ORDER __ATOMIC_RELAXED
#endif

#define ALL    ~(uint64_t)0
#define LEN(n) ((n)*UINT64_C(0x9FB21C651E98DF25))
const uint64_t cache_masks[CACHE_SHORT + 1][4] = {
    {0, 1, 0, 0},
    {ALL >> 56, (uint64_t)1 << 8, 0, 0},
    {ALL >> 48, (uint64_t)1 << 16, 0, 0},
    {ALL >> 40, (uint64_t)1 << 24, 0, 0},
    {ALL >> 32, (uint64_t)1 << 32, 0, 0},
    {ALL >> 24, (uint64_t)1 << 40, 0, 0},
    {ALL >> 16, (uint64_t)1 << 48, 0, 0},
    {ALL >> 8, (uint64_t)1 << 56, 0, 0},
    {ALL, 0, 0, LEN(8)},
    {ALL, 0, ALL >> 56, LEN(9)},
    {ALL, 0, ALL >> 48, LEN(10)},
    {ALL, 0, ALL >> 40, LEN(11)},
    {ALL, 0, ALL >> 32, LEN(12)},
    {ALL, 0, ALL >> 24, LEN(13)},
    {ALL, 0, ALL >> 16, LEN(14)},
    {ALL, 0, ALL >> 8, LEN(15)},
    {ALL, 0, ALL, LEN(16)},
};

struct cache *cache_new(void) {
  struct cache *c = mem_aligned(sizeof *c); /* no line of memory that another thread writes to */
  if (!c) return NULL;
  memset(c, 0, sizeof *c);
  c->first = c;
  return c;
}

/* Behind the last record more may be read than it has. */
static size_t arena_bytes(size_t cap) {
  return (cap + LINE) * sizeof(uint64_t);
}

static size_t table_bytes(unsigned bits) {
  return (sizeof(uint64_t) * CACHE_WAYS * 2) << bits;
}

void cache_free(struct cache *c) {
  if (!c) return;
  if (c->first == c) {
    mem_free_aligned(c->slots, table_bytes(c->bits));
    mem_free_aligned(c->arena, arena_bytes(c->cap));
    cuts_free(c->cuts);
  }
  mem_free_aligned(c, sizeof *c);
}

void cache_empty(struct cache *c) {
  memset(c->slots, 0, table_bytes(c->bits));
  c->taken[0] = c->taken[1] = 0;
  c->at = LINE;
  c->end = c->cap;
  c->full = false;
}

/* ---- the arena ---- */

/* Twice as large, with what is used of it; a large one at once as large as it may become, since memory
 * that is never touched costs nothing. */
static bool arena_grow(struct cache *c, size_t used, size_t need) {
  size_t cap = c->cap ? c->cap : ARENA_FIRST;
  while (cap < need && cap < ARENA_MOST) cap = cap < ARENA_LARGE ? cap * 2 : ARENA_MOST;
  if (cap < need) return false;
  uint64_t *grown = mem_aligned(arena_bytes(cap));
  if (!grown) return false;
  memset(grown, 0, LINE * sizeof *grown); /* a record that is read for words that have none */
  if (used) memcpy(grown, c->arena, used * sizeof *grown);
  mem_free_aligned(c->arena, arena_bytes(c->cap));
  c->arena = grown;
  c->cap = cap;
  return true;
}

/* ---- the table ---- */

static uint64_t *table_new(unsigned bits) {
  uint64_t *slots = mem_aligned(table_bytes(bits));
  if (slots) memset(slots, 0, table_bytes(bits));
  return slots;
}

static uint64_t upper_bits(unsigned bits) {
  return ALL << (64 - KEY_BITS + bits);
}

/* Tables of 2^bits buckets a half, or more, where there are none. */
static bool begin(struct cache *c, size_t ids, bool apart, unsigned bits) {
  if (c->slots) return true;
  while ((ids + 2 * ARENA_FIRST) & upper_bits(bits)) bits++; /* room for values */
  if (!c->arena && !arena_grow(c, 0, 1)) return false;
  c->slots = table_new(bits);
  if (!c->slots) return false;
  c->bits = bits;
  c->upper = upper_bits(bits);
  c->ids = (uint32_t)ids;
  c->apart = apart;
  c->at = LINE;
  c->end = c->cap;
  return true;
}

bool cache_ready(struct cache *c, size_t ids, bool apart) {
  return begin(c, ids, apart, 6);
}

/* Twice the buckets: one more bit of each slot names the bucket. False: it stays as it is. */
static bool table_grow(struct cache *c) {
  uint64_t *slots = c->bits < BITS_MOST ? table_new(c->bits + 1) : NULL;
  if (!slots) return false;
  for (size_t b = 0; b < (size_t)2 << c->bits; b++) {
    const uint64_t *from = c->slots + b * CACHE_WAYS;
    uint64_t *to = slots + 2 * b * CACHE_WAYS;
    unsigned count[2] = {0, 0};
    for (unsigned i = 0; i < CACHE_WAYS && from[i]; i++) {
      unsigned high = (unsigned)(from[i] >> 63);
      to[high * CACHE_WAYS + count[high]++] = (from[i] & c->upper) << 1 | (from[i] & ~c->upper);
    }
  }
  mem_free_aligned(c->slots, table_bytes(c->bits));
  c->slots = slots;
  c->upper = upper_bits(++c->bits);
  return true;
}

/* Puts a slot into its bucket. False: that is full. Another thread may be quicker at a slot. */
static bool table_put_shared(struct cache *c, size_t n, uint64_t mixed, uint32_t value) {
  uint64_t *bucket = c->slots + (size_t)cache_bucket(c, n, mixed) * CACHE_WAYS;
  uint64_t slot = mixed << c->bits | value;
  for (unsigned way = 0; way < CACHE_WAYS; way++) {
    uint64_t empty = 0;
    if (__atomic_load_n(&bucket[way], __ATOMIC_RELAXED)) continue;
    if (__atomic_compare_exchange_n(&bucket[way], &empty, slot, false, __ATOMIC_RELEASE,
                                    __ATOMIC_RELAXED)) {
      c->taken[n > CACHE_TINY]++;
      return true;
    }
  }
  return false;
}

static void table_put(struct cache *c, size_t n, uint64_t mixed, uint32_t value) {
  uint64_t *bucket = c->slots + (size_t)cache_bucket(c, n, mixed) * CACHE_WAYS;
  unsigned way = 0;
  while (way < CACHE_WAYS && bucket[way]) way++;
  c->taken[n > CACHE_TINY] += way < CACHE_WAYS;
  if (way == CACHE_WAYS) way = CACHE_WAYS / 2 + c->next++ % (CACHE_WAYS / 2);
  bucket[way] = mixed << c->bits | value;
}

/* Whether the word's bucket has room. */
static bool table_room(const struct cache *c, size_t n, uint64_t mixed) {
  const uint64_t *bucket = c->slots + (size_t)cache_bucket(c, n, mixed) * CACHE_WAYS;
  return !__atomic_load_n(&bucket[CACHE_WAYS - 1], __ATOMIC_RELAXED);
}

/* The memory of the first, as it is now. */
static void follow(struct cache *c, struct cache *first, bool emptied) {
  c->slots = first->slots;
  c->upper = first->upper;
  c->bits = first->bits;
  c->ids = first->ids;
  c->arena = first->arena;
  c->cap = first->cap;
  c->apart = first->apart;
  c->first = first;
  c->shared = true;
  if (emptied) c->at = c->end = c->taken[0] = c->taken[1] = 0;
}

/* The bits of a table for what several caches have taken of it, so many bytes of text more, and values up
 * to `values`. */
static unsigned bits_for(struct cache *const *all, size_t count, size_t bytes, size_t values) {
  size_t taken[2] = {0, 0};
  unsigned bits = 6;
  for (size_t i = 0; i < count; i++) taken[0] += all[i]->taken[0], taken[1] += all[i]->taken[1];
  size_t most = taken[0] > taken[1] ? taken[0] : taken[1];
  while ((size_t)CACHE_WAYS << bits < most * 2 + bytes / TEXT_PER_SLOT && bits < BITS_MOST) bits++;
  while (values & upper_bits(bits) && bits < BITS_MOST) bits++;
  return bits;
}

bool cache_share(struct cache *const *all, size_t count, size_t ids, bool apart, size_t bytes) {
  struct cache *c = all[0];
  bool emptied = c->full;
  size_t more = bytes / 8 < ARENA_MOST / 2 ? bytes / 8 : ARENA_MOST / 2; /* mostly enough */
  size_t units = emptied ? c->cap * 2 : c->used + bytes / 8;
  if (units > ARENA_MOST) units = ARENA_MOST;
  unsigned bits = bits_for(all, count, bytes, ids + (emptied ? units : c->used + more));
  if (!begin(c, ids, apart, bits)) return false;
  if (emptied) cache_empty(c);
  if (emptied || !c->shared) {
    c->used = (c->at + LINE - 1) / LINE * LINE;
    c->at = c->end = 0;
    c->shared = true;
  }
  while (c->bits < bits && table_grow(c)) continue;
  if (units > c->cap) arena_grow(c, c->used, units);
  for (size_t i = 1; i < count; i++) follow(all[i], c, emptied);
  return true;
}

/* ---- looking up ---- */

#define INLINE static inline __attribute__((always_inline))

/* A bit for each slot whose word's bits are those wanted. */
typedef unsigned match_fn(const uint64_t *bucket, uint64_t want, uint64_t upper);

static unsigned match(const uint64_t *bucket, uint64_t want, uint64_t upper) {
  unsigned m = 0;
  for (unsigned i = 0; i < CACHE_WAYS; i++)
    m |= (unsigned)(((__atomic_load_n(&bucket[i], SLOT_ORDER) ^ want) & upper) == 0) << i;
  return m;
}

/* The slot is compared again: one that was empty, and matched as such, another thread may have filled
 * meanwhile. */
INLINE uint32_t find(const uint64_t *bucket, uint64_t want, uint64_t upper, match_fn *how) {
  unsigned m = how(bucket, want, upper);
  const uint64_t *slot = &bucket[__builtin_ctz(m | 1u << (CACHE_WAYS - 1))];
  uint64_t v = __atomic_load_n(slot, SLOT_ORDER);
  return (v ^ want) & upper ? 0 : (uint32_t)(v & ~upper);
}

INLINE void find_all(const struct cache *c, struct cache_batch *b, match_fn *how) {
  const uint64_t *slots = c->slots, *arena = c->arena;
  uint64_t upper = c->upper;
  uint32_t first = c->ids + 1;
  size_t lacks = b->lacks;
  for (size_t i = b->found, n = b->count; i < n; i++) {
    uint32_t value = find(slots + (size_t)b->bucket[i] * CACHE_WAYS, b->mixed[i], upper, how);
    b->values[i] = value;
    b->lacking[lacks] = (uint16_t)i;
    lacks += !value;
    uint32_t beyond = (value - first) & (0 - (uint32_t)(value >= first)); /* not branched on */
    __builtin_prefetch(arena + beyond);
  }
  b->found = b->count;
  b->lacks = lacks;
}

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
__attribute__((target("avx512f"))) static unsigned match_avx512(const uint64_t *bucket,
                                                                uint64_t want, uint64_t upper) {
  __m512i differ = _mm512_xor_si512(_mm512_load_si512(bucket), _mm512_set1_epi64((long long)want));
  return _mm512_testn_epi64_mask(differ, _mm512_set1_epi64((long long)upper));
}

__attribute__((target("avx512f"))) static void find_all_avx512(const struct cache *c,
                                                               struct cache_batch *b) {
  find_all(c, b, match_avx512);
}

__attribute__((target("avx2"))) static unsigned match_avx2(const uint64_t *bucket, uint64_t want,
                                                           uint64_t upper) {
  __m256i w = _mm256_set1_epi64x((long long)want), u = _mm256_set1_epi64x((long long)upper);
  const __m256i *half = (const __m256i *)(const void *)bucket;
  unsigned m = 0;
  for (int i = 0; i < 2; i++) {
    __m256i differ = _mm256_and_si256(_mm256_xor_si256(_mm256_load_si256(half + i), w), u);
    __m256i same = _mm256_cmpeq_epi64(differ, _mm256_setzero_si256());
    m |= (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(same)) << 4 * i;
  }
  return m;
}

__attribute__((target("avx2"))) static void find_all_avx2(const struct cache *c,
                                                          struct cache_batch *b) {
  find_all(c, b, match_avx2);
}
#endif

void cache_find_all_with(enum scan_masks how, const struct cache *c, struct cache_batch *b) {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
  if (how == SCAN_AVX512) {
    find_all_avx512(c, b);
    return;
  }
  if (how == SCAN_AVX2) {
    find_all_avx2(c, b);
    return;
  }
#endif
  (void)how;
  find_all(c, b, match);
}

void cache_find_all(const struct cache *c, struct cache_batch *b) {
  cache_find_all_with(scan_masks_best(), c, b);
}

uint32_t cache_find(const struct cache *c, size_t n, uint64_t mixed) {
  const uint64_t *bucket = c->slots + (size_t)cache_bucket(c, n, mixed) * CACHE_WAYS;
  return find(bucket, mixed << c->bits, c->upper, match);
}

uint64_t cache_key_of(const char *word, size_t n, const char *end, bool part) {
  char copy[CACHE_SHORT] = {0};
  if (n > CACHE_SHORT) return hash_xxh3(word, n, part) & ALL << (64 - KEY_BITS);
  if (end - word >= (ptrdiff_t)CACHE_SHORT) return cache_key(word, n, part);
  memcpy(copy, word, n);
  return cache_key(copy, n, part);
}

/* ---- keeping ---- */

/* Room for a record of so many units, within one line where it can be; its place in *at. */
static bool room_take(struct cache *c, size_t units, size_t *at) {
  bool split = units <= LINE && c->at % LINE + units > LINE;
  *at = split ? c->at + LINE - c->at % LINE : c->at;
  if (*at + units > c->end) return false;
  c->at = *at + units;
  return true;
}

/* More of the arena, for a record of so many units. */
static bool room_more(struct cache *c, size_t units) {
  if (!c->shared) {
    if (!arena_grow(c, c->at, c->at + LINE + units)) return false;
    c->end = c->cap;
    return true;
  }
  size_t *used = &c->first->used, from = __atomic_load_n(used, __ATOMIC_RELAXED);
  size_t values = (size_t)~c->upper - c->ids, most = c->cap < values ? c->cap : values;
  do {
    if (from + ROOM > most) return false;
  } while (!__atomic_compare_exchange_n(used, &from, from + ROOM, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
  c->at = from;
  c->end = from + ROOM;
  return true;
}

static bool record_put(struct cache *c, const char *word, size_t n, bool part, const uint32_t *ids,
                       size_t count, uint32_t *value) {
  size_t words = (n + 7) / 8, at;
  size_t units = 1 + words + (count + 1) / 2;
  while (!room_take(c, units, &at))
    if (!room_more(c, units)) return false;
  uint64_t *record = c->arena + at;
  record[0] = (uint64_t)count << 32 | (part ? RECORD_PART : 0) | n;
  if (words) record[words] = 0;
  memcpy(record + 1, word, n);
  if (count) memcpy(record + 1 + words, ids, count * sizeof *ids);
  *value = (uint32_t)(c->ids + 1 + at);
  return true;
}

uint32_t cache_keep(struct cache *c, const char *word, size_t n, bool part, uint64_t mixed,
                    const uint32_t *ids, size_t count) {
  bool tiny = n <= CACHE_TINY;
  uint32_t value = cache_find(c, n, mixed);
  if (value && (tiny || cache_is(c, value, word, n, word + n, part))) return value;
  if (cache_is_full(c) || (c->shared && !table_room(c, n, mixed))) return 0;
  if (tiny && count == 1) {
    value = *ids + 1;
  } else if (!record_put(c, word, tiny ? 0 : n, part, ids, count, &value)) {
    __atomic_store_n(&c->first->full, true, __ATOMIC_RELAXED);
    return 0;
  }
  if (c->shared) return value & c->upper || !table_put_shared(c, n, mixed, value) ? 0 : value;
  while (value & c->upper || c->taken[!tiny] >= (CACHE_WAYS << c->bits) / 8 * 6)
    if (!table_grow(c)) break;
  if (value & c->upper) return 0;
  table_put(c, n, mixed, value);
  return value;
}

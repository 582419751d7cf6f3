/* SPDX-License-Identifier: MIT */
/* A table of words with counts, for one thread of training.
 *
 *   slots [tag, index] ──► list [hash, count, at, len] ──► text
 *
 * A slot's place comes from the upper bits of the hash, so walking the slots meets the words nearly
 * in order of their hashes: sorting them for a run is one pass of insertions.
 *
 * When the next growth would pass `limit`, the words go to disk as a run and the table begins
 * again, so the counts are never approximate.
 */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "tokenizer/train.h"

#define FIRST_SLOTS 4096

__extension__ typedef unsigned __int128 wide;

static uint64_t mix(uint64_t a, uint64_t b) {
  wide m = (wide)a * b;
  return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t load(const char *s, size_t n) {
  uint64_t v = 0;
  memcpy(&v, s, n);
  return v;
}

/* Words are short: two loads that may overlap, two products. */
uint64_t word_hash(const char *s, size_t n) {
  uint64_t a, b = 0;
  if (n > 16) return hash_xxh3(s, n, 0);
  if (n >= 8) {
    a = load(s, 8);
    b = load(s + n - 8, 8);
  } else if (n >= 4) {
    a = load(s, 4);
    b = load(s + n - 4, 4);
  } else {
    a = n ? (uint64_t)(unsigned char)s[0] | (uint64_t)(unsigned char)s[n / 2] << 8 |
                (uint64_t)(unsigned char)s[n - 1] << 16
          : 0;
  }
  return mix(mix(a ^ 0x9E3779B97F4A7C15u, b ^ 0xD1B54A32D192ED03u) ^ n, 0x8CB92BA72F3D8DD7u);
}

int words_init(struct train_words *w, size_t limit, struct train_runs *runs, struct err *err) {
  *w = (struct train_words){.limit = limit, .runs = runs};
  w->slots = mem_zeros(FIRST_SLOTS, sizeof *w->slots);
  if (!w->slots) return err_nomem(err, FIRST_SLOTS * sizeof *w->slots, "words");
  w->slot_count = FIRST_SLOTS;
  w->shift = 64 - 12;
  return 0;
}

void words_clear(struct train_words *w) {
  buf_clear(&w->text);
  mem_free(w->list);
  mem_free(w->slots);
  mem_free(w->order);
  *w = (struct train_words){0};
}

void words_reset(struct train_words *w) {
  memset(w->slots, 0, w->slot_count * sizeof *w->slots);
  buf_reset(&w->text);
  w->count = 0;
  mem_free(w->order);
  w->order = NULL;
}

size_t words_bytes(const struct train_words *w) {
  return w->text.cap + w->cap * sizeof *w->list + w->slot_count * sizeof *w->slots;
}

/* The words lie in list by age; the old slots are walked in order, so the new ones fill in order.
 */
static int grow_slots(struct train_words *w, struct err *err) {
  size_t count = w->slot_count * 2, mask = count - 1;
  struct train_slot *slots = mem_zeros(count, sizeof *slots);
  if (!slots) return err_nomem(err, count * sizeof *slots, "words");
  w->shift--;
  for (size_t k = 0; k < w->slot_count; k++) {
    if (!w->slots[k].index) continue;
    size_t i = (size_t)(w->list[w->slots[k].index - 1].hash >> w->shift);
    while (slots[i].index) i = (i + 1) & mask;
    slots[i] = w->slots[k];
  }
  mem_free(w->slots);
  w->slots = slots;
  w->slot_count = count;
  return 0;
}

/* What growing for one more word of n bytes would take while it happens; 0: it fits. */
static size_t growth(const struct train_words *w, size_t n) {
  size_t more = 0;
  if (w->count == w->cap) more += (w->cap ? w->cap * 2 : 1024) * sizeof *w->list;
  if ((w->count + 1) * 3 > w->slot_count * 2) more += w->slot_count * 2 * sizeof *w->slots;
  if (w->text.len + n + 1 > w->text.cap) more += w->text.cap * 2 + n;
  return more;
}

static int make_room(struct train_words *w, size_t n, struct err *err) {
  size_t more = growth(w, n);
  bool full = w->limit && more && words_bytes(w) + more > w->limit;
  if (w->text.len + n >= TRAIN_NONE || w->count + 2 >= TRAIN_NONE) full = true;
  if (full && w->count) {
    if (!w->runs || !w->runs->prefix)
      return err_set(err, ERR_LIMIT,
                     "the words of one thread take more than 4 GiB: "
                     "set a bound for memory and a scratch folder");
    int rc = runs_write(w->runs, w, err);
    if (rc) return rc;
  }
  if (w->count == w->cap) {
    size_t cap = w->cap ? w->cap * 2 : 1024;
    struct train_word *list = mem_rearray(w->list, cap, sizeof *list);
    if (!list) return err_nomem(err, cap * sizeof *list, "words");
    w->list = list;
    w->cap = cap;
  }
  return (w->count + 1) * 3 > w->slot_count * 2 ? grow_slots(w, err) : 0;
}

static int add_new(struct train_words *w, const char *s, size_t n, uint64_t hash, struct err *err) {
  int rc = make_room(w, n, err);
  if (rc) return rc;
  size_t at = w->text.len, mask = w->slot_count - 1, i = (size_t)(hash >> w->shift);
  buf_add(&w->text, s, n);
  if ((rc = buf_check(&w->text, "words", err))) return rc;
  while (w->slots[i].index) i = (i + 1) & mask;
  w->list[w->count] = (struct train_word){hash, 1, (uint32_t)at, (uint32_t)n};
  w->slots[i] = (struct train_slot){(uint32_t)hash, (uint32_t)++w->count};
  return 0;
}

static bool same(const char *a, const char *b, size_t n) {
  if (n > 16) return !memcmp(a, b, n);
  if (n >= 8) return load(a, 8) == load(b, 8) && load(a + n - 8, 8) == load(b + n - 8, 8);
  if (n >= 4) return load(a, 4) == load(b, 4) && load(a + n - 4, 4) == load(b + n - 4, 4);
  for (size_t i = 0; i < n; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static int add(struct train_words *w, const char *s, size_t n, uint64_t hash, struct err *err) {
  size_t mask = w->slot_count - 1;
  for (size_t i = (size_t)(hash >> w->shift); w->slots[i].index; i = (i + 1) & mask) {
    if (w->slots[i].tag != (uint32_t)hash) continue;
    struct train_word *word = &w->list[w->slots[i].index - 1];
    if (word->len != n || !same(w->text.data + word->at, s, n)) continue;
    word->count++;
    return 0;
  }
  return add_new(w, s, n, hash, err);
}

int words_add(struct train_words *w, const char *s, size_t begin, const uint32_t *ends,
              size_t count, struct err *err) {
  uint64_t hashes[TRAIN_BATCH];
  size_t at = begin;
  int rc = 0;
  for (size_t i = 0; i < count; at = ends[i++]) {
    hashes[i] = word_hash(s + at, ends[i] - at);
    __builtin_prefetch(&w->slots[hashes[i] >> w->shift]);
  }
  for (size_t i = 0; i < count && !rc; begin = ends[i++])
    rc = add(w, s + begin, ends[i] - begin, hashes[i], err);
  w->occurrences += count;
  return rc;
}

static bool before(const struct train_words *w, const struct train_word *a,
                   const struct train_word *b) {
  if (a->hash != b->hash) return a->hash < b->hash;
  if (a->len != b->len) return a->len < b->len;
  return memcmp(w->text.data + a->at, w->text.data + b->at, a->len) < 0;
}

/* Begins behind an empty slot, so that words that ran over the end of the slots come last. */
int words_sort(struct train_words *w, struct err *err) {
  size_t n = 0, empty = 0, mask = w->slot_count - 1;
  mem_free(w->order);
  w->order = mem_array(w->count, sizeof *w->order);
  if (!w->order) return err_nomem(err, w->count * sizeof *w->order, "words");
  while (w->slots[empty].index) empty++;
  for (size_t k = 1; k <= w->slot_count; k++) {
    uint32_t index = w->slots[(empty + k) & mask].index;
    if (!index--) continue;
    size_t i = n++;
    for (; i && before(w, &w->list[index], &w->list[w->order[i - 1]]); i--)
      w->order[i] = w->order[i - 1];
    w->order[i] = index;
  }
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* Each of the three tables is open addressing on 64 bits of hash (128 for texts, folded), which stand
 * for the key: among 2^32 words one pair in about two is expected to meet, so a census of ten million
 * is right but for accidents that nobody sees. Words and openings keep their bytes in one arena, for
 * the lists of the most frequent.
 *
 * Spread: value v ≥ 256 with its top bit at e goes to step (e − 7) · 128 + (v >> (e − 7)), which is
 * continuous with the exact part below.
 */
#include "text/census.h"

#include <string.h>
#include <utf8proc.h>

#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"

#define EXACT       256
#define STEPS       (EXACT + 57 * 128)
#define OPENING     10 /* characters */
#define WORD_MAX    64 /* bytes that are kept of a word; it is counted by all of them */
#define SLOTS_FIRST ((size_t)1 << 12)
#define POLL        ((size_t)1 << 20)

/* ---- spreads ---- */

struct spread {
  uint64_t steps[STEPS];
  struct spread_facts facts;
};

static size_t step_of(uint64_t v) {
  if (v < EXACT) return (size_t)v;
  unsigned e = 63 - (unsigned)__builtin_clzll(v);
  return (size_t)(e - 7) * 128 + (size_t)(v >> (e - 7));
}

static uint64_t step_begin(size_t step) {
  if (step < EXACT) return step;
  size_t e = step / 128 - 1; /* shift */
  return (uint64_t)(step - e * 128) << e;
}

struct spread *spread_new(void) {
  return mem_zero(sizeof(struct spread));
}

void spread_free(struct spread *s) {
  mem_free(s);
}

void spread_add(struct spread *s, uint64_t value, uint64_t times) {
  struct spread_facts *f = &s->facts;
  if (!times) return;
  if (!f->count || value < f->least) f->least = value;
  if (value > f->greatest) f->greatest = value;
  f->count += times;
  f->sum += (double)value * (double)times;
  s->steps[step_of(value)] += times;
}

struct spread_facts spread_facts(const struct spread *s) {
  return s->facts;
}

uint64_t spread_percentile(const struct spread *s, double share) {
  const struct spread_facts *f = &s->facts;
  double want = share * (double)f->count;
  uint64_t seen = 0;
  if (!f->count) return 0;
  for (size_t i = 0; i < STEPS; i++) {
    seen += s->steps[i];
    if (!s->steps[i] || (double)seen < want) continue;
    uint64_t v = step_begin(i);
    return v < f->least ? f->least : v;
  }
  return f->greatest;
}

uint64_t spread_between(const struct spread *s, uint64_t from, uint64_t to) {
  uint64_t sum = 0;
  for (size_t i = 0; i < STEPS; i++) {
    uint64_t v = step_begin(i);
    if (v >= from && v < to) sum += s->steps[i];
  }
  return sum;
}

/* ---- tables ---- */

struct slot {
  uint64_t hash; /* 0: empty */
  uint64_t count;
  uint32_t at; /* of its bytes in the arena */
  uint32_t len;
};

struct table {
  struct slot *slots;
  size_t cap, used;
  uint64_t total;
  bool full;
  char *arena;
  size_t arena_used, arena_cap;
};

struct census {
  struct table tables[3];
  size_t memory; /* left */
};

int census_new(struct census **out, size_t memory, struct err *err) {
  struct census *c = mem_zero(sizeof *c);
  if (!c) return err_nomem(err, sizeof *c, "statistics");
  c->memory = memory < (1 << 20) ? 1 << 20 : memory;
  *out = c;
  return 0;
}

void census_free(struct census *c) {
  if (!c) return;
  for (int i = 0; i < 3; i++) mem_free(c->tables[i].slots), mem_free(c->tables[i].arena);
  mem_free(c);
}

static bool spend(struct census *c, size_t bytes) {
  if (bytes > c->memory) return false;
  c->memory -= bytes;
  return true;
}

static bool grow_slots(struct census *c, struct table *t) {
  size_t cap = t->cap ? t->cap * 2 : SLOTS_FIRST;
  if (!spend(c, cap * sizeof(struct slot))) return false;
  struct slot *slots = mem_zeros(cap, sizeof *slots);
  if (!slots) return false;
  for (size_t i = 0; i < t->cap; i++) {
    if (!t->slots[i].hash) continue;
    size_t k = t->slots[i].hash & (cap - 1);
    while (slots[k].hash) k = (k + 1) & (cap - 1);
    slots[k] = t->slots[i];
  }
  c->memory += t->cap * sizeof *slots;
  mem_free(t->slots);
  t->slots = slots;
  t->cap = cap;
  return true;
}

static bool keep_bytes(struct census *c, struct table *t, const char *s, size_t n) {
  if (t->arena_used + n > t->arena_cap) {
    size_t cap = t->arena_cap ? t->arena_cap * 2 : 1 << 14;
    if (cap > UINT32_MAX || !spend(c, cap - t->arena_cap)) return false;
    char *grown = mem_rearray(t->arena, cap, 1);
    if (!grown) return false;
    t->arena = grown;
    t->arena_cap = cap;
  }
  memcpy(t->arena + t->arena_used, s, n);
  t->arena_used += n;
  return true;
}

static void count(struct census *c, enum census_kind kind, uint64_t hash, const char *s, size_t n) {
  struct table *t = &c->tables[kind];
  hash += !hash;
  t->total++;
  size_t i = 0;
  if (t->cap) {
    for (i = hash & (t->cap - 1); t->slots[i].hash; i = (i + 1) & (t->cap - 1))
      if (t->slots[i].hash == hash) {
        t->slots[i].count++;
        return;
      }
  }
  if (t->full) return;
  if (t->used * 3 >= t->cap * 2) {
    if (!grow_slots(c, t)) {
      t->full = true;
      return;
    }
    for (i = hash & (t->cap - 1); t->slots[i].hash; i = (i + 1) & (t->cap - 1)) {
    }
  }
  size_t at = t->arena_used;
  if (n && !keep_bytes(c, t, s, n)) {
    t->full = true;
    return;
  }
  t->slots[i] = (struct slot){hash, 1, (uint32_t)at, (uint32_t)n};
  t->used++;
}

/* ---- words ---- */

static bool is_word_character(uint32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
  switch (utf8proc_category((utf8proc_int32_t)c)) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_NO:
    return true;
  default:
    return false;
  }
}

struct word {
  char bytes[WORD_MAX];
  size_t kept;
  uint64_t hash;
  bool any;
};

static void word_add(struct word *w, uint32_t c) {
  char out[4];
  uint32_t lower = c < 0x80 ? (c >= 'A' && c <= 'Z' ? c | 32 : c)
                            : (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
  size_t n = utf8_encode(lower, out);
  if (w->kept + n <= WORD_MAX) {
    memcpy(w->bytes + w->kept, out, n);
    w->kept += n;
  }
  w->hash = (w->hash ^ lower) * 0x9E3779B97F4A7C15u;
  w->hash ^= w->hash >> 29;
  w->any = true;
}

static void word_end(struct census *c, struct word *w, struct census_text *facts) {
  if (!w->any) return;
  facts->words++;
  count(c, CENSUS_WORDS, w->hash * 0xD6E8FEB86659FD93u, w->bytes, w->kept);
  *w = (struct word){.kept = 0};
}

static bool is_apostrophe(uint32_t c) {
  return c == '\'' || c == 0x2019;
}

static bool letter_follows(const char *s, size_t n) {
  size_t used;
  return n && is_word_character(utf8_decode(s, n, &used));
}

int census_add(struct census *c, const char *s, size_t n, struct census_text *facts,
               struct err *err) {
  struct word w = {.kept = 0};
  size_t opening = 0, poll = POLL;
  uint64_t both[2];
  *facts = (struct census_text){0, 0};
  for (size_t i = 0, used; i < n; i += used) {
    uint32_t ch = utf8_decode(s + i, n - i, &used);
    if (facts->characters++ < OPENING) opening = i + used;
    if (ch != UTF8_BAD && is_word_character(ch))
      word_add(&w, ch);
    else if (w.any && is_apostrophe(ch) && letter_follows(s + i + used, n - i - used))
      word_add(&w, '\'');
    else
      word_end(c, &w, facts);
    if (i < poll) continue;
    poll = i + POLL;
    if (cancel_check(err)) return ERR_CANCELLED;
  }
  word_end(c, &w, facts);
  count(c, CENSUS_OPENINGS, hash_xxh3(s, opening, 1), s, opening);
  hash_xxh3_128(s, n, 0, both);
  count(c, CENSUS_TEXTS, both[0] ^ both[1] * 0x9E3779B97F4A7C15u, NULL, 0);
  return 0;
}

struct census_count census_count(const struct census *c, enum census_kind kind) {
  const struct table *t = &c->tables[kind];
  return (struct census_count){t->used, t->total, !t->full};
}

/* Whether a goes before b. */
static bool before(const struct census_entry *a, const struct census_entry *b) {
  if (a->count != b->count) return a->count > b->count;
  size_t n = a->len < b->len ? a->len : b->len;
  int order = n ? memcmp(a->text, b->text, n) : 0;
  return order ? order < 0 : a->len < b->len;
}

size_t census_top(const struct census *c, enum census_kind kind, struct census_entry *out,
                  size_t n) {
  const struct table *t = &c->tables[kind];
  size_t found = 0;
  for (size_t i = 0; i < t->cap && n; i++) {
    const struct slot *s = &t->slots[i];
    if (!s->hash) continue;
    struct census_entry e = {t->arena ? t->arena + s->at : "", s->len, s->count};
    if (found == n && !before(&e, &out[n - 1])) continue;
    size_t k = found < n ? found++ : n - 1;
    for (; k && before(&e, &out[k - 1]); k--) out[k] = out[k - 1];
    out[k] = e;
  }
  return found;
}

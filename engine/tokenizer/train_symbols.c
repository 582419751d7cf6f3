/* SPDX-License-Identifier: MIT */
/* Words become symbols, one a byte, those of equal count together.
 *
 *   ids     | w1 | w2 |      | w3 | w4 | w5 |          |: SYMBOL_EDGE
 *   groups  count 90214      count 88211     …  count 1
 *
 * So a place tells its word's count by the group it lies in, and a list of ascending places crosses
 * few borders. The first pass learns how large each group is, the second puts each word to its
 * place. Which words share a group, and their order in it, has no influence on merges.
 *
 * Words beyond the bound are left out by count, all of one count or none: that depends on the
 * texts only, not on their order, nor on threads.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "tokenizer/train.h"

#define POLL (1u << 16)

void symbols_clear(struct train_symbols *s) {
  mem_free(s->ids);
  mem_free(s->groups);
  mem_free(s->slots);
  *s = (struct train_symbols){0};
}

static size_t slot_of(const struct train_symbols *s, uint64_t count) {
  size_t mask = s->slot_count - 1, i = (size_t)(count * 0x9E3779B97F4A7C15u >> 32) & mask;
  while (s->slots[i] != TRAIN_NONE && s->groups[s->slots[i]].count != count) i = (i + 1) & mask;
  return i;
}

static int index_groups(struct train_symbols *s, size_t slot_count, struct err *err) {
  uint32_t *slots = mem_rearray(s->slots, slot_count, sizeof *slots);
  if (!slots) return err_nomem(err, slot_count * sizeof *slots, "words");
  s->slots = slots;
  s->slot_count = slot_count;
  memset(slots, 0xFF, slot_count * sizeof *slots);
  for (size_t i = 0; i < s->group_count; i++) slots[slot_of(s, s->groups[i].count)] = (uint32_t)i;
  return 0;
}

static struct train_group *group_of(struct train_symbols *s, uint64_t count, struct err *err) {
  if (s->group_count == s->group_cap) {
    size_t cap = s->group_cap ? s->group_cap * 2 : 1024;
    struct train_group *groups = mem_rearray(s->groups, cap, sizeof *groups);
    if (!groups) return err_nomem(err, cap * sizeof *groups, "words"), NULL;
    s->groups = groups;
    s->group_cap = cap;
    if (index_groups(s, cap * 2, err)) return NULL;
  }
  size_t slot = slot_of(s, count);
  if (s->slots[slot] == TRAIN_NONE) {
    s->slots[slot] = (uint32_t)s->group_count;
    s->groups[s->group_count++] = (struct train_group){.count = count};
  }
  return &s->groups[s->slots[slot]];
}

static int by_count(const void *a, const void *b) {
  const struct train_group *x = a, *y = b;
  return (x->count < y->count) - (x->count > y->count);
}

/* Groups in order, with their places; those that do not fit are given none (start == end). */
static int place_groups(struct train_symbols *s, size_t limit, struct err *err) {
  uint64_t at = 1, most = limit ? limit / sizeof *s->ids : UINT64_MAX;
  if (most > SYMBOL_INSIDE) most = SYMBOL_INSIDE; /* places are numbers of 32 bits */
  bool full = false;
  if (s->group_count) qsort(s->groups, s->group_count, sizeof *s->groups, by_count);
  for (size_t i = 0; i < s->group_count; i++) {
    struct train_group *g = &s->groups[i];
    uint64_t need = g->bytes + g->words;
    full = full || at + need > most;
    g->start = g->end = (size_t)at;
    if (full) {
      s->forgotten_words += g->words;
      s->forgotten += g->words * g->count;
    } else {
      at += need;
    }
  }
  s->count = (size_t)at;
  return index_groups(s, s->slot_count ? s->slot_count : 2, err);
}

int symbols_count(struct train_symbols *s, struct train_union *u, size_t limit, struct err *err) {
  struct train_item item;
  int got;
  while ((got = union_next(u, &item, err)) > 0) {
    if (!(++s->distinct % POLL) && cancel_check(err)) return ERR_CANCELLED;
    if (item.len < 2) continue;
    struct train_group *g = group_of(s, item.count, err);
    if (!g) return ERR_NOMEM;
    g->words++;
    g->bytes += item.len;
  }
  if (got < 0) return err ? err->code : ERR_IO;
  return place_groups(s, limit, err);
}

size_t symbols_bytes(const struct train_symbols *s) {
  return s->count * sizeof *s->ids;
}

static void put_word(struct train_symbols *s, struct train_group *g, const struct train_item *item,
                     const uint32_t id_of[256]) {
  uint32_t *to = s->ids + g->end;
  for (uint32_t i = 0; i < item->len; i++) to[i] = id_of[(unsigned char)item->word[i]];
  to[item->len] = SYMBOL_EDGE;
  g->end += item->len + 1;
}

int symbols_fill(struct train_symbols *s, struct train_union *u, const uint32_t id_of[256],
                 struct err *err) {
  struct train_item item;
  size_t seen = 0;
  int got;
  s->ids = mem_array(s->count, sizeof *s->ids);
  if (!s->ids) return err_nomem(err, symbols_bytes(s), "symbols");
  s->ids[0] = SYMBOL_EDGE;
  while ((got = union_next(u, &item, err)) > 0) {
    if (!(++seen % POLL) && cancel_check(err)) return ERR_CANCELLED;
    if (item.len < 2) continue;
    size_t slot = slot_of(s, item.count);
    size_t i = s->slots[slot];
    size_t end = i + 1 < s->group_count ? s->groups[i + 1].start : s->count;
    if (s->groups[i].start < end) put_word(s, &s->groups[i], &item, id_of);
  }
  if (got < 0) return err ? err->code : ERR_IO;
  while (s->group_count && s->groups[s->group_count - 1].start == s->groups[s->group_count - 1].end)
    s->group_count--;
  return 0;
}

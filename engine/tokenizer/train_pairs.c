/* SPDX-License-Identifier: MIT */
/* Pairs of neighbouring symbols by key, and the heap that gives the most frequent one.
 *
 * Order of the heap: the larger count first, of equal counts the smaller key, that is the pair whose
 * left id is smaller, then whose right id is: the reference's order. Counts only sink once a pair
 * is in the heap, so an entry is put right when it comes to the top (heap_fix).
 */
#include <string.h>

#include "base/mem.h"
#include "tokenizer/train.h"

void pairs_reset(struct train_pairs *p) {
  for (size_t i = 0; i < p->count; i++)
    if (p->list[i].own) mem_free(p->list[i].at);
  p->count = 0;
  if (p->slots) memset(p->slots, 0xFF, p->slot_count * sizeof *p->slots);
}

void pairs_clear(struct train_pairs *p) {
  pairs_reset(p);
  mem_free(p->list);
  mem_free(p->slots);
  *p = (struct train_pairs){0};
}

static size_t slot_of(const struct train_pairs *p, uint64_t key) {
  uint64_t h = key * 0x9E3779B97F4A7C15u;
  size_t mask = p->slot_count - 1, i = (size_t)(h ^ h >> 32) & mask;
  while (p->slots[i] != TRAIN_NONE && p->list[p->slots[i]].key != key) i = (i + 1) & mask;
  return i;
}

struct train_pair *pairs_find(const struct train_pairs *p, uint64_t key) {
  if (!p->slot_count) return NULL;
  uint32_t i = p->slots[slot_of(p, key)];
  return i == TRAIN_NONE ? NULL : &p->list[i];
}

static bool grow(struct train_pairs *p) {
  if (p->list && p->count < p->cap) return true;
  size_t cap = p->cap ? p->cap * 2 : 1024;
  struct train_pair *list = mem_rearray(p->list, cap, sizeof *list);
  if (list) p->list = list;
  uint32_t *slots = mem_rearray(p->slots, cap * 2, sizeof *slots);
  if (slots) p->slots = slots;
  if (!list || !slots) return false;
  p->cap = cap;
  p->slot_count = cap * 2;
  memset(slots, 0xFF, p->slot_count * sizeof *slots);
  for (size_t i = 0; i < p->count; i++) slots[slot_of(p, list[i].key)] = (uint32_t)i;
  return true;
}

struct train_pair *pairs_put(struct train_pairs *p, uint64_t key) {
  struct train_pair *there = pairs_find(p, key);
  if (there) return there;
  if (p->count + 1 >= TRAIN_NONE || !grow(p)) return NULL;
  p->slots[slot_of(p, key)] = (uint32_t)p->count;
  p->list[p->count] = (struct train_pair){.key = key};
  return &p->list[p->count++];
}

/* ---- the heap ---- */

static bool above(const struct train_top *a, const struct train_top *b) {
  return a->count != b->count ? a->count > b->count : a->key < b->key;
}

int heap_push(struct train_heap *h, struct train_top top, struct err *err) {
  if (h->count == h->cap) {
    size_t cap = h->cap ? h->cap * 2 : 1024;
    struct train_top *list = mem_rearray(h->list, cap, sizeof *list);
    if (!list) return err_nomem(err, cap * sizeof *list, "pairs");
    h->list = list;
    h->cap = cap;
  }
  size_t i = h->count++;
  for (; i && above(&top, &h->list[(i - 1) / 2]); i = (i - 1) / 2)
    h->list[i] = h->list[(i - 1) / 2];
  h->list[i] = top;
  return 0;
}

void heap_fix(struct train_heap *h) {
  struct train_top top = h->list[0];
  size_t i = 0;
  for (size_t c; (c = 2 * i + 1) < h->count; i = c) {
    if (c + 1 < h->count && above(&h->list[c + 1], &h->list[c])) c++;
    if (!above(&h->list[c], &top)) break;
    h->list[i] = h->list[c];
  }
  h->list[i] = top;
}

void heap_pop(struct train_heap *h) {
  h->list[0] = h->list[--h->count];
  if (h->count) heap_fix(h);
}

/* SPDX-License-Identifier: MIT */
/* Merging a row of symbols: always the pair of lowest rank, leftmost first, until none is left.
 *
 *   Ġ l o w  ─(l,o)→  Ġ lo w  ─(lo,w)→  Ġ low  ─(Ġ,low)→  Ġlow
 *
 * A short row lies in two plain arrays, ids and ranks, and is searched for the lowest rank each
 * time. A long one is a list of links, and every rank has a list of the places where its pair
 * stands, in order of place; a bitmap of bitmaps finds the lowest rank that has any:
 *
 *   rank 3 ──► 17 ⇄ 40 ⇄ 95      links 17, 40, 95: their pair with `next` has rank 3
 *   rank 8 ──► 2 ⇄ 96
 *
 * Working off a rank goes through the word from left to right, and so do the new pairs that
 * come of it: each list gets its places in order but for a few runs, memory is walked in order, and
 * a word of n symbols costs near n. A list that is out of order is sorted when its turn comes. Only
 * merges that no training makes can bring one out of order again and again; when sorting costs more
 * than it should, a heap takes over from where the lists stand (n log n whatever the merges).
 *
 * Memory of a long row: 28 bytes a symbol (the heap: 24 more), 4 more with spans, and 8.2 bytes a
 * merge of the tokenizer once.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "tokenizer/bpe.h"

#define NO_PLACE    UINT32_MAX
#define POLL_MERGES 0xFFFFu

/* ---- short rows ---- */

size_t bpe_merge_short(const struct bpe *b, uint32_t *ids, uint32_t *ranks, uint32_t *first,
                       size_t n) {
  while (n > 1) {
    size_t best = 0;
    uint32_t low = ranks[0];
    for (size_t i = 1; i + 1 < n; i++) {
      bool less = ranks[i] < low;
      low = less ? ranks[i] : low;
      best = less ? i : best;
    }
    if (low == BPE_NO_RANK) break;
    uint32_t id = b->result[low];
    n--;
    for (size_t i = best + 1; i < n; i++) {
      ids[i] = ids[i + 1];
      ranks[i] = ranks[i + 1];
    }
    if (first)
      for (size_t i = best + 1; i < n; i++) first[i] = first[i + 1];
    ids[best] = id;
    if (best + 1 < n) ranks[best] = bpe_rank(b, id, ids[best + 1]);
    if (best) ranks[best - 1] = bpe_rank(b, ids[best - 1], id);
  }
  return n;
}

/* ---- which ranks have places ---- level k's bit i: word i of level k − 1 has a bit */

static void bits_set(struct bpe_scratch *x, uint32_t rank) {
  for (int k = 0; k < BPE_LEVELS; k++, rank >>= 6) {
    uint64_t *word = &x->bits[k][rank >> 6];
    bool had = *word;
    *word |= (uint64_t)1 << (rank & 63);
    if (had) break;
  }
}

static void bits_clear(struct bpe_scratch *x, uint32_t rank) {
  for (int k = 0; k < BPE_LEVELS; k++, rank >>= 6) {
    uint64_t *word = &x->bits[k][rank >> 6];
    *word &= ~((uint64_t)1 << (rank & 63));
    if (*word) break;
  }
}

static bool bits_has(const struct bpe_scratch *x, uint32_t rank) {
  return x->bits[0][rank >> 6] >> (rank & 63) & 1;
}

/* The lowest one, or BPE_NO_RANK. */
static uint32_t bits_lowest(const struct bpe_scratch *x) {
  size_t at = 0;
  if (!x->bits[BPE_LEVELS - 1][0]) return BPE_NO_RANK;
  for (int k = BPE_LEVELS - 1; k >= 0; k--) at = at << 6 | (size_t)__builtin_ctzll(x->bits[k][at]);
  return (uint32_t)at;
}

/* ---- places of a rank ---- a ring: the first one's `back` is the last */

static void list_put(struct bpe_scratch *x, uint32_t place, uint32_t rank) {
  struct bpe_link *l = x->links;
  l[place].rank = rank;
  if (rank == BPE_NO_RANK) return;
  if (!bits_has(x, rank)) {
    bits_set(x, rank);
    x->heads[rank] = (struct bpe_head){place, true};
    l[place].back = l[place].fore = place;
    return;
  }
  struct bpe_head *head = &x->heads[rank];
  uint32_t last = l[head->place].back;
  l[place].back = last;
  l[place].fore = head->place;
  l[last].fore = l[head->place].back = place;
  if (place < head->place && head->sorted)
    head->place = place;
  else if (place < last)
    head->sorted = false;
}

static void list_remove(struct bpe_scratch *x, uint32_t place) {
  struct bpe_link *l = x->links;
  uint32_t rank = l[place].rank, fore = l[place].fore;
  l[place].rank = BPE_NO_RANK;
  if (rank == BPE_NO_RANK) return;
  if (fore == place) {
    bits_clear(x, rank);
    return;
  }
  l[l[place].back].fore = fore;
  l[fore].back = l[place].back;
  if (x->heads[rank].place == place) x->heads[rank].place = fore;
}

/* Two lists in order, ended by NO_PLACE, become one. */
static uint32_t sort_join(struct bpe_link *l, uint32_t a, uint32_t b) {
  uint32_t whole = NO_PLACE, *end = &whole;
  while (a != NO_PLACE && b != NO_PLACE) {
    uint32_t *from = a < b ? &a : &b;
    *end = *from;
    end = &l[*from].fore;
    *from = *end;
  }
  *end = a != NO_PLACE ? a : b;
  return whole;
}

/* Takes the first ascending run off the list. */
static uint32_t sort_run(struct bpe_link *l, uint32_t *rest) {
  uint32_t run = *rest, at = run;
  while (l[at].fore != NO_PLACE && l[at].fore > at) at = l[at].fore;
  *rest = l[at].fore;
  l[at].fore = NO_PLACE;
  return run;
}

/* Runs are joined as the digits of a counter are carried. Returns how many places there are. */
static size_t list_sort(struct bpe_scratch *x, uint32_t rank) {
  struct bpe_link *l = x->links;
  uint32_t rest = x->heads[rank].place, runs[32], all = NO_PLACE;
  size_t count = 0, k;
  l[l[rest].back].fore = NO_PLACE;
  for (k = 0; k < 32; k++) runs[k] = NO_PLACE;
  while (rest != NO_PLACE) {
    uint32_t run = sort_run(l, &rest);
    for (k = 0; k < 31 && runs[k] != NO_PLACE; k++) {
      run = sort_join(l, runs[k], run);
      runs[k] = NO_PLACE;
    }
    runs[k] = runs[k] == NO_PLACE ? run : sort_join(l, runs[k], run);
  }
  for (k = 0; k < 32; k++) all = sort_join(l, runs[k], all);
  uint32_t last = all;
  for (uint32_t at = all; at != NO_PLACE; last = at, at = l[at].fore, count++) l[at].back = last;
  l[last].fore = all;
  l[all].back = last;
  x->heads[rank] = (struct bpe_head){all, true};
  return count;
}

/* ---- long rows ---- */

static void bits_free(struct bpe_scratch *x) {
  mem_free(x->bits[0]);
  memset(x->bits, 0, sizeof x->bits);
}

void bpe_scratch_clear(struct bpe_scratch *x) {
  mem_free(x->ids);
  mem_free(x->first);
  mem_free(x->start);
  mem_free(x->end);
  mem_free(x->links);
  mem_free(x->heads);
  mem_free(x->heap);
  bits_free(x);
  memset(x, 0, sizeof *x);
}

/* Lists for every rank of the tokenizer; a work serves one tokenizer, so they are made once. */
static int ready_lists(const struct bpe *b, struct bpe_scratch *x, struct err *err) {
  size_t words[BPE_LEVELS], all = 0, n = b->count;
  for (int k = 0; k < BPE_LEVELS; k++) all += words[k] = n = n / 64 + 1;
  if (!x->heads) x->heads = mem_array(b->count + 1, sizeof *x->heads);
  if (!x->heads) return err_nomem(err, (b->count + 1) * sizeof *x->heads, "a long word");
  if (x->bits[0]) return 0;
  if (!(x->bits[0] = mem_zeros(all, sizeof **x->bits)))
    return err_nomem(err, all * 8, "a long word");
  for (int k = 1; k < BPE_LEVELS; k++) x->bits[k] = x->bits[k - 1] + words[k - 1];
  return 0;
}

static int ready_links(struct bpe_scratch *x, size_t n, struct err *err) {
  if (n <= x->link_cap) return 0;
  mem_free(x->links);
  x->link_cap = 0;
  x->links = mem_array(n, sizeof *x->links);
  if (!x->links) return err_nomem(err, n * sizeof *x->links, "a long word");
  x->link_cap = n;
  return 0;
}

static uint32_t rank_at(const struct bpe *b, const struct bpe_link *l, uint32_t i) {
  return l[i].next == NO_PLACE ? BPE_NO_RANK : bpe_rank(b, l[i].id, l[l[i].next].id);
}

/* Link i takes its right neighbour in, which is gone then. */
static void join(const struct bpe *b, struct bpe_link *l, uint32_t i, uint32_t rank) {
  uint32_t gone = l[i].next;
  l[i].id = b->result[rank];
  l[i].next = l[gone].next;
  if (l[i].next != NO_PLACE) l[l[i].next].prev = i;
}

/* *tired: sorting has cost too much, and the rest is the heap's. */
static int merge_lists(const struct bpe *b, struct bpe_scratch *x, size_t n, bool *tired,
                       struct err *err) {
  struct bpe_link *l = x->links;
  size_t sorted = 0, merged = 0;
  int rc = 0;
  for (uint32_t i = 0; i < n; i++) list_put(x, i, rank_at(b, l, i));
  for (uint32_t rank; (rank = bits_lowest(x)) != BPE_NO_RANK;) {
    if (!x->heads[rank].sorted && (sorted += list_sort(x, rank)) > 8 * n) break;
    /* the same rank for as long as nothing lower comes up and its places are in order */
    for (uint32_t lowest = rank; lowest >= rank && bits_has(x, rank) && x->heads[rank].sorted;) {
      if (!(merged++ & POLL_MERGES) && (rc = cancel_check(err))) return rc;
      uint32_t i = x->heads[rank].place, prev = l[i].prev;
      list_remove(x, i);
      list_remove(x, l[i].next);
      join(b, l, i, rank);
      if (prev != NO_PLACE) {
        list_remove(x, prev);
        list_put(x, prev, rank_at(b, l, prev));
        lowest = l[prev].rank;
      }
      list_put(x, i, rank_at(b, l, i));
      if (l[i].rank < lowest) lowest = l[i].rank;
    }
  }
  *tired = bits_lowest(x) != BPE_NO_RANK;
  return 0;
}

/* ---- the heap: rank << 32 | place, stale entries are recognised when they come up ---- */

static void heap_sink(uint64_t *h, size_t n, size_t i) {
  uint64_t v = h[i];
  for (size_t c; (c = 2 * i + 1) < n; i = c) {
    if (c + 1 < n && h[c + 1] < h[c]) c++;
    if (h[c] >= v) break;
    h[i] = h[c];
  }
  h[i] = v;
}

static void heap_push(struct bpe_scratch *x, uint32_t rank, uint32_t place) {
  uint64_t v = (uint64_t)rank << 32 | place, *h = x->heap;
  size_t i = x->heap_count++;
  for (; i && h[(i - 1) / 2] > v; i = (i - 1) / 2) h[i] = h[(i - 1) / 2];
  h[i] = v;
}

static uint64_t heap_pop(struct bpe_scratch *x) {
  uint64_t top = x->heap[0];
  x->heap[0] = x->heap[--x->heap_count];
  if (x->heap_count) heap_sink(x->heap, x->heap_count, 0);
  return top;
}

static void heap_offer(const struct bpe *b, struct bpe_scratch *x, uint32_t i) {
  struct bpe_link *l = x->links;
  l[i].rank = rank_at(b, l, i);
  if (l[i].rank != BPE_NO_RANK) heap_push(x, l[i].rank, i);
}

/* From the links as they stand. Every merge removes one pair and offers at most two new ones: 3n
 * entries are enough. */
static int merge_heap(const struct bpe *b, struct bpe_scratch *x, size_t n, struct err *err) {
  struct bpe_link *l = x->links;
  int rc = 0;
  mem_free(x->heap);
  x->heap = mem_array(n * 3, sizeof *x->heap);
  if (!x->heap) return err_nomem(err, n * 3 * sizeof *x->heap, "a long word");
  x->heap_count = 0;
  for (uint32_t i = 0; i != NO_PLACE; i = l[i].next)
    if (l[i].rank != BPE_NO_RANK) x->heap[x->heap_count++] = (uint64_t)l[i].rank << 32 | i;
  for (size_t i = x->heap_count / 2; i-- > 0;) heap_sink(x->heap, x->heap_count, i);
  for (size_t merged = 0; x->heap_count; merged++) {
    if (!(merged & POLL_MERGES) && (rc = cancel_check(err))) return rc;
    uint64_t top = heap_pop(x);
    uint32_t i = (uint32_t)top, rank = (uint32_t)(top >> 32);
    if (l[i].rank != rank) continue; /* a neighbour has changed since */
    l[l[i].next].rank = BPE_NO_RANK;
    join(b, l, i, rank);
    heap_offer(b, x, i);
    if (l[i].prev != NO_PLACE) heap_offer(b, x, l[i].prev);
  }
  mem_free(x->heap);
  x->heap = NULL;
  return 0;
}

int bpe_merge_long(const struct bpe *b, struct bpe_scratch *x, uint32_t *ids, uint32_t *first,
                   size_t *n, struct err *err) {
  bool tired = false;
  int rc = ready_lists(b, x, err);
  if (rc || (rc = ready_links(x, *n, err))) return rc;
  struct bpe_link *l = x->links;
  for (uint32_t i = 0; i < *n; i++)
    l[i] = (struct bpe_link){.id = ids[i],
                             .rank = BPE_NO_RANK,
                             .prev = i ? i - 1 : NO_PLACE,
                             .next = i + 1 < *n ? i + 1 : NO_PLACE};
  rc = merge_lists(b, x, *n, &tired, err);
  if (rc || tired) bits_free(x); /* lists were left standing */
  if (!rc && tired) rc = merge_heap(b, x, *n, err);
  size_t count = 0;
  for (uint32_t i = 0; i != NO_PLACE && !rc; i = l[i].next, count++) {
    ids[count] = l[i].id;
    if (first) first[count] = i;
  }
  *n = count;
  return rc;
}

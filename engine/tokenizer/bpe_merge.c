/* SPDX-License-Identifier: MIT */
/* Merging a row of symbols: always the pair of lowest rank, leftmost first, until none is left.
 *
 *   Ġ l o w  ─(l,o)→  Ġ lo w  ─(lo,w)→  Ġ low  ─(Ġ,low)→  Ġlow
 *
 * A short row lies in two plain arrays, ids and ranks, and is searched for the lowest rank each
 * time. A long one is cut into windows:
 *
 *   symbols   a b c d e f g h i j k l m n o p …
 *   window 1  [abc][de][fgh][i][jk]              the last tokens might have been others had the
 *   window 2           [fgh][ijk][lm][no]        window been longer: they are not kept
 *                     ^ here both agree: [de] and [fgh] together are merged into [de] [fgh]
 *
 * That one check makes it exact, whatever the merges are. Which pair is next depends on nothing but
 * rank and place; so inside two neighbouring tokens the merges of the whole row are done in the
 * order in which they are done when the two stand alone, and if nothing crosses between them there,
 * nothing does in the whole. Conversely tokens of one window pass the check among themselves, so that
 * it is needed only where windows meet. When it fails, tokens are given up and the window doubled;
 * windows longer than a short row are merged with a heap, in n log n, and at the worst the window is
 * the whole row.
 *
 * Memory of a long row: 8 bytes a symbol, and 40 a symbol of the longest window.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "tokenizer/bpe.h"

#define NO_PLACE     UINT32_MAX
#define POLL_MERGES  0xFFFFu
#define POLL_WINDOWS 0x3FFu
#define CALM         64 /* windows that meet at once, after which they are made shorter again */

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
    if (!bpe_is(b, low, ids[best], ids[best + 1])) {
      ranks[best] = bpe_rank_exact(b, ids[best], ids[best + 1]);
      continue;
    }
    uint32_t id = b->merges[low].result;
    n--;
    for (size_t i = best + 1; i < n; i++) {
      ids[i] = ids[i + 1];
      ranks[i] = ranks[i + 1]; // NOLINT: the last one was never set and is never read
    }
    if (first)
      for (size_t i = best + 1; i < n; i++) first[i] = first[i + 1];
    ids[best] = id;
    if (best + 1 < n) ranks[best] = bpe_rank(b, id, ids[best + 1]);
    if (best) ranks[best - 1] = bpe_rank(b, ids[best - 1], id);
  }
  return n;
}

/* ---- windows longer than a short row ---- a list of links, and a heap of rank << 32 | place whose
 * stale entries are recognised when they come up */

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
  l[i].rank = l[i].next == NO_PLACE ? BPE_NO_RANK : bpe_rank(b, l[i].id, l[l[i].next].id);
  if (l[i].rank != BPE_NO_RANK) heap_push(x, l[i].rank, i);
}

/* Every merge removes one pair and offers at most two new ones: 3n entries are enough. */
static int ready_links(struct bpe_scratch *x, size_t n, struct err *err) {
  x->heap_count = 0;
  if (n <= x->link_cap) return 0;
  mem_free(x->links), mem_free(x->heap);
  x->link_cap = 0;
  x->links = mem_array(n, sizeof *x->links);
  x->heap = mem_array(n, 3 * sizeof *x->heap);
  if (!x->links || !x->heap) return err_nomem(err, n * 40, "a long word");
  x->link_cap = n;
  return 0;
}

/* ids[0, *n) → tokens, and the number of each one's first symbol. */
static int merge_heap(const struct bpe *b, struct bpe_scratch *x, uint32_t *ids, uint32_t *first,
                      size_t *n, struct err *err) {
  int rc = ready_links(x, *n, err);
  struct bpe_link *l = x->links;
  if (rc) return rc;
  for (uint32_t i = 0; i < *n; i++)
    l[i] =
        (struct bpe_link){ids[i], BPE_NO_RANK, i ? i - 1 : NO_PLACE, i + 1 < *n ? i + 1 : NO_PLACE};
  for (uint32_t i = 0; i + 1 < *n; i++) {
    l[i].rank = bpe_rank(b, ids[i], ids[i + 1]);
    if (l[i].rank != BPE_NO_RANK) x->heap[x->heap_count++] = (uint64_t)l[i].rank << 32 | i;
  }
  for (size_t i = x->heap_count / 2; i-- > 0;) heap_sink(x->heap, x->heap_count, i);
  for (size_t merged = 0; x->heap_count; merged++) {
    if (!(merged & POLL_MERGES) && (rc = cancel_check(err))) return rc;
    uint64_t top = heap_pop(x);
    uint32_t i = (uint32_t)top, rank = (uint32_t)(top >> 32), gone = l[i].next;
    if (l[i].rank != rank) continue; /* a neighbour has changed since */
    if (!bpe_is(b, rank, l[i].id, l[gone].id)) {
      l[i].rank = bpe_rank_exact(b, l[i].id, l[gone].id);
      if (l[i].rank != BPE_NO_RANK) heap_push(x, l[i].rank, i);
      continue;
    }
    l[i].id = b->merges[rank].result;
    l[i].next = l[gone].next;
    l[gone].rank = BPE_NO_RANK;
    if (l[i].next != NO_PLACE) l[l[i].next].prev = i;
    heap_offer(b, x, i);
    if (l[i].prev != NO_PLACE) heap_offer(b, x, l[i].prev);
  }
  size_t count = 0;
  for (uint32_t i = 0; i != NO_PLACE; i = l[i].next, count++) {
    ids[count] = l[i].id;
    first[count] = i;
  }
  *n = count;
  return 0;
}

/* ---- long rows ---- */

void bpe_scratch_clear(struct bpe_scratch *x) {
  mem_free(x->ids);
  mem_free(x->first);
  mem_free(x->start);
  mem_free(x->end);
  mem_free(x->window.ids), mem_free(x->window.first);
  mem_free(x->meeting.ids), mem_free(x->meeting.first);
  mem_free(x->links);
  mem_free(x->heap);
  memset(x, 0, sizeof *x);
}

static int ready_row(struct bpe_row *row, size_t n, struct err *err) {
  if (n <= row->cap) return 0;
  mem_free(row->ids), mem_free(row->first);
  row->cap = 0;
  row->ids = mem_array(n, sizeof *row->ids);
  row->first = mem_array(n, sizeof *row->first);
  if (!row->ids || !row->first) return err_nomem(err, n * 8, "a long word");
  row->cap = n;
  return 0;
}

/* The tokens of so many symbols. */
static int merge_row(const struct bpe *b, struct bpe_scratch *x, const uint32_t *symbols, size_t n,
                     struct bpe_row *row, struct err *err) {
  uint32_t ranks[BPE_SHORT];
  int rc = ready_row(row, n, err);
  if (rc) return rc;
  memcpy(row->ids, symbols, n * sizeof *symbols);
  row->count = n;
  if (n > BPE_SHORT) return merge_heap(b, x, row->ids, row->first, &row->count, err);
  for (size_t i = 0; i < n; i++) row->first[i] = (uint32_t)i;
  for (size_t i = 0; i + 1 < n; i++) ranks[i] = bpe_rank(b, symbols[i], symbols[i + 1]);
  row->count = bpe_merge_short(b, row->ids, ranks, row->first, n);
  return 0;
}

struct row {
  const uint32_t *symbols;
  size_t n, at; /* how far tokens are kept */
  struct tokens *out;
  size_t base;   /* of the row's tokens in out */
  size_t window; /* symbols */
  unsigned calm;
};

/* Gives up the last tokens; the window is doubled. */
static void step_back(struct bpe_scratch *x, struct row *r, size_t tokens) {
  size_t count = r->out->count - r->base;
  count = tokens < count ? count - tokens : 0;
  r->at = count < r->out->count - r->base ? x->first[count] : r->at;
  r->out->count = r->base + count;
  if (r->window < r->n) r->window *= 2;
  r->calm = 0;
}

/* Keeps the window's tokens: all of them at the row's end, else those that end well before the
 * window's. */
static int keep(struct bpe_scratch *x, struct row *r, size_t n, struct err *err) {
  const struct bpe_row *w = &x->window;
  size_t count = w->count, margin = n / 4, kept = r->out->count - r->base;
  bool last = r->at + n == r->n;
  if (!last)
    while (count && (count == w->count ? n : w->first[count]) + margin > n) count--;
  int rc = tokens_reserve(r->out, count, false, err);
  if (rc) return rc;
  memcpy(r->out->ids + r->out->count, w->ids, count * sizeof *w->ids);
  for (size_t i = 0; i < count; i++) x->first[kept + i] = (uint32_t)(r->at + w->first[i]);
  r->out->count += count;
  r->at += last ? n : count ? w->first[count] : 0;
  if (!count)
    step_back(x, r, 0);
  else if (++r->calm == CALM && r->window > BPE_SHORT)
    r->window /= 2, r->calm = 0;
  return 0;
}

/* Whether the last token kept and the window's first stay these two when they stand side by side. */
static int check_meeting(const struct bpe *b, struct bpe_scratch *x, const struct row *r, size_t n,
                         bool *good, struct err *err) {
  size_t from = x->first[r->out->count - r->base - 1];
  size_t to = r->at + (x->window.count > 1 ? x->window.first[1] : n);
  int rc = merge_row(b, x, r->symbols + from, to - from, &x->meeting, err);
  *good = !rc && x->meeting.count == 2 && x->meeting.first[1] == r->at - from;
  return rc;
}

int bpe_merge_long(const struct bpe *b, struct bpe_scratch *x, size_t n, struct tokens *out,
                   struct err *err) {
  struct row r = {.symbols = x->ids, .n = n, .out = out, .base = out->count, .window = BPE_SHORT};
  size_t back = 1;
  for (size_t round = 0; r.at < n; round++) {
    size_t size = n - r.at < r.window ? n - r.at : r.window;
    bool good = true;
    int rc = round & POLL_WINDOWS ? 0 : cancel_check(err);
    if (!rc) rc = merge_row(b, x, r.symbols + r.at, size, &x->window, err);
    if (!rc && r.at) rc = check_meeting(b, x, &r, size, &good, err);
    if (!rc && good) rc = keep(x, &r, size, err);
    if (rc) return rc;
    if (good) {
      back = 1;
    } else {
      step_back(x, &r, back);
      back *= 2;
    }
  }
  return 0;
}

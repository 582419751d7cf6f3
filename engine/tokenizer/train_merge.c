/* SPDX-License-Identifier: MIT */
/* Merging: the same merges, in the same order, as Hugging Face's BpeTrainer finds.
 *
 *   heap ─► the most frequent pair (left, right) ─► its places, ascending ─► at each: one token
 *     ▲                                                    │
 *     └─ pairs that contain the new token, if frequent ◄───┘  counts of the old neighbours sink
 *
 * Most pairs are rare and never merged. So only pairs of at least `floor` occurrences have an entry,
 * a count that is kept up and a list of places; when none of them is left, the floor is lowered to
 * a sixteenth and everything is counted again (recount): a handful of passes over the symbols instead
 * of bookkeeping for millions of pairs. That is exact, because a pair's count can only grow in the
 * merge that makes one of its two tokens, where it is counted in full:
 *
 *   new token `to`:  (x, to)  in before[x],   (to, y)  in after[y],   arrays by id
 *
 * Except when the merged string was a token before ("abc" as ab+c and as a+bc, or a special
 * token's string): its pairs may grow later, so then everything is counted again at once.
 *
 * As in the reference: the count of a pair that was merged is left as it was (`merged` keeps it; it
 * matters only when the pair arises again); a pair merged twice keeps its last rank only; a token
 * longer than max_token_length − 1 is never formed, unless of two single bytes.
 *
 * recount works in fixed memory: a first pass adds counts into a table of sums by hash, and only
 * pairs whose sum reaches the floor are counted exactly in the second; the third notes places.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "tokenizer/train.h"

#define SUMS      ((size_t)1 << 21)
#define POLL      ((size_t)1 << 20)
#define LOWER     16
#define TELL      256
#define LEN_BYTES 1

struct side { /* pairs of the new token with neighbours on one side, by the neighbour's id */
  int64_t *count;
  uint32_t *n, *pair; /* places at most; index of the pair, TRAIN_NONE: too rare */
  uint32_t *ids;      /* those with n > 0 */
  size_t id_count;
};

struct merging {
  struct train_model *model;
  struct train_symbols *s;
  const struct tokenizer_train_options *options;
  uint64_t least, floor;
  uint64_t longest; /* two tokens are a pair when their bytes are fewer together; or are bytes */
  uint32_t *len;    /* by id, in bytes */
  struct train_pairs pairs, merged;
  struct train_heap heap;
  uint32_t *pool; /* the lists made by recount */
  uint64_t *sums;
  bool filters;                        /* the sums are those of this recount */
  size_t noted, note_limit, note_room; /* places in lists: now, for a recount, after a recount */
  struct side before, after;
};

/* ---- places ---- */

/* Finds the count of ascending places: the group they lie in is nearly always the last one's. */
struct cursor {
  const struct train_symbols *s;
  size_t group;
};

static int64_t count_at(struct cursor *c, size_t at) {
  const struct train_group *g = c->s->groups;
  if (at >= g[c->group].end) {
    size_t low = c->group + 1, high = c->s->group_count - 1;
    while (low < high) {
      size_t mid = (low + high) / 2;
      if (at >= g[mid].end)
        low = mid + 1;
      else
        high = mid;
    }
    c->group = low;
  }
  return (int64_t)g[c->group].count;
}

static bool may_pair(const struct merging *m, uint32_t a, uint32_t b) {
  uint64_t n = (uint64_t)m->len[a] + m->len[b];
  return n < m->longest || n == 2 * LEN_BYTES;
}

static size_t sum_slot(uint64_t key) {
  return (size_t)((key * 0x9E3779B97F4A7C15u) >> 43);
}

/* ---- counting again ---- */

enum pass { PASS_SUM, PASS_COUNT, PASS_NOTE };

static int visit(struct merging *m, enum pass pass, uint64_t key, int64_t count, size_t at) {
  struct train_pair *p;
  if (pass == PASS_SUM) {
    m->sums[sum_slot(key)] += (uint64_t)count;
    return 0;
  }
  if (pass == PASS_NOTE) {
    p = pairs_find(&m->pairs, key);
    if (p && p->at) p->at[p->n++] = (uint32_t)at;
    return 0;
  }
  if (m->filters && m->sums[sum_slot(key)] < m->floor) return 0;
  if (!(p = pairs_put(&m->pairs, key))) return ERR_NOMEM;
  p->count += count;
  p->n++;
  return 0;
}

/* Every pair of neighbours of every word. */
static inline __attribute__((always_inline)) int walk(struct merging *m, enum pass pass,
                                                      struct err *err) {
  const struct train_symbols *s = m->s;
  size_t poll = POLL;
  int rc = 0;
  for (size_t g = 0; g < s->group_count && !rc; g++) {
    int64_t count = (int64_t)s->groups[g].count;
    uint32_t left = SYMBOL_EDGE;
    size_t left_at = 0;
    for (size_t at = s->groups[g].start; at < s->groups[g].end && !rc;) {
      uint32_t id = s->ids[at];
      if (left != SYMBOL_EDGE && id != SYMBOL_EDGE && may_pair(m, left, id) &&
          visit(m, pass, pair_key(left, id), count, left_at))
        return err_nomem(err, 0, "pairs");
      left = id;
      left_at = at;
      at += id == SYMBOL_EDGE ? 1 : m->len[id];
      if (at >= poll) {
        rc = cancel_check(err);
        poll = at + POLL;
      }
    }
  }
  return rc;
}

/* What merged pairs had before goes on top of what is there now. */
static void add_merged(struct merging *m) {
  for (size_t i = 0; i < m->merged.count; i++) {
    struct train_pair *p = pairs_find(&m->pairs, m->merged.list[i].key);
    if (p) p->count += m->merged.list[i].count;
  }
}

static size_t places_above(const struct merging *m, uint64_t floor, uint64_t *top) {
  size_t n = 0;
  *top = 0;
  for (size_t i = 0; i < m->pairs.count; i++) {
    const struct train_pair *p = &m->pairs.list[i];
    uint64_t count = p->count > 0 ? (uint64_t)p->count : 0;
    if (count >= floor) n += p->n;
    if (count > *top) *top = count;
  }
  return n;
}

/* Not more than a sixteenth below the top, and so high that the lists fit; the top itself stays. */
static size_t choose_floor(struct merging *m) {
  uint64_t top;
  size_t n;
  places_above(m, m->floor, &top);
  if (m->floor < top / LOWER) m->floor = top / LOWER;
  while ((n = places_above(m, m->floor, &top)) > m->note_room && m->floor < top)
    m->floor = m->floor * 2 < top ? m->floor * 2 : top;
  return n;
}

static int make_lists(struct merging *m, size_t places, struct err *err) {
  uint32_t *at = m->pool = mem_array(places, sizeof *m->pool);
  if (!at) return err_nomem(err, places * sizeof *at, "pairs");
  for (size_t i = 0; i < m->pairs.count; i++) {
    struct train_pair *p = &m->pairs.list[i];
    bool frequent = p->count > 0 && (uint64_t)p->count >= m->floor;
    p->at = frequent ? at : NULL;
    if (frequent) at += p->n;
    p->n = 0;
    int rc = frequent ? heap_push(&m->heap,
                                  (struct train_top){(uint64_t)p->count, p->key, (uint32_t)i}, err)
                      : 0;
    if (rc) return rc;
  }
  m->noted = places;
  m->note_limit = places > m->note_room ? places * 2 : m->note_room * 2;
  return 0;
}

static int recount(struct merging *m, struct err *err) {
  pairs_reset(&m->pairs);
  mem_free(m->pool);
  m->pool = NULL;
  m->heap.count = 0;
  m->filters = m->model->merge_count > 0; /* of bytes there are few pairs */
  memset(m->sums, 0, SUMS * sizeof *m->sums);
  for (size_t i = 0; i < m->merged.count; i++)
    if (m->merged.list[i].count > 0)
      m->sums[sum_slot(m->merged.list[i].key)] += (uint64_t)m->merged.list[i].count;
  int rc = m->filters ? walk(m, PASS_SUM, err) : 0;
  if (!rc) rc = walk(m, PASS_COUNT, err);
  if (rc) return rc;
  add_merged(m);
  rc = make_lists(m, choose_floor(m), err);
  return rc ? rc : walk(m, PASS_NOTE, err);
}

/* ---- one merge ---- */

static void side_add(struct side *side, uint32_t id, int64_t count) {
  if (!side->n[id]++) side->ids[side->id_count++] = id;
  side->count[id] += count;
}

static void sink(struct merging *m, uint32_t left, uint32_t right, int64_t count) {
  struct train_pair *p = pairs_find(&m->pairs, pair_key(left, right));
  if (p) p->count -= count;
}

struct merge {
  uint32_t left, right, to;
  bool known; /* `to` was a token before */
};

/* left at `at`, right behind it: they become `to`. */
static void merge_at(struct merging *m, const struct merge *r, size_t at, int64_t count) {
  uint32_t *ids = m->s->ids, a = m->len[r->left], b = m->len[r->right];
  size_t end = at + a + b;
  uint32_t before = ids[at - 1], after = ids[end];
  if (before != SYMBOL_EDGE) {
    if (before != r->to || r->known)
      sink(m, before, r->left, count);
    else if (may_pair(m, r->to, r->left))
      m->after.count[r->left] -= count; /* it was added when the token before was made */
    if (!r->known && may_pair(m, before, r->to)) side_add(&m->before, before, count);
  }
  if (after != SYMBOL_EDGE) {
    sink(m, r->right, after, count);
    if (!r->known && may_pair(m, r->to, after)) side_add(&m->after, after, count);
  }
  ids[at + a - 1] = ids[at + a] = SYMBOL_INSIDE;
  ids[at] = ids[end - 1] = r->to;
}

static int merge_places(struct merging *m, struct merge *r, const uint32_t *list, size_t n,
                        struct err *err) {
  struct cursor c = {.s = m->s};
  const uint32_t *ids = m->s->ids;
  int rc = 0;
  for (size_t i = 0; i < n && !rc; i++) {
    if (i + 16 < n) __builtin_prefetch(&ids[list[i + 16]]);
    if (ids[list[i]] != r->left || ids[list[i] + m->len[r->left]] != r->right) continue;
    merge_at(m, r, list[i], count_at(&c, list[i]));
    if (!((i + 1) % POLL)) rc = cancel_check(err);
  }
  return rc;
}

/* The pairs of one side that are frequent get an entry, a list and a place in the heap. */
static int side_pairs(struct merging *m, struct side *side, uint32_t to, bool left, bool *any,
                      struct err *err) {
  for (size_t i = 0; i < side->id_count; i++) {
    uint32_t id = side->ids[i];
    side->pair[id] = TRAIN_NONE;
    if (side->count[id] < (int64_t)m->floor) continue;
    uint64_t key = left ? pair_key(id, to) : pair_key(to, id);
    struct train_pair *p = pairs_put(&m->pairs, key);
    if (!p || !(p->at = mem_array(side->n[id], sizeof *p->at))) return err_nomem(err, 0, "pairs");
    p->own = true;
    p->count = side->count[id];
    side->pair[id] = (uint32_t)(p - m->pairs.list);
    m->noted += side->n[id];
    int rc = heap_push(&m->heap, (struct train_top){(uint64_t)p->count, key, side->pair[id]}, err);
    if (rc) return rc;
    *any = true;
  }
  return 0;
}

static void note(struct merging *m, const struct side *side, uint32_t id, size_t at) {
  if (side->pair[id] == TRAIN_NONE) return;
  struct train_pair *p = &m->pairs.list[side->pair[id]];
  p->at[p->n++] = (uint32_t)at;
}

/* `to` is new, so it stands at places of the list only; its last byte may be such a place too. */
static void note_places(struct merging *m, uint32_t to, const uint32_t *list, size_t n) {
  const uint32_t *ids = m->s->ids;
  size_t end = 0;
  for (size_t i = 0; i < n; i++) {
    size_t at = list[i];
    if (i + 16 < n) __builtin_prefetch(&ids[list[i + 16]]);
    if (at < end || ids[at] != to) continue;
    end = at + m->len[to];
    uint32_t before = ids[at - 1], after = ids[at + m->len[to]];
    if (before != SYMBOL_EDGE && may_pair(m, before, to))
      note(m, &m->before, before, at - m->len[before]);
    if (after != SYMBOL_EDGE && after != to && may_pair(m, to, after))
      note(m, &m->after, after, at);
  }
}

static int new_pairs(struct merging *m, uint32_t to, const uint32_t *list, size_t n,
                     struct err *err) {
  bool any = false;
  int rc = side_pairs(m, &m->before, to, true, &any, err);
  if (!rc) rc = side_pairs(m, &m->after, to, false, &any, err);
  if (!rc && any) note_places(m, to, list, n);
  return rc;
}

static void side_reset(struct side *side) {
  for (size_t i = 0; i < side->id_count; i++) {
    side->count[side->ids[i]] = 0;
    side->n[side->ids[i]] = 0;
  }
  side->id_count = 0;
}

/* The id of left + right, which may exist already. */
static int merged_id(struct merging *m, struct merge *r, struct err *err) {
  struct vocab *v = &m->model->vocab;
  struct buf joined;
  size_t an, bn;
  buf_init(&joined);
  const char *a = vocab_string(v, r->left, &an), *b = vocab_string(v, r->right, &bn);
  buf_add(&joined, a, an);
  buf_add(&joined, b, bn);
  int rc = buf_check(&joined, "a token", err);
  if (!rc) {
    r->to = vocab_find(v, joined.data, joined.len);
    r->known = r->to != TOKENIZER_NONE;
    if (!r->known) rc = vocab_add(v, joined.data, joined.len, r->to = (uint32_t)v->size, err);
  }
  buf_clear(&joined);
  if (!rc) m->len[r->to] = m->len[r->left] + m->len[r->right];
  return rc;
}

static int add_rule(struct train_model *model, const struct merge *r, struct err *err) {
  if (model->merge_count == model->merge_cap) {
    size_t cap = model->merge_cap ? model->merge_cap * 2 : 1024;
    struct train_rule *merges = mem_rearray(model->merges, cap, sizeof *merges);
    if (!merges) return err_nomem(err, cap * sizeof *merges, "merges");
    model->merges = merges;
    model->merge_cap = cap;
  }
  model->merges[model->merge_count++] = (struct train_rule){r->left, r->right};
  return 0;
}

/* The pair's own count may have sunk in the merge ("aaa"): what is left stays with it. */
static int keep_merged(struct merging *m, const struct train_pair *p, struct err *err) {
  struct train_pair *old = pairs_put(&m->merged, p->key);
  if (!old) return err_nomem(err, 0, "pairs");
  old->count = p->count;
  old->n = (uint32_t)m->model->merge_count; /* its last rank + 1 */
  return 0;
}

static void forget_places(struct merging *m, struct train_pair *p) {
  m->noted -= p->n;
  if (p->own) mem_free(p->at);
  p->own = false;
  p->at = NULL;
  p->n = 0;
}

static int merge_top(struct merging *m, struct err *err) {
  struct train_top top = m->heap.list[0];
  struct merge r = {.left = (uint32_t)(top.key >> 32), .right = (uint32_t)top.key};
  const uint32_t *list = m->pairs.list[top.pair].at;
  size_t n = m->pairs.list[top.pair].n;
  heap_pop(&m->heap);
  int rc = merged_id(m, &r, err);
  if (!rc) rc = add_rule(m->model, &r, err);
  if (!rc) rc = merge_places(m, &r, list, n, err);
  if (!rc) rc = keep_merged(m, &m->pairs.list[top.pair], err);
  if (!rc && !r.known) rc = new_pairs(m, r.to, list, n, err);
  forget_places(m, &m->pairs.list[top.pair]);
  side_reset(&m->before);
  side_reset(&m->after);
  if (rc || (!r.known && m->noted <= m->note_limit)) return rc;
  return recount(m, err);
}

/* ---- the whole ---- */

/* False when nothing is frequent enough any more. */
static int next_top(struct merging *m, bool *there, struct err *err) {
  for (;;) {
    while (m->heap.count) {
      struct train_top *top = &m->heap.list[0];
      int64_t now = m->pairs.list[top->pair].count;
      *there = now >= (int64_t)m->floor;
      if (top->count == (uint64_t)now && *there) return 0;
      if (*there) {
        top->count = (uint64_t)now;
        heap_fix(&m->heap);
      } else {
        heap_pop(&m->heap); /* below the floor: the next count finds it again */
      }
    }
    *there = false;
    if (m->floor <= m->least) return 0;
    m->floor = m->floor / LOWER > m->least ? m->floor / LOWER : m->least;
    int rc = recount(m, err);
    if (rc) return rc;
  }
}

/* Of pairs merged more than once the last one counts. */
static void last_ranks(struct merging *m) {
  struct train_model *model = m->model;
  size_t kept = 0;
  for (size_t i = 0; i < model->merge_count; i++) {
    struct train_rule rule = model->merges[i];
    if (pairs_find(&m->merged, pair_key(rule.left, rule.right))->n == i + 1)
      model->merges[kept++] = rule;
  }
  model->merge_count = kept;
}

static int side_init(struct side *side, size_t ids, struct err *err) {
  side->count = mem_zeros(ids, sizeof *side->count);
  side->n = mem_zeros(ids, sizeof *side->n);
  side->pair = mem_array(ids, sizeof *side->pair);
  side->ids = mem_array(ids, sizeof *side->ids);
  if (side->count && side->n && side->pair && side->ids) return 0;
  return err_nomem(err, ids * 20, "pairs");
}

static void side_clear(struct side *side) {
  mem_free(side->count);
  mem_free(side->n);
  mem_free(side->pair);
  mem_free(side->ids);
}

static int init(struct merging *m, size_t memory, struct err *err) {
  size_t ids = m->options->vocab_size + 1;
  m->least = m->options->min_frequency ? m->options->min_frequency : 1;
  if (m->least > INT64_MAX) m->least = INT64_MAX;
  m->floor = m->least;
  m->longest = m->options->max_token_length ? m->options->max_token_length : UINT64_MAX;
  m->note_room = (memory ? memory : SIZE_MAX) / sizeof *m->pool / 2;
  m->sums = mem_array(SUMS, sizeof *m->sums);
  m->len = mem_array(ids, sizeof *m->len);
  if (!m->sums || !m->len) return err_nomem(err, SUMS * sizeof *m->sums, "pairs");
  for (size_t i = 0; i < ids; i++) m->len[i] = LEN_BYTES;
  int rc = side_init(&m->before, ids, err);
  return rc ? rc : side_init(&m->after, ids, err);
}

int train_merge(struct train_model *model, struct train_symbols *s,
                const struct tokenizer_train_options *options, size_t memory, struct err *err) {
  struct merging m = {.model = model, .s = s, .options = options};
  bool there = true;
  size_t first = model->vocab.size, told = first;
  int rc = init(&m, memory, err);
  if (!rc) rc = recount(&m, err);
  while (!rc && model->vocab.size < options->vocab_size) {
    rc = next_top(&m, &there, err);
    if (rc || !there) break;
    rc = cancel_check(err);
    if (!rc) rc = merge_top(&m, err);
    if (options->progress && model->vocab.size >= told + TELL) {
      options->progress(options->arg, (told = model->vocab.size) - first,
                        options->vocab_size - first);
    }
  }
  if (!rc) last_ranks(&m);
  pairs_clear(&m.pairs);
  pairs_clear(&m.merged);
  mem_free(m.heap.list);
  mem_free(m.pool);
  mem_free(m.sums);
  mem_free(m.len);
  side_clear(&m.before);
  side_clear(&m.after);
  return rc;
}

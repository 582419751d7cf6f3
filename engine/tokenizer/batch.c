/* SPDX-License-Identifier: MIT */
/* Many texts over threads.
 *
 *   texts ─ long ones cut where tokenizer_cut proves it exact ─► pieces 0 1 2 3 4 5 …
 *   lane 0 (a thread, with its own word cache and ids)           0   2     5
 *   lane 1                                                         1   3 4
 *   the ids of all pieces, in order                              0 1 2 3 4 5
 *
 * A lane takes the next few pieces when it is done with its last ones. Which lane does what varies;
 * ids do not depend on it, since no result depends on a cache. Of several errors the one of the first
 * text is reported.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "tokenizer/parts.h"

#define PIECE ((size_t)1 << 20) /* longer texts are cut into pieces of about this */

struct lane {
  struct tokenizer_work *work;
  struct tokens ids;
};

struct tokenizer_team {
  const struct tokenizer *t;
  struct pool *pool;
  struct lane *lanes;
  size_t count;
};

void tokenizer_team_free(struct tokenizer_team *team) {
  if (!team) return;
  pool_free(team->pool);
  for (size_t i = 0; i < team->count; i++) {
    tokenizer_work_free(team->lanes[i].work);
    tokens_clear(&team->lanes[i].ids);
  }
  mem_free(team->lanes);
  mem_free(team);
}

int tokenizer_team_new(struct tokenizer_team **out, const struct tokenizer *t, unsigned threads,
                       struct err *err) {
  struct tokenizer_team *team = mem_zero(sizeof *team);
  int rc = 0;
  *out = NULL;
  if (!team) return err_nomem(err, sizeof *team, "a team of threads");
  team->t = t;
  team->lanes = mem_zeros(threads, sizeof *team->lanes);
  if (!team->lanes) rc = err_nomem(err, threads * sizeof *team->lanes, "a team of threads");
  if (!rc && threads > 1) rc = pool_new(&team->pool, threads, err);
  for (; !rc && team->count < threads; team->count++)
    rc = tokenizer_work_new(&team->lanes[team->count].work, t, err);
  if (rc)
    tokenizer_team_free(team);
  else
    *out = team;
  return rc;
}

unsigned tokenizer_team_threads(const struct tokenizer_team *team) {
  return (unsigned)team->count;
}

/* ---- one call ---- */

struct piece_of {
  size_t text, from, n;   /* bytes of that text */
  size_t lane, at, count; /* ids in the lane's list */
  size_t to;              /* their place in the result */
};

struct batch {
  struct tokenizer_team *team;
  const struct tokenizer_text *texts;
  int flags;
  bool special, counting;
  struct piece_of *pieces;
  size_t count, cap;
  atomic_size_t next;
  struct tokens *out;
  atomic_flag busy; /* guards what follows */
  size_t failed;    /* the first piece that failed; SIZE_MAX: none */
  struct err err;
};

static int add_piece(struct batch *b, size_t text, size_t from, size_t n, struct err *err) {
  if (b->count == b->cap) {
    size_t cap = b->cap * 2;
    struct piece_of *grown = mem_rearray(b->pieces, cap, sizeof *grown);
    if (!grown) return err_nomem(err, cap * sizeof *grown, "texts");
    b->pieces = grown;
    b->cap = cap;
  }
  b->pieces[b->count++] = (struct piece_of){.text = text, .from = from, .n = n};
  return 0;
}

static int cut_text(struct batch *b, size_t text, struct err *err) {
  const struct tokenizer_text *s = &b->texts[text];
  size_t from = 0, end, next, most = PIECE;
  int rc = 0;
  while (!rc && b->team->count > 1 && s->n - from > most) {
    if (!tokenizer_cut(b->team->t, s->s + from, most, &end, &next)) {
      most *= 2;
      continue;
    }
    rc = add_piece(b, text, from, end, err);
    from += next;
    most = PIECE;
  }
  return rc ? rc : add_piece(b, text, from, s->n - from, err);
}

static int lane_piece(struct batch *b, struct lane *lane, struct piece_of *p, struct err *err) {
  const struct tokenizer *t = b->team->t;
  const char *s = b->texts[p->text].s + p->from;
  if (b->counting) return tokenizer_count(t, lane->work, s, p->n, b->flags, &p->count, err);
  p->at = lane->ids.count;
  int rc = tokenizer_encode(t, lane->work, s, p->n, b->flags, &lane->ids, err);
  p->count = lane->ids.count - p->at;
  return rc;
}

static void fail(struct batch *b, size_t piece, const struct err *err) {
  while (atomic_flag_test_and_set(&b->busy)) continue;
  if (piece < b->failed) {
    b->failed = piece;
    b->err = *err;
  }
  atomic_flag_clear(&b->busy);
}

static void lane_run(void *arg, size_t index) {
  struct batch *b = arg;
  struct lane *lane = &b->team->lanes[index];
  size_t each = b->count / (b->team->count * 16) + 1;
  if (each > 64) each = 64;
  for (size_t i; (i = atomic_fetch_add(&b->next, each)) < b->count;) {
    for (size_t k = i; k < i + each && k < b->count; k++) {
      struct err err = {0};
      b->pieces[k].lane = index;
      if (lane_piece(b, lane, &b->pieces[k], &err)) fail(b, k, &err);
    }
  }
}

static int run(struct batch *b, size_t texts, struct err *err) {
  int rc = 0;
  b->failed = SIZE_MAX;
  b->cap = texts + 16;
  b->pieces = mem_array(b->cap, sizeof *b->pieces);
  if (!b->pieces) return err_nomem(err, b->cap * sizeof *b->pieces, "texts");
  for (size_t i = 0; i < b->team->count; i++) tokens_reset(&b->team->lanes[i].ids);
  for (size_t i = 0; i < texts && !rc; i++) rc = cut_text(b, i, err);
  if (!rc && pool_run(b->team->pool, b->team->count, lane_run, b) && b->failed == SIZE_MAX)
    rc = err_set(err, ERR_CANCELLED, "interrupted");
  if (!rc && b->failed != SIZE_MAX) {
    if (err) *err = b->err;
    rc = b->err.code;
  }
  return rc;
}

/* ---- putting the ids together ---- */

static void put_added(struct tokens *out, size_t to, const struct tokens *ids, uint64_t at,
                      bool spans) {
  for (size_t i = 0; i < ids->count; i++) {
    out->ids[to + i] = ids->ids[i];
    if (spans) out->spans[to + i] = (struct token_span){at, at};
  }
}

/* Where everything goes; ends[i]: the number of ids up to and with text i. Returns how many. */
static size_t arrange(struct batch *b, size_t texts, size_t *ends) {
  const struct tokenizer *t = b->team->t;
  size_t total = 0, piece = 0;
  for (size_t i = 0; i < texts; i++) {
    total += b->special ? t->head.count : 0;
    for (; piece < b->count && b->pieces[piece].text == i; piece++) {
      b->pieces[piece].to = total;
      total += b->pieces[piece].count;
    }
    total += b->special ? t->tail.count : 0;
    ends[i] = total;
  }
  return total;
}

static void copy_run(void *arg, size_t index) {
  struct batch *b = arg;
  bool spans = b->flags & TOKENIZER_SPANS;
  size_t from = b->count * index / b->team->count, to = b->count * (index + 1) / b->team->count;
  for (size_t i = from; i < to; i++) {
    const struct piece_of *p = &b->pieces[i];
    const struct tokens *ids = &b->team->lanes[p->lane].ids;
    if (!p->count) continue;
    memcpy(b->out->ids + p->to, ids->ids + p->at, p->count * sizeof *ids->ids);
    for (size_t k = 0; spans && k < p->count; k++) {
      struct token_span span = ids->spans[p->at + k];
      b->out->spans[p->to + k] = (struct token_span){span.start + p->from, span.end + p->from};
    }
  }
}

int tokenizer_encode_batch(struct tokenizer_team *team, const struct tokenizer_text *texts,
                           size_t n, int flags, struct tokens *out, size_t *ends, struct err *err) {
  struct batch b = {.team = team,
                    .texts = texts,
                    .flags = flags & ~TOKENIZER_SPECIAL,
                    .special = flags & TOKENIZER_SPECIAL,
                    .out = out,
                    .busy = ATOMIC_FLAG_INIT};
  bool spans = flags & TOKENIZER_SPANS;
  tokens_reset(out);
  int rc = run(&b, n, err);
  size_t total = rc ? 0 : arrange(&b, n, ends);
  if (!rc) rc = tokens_reserve(out, total, spans, err);
  for (size_t i = 0; !rc && b.special && i < n; i++) {
    put_added(out, i ? ends[i - 1] : 0, &team->t->head, 0, spans);
    put_added(out, ends[i] - team->t->tail.count, &team->t->tail, texts[i].n, spans);
  }
  if (!rc && pool_run(team->pool, team->count, copy_run, &b))
    rc = err_set(err, ERR_CANCELLED, "interrupted");
  if (!rc) out->count = total;
  mem_free(b.pieces);
  return rc;
}

int tokenizer_count_batch(struct tokenizer_team *team, const struct tokenizer_text *texts, size_t n,
                          int flags, size_t *counts, struct err *err) {
  struct batch b = {.team = team,
                    .texts = texts,
                    .flags = flags & ~(TOKENIZER_SPECIAL | TOKENIZER_SPANS),
                    .special = flags & TOKENIZER_SPECIAL,
                    .counting = true,
                    .busy = ATOMIC_FLAG_INIT};
  int rc = run(&b, n, err);
  if (!rc) arrange(&b, n, counts);
  for (size_t i = n; !rc && i-- > 1;) counts[i] -= counts[i - 1];
  mem_free(b.pieces);
  return rc;
}

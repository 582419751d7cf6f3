/* SPDX-License-Identifier: MIT */
/* Many texts over threads.
 *
 *   texts ─ long ones cut where tokenizer_cut proves it exact ─► pieces 0 1 2 3 4 5 …
 *   lane 0 (the calling thread, say)      0 1   given: 0 1 2   4 5   given: 3 4 …
 *   lane 1 (a thread of its own)              2 3 …
 *
 * Lanes share a word cache, and take the next few pieces when they are done with their last ones.
 * Their ids are a sheaf. The calling thread gives the sheaves away, in order, whenever it comes by;
 * so what is done with ids is done while others encode, and a sheaf's memory is soon used again:
 * memory never touched before costs as much as encoding does. Which lane does what varies; ids do not
 * depend on it, since no result depends on a cache. Of several errors the one of the first text is
 * reported.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "tokenizer/cache.h"

#define PIECE ((size_t)1 << 20) /* longer texts are cut into pieces of about this */
#define EACH  16                /* pieces taken at once, at most */

struct sheaf {
  struct tokens ids;
  struct sheaf *next;
};

struct tokenizer_team {
  const struct tokenizer *t;
  struct pool *pool;
  struct tokenizer_work **works; /* one a lane */
  struct cache **caches;         /* theirs */
  size_t count;
  atomic_flag busy;    /* guards what follows */
  struct sheaf *spare; /* sheaves to be used again */
};

static void lock(atomic_flag *busy) {
  while (atomic_flag_test_and_set(busy)) continue;
}

static void sheaf_free(struct sheaf *sheaf) {
  tokens_clear(&sheaf->ids);
  mem_free(sheaf);
}

void tokenizer_team_free(struct tokenizer_team *team) {
  if (!team) return;
  pool_free(team->pool);
  for (size_t i = 0; i < team->count; i++) tokenizer_work_free(team->works[i]);
  for (struct sheaf *s = team->spare, *next; s; s = next) {
    next = s->next;
    sheaf_free(s);
  }
  mem_free(team->works);
  mem_free(team->caches);
  mem_free(team);
}

int tokenizer_team_new(struct tokenizer_team **out, const struct tokenizer *t, unsigned threads,
                       struct err *err) {
  struct tokenizer_team *team = mem_zero(sizeof *team);
  int rc = 0;
  *out = NULL;
  if (!team) return err_nomem(err, sizeof *team, "a team of threads");
  team->t = t;
  atomic_flag_clear(&team->busy);
  team->works = mem_zeros(threads, sizeof *team->works);
  team->caches = mem_zeros(threads, sizeof *team->caches);
  if (!team->works || !team->caches)
    rc = err_nomem(err, threads * sizeof *team->works, "a team of threads");
  if (!rc && threads > 1) rc = pool_new(&team->pool, threads, err);
  while (!rc && team->count < threads) {
    struct tokenizer_work **work = &team->works[team->count];
    if ((rc = tokenizer_work_new(work, t, err))) break;
    team->caches[team->count++] = (*work)->cache;
  }
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
  size_t text, from, n; /* bytes of that text */
  size_t at, count;     /* ids in the sheaf */
};

struct batch {
  struct tokenizer_team *team;
  const struct tokenizer_text *texts;
  int flags;
  bool special;
  struct piece_of *pieces;
  size_t count, cap, each; /* pieces; how many a lane takes at once */
  atomic_size_t next;
  _Atomic(struct sheaf *) *sheaves; /* one for `each` pieces; NULL: not yet, or it failed */
  size_t sheaf_count, given;
  pthread_t caller;
  tokenizer_give *give; /* NULL: ids are only counted */
  void *arg;
  struct tokens joined; /* of a text that is no part of one sheaf as it is */
  atomic_bool stop;     /* something failed, which nothing behind it will be reported for */
  atomic_flag busy;     /* guards what follows */
  size_t failed;        /* the first piece that failed; SIZE_MAX: none */
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

static void fail(struct batch *b, size_t piece, const struct err *err) {
  lock(&b->busy);
  if (piece < b->failed) {
    b->failed = piece;
    b->err = *err;
  }
  atomic_flag_clear(&b->busy);
}

/* ---- sheaves ---- */

static struct sheaf *sheaf_take(struct tokenizer_team *team) {
  lock(&team->busy);
  struct sheaf *sheaf = team->spare;
  if (sheaf) team->spare = sheaf->next;
  atomic_flag_clear(&team->busy);
  if (!sheaf) sheaf = mem_zero(sizeof *sheaf);
  if (sheaf) tokens_reset(&sheaf->ids);
  return sheaf;
}

static void sheaf_leave(struct tokenizer_team *team, struct sheaf *sheaf) {
  lock(&team->busy);
  sheaf->next = team->spare;
  team->spare = sheaf;
  atomic_flag_clear(&team->busy);
}

/* ---- giving ---- */

static void put_added(struct tokens *out, const struct tokens *ids, uint64_t at, bool spans) {
  for (size_t i = 0; i < ids->count; i++) {
    if (spans) out->spans[out->count] = (struct token_span){at, at};
    out->ids[out->count++] = ids->ids[i];
  }
}

/* The piece's ids behind those of the pieces before it in its text. */
static int join(struct batch *b, const struct piece_of *p, const struct tokens *ids, bool first,
                bool last, struct err *err) {
  const struct tokens *head = &b->team->t->head, *tail = &b->team->t->tail;
  struct tokens *out = &b->joined;
  bool spans = b->flags & TOKENIZER_SPANS;
  if (first) tokens_reset(out);
  int rc = tokens_reserve(out, p->count + head->count + tail->count, spans, err);
  if (rc) return rc;
  if (first && b->special) put_added(out, head, 0, spans);
  if (p->count) memcpy(out->ids + out->count, ids->ids + p->at, p->count * sizeof *ids->ids);
  for (size_t i = 0; spans && i < p->count; i++) {
    struct token_span span = ids->spans[p->at + i];
    out->spans[out->count + i] = (struct token_span){span.start + p->from, span.end + p->from};
  }
  out->count += p->count;
  if (last && b->special) put_added(out, tail, b->texts[p->text].n, spans);
  return 0;
}

static int give_piece(struct batch *b, size_t i, const struct tokens *ids, struct err *err) {
  const struct piece_of *p = &b->pieces[i];
  bool first = i == 0 || p[-1].text != p->text;
  bool last = i + 1 == b->count || p[1].text != p->text;
  if (first && last && !b->special) {
    struct tokens part = {.ids = ids->ids ? ids->ids + p->at : NULL,
                          .spans = b->flags & TOKENIZER_SPANS ? ids->spans + p->at : NULL,
                          .count = p->count};
    return b->give(b->arg, p->text, &part, err);
  }
  int rc = join(b, p, ids, first, last, err);
  return !rc && last ? b->give(b->arg, p->text, &b->joined, err) : rc;
}

/* Gives what is ready. Only the calling thread does. */
static void give_ready(struct batch *b) {
  struct sheaf *sheaf;
  for (; b->given < b->sheaf_count && (sheaf = atomic_load(&b->sheaves[b->given])); b->given++) {
    size_t from = b->given * b->each, to = from + b->each;
    for (size_t i = from; i < to && i < b->count && !atomic_load(&b->stop); i++) {
      struct err err = {0};
      if (!give_piece(b, i, &sheaf->ids, &err)) continue;
      fail(b, i, &err);
      atomic_store(&b->stop, true);
    }
    atomic_store(&b->sheaves[b->given], NULL);
    sheaf_leave(b->team, sheaf);
  }
}

/* ---- encoding ---- */

static int lane_piece(struct batch *b, struct tokenizer_work *work, struct piece_of *p,
                      struct sheaf *sheaf, struct err *err) {
  const struct tokenizer *t = b->team->t;
  const char *s = b->texts[p->text].s + p->from;
  if (!sheaf) return tokenizer_count(t, work, s, p->n, b->flags, &p->count, err);
  p->at = sheaf->ids.count;
  int rc = tokenizer_encode(t, work, s, p->n, b->flags, &sheaf->ids, err);
  p->count = sheaf->ids.count - p->at;
  return rc;
}

/* The pieces of one sheaf. */
static void lane_sheaf(struct batch *b, struct tokenizer_work *work, size_t index) {
  struct sheaf *sheaf = b->give ? sheaf_take(b->team) : NULL;
  struct err err = {0};
  size_t from = index * b->each, to = from + b->each;
  int rc = b->give && !sheaf ? err_nomem(&err, sizeof *sheaf, "ids") : 0;
  for (size_t i = from; i < to && i < b->count; i++) {
    if (!rc) rc = lane_piece(b, work, &b->pieces[i], sheaf, &err);
    if (!rc) continue;
    fail(b, i, &err);
    atomic_store(&b->stop, true);
    if (sheaf) sheaf_leave(b->team, sheaf);
    return;
  }
  if (sheaf) atomic_store(&b->sheaves[index], sheaf);
}

/* After a failure no more are begun; those begun before are all of earlier texts, or not reported. */
static void lane_run(void *arg, size_t lane) {
  struct batch *b = arg;
  for (size_t i; !atomic_load(&b->stop) && (i = atomic_fetch_add(&b->next, 1)) < b->sheaf_count;) {
    lane_sheaf(b, b->team->works[lane], i);
    if (b->give && pthread_equal(pthread_self(), b->caller)) give_ready(b);
  }
}

static int cut_texts(struct batch *b, size_t texts, struct err *err) {
  int rc = 0;
  b->cap = texts + 16;
  b->pieces = mem_array(b->cap, sizeof *b->pieces);
  if (!b->pieces) return err_nomem(err, b->cap * sizeof *b->pieces, "texts");
  for (size_t i = 0; i < texts && !rc; i++) rc = cut_text(b, i, err);
  b->each = b->count / (b->team->count * 16) + 1;
  if (b->each > EACH) b->each = EACH;
  b->sheaf_count = (b->count + b->each - 1) / b->each;
  if (!rc && b->give && !(b->sheaves = mem_zeros(b->sheaf_count, sizeof *b->sheaves)))
    rc = err_nomem(err, b->sheaf_count * sizeof *b->sheaves, "texts");
  return rc;
}

static int share_cache(struct batch *b, size_t texts, struct err *err) {
  const struct tokenizer *t = b->team->t;
  size_t bytes = 0;
  if (b->team->count == 1) return 0;
  for (size_t i = 0; i < texts; i++) bytes += b->texts[i].n;
  if (cache_share(b->team->caches, b->team->count, t->vocab.size, t->bpe.ignore_merges, bytes))
    return 0;
  return err_nomem(err, 0, "word cache");
}

static int run(struct batch *b, size_t texts, struct err *err) {
  b->failed = SIZE_MAX;
  b->caller = pthread_self();
  int rc = cut_texts(b, texts, err);
  if (!rc) rc = share_cache(b, texts, err);
  if (!rc && pool_run(b->team->pool, b->team->count, lane_run, b) && b->failed == SIZE_MAX)
    rc = err_set(err, ERR_CANCELLED, "interrupted");
  if (!rc && b->give) give_ready(b);
  if (!rc && b->failed != SIZE_MAX) {
    if (err) *err = b->err;
    rc = b->err.code;
  }
  for (size_t i = b->given; b->sheaves && i < b->sheaf_count; i++) {
    struct sheaf *sheaf = atomic_load(&b->sheaves[i]);
    if (sheaf) sheaf_leave(b->team, sheaf);
  }
  mem_free(b->sheaves);
  tokens_clear(&b->joined);
  return rc;
}

/* ---- the calls ---- */

int tokenizer_encode_each(struct tokenizer_team *team, const struct tokenizer_text *texts, size_t n,
                          int flags, tokenizer_give *give, void *arg, struct err *err) {
  struct batch b = {.team = team,
                    .texts = texts,
                    .flags = flags & ~TOKENIZER_SPECIAL,
                    .special = flags & TOKENIZER_SPECIAL,
                    .give = give,
                    .arg = arg,
                    .busy = ATOMIC_FLAG_INIT};
  int rc = run(&b, n, err);
  mem_free(b.pieces);
  return rc;
}

struct collect {
  struct tokens *out;
  size_t *ends;
  bool spans;
};

static int collect(void *arg, size_t text, const struct tokens *ids, struct err *err) {
  struct collect *c = arg;
  int rc = tokens_reserve(c->out, ids->count, c->spans, err);
  if (rc) return rc;
  if (ids->count) {
    memcpy(c->out->ids + c->out->count, ids->ids, ids->count * sizeof *ids->ids);
    if (c->spans)
      memcpy(c->out->spans + c->out->count, ids->spans, ids->count * sizeof *ids->spans);
  }
  c->ends[text] = c->out->count += ids->count;
  return 0;
}

int tokenizer_encode_batch(struct tokenizer_team *team, const struct tokenizer_text *texts,
                           size_t n, int flags, struct tokens *out, size_t *ends, struct err *err) {
  struct collect c = {out, ends, flags & TOKENIZER_SPANS};
  tokens_reset(out);
  int rc = tokenizer_encode_each(team, texts, n, flags, collect, &c, err);
  if (rc) tokens_reset(out);
  return rc;
}

int tokenizer_count_batch(struct tokenizer_team *team, const struct tokenizer_text *texts, size_t n,
                          int flags, size_t *counts, struct err *err) {
  struct batch b = {.team = team,
                    .texts = texts,
                    .flags = flags & ~(TOKENIZER_SPECIAL | TOKENIZER_SPANS),
                    .busy = ATOMIC_FLAG_INIT};
  const struct tokenizer *t = team->t;
  int rc = run(&b, n, err);
  for (size_t i = 0; !rc && i < n; i++)
    counts[i] = flags & TOKENIZER_SPECIAL ? t->head.count + t->tail.count : 0;
  for (size_t i = 0; !rc && i < b.count; i++) counts[b.pieces[i].text] += b.pieces[i].count;
  mem_free(b.pieces);
  return rc;
}

/* SPDX-License-Identifier: MIT */
/* Using a model: logits, and answers a token at a time with a key-value cache.
 *
 * Prompts are answered in groups. A group's prompts are read in one packed pass; then every step is
 * a pass over one row for each answer that is not finished:
 *
 *   cache of a layer   │ prompt 1, answer 1, room │ prompt 2, answer 2, room │ …     [rows, k and
 * v]
 *
 * The draw of a token is a pure function of (seed, prompt, position), so an answer depends on
 * neither its neighbours' ends nor the number of threads.
 */
#include "model/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "base/rng.h"

#define GROUP      64   /* prompts answered together */
#define GROUP_ROWS 8192 /* tokens of their prompts, unless one alone has more */

int model_logits(struct model *m, const struct model_batch *b, struct tensor *out,
                 struct err *err) {
  struct run r;
  size_t shape[2] = {b->rows, m->config.vocab}, bytes = b->rows * m->config.vocab * sizeof(float);
  float *logits = NULL;
  *out = (struct tensor){0};
  int rc = model_batch_check(m, b, false, err);
  rc = rc ? rc : tensor_init(out, DTYPE_F32, 2, shape, err);
  if (!rc && !(logits = m->dev.alloc(&m->dev, bytes))) rc = err_nomem(err, bytes, "logits");
  rc = rc ? rc : model_pass(&r, m, b, false, NULL, NULL, err);
  if (!rc) {
    run_forward(&r);
    run_logits(&r, b->rows, r.xf, logits);
    rc = r.rc;
  }
  rc = rc ? rc : m->dev.copy_out(&m->dev, out->data, logits, bytes, err);
  m->dev.free(&m->dev, logits, bytes);
  if (rc) tensor_clear(out);
  return rc;
}

/* ---- choosing a token ---- */

struct candidate {
  float logit;
  int32_t id;
};

static int by_logit(const void *a, const void *b) {
  const struct candidate *x = a, *y = b;
  if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
  return (x->id > y->id) - (x->id < y->id);
}

static int32_t most_likely(const float *logits, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (logits[i] > logits[best]) best = i;
  return (int32_t)best;
}

/* Softmax over the first n candidates at that temperature, cut at top_p, then one draw u in [0, 1).
 */
static int32_t draw(const struct candidate *c, size_t n, const struct model_sampling *s, double u) {
  double sum = 0, kept = 0, run = 0;
  size_t last = 0;
  for (size_t i = 0; i < n; i++) sum += exp((c[i].logit - c[0].logit) / s->temperature);
  for (size_t i = 0; i < n; i++) {
    kept += exp((c[i].logit - c[0].logit) / s->temperature);
    last = i;
    if (kept >= s->top_p * sum) break;
  }
  for (size_t i = 0; i < last; i++) {
    run += exp((c[i].logit - c[0].logit) / s->temperature);
    if (u * kept < run) return c[i].id;
  }
  return c[last].id;
}

static int32_t choose(const float *logits, size_t vocab, const struct model_sampling *s,
                      struct candidate *scratch, uint64_t prompt, uint64_t position) {
  if (!(s->temperature > 0)) return most_likely(logits, vocab);
  for (size_t i = 0; i < vocab; i++) scratch[i] = (struct candidate){logits[i], (int32_t)i};
  qsort(scratch, vocab, sizeof *scratch, by_logit);
  size_t n = s->top_k && s->top_k < vocab ? s->top_k : vocab;
  double u = (double)(rng_at(s->seed, prompt, position) >> 11) * 0x1p-53;
  return draw(scratch, n, s, u);
}

/* ---- a group of prompts ---- */

struct group {
  struct model *m;
  const struct model_sampling *s;
  struct model_answer *answers;      /* of the group's first prompt */
  size_t n, first;                   /* prompts; number of the first */
  size_t rows;                       /* room in the cache */
  int32_t *cache_start, *len, *room; /* [n] */
  size_t active;
  size_t *who;                                                /* [active] prompts not finished */
  int32_t *tokens, *positions, *starts, *act_start, *act_len; /* one row each, [n] (+1) */
  float *kv, *last, *logits; /* device: cache, [n, hidden], [n, vocab] */
  float *host;               /* [n, vocab] */
  struct candidate *scratch; /* [vocab] */
};

static size_t kv_bytes(const struct group *g) {
  const struct model_config *c = &g->m->config;
  return c->layers * g->rows * 2 * model_kv_dim(c) * sizeof(float);
}

static void group_clear(struct group *g) {
  const struct model_config *c = &g->m->config;
  struct device *d = &g->m->dev;
  d->free(d, g->kv, kv_bytes(g));
  d->free(d, g->last, g->n * c->hidden * sizeof(float));
  d->free(d, g->logits, g->n * c->vocab * sizeof(float));
  mem_free(g->host);
  mem_free(g->scratch);
  mem_free(g->who);
  mem_free(g->cache_start);
}

static int group_alloc(struct group *g, struct err *err) {
  const struct model_config *c = &g->m->config;
  size_t n = g->n;
  int32_t *all = mem_zeros(8 * n + 1, sizeof *all);
  g->cache_start = all;
  g->who = mem_zeros(n, sizeof *g->who);
  g->host = mem_array(n * c->vocab, sizeof *g->host);
  g->scratch = mem_array(c->vocab, sizeof *g->scratch);
  if (!all || !g->who || !g->host || !g->scratch)
    return err_nomem(err, n * c->vocab * sizeof(float), "the answers");
  g->len = all + n;
  g->room = all + 2 * n;
  g->tokens = all + 3 * n;
  g->positions = all + 4 * n;
  g->act_start = all + 5 * n;
  g->act_len = all + 6 * n;
  g->starts = all + 7 * n;
  return 0;
}

/* Where each prompt lies in the cache and how far it may grow; then the memory on the device. */
static int group_place(struct group *g, const struct model_batch *b, struct err *err) {
  const struct model_config *c = &g->m->config;
  struct device *d = &g->m->dev;
  for (size_t i = 0; i < g->n; i++) {
    size_t len = (size_t)(b->starts[i + 1] - b->starts[i]);
    if (len >= c->max_positions)
      return err_set(err, ERR_LIMIT,
                     "prompt %zu has %zu tokens; the model takes %zu with the answer",
                     g->first + i + 1, len, c->max_positions);
    size_t room =
        c->max_positions - len < g->s->max_tokens ? c->max_positions - len : g->s->max_tokens;
    g->cache_start[i] = (int32_t)g->rows;
    g->len[i] = (int32_t)len;
    g->room[i] = (int32_t)room;
    g->rows += len + room;
    g->answers[i].tokens = mem_array(room, sizeof(int32_t));
    if (!g->answers[i].tokens) return err_nomem(err, room * sizeof(int32_t), "an answer");
  }
  g->kv = d->alloc(d, kv_bytes(g));
  g->last = d->alloc(d, g->n * c->hidden * sizeof(float));
  g->logits = d->alloc(d, g->n * c->vocab * sizeof(float));
  if (g->kv && g->last && g->logits) return 0;
  return err_nomem(err, kv_bytes(g), "the key-value cache");
}

static int logits_out(struct group *g, struct run *r, const float *x) {
  struct device *d = &g->m->dev;
  run_logits(r, g->active, x, g->logits);
  if (r->rc) return r->rc;
  return d->copy_out(d, g->host, g->logits, g->active * g->m->config.vocab * sizeof(float), r->err);
}

static int prefill(struct group *g, const struct model_batch *b, struct err *err) {
  struct device *d = &g->m->dev;
  size_t h = g->m->config.hidden;
  struct cache cache = {.kv = g->kv, .rows = g->rows, .start = g->cache_start, .len = g->len};
  struct run r;
  int rc = model_pass(&r, g->m, b, false, &cache, NULL, err);
  if (rc) return rc;
  run_forward(&r);
  for (size_t i = 0; i < g->n && !r.rc; i++)
    r.rc = d->copy(d, g->last + i * h, r.xf + (size_t)(b->starts[i + 1] - 1) * h, h * sizeof(float),
                   err);
  for (size_t i = 0; i < g->n; i++) g->who[i] = i;
  g->active = g->n;
  return r.rc ? r.rc : logits_out(g, &r, g->last);
}

/* Takes a token for every active answer; those that end leave. */
static int advance(struct group *g, struct err *err) {
  size_t vocab = g->m->config.vocab, kept = 0;
  for (size_t a = 0; a < g->active; a++) {
    size_t i = g->who[a];
    struct model_answer *answer = &g->answers[i];
    const float *logits = g->host + a * vocab;
    int32_t id = choose(logits, vocab, g->s, g->scratch, g->first + i, (uint64_t)g->len[i]);
    if (!isfinite(logits[id]))
      return err_set(err, ERR_MISMATCH, "the model's output is not a number (prompt %zu)",
                     g->first + i + 1);
    for (size_t k = 0; k < g->s->stops; k++)
      answer->stopped = answer->stopped || id == g->s->stop[k];
    if (answer->stopped) continue;
    answer->tokens[answer->count++] = id;
    if (answer->count >= (size_t)g->room[i]) continue;
    g->who[kept] = i;
    g->tokens[kept] = id;
    g->positions[kept] = g->len[i]++;
    g->act_start[kept] = g->cache_start[i];
    g->act_len[kept] = g->len[i];
    kept++;
  }
  g->active = kept;
  return 0;
}

static int step(struct group *g, struct err *err) {
  struct cache cache = {.kv = g->kv, .rows = g->rows, .start = g->act_start, .len = g->act_len};
  struct model_batch b = {
      .rows = g->active, .sequences = g->active, .tokens = g->tokens, .starts = g->starts};
  struct run r;
  for (size_t a = 0; a <= g->active; a++) g->starts[a] = (int32_t)a;
  int rc = model_pass(&r, g->m, &b, false, &cache, g->positions, err);
  if (rc) return rc;
  run_forward(&r);
  return logits_out(g, &r, r.xf);
}

static int answer_group(struct group *g, const struct model_batch *b, struct err *err) {
  int rc = group_alloc(g, err);
  rc = rc ? rc : group_place(g, b, err);
  rc = rc ? rc : prefill(g, b, err);
  rc = rc ? rc : advance(g, err);
  while (!rc && g->active) {
    rc = step(g, err);
    rc = rc ? rc : advance(g, err);
    rc = rc ? rc : cancel_check(err);
  }
  group_clear(g);
  return rc;
}

int model_generate(struct model *m, const struct model_batch *b, const struct model_sampling *s,
                   struct model_answer *answers, struct err *err) {
  memset(answers, 0, b->sequences * sizeof *answers);
  int rc = model_batch_check(m, b, false, err);
  if (!rc && !s->max_tokens) rc = err_set(err, ERR_MISUSE, "max_tokens must be at least 1");
  for (size_t first = 0, n; first < b->sequences && !rc; first += n) {
    int32_t starts[GROUP + 1] = {0};
    for (n = 0; n < GROUP && first + n < b->sequences; n++) {
      int32_t end = b->starts[first + n + 1] - b->starts[first];
      if (n && end > GROUP_ROWS) break;
      starts[n + 1] = end;
    }
    struct model_batch part = {.rows = (size_t)starts[n],
                               .sequences = n,
                               .tokens = b->tokens + b->starts[first],
                               .starts = starts};
    struct group g = {.m = m, .s = s, .answers = answers + first, .n = n, .first = first};
    rc = answer_group(&g, &part, err);
  }
  if (rc) model_answers_clear(answers, b->sequences);
  return rc;
}

void model_answers_clear(struct model_answer *answers, size_t count) {
  for (size_t i = 0; i < count; i++) {
    mem_free(answers[i].tokens);
    answers[i] = (struct model_answer){0};
  }
}

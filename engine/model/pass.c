/* SPDX-License-Identifier: MIT */
/* A pass over packed rows: the layout of activations, the way up and the way down.
 *
 *   region  tokens │ rope │ x₀ … x_L │ shared acts │ kept acts of layer 0 … │ backward's scratch
 *
 * Training keeps every x; using a model keeps two and swaps them. What else a layer keeps is
 * decided by model_checkpointing: a field of struct acts lies either in the layer's own block or in
 * the shared one. The region is kept between calls, because first touch of memory is slow.
 */
#include "model/internal.h"

#include "base/mem.h"

/* ---- layout ---- */

static void *take(struct run *r, size_t bytes) {
  void *p = r->base ? r->base + r->used : NULL;
  r->used += (bytes + 63) / 64 * 64;
  return p;
}

static float *take_rows(struct run *r, size_t width) {
  return take(r, r->rows * width * sizeof(float));
}

struct slots {
  char *base;
  size_t used;
};

static float *slot(struct slots *s, size_t floats) {
  float *p = s->base ? (float *)(s->base + s->used) : NULL;
  s->used += (floats * sizeof(float) + 63) / 64 * 64;
  return p;
}

/* Gives each field its place in the layer's own block or in the shared one. */
static void place_acts(const struct run *r, struct acts *a, struct slots *own,
                       struct slots *shared) {
  const struct model_config *c = &r->m->config;
  enum model_checkpointing keep = r->m->keep;
  struct slots *products = r->training && keep != MODEL_KEEP_INPUTS ? own : shared;
  struct slots *cheap = r->training && keep == MODEL_KEEP_ALL ? own : shared;
  size_t n = r->rows, h = c->hidden, q = model_q_dim(c);
  a->rstd1 = slot(products, n);
  a->rstd2 = slot(products, n);
  a->lse = slot(products, n * c->heads);
  a->qkv = slot(products, n * (q + 2 * model_kv_dim(c)));
  a->att = slot(products, n * q);
  a->mid = slot(products, n * h);
  a->gu = slot(products, n * 2 * c->ffn);
  for (int s = 0; s < SITE_COUNT; s++) {
    const struct adapter *lora = &r->m->layers[0].lora[s];
    a->u[s] = slot(products, n * lora->parts * lora->rank);
  }
  a->xn1 = slot(cheap, n * h);
  a->xn2 = slot(cheap, n * h);
  a->act = slot(cheap, n * c->ffn);
}

static void run_acts(const struct run *r, size_t layer, struct acts *a) {
  struct slots own = {r->kept ? (char *)r->kept + layer * r->kept_bytes : NULL, 0};
  struct slots shared = {(char *)r->shared, 0};
  place_acts(r, a, &own, &shared);
  a->x = run_x(r, layer);
}

float *run_x(const struct run *r, size_t layer) {
  size_t i = r->training ? layer : layer % 2;
  return at(r->x, i * r->rows * r->m->config.hidden);
}

static size_t widest(const struct model *m) {
  const struct model_config *c = &m->config;
  size_t q = model_q_dim(c), w = c->hidden > c->ffn ? c->hidden : c->ffn;
  return w > q ? w : q;
}

static void lay_out_backward(struct run *r) {
  const struct model_config *c = &r->m->config;
  size_t parts = 0;
  for (int s = 0; s < SITE_COUNT; s++) {
    const struct adapter *a = &r->m->layers[0].lora[s];
    if (a->parts * a->rank > parts) parts = a->parts * a->rank;
  }
  r->dx = take_rows(r, c->hidden);
  r->dxn = take_rows(r, c->hidden);
  r->dact = take_rows(r, c->ffn);
  r->dqkv = take_rows(r, model_q_dim(c) + 2 * model_kv_dim(c));
  r->datt = take_rows(r, model_q_dim(c));
  r->du = take_rows(r, parts);
  if (r->m->lora.dropout > 0) r->drop = take_rows(r, widest(r->m));
}

static void lay_out(struct run *r) {
  const struct model_config *c = &r->m->config;
  struct slots own = {0}, shared = {0};
  struct acts ignored;
  place_acts(r, &ignored, &own, &shared);
  r->kept_bytes = own.used;
  r->tokens = take(r, 2 * r->rows * sizeof(int32_t));
  r->rope = take_rows(r, c->head_dim);
  r->xf = take_rows(r, c->hidden);
  r->rstdf = take_rows(r, 1);
  r->x = take(r, (r->training ? c->layers + 1 : 2) * r->rows * c->hidden * sizeof(float));
  r->shared = take(r, shared.used);
  r->kept = take(r, own.used * c->layers);
  if (r->training) lay_out_backward(r);
}

/* ---- plan ---- */

static void plan_loss(struct run *r) {
  struct model *m = r->m;
  float some; /* any address: only its presence matters */
  struct loss_chunk op = {.rows = r->rows,
                          .d = m->config.hidden,
                          .vocab = m->config.vocab,
                          .head_type = m->head.type,
                          .head = m->head.w,
                          .hidden = NULL,
                          .dhidden = r->training ? &some : NULL,
                          .dhead = r->training ? m->head.grad : NULL};
  run_need(r, m->dev.loss_chunk_work(&m->dev, &op));
}

void run_plan(struct run *r, struct model *m, size_t rows, size_t sequences, bool training) {
  *r = (struct run){
      .m = m, .planning = true, .training = training, .rows = rows, .sequences = sequences};
  lay_out(r);
  run_forward(r);
  plan_loss(r);
  if (!training) run_logits(r, rows, NULL, NULL);
  if (training) run_backward(r);
}

/* ---- a batch that makes sense ---- */

static int tokens_check(const struct model *m, const struct model_batch *b, bool targets,
                        struct err *err) {
  int32_t vocab = (int32_t)m->config.vocab;
  for (size_t i = 0; i < b->rows; i++) {
    if (b->tokens[i] < 0 || b->tokens[i] >= vocab)
      return err_set(err, ERR_MISUSE, "token %d at row %zu is not in the vocabulary of %d",
                     b->tokens[i], i, vocab);
    if (targets && (b->targets[i] < -1 || b->targets[i] >= vocab))
      return err_set(err, ERR_MISUSE, "target %d at row %zu is not in the vocabulary of %d",
                     b->targets[i], i, vocab);
  }
  return 0;
}

int model_batch_check(const struct model *m, const struct model_batch *b, bool targets,
                      struct err *err) {
  if (!b->rows || !b->sequences) return err_set(err, ERR_MISUSE, "a batch without tokens");
  if (b->rows > INT32_MAX / 4) return err_set(err, ERR_LIMIT, "a batch of %zu tokens", b->rows);
  if (b->starts[0] != 0 || (size_t)b->starts[b->sequences] != b->rows)
    return err_set(err, ERR_MISUSE, "the sequences of a batch must cover its %zu tokens", b->rows);
  for (size_t s = 0; s < b->sequences; s++) {
    if (b->starts[s + 1] <= b->starts[s])
      return err_set(err, ERR_MISUSE, "sequence %zu of a batch is empty", s + 1);
    size_t n = (size_t)(b->starts[s + 1] - b->starts[s]);
    if (n > m->config.max_positions)
      return err_set(err, ERR_LIMIT, "sequence %zu has %zu tokens; the model takes %zu at most",
                     s + 1, n, m->config.max_positions);
  }
  return tokens_check(m, b, targets, err);
}

/* ---- run ---- */

static int rope_begin(struct run *r, const int32_t *positions, int32_t *scratch) {
  struct model *m = r->m;
  int32_t *device = r->tokens + r->rows;
  if (!positions) {
    for (size_t s = 0; s < r->sequences; s++)
      for (int32_t i = r->starts[s]; i < r->starts[s + 1]; i++) scratch[i] = i - r->starts[s];
    positions = scratch;
  }
  int rc = m->dev.copy_in(&m->dev, device, positions, r->rows * sizeof(int32_t), r->err);
  struct rope_table op = {.rows = r->rows,
                          .half = m->config.head_dim / 2,
                          .positions = device,
                          .inv_freq = m->inv_freq,
                          .scale = 1,
                          .table = r->rope};
  return rc ? rc : m->dev.rope_table(&m->dev, &op, r->err);
}

static int embed(struct run *r) {
  struct model *m = r->m;
  struct embed op = {.rows = r->rows,
                     .d = m->config.hidden,
                     .vocab = m->config.vocab,
                     .table_type = m->embed.type,
                     .ids = r->tokens,
                     .table = m->embed.w,
                     .y = run_x(r, 0)};
  return m->dev.embed(&m->dev, &op, r->err);
}

int model_pass(struct run *r, struct model *m, const struct model_batch *b, bool training,
               const struct cache *cache, const int32_t *positions, struct err *err) {
  struct run plan;
  run_plan(&plan, m, b->rows, b->sequences, training);
  *r = (struct run){.m = m,
                    .training = training,
                    .rows = b->rows,
                    .sequences = b->sequences,
                    .starts = b->starts,
                    .cache = cache,
                    .err = err};
  int rc = model_region(m, &m->acts, plan.used, "activations", err);
  rc = rc ? rc : model_region(m, &m->work, plan.work_need, "scratch memory", err);
  if (rc) return rc;
  r->base = m->acts.data;
  lay_out(r);
  int32_t *scratch = mem_array(r->rows, sizeof *scratch);
  if (!scratch) return err_nomem(err, r->rows * sizeof *scratch, "positions");
  rc = m->dev.copy_in(&m->dev, r->tokens, b->tokens, b->rows * sizeof(int32_t), err);
  rc = rc ? rc : rope_begin(r, positions, scratch);
  rc = rc ? rc : embed(r);
  mem_free(scratch);
  return r->rc = rc;
}

void run_forward(struct run *r) {
  size_t layers = r->m->config.layers;
  struct acts a;
  for (size_t l = 0; l < layers && !r->rc; l++) {
    run_acts(r, l, &a);
    layer_forward(r, l, &a, run_x(r, l + 1));
  }
  run_norm(r, run_x(r, layers), r->m->norm, r->xf, r->rstdf);
}

void run_logits(struct run *r, size_t rows, const float *x, float *logits) {
  run_linear(r, rows, x, r->m->config.hidden, &r->m->head, logits, r->m->config.vocab, 1, 0);
}

static void embed_backward(struct run *r) {
  struct model *m = r->m;
  struct embed_bwd op = {.rows = r->rows,
                         .d = m->config.hidden,
                         .vocab = m->config.vocab,
                         .ids = r->tokens,
                         .dy = r->dx,
                         .dtable = m->embed.grad};
  if (m->embed.grad && !r->rc && !r->planning) r->rc = m->dev.embed_bwd(&m->dev, &op, r->err);
}

void run_backward(struct run *r) {
  size_t layers = r->m->config.layers;
  struct acts a;
  run_norm_backward(r, run_x(r, layers), r->m->norm, r->rstdf, r->dxn, r->dx, r->m->dnorm, false);
  for (size_t l = layers; l-- > 0 && !r->rc;) {
    run_acts(r, l, &a);
    layer_backward(r, l, &a, r->dx);
  }
  embed_backward(r);
}

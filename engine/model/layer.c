/* SPDX-License-Identifier: MIT */
/* One block of the model, forward beside backward.
 *
 *   x ─┬─ norm1 ─ [q k v] ─ turn q, k ─ attention ─ o ─(+)─ mid ─┬─ norm2 ─ [gate up] ─ silu(g)·u ─
 * down ─(+)─ out └──────────────────────────────────────────────┘
 * └─────────────────────────────────────────┘
 *
 * Every product may carry adapters: y += scale · (x·Aᵀ)·Bᵀ. In the backward `dx` is the gradient of
 * the residual stream: it comes in as that of `out` and leaves as that of `x`. Gradients of weights
 * are added only where a weight has one.
 */
#include "model/internal.h"

#include <math.h>

static float lora_scale(const struct model *m) {
  double r = (double)m->lora.rank;
  return (float)(m->lora.alpha / (m->lora.rslora ? sqrt(r) : r));
}

static const struct adapter *adapter_of(const struct run *r, size_t l, enum site s) {
  const struct adapter *a = &r->m->layers[l].lora[s];
  return r->m->lora_on && a->parts ? a : NULL;
}

static bool drops(const struct run *r) {
  return r->training && r->m->lora.dropout > 0;
}

static struct matrix matrix_a(const struct adapter *a) {
  return (struct matrix){a->parts * a->rank, a->in, DTYPE_F32, a->a, a->da};
}
static struct matrix matrix_b(const struct adapter *a, size_t j) {
  return (struct matrix){a->part[j].out, a->rank, DTYPE_F32, a->part[j].b, a->part[j].db};
}

/* y = x·wᵀ with its adapters; x has w.in columns; u [rows, parts·rank] is kept for the backward. */
static void project(struct run *r, size_t l, enum site s, const float *x, float *y, float *u) {
  const struct matrix *w = &r->m->layers[l].w[s];
  const struct adapter *a = adapter_of(r, l, s);
  run_linear(r, r->rows, x, w->in, w, y, w->out, 1, 0);
  if (!a) return;
  if (drops(r)) run_dropout(r, l, s, w->in, x, r->drop), x = r->drop;
  struct matrix ma = matrix_a(a);
  run_linear(r, r->rows, x, w->in, &ma, u, ma.out, 1, 0);
  for (size_t j = 0; j < a->parts; j++) {
    struct matrix mb = matrix_b(a, j);
    run_linear(r, r->rows, at(u, j * a->rank), ma.out, &mb, at(y, a->part[j].column), w->out,
               lora_scale(r->m), 1);
  }
}

/* dx [rows, w.in] = (beta·dx +) gradient of x from dy, and gradients of weights and adapters. A
 * NULL dx is not wanted. */
static void project_backward(struct run *r, size_t l, enum site s, const float *x, const float *u,
                             const float *dy, float *dx, bool want_dx) {
  const struct matrix *w = &r->m->layers[l].w[s];
  const struct adapter *a = adapter_of(r, l, s);
  if (want_dx) run_linear_dx(r, dy, w->out, w, dx, w->in, 1, 0);
  run_linear_dw(r, dy, w->out, x, w->in, w, 1);
  if (!a) return;
  struct matrix ma = matrix_a(a);
  for (size_t j = 0; j < a->parts; j++) {
    struct matrix mb = matrix_b(a, j);
    const float *dyj = dy ? dy + a->part[j].column : NULL;
    run_linear_dx(r, dyj, w->out, &mb, at(r->du, j * a->rank), ma.out, lora_scale(r->m), 0);
    run_linear_dw(r, dyj, w->out, u ? u + j * a->rank : NULL, ma.out, &mb, lora_scale(r->m));
  }
  if (drops(r)) {
    run_dropout(r, l, s, w->in, x, r->drop);
    run_linear_dw(r, r->du, ma.out, r->drop, w->in, &ma, 1);
    if (!want_dx) return;
    run_linear_dx(r, r->du, ma.out, &ma, r->drop, w->in, 1, 0);
    run_dropout(r, l, s, w->in, r->drop, r->drop);
    run_add(r, w->in, r->drop, w->in, dx, w->in);
  } else {
    run_linear_dw(r, r->du, ma.out, x, w->in, &ma, 1);
    if (want_dx) run_linear_dx(r, r->du, ma.out, &ma, dx, w->in, 1, 1);
  }
}

/* ---- attention ---- */

static struct attention attention_of(const struct run *r, const struct acts *a) {
  const struct model_config *c = &r->m->config;
  size_t q = model_q_dim(c), kv = model_kv_dim(c), ld = q + 2 * kv;
  return (struct attention){.segments = r->sequences,
                            .heads = c->heads,
                            .kv_heads = c->kv_heads,
                            .dim = c->head_dim,
                            .scale = (float)(1.0 / sqrt((double)c->head_dim)),
                            .q_start = r->starts,
                            .q = a->qkv,
                            .k = at(a->qkv, q),
                            .v = at(a->qkv, q + kv),
                            .ldq = ld,
                            .ldk = ld,
                            .ldv = ld,
                            .o = a->att,
                            .ldo = q,
                            .lse = r->training ? a->lse : NULL,
                            .rows = r->rows};
}

/* The new rows' keys and values to the end of their sequences in the cache. */
static void cache_store(struct run *r, size_t l, const struct acts *a, float *kv) {
  const struct model_config *c = &r->m->config;
  struct device *d = &r->m->dev;
  size_t q = model_q_dim(c), w = 2 * model_kv_dim(c), ld = q + w;
  (void)l;
  for (size_t s = 0; s < r->sequences && !r->rc; s++) {
    size_t first = (size_t)r->starts[s], n = (size_t)r->starts[s + 1] - first;
    size_t row = (size_t)(r->cache->start[s] + r->cache->len[s]) - n;
    struct axpby op = {.rows = n,
                       .d = w,
                       .x = a->qkv + first * ld + q,
                       .ldx = ld,
                       .y = kv + row * w,
                       .ldy = w,
                       .alpha = 1};
    if (n == 1)
      r->rc = d->copy(d, op.y, op.x, w * sizeof(float), r->err);
    else
      r->rc = d->axpby(d, &op, r->err);
  }
}

static void attend(struct run *r, size_t l, const struct acts *a) {
  const struct model_config *c = &r->m->config;
  size_t kv = model_kv_dim(c);
  struct attention op = attention_of(r, a);
  if (r->planning || r->rc) return;
  if (r->cache) {
    float *base = r->cache->kv + l * r->cache->rows * 2 * kv;
    cache_store(r, l, a, base);
    op.k = base;
    op.v = base + kv;
    op.ldk = op.ldv = 2 * kv;
    op.k_start = r->cache->start;
    op.k_len = r->cache->len;
  }
  if (!r->rc) r->rc = r->m->dev.attention(&r->m->dev, &op, r->err);
}

static void attend_backward(struct run *r, const struct acts *a) {
  const struct model_config *c = &r->m->config;
  struct device *d = &r->m->dev;
  size_t q = model_q_dim(c), kv = model_kv_dim(c), ld = q + 2 * kv;
  struct attention_bwd op = {.f = attention_of(r, a),
                             .d_o = r->datt,
                             .ld_do = q,
                             .dq = r->dqkv,
                             .dk = at(r->dqkv, q),
                             .dv = at(r->dqkv, q + kv),
                             .lddq = ld,
                             .lddk = ld,
                             .lddv = ld};
  if (r->rc) return;
  if (r->planning) {
    run_need(r, d->attention_bwd_work(d, &op));
  } else {
    struct work w = run_work(r);
    r->rc = d->attention_bwd(d, &op, &w, r->err);
  }
}

/* ---- SwiGLU ---- */

static void gate(struct run *r, const struct acts *a) {
  struct device *d = &r->m->dev;
  size_t f = r->m->config.ffn;
  struct swiglu op = {.rows = r->rows,
                      .d = f,
                      .gate = a->gu,
                      .up = at(a->gu, f),
                      .ld_gate = 2 * f,
                      .ld_up = 2 * f,
                      .y = a->act,
                      .ld_y = f};
  if (!r->rc && !r->planning) r->rc = d->swiglu(d, &op, r->err);
}

/* In place: gu becomes its own gradient. */
static void gate_backward(struct run *r, const struct acts *a, const float *dact) {
  struct device *d = &r->m->dev;
  size_t f = r->m->config.ffn;
  struct swiglu_bwd op = {.rows = r->rows,
                          .d = f,
                          .gate = a->gu,
                          .up = at(a->gu, f),
                          .ld_gate = 2 * f,
                          .ld_up = 2 * f,
                          .dy = dact,
                          .ld_dy = f,
                          .dgate = a->gu,
                          .dup = at(a->gu, f),
                          .ld_dgate = 2 * f,
                          .ld_dup = 2 * f};
  if (!r->rc && !r->planning) r->rc = d->swiglu_bwd(d, &op, r->err);
}

/* ---- the block ---- */

void layer_forward(struct run *r, size_t l, const struct acts *a, float *x_out) {
  const struct model_config *c = &r->m->config;
  const struct layer *w = &r->m->layers[l];
  size_t h = c->hidden, q = model_q_dim(c), ld = q + 2 * model_kv_dim(c);
  run_norm(r, a->x, w->norm1, a->xn1, a->rstd1);
  project(r, l, SITE_ATTENTION, a->xn1, a->qkv, a->u[SITE_ATTENTION]);
  run_rope(r, a->qkv, c->heads, ld, false);
  run_rope(r, at(a->qkv, q), c->kv_heads, ld, false);
  attend(r, l, a);
  project(r, l, SITE_O, a->att, a->mid, a->u[SITE_O]);
  run_add(r, h, a->x, h, a->mid, h);
  run_norm(r, a->mid, w->norm2, a->xn2, a->rstd2);
  project(r, l, SITE_MLP, a->xn2, a->gu, a->u[SITE_MLP]);
  gate(r, a);
  project(r, l, SITE_DOWN, a->act, x_out, a->u[SITE_DOWN]);
  run_add(r, h, a->mid, h, x_out, h);
}

/* What was not kept is made again, by the operations that made it first. */
static void restore(struct run *r, size_t l, const struct acts *a) {
  const struct layer *w = &r->m->layers[l];
  if (r->m->keep == MODEL_KEEP_ALL) return;
  if (r->m->keep == MODEL_KEEP_INPUTS) {
    layer_forward(r, l, a, run_x(r, l + 1));
    return;
  }
  run_norm(r, a->x, w->norm1, a->xn1, a->rstd1);
  run_norm(r, a->mid, w->norm2, a->xn2, a->rstd2);
  gate(r, a);
}

void layer_backward(struct run *r, size_t l, const struct acts *a, float *dx) {
  const struct model_config *c = &r->m->config;
  const struct layer *w = &r->m->layers[l];
  size_t q = model_q_dim(c), ld = q + 2 * model_kv_dim(c);
  bool below = l > 0 || r->m->embed.grad; /* somebody wants the gradient of x */
  restore(r, l, a);
  project_backward(r, l, SITE_DOWN, a->act, a->u[SITE_DOWN], dx, r->dact, true);
  gate_backward(r, a, r->dact);
  project_backward(r, l, SITE_MLP, a->xn2, a->u[SITE_MLP], a->gu, r->dxn, true);
  run_norm_backward(r, a->mid, w->norm2, a->rstd2, r->dxn, dx, w->dnorm2, true);
  project_backward(r, l, SITE_O, a->att, a->u[SITE_O], dx, r->datt, true);
  attend_backward(r, a);
  run_rope(r, r->dqkv, c->heads, ld, true);
  run_rope(r, at(r->dqkv, q), c->kv_heads, ld, true);
  project_backward(r, l, SITE_ATTENTION, a->xn1, a->u[SITE_ATTENTION], r->dqkv, r->dxn, below);
  if (below) run_norm_backward(r, a->x, w->norm1, a->rstd1, r->dxn, dx, w->dnorm1, true);
}

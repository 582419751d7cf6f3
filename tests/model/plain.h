/* SPDX-License-Identifier: MIT */
/* The plain model: the whole of model/ in double precision, forward beside backward, made of the
 * operations of tensor/reference.h.
 *
 *   embed ─ x ─ block 0 … block L ─ norm ─ head ─ cross-entropy
 *   block:  x ─┬─ norm1 ─ q k v ─ turn q, k ─ attention ─ o ─(+)─ mid
 *              └──────────────────────────────────────────────┘
 *         mid ─┬─ norm2 ─ gate up ─ silu(g)·u ─ down ─(+)─ out
 *              └────────────────────────────────────────┘
 *
 * Every product may have an adapter. plain_gradients is analytic; the test first holds it to numeric
 * differentiation of plain_loss, then the engine to it: so that the engine's error is measured
 * against something far more exact than itself. Weights are found by the engine's names, so that a
 * tensor that lies in the wrong place is seen too. No part of the program; tests of model/ include it.
 */
#ifndef LATHE_TESTS_PLAIN_H
#define LATHE_TESTS_PLAIN_H

#include "tensor/reference.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/model.h"

struct plain { /* by index of model_tensor_at */
  struct model *m;
  struct model_config c;
  double **w, **dw; /* weights as the engine has them; gradients, added to */
  size_t count;
  const struct model_batch *b;
  double scale; /* of adapters */
  bool single;  /* rounds what every operation leaves to fp32, as the best fp32 engine would */
  /* Rows [rows, hidden]. */
  double *x, *dx; /* what the first block reads: an input of its own, not looked up; its gradient */
  int32_t *positions;
  double *inv_freq;
};

/* What a block leaves for its backward. */
struct plain_kept {
  double *x, *xn1, *q, *k, *v, *o, *mid, *xn2, *gate, *up, *act;
};

REF double *plain_zeros(size_t n) {
  return mem_zeros(n + 1, sizeof(double));
}

REF size_t plain_size(const struct plain *p, size_t i) {
  struct model_tensor info;
  model_tensor_at(p->m, i, &info);
  return info.shape[0] * info.shape[1];
}

/* What an operation leaves: as it is or, of an fp32 engine, rounded. */
REF void plain_leave(const struct plain *p, size_t width, double *y) {
  for (size_t i = 0; p->single && i < p->b->rows * width; i++) y[i] = (float)y[i];
}

/* Index of a tensor, or −1. */
__attribute__((format(printf, 2, 3), unused)) static ptrdiff_t plain_find(const struct plain *p,
                                                                          const char *format, ...) {
  char name[160];
  va_list args;
  va_start(args, format);
  vsnprintf(name, sizeof name, format, args);
  va_end(args);
  return model_tensor_find(p->m, name);
}

/* x = rows of the embedding. */
REF void plain_embed(struct plain *p) {
  ref_embed(p->b->rows, p->c.hidden, p->b->tokens, p->w[plain_find(p, "model.embed_tokens.weight")],
            p->x);
}

REF struct plain plain_new(struct model *m, const struct model_batch *b, double scale) {
  struct plain p = {
      .m = m, .c = *model_config(m), .count = model_tensors(m), .b = b, .scale = scale};
  p.w = mem_zeros(p.count, sizeof *p.w);
  p.dw = mem_zeros(p.count, sizeof *p.dw);
  for (size_t i = 0; i < p.count; i++) {
    struct tensor t;
    p.w[i] = plain_zeros(plain_size(&p, i));
    p.dw[i] = plain_zeros(plain_size(&p, i));
    if (model_tensor_read(m, i, &t, NULL)) continue;
    for (size_t k = 0; k < tensor_count(&t); k++) p.w[i][k] = ((float *)t.data)[k];
    tensor_clear(&t);
  }
  p.x = plain_zeros(b->rows * p.c.hidden);
  p.dx = plain_zeros(b->rows * p.c.hidden);
  p.positions = mem_zeros(b->rows, sizeof *p.positions);
  p.inv_freq = plain_zeros(p.c.head_dim / 2);
  for (size_t s = 0; s < b->sequences; s++)
    for (int32_t i = b->starts[s]; i < b->starts[s + 1]; i++) p.positions[i] = i - b->starts[s];
  for (size_t i = 0; i < p.c.head_dim / 2; i++) /* rounded once, as rope_inv_freq says */
    p.inv_freq[i] = (float)pow(p.c.rope_theta, -2.0 * (double)i / (double)p.c.head_dim);
  plain_embed(&p);
  return p;
}

REF void plain_free(struct plain *p) {
  for (size_t i = 0; i < p->count; i++) {
    mem_free(p->w[i]);
    mem_free(p->dw[i]);
  }
  mem_free(p->w);
  mem_free(p->dw);
  mem_free(p->x);
  mem_free(p->dx);
  mem_free(p->positions);
  mem_free(p->inv_freq);
}

/* ---- a product with its adapter ---- */

struct plain_projection {
  ptrdiff_t w, a, b; /* a, b: −1 without an adapter */
  size_t in, out, rank;
};

REF struct plain_projection plain_projection(const struct plain *p, size_t layer,
                                             const char *name) {
  struct model_tensor info;
  struct plain_projection j = {.w = plain_find(p, "model.layers.%zu.%s.weight", layer, name)};
  static const char adapter[] = "base_model.model.model.layers.%zu.%s.lora_%c.weight";
  j.a = plain_find(p, adapter, layer, name, 'A');
  j.b = plain_find(p, adapter, layer, name, 'B');
  model_tensor_at(p->m, (size_t)j.w, &info);
  j.out = info.shape[0];
  j.in = info.shape[1];
  j.rank = j.a < 0 ? 0 : model_lora(p->m)->rank;
  return j;
}

/* y [rows, out] = x·Wᵀ + scale·(x·Aᵀ)·Bᵀ */
REF void plain_project(const struct plain *p, size_t layer, const char *name, const double *x,
                       double *y) {
  struct plain_projection j = plain_projection(p, layer, name);
  size_t n = p->b->rows;
  ref_matmul(n, j.out, j.in, 1, x, false, p->w[j.w], true, 0, y);
  plain_leave(p, j.out, y);
  if (!j.rank) return;
  double *u = plain_zeros(n * j.rank);
  ref_matmul(n, j.rank, j.in, 1, x, false, p->w[j.a], true, 0, u);
  plain_leave(p, j.rank, u);
  ref_matmul(n, j.out, j.rank, p->scale, u, false, p->w[j.b], true, 1, y);
  plain_leave(p, j.out, y);
  mem_free(u);
}

/* dx = beta·dx + gradient of x. */
REF void plain_project_bwd(const struct plain *p, size_t layer, const char *name, const double *x,
                           const double *dy, double beta, double *dx) {
  struct plain_projection j = plain_projection(p, layer, name);
  size_t n = p->b->rows;
  ref_matmul(n, j.in, j.out, 1, dy, false, p->w[j.w], false, beta, dx);
  plain_leave(p, j.in, dx);
  ref_matmul(j.out, j.in, n, 1, dy, true, x, false, 1, p->dw[j.w]);
  if (!j.rank) return;
  double *u = plain_zeros(n * j.rank), *du = plain_zeros(n * j.rank);
  ref_matmul(n, j.rank, j.in, 1, x, false, p->w[j.a], true, 0, u);
  plain_leave(p, j.rank, u);
  ref_matmul(n, j.rank, j.out, p->scale, dy, false, p->w[j.b], false, 0, du);
  plain_leave(p, j.rank, du);
  ref_matmul(j.out, j.rank, n, p->scale, dy, true, u, false, 1, p->dw[j.b]);
  ref_matmul(j.rank, j.in, n, 1, du, true, x, false, 1, p->dw[j.a]);
  ref_matmul(n, j.in, j.rank, 1, du, false, p->w[j.a], false, 1, dx);
  plain_leave(p, j.in, dx);
  mem_free(u);
  mem_free(du);
}

/* ---- the block ---- */

static const char plain_norm1[] = "model.layers.%zu.input_layernorm.weight",
                  plain_norm2[] = "model.layers.%zu.post_attention_layernorm.weight";

REF struct ref_attention plain_attention(const struct plain *p) {
  return (struct ref_attention){.segments = p->b->sequences,
                                .heads = p->c.heads,
                                .kv_heads = p->c.kv_heads,
                                .dim = p->c.head_dim,
                                .scale = 1 / sqrt((double)p->c.head_dim),
                                .q_start = p->b->starts};
}

REF void plain_turn(const struct plain *p, bool inverse, double *q, double *k) {
  const struct model_config *c = &p->c;
  ref_rope(p->b->rows, c->heads, c->head_dim, p->positions, p->inv_freq, inverse, q);
  ref_rope(p->b->rows, c->kv_heads, c->head_dim, p->positions, p->inv_freq, inverse, k);
}

/* x [rows, hidden] becomes the block's output. Keep is filled; free it with plain_kept_free. */
REF struct plain_kept plain_block(const struct plain *p, size_t l, double *x) {
  const struct model_config *c = &p->c;
  size_t n = p->b->rows, h = c->hidden, q = model_q_dim(c), kv = model_kv_dim(c), f = c->ffn;
  struct plain_kept a;
  a.x = plain_zeros(n * (4 * h + 2 * q + 2 * kv + 3 * f));
  a.xn1 = a.x + n * h, a.mid = a.xn1 + n * h, a.xn2 = a.mid + n * h, a.q = a.xn2 + n * h;
  a.o = a.q + n * q, a.k = a.o + n * q, a.v = a.k + n * kv, a.gate = a.v + n * kv;
  a.up = a.gate + n * f, a.act = a.up + n * f;
  struct ref_attention attention = plain_attention(p);
  memcpy(a.x, x, n * h * sizeof *x);
  ref_rmsnorm(n, h, c->norm_eps, a.x, p->w[plain_find(p, plain_norm1, l)], a.xn1);
  plain_leave(p, h, a.xn1);
  plain_project(p, l, "self_attn.q_proj", a.xn1, a.q);
  plain_project(p, l, "self_attn.k_proj", a.xn1, a.k);
  plain_project(p, l, "self_attn.v_proj", a.xn1, a.v);
  plain_turn(p, false, a.q, a.k);
  plain_leave(p, q, a.q);
  plain_leave(p, kv, a.k);
  ref_attention(&attention, a.q, a.k, a.v, a.o);
  plain_leave(p, q, a.o);
  plain_project(p, l, "self_attn.o_proj", a.o, a.mid);
  for (size_t i = 0; i < n * h; i++) a.mid[i] += a.x[i];
  plain_leave(p, h, a.mid);
  ref_rmsnorm(n, h, c->norm_eps, a.mid, p->w[plain_find(p, plain_norm2, l)], a.xn2);
  plain_leave(p, h, a.xn2);
  plain_project(p, l, "mlp.gate_proj", a.xn2, a.gate);
  plain_project(p, l, "mlp.up_proj", a.xn2, a.up);
  ref_swiglu(n * f, a.gate, a.up, a.act);
  plain_leave(p, f, a.act);
  plain_project(p, l, "mlp.down_proj", a.act, x);
  for (size_t i = 0; i < n * h; i++) x[i] += a.mid[i];
  plain_leave(p, h, x);
  return a;
}

/* dx [rows, hidden]: gradient of the block's output, then of its input. */
REF void plain_block_bwd(const struct plain *p, size_t l, const struct plain_kept *a, double *dx) {
  const struct model_config *c = &p->c;
  size_t n = p->b->rows, h = c->hidden, q = model_q_dim(c), kv = model_kv_dim(c), f = c->ffn;
  double *all = plain_zeros(n * (2 * h + 2 * q + 2 * kv + 3 * f)), *dxn = all, *din = dxn + n * h;
  double *dq = din + n * h, *d_o = dq + n * q, *dk = d_o + n * q, *dv = dk + n * kv;
  double *dgate = dv + n * kv, *dup = dgate + n * f, *dact = dup + n * f;
  struct ref_attention attention = plain_attention(p);
  ptrdiff_t norm1 = plain_find(p, plain_norm1, l), norm2 = plain_find(p, plain_norm2, l);
  plain_project_bwd(p, l, "mlp.down_proj", a->act, dx, 0, dact);
  ref_swiglu_bwd(n * f, a->gate, a->up, dact, dgate, dup);
  plain_leave(p, f, dgate);
  plain_leave(p, f, dup);
  plain_project_bwd(p, l, "mlp.gate_proj", a->xn2, dgate, 0, dxn);
  plain_project_bwd(p, l, "mlp.up_proj", a->xn2, dup, 1, dxn);
  ref_rmsnorm_bwd(n, h, c->norm_eps, a->mid, p->w[norm2], dxn, din, p->dw[norm2]);
  for (size_t i = 0; i < n * h; i++) dx[i] += din[i];
  plain_leave(p, h, dx);
  plain_project_bwd(p, l, "self_attn.o_proj", a->o, dx, 0, d_o);
  ref_attention_bwd(&attention, a->q, a->k, a->v, d_o, dq, dk, dv);
  plain_leave(p, q, dq);
  plain_leave(p, kv, dk);
  plain_leave(p, kv, dv);
  plain_turn(p, true, dq, dk);
  plain_leave(p, q, dq);
  plain_leave(p, kv, dk);
  plain_project_bwd(p, l, "self_attn.q_proj", a->xn1, dq, 0, dxn);
  plain_project_bwd(p, l, "self_attn.k_proj", a->xn1, dk, 1, dxn);
  plain_project_bwd(p, l, "self_attn.v_proj", a->xn1, dv, 1, dxn);
  ref_rmsnorm_bwd(n, h, c->norm_eps, a->x, p->w[norm1], dxn, din, p->dw[norm1]);
  for (size_t i = 0; i < n * h; i++) dx[i] += din[i];
  plain_leave(p, h, dx);
  mem_free(all);
}

/* ---- the model ---- */

/* Loss from p->x; with `gradients` also dw (added to; of the embedding only the head's part) and
 * p->dx. */
REF double plain_from_x(struct plain *p, bool gradients) {
  const struct model_config *c = &p->c;
  size_t n = p->b->rows, h = c->hidden;
  ptrdiff_t norm = plain_find(p, "model.norm.weight"), head = plain_find(p, "lm_head.weight");
  if (head < 0) head = plain_find(p, "model.embed_tokens.weight");
  double *x = plain_zeros(3 * n * h), *xn = x + n * h, *dxn = xn + n * h;
  struct plain_kept *kept = mem_zeros(c->layers, sizeof *kept);
  memcpy(x, p->x, n * h * sizeof *x);
  for (size_t l = 0; l < c->layers; l++) kept[l] = plain_block(p, l, x);
  ref_rmsnorm(n, h, c->norm_eps, x, p->w[norm], xn);
  plain_leave(p, h, xn);
  double loss = ref_loss(n, h, c->vocab, xn, p->w[head], p->b->targets, 1, gradients ? dxn : NULL,
                         gradients ? p->dw[head] : NULL);
  if (gradients) {
    plain_leave(p, h, dxn);
    ref_rmsnorm_bwd(n, h, c->norm_eps, x, p->w[norm], dxn, p->dx, p->dw[norm]);
    plain_leave(p, h, p->dx);
    for (size_t l = c->layers; l-- > 0;) plain_block_bwd(p, l, &kept[l], p->dx);
  }
  for (size_t l = 0; l < c->layers; l++) mem_free(kept[l].x);
  mem_free(kept);
  mem_free(x);
  return loss;
}

/* A ref_function of the input of the first block: p->x as it is. */
REF double plain_loss_of_input(void *p) {
  return plain_from_x(p, false);
}

/* A ref_function of the weights. */
REF double plain_loss(void *p) {
  plain_embed(p);
  return plain_from_x(p, false);
}

/* Loss, and gradients of every weight into dw and of the first block's input into dx. */
REF double plain_gradients(struct plain *p) {
  plain_embed(p);
  double loss = plain_from_x(p, true);
  ref_embed_bwd(p->b->rows, p->c.hidden, p->b->tokens, p->dx,
                p->dw[plain_find(p, "model.embed_tokens.weight")]);
  return loss;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Device operations as a pass calls them: shapes taken from the run, errors sticky, and while
 * planning only the scratch memory counted. See internal.h. */
#include "model/internal.h"

void run_need(struct run *r, size_t bytes) {
  if (bytes > r->work_need) r->work_need = bytes;
}

struct work run_work(const struct run *r) {
  return (struct work){r->m->work.data, r->m->work.bytes};
}

static void product(struct run *r, const struct matmul *op) {
  struct device *d = &r->m->dev;
  if (r->rc) return;
  if (r->planning) {
    run_need(r, d->matmul_work(d, op));
  } else {
    struct work w = run_work(r);
    r->rc = d->matmul(d, op, &w, r->err);
  }
}

/* y = alpha·x·wᵀ + beta·y */
void run_linear(struct run *r, size_t rows, const float *x, size_t ldx, const struct matrix *w,
                float *y, size_t ldy, float alpha, float beta) {
  struct matmul op = {.m = rows,
                      .n = w->out,
                      .k = w->in,
                      .alpha = alpha,
                      .beta = beta,
                      .trans_b = true,
                      .a = x,
                      .lda = ldx,
                      .b = w->w,
                      .ldb = w->in,
                      .b_type = w->type,
                      .c = y,
                      .ldc = ldy};
  product(r, &op);
}

/* dx = alpha·dy·w + beta·dx */
void run_linear_dx(struct run *r, const float *dy, size_t lddy, const struct matrix *w, float *dx,
                   size_t lddx, float alpha, float beta) {
  struct matmul op = {.m = r->rows,
                      .n = w->in,
                      .k = w->out,
                      .alpha = alpha,
                      .beta = beta,
                      .a = dy,
                      .lda = lddy,
                      .b = w->w,
                      .ldb = w->in,
                      .b_type = w->type,
                      .c = dx,
                      .ldc = lddx};
  product(r, &op);
}

/* dw += alpha·dyᵀ·x */
void run_linear_dw(struct run *r, const float *dy, size_t lddy, const float *x, size_t ldx,
                   const struct matrix *w, float alpha) {
  struct matmul op = {.m = w->out,
                      .n = w->in,
                      .k = r->rows,
                      .alpha = alpha,
                      .beta = 1,
                      .trans_a = true,
                      .a = dy,
                      .lda = lddy,
                      .b = x,
                      .ldb = ldx,
                      .c = w->grad,
                      .ldc = w->in};
  if (w->grad || r->planning) product(r, &op);
}

void run_norm(struct run *r, const float *x, const float *w, float *y, float *rstd) {
  struct device *d = &r->m->dev;
  struct rmsnorm op = {.rows = r->rows,
                       .d = r->m->config.hidden,
                       .eps = (float)r->m->config.norm_eps,
                       .x = x,
                       .w = w,
                       .y = y,
                       .rstd = rstd};
  if (!r->rc && !r->planning) r->rc = d->rmsnorm(d, &op, r->err);
}

void run_norm_backward(struct run *r, const float *x, const float *w, const float *rstd,
                       const float *dy, float *dx, float *dw, bool add) {
  struct device *d = &r->m->dev;
  struct rmsnorm_bwd op = {.rows = r->rows,
                           .d = r->m->config.hidden,
                           .x = x,
                           .w = w,
                           .rstd = rstd,
                           .dy = dy,
                           .dx = dx,
                           .dw = dw,
                           .add_dx = add};
  if (r->rc) return;
  if (r->planning) {
    run_need(r, d->rmsnorm_bwd_work(d, &op));
  } else {
    struct work w_ = run_work(r);
    r->rc = d->rmsnorm_bwd(d, &op, &w_, r->err);
  }
}

void run_rope(struct run *r, float *x, size_t heads, size_t ld, bool inverse) {
  struct device *d = &r->m->dev;
  struct rope op = {.rows = r->rows,
                    .heads = heads,
                    .dim = r->m->config.head_dim,
                    .ld = ld,
                    .table = r->rope,
                    .x = x,
                    .inverse = inverse};
  if (!r->rc && !r->planning) r->rc = d->rope(d, &op, r->err);
}

/* y += x */
void run_add(struct run *r, size_t width, const float *x, size_t ldx, float *y, size_t ldy) {
  struct device *d = &r->m->dev;
  struct axpby op = {
      .rows = r->rows, .d = width, .x = x, .ldx = ldx, .y = y, .ldy = ldy, .alpha = 1, .beta = 1};
  if (!r->rc && !r->planning) r->rc = d->axpby(d, &op, r->err);
}

/* Rows are numbered within the optimiser step, so that a split into micro-batches changes nothing.
 */
void run_dropout(struct run *r, size_t layer, enum site site, size_t width, const float *x,
                 float *y) {
  struct model *m = r->m;
  struct dropout op = {.rows = r->rows,
                       .d = width,
                       .p = (float)m->lora.dropout,
                       .seed = m->lora.seed,
                       .step = m->steps,
                       .layer = (uint32_t)layer,
                       .site = (uint32_t)site,
                       .first_row = m->step_rows,
                       .x = x,
                       .ldx = width,
                       .y = y,
                       .ldy = width};
  if (!r->rc && !r->planning) r->rc = m->dev.dropout(&m->dev, &op, r->err);
}

/* SPDX-License-Identifier: MIT */
/* Every operation of the processor's device against the double-precision reference (1e-4 relative
 * in L2), every backward of the reference against numeric differentiation (1e-5), and the same bits
 * from pools of one, two and three threads. */
#include "support/test.h"
#include "tensor/reference.h"

#include "base/cancel.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tensor/device.h"

#include <stdio.h>

#define CLOSE 1e-4
#define GRAD  1e-5

static struct device cpu;
static struct rng rng;

/* A float array, its double twin, and room for a gradient of each. */
struct pair {
  float *f;
  double *d;
  size_t n;
};

static struct pair pair_new(size_t n) {
  struct pair p = {mem_zeros(n + 1, sizeof(float)), mem_zeros(n + 1, sizeof(double)), n};
  for (size_t i = 0; i < n; i++) p.d[i] = (double)(p.f[i] = (float)rng_normal(&rng));
  return p;
}
static struct pair pair_zero(size_t n) {
  return (struct pair){mem_zeros(n + 1, sizeof(float)), mem_zeros(n + 1, sizeof(double)), n};
}
static void pair_free(struct pair *p) {
  mem_free(p->f);
  mem_free(p->d);
}
static double pair_distance(const struct pair *p) {
  return ref_distance(p->f, p->d, p->n);
}
static double dot(const double *a, const double *b, size_t n) {
  double s = 0;
  for (size_t i = 0; i < n; i++) s += a[i] * b[i];
  return s;
}

static struct work work_new(size_t bytes) {
  return (struct work){mem_aligned(bytes), bytes};
}
static void work_free(struct work *w) {
  mem_free_aligned(w->data, w->bytes);
}

/* ---- products ---- */

static void one_product(size_t m, size_t n, size_t k, bool ta, bool tb, enum dtype type,
                        float beta) {
  size_t kk = type == DTYPE_Q8_0 ? (tb ? (k + 31) / 32 * 32 : k) : k;
  size_t nn = type == DTYPE_Q8_0 ? (tb ? n : (n + 31) / 32 * 32) : n;
  size_t b_rows = tb ? n : k, ldb = tb ? kk : nn;
  struct pair a = pair_new(m * k), c = pair_new(m * n), b = pair_zero(b_rows * ldb);
  struct pair tight = pair_zero(b_rows * (tb ? k : n));
  void *stored = mem_zeros(b_rows * ldb + 1, 4);
  if (type == DTYPE_Q8_0) {
    unsigned char *p = stored;
    for (size_t i = 0; i < b_rows * ldb / 32; i++, p += 34) {
      uint16_t scale = f16_from_f32(0.01f);
      memcpy(p, &scale, 2);
      for (int j = 0; j < 32; j++) p[2 + j] = (unsigned char)rng_below(&rng, 256);
    }
  } else {
    for (size_t i = 0; i < b.n; i++) b.f[i] = (float)rng_normal(&rng);
    dtype_from_f32(type, b.f, stored, b.n);
  }
  dtype_to_f32(type, stored, b.f, b.n);
  size_t cols = tb ? k : n;
  for (size_t r = 0; r < b_rows; r++)
    for (size_t i = 0; i < cols; i++) tight.d[r * cols + i] = (double)b.f[r * ldb + i];
  if (beta == 0) c.f[0] = NAN; /* must not be read */
  struct matmul op = {.m = m,
                      .n = n,
                      .k = k,
                      .alpha = 0.5f,
                      .beta = beta,
                      .trans_a = ta,
                      .trans_b = tb,
                      .b_type = type,
                      .a = a.f,
                      .lda = ta ? m : k,
                      .b = stored,
                      .ldb = ldb,
                      .c = c.f,
                      .ldc = n};
  struct work w = work_new(cpu.matmul_work(&cpu, &op));
  struct err err = {0};
  CHECK_INT(cpu.matmul(&cpu, &op, &w, &err), 0);
  ref_matmul(m, n, k, 0.5, a.d, ta, tight.d, tb, (double)beta, c.d);
  double far = pair_distance(&c);
  if (!(far < CLOSE))
    test_fail(__FILE__, __LINE__, "product %zu×%zu×%zu %d%d %s: %g off", m, n, k, ta, tb,
              dtype_info(type)->name, far);
  work_free(&w);
  mem_free(stored);
  pair_free(&a);
  pair_free(&b);
  pair_free(&c);
  pair_free(&tight);
}

static void products_agree(void) {
  static const size_t shapes[][3] = {{1, 1, 1},    {1, 70, 33},   {3, 5, 600},    {4, 129, 64},
                                     {5, 300, 17}, {70, 65, 130}, {257, 130, 31}, {64, 520, 48}};
  static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int form = 0; form < 4; form++)
      for (int t = 0; t < 4; t++)
        one_product(shapes[s][0], shapes[s][1], shapes[s][2], form & 1, form & 2, types[t],
                    (form + t) % 2 ? 1.0f : 0.0f);
}

static void products_without_rows_or_depth(void) {
  float c[4] = {1, 2, 3, 4}, one = 1;
  struct matmul op = {.m = 2,
                      .n = 2,
                      .k = 0,
                      .alpha = 1,
                      .beta = 0.5f,
                      .trans_b = true,
                      .a = &one,
                      .lda = 1,
                      .b = &one,
                      .ldb = 1,
                      .c = c,
                      .ldc = 2};
  CHECK_INT(cpu.matmul(&cpu, &op, NULL, NULL), 0);
  CHECK_CLOSE((double)c[3], 2.0, 0);
  op.m = 0;
  CHECK_INT(cpu.matmul(&cpu, &op, NULL, NULL), 0);
  struct err err;
  struct matmul big = {.m = 64,
                       .n = 64,
                       .k = 64,
                       .b_type = DTYPE_BF16,
                       .lda = 64,
                       .ldb = 64,
                       .ldc = 64,
                       .a = &one,
                       .b = &one,
                       .c = c};
  CHECK_INT(cpu.matmul(&cpu, &big, NULL, &err), ERR_MISUSE);
  big.b_type = DTYPE_I32;
  CHECK_INT(cpu.matmul(&cpu, &big, NULL, &err), ERR_UNSUPPORTED);
}

/* ---- rmsnorm ---- */

struct norm_case {
  size_t rows, d;
  double *x, *w, *y, *dy;
};
static double norm_value(void *arg) {
  struct norm_case *c = arg;
  ref_rmsnorm(c->rows, c->d, 1e-5, c->x, c->w, c->y);
  return dot(c->y, c->dy, c->rows * c->d);
}

static void one_norm(size_t rows, size_t d) {
  size_t n = rows * d;
  struct pair x = pair_new(n), w = pair_new(d), y = pair_zero(n), dy = pair_new(n);
  struct pair dx = pair_zero(n), dw = pair_new(d);
  double *dw0 = mem_zeros(d + 1, sizeof *dw0);
  float *rstd = mem_zeros(rows + 1, sizeof *rstd);
  struct rmsnorm op = {rows, d, 1e-5f, x.f, w.f, y.f, rstd};
  CHECK_INT(cpu.rmsnorm(&cpu, &op, NULL), 0);
  ref_rmsnorm(rows, d, 1e-5, x.d, w.d, y.d);
  CHECK_CLOSE(pair_distance(&y), 0, CLOSE);

  ref_rmsnorm_bwd(rows, d, 1e-5, x.d, w.d, dy.d, dx.d, dw0);
  struct norm_case c = {rows, d, x.d, w.d, y.d, dy.d};
  CHECK_CLOSE(ref_check_grad(norm_value, &c, x.d, n, dx.d), 0, GRAD);
  CHECK_CLOSE(ref_check_grad(norm_value, &c, w.d, d, dw0), 0, GRAD);
  for (size_t i = 0; i < d; i++) dw.d[i] += dw0[i];
  struct rmsnorm_bwd back = {rows, d, x.f, w.f, rstd, dy.f, dx.f, dw.f, false};
  struct work wk = work_new(cpu.rmsnorm_bwd_work(&cpu, &back));
  CHECK_INT(cpu.rmsnorm_bwd(&cpu, &back, &wk, NULL), 0);
  CHECK_CLOSE(pair_distance(&dx), 0, CLOSE);
  CHECK_CLOSE(pair_distance(&dw), 0, CLOSE);
  back.add_dx = true;
  back.dw = NULL;
  CHECK_INT(cpu.rmsnorm_bwd(&cpu, &back, NULL, NULL), 0);
  for (size_t i = 0; i < n; i++) dx.d[i] *= 2;
  CHECK_CLOSE(pair_distance(&dx), 0, CLOSE);
  work_free(&wk);
  mem_free(dw0);
  mem_free(rstd);
  struct pair *all[] = {&x, &w, &y, &dy, &dx, &dw};
  for (int i = 0; i < 6; i++) pair_free(all[i]);
}

static void rmsnorm_agrees(void) {
  one_norm(0, 8);
  one_norm(1, 2);
  one_norm(1, 7);
  one_norm(3, 16);
  one_norm(37, 50);
  one_norm(130, 256);
}

/* ---- rope ---- */

struct rope_case {
  size_t rows, heads, dim;
  const int32_t *positions;
  double *inv_freq, *x, *y, *dy;
};
static double rope_value(void *arg) {
  struct rope_case *c = arg;
  size_t n = c->rows * c->heads * c->dim;
  memcpy(c->y, c->x, n * sizeof *c->y);
  ref_rope(c->rows, c->heads, c->dim, c->positions, c->inv_freq, false, c->y);
  return dot(c->y, c->dy, n);
}

static void one_rope(size_t rows, size_t heads, size_t dim) {
  size_t n = rows * heads * dim;
  struct pair x = pair_new(n), dy = pair_new(n), scratch = pair_zero(n), freq = pair_zero(dim / 2);
  int32_t *positions = mem_zeros(rows + 1, sizeof *positions);
  float *table = mem_zeros(rows * dim + 1, sizeof *table);
  for (size_t t = 0; t < rows; t++) positions[t] = (int32_t)(t * 3);
  rope_inv_freq(10000, dim, freq.f);
  for (size_t i = 0; i < dim / 2; i++) freq.d[i] = (double)freq.f[i];
  struct rope_case c = {rows, heads, dim, positions, freq.d, x.d, scratch.d, dy.d};
  double *dx = mem_zeros(n + 1, sizeof *dx);
  memcpy(dx, dy.d, n * sizeof *dx);
  ref_rope(rows, heads, dim, positions, freq.d, true, dx);
  CHECK_CLOSE(ref_check_grad(rope_value, &c, x.d, n, dx), 0, GRAD);
  mem_free(dx);

  struct rope_table build = {rows, dim / 2, positions, freq.f, 1, table};
  CHECK_INT(cpu.rope_table(&cpu, &build, NULL), 0);
  struct rope op = {rows, heads, dim, heads * dim, table, x.f, false};
  CHECK_INT(cpu.rope(&cpu, &op, NULL), 0);
  ref_rope(rows, heads, dim, positions, freq.d, false, x.d);
  CHECK_CLOSE(pair_distance(&x), 0, CLOSE);
  op.x = dy.f;
  op.inverse = true;
  CHECK_INT(cpu.rope(&cpu, &op, NULL), 0);
  ref_rope(rows, heads, dim, positions, freq.d, true, dy.d);
  CHECK_CLOSE(pair_distance(&dy), 0, CLOSE);
  mem_free(positions);
  mem_free(table);
  struct pair *all[] = {&x, &dy, &scratch, &freq};
  for (int i = 0; i < 4; i++) pair_free(all[i]);
}

static void rope_agrees(void) {
  one_rope(1, 1, 2);
  one_rope(0, 2, 8);
  one_rope(11, 3, 10);
  one_rope(200, 2, 64);
}

/* ---- attention ---- */

struct attention_case {
  struct ref_attention a;
  double *q, *k, *v, *o, *d_o;
  size_t n;
};
static double attention_value(void *arg) {
  struct attention_case *c = arg;
  ref_attention(&c->a, c->q, c->k, c->v, c->o);
  return dot(c->o, c->d_o, c->n);
}

static void one_attention(const int32_t *start, size_t segments, size_t heads, size_t kv_heads,
                          size_t dim, size_t window) {
  size_t rows = (size_t)start[segments], qn = rows * heads * dim, kn = rows * kv_heads * dim;
  struct pair q = pair_new(qn), k = pair_new(kn), v = pair_new(kn), o = pair_zero(qn);
  struct pair d_o = pair_new(qn), dq = pair_zero(qn), dk = pair_zero(kn), dv = pair_zero(kn);
  float *lse = mem_zeros(rows * heads + 1, sizeof *lse);
  double scale = 1 / sqrt((double)dim);
  struct attention_case c = {
      {segments, heads, kv_heads, dim, window, (double)(float)scale, start, NULL, NULL},
      q.d,
      k.d,
      v.d,
      o.d,
      d_o.d,
      qn};
  ref_attention_bwd(&c.a, q.d, k.d, v.d, d_o.d, dq.d, dk.d, dv.d);
  if (rows < 60) {
    CHECK_CLOSE(ref_check_grad(attention_value, &c, q.d, qn, dq.d), 0, GRAD);
    CHECK_CLOSE(ref_check_grad(attention_value, &c, k.d, kn, dk.d), 0, GRAD);
    CHECK_CLOSE(ref_check_grad(attention_value, &c, v.d, kn, dv.d), 0, GRAD);
  }
  ref_attention(&c.a, q.d, k.d, v.d, o.d);

  struct attention op = {.segments = segments,
                         .heads = heads,
                         .kv_heads = kv_heads,
                         .dim = dim,
                         .scale = (float)scale,
                         .window = window,
                         .q_start = start,
                         .q = q.f,
                         .k = k.f,
                         .v = v.f,
                         .ldq = heads * dim,
                         .ldk = kv_heads * dim,
                         .ldv = kv_heads * dim,
                         .o = o.f,
                         .ldo = heads * dim,
                         .lse = lse,
                         .rows = rows};
  CHECK_INT(cpu.attention(&cpu, &op, NULL), 0);
  CHECK_CLOSE(pair_distance(&o), 0, CLOSE);
  struct attention_bwd back = {.f = op,
                               .d_o = d_o.f,
                               .ld_do = heads * dim,
                               .dq = dq.f,
                               .dk = dk.f,
                               .dv = dv.f,
                               .lddq = heads * dim,
                               .lddk = kv_heads * dim,
                               .lddv = kv_heads * dim};
  struct work w = work_new(cpu.attention_bwd_work(&cpu, &back));
  struct err err = {0};
  CHECK_INT(cpu.attention_bwd(&cpu, &back, &w, &err), 0);
  CHECK_CLOSE(pair_distance(&dq), 0, CLOSE);
  CHECK_CLOSE(pair_distance(&dk), 0, CLOSE);
  CHECK_CLOSE(pair_distance(&dv), 0, CLOSE);
  work_free(&w);
  mem_free(lse);
  struct pair *all[] = {&q, &k, &v, &o, &d_o, &dq, &dk, &dv};
  for (int i = 0; i < 8; i++) pair_free(all[i]);
}

static void attention_agrees(void) {
  static const int32_t one[] = {0, 1}, few[] = {0, 5, 5, 6, 23, 40}, empty[] = {0, 0, 0};
  static const int32_t large[] = {0, 1, 70, 70, 200, 333};
  one_attention(one, 1, 1, 1, 4, 0);
  one_attention(empty, 2, 2, 1, 4, 0);
  one_attention(few, 5, 4, 2, 6, 0);
  one_attention(few, 5, 2, 2, 5, 4);
  one_attention(few, 5, 6, 1, 8, 0);
  one_attention(large, 5, 4, 2, 16, 0);
  one_attention(large, 5, 2, 1, 24, 37);
}

static void attention_with_a_cache_equals_attention_at_once(void) {
  enum { ROWS = 150, HEADS = 4, KV = 2, DIM = 16, CAP = 160 };
  struct pair q = pair_new(ROWS * HEADS * DIM), k = pair_new(CAP * KV * DIM);
  struct pair v = pair_new(CAP * KV * DIM), o = pair_zero(ROWS * HEADS * DIM);
  int32_t whole[] = {0, ROWS};
  struct ref_attention r = {1, HEADS, KV, DIM, 0, 0.25, whole, NULL, NULL};
  ref_attention(&r, q.d, k.d, v.d, o.d);
  for (int32_t at = 0, n; at < ROWS; at += n) {
    n = at < 100 ? 50 : 1;
    int32_t start[] = {0, n}, k_start = 0, k_len = at + n;
    struct attention op = {.segments = 1,
                           .heads = HEADS,
                           .kv_heads = KV,
                           .dim = DIM,
                           .scale = 0.25f,
                           .q_start = start,
                           .k_start = &k_start,
                           .k_len = &k_len,
                           .q = q.f + at * HEADS * DIM,
                           .k = k.f,
                           .v = v.f,
                           .ldq = HEADS * DIM,
                           .ldk = KV * DIM,
                           .ldv = KV * DIM,
                           .o = o.f + at * HEADS * DIM,
                           .ldo = HEADS * DIM,
                           .rows = (size_t)n};
    CHECK_INT(cpu.attention(&cpu, &op, NULL), 0);
  }
  CHECK_CLOSE(pair_distance(&o), 0, CLOSE);
  struct pair *all[] = {&q, &k, &v, &o};
  for (int i = 0; i < 4; i++) pair_free(all[i]);
}

static void attention_refuses_what_is_malformed(void) {
  static const int32_t back[] = {0, 5, 3}, fine[] = {0, 5};
  static const int32_t few = 3, zero = 0;
  struct err err;
  struct attention op = {.segments = 2, .heads = 2, .kv_heads = 1, .dim = 8, .q_start = back};
  CHECK_INT(cpu.attention(&cpu, &op, &err), ERR_MISUSE);
  op = (struct attention){.segments = 1,
                          .heads = 2,
                          .kv_heads = 1,
                          .dim = 8,
                          .q_start = fine,
                          .k_start = &zero,
                          .k_len = &few};
  CHECK_INT(cpu.attention(&cpu, &op, &err), ERR_MISUSE);
  op.dim = 300;
  CHECK_INT(cpu.attention(&cpu, &op, &err), ERR_UNSUPPORTED);
}

/* ---- swiglu ---- */

struct glu_case {
  size_t n;
  double *gate, *up, *y, *dy;
};
static double glu_value(void *arg) {
  struct glu_case *c = arg;
  ref_swiglu(c->n, c->gate, c->up, c->y);
  return dot(c->y, c->dy, c->n);
}

static void one_glu(size_t rows, size_t d) {
  size_t n = rows * d;
  struct pair g = pair_new(n), u = pair_new(n), y = pair_zero(n), dy = pair_new(n);
  struct pair dg = pair_zero(n), du = pair_zero(n);
  for (size_t i = 0; i < n; i += 3) g.d[i] = (double)(g.f[i] *= 20);
  ref_swiglu_bwd(n, g.d, u.d, dy.d, dg.d, du.d);
  struct glu_case c = {n, g.d, u.d, y.d, dy.d};
  CHECK_CLOSE(ref_check_grad(glu_value, &c, g.d, n, dg.d), 0, GRAD);
  CHECK_CLOSE(ref_check_grad(glu_value, &c, u.d, n, du.d), 0, GRAD);
  ref_swiglu(n, g.d, u.d, y.d);
  struct swiglu op = {rows, d, g.f, u.f, d, d, y.f, d};
  CHECK_INT(cpu.swiglu(&cpu, &op, NULL), 0);
  CHECK_CLOSE(pair_distance(&y), 0, CLOSE);
  struct swiglu_bwd back = {rows, d, g.f, u.f, dy.f, d, d, d, dg.f, du.f, d, d};
  CHECK_INT(cpu.swiglu_bwd(&cpu, &back, NULL), 0);
  CHECK_CLOSE(pair_distance(&dg), 0, CLOSE);
  CHECK_CLOSE(pair_distance(&du), 0, CLOSE);
  back.dgate = g.f; /* in place */
  back.dup = u.f;
  CHECK_INT(cpu.swiglu_bwd(&cpu, &back, NULL), 0);
  CHECK_MEM(g.f, n * sizeof(float), dg.f, n * sizeof(float));
  CHECK_MEM(u.f, n * sizeof(float), du.f, n * sizeof(float));
  struct pair *all[] = {&g, &u, &y, &dy, &dg, &du};
  for (int i = 0; i < 6; i++) pair_free(all[i]);
}

static void swiglu_agrees(void) {
  one_glu(0, 5);
  one_glu(1, 1);
  one_glu(7, 33);
  one_glu(70, 768);
}

/* ---- embedding, bias ---- */

static void embedding_agrees(void) {
  enum { ROWS = 301, D = 33, VOCAB = 50 };
  struct pair table = pair_new(VOCAB * D), y = pair_zero(ROWS * D), dy = pair_new(ROWS * D);
  struct pair dt = pair_new(VOCAB * D);
  int32_t ids[ROWS];
  for (int i = 0; i < ROWS; i++) ids[i] = (int32_t)rng_below(&rng, VOCAB);
  struct embed op = {ROWS, D, VOCAB, DTYPE_F32, ids, table.f, y.f};
  CHECK_INT(cpu.embed(&cpu, &op, NULL), 0);
  ref_embed(ROWS, D, ids, table.d, y.d);
  CHECK_CLOSE(pair_distance(&y), 0, 0);
  struct embed_bwd back = {ROWS, D, VOCAB, ids, dy.f, dt.f};
  CHECK_INT(cpu.embed_bwd(&cpu, &back, NULL), 0);
  ref_embed_bwd(ROWS, D, ids, dy.d, dt.d);
  CHECK_CLOSE(pair_distance(&dt), 0, CLOSE);
  uint16_t half[VOCAB * D];
  dtype_from_f32(DTYPE_BF16, table.f, half, VOCAB * D);
  op.table_type = DTYPE_BF16;
  op.table = half;
  CHECK_INT(cpu.embed(&cpu, &op, NULL), 0);
  CHECK_CLOSE((double)y.f[5], (double)bf16_to_f32(half[ids[0] * D + 5]), 0);
  struct err err;
  ids[300] = VOCAB;
  CHECK_INT(cpu.embed(&cpu, &op, &err), ERR_MISUSE);
  CHECK_STR(err.message, "token 50 at position 300 is outside of the vocabulary of 50");
  CHECK_INT(cpu.embed_bwd(&cpu, &back, &err), ERR_MISUSE);
  struct pair *all[] = {&table, &y, &dy, &dt};
  for (int i = 0; i < 4; i++) pair_free(all[i]);
}

static void bias_agrees(void) {
  enum { ROWS = 133, D = 45 };
  struct pair y = pair_new(ROWS * D), b = pair_new(D), db = pair_new(D);
  for (size_t i = 0; i < D; i++)
    for (size_t t = 0; t < ROWS; t++) db.d[i] += y.d[t * D + i];
  struct bias_bwd back = {ROWS, D, y.f, D, db.f};
  struct work w = work_new(cpu.bias_bwd_work(&cpu, &back));
  CHECK_INT(cpu.bias_bwd(&cpu, &back, &w, NULL), 0);
  CHECK_CLOSE(pair_distance(&db), 0, CLOSE);
  struct bias op = {ROWS, D, b.f, y.f, D};
  CHECK_INT(cpu.bias(&cpu, &op, NULL), 0);
  for (size_t i = 0; i < y.n; i++) y.d[i] += b.d[i % D];
  CHECK_CLOSE(pair_distance(&y), 0, CLOSE);
  work_free(&w);
  struct pair *all[] = {&y, &b, &db};
  for (int i = 0; i < 3; i++) pair_free(all[i]);
}

/* ---- loss ---- */

struct loss_case {
  size_t rows, d, vocab;
  double *hidden, *head;
  int32_t *targets;
};
static double loss_value(void *arg) {
  struct loss_case *c = arg;
  return 0.25 * ref_loss(c->rows, c->d, c->vocab, c->hidden, c->head, c->targets, 0, NULL, NULL);
}

static void one_loss(size_t rows, size_t d, size_t vocab, size_t every, enum dtype type) {
  struct pair h = pair_new(rows * d), head = pair_new(vocab * d), dh = pair_new(rows * d);
  struct pair dhead = pair_new(vocab * d);
  int32_t *targets = mem_zeros(rows + 1, sizeof *targets);
  float *row_loss = mem_zeros(rows + 1, sizeof *row_loss);
  double *dhead0 = mem_zeros(vocab * d + 1, sizeof *dhead0);
  void *stored = mem_zeros(vocab * d + 1, 4);
  dtype_from_f32(type, head.f, stored, head.n);
  dtype_to_f32(type, stored, head.f, head.n);
  for (size_t i = 0; i < head.n; i++) head.d[i] = (double)head.f[i];
  size_t supervised = 0;
  for (size_t t = 0; t < rows; t++) {
    bool has = every && t % every == 0;
    targets[t] = has ? (int32_t)rng_below(&rng, vocab) : -1;
    supervised += has;
  }
  double loss = ref_loss(rows, d, vocab, h.d, head.d, targets, 0.25, dh.d, dhead0);
  if (rows * vocab < 4000) {
    struct loss_case c = {rows, d, vocab, h.d, head.d, targets};
    CHECK_CLOSE(ref_check_grad(loss_value, &c, h.d, h.n, dh.d), 0, GRAD);
    CHECK_CLOSE(ref_check_grad(loss_value, &c, head.d, head.n, dhead0), 0, GRAD);
  }
  for (size_t i = 0; i < head.n; i++) dhead.d[i] += dhead0[i];
  struct loss_chunk op = {.rows = rows,
                          .d = d,
                          .vocab = vocab,
                          .hidden = h.f,
                          .head_type = type,
                          .head = stored,
                          .targets = targets,
                          .grad_scale = 0.25f,
                          .dhidden = dh.f,
                          .dhead = dhead.f,
                          .row_loss = row_loss};
  struct work w = work_new(cpu.loss_chunk_work(&cpu, &op));
  struct err err = {0};
  CHECK_INT(cpu.loss_chunk(&cpu, &op, &w, &err), 0);
  CHECK_CLOSE(op.loss, loss, CLOSE * (loss + 1));
  CHECK_INT(op.supervised, supervised);
  CHECK_CLOSE(pair_distance(&dh), 0, CLOSE);
  CHECK_CLOSE(pair_distance(&dhead), 0, CLOSE);
  double sum = 0;
  for (size_t t = 0; t < rows; t++) sum += (double)row_loss[t];
  CHECK_CLOSE(sum, op.loss, 1e-6 * (loss + 1));
  op.dhidden = op.dhead = NULL;
  double with = op.loss;
  CHECK_INT(cpu.loss_chunk(&cpu, &op, &w, &err), 0);
  CHECK_CLOSE(op.loss, with, 0);
  work_free(&w);
  mem_free(targets);
  mem_free(row_loss);
  mem_free(dhead0);
  mem_free(stored);
  struct pair *all[] = {&h, &head, &dh, &dhead};
  for (int i = 0; i < 4; i++) pair_free(all[i]);
}

static void loss_agrees(void) {
  one_loss(1, 3, 1, 1, DTYPE_F32);
  one_loss(5, 8, 37, 2, DTYPE_F32);
  one_loss(20, 16, 130, 0, DTYPE_F32); /* nothing is supervised */
  one_loss(33, 12, 100, 1, DTYPE_BF16);
  one_loss(1100, 8, 70, 2, DTYPE_F16); /* more than one chunk */
}

static void loss_refuses_a_foreign_target(void) {
  float h[2] = {1, 2}, head[4] = {0};
  int32_t target = 2;
  struct loss_chunk op = {
      .rows = 1, .d = 2, .vocab = 2, .hidden = h, .head = head, .targets = &target};
  struct work w = work_new(cpu.loss_chunk_work(&cpu, &op));
  struct err err;
  CHECK_INT(cpu.loss_chunk(&cpu, &op, &w, &err), ERR_MISUSE);
  CHECK_STR(err.message, "target 2 of row 0 is outside of the vocabulary of 2");
  target = -5;
  CHECK_INT(cpu.loss_chunk(&cpu, &op, &w, &err), ERR_MISUSE);
  target = 1;
  h[0] = 1e30f; /* logits without bounds stay finite or become what they are, never crash */
  head[0] = 1e8f;
  CHECK_INT(cpu.loss_chunk(&cpu, &op, &w, &err), 0);
  work_free(&w);
}

/* ---- optimiser, reductions, elements ---- */

static void adamw_agrees(void) {
  enum { N = 20001 };
  struct pair p = pair_new(N), m = pair_zero(N), v = pair_zero(N), g = pair_new(N);
  for (unsigned step = 1; step <= 5; step++) {
    struct adamw op = {N, p.f, m.f, v.f, g.f, 3e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.5f, step};
    CHECK_INT(cpu.adamw(&cpu, &op, NULL), 0);
    ref_adamw(N, p.d, m.d, v.d, g.d, (double)3e-3f, (double)0.9f, (double)0.95f, 1e-8, (double)0.1f,
              0.5, step);
    CHECK_CLOSE(pair_distance(&p), 0, 1e-6);
    CHECK_CLOSE(pair_distance(&m), 0, 1e-6);
    CHECK_CLOSE(pair_distance(&v), 0, 1e-6);
    for (int i = 0; i < N; i++) g.d[i] = (double)(g.f[i] = g.f[i] * 0.7f + 0.01f);
  }
  struct adamw zero = {.n = 1, .step = 0};
  CHECK_INT(cpu.adamw(&cpu, &zero, NULL), ERR_MISUSE);
  struct pair *all[] = {&p, &m, &v, &g};
  for (int i = 0; i < 4; i++) pair_free(all[i]);
}

static double reduced(enum reduce_kind kind, const float *x, size_t n) {
  struct reduce op = {kind, n, x, 0};
  struct work w = work_new(cpu.reduce_work(&cpu, &op));
  CHECK_INT(cpu.reduce(&cpu, &op, &w, NULL), 0);
  work_free(&w);
  return op.result;
}

static void reductions_agree(void) {
  enum { N = 50003 };
  struct pair x = pair_new(N);
  double sum = 0, squares = 0, top = 0;
  for (int i = 0; i < N; i++) {
    sum += x.d[i];
    squares += x.d[i] * x.d[i];
    top = fabs(x.d[i]) > top ? fabs(x.d[i]) : top;
  }
  CHECK_CLOSE(reduced(REDUCE_SUM, x.f, N), sum, 1e-2);
  CHECK_CLOSE(reduced(REDUCE_SUM_SQUARES, x.f, N), squares, 1e-6 * squares);
  CHECK_CLOSE(reduced(REDUCE_MAX_ABS, x.f, N), top, 0);
  CHECK_CLOSE(reduced(REDUCE_SUM, x.f, 0), 0, 0);
  x.f[N / 2] = NAN;
  CHECK(isnan(reduced(REDUCE_SUM_SQUARES, x.f, N)) && isnan(reduced(REDUCE_MAX_ABS, x.f, N)));
  pair_free(&x);
}

static void elements_agree(void) {
  enum { N = 40000 };
  struct pair x = pair_new(N), y = pair_new(N);
  struct axpby op = {200, 100, x.f, 200, y.f, 200, 2, 0.5f};
  CHECK_INT(cpu.axpby(&cpu, &op, NULL), 0);
  for (int i = 0; i < N; i++)
    if (i % 200 < 100) y.d[i] = 2 * x.d[i] + 0.5 * y.d[i];
  CHECK_CLOSE(pair_distance(&y), 0, 1e-6);
  struct axpby row = {1, N, NULL, 0, y.f, N, 0, 3};
  CHECK_INT(cpu.axpby(&cpu, &row, NULL), 0);
  for (int i = 0; i < N; i++) y.d[i] *= 3;
  CHECK_CLOSE(pair_distance(&y), 0, 1e-6);
  y.f[7] = NAN;
  struct axpby copy = {1, N, x.f, N, y.f, N, 1, 0};
  CHECK_INT(cpu.axpby(&cpu, &copy, NULL), 0);
  CHECK_MEM(y.f, N * sizeof(float), x.f, N * sizeof(float));
  struct fill fill = {N - 1, y.f, -1.5f};
  CHECK_INT(cpu.fill(&cpu, &fill, NULL), 0);
  CHECK(y.f[0] == -1.5f && y.f[N - 2] == -1.5f && y.f[N - 1] == x.f[N - 1]);
  fill.value = 0;
  CHECK_INT(cpu.fill(&cpu, &fill, NULL), 0);
  CHECK(y.f[N - 2] == 0);
  pair_free(&x);
  pair_free(&y);
}

static void dropout_depends_on_its_place_only(void) {
  enum { ROWS = 64, D = 501 };
  struct pair x = pair_new(ROWS * D);
  float *y = mem_zeros(ROWS * D, sizeof *y), *z = mem_zeros(ROWS * D, sizeof *z);
  struct dropout op = {.rows = ROWS,
                       .d = D,
                       .p = 0.25f,
                       .seed = 7,
                       .step = 3,
                       .layer = 2,
                       .site = 1,
                       .first_row = 10,
                       .x = x.f,
                       .ldx = D,
                       .y = y,
                       .ldy = D};
  CHECK_INT(cpu.dropout(&cpu, &op, NULL), 0);
  size_t dropped = 0;
  for (size_t i = 0; i < ROWS * D; i++) {
    if (y[i] == 0)
      dropped++;
    else
      CHECK_CLOSE((double)y[i], x.d[i] / 0.75, 1e-5 * fabs(x.d[i]) + 1e-7);
  }
  CHECK_CLOSE((double)dropped / (ROWS * D), 0.25, 0.01);
  op.rows = 1; /* one row by itself, at its own place */
  op.first_row = 10 + 5;
  op.x = x.f + 5 * D;
  op.y = z;
  CHECK_INT(cpu.dropout(&cpu, &op, NULL), 0);
  CHECK_MEM(z, D * sizeof *z, y + 5 * D, D * sizeof *z);
  op.site = 2;
  CHECK_INT(cpu.dropout(&cpu, &op, NULL), 0);
  CHECK(memcmp(z, y + 5 * D, D * sizeof *z) != 0);
  op.p = 1;
  CHECK_INT(cpu.dropout(&cpu, &op, NULL), ERR_MISUSE);
  mem_free(y);
  mem_free(z);
  pair_free(&x);
}

/* ---- any number of threads ---- */

enum { T_ROWS = 300, T_D = 96, T_HEADS = 6, T_KV = 2, T_DIM = 16, T_VOCAB = 333 };

/* One step through every operation; all outputs lie in `out`. Returns how many floats. */
static size_t everything(struct device *d, const float *in, float *out) {
  static const int32_t start[] = {0, 70, 71, 71, 300};
  const float *x = in, *w = in + T_ROWS * T_D, *dy = w + T_VOCAB * T_D;
  float *y = out, *rstd = y + T_ROWS * T_D, *lse = rstd + T_ROWS, *dw = lse + T_ROWS * T_HEADS;
  float *dx = dw + T_VOCAB * T_D, *kv = dx + T_ROWS * T_D, *end = kv + T_ROWS * T_D;
  int32_t targets[T_ROWS], ids[T_ROWS];
  for (int i = 0; i < T_ROWS; i++) {
    ids[i] = i * 7 % T_VOCAB;
    targets[i] = i % 3 ? ids[i] : -1;
  }
  struct work work = work_new(16 << 20);
  struct rmsnorm norm = {T_ROWS, T_D, 1e-5f, x, w, y, rstd};
  CHECK_INT(d->rmsnorm(d, &norm, NULL), 0);
  struct matmul product = {.m = T_D,
                           .n = T_D,
                           .k = T_ROWS,
                           .alpha = 1,
                           .trans_a = true,
                           .a = y,
                           .lda = T_D,
                           .b = x,
                           .ldb = T_D,
                           .c = dw,
                           .ldc = T_D};
  CHECK_INT(d->matmul(d, &product, &work, NULL), 0);
  struct attention a = {.segments = 4,
                        .heads = T_HEADS,
                        .kv_heads = T_KV,
                        .dim = T_DIM,
                        .scale = 0.25f,
                        .q_start = start,
                        .q = x,
                        .k = w,
                        .v = w + T_KV * T_DIM,
                        .ldq = T_D,
                        .ldk = T_D,
                        .ldv = T_D,
                        .o = y,
                        .ldo = T_D,
                        .lse = lse,
                        .rows = T_ROWS};
  CHECK_INT(d->attention(d, &a, NULL), 0);
  struct attention_bwd ab = {.f = a,
                             .d_o = dy,
                             .ld_do = T_D,
                             .dq = dx,
                             .dk = kv,
                             .dv = kv + T_KV * T_DIM,
                             .lddq = T_D,
                             .lddk = T_D,
                             .lddv = T_D};
  CHECK_INT(d->attention_bwd(d, &ab, &work, NULL), 0);
  struct rmsnorm_bwd nb = {T_ROWS, T_D, x, w, rstd, dy, dx, dw, true};
  CHECK_INT(d->rmsnorm_bwd(d, &nb, &work, NULL), 0);
  struct loss_chunk loss = {.rows = T_ROWS,
                            .d = T_D,
                            .vocab = T_VOCAB,
                            .hidden = y,
                            .head = w,
                            .targets = targets,
                            .grad_scale = 0.01f,
                            .dhidden = dx,
                            .dhead = dw};
  CHECK_INT(d->loss_chunk(d, &loss, &work, NULL), 0);
  struct embed_bwd eb = {T_ROWS, T_D, T_VOCAB, ids, dx, dw};
  CHECK_INT(d->embed_bwd(d, &eb, NULL), 0);
  struct bias_bwd bb = {T_ROWS, T_D, dx, T_D, dw};
  CHECK_INT(d->bias_bwd(d, &bb, &work, NULL), 0);
  struct reduce r = {REDUCE_SUM_SQUARES, T_VOCAB * T_D, dw, 0};
  CHECK_INT(d->reduce(d, &r, &work, NULL), 0);
  double more[2] = {loss.loss, r.result};
  memcpy(end, more, sizeof more);
  work_free(&work);
  return (size_t)(end - out) + 2 * sizeof(double) / sizeof(float);
}

static void bits_do_not_depend_on_threads(void) {
  size_t in_size = T_ROWS * T_D * 2 + T_VOCAB * T_D, n = 0;
  struct pair in = pair_new(in_size);
  size_t room = (size_t)T_ROWS * T_D * 4 + (size_t)T_VOCAB * T_D + T_ROWS * (T_HEADS + 2) + 64;
  float *first = mem_zeros(room, sizeof *first), *other = mem_zeros(room, sizeof *other);
  for (unsigned threads = 1; threads <= 3; threads++) {
    struct pool *pool;
    struct device d;
    REQUIRE(!pool_new(&pool, threads, NULL) && !device_cpu(&d, pool, NULL));
    memset(other, 0, room * sizeof *other);
    n = everything(&d, in.f, threads == 1 ? first : other);
    if (threads > 1) CHECK(!memcmp(first, other, n * sizeof *first));
    device_close(&d);
    pool_free(pool);
  }
  mem_free(first);
  mem_free(other);
  pair_free(&in);
}

/* The same bits from every kernel set that this processor has. */
static void bits_do_not_depend_on_the_kernel_set(void) {
  static const char *const sets[] = {"base", "avx2", "avx512"};
  size_t room = (size_t)T_ROWS * T_D * 4 + (size_t)T_VOCAB * T_D + T_ROWS * (T_HEADS + 2) + 64;
  struct pair in = pair_new(T_ROWS * T_D * 2 + T_VOCAB * T_D);
  float *first = mem_zeros(room, sizeof *first), *other = mem_zeros(room, sizeof *other);
  struct device d;
  struct err err;
  REQUIRE(!device_cpu(&d, NULL, &err));
  CHECK_INT(device_cpu_kernels(&d, "mmx", &err), ERR_UNSUPPORTED);
  for (int i = 0; i < 3; i++) {
    if (device_cpu_kernels(&d, sets[i], &err)) continue;
    memset(other, 0, room * sizeof *other);
    size_t n = everything(&d, in.f, i ? other : first);
    if (i) CHECK(!memcmp(first, other, n * sizeof *first));
  }
  device_close(&d);
  mem_free(first);
  mem_free(other);
  pair_free(&in);
}

/* ---- the device itself ---- */

static void weights_are_kept_or_decoded(void) {
  struct tensor t, bf;
  struct weight w;
  size_t shape[] = {5, 33};
  REQUIRE(!tensor_init(&t, DTYPE_F32, 2, shape, NULL));
  for (int i = 0; i < 5 * 33; i++) ((float *)t.data)[i] = (float)i;
  REQUIRE(!tensor_convert(&bf, &t, DTYPE_BF16, NULL));
  CHECK_INT(weight_prepare_bytes(&cpu, &bf, WEIGHT_KEEP), 0);
  CHECK_INT(weight_prepare_bytes(&cpu, &bf, WEIGHT_DECODE), 5 * 33 * 4);
  CHECK_INT(weight_prepare(&cpu, &bf, WEIGHT_KEEP, &w, NULL), 0);
  CHECK(w.data == bf.data && w.dtype == DTYPE_BF16 && w.rows == 5 && w.cols == 33 && !w.owned);
  weight_clear(&cpu, &w);
  CHECK_INT(weight_prepare(&cpu, &bf, WEIGHT_DECODE, &w, NULL), 0);
  CHECK(w.dtype == DTYPE_F32 && ((const float *)w.data)[164] == 164);
  weight_clear(&cpu, &w);
  weight_clear(&cpu, &w);
  tensor_clear(&t);
  size_t one[] = {3};
  REQUIRE(!tensor_init(&t, DTYPE_I32, 1, one, NULL));
  CHECK_INT(weight_prepare(&cpu, &t, WEIGHT_KEEP, &w, NULL), ERR_UNSUPPORTED);
  tensor_clear(&t);
  tensor_clear(&bf);
}

static void an_interrupt_ends_an_operation(void) {
  float y[4] = {0};
  struct err err = {0};
  struct fill op = {4, y, 1};
  cancel_request();
  CHECK_INT(cpu.fill(&cpu, &op, &err), ERR_CANCELLED);
  CHECK_STR(err.message, "interrupted");
  cancel_clear();
  CHECK_INT(cpu.fill(&cpu, &op, &err), 0);
}

static void blas_says_what_it_is(void) {
  struct blas_info info;
  struct err err = {0};
  CHECK_INT(device_cpu_blas(&info, &err), 0);
  CHECK(strstr(info.config, "OpenBLAS") && info.core[0]);
}

int main(void) {
  struct pool *pool;
  struct err err = {0};
  rng_seed(&rng, 11);
  if (pool_new(&pool, 2, &err) || device_cpu(&cpu, pool, &err)) {
    printf("not ok %s: %s\n", __FILE__, err.message);
    return 1;
  }
  TEST(products_agree);
  TEST(products_without_rows_or_depth);
  TEST(rmsnorm_agrees);
  TEST(rope_agrees);
  TEST(attention_agrees);
  TEST(attention_with_a_cache_equals_attention_at_once);
  TEST(attention_refuses_what_is_malformed);
  TEST(swiglu_agrees);
  TEST(embedding_agrees);
  TEST(bias_agrees);
  TEST(loss_agrees);
  TEST(loss_refuses_a_foreign_target);
  TEST(adamw_agrees);
  TEST(reductions_agree);
  TEST(elements_agree);
  TEST(dropout_depends_on_its_place_only);
  TEST(bits_do_not_depend_on_threads);
  TEST(bits_do_not_depend_on_the_kernel_set);
  TEST(weights_are_kept_or_decoded);
  TEST(an_interrupt_ends_an_operation);
  TEST(blas_says_what_it_is);
  device_close(&cpu);
  device_close(&cpu);
  pool_free(pool);
  return test_done();
}

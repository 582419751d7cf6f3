/* SPDX-License-Identifier: MIT */
/* Matrix products.
 *
 * C is cut into tiles by its shape alone; each tile is one single-threaded OpenBLAS call over the
 * whole of K, so that every element is one sum in one order:
 *
 *          n ►
 *      ┌────┬────┬──┐     256 × 256 at most; halved (down to 64) until there are MIN_TILES, so that
 *   m  │ 0  │ 1  │ 2│     the products of a small model keep several cores busy
 *   ▼  ├────┼────┼──┤
 *      │ 3  │ 4  │ 5│
 *      └────┴────┴──┘
 *
 * A stored weight (BF16, F16, Q8_0) is decoded panel by panel into the workspace: rows of B are
 * decoded on the pool, then multiplied. With B[n,k] a panel is a strip of columns of C; with B[k,n]
 * it is a part of K, added to C in order.
 *
 * Up to SKINNY rows of A with B[n,k] (generation) are memory-bound: then each element is a dot
 * product, and the row of B is decoded in a small buffer just before it is used.
 */
#include "tensor/cpu/cpu.h"
#include "tensor/kernel.h"

#define TILE         256
#define TILE_LEAST   64
#define MIN_TILES    8
#define PANEL_FLOATS ((size_t)2 << 20) /* 8 MiB: stays in the outer caches */
#define SKINNY       4
#define SKINNY_TASK  65536 /* elements of B: below that a task costs more than it gains */
#define SKINNY_CHUNK 512   /* a multiple of every block */

struct tiles {
  const struct blas *blas;
  struct matmul op;
  size_t tile_m, tile_n, across;
};

static void choose_tiles(struct tiles *t) {
  size_t m = TILE, n = TILE;
  for (;;) {
    size_t count = ceil_div(t->op.m, m) * ceil_div(t->op.n, n);
    bool can_m = m > TILE_LEAST && t->op.m > m / 2, can_n = n > TILE_LEAST && t->op.n > n / 2;
    if (count >= MIN_TILES || (!can_m && !can_n)) break;
    if (can_m && (m >= n || !can_n))
      m /= 2;
    else
      n /= 2;
  }
  t->tile_m = m;
  t->tile_n = n;
  t->across = ceil_div(t->op.n, n);
}

static void tile(void *arg, size_t index) {
  const struct tiles *t = arg;
  const struct matmul *op = &t->op;
  size_t i = index / t->across * t->tile_m, j = index % t->across * t->tile_n;
  size_t m = size_min(t->tile_m, op->m - i), n = size_min(t->tile_n, op->n - j);
  const float *a = op->a + (op->trans_a ? i : i * op->lda);
  const float *b = (const float *)op->b + (op->trans_b ? j * op->ldb : j);
  t->blas->sgemm(BLAS_ROW_MAJOR, op->trans_a ? BLAS_TRANS : BLAS_PLAIN,
                 op->trans_b ? BLAS_TRANS : BLAS_PLAIN, (int)m, (int)n, (int)op->k, op->alpha, a,
                 (int)op->lda, b, (int)op->ldb, op->beta, op->c + i * op->ldc + j, (int)op->ldc);
}

/* B is F32. */
static int product(struct device *d, const struct matmul *op, struct err *err) {
  struct tiles job = {.blas = cpu_of(d)->blas, .op = *op};
  choose_tiles(&job);
  return cpu_run(d, ceil_div(op->m, job.tile_m) * job.across, tile, &job, err);
}

struct decode {
  enum dtype type;
  const char *from;
  size_t row_bytes, rows, cols, rows_each;
  float *to;
};

static void decode_rows(void *arg, size_t index) {
  const struct decode *j = arg;
  size_t r = index * j->rows_each, end = size_min(j->rows, r + j->rows_each);
  for (; r < end; r++)
    dtype_to_f32(j->type, j->from + r * j->row_bytes, j->to + r * j->cols, j->cols);
}

/* Rows of B as stored, and elements in each. */
static size_t stored_rows(const struct matmul *op) {
  return op->trans_b ? op->n : op->k;
}
static size_t stored_cols(const struct matmul *op) {
  return op->trans_b ? op->k : op->n;
}

static size_t panel_rows(const struct matmul *op) {
  size_t cols = stored_cols(op), fit = cols ? PANEL_FLOATS / cols : 1;
  fit = fit < TILE ? TILE : fit / TILE * TILE;
  return size_min(fit, stored_rows(op));
}

/* The decoded row keeps whole blocks, so a row of n elements may take up to a block more. */
static size_t panel_cols(const struct matmul *op) {
  size_t block = dtype_info(op->b_type)->block;
  return ceil_div(stored_cols(op), block) * block;
}

static bool is_skinny(const struct matmul *op) {
  return op->m <= SKINNY && op->trans_b && !op->trans_a;
}

static size_t matmul_work(const struct device *d, const struct matmul *op) {
  (void)d;
  if (op->b_type == DTYPE_F32 || is_skinny(op)) return 0;
  return align64(panel_rows(op) * panel_cols(op) * sizeof(float));
}

static int product_by_panels(struct device *d, const struct matmul *op, float *panel,
                             struct err *err) {
  size_t each = panel_rows(op), rows = stored_rows(op), cols = panel_cols(op);
  size_t row_bytes = dtype_bytes(op->b_type, op->ldb);
  for (size_t from = 0; from < rows; from += each) {
    struct decode job = {.type = op->b_type,
                         .from = (const char *)op->b + from * row_bytes,
                         .row_bytes = row_bytes,
                         .rows = size_min(each, rows - from),
                         .cols = cols,
                         .rows_each = rows_per_task(cols),
                         .to = panel};
    int rc = cpu_run(d, ceil_div(job.rows, job.rows_each), decode_rows, &job, err);
    if (rc) return rc;
    struct matmul part = *op;
    part.b = panel;
    part.b_type = DTYPE_F32;
    part.ldb = cols;
    if (op->trans_b) {
      part.n = job.rows;
      part.c = op->c + from;
    } else {
      part.k = job.rows;
      part.a = op->a + (op->trans_a ? from * op->lda : from);
      part.beta = from ? 1 : op->beta;
    }
    if ((rc = product(d, &part, err))) return rc;
  }
  return 0;
}

/* Dot products of up to SKINNY rows of A with rows [from, to) of B. */
static void skinny_rows(const struct matmul *op, size_t from, size_t to) {
  float decoded[SKINNY_CHUNK + 32];
  size_t row_bytes = dtype_bytes(op->b_type, op->ldb);
  size_t block = dtype_info(op->b_type)->block;
  for (size_t j = from; j < to; j++) {
    const char *row = (const char *)op->b + j * row_bytes;
    float sum[SKINNY] = {0};
    for (size_t at = 0; at < op->k; at += SKINNY_CHUNK) {
      size_t n = size_min(SKINNY_CHUNK, op->k - at);
      const float *b = (const float *)(const void *)row + at;
      if (op->b_type != DTYPE_F32) {
        dtype_to_f32(op->b_type, row + dtype_bytes(op->b_type, at), decoded,
                     ceil_div(n, block) * block);
        b = decoded;
      }
      for (size_t i = 0; i < op->m; i++) sum[i] += k_dot(op->a + i * op->lda + at, b, n);
    }
    for (size_t i = 0; i < op->m; i++) {
      float *c = op->c + i * op->ldc + j;
      *c = op->beta != 0 ? op->alpha * sum[i] + op->beta * *c : op->alpha * sum[i];
    }
  }
}

static size_t skinny_each(const struct matmul *op) {
  return op->k >= SKINNY_TASK / 16 ? 16 : SKINNY_TASK / (op->k + 1) + 1;
}

static void skinny_task(void *arg, size_t index) {
  const struct matmul *op = arg;
  size_t each = skinny_each(op), from = index * each;
  skinny_rows(op, from, size_min(op->n, from + each));
}

static int check(const struct matmul *op, struct err *err) {
  size_t block = dtype_info(op->b_type)->block;
  if (op->ldb % block)
    return err_set(err, ERR_MISUSE, "rows of a %s matrix must be a multiple of %zu long",
                   dtype_info(op->b_type)->name, block);
  if ((op->m | op->n | op->k | op->lda | op->ldb | op->ldc) > INT32_MAX)
    return err_set(err, ERR_LIMIT, "matrix product beyond 2^31 rows or columns");
  return cpu_float_type(op->b_type, "a matrix product", err);
}

static int matmul(struct device *d, const struct matmul *op, const struct work *w,
                  struct err *err) {
  int rc = check(op, err);
  if (rc || !op->m || !op->n) return rc;
  if (is_skinny(op)) {
    struct matmul copy = *op;
    return cpu_run(d, ceil_div(op->n, skinny_each(op)), skinny_task, &copy, err);
  }
  if (op->b_type == DTYPE_F32 || !op->k) return product(d, op, err);
  if ((rc = cpu_work(w, matmul_work(d, op), "a matrix product", err))) return rc;
  return product_by_panels(d, op, w->data, err);
}

void CPU_OPS(matmul)(struct device *d) {
  d->matmul_work = matmul_work;
  d->matmul = matmul;
}

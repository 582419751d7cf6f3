/* SPDX-License-Identifier: MIT */
/* Cross-entropy without the logits of all tokens.
 *
 * Only rows that carry loss are gathered; they go through in chunks of chunk_rows (by the size of
 * the vocabulary alone):
 *
 *   hidden ─gather─► H[chunk, d] ─·headᵀ─► logits[chunk, vocab] ─softmax, −onehot, ·scale─► dL
 *                                          dL·head ─scatter─► dhidden       dLᵀ·H ─add─► dhead
 *
 * Workspace: row numbers · H · dH · logits · per-row results · the products' own.
 */
#include "tensor/cpu/cpu.h"
#include "tensor/kernel.h"

#define LOGITS_MOST ((size_t)32 << 20) /* floats: 128 MiB */
#define CHUNK_MOST  512
#define CHUNK_LEAST 64

static size_t chunk_rows(const struct loss_chunk *op) {
  size_t rows = op->vocab ? LOGITS_MOST / op->vocab / 64 * 64 : CHUNK_MOST;
  if (rows > CHUNK_MOST) rows = CHUNK_MOST;
  if (rows < CHUNK_LEAST) rows = CHUNK_LEAST;
  return size_min(rows, op->rows);
}

struct row_result {
  float loss;
  int32_t correct;
};

struct buffers {
  int32_t *index; /* [rows] numbers of supervised rows */
  float *h, *dh, *logits;
  struct row_result *results; /* [chunk] */
  struct work products;
  size_t bytes;
};

static struct matmul logits_product(const struct loss_chunk *op, const struct buffers *b,
                                    size_t n) {
  return (struct matmul){.m = n,
                         .n = op->vocab,
                         .k = op->d,
                         .alpha = 1,
                         .trans_b = true,
                         .b_type = op->head_type,
                         .a = b->h,
                         .lda = op->d,
                         .b = op->head,
                         .ldb = op->d,
                         .c = b->logits,
                         .ldc = op->vocab};
}
static struct matmul dhidden_product(const struct loss_chunk *op, const struct buffers *b,
                                     size_t n) {
  return (struct matmul){.m = n,
                         .n = op->d,
                         .k = op->vocab,
                         .alpha = 1,
                         .b_type = op->head_type,
                         .a = b->logits,
                         .lda = op->vocab,
                         .b = op->head,
                         .ldb = op->d,
                         .c = b->dh,
                         .ldc = op->d};
}
static struct matmul dhead_product(const struct loss_chunk *op, const struct buffers *b, size_t n) {
  return (struct matmul){.m = op->vocab,
                         .n = op->d,
                         .k = n,
                         .alpha = 1,
                         .beta = 1,
                         .trans_a = true,
                         .a = b->logits,
                         .lda = op->vocab,
                         .b = b->h,
                         .ldb = op->d,
                         .c = op->dhead,
                         .ldc = op->d};
}

/* Takes `bytes` from the workspace; base may be NULL when only the total is wanted. */
static void *take(struct buffers *b, char *base, size_t bytes) {
  char *p = base ? base + b->bytes : NULL;
  b->bytes += align64(bytes);
  return p;
}

static void lay_out(const struct device *d, const struct loss_chunk *op, char *base,
                    struct buffers *b) {
  size_t chunk = chunk_rows(op);
  b->bytes = 0;
  b->index = take(b, base, op->rows * sizeof *b->index);
  b->h = take(b, base, chunk * op->d * sizeof(float));
  b->dh = take(b, base, op->dhidden ? chunk * op->d * sizeof(float) : 0);
  b->logits = take(b, base, chunk * op->vocab * sizeof(float));
  b->results = take(b, base, chunk * sizeof *b->results);
  struct matmul forward = logits_product(op, b, chunk), backward = dhidden_product(op, b, chunk);
  size_t one = d->matmul_work(d, &forward), two = d->matmul_work(d, &backward);
  b->products.bytes = one > two ? one : two;
  b->products.data = take(b, base, b->products.bytes);
}

static size_t loss_chunk_work(const struct device *d, const struct loss_chunk *op) {
  struct buffers b;
  lay_out(d, op, NULL, &b);
  return b.bytes;
}

struct softmax_job {
  const struct loss_chunk *op;
  const int32_t *index; /* of this chunk */
  float *logits;
  struct row_result *results;
  bool gradient;
};

static struct row_result softmax_row(float *row, size_t n, size_t target, float scale,
                                     bool gradient) {
  vec tops = v_all(-INFINITY), sums = v_all(0);
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) tops = v_max(tops, v_load(row + i));
  if (i < n) tops = v_max(tops, v_load_part(row + i, n - i, -INFINITY));
  float top = v_top(tops), hit = row[target];
  for (i = 0; i + LANES <= n; i += LANES) {
    vec e = v_exp(v_load(row + i) - v_all(top));
    if (gradient) v_store(row + i, e);
    sums += e;
  }
  if (i < n) {
    vec e = v_exp(v_load_part(row + i, n - i, -INFINITY) - v_all(top));
    if (gradient) memcpy(row + i, &e, (n - i) * sizeof *row);
    sums += e;
  }
  float sum = v_sum(sums);
  if (gradient) {
    float by = scale / sum;
    for (i = 0; i < n; i++) row[i] *= by;
    row[target] -= scale;
  }
  return (struct row_result){logf(sum) + (top - hit), hit >= top};
}

static void softmax_task(void *arg, size_t r) {
  const struct softmax_job *j = arg;
  j->results[r] = softmax_row(j->logits + r * j->op->vocab, j->op->vocab,
                              (size_t)j->op->targets[j->index[r]], j->op->grad_scale, j->gradient);
}

static int list_supervised(struct loss_chunk *op, int32_t *index, struct err *err) {
  size_t n = 0;
  for (size_t t = 0; t < op->rows; t++) {
    int32_t target = op->targets[t];
    if (target == -1) continue;
    if (target < 0 || (size_t)target >= op->vocab)
      return err_set(err, ERR_MISUSE, "target %d of row %zu is outside of the vocabulary of %zu",
                     (int)target, t, op->vocab);
    index[n++] = (int32_t)t;
  }
  op->supervised = n;
  return 0;
}

static int one_chunk(struct device *d, struct loss_chunk *op, const struct buffers *b,
                     const int32_t *index, size_t n, struct err *err) {
  for (size_t r = 0; r < n; r++)
    memcpy(b->h + r * op->d, op->hidden + (size_t)index[r] * op->d, op->d * sizeof(float));
  struct matmul product = logits_product(op, b, n);
  int rc = d->matmul(d, &product, &b->products, err);
  if (rc) return rc;
  struct softmax_job job = {op, index, b->logits, b->results, op->dhidden || op->dhead};
  if ((rc = cpu_run(d, n, softmax_task, &job, err))) return rc;
  for (size_t r = 0; r < n; r++) {
    op->loss += (double)b->results[r].loss;
    op->correct += (size_t)b->results[r].correct;
    if (op->row_loss) op->row_loss[index[r]] = b->results[r].loss;
  }
  if (op->dhidden) {
    product = dhidden_product(op, b, n);
    if ((rc = d->matmul(d, &product, &b->products, err))) return rc;
    for (size_t r = 0; r < n; r++)
      memcpy(op->dhidden + (size_t)index[r] * op->d, b->dh + r * op->d, op->d * sizeof(float));
  }
  if (!op->dhead) return 0;
  product = dhead_product(op, b, n);
  return d->matmul(d, &product, &b->products, err);
}

static int loss_chunk(struct device *d, struct loss_chunk *op, const struct work *w,
                      struct err *err) {
  op->loss = 0;
  op->supervised = op->correct = 0;
  int rc = cpu_work(w, loss_chunk_work(d, op), "the loss", err);
  if (!rc) rc = cpu_float_type(op->head_type, "the loss", err);
  if (rc || !op->rows) return rc;
  struct buffers b;
  lay_out(d, op, w->data, &b);
  if ((rc = list_supervised(op, b.index, err))) return rc;
  if (op->row_loss) memset(op->row_loss, 0, op->rows * sizeof(float));
  if (op->dhidden) memset(op->dhidden, 0, op->rows * op->d * sizeof(float));
  size_t chunk = chunk_rows(op);
  for (size_t from = 0; from < op->supervised && !rc; from += chunk)
    rc = one_chunk(d, op, &b, b.index + from, size_min(chunk, op->supervised - from), err);
  return rc;
}

void CPU_OPS(loss)(struct device *d) {
  d->loss_chunk_work = loss_chunk_work;
  d->loss_chunk = loss_chunk;
}

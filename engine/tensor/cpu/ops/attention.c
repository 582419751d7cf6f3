/* SPDX-License-Identifier: MIT */
/* Causal grouped-query attention over segments, in tiles, so that no T × T matrix exists (the
 * online softmax of Milakov and Gimelshein, 2018; its tiling and backward as in FlashAttention, Dao
 * et al., 2022).
 *
 *               keys ►                      forward: a task is one head and QUERIES rows of the
 *        ┌────┬────┬────┐                   batch; per tile S = scale·Q·Kᵀ, running maximum m and
 *  rows  │ S00│    │    │  segment 0        sum l per row, O rescaled as m grows; lse = m + ln l
 *   ▼    ├────┼────┤    │
 *        │ S10│ S11│    │                   backward: a task is one segment and one key head:
 *        └────┴────┼────┤                   P = e^(S − lse), dV += Pᵀ·dO, dP = dO·Vᵀ,
 *                  │ S22│  segment 1        dS = P·(dP − Σ O·dO), dQ += dS·K, dK += dSᵀ·Q
 *                  └────┘
 *
 * Tiles live on the stack (16 KiB each); products are OpenBLAS calls. Tiles that no query of a task
 * can see are not visited.
 */
#include "tensor/cpu/cpu.h"
#include "tensor/kernel.h"

#define QUERIES  64
#define KEYS     64
#define DIM_MOST 256

/* The part of one segment that one task looks at. */
struct span {
  size_t q0, q1; /* rows of q */
  size_t k0, nk; /* keys of the segment */
  size_t
      offset; /* query row q sees key k0 + j for j ≤ q + offset − q of the segment: see last_key */
  size_t seg_q0; /* first query row of the segment */
};

/* Keys [first, last) that query row q of the span sees, as offsets from k0. */
INLINE size_t key_end(const struct span *s, size_t q) {
  return s->offset + (q - s->seg_q0) + 1;
}
INLINE size_t key_begin(const struct span *s, size_t window, size_t q) {
  size_t end = key_end(s, q);
  return window && end > window ? end - window : 0;
}

static size_t segment_keys(const struct attention *op, size_t s) {
  return op->k_len ? (size_t)op->k_len[s] : (size_t)(op->q_start[s + 1] - op->q_start[s]);
}

static struct span segment_span(const struct attention *op, size_t s) {
  size_t q0 = (size_t)op->q_start[s], q1 = (size_t)op->q_start[s + 1];
  size_t nk = segment_keys(op, s);
  return (struct span){.q0 = q0,
                       .q1 = q1,
                       .k0 = op->k_start ? (size_t)op->k_start[s] : q0,
                       .nk = nk,
                       .offset = nk - (q1 - q0),
                       .seg_q0 = q0};
}

/* The last segment that begins at or before row. */
static size_t segment_at(const struct attention *op, size_t row) {
  size_t low = 0, high = op->segments;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if ((size_t)op->q_start[mid] <= row)
      low = mid;
    else
      high = mid;
  }
  return low;
}

/* s[i] = e^(s[i] − top) for i in [from, to), 0 in the rest of n (a multiple of 8); returns the
 * sum. */
INLINE float exp_row(float *s, size_t from, size_t to, size_t n, float top) {
  vec sum = v_all(0);
  for (size_t i = 0; i < from; i++) s[i] = -INFINITY;
  for (size_t i = to; i < n; i++) s[i] = -INFINITY;
  for (size_t i = 0; i < n; i += LANES) {
    vec p = v_exp(v_load(s + i) - v_all(top));
    v_store(s + i, p);
    sum += p;
  }
  return v_sum(sum);
}

INLINE float top_of(const float *s, size_t from, size_t to) {
  vec top = v_all(-INFINITY);
  for (; from + LANES <= to; from += LANES) top = v_max(top, v_load(s + from));
  if (from < to) top = v_max(top, v_load_part(s + from, to - from, -INFINITY));
  return v_top(top);
}

INLINE float exp_one(float x) {
  return v_exp(v_all(x))[0];
}

/* One tile of scores becomes probabilities under the new maximum; the rows of O follow. Keys
 * j0 … j0+KEYS−1 of the segment against the queries from q0 on. */
static void softmax_tile(const struct attention *op, const struct span *s, size_t q0, size_t q1,
                         size_t j0, size_t head, float *scores, float *top, float *sum) {
  for (size_t q = q0; q < q1; q++) {
    size_t r = q - q0, begin = key_begin(s, op->window, q), end = key_end(s, q);
    size_t from = begin > j0 ? size_min(begin - j0, KEYS) : 0;
    size_t to = end > j0 ? size_min(end - j0, KEYS) : 0;
    float *row = scores + r * KEYS;
    if (from >= to) {
      memset(row, 0, KEYS * sizeof *row);
      continue;
    }
    float old = top[r], now = top_of(row, from, to);
    if (now < old) now = old;
    float shrink = old == -INFINITY ? 0 : exp_one(old - now);
    sum[r] = sum[r] * shrink + exp_row(row, from, to, KEYS, now);
    top[r] = now;
    if (shrink == 1.0f) continue;
    float *o = op->o + q * op->ldo + head * op->dim;
    for (size_t i = 0; i < op->dim; i++) o[i] *= shrink;
  }
}

static void finish_rows(const struct attention *op, size_t q0, size_t q1, size_t head,
                        const float *top, const float *sum) {
  for (size_t q = q0; q < q1; q++) {
    float *o = op->o + q * op->ldo + head * op->dim, by = 1.0f / sum[q - q0];
    for (size_t i = 0; i < op->dim; i++) o[i] *= by;
    if (op->lse) op->lse[head * op->rows + q] = top[q - q0] + logf(sum[q - q0]);
  }
}

struct forward_job {
  const struct blas *blas;
  struct attention op;
  size_t first; /* first query row of all segments */
};

static void forward_span(const struct forward_job *job, const struct span *s, size_t head) {
  const struct attention *op = &job->op;
  size_t kv = head / (op->heads / op->kv_heads), n = s->q1 - s->q0;
  float scores[QUERIES * KEYS], top[QUERIES], sum[QUERIES];
  for (size_t i = 0; i < n; i++) {
    top[i] = -INFINITY;
    sum[i] = 0;
    memset(op->o + (s->q0 + i) * op->ldo + head * op->dim, 0, op->dim * sizeof(float));
  }
  size_t j0 = key_begin(s, op->window, s->q0) / KEYS * KEYS, end = key_end(s, s->q1 - 1);
  const float *q = op->q + s->q0 * op->ldq + head * op->dim;
  for (; j0 < end; j0 += KEYS) {
    size_t keys = size_min(KEYS, end - j0);
    const float *k = op->k + (s->k0 + j0) * op->ldk + kv * op->dim;
    const float *v = op->v + (s->k0 + j0) * op->ldv + kv * op->dim;
    job->blas->sgemm(BLAS_ROW_MAJOR, BLAS_PLAIN, BLAS_TRANS, (int)n, (int)keys, (int)op->dim,
                     op->scale, q, (int)op->ldq, k, (int)op->ldk, 0, scores, KEYS);
    softmax_tile(op, s, s->q0, s->q1, j0, head, scores, top, sum);
    job->blas->sgemm(BLAS_ROW_MAJOR, BLAS_PLAIN, BLAS_PLAIN, (int)n, (int)op->dim, (int)keys, 1,
                     scores, KEYS, v, (int)op->ldv, 1, op->o + s->q0 * op->ldo + head * op->dim,
                     (int)op->ldo);
  }
  finish_rows(op, s->q0, s->q1, head, top, sum);
}

static void forward_task(void *arg, size_t index) {
  const struct forward_job *job = arg;
  const struct attention *op = &job->op;
  size_t head = index % op->heads, q = job->first + index / op->heads * QUERIES;
  size_t last = (size_t)op->q_start[op->segments], stop = size_min(last, q + QUERIES);
  for (size_t seg = segment_at(op, q); q < stop; seg++) {
    struct span s = segment_span(op, seg);
    if (s.q1 <= q) continue;
    s.q0 = q;
    s.q1 = q = size_min(s.q1, stop);
    forward_span(job, &s, head);
  }
}

static int check(const struct attention *op, struct err *err) {
  if (!op->dim || op->dim > DIM_MOST)
    return err_set(err, ERR_UNSUPPORTED, "attention heads of %zu (1 to %d can be done)", op->dim,
                   DIM_MOST);
  if (!op->kv_heads || op->heads % op->kv_heads)
    return err_set(err, ERR_MISUSE, "%zu attention heads cannot share %zu key heads", op->heads,
                   op->kv_heads);
  for (size_t s = 0; s < op->segments; s++) {
    if (op->q_start[s] < 0 || op->q_start[s + 1] < op->q_start[s] ||
        (op->k_len && op->k_len[s] < 0) ||
        segment_keys(op, s) < (size_t)(op->q_start[s + 1] - op->q_start[s]))
      return err_set(err, ERR_MISUSE, "attention segment %zu is not well-formed", s);
  }
  return 0;
}

static int attention(struct device *d, const struct attention *op, struct err *err) {
  int rc = check(op, err);
  if (rc || !op->segments) return rc;
  struct forward_job job = {cpu_of(d)->blas, *op, (size_t)op->q_start[0]};
  size_t rows = (size_t)op->q_start[op->segments] - job.first;
  return cpu_run(d, ceil_div(rows, QUERIES) * op->heads, forward_task, &job, err);
}

struct backward_job {
  const struct blas *blas;
  struct attention_bwd op;
  float *delta; /* [heads, rows] Σ O·dO */
};

static void row_dots(const struct attention_bwd *op, const struct span *s, size_t head,
                     float *delta) {
  const struct attention *f = &op->f;
  for (size_t q = s->q0; q < s->q1; q++)
    delta[head * f->rows + q] =
        k_dot(f->o + q * f->ldo + head * f->dim, op->d_o + q * op->ld_do + head * f->dim, f->dim);
}

/* scores → P, dp → dS, for queries [q0, q1) and the keys from j0 on. */
static void backward_tile(const struct attention *f, const struct span *s, size_t q0, size_t q1,
                          size_t j0, size_t head, const float *delta, float *scores, float *dp) {
  for (size_t q = q0; q < q1; q++) {
    size_t begin = key_begin(s, f->window, q), end = key_end(s, q);
    size_t from = begin > j0 ? size_min(begin - j0, KEYS) : 0;
    size_t to = end > j0 ? size_min(end - j0, KEYS) : 0;
    float *p = scores + (q - q0) * KEYS, *ds = dp + (q - q0) * KEYS;
    if (from >= to) {
      memset(p, 0, KEYS * sizeof *p);
      memset(ds, 0, KEYS * sizeof *ds);
      continue;
    }
    exp_row(p, from, to, KEYS, f->lse[head * f->rows + q]);
    float less = delta[head * f->rows + q];
    for (size_t i = 0; i < from; i++) ds[i] = 0;
    for (size_t i = from; i < to; i++) ds[i] = p[i] * (ds[i] - less);
    for (size_t i = to; i < KEYS; i++) ds[i] = 0;
  }
}

static void backward_pair(const struct backward_job *job, const struct span *s, size_t head,
                          size_t q0, size_t j0) {
  const struct attention_bwd *b = &job->op;
  const struct attention *f = &b->f;
  size_t kv = head / (f->heads / f->kv_heads), dim = f->dim;
  size_t q1 = size_min(s->q1, q0 + QUERIES), krow = s->k0 + j0;
  int n = (int)(q1 - q0), keys = (int)size_min(KEYS, s->nk - j0), dims = (int)dim;
  const float *q = f->q + q0 * f->ldq + head * dim, *k = f->k + krow * f->ldk + kv * dim;
  const float *v = f->v + krow * f->ldv + kv * dim, *d_o = b->d_o + q0 * b->ld_do + head * dim;
  float scores[QUERIES * KEYS], dp[QUERIES * KEYS];
  blas_sgemm *gemm = job->blas->sgemm;
  gemm(BLAS_ROW_MAJOR, BLAS_PLAIN, BLAS_TRANS, n, keys, dims, f->scale, q, (int)f->ldq, k,
       (int)f->ldk, 0, scores, KEYS);
  gemm(BLAS_ROW_MAJOR, BLAS_PLAIN, BLAS_TRANS, n, keys, dims, 1, d_o, (int)b->ld_do, v, (int)f->ldv,
       0, dp, KEYS);
  backward_tile(f, s, q0, q1, j0, head, job->delta, scores, dp);
  gemm(BLAS_ROW_MAJOR, BLAS_TRANS, BLAS_PLAIN, keys, dims, n, 1, scores, KEYS, d_o, (int)b->ld_do,
       1, b->dv + krow * b->lddv + kv * dim, (int)b->lddv);
  gemm(BLAS_ROW_MAJOR, BLAS_PLAIN, BLAS_PLAIN, n, dims, keys, f->scale, dp, KEYS, k, (int)f->ldk, 1,
       b->dq + q0 * b->lddq + head * dim, (int)b->lddq);
  gemm(BLAS_ROW_MAJOR, BLAS_TRANS, BLAS_PLAIN, keys, dims, n, f->scale, dp, KEYS, q, (int)f->ldq, 1,
       b->dk + krow * b->lddk + kv * dim, (int)b->lddk);
}

static void backward_task(void *arg, size_t index) {
  const struct backward_job *job = arg;
  const struct attention_bwd *b = &job->op;
  const struct attention *f = &b->f;
  size_t kv = index % f->kv_heads, group = f->heads / f->kv_heads, bytes = f->dim * sizeof(float);
  struct span s = segment_span(f, index / f->kv_heads);
  for (size_t r = s.q0; r < s.q1; r++) {
    memset(b->dk + r * b->lddk + kv * f->dim, 0, bytes);
    memset(b->dv + r * b->lddv + kv * f->dim, 0, bytes);
  }
  for (size_t head = kv * group; head < (kv + 1) * group; head++) {
    for (size_t r = s.q0; r < s.q1; r++) memset(b->dq + r * b->lddq + head * f->dim, 0, bytes);
    row_dots(b, &s, head, job->delta);
    for (size_t q0 = s.q0; q0 < s.q1; q0 += QUERIES) {
      size_t end = key_end(&s, size_min(s.q1, q0 + QUERIES) - 1);
      size_t j0 = key_begin(&s, f->window, q0) / KEYS * KEYS;
      for (; j0 < end; j0 += KEYS) backward_pair(job, &s, head, q0, j0);
    }
  }
}

static size_t attention_bwd_work(const struct device *d, const struct attention_bwd *op) {
  (void)d;
  return align64(op->f.heads * op->f.rows * sizeof(float));
}

static int attention_bwd(struct device *d, const struct attention_bwd *op, const struct work *w,
                         struct err *err) {
  int rc = check(&op->f, err);
  if (!rc && (op->f.k_start || op->f.k_len || !op->f.lse))
    rc = err_set(err, ERR_MISUSE, "attention backward wants the forward of a training batch");
  if (!rc) rc = cpu_work(w, attention_bwd_work(d, op), "attention backward", err);
  if (rc || !op->f.segments) return rc;
  struct backward_job job = {cpu_of(d)->blas, *op, w->data};
  return cpu_run(d, op->f.segments * op->f.kv_heads, backward_task, &job, err);
}

void CPU_OPS(attention)(struct device *d) {
  d->attention = attention;
  d->attention_bwd_work = attention_bwd_work;
  d->attention_bwd = attention_bwd;
}

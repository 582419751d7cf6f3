/* SPDX-License-Identifier: MIT */
/* A device: where tensors of a model live and what is computed on them. One table of operations;
 * cpu/ is behind it (device_cpu below), cuda/ will be later.
 *
 * Each operation is one function that takes a struct of pointers and sizes, a workspace and an
 * error. It never allocates; where it needs scratch memory, NAME_work says how many bytes, from the
 * same struct (pointers may be NULL then). Scratch memory holds nothing between calls, so one
 * workspace of the largest size serves a whole model. Where NAME_work is missing, none is needed
 * and `work` may be NULL.
 *
 *   struct matmul op = {.m = t, .n = out, .k = in, .a = x, .lda = in, .b = w, .ldb = in,
 *                       .b_type = DTYPE_F32, .trans_b = true, .c = y, .ldc = out, .alpha = 1};
 *   size_t need = d->matmul_work(d, &op);        …  struct work work = {memory, need};
 *   rc = d->matmul(d, &op, &work, err);
 *
 * Pointers are device pointers from d->alloc (on the CPU: any memory, 4-byte aligned), except those
 * marked [host]. Matrices are row-major, `ld…` is the distance between rows in elements.
 * Activations are [tokens, features], all documents of a packed batch one after another. Gradients
 * of weights are always *added to* what is there (dw, db, dtable, dhead); gradients of activations
 * overwrite, unless an `add_…` flag says otherwise. Output must not overlap input except where "in
 * place" is said.
 *
 * Determinism: the same call gives the same bits for any number of threads. Work is cut by shape
 * only; partial sums are added in index order.
 *
 * Status: 0; ERR_CANCELLED (Ctrl-C: outputs are then unspecified); ERR_MISUSE (workspace too small,
 * token out of range, unsupported type), with err filled. Empty operations (zero rows) are legal.
 * One operation at a time per device.
 */
#ifndef LATHE_TENSOR_DEVICE_H
#define LATHE_TENSOR_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "tensor/tensor.h"

struct work {
  void *data; /* 64-byte aligned, from d->alloc */
  size_t bytes;
};

/* C[m,n] = alpha · op(A) · op(B) + beta · C
 *   op(A) is [m,k]: A[m,k], or with trans_a A[k,m];   op(B) is [k,n]: B[k,n], or with trans_b
 * B[n,k] Forward y = x·Wᵀ: trans_b. dx = dy·W: neither. dW = dyᵀ·x: trans_a, beta 1. B may be
 * stored as F32, BF16, F16 or Q8_0 (a frozen weight: ldb counts elements, rows begin at whole
 * blocks); it is decoded in panels inside. beta = 0 does not read C. */
struct matmul {
  size_t m, n, k;
  float alpha, beta;
  bool trans_a, trans_b;
  enum dtype b_type; /* DTYPE_F32 is 0, the default */
  const float *a;
  size_t lda;
  const void *b;
  size_t ldb;
  float *c;
  size_t ldc;
};

/* y = x · rstd · w, rstd = 1/√(mean(x²) + eps); rows of d elements, contiguous. `rstd` [rows] is
 * written by the forward (may be NULL) and read by the backward. */
struct rmsnorm {
  size_t rows, d;
  float eps;
  const float *x, *w;
  float *y, *rstd;
};
/* dx = rstd·(w·dy − x·rstd²·mean(x·w·dy));  dw += Σ_rows dy·x·rstd. dw may be NULL (frozen). */
struct rmsnorm_bwd {
  size_t rows, d;
  const float *x, *w, *rstd, *dy;
  float *dx, *dw;
  bool add_dx; /* dx += instead of = : the residual stream. dx may then not be dy */
};

/* Rotary embedding, half-split layout (Hugging Face): in each head of `dim` elements, element i is
 * paired with i + dim/2 and turned by position · inv_freq[i]. The table of cosines and sines is
 * made once a batch. */
struct rope_table {
  size_t rows, half;        /* half = dim/2 */
  const int32_t *positions; /* [rows] */
  const float *inv_freq;    /* [half]: see rope_inv_freq; any scaling is already in it */
  float scale;              /* multiplies cos and sin (attention factor of YaRN); 1 otherwise */
  float *table;             /* out [rows, 2, half]: cosines, then sines */
};
/* In place on x [rows, heads, dim], rows `ld` apart. inverse = the backward. */
struct rope {
  size_t rows, heads, dim, ld;
  const float *table;
  float *x;
  bool inverse;
};

/* Grouped-query attention over documents ("segments") that never see each other.
 * Segment s has query rows q_start[s] … q_start[s+1]−1 and key rows k_start[s] … k_start[s] +
 * k_len[s] − 1; k_start and k_len NULL: the same as the queries. Queries are the last of the keys:
 * query i of nq sees key j of nk when j ≤ nk − nq + i (causal), and with window > 0 also
 * j > nk − nq + i − window. So the same operation serves training (NULL) and generation with a
 * cache (q: the new rows; k, v: the cache). Empty segments are legal; nk ≥ nq is required.
 * Head h of q reads head h / (heads/kv_heads) of k and v. Row r of q begins at q + r·ldq, its heads
 * are `dim` apart; the same for k, v, o. dim ≤ 256. Query rows of no segment are left alone. */
struct attention {
  size_t segments, heads, kv_heads, dim;
  float scale; /* usually 1/√dim */
  size_t window;
  const int32_t *q_start; /* [host] [segments + 1], not decreasing */
  const int32_t *k_start; /* [host] [segments] or NULL */
  const int32_t *k_len;   /* [host] [segments] or NULL */
  const float *q, *k, *v;
  size_t ldq, ldk, ldv;
  float *o;
  size_t ldo;
  float *lse;  /* out [heads, rows] log-sum-exp per query for the backward, or NULL */
  size_t rows; /* of q: distance between heads in lse */
};
/* f: the forward's struct, with o and lse as it left them; k_start and k_len must be NULL. dq, dk,
 * dv are laid out as q, k, v and overwritten in the rows of segments. */
struct attention_bwd {
  struct attention f;
  const float *d_o; /* as o, rows ld_do apart */
  size_t ld_do;
  float *dq, *dk, *dv;
  size_t lddq, lddk, lddv;
};

/* y = silu(gate) · up, silu(g) = g/(1+e^−g). Row strides let gate and up be halves of one matrix.
 */
struct swiglu {
  size_t rows, d;
  const float *gate, *up;
  size_t ld_gate, ld_up;
  float *y;
  size_t ld_y;
};
/* dgate and dup may be the same memory as gate and up (in place). */
struct swiglu_bwd {
  size_t rows, d;
  const float *gate, *up, *dy;
  size_t ld_gate, ld_up, ld_dy;
  float *dgate, *dup;
  size_t ld_dgate, ld_dup;
};

/* y[t] = table[ids[t]]: ids [rows], table [vocab, d] of any float type, y [rows, d]. */
struct embed {
  size_t rows, d, vocab;
  enum dtype table_type;
  const int32_t *ids;
  const void *table;
  float *y;
};
/* dtable[ids[t]] += dy[t], in order of t. */
struct embed_bwd {
  size_t rows, d, vocab;
  const int32_t *ids;
  const float *dy;
  float *dtable;
};

/* y[r] += b for all rows; b [d], in place on y. */
struct bias {
  size_t rows, d;
  const float *b;
  float *y;
  size_t ld;
};
/* db += Σ_rows dy. */
struct bias_bwd {
  size_t rows, d;
  const float *dy;
  size_t ld;
  float *db;
};

/* Cross-entropy of softmax(hidden · headᵀ) against targets, over chunks of rows, so that the logits
 * of all tokens never exist. Rows whose target is −1 carry no loss: they cost nothing and get a
 * zero gradient. grad_scale (usually 1 / supervised tokens of the whole accumulated batch)
 * multiplies the gradients, not the loss. */
struct loss_chunk {
  size_t rows, d, vocab;
  const float *hidden; /* [rows, d] */
  enum dtype head_type;
  const void *head;       /* [vocab, d] */
  const int32_t *targets; /* [host] [rows], −1 = ignored; target of row t is the token after it */
  float grad_scale;
  float *dhidden;    /* [rows, d] overwritten; NULL: loss only */
  float *dhead;      /* [vocab, d] added to; NULL: frozen */
  float *row_loss;   /* [host] [rows] −log p of each target, 0 where ignored; may be NULL */
  double loss;       /* out [host]: sum over supervised rows, in nats */
  size_t supervised; /* out [host] */
  size_t correct;    /* out [host]: rows where the target is the most likely token */
};

/* AdamW with decoupled decay (Loshchilov and Hutter, 2019), as torch.optim.AdamW orders it:
 *   p −= lr·decay·p;  m = β1 m + (1−β1) g;  v = β2 v + (1−β2) g²;
 *   p −= lr · (m/(1−β1^step)) / (√(v/(1−β2^step)) + eps)      with g = grad_scale · g
 * step counts from 1. */
struct adamw {
  size_t n;
  float *p, *m, *v;
  const float *g;
  float lr, beta1, beta2, eps, decay, grad_scale;
  uint64_t step;
};

enum reduce_kind { REDUCE_SUM, REDUCE_SUM_SQUARES, REDUCE_MAX_ABS };
/* result [host], accumulated in double over fixed blocks in order. A NaN in x gives NaN. */
struct reduce {
  enum reduce_kind kind;
  size_t n;
  const float *x;
  double result;
};

/* y = alpha·x + beta·y; beta = 0 does not read y; x may be NULL (then y = beta·y). Rows of d
 * elements, ld apart. x may be y. */
struct axpby {
  size_t rows, d;
  const float *x;
  size_t ldx;
  float *y;
  size_t ldy;
  float alpha, beta;
};
struct fill {
  size_t n;
  float *y;
  float value;
};

/* Inverted dropout: y = x·keep/(1−p), keep a pure function of (seed, step, layer, site, row,
 * column) where row = first_row + r. The backward is the same operation on dy. May be in place. */
struct dropout {
  size_t rows, d;
  float p; /* 0 ≤ p < 1 */
  uint64_t seed, step;
  uint32_t layer, site;
  uint64_t first_row;
  const float *x;
  size_t ldx;
  float *y;
  size_t ldy;
};

/* n elements from one float type to another (target F32, BF16 or F16). */
struct convert {
  size_t n;
  enum dtype from_type, to_type;
  const void *from;
  void *to;
};

struct device {
  char name[64];     /* "cpu: AMD EPYC …, 2 threads" */
  unsigned threads;  /* that share an operation */
  size_t memory;     /* bytes of its own memory; 0: host memory */
  bool compute_bf16; /* products with bf16 inputs, fp32 sums */
  bool unified;      /* host and device pointers are the same */
  void *impl;        /* private */

  /* Memory of the device: 64-byte aligned, not cleared; NULL when there is none. */
  void *(*alloc)(struct device *d, size_t bytes);
  void (*free)(struct device *d, void *p, size_t bytes);
  int (*copy_in)(struct device *d, void *to, const void *from_host, size_t bytes, struct err *err);
  int (*copy_out)(struct device *d, void *to_host, const void *from, size_t bytes, struct err *err);
  int (*copy)(struct device *d, void *to, const void *from, size_t bytes, struct err *err);
  int (*sync)(struct device *d, struct err *err);
  void (*close)(struct device *d);

  size_t (*matmul_work)(const struct device *d, const struct matmul *op);
  int (*matmul)(struct device *d, const struct matmul *op, const struct work *w, struct err *err);
  int (*rmsnorm)(struct device *d, const struct rmsnorm *op, struct err *err);
  size_t (*rmsnorm_bwd_work)(const struct device *d, const struct rmsnorm_bwd *op);
  int (*rmsnorm_bwd)(struct device *d, const struct rmsnorm_bwd *op, const struct work *w,
                     struct err *err);
  int (*rope_table)(struct device *d, const struct rope_table *op, struct err *err);
  int (*rope)(struct device *d, const struct rope *op, struct err *err);
  int (*attention)(struct device *d, const struct attention *op, struct err *err);
  size_t (*attention_bwd_work)(const struct device *d, const struct attention_bwd *op);
  int (*attention_bwd)(struct device *d, const struct attention_bwd *op, const struct work *w,
                       struct err *err);
  int (*swiglu)(struct device *d, const struct swiglu *op, struct err *err);
  int (*swiglu_bwd)(struct device *d, const struct swiglu_bwd *op, struct err *err);
  int (*embed)(struct device *d, const struct embed *op, struct err *err);
  int (*embed_bwd)(struct device *d, const struct embed_bwd *op, struct err *err);
  int (*bias)(struct device *d, const struct bias *op, struct err *err);
  size_t (*bias_bwd_work)(const struct device *d, const struct bias_bwd *op);
  int (*bias_bwd)(struct device *d, const struct bias_bwd *op, const struct work *w,
                  struct err *err);
  size_t (*loss_chunk_work)(const struct device *d, const struct loss_chunk *op);
  int (*loss_chunk)(struct device *d, struct loss_chunk *op, const struct work *w, struct err *err);
  int (*adamw)(struct device *d, const struct adamw *op, struct err *err);
  size_t (*reduce_work)(const struct device *d, const struct reduce *op);
  int (*reduce)(struct device *d, struct reduce *op, const struct work *w, struct err *err);
  int (*axpby)(struct device *d, const struct axpby *op, struct err *err);
  int (*fill)(struct device *d, const struct fill *op, struct err *err);
  int (*dropout)(struct device *d, const struct dropout *op, struct err *err);
  int (*convert)(struct device *d, const struct convert *op, struct err *err);
};

/* The processor. `pool` (may be NULL) is borrowed and must outlive the device. Loads OpenBLAS on
 * first use in the process, told the core type of this CPU; ERR_NOTFOUND names the package when it
 * is missing. device_close accepts a cleared struct. */
int device_cpu(struct device *d, struct pool *pool, struct err *err);
void device_close(struct device *d);

/* Chooses the kernels beside OpenBLAS: "base", "avx2" or "avx512"; device_cpu takes the best that
 * this processor has. All give the same bits; tests hold them to it. */
int device_cpu_kernels(struct device *d, const char *set, struct err *err);

/* What OpenBLAS is and which kernels it chose, for `lathe doctor`. */
struct blas_info {
  char config[256]; /* its version and build, e.g. "OpenBLAS 0.3.21 DYNAMIC_ARCH …" */
  char core[32];    /* kernels in use, e.g. "SkylakeX" */
  char asked[32];   /* the core type that we asked for; "" when left to it */
};
int device_cpu_blas(struct blas_info *out, struct err *err);

/* A frozen weight as operations read it: rows × cols, stored or decoded. */
enum weight_mode {
  WEIGHT_KEEP,  /* use the stored bytes as they are; decoded in panels at every product */
  WEIGHT_DECODE /* decode once to F32: faster, 2× (bf16) to 4× (q8_0) the memory */
};
struct weight {
  enum dtype dtype; /* as it is now */
  const void *data;
  size_t rows, cols;
  void *owned; /* what weight_clear frees; NULL for WEIGHT_KEEP in unified memory */
  size_t owned_bytes;
};
/* Bytes that weight_prepare will allocate, for the memory plan. */
size_t weight_prepare_bytes(const struct device *d, const struct tensor *stored,
                            enum weight_mode mode);
/* `stored` (host, rank 2 or 1) must outlive the weight when nothing is copied. */
int weight_prepare(struct device *d, const struct tensor *stored, enum weight_mode mode,
                   struct weight *out, struct err *err);
void weight_clear(struct device *d, struct weight *w);

/* inv_freq[i] = theta^(−2i/dim) for i < dim/2, rounded once from double. */
void rope_inv_freq(double theta, size_t dim, float *inv_freq);

#endif

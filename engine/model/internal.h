/* SPDX-License-Identifier: MIT */
/* What the files of model/ share: the struct, the layout of weights, and a pass over packed rows.
 *
 * Weights lie in three arenas, each one run of memory with, when trained, three more of the same
 * size for gradients and the two moments:
 *
 *   matrices  embed │ layer 0: [q k v] [o] [gate up] [down] │ layer 1 … │ head (untied)     f32,
 * bf16 vectors   layer 0: norm1, norm2 │ … │ norm                                              f32
 *   lora      layer 0: A[q k v] B q, B k, B v │ A[o] B o │ A[gate up] B … │ A[down] B │ …   f32
 *
 * Brackets are kept without gaps, so that q, k and v are one product, and so are gate and up, and
 * the A matrices of those that read the same rows.
 *
 * A pass (struct run) calls device operations through the functions of ops.c. Its errors are
 * sticky: after the first failure nothing more is computed, and run->rc is looked at once, at the
 * end. While `planning` the same calls only add up the scratch memory they would need, so that the
 * plan cannot disagree with the work.
 */
#ifndef LATHE_MODEL_INTERNAL_H
#define LATHE_MODEL_INTERNAL_H

#include "model/model.h"
#include "tensor/device.h"

#define MODEL_NAME 112

enum arena_kind { ARENA_MATRICES, ARENA_VECTORS, ARENA_LORA, ARENA_COUNT };

struct arena {
  size_t n; /* elements, gaps included */
  enum dtype dtype;
  void *w;
  float *grad, *m, *v; /* NULL unless trained */
};

struct param {
  char name[MODEL_NAME];
  int rank;
  size_t shape[2]; /* [1] is 1 when rank is 1 */
  enum arena_kind arena;
  size_t at; /* first element in its arena */
};

/* A weight as a product sees it: y = x·wᵀ. */
struct matrix {
  size_t out, in;
  enum dtype type;
  const void *w; /* [out, in] */
  float *grad;   /* NULL: frozen */
};

/* The adapters of the projections that read the same rows. */
struct adapter {
  size_t parts, rank, in;
  float *a, *da; /* [parts·rank, in] */
  struct {
    size_t column, out; /* where its output begins in the row of the group, and its width */
    float *b, *db;      /* [out, rank] */
  } part[3];
};

enum site { SITE_ATTENTION, SITE_O, SITE_MLP, SITE_DOWN, SITE_COUNT };

struct layer {
  struct matrix w[SITE_COUNT]; /* [q k v], o, [gate up], down */
  struct adapter lora[SITE_COUNT];
  float *norm1, *dnorm1, *norm2, *dnorm2;
};

struct region { /* memory of the device that grows and is kept between calls */
  void *data;
  size_t bytes;
};

struct model {
  struct model_config config;
  struct device dev;
  struct arena arena[ARENA_COUNT];
  struct param *params;
  size_t param_count, param_base; /* the first param_base are not adapters */
  struct layer *layers;
  struct matrix embed, head;
  float *norm, *dnorm;
  float *inv_freq; /* [head_dim / 2] */
  bool has_lora, lora_on;
  struct model_lora lora;
  enum model_checkpointing keep;
  uint64_t steps;
  bool torn;                       /* a step was left halfway: the weights are of no step */
  uint64_t step_rows, step_tokens; /* accumulated since the last step: all rows, supervised ones */
  struct region acts, work;
};

/* weights.c */
int model_region(struct model *m, struct region *g, size_t bytes, const char *what,
                 struct err *err);
int model_train_prepare(struct model *m, struct err *err); /* gradients and moments, zeroed */
void model_train_release(struct model *m, enum arena_kind kind);
bool model_arena_trained(const struct model *m, enum arena_kind kind);
void model_point(struct model *m); /* fills layers, embed, head … from the arenas */

/* ---- a pass ---- */

/* What one layer leaves for its backward. Rows of all: run->rows. */
struct acts {
  float *x;           /* [hidden] input */
  float *xn1, *rstd1; /* [hidden], [1] */
  float *qkv;         /* [q + 2 kv], q and k turned */
  float *att, *lse;   /* [q], [heads] × rows */
  float *mid;         /* [hidden] after attention */
  float *xn2, *rstd2;
  float *gu;            /* [2 ffn] */
  float *act;           /* [ffn] */
  float *u[SITE_COUNT]; /* adapters' [parts·rank] */
};

struct cache { /* keys and values of earlier tokens: [rows, 2 kv] for each layer */
  float *kv;
  size_t rows;                /* room */
  const int32_t *start, *len; /* of each sequence; len counts the new tokens too */
};

struct run {
  struct model *m;
  bool planning, training; /* training: keep what the backward needs, dropout */
  size_t rows, sequences;
  const int32_t *starts; /* [host] */
  const struct cache *cache;
  char *base; /* the region of activations; NULL while planning */
  size_t used, work_need;
  float *x;             /* inputs of layers: all of them when training, else two in turn */
  float *shared, *kept; /* what layers share; what each keeps (blocks of kept_bytes) */
  size_t kept_bytes;
  float *rope;                               /* [rows, 2, head_dim/2] */
  float *xf, *rstdf;                         /* the last rows, normalised */
  float *drop;                               /* dropped input of adapters */
  float *dx, *dact, *dqkv, *datt, *dxn, *du; /* backward */
  int32_t *tokens;
  int rc;
  struct err *err;
};

/* pass.c. A pass is planned first, so that its memory exists; then run:
 *   model_pass(m, b, training, …, &r)   lays out, copies tokens in, embeds
 *   run_forward(&r)                     layers and last norm: xf
 *   run_backward(&r)                    from dxn = gradient of xf to all weights */
int model_pass(struct run *r, struct model *m, const struct model_batch *b, bool training,
               const struct cache *cache, const int32_t *positions, struct err *err);
void run_plan(struct run *r, struct model *m, size_t rows, size_t sequences, bool training);
void run_forward(struct run *r);
void run_logits(struct run *r, size_t rows, const float *x, float *logits); /* [rows, vocab] */
void run_backward(struct run *r);
float *run_x(const struct run *r,
             size_t layer); /* input of a layer; of `layers`: the last output */
int model_batch_check(const struct model *m, const struct model_batch *b, bool targets,
                      struct err *err);

/* layer.c */
void layer_forward(struct run *r, size_t l, const struct acts *a, float *x_out);
void layer_backward(struct run *r, size_t l, const struct acts *a, float *dx);

/* ops.c */
void run_linear(struct run *r, size_t rows, const float *x, size_t ldx, const struct matrix *w,
                float *y, size_t ldy, float alpha, float beta);
void run_linear_dx(struct run *r, const float *dy, size_t lddy, const struct matrix *w, float *dx,
                   size_t lddx, float alpha, float beta);
void run_linear_dw(struct run *r, const float *dy, size_t lddy, const float *x, size_t ldx,
                   const struct matrix *w, float alpha); /* nothing when frozen */
void run_norm(struct run *r, const float *x, const float *w, float *y, float *rstd);
void run_norm_backward(struct run *r, const float *x, const float *w, const float *rstd,
                       const float *dy, float *dx, float *dw, bool add);
void run_rope(struct run *r, float *x, size_t heads, size_t ld, bool inverse);
void run_add(struct run *r, size_t d, const float *x, size_t ldx, float *y, size_t ldy);
void run_dropout(struct run *r, size_t layer, enum site site, size_t d, const float *x, float *y);
void run_need(struct run *r, size_t bytes);
struct work run_work(const struct run *r);

static inline float *at(float *p, size_t n) {
  return p ? p + n : NULL;
}

#endif

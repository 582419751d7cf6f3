/* SPDX-License-Identifier: MIT */
/* A decoder-only language model: weights, training and generation.
 *
 *   model_new ─► weights from a seed, or model_tensor_write one by one, or model_load a folder
 *   model_lora_add                    freezes the weights, adds trainable adapters
 *   model_accumulate × n, model_step  one optimiser step over n micro-batches
 *   model_loss, model_logits, model_generate
 *
 * Rows. There is no batch dimension: a micro-batch is `rows` tokens, all its sequences one after
 * another, and `starts` [sequences + 1] says where each begins (starts[0] = 0, the last is rows).
 * Sequences never see each other and count their positions from 0. targets[t] is the token that
 * row t should predict (the one after it), or −1 where no loss is wanted.
 *
 * Determinism. Every result depends on the inputs and the seeds only, bit for bit, whatever the
 * number of threads, the checkpointing, or a restart between two optimiser steps.
 *
 * Without adapters every weight is trainable (full training, fp32 storage only); with adapters only
 * they are, and frozen weights get no gradient. Gradients and moments are made at the first
 * model_accumulate. One call at a time per model; it belongs to the thread that made it.
 */
#ifndef LATHE_MODEL_MODEL_H
#define LATHE_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"
#include "model/config.h"
#include "tensor/tensor.h"

struct model;

/* Layers keep for the backward: everything; only what products made (norms and SwiGLU are done
 * again); or only their input (the whole layer is done again). Same bits, less memory, more time.
 */
enum model_checkpointing { MODEL_KEEP_ALL, MODEL_KEEP_PRODUCTS, MODEL_KEEP_INPUTS };

/* Weights: normal with standard deviation 0.02 (those that write to the residual stream divided by
 * √(2·layers)), norms 1; by seed. storage: DTYPE_F32, or DTYPE_BF16 for matrices that stay frozen.
 * `pool` (may be NULL) is borrowed and must outlive the model. config is checked and copied.
 * random = false leaves the weights zero for the caller to write. */
int model_new(struct model **out, const struct model_config *config, enum dtype storage,
              bool random, uint64_t seed, struct pool *pool, struct err *err);
void model_free(struct model *m);

const struct model_config *model_config(const struct model *m);
size_t model_parameters(const struct model *m); /* without adapters */
size_t model_trainable(const struct model *m);  /* weights that model_step changes */
uint64_t model_steps(const struct model *m);    /* optimiser steps done */
size_t model_bytes(const struct model *m);      /* memory held now */
const char *model_device(const struct model *m);

/* ---- tensors by name: Hugging Face's for weights, PEFT's for adapters ---- */

struct model_tensor {
  const char *name; /* "model.layers.0.self_attn.q_proj.weight" */
  int rank;         /* 1 or 2 */
  size_t shape[2];
  enum dtype dtype; /* as stored */
  bool adapter, trainable;
};
size_t model_tensors(const struct model *m);
void model_tensor_at(const struct model *m, size_t i, struct model_tensor *out);
/* Index, or −1. */
ptrdiff_t model_tensor_find(const struct model *m, const char *name);
/* A copy in its stored type; of the accumulated gradient (fp32, zeros where there is none). */
int model_tensor_read(struct model *m, size_t i, struct tensor *out, struct err *err);
int model_tensor_gradient(struct model *m, size_t i, struct tensor *out, struct err *err);
/* Converts from any float type; shape and count must agree (ERR_MISMATCH). */
int model_tensor_write(struct model *m, size_t i, const struct tensor *from, struct err *err);

/* ---- adapters (LoRA, Hu et al. 2021) ---- */

enum model_projection { PROJ_Q, PROJ_K, PROJ_V, PROJ_O, PROJ_GATE, PROJ_UP, PROJ_DOWN, PROJ_COUNT };
extern const char *const model_projection_names[PROJ_COUNT]; /* "q_proj" … */

struct model_lora {
  size_t rank;
  double alpha; /* scale is alpha / rank, with rslora alpha / √rank */
  bool rslora;
  double dropout; /* on the adapter's input, in model_accumulate only */
  bool target[PROJ_COUNT];
  uint64_t seed; /* of A (uniform in ±1/√in, as PEFT's kaiming_uniform(a=√5)); B is zero */
};
/* Once per model. Weights are frozen from here on; their gradients and moments are given back. */
int model_lora_add(struct model *m, const struct model_lora *lora, struct err *err);
const struct model_lora *model_lora(const struct model *m); /* NULL without adapters */
/* Adapters take part in the forward or not (to compare before and after); on at first. */
void model_lora_enable(struct model *m, bool on);
/* Adds the adapters' product to the weights (fp32 sum, stored type) and removes them. */
int model_lora_merge(struct model *m, struct err *err);

/* ---- training ---- */

struct model_batch {
  size_t rows, sequences;
  const int32_t *tokens;  /* [rows] */
  const int32_t *targets; /* [rows], −1 = no loss */
  const int32_t *starts;  /* [sequences + 1] */
};
struct model_loss {
  double loss; /* sum over supervised rows, nats */
  size_t supervised, correct;
};

void model_checkpointing(struct model *m, enum model_checkpointing how);
/* Forward and backward of one micro-batch; adds the gradients of the summed loss. */
int model_accumulate(struct model *m, const struct model_batch *b, struct model_loss *out,
                     struct err *err);
/* Forward only. row_loss [rows] may be NULL. */
int model_loss(struct model *m, const struct model_batch *b, float *row_loss,
               struct model_loss *out, struct err *err);

struct model_optimiser { /* AdamW; norms and vectors do not decay */
  double lr, beta1, beta2, eps, decay;
  double clip; /* largest global gradient norm; 0: no limit */
};
/* Divides the accumulated gradients by the supervised tokens accumulated since the last step,
 * clips, updates, clears. *norm is the norm before clipping. ERR_MISMATCH when the norm is not
 * finite (nothing is changed), ERR_MISUSE when nothing was accumulated. ERR_CANCELLED may leave the
 * weights halfway: model_state_write then refuses until model_state_read has put a state back. */
int model_step(struct model *m, const struct model_optimiser *o, double *norm, struct err *err);
/* Forgets what was accumulated (after a cancelled micro-batch). */
int model_drop(struct model *m, struct err *err);

/* Trainable weights, moments and counters between two steps, as bytes for a checkpoint; and back,
 * into a model of the same shape (ERR_MISMATCH otherwise). Little-endian, fp32. */
int model_state_write(struct model *m, struct buf *out, struct err *err);
int model_state_read(struct model *m, const void *bytes, size_t n, struct err *err);

struct model_memory {
  size_t weights, gradients, moments, activations, workspace, total;
};
/* What training on micro-batches of that size will hold, in bytes; nothing is allocated. */
int model_memory(struct model *m, size_t rows, size_t sequences, struct model_memory *out,
                 struct err *err);

/* The same for a model that does not exist yet: only its layout is made. */
struct model_plan {
  struct model_config config;
  enum dtype storage;
  const struct model_lora *lora; /* NULL: full training */
  enum model_checkpointing keep;
  size_t rows, sequences; /* of a micro-batch */
};
int model_plan(const struct model_plan *plan, struct model_memory *out, size_t *trainable,
               struct err *err);

/* ---- use ---- */

/* f32 [rows, vocab] of one packed batch (targets unused). */
int model_logits(struct model *m, const struct model_batch *b, struct tensor *out, struct err *err);

struct model_sampling {
  double temperature; /* 0: the most likely token (the lowest id among equals) */
  size_t top_k;       /* 0: all */
  double top_p;       /* 1: all */
  uint64_t seed;      /* draw (seed, prompt, position) is a pure function */
  size_t max_tokens;
  const int32_t *stop; /* ids that end an answer; they are not part of it */
  size_t stops;
};
struct model_answer {
  int32_t *tokens; /* mem_free */
  size_t count;
  bool stopped; /* by a stop id, rather than by max_tokens or max_positions */
};
/* Continues each prompt (a sequence of b; targets unused), all of them a token at a time with one
 * key-value cache. answers [sequences] are cleared first; free with model_answers_clear, also after
 * an error. A prompt must leave room for at least one token below max_positions (ERR_LIMIT). */
int model_generate(struct model *m, const struct model_batch *b, const struct model_sampling *s,
                   struct model_answer *answers, struct err *err);
void model_answers_clear(struct model_answer *answers, size_t count);

#endif

/* SPDX-License-Identifier: MIT */
/* What a decoder-only language model looks like, in the words of Hugging Face's config.json.
 *
 * Plain data. A family is described by these fields, not by code of its own: Llama is the case with
 * no biases; what a file asks for and we do not compute (rope scaling, sliding windows, experts) is
 * refused by name when the model is read, never ignored.
 */
#ifndef LATHE_MODEL_CONFIG_H
#define LATHE_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct model_config {
  size_t vocab;         /* vocab_size */
  size_t hidden;        /* hidden_size: width of a row between layers */
  size_t ffn;           /* intermediate_size */
  size_t layers;        /* num_hidden_layers */
  size_t heads;         /* num_attention_heads */
  size_t kv_heads;      /* num_key_value_heads; divides heads */
  size_t head_dim;      /* even; hidden / heads when absent */
  size_t max_positions; /* max_position_embeddings: the longest sequence */
  double rope_theta;
  double norm_eps; /* rms_norm_eps */
  bool tied;       /* tie_word_embeddings: the head is the embedding */
};

#define MODEL_LAYERS_MAX 512
#define MODEL_VOCAB_MAX  (1u << 20)
#define MODEL_WIDTH_MAX  (1u << 17)

/* Fills what is 0 with its default (kv_heads, head_dim, max_positions, rope_theta, norm_eps) and
 * checks the rest: ERR_FORMAT names the field, what it holds and what it must be. */
int model_config_check(struct model_config *c, struct err *err);

/* Number of weights, without adapters; the tied head counts once. */
size_t model_config_parameters(const struct model_config *c);

static inline size_t model_q_dim(const struct model_config *c) {
  return c->heads * c->head_dim;
}
static inline size_t model_kv_dim(const struct model_config *c) {
  return c->kv_heads * c->head_dim;
}

#endif

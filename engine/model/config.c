/* SPDX-License-Identifier: MIT */
/* Checks of a model's description; see config.h. Limits keep every product of sizes in a model far
 * below 2^63, so that the code that lays out weights and activations can multiply freely. */
#include "model/config.h"

static int between(size_t v, size_t max, const char *field, struct err *err) {
  if (v >= 1 && v <= max) return 0;
  return err_set(err, ERR_FORMAT, "model: %s is %zu; it must be between 1 and %zu", field, v, max);
}

int model_config_check(struct model_config *c, struct err *err) {
  int rc = between(c->vocab, MODEL_VOCAB_MAX, "vocab_size", err);
  rc = rc ? rc : between(c->hidden, MODEL_WIDTH_MAX, "hidden_size", err);
  rc = rc ? rc : between(c->ffn, MODEL_WIDTH_MAX, "intermediate_size", err);
  rc = rc ? rc : between(c->layers, MODEL_LAYERS_MAX, "num_hidden_layers", err);
  rc = rc ? rc : between(c->heads, 1024, "num_attention_heads", err);
  if (rc) return rc;
  if (!c->kv_heads) c->kv_heads = c->heads;
  if (c->kv_heads > c->heads || c->heads % c->kv_heads)
    return err_set(err, ERR_FORMAT,
                   "model: num_key_value_heads is %zu; it must divide num_attention_heads (%zu)",
                   c->kv_heads, c->heads);
  if (!c->head_dim) {
    if (c->hidden % c->heads)
      return err_set(err, ERR_FORMAT,
                     "model: hidden_size %zu is not a multiple of num_attention_heads %zu",
                     c->hidden, c->heads);
    c->head_dim = c->hidden / c->heads;
  }
  if (c->head_dim % 2 || c->head_dim > 1024)
    return err_set(err, ERR_FORMAT, "model: head_dim is %zu; it must be even and at most 1024",
                   c->head_dim);
  if (!c->max_positions) c->max_positions = 2048;
  if (!(c->rope_theta > 0)) c->rope_theta = 10000.0;
  if (!(c->norm_eps > 0)) c->norm_eps = 1e-5;
  return between(c->max_positions, 1u << 24, "max_position_embeddings", err);
}

size_t model_config_parameters(const struct model_config *c) {
  size_t q = model_q_dim(c), kv = model_kv_dim(c), h = c->hidden;
  size_t layer = h * (q + 2 * kv) + q * h + 3 * h * c->ffn + 2 * h;
  return c->layers * layer + h + c->vocab * h * (c->tied ? 1 : 2);
}

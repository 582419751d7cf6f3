/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for model/config: what is accepted of a config.json must describe a model whose
 * sizes can be computed with, and must be accepted again. */
#include "model/files.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct model_config c;
  if (model_config_parse(&c, (const char *)data, size, "config.json", NULL)) return 0;
  if (!c.vocab || !c.hidden || !c.layers || !c.heads || !c.kv_heads || c.heads % c.kv_heads)
    abort();
  if (c.head_dim % 2 || c.layers > MODEL_LAYERS_MAX || c.vocab > MODEL_VOCAB_MAX) abort();
  if (c.hidden > MODEL_WIDTH_MAX || c.ffn > MODEL_WIDTH_MAX ||
      model_q_dim(&c) > 2 * MODEL_WIDTH_MAX)
    abort();
  if (!model_config_parameters(&c) || model_config_check(&c, NULL)) abort();
  return 0;
}

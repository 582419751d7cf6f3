/* SPDX-License-Identifier: MIT */
/* Models on disk: a Hugging Face folder's config.json and safetensors into a model, and weights or
 * adapters out of it. What a config asks for and the engine does not compute is ERR_UNSUPPORTED and
 * named; a tensor that is missing, has another shape or belongs to nothing is ERR_MISMATCH. */
#ifndef LATHE_MODEL_FILES_H
#define LATHE_MODEL_FILES_H

#include "model/model.h"

/* From the text of a config.json; `where` begins messages. */
int model_config_parse(struct model_config *out, const char *text, size_t n, const char *where,
                       struct err *err);

/* A folder with config.json and model.safetensors (or shards with their index). storage
 * DTYPE_COUNT: bf16 when the file is bf16 or f16, else f32. */
int model_load(struct model **out, const char *folder, enum dtype storage, struct pool *pool,
               struct err *err);

enum model_part { MODEL_WEIGHTS, MODEL_ADAPTERS };

/* All tensors of that part from a safetensors file, index or folder. */
int model_weights_read(struct model *m, const char *path, enum model_part part, struct err *err);
/* All tensors of that part into one safetensors file, atomically. dtype: F32, BF16 or F16;
 * DTYPE_COUNT: as stored. */
int model_weights_write(struct model *m, const char *path, enum model_part part, enum dtype dtype,
                        struct err *err);

#endif

/* SPDX-License-Identifier: MIT */
/* Numbers that GGUF files use, shared by the reader and the writer. */
#ifndef LATHE_FORMAT_GGML_H
#define LATHE_FORMAT_GGML_H

#include "format/gguf.h"

struct ggml_type {
  const char *name;
  uint32_t number;
  uint32_t block, bytes; /* elements and bytes of a block */
  enum dtype dtype;
};
/* NULL for numbers that are not (or no longer) in use. */
const struct ggml_type *ggml_type_at(uint32_t number);
int ggml_number(enum dtype dtype); /* −1: GGUF has no such type */

/* Bytes of a scalar value; 0 for strings and arrays. */
size_t ggml_value_size(enum gguf_type type);

#endif

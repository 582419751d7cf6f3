/* SPDX-License-Identifier: MIT */
/* GGUF version 3: the file that llama.cpp and its relatives run.
 *
 *   "GGUF" u32 version  u64 tensors  u64 keys
 *   key:    string name, u32 type, value          string: u64 length, bytes; array: u32 type, u64
 * n, … tensor: string name, u32 rank, u64 dims[rank] (fastest first), u32 type, u64 offset zeros to
 * a multiple of the alignment (32), then the tensors' data, each aligned
 *
 * Writing: keys in the order they are set, then the list of tensors, then their bytes in that
 * order; deterministic. Shapes are given slowest first, as everywhere in the engine; the file's
 * order is the reverse.
 *
 * Reading maps the file and believes no number in it: counts are bounded by the bytes that are
 * left, strings and arrays lie inside the file, arrays are not nested, names are unique, ranks are
 * 1–4, dimensions are at least 1 and their product is checked, the alignment is a power of two from
 * 8 to 65,536, tensors are aligned, inside the data, and do not overlap.
 *
 * Source: ggml's docs/gguf.md.
 */
#ifndef LATHE_FORMAT_GGUF_H
#define LATHE_FORMAT_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "tensor/dtype.h"

#define GGUF_ALIGNMENT   32
#define GGUF_RANK        4
#define GGUF_NAME_MAX    63 /* ggml keeps 64 bytes */
#define GGUF_KEYS_MAX    65536
#define GGUF_TENSORS_MAX (1u << 20)

enum gguf_type {
  GGUF_U8,
  GGUF_I8,
  GGUF_U16,
  GGUF_I16,
  GGUF_U32,
  GGUF_I32,
  GGUF_F32,
  GGUF_BOOL,
  GGUF_STRING,
  GGUF_ARRAY,
  GGUF_U64,
  GGUF_I64,
  GGUF_F64,
  GGUF_TYPES
};
const char *gguf_type_name(enum gguf_type type); /* "u32", "string" … */

/* ---- writing ---- */

struct gguf_writer;
int gguf_create(struct gguf_writer **out, const char *path, struct err *err);
void gguf_discard(struct gguf_writer *w); /* frees; without commit nothing is left */

/* Keys; before the first tensor's bytes. Strings must be UTF-8 except in arrays of tokens, which
 * may be any bytes. A key set twice is ERR_MISUSE. */
int gguf_set_integer(struct gguf_writer *w, const char *key, enum gguf_type type, int64_t v,
                     struct err *err); /* any integer type or bool; out of range: ERR_MISUSE */
int gguf_set_float(struct gguf_writer *w, const char *key, enum gguf_type type, double v,
                   struct err *err); /* F32 or F64 */
int gguf_set_string(struct gguf_writer *w, const char *key, const char *s, size_t n,
                    struct err *err);
/* An array: gguf_begin_array, then exactly `count` gguf_add_… of that type. */
int gguf_begin_array(struct gguf_writer *w, const char *key, enum gguf_type type, uint64_t count,
                     struct err *err);
int gguf_add_integer(struct gguf_writer *w, int64_t v, struct err *err);
int gguf_add_float(struct gguf_writer *w, double v, struct err *err);
int gguf_add_string(struct gguf_writer *w, const char *s, size_t n, struct err *err);

/* Declares a tensor (F32, F16, BF16, Q8_0); all before the first bytes. The last dimension must be
 * a multiple of the type's block (ERR_MISUSE). */
int gguf_tensor(struct gguf_writer *w, const char *name, enum dtype type, int rank,
                const uint64_t *shape, struct err *err);
/* The next `rows` × (last dimension) elements of the tensor at hand, converted from `from` (a plain
 * float type; need not be aligned) to its type. Tensors are written in the order they were
 * declared, and may be written in several calls. */
int gguf_write(struct gguf_writer *w, enum dtype from, const void *elements, uint64_t rows,
               struct err *err);
/* A whole matrix [rows, columns] whose rows are reordered within each of `heads` groups from the
 * half-split to the interleaved rotary layout: new row 2i+j of a head is old row j·half + i. */
int gguf_write_rotary(struct gguf_writer *w, enum dtype from, const void *elements, uint64_t rows,
                      uint64_t heads, struct err *err);
/* Bytes of one row of the tensor at hand when its elements are of type `from`; 0 when all are
 * written. */
size_t gguf_row_bytes(const struct gguf_writer *w, enum dtype from);
uint64_t gguf_size(const struct gguf_writer *w); /* bytes written so far */
int gguf_commit(struct gguf_writer *w, struct err *err);

/* ---- reading ---- */

struct gguf;
int gguf_open(struct gguf **out, const char *path, struct err *err);
void gguf_close(struct gguf *g);

struct gguf_value {
  const char *key; /* zero-terminated */
  enum gguf_type type;
  enum gguf_type item;  /* of an array */
  uint64_t count;       /* of an array; else 1 */
  const void *data;     /* the first item as it stands in the file; strings with their lengths */
  const void *data_end; /* behind the last */
};
struct gguf_tensor_info {
  const char *name; /* zero-terminated */
  uint32_t type;    /* ggml's number */
  enum dtype dtype; /* DTYPE_COUNT for types that the engine cannot decode */
  int rank;
  uint64_t shape[GGUF_RANK]; /* slowest first */
  uint64_t count, bytes;
  const void *data;
};

size_t gguf_keys(const struct gguf *g);
const struct gguf_value *gguf_key(const struct gguf *g, size_t i);
const struct gguf_value *gguf_find(const struct gguf *g, const char *key);
size_t gguf_tensors(const struct gguf *g);
const struct gguf_tensor_info *gguf_tensor_at(const struct gguf *g, size_t i);
const struct gguf_tensor_info *gguf_tensor_find(const struct gguf *g, const char *name);

/* All elements as f32, appended. ERR_UNSUPPORTED for types that cannot be decoded. */
int gguf_decode(const struct gguf_tensor_info *t, struct buf *out, struct err *err);

/* Items of a value one by one: begin with *at = v->data; false at the end or when the item is of
 * another kind (integers include bool; floats do not include integers). */
bool gguf_next_integer(const struct gguf_value *v, const void **at, int64_t *out);
bool gguf_next_float(const struct gguf_value *v, const void **at, double *out);
bool gguf_next_string(const struct gguf_value *v, const void **at, const char **s, size_t *n);

#endif

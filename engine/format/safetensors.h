/* SPDX-License-Identifier: MIT */
/* safetensors: named arrays in one file, or in several with an index.
 *
 *   [ u64 header length N ][ N bytes of JSON ][ data … ]
 *   {"__metadata__": {"format": "pt"}, "name": {"dtype": "F32", "shape": [2, 3],
 *    "data_offsets": [begin, end]}, …}            offsets count from the first byte of data
 *
 * Reading maps the file and trusts nothing: the header is at most 100 MB, has no key twice, each
 * shape × type equals its bytes, and the tensors cover the data exactly: no hole, no overlap, no
 * byte behind the last. An index (model.safetensors.index.json) must name exactly the tensors that
 * its shards hold, and its shards must lie beside it.
 *
 * Writing is streaming and deterministic: the list of tensors is given first, in the order they
 * will be in the file, then their bytes; the header is padded with spaces to a multiple of 8.
 *
 * Source: the format's README (github.com/huggingface/safetensors).
 */
#ifndef LATHE_FORMAT_SAFETENSORS_H
#define LATHE_FORMAT_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tensor/dtype.h"

#define SAFETENSORS_HEADER_MAX ((uint64_t)100 << 20)
#define SAFETENSORS_RANK       8
#define SAFETENSORS_NAME_MAX   1024

struct safetensors_tensor {
  const char *name; /* zero-terminated */
  const char *type; /* as in the file: "F32", "F8_E4M3" … */
  enum dtype dtype; /* DTYPE_COUNT for types that the engine does not compute with */
  int rank;
  uint64_t shape[SAFETENSORS_RANK];
  uint64_t count; /* elements */
  uint64_t bytes;
  const void *data; /* in the mapped file; NOT aligned: copy before reading as numbers */
};

struct safetensors;

/* path: a .safetensors file, an index (….json), or a folder with model.safetensors.index.json,
 * model.safetensors or adapter_model.safetensors. The caller closes. */
int safetensors_open(struct safetensors **out, const char *path, struct err *err);
void safetensors_close(struct safetensors *s);

size_t safetensors_count(const struct safetensors *s);
/* In the order of the file (shards in order of their names). */
const struct safetensors_tensor *safetensors_at(const struct safetensors *s, size_t i);
/* NULL when there is none of that name. */
const struct safetensors_tensor *safetensors_find(const struct safetensors *s, const char *name);
/* All elements of a tensor into `out`, converted to another float type when `to` is not its own
 * (ERR_UNSUPPORTED when there is no conversion). out must hold count elements of `to`. */
int safetensors_read(const struct safetensors_tensor *t, enum dtype to, void *out, struct err *err);
/* A value of __metadata__ of the first file, or NULL. */
const char *safetensors_metadata(const struct safetensors *s, const char *key);

/* ---- writing ---- */

struct safetensors_spec {
  const char *name;
  enum dtype dtype; /* F32, BF16, F16, I32, I64, U8 */
  int rank;
  const uint64_t *shape;
};

struct safetensors_writer;

/* Writes the header. metadata: pairs key, value, …, NULL; may be NULL. Names must be unique UTF-8
 * (ERR_MISUSE). The specs are copied. */
int safetensors_create(struct safetensors_writer **out, const char *path,
                       const struct safetensors_spec *specs, size_t count,
                       const char *const *metadata, struct err *err);
/* The next bytes of the data; tensors follow each other in the order of the specs. More than they
 * need: ERR_MISMATCH. */
int safetensors_write(struct safetensors_writer *w, const void *bytes, size_t n, struct err *err);
/* Converts n elements to the type of the tensor at hand (equal types are copied). */
int safetensors_write_as(struct safetensors_writer *w, enum dtype from, const void *elements,
                         uint64_t n, struct err *err);
/* What the next byte belongs to: the tensor at hand, or −1 when all are written. */
ptrdiff_t safetensors_position(const struct safetensors_writer *w);
uint64_t safetensors_size(const struct safetensors_writer *w); /* of the whole file */
/* All bytes must be there (ERR_MISMATCH otherwise); then the file exists. */
int safetensors_commit(struct safetensors_writer *w, struct err *err);
void safetensors_discard(struct safetensors_writer *w); /* frees; without commit nothing is left */

#endif

/* SPDX-License-Identifier: MIT */
/* Counted views; see tensor.h. */
#include "tensor/tensor.h"
#include "base/checked.h"
#include "base/mem.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct storage {
  atomic_size_t views;
  void *memory; /* from mem_aligned, or NULL when wrapped */
  size_t bytes;
  void (*release)(void *owner);
  void *owner;
};

/* Fills everything of *t but storage and data; the view's size goes to *bytes. */
static int describe(struct tensor *t, enum dtype dtype, int rank, const size_t *shape,
                    size_t *bytes, struct err *err) {
  memset(t, 0, sizeof *t);
  if ((unsigned)dtype >= DTYPE_COUNT) return err_set(err, ERR_MISUSE, "unknown tensor type");
  if (rank < 0 || rank > TENSOR_RANK)
    return err_set(err, ERR_MISUSE, "a tensor has 0 to %d dimensions, not %d", TENSOR_RANK, rank);
  size_t count = 1;
  bool empty = false;
  for (int i = 0; i < rank; i++) {
    if (!shape[i])
      empty = true;
    else if (!checked_mul(count, shape[i], &count))
      return err_set(err, ERR_LIMIT, "the tensor's shape is too large");
  }
  size_t block = dtype_info(dtype)->block;
  if (block > 1 && (rank < 1 || shape[rank - 1] % block))
    return err_set(err, ERR_MISUSE, "the last dimension of a %s tensor must be a multiple of %zu",
                   dtype_info(dtype)->name, block);
  *bytes = dtype_bytes(dtype, empty ? 0 : count);
  if (*bytes > SIZE_MAX / 2) return err_set(err, ERR_LIMIT, "the tensor's shape is too large");
  t->dtype = dtype;
  t->rank = rank;
  for (int i = 0; i < TENSOR_RANK; i++) t->shape[i] = i < rank ? shape[i] : 1;
  return 0;
}

int tensor_init(struct tensor *t, enum dtype dtype, int rank, const size_t *shape,
                struct err *err) {
  size_t bytes;
  int rc = describe(t, dtype, rank, shape, &bytes, err);
  if (rc) goto fail;
  t->storage = mem_zero(sizeof *t->storage);
  void *memory = t->storage ? mem_aligned(bytes) : NULL;
  if (!memory) {
    rc = err_nomem(err, bytes, "a tensor");
    mem_free(t->storage);
    goto fail;
  }
  memset(memory, 0, bytes);
  atomic_init(&t->storage->views, 1);
  t->storage->memory = t->data = memory;
  t->storage->bytes = bytes;
  return 0;
fail:
  memset(t, 0, sizeof *t);
  return rc;
}

int tensor_wrap(struct tensor *t, enum dtype dtype, int rank, const size_t *shape, void *data,
                void (*release)(void *owner), void *owner, struct err *err) {
  size_t bytes;
  int rc = describe(t, dtype, rank, shape, &bytes, err);
  if (!rc && !(t->storage = mem_zero(sizeof *t->storage)))
    rc = err_nomem(err, sizeof *t->storage, "a tensor");
  if (rc) {
    memset(t, 0, sizeof *t);
    return rc;
  }
  atomic_init(&t->storage->views, 1);
  t->storage->release = release;
  t->storage->owner = owner;
  t->data = data;
  return 0;
}

void tensor_clear(struct tensor *t) {
  struct storage *s = t->storage;
  if (s && atomic_fetch_sub(&s->views, 1) == 1) {
    if (s->memory) mem_free_aligned(s->memory, s->bytes);
    if (s->release) s->release(s->owner);
    mem_free(s);
  }
  memset(t, 0, sizeof *t);
}

void tensor_share(struct tensor *out, const struct tensor *t) {
  if (t->storage) atomic_fetch_add(&t->storage->views, 1);
  *out = *t;
}

/* Bytes of one index of the first dimension. */
static size_t stride(const struct tensor *t) {
  size_t count = 1;
  for (int i = 1; i < t->rank; i++) count *= t->shape[i];
  return dtype_bytes(t->dtype, count);
}

int tensor_slice(struct tensor *out, const struct tensor *t, size_t from, size_t to,
                 struct err *err) {
  memset(out, 0, sizeof *out);
  if (t->rank < 1) return err_set(err, ERR_MISUSE, "a tensor without dimensions has no rows");
  if (from > to || to > t->shape[0])
    return err_set(err, ERR_MISUSE, "rows %zu to %zu are outside of %zu rows", from, to,
                   t->shape[0]);
  if (t->rank == 1) {
    size_t block = dtype_info(t->dtype)->block;
    if (from % block || to % block)
      return err_set(err, ERR_MISUSE,
                     "a slice of a %s tensor must begin and end at multiples of "
                     "%zu",
                     dtype_info(t->dtype)->name, block);
  }
  tensor_share(out, t);
  out->data = (char *)t->data + (t->rank == 1 ? dtype_bytes(t->dtype, from) : from * stride(t));
  out->shape[0] = to - from;
  return 0;
}

int tensor_row(struct tensor *out, const struct tensor *t, size_t i, struct err *err) {
  memset(out, 0, sizeof *out);
  if (t->rank < 1 || (t->rank < 2 && dtype_info(t->dtype)->block > 1))
    return err_set(err, ERR_MISUSE, "this tensor has no rows");
  if (i >= t->shape[0])
    return err_set(err, ERR_MISUSE, "row %zu is outside of %zu rows", i, t->shape[0]);
  tensor_share(out, t);
  out->data = (char *)t->data + i * stride(t);
  out->rank = t->rank - 1;
  memmove(out->shape, out->shape + 1, (TENSOR_RANK - 1) * sizeof *out->shape);
  out->shape[TENSOR_RANK - 1] = 1;
  return 0;
}

int tensor_reshape(struct tensor *out, const struct tensor *t, int rank, const size_t *shape,
                   struct err *err) {
  size_t bytes;
  int rc = describe(out, t->dtype, rank, shape, &bytes, err);
  if (!rc && bytes != tensor_bytes(t))
    rc = err_set(err, ERR_MISUSE, "the new shape has another number of elements");
  if (rc) {
    memset(out, 0, sizeof *out);
    return rc;
  }
  out->storage = t->storage;
  out->data = t->data;
  if (t->storage) atomic_fetch_add(&t->storage->views, 1);
  return 0;
}

size_t tensor_count(const struct tensor *t) {
  size_t count = 1;
  for (int i = 0; i < t->rank; i++) count *= t->shape[i];
  return count;
}

size_t tensor_bytes(const struct tensor *t) {
  return dtype_bytes(t->dtype, tensor_count(t));
}

size_t tensor_outside(const struct tensor *t) {
  return t->storage ? t->storage->bytes : 0;
}

size_t tensor_rows(const struct tensor *t) {
  size_t count = 1;
  for (int i = 0; i + 1 < t->rank; i++) count *= t->shape[i];
  return count;
}

size_t tensor_cols(const struct tensor *t) {
  return t->rank ? t->shape[t->rank - 1] : 1;
}

int tensor_convert(struct tensor *out, const struct tensor *t, enum dtype dtype, struct err *err) {
  enum { CHUNK = 4096 }; /* a multiple of every block */
  memset(out, 0, sizeof *out);
  const struct dtype_info *from = dtype_info(t->dtype), *to = dtype_info(dtype);
  if (!from->is_float || !to->is_float || to->block > 1)
    return err_set(err, ERR_UNSUPPORTED, "cannot convert %s to %s", from->name, to->name);
  int rc = tensor_init(out, dtype, t->rank, t->shape, err);
  if (rc) return rc;
  float chunk[CHUNK];
  size_t n = tensor_count(t);
  for (size_t i = 0; i < n; i += CHUNK) {
    size_t part = n - i < CHUNK ? n - i : CHUNK;
    dtype_to_f32(t->dtype, (const char *)t->data + dtype_bytes(t->dtype, i), chunk, part);
    dtype_from_f32(dtype, chunk, (char *)out->data + dtype_bytes(dtype, i), part);
  }
  return 0;
}

/* Elements may lie at any address (mapped files). */
int64_t tensor_get_integer(const struct tensor *t, size_t i) {
  const char *p = t->data;
  int32_t i32;
  int64_t i64;
  switch (t->dtype) {
  case DTYPE_I32:
    memcpy(&i32, p + i * sizeof i32, sizeof i32);
    return i32;
  case DTYPE_I64:
    memcpy(&i64, p + i * sizeof i64, sizeof i64);
    return i64;
  case DTYPE_U8:
    return ((const unsigned char *)t->data)[i];
  default:
    return 0;
  }
}

double tensor_get(const struct tensor *t, size_t i) {
  enum { BLOCK_MOST = 256 };
  float block[BLOCK_MOST];
  const struct dtype_info *info = dtype_info(t->dtype);
  if (!info->is_float) return (double)tensor_get_integer(t, i);
  dtype_to_f32(t->dtype, (const char *)t->data + i / info->block * info->bytes, block, info->block);
  return (double)block[i % info->block];
}

int tensor_set_integer(struct tensor *t, size_t i, int64_t v, struct err *err) {
  char *p = t->data;
  int32_t i32 = (int32_t)v;
  if (dtype_info(t->dtype)->is_float) return tensor_set(t, i, (double)v, err);
  if ((t->dtype == DTYPE_I32 && v != i32) || (t->dtype == DTYPE_U8 && (v < 0 || v > 255)))
    return err_set(err, ERR_MISUSE, "%lld does not fit into %s", (long long)v,
                   dtype_info(t->dtype)->name);
  switch (t->dtype) {
  case DTYPE_I32:
    memcpy(p + i * sizeof i32, &i32, sizeof i32);
    break;
  case DTYPE_I64:
    memcpy(p + i * sizeof v, &v, sizeof v);
    break;
  default:
    p[i] = (char)(unsigned char)v;
    break;
  }
  return 0;
}

int tensor_set(struct tensor *t, size_t i, double v, struct err *err) {
  const struct dtype_info *info = dtype_info(t->dtype);
  float single = (float)v;
  if (!info->is_float) {
    if (!(fabs(v) < 0x1p63) || v != (double)(int64_t)v)
      return err_set(err, ERR_MISUSE, "%g does not fit into %s", v, info->name);
    return tensor_set_integer(t, i, (int64_t)v, err);
  }
  if (info->block > 1 || !dtype_from_f32(t->dtype, &single, (char *)t->data + i * info->bytes, 1))
    return err_set(err, ERR_UNSUPPORTED, "elements of a %s tensor cannot be set one by one",
                   info->name);
  return 0;
}

char *tensor_describe(const struct tensor *t, char text[96]) {
  size_t at = (size_t)snprintf(text, 96, "%s[", dtype_info(t->dtype)->name);
  for (int i = 0; i < t->rank && at < 96; i++)
    at += (size_t)snprintf(text + at, 96 - at, "%s%zu", i ? ", " : "", t->shape[i]);
  if (at < 95) snprintf(text + at, 96 - at, "]");
  return text;
}

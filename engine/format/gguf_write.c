/* SPDX-License-Identifier: MIT */
/* Writing GGUF; see gguf.h. Keys and the tensor list are gathered in memory and written when the
 * first tensor's bytes come; data is converted row by row. */
#include "format/gguf.h"
#include "format/ggml.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/checked.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "file/file.h"
#include "tensor/quant.h"

#include <string.h>

#define BATCH 65536 /* elements converted at a time, about; at least one row */

struct spec {
  char *name;
  enum dtype dtype;
  uint64_t rows, columns;
  uint64_t offset, bytes;
};

struct gguf_writer {
  struct file_replace *file;
  struct buf keys, list;
  char **names; /* of keys; to refuse one set twice */
  size_t key_count, key_cap;
  struct spec *tensors;
  size_t count, cap, at; /* at: the tensor being written */
  uint64_t total, row;   /* bytes of data; rows of tensor `at` that are written */
  uint64_t data_at;      /* in the file; 0 before the head is written */
  enum gguf_type item;   /* of the open array */
  uint64_t open;         /* items of it still to come */
  float *wide;           /* a batch of rows, and what they become */
  void *narrow;
  size_t batch;
};

int gguf_create(struct gguf_writer **out, const char *path, struct err *err) {
  struct gguf_writer *w = mem_zero(sizeof *w);
  *out = NULL;
  if (!w) return err_nomem(err, sizeof *w, path);
  buf_init(&w->keys), buf_init(&w->list);
  int rc = file_replace_open(&w->file, path, 0, err);
  if (rc)
    gguf_discard(w);
  else
    *out = w;
  return rc;
}

void gguf_discard(struct gguf_writer *w) {
  if (!w) return;
  file_replace_close(w->file);
  buf_clear(&w->keys), buf_clear(&w->list);
  for (size_t i = 0; i < w->key_count; i++) mem_free(w->names[i]);
  for (size_t i = 0; i < w->count; i++) mem_free(w->tensors[i].name);
  mem_free(w->names);
  mem_free(w->tensors);
  mem_free_aligned(w->wide, w->batch * sizeof(float));
  mem_free_aligned(w->narrow, w->batch * sizeof(float));
  mem_free(w);
}

/* ---- keys ---- */

static void put_string(struct buf *b, const char *s, size_t n) {
  buf_add_u64le(b, n);
  buf_add(b, s, n);
}

static int too_late(const struct gguf_writer *w, struct err *err) {
  if (w->open)
    return err_set(err, ERR_MISUSE, "an array lacks %llu items", (unsigned long long)w->open);
  if (w->data_at) return err_set(err, ERR_MISUSE, "the head of the file is written already");
  return 0;
}

static int begin_key(struct gguf_writer *w, const char *key, enum gguf_type type, struct err *err) {
  size_t n = strlen(key);
  int rc = too_late(w, err);
  if (rc) return rc;
  if (n == 0 || n > 65535 || utf8_check(key, n) < n)
    return err_set(err, ERR_MISUSE, "'%.80s' is not a good key", key);
  for (size_t i = 0; i < w->key_count; i++)
    if (!strcmp(w->names[i], key)) return err_set(err, ERR_MISUSE, "key '%s' is set twice", key);
  if (w->key_count == w->key_cap) {
    size_t cap = w->key_cap ? 2 * w->key_cap : 64;
    char **names = mem_rearray(w->names, cap, sizeof *names);
    if (!names) return err_nomem(err, cap * sizeof *names, "keys");
    w->names = names;
    w->key_cap = cap;
  }
  if (!(w->names[w->key_count] = mem_strdup(key))) return err_nomem(err, n, "a key");
  w->key_count++;
  put_string(&w->keys, key, n);
  buf_add_u32le(&w->keys, type);
  return 0;
}

static bool in_range(enum gguf_type type, int64_t v) {
  switch (type) {
  case GGUF_U8:
    return v >= 0 && v <= UINT8_MAX;
  case GGUF_I8:
    return v >= INT8_MIN && v <= INT8_MAX;
  case GGUF_U16:
    return v >= 0 && v <= UINT16_MAX;
  case GGUF_I16:
    return v >= INT16_MIN && v <= INT16_MAX;
  case GGUF_U32:
    return v >= 0 && v <= UINT32_MAX;
  case GGUF_I32:
    return v >= INT32_MIN && v <= INT32_MAX;
  case GGUF_BOOL:
    return v == 0 || v == 1;
  case GGUF_U64:
    return v >= 0;
  case GGUF_I64:
    return true;
  default:
    return false;
  }
}

static int put_integer(struct gguf_writer *w, enum gguf_type type, int64_t v, struct err *err) {
  if (!in_range(type, v))
    return err_set(err, ERR_MISUSE, "%lld is not a %s", (long long)v, gguf_type_name(type));
  for (size_t i = 0; i < ggml_value_size(type); i++)
    buf_addc(&w->keys, (char)((uint64_t)v >> 8 * i));
  return 0;
}

static int put_float(struct gguf_writer *w, enum gguf_type type, double v, struct err *err) {
  float single = (float)v;
  uint32_t bits;
  uint64_t wide;
  memcpy(&bits, &single, 4);
  memcpy(&wide, &v, 8);
  if (type == GGUF_F32)
    buf_add_u32le(&w->keys, bits);
  else if (type == GGUF_F64)
    buf_add_u64le(&w->keys, wide);
  else
    return err_set(err, ERR_MISUSE, "a number with a fraction is not a %s", gguf_type_name(type));
  return 0;
}

int gguf_set_integer(struct gguf_writer *w, const char *key, enum gguf_type type, int64_t v,
                     struct err *err) {
  if (!in_range(type, v))
    return err_set(err, ERR_MISUSE, "key '%s': %lld is not a %s", key, (long long)v,
                   gguf_type_name(type));
  int rc = begin_key(w, key, type, err);
  return rc ? rc : put_integer(w, type, v, err);
}

int gguf_set_float(struct gguf_writer *w, const char *key, enum gguf_type type, double v,
                   struct err *err) {
  if (type != GGUF_F32 && type != GGUF_F64)
    return err_set(err, ERR_MISUSE, "key '%s': not a type of numbers with fractions", key);
  int rc = begin_key(w, key, type, err);
  return rc ? rc : put_float(w, type, v, err);
}

int gguf_set_string(struct gguf_writer *w, const char *key, const char *s, size_t n,
                    struct err *err) {
  if (utf8_check(s, n) < n) return err_set(err, ERR_MISUSE, "key '%s': not UTF-8", key);
  int rc = begin_key(w, key, GGUF_STRING, err);
  if (!rc) put_string(&w->keys, s, n);
  return rc;
}

int gguf_begin_array(struct gguf_writer *w, const char *key, enum gguf_type type, uint64_t count,
                     struct err *err) {
  if (type >= GGUF_TYPES || type == GGUF_ARRAY)
    return err_set(err, ERR_MISUSE, "key '%s': arrays of that type are not written", key);
  int rc = begin_key(w, key, GGUF_ARRAY, err);
  if (rc) return rc;
  buf_add_u32le(&w->keys, type);
  buf_add_u64le(&w->keys, count);
  w->item = type;
  w->open = count;
  return 0;
}

static int next_item(struct gguf_writer *w, struct err *err) {
  if (!w->open) return err_set(err, ERR_MISUSE, "no array is open");
  w->open--;
  return 0;
}

int gguf_add_integer(struct gguf_writer *w, int64_t v, struct err *err) {
  int rc = next_item(w, err);
  return rc ? rc : put_integer(w, w->item, v, err);
}

int gguf_add_float(struct gguf_writer *w, double v, struct err *err) {
  int rc = next_item(w, err);
  return rc ? rc : put_float(w, w->item, v, err);
}

int gguf_add_string(struct gguf_writer *w, const char *s, size_t n, struct err *err) {
  int rc = next_item(w, err);
  if (!rc && w->item != GGUF_STRING) rc = err_set(err, ERR_MISUSE, "the array is not of strings");
  if (!rc) put_string(&w->keys, s, n);
  return rc;
}

/* ---- tensors ---- */

static int new_spec(struct gguf_writer *w, const char *name, struct err *err) {
  if (w->count == w->cap) {
    size_t cap = w->cap ? 2 * w->cap : 64;
    struct spec *tensors = mem_rearray(w->tensors, cap, sizeof *tensors);
    if (!tensors) return err_nomem(err, cap * sizeof *tensors, "a list of tensors");
    w->tensors = tensors;
    w->cap = cap;
  }
  for (size_t i = 0; i < w->count; i++)
    if (!strcmp(w->tensors[i].name, name))
      return err_set(err, ERR_MISUSE, "two tensors named '%s'", name);
  w->tensors[w->count] = (struct spec){.name = mem_strdup(name)};
  return w->tensors[w->count].name ? 0 : err_nomem(err, strlen(name), "a name");
}

int gguf_tensor(struct gguf_writer *w, const char *name, enum dtype type, int rank,
                const uint64_t *shape, struct err *err) {
  const struct dtype_info *info = dtype_info(type);
  uint64_t rows = 1;
  int number = ggml_number(type), rc = too_late(w, err);
  if (rc) return rc;
  if (strlen(name) == 0 || strlen(name) > GGUF_NAME_MAX)
    return err_set(err, ERR_MISUSE, "'%.80s': a name has 1 to %d bytes", name, GGUF_NAME_MAX);
  if (number < 0 || rank < 1 || rank > GGUF_RANK)
    return err_set(err, ERR_MISUSE, "tensor '%s': a type or rank that GGUF has not", name);
  for (int i = 0; i < rank; i++)
    if (shape[i] == 0 || (i + 1 < rank && !checked_mul64(rows, shape[i], &rows)))
      return err_set(err, ERR_MISUSE, "tensor '%s': a dimension of 0, or too many elements", name);
  uint64_t columns = shape[rank - 1], bytes;
  if (columns % info->block)
    return err_set(err, ERR_MISUSE, "tensor '%s': rows of %llu cannot be %s (blocks of %zu)", name,
                   (unsigned long long)columns, info->name, info->block);
  if (!checked_mul64(columns / info->block * info->bytes, rows, &bytes) || bytes > INT64_MAX / 2)
    return err_set(err, ERR_MISUSE, "tensor '%s': too many elements", name);
  if ((rc = new_spec(w, name, err))) return rc;
  struct spec *s = &w->tensors[w->count++];
  s->dtype = type, s->rows = rows, s->columns = columns, s->offset = w->total, s->bytes = bytes;
  w->total = (w->total + bytes + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
  put_string(&w->list, name, strlen(name));
  buf_add_u32le(&w->list, (uint32_t)rank);
  for (int i = rank; i-- > 0;) buf_add_u64le(&w->list, shape[i]);
  buf_add_u32le(&w->list, (uint32_t)number);
  buf_add_u64le(&w->list, s->offset);
  return 0;
}

static int pad(struct gguf_writer *w, struct err *err) {
  static const char zeros[GGUF_ALIGNMENT] = {0};
  size_t over = (size_t)(file_replace_size(w->file) % GGUF_ALIGNMENT);
  return over ? file_replace_write(w->file, zeros, GGUF_ALIGNMENT - over, err) : 0;
}

static int write_head(struct gguf_writer *w, struct err *err) {
  struct buf head;
  int rc = too_late(w, err);
  if (rc) return rc;
  buf_init(&head);
  buf_adds(&head, "GGUF");
  buf_add_u32le(&head, 3);
  buf_add_u64le(&head, w->count);
  buf_add_u64le(&head, w->key_count);
  rc = buf_check(&head, "a GGUF head", err);
  if (!rc) rc = buf_check(&w->keys, "GGUF keys", err);
  if (!rc) rc = buf_check(&w->list, "a GGUF list", err);
  if (!rc) rc = file_replace_write(w->file, head.data, head.len, err);
  if (!rc && w->keys.len) rc = file_replace_write(w->file, w->keys.data, w->keys.len, err);
  if (!rc && w->list.len) rc = file_replace_write(w->file, w->list.data, w->list.len, err);
  if (!rc) rc = pad(w, err);
  if (!rc) w->data_at = file_replace_size(w->file);
  buf_clear(&head);
  return rc;
}

/* Room for a batch of rows of the tensor at hand. */
static int reserve_batch(struct gguf_writer *w, uint64_t columns, struct err *err) {
  uint64_t want = columns > BATCH ? columns : BATCH;
  if (w->batch >= want) return 0;
  mem_free_aligned(w->wide, w->batch * sizeof(float));
  mem_free_aligned(w->narrow, w->batch * sizeof(float));
  w->wide = NULL, w->narrow = NULL, w->batch = 0;
  if (want > SIZE_MAX / 8) return err_set(err, ERR_LIMIT, "rows are too long");
  w->wide = mem_aligned((size_t)want * sizeof(float));
  w->narrow = mem_aligned((size_t)want * sizeof(float));
  w->batch = (size_t)want;
  return w->wide && w->narrow ? 0 : err_nomem(err, 2 * want * sizeof(float), "rows of a tensor");
}

/* narrow (as stored in `from`) → bytes of the file's type; returns where they are. */
static const void *convert(struct gguf_writer *w, enum dtype from, enum dtype to, size_t n) {
  if (from == to) return w->narrow;
  dtype_to_f32(from, w->narrow, w->wide, n);
  if (to == DTYPE_F32) return w->wide;
  if (to == DTYPE_Q8_0)
    quant_q8_0(w->wide, w->narrow, n);
  else
    dtype_from_f32(to, w->wide, w->narrow, n);
  return w->narrow;
}

/* The old row that becomes row `r`; heads = 0: the same. */
static uint64_t source_row(uint64_t r, uint64_t rows, uint64_t heads) {
  if (!heads) return r;
  uint64_t size = rows / heads, head = r / size, in = r % size;
  return head * size + in % 2 * (size / 2) + in / 2;
}

static int end_tensor(struct gguf_writer *w, struct err *err) {
  if (w->row < w->tensors[w->at].rows) return 0;
  w->at++;
  w->row = 0;
  return pad(w, err);
}

static int write_rows(struct gguf_writer *w, enum dtype from, const void *elements, uint64_t rows,
                      uint64_t heads, struct err *err) {
  int rc = w->data_at ? 0 : write_head(w, err);
  if (rc) return rc;
  if (w->at >= w->count) return err_set(err, ERR_MISMATCH, "all tensors are written");
  const struct spec *s = &w->tensors[w->at];
  if (rows > s->rows - w->row)
    return err_set(err, ERR_MISMATCH, "tensor '%s': more rows than it has", s->name);
  if (!dtype_info(from)->is_float || dtype_info(from)->block != 1)
    return err_set(err, ERR_MISUSE, "tensor '%s': %s cannot be converted", s->name,
                   dtype_info(from)->name);
  if ((rc = reserve_batch(w, s->columns, err))) return rc;
  const unsigned char *p = elements;
  size_t row_bytes = (size_t)s->columns * dtype_info(from)->bytes;
  uint64_t batch = w->batch / s->columns;
  for (uint64_t done = 0; done < rows && !rc;) {
    uint64_t now = rows - done < batch ? rows - done : batch;
    for (uint64_t i = 0; i < now; i++)
      memcpy((unsigned char *)w->narrow + i * row_bytes,
             p + source_row(done + i, rows, heads) * row_bytes, row_bytes);
    size_t n = (size_t)(now * s->columns);
    const void *bytes = convert(w, from, s->dtype, n);
    rc = cancel_check(err);
    if (!rc) rc = file_replace_write(w->file, bytes, dtype_bytes(s->dtype, n), err);
    done += now;
  }
  w->row += rows;
  return rc ? rc : end_tensor(w, err);
}

int gguf_write(struct gguf_writer *w, enum dtype from, const void *elements, uint64_t rows,
               struct err *err) {
  return write_rows(w, from, elements, rows, 0, err);
}

int gguf_write_rotary(struct gguf_writer *w, enum dtype from, const void *elements, uint64_t rows,
                      uint64_t heads, struct err *err) {
  if (!heads || rows % heads || rows / heads % 2)
    return err_set(err, ERR_MISUSE, "%llu rows are not %llu heads of even size",
                   (unsigned long long)rows, (unsigned long long)heads);
  if (w->row) return err_set(err, ERR_MISUSE, "a rotary tensor is written in one call");
  return write_rows(w, from, elements, rows, heads, err);
}

size_t gguf_row_bytes(const struct gguf_writer *w, enum dtype from) {
  return w->at < w->count ? dtype_bytes(from, (size_t)w->tensors[w->at].columns) : 0;
}

uint64_t gguf_size(const struct gguf_writer *w) {
  return file_replace_size(w->file);
}

int gguf_commit(struct gguf_writer *w, struct err *err) {
  int rc = w->data_at ? 0 : write_head(w, err);
  if (rc) return rc;
  if (w->at < w->count)
    return err_set(err, ERR_MISMATCH, "tensor '%s' is not written", w->tensors[w->at].name);
  return file_replace_commit(w->file, err);
}

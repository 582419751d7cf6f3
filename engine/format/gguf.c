/* SPDX-License-Identifier: MIT */
/* Reading GGUF; see gguf.h for what is checked. gguf_write.c writes them. */
#include "format/gguf.h"
#include "format/ggml.h"

#include "base/checked.h"
#include "base/mem.h"
#include "base/reader.h"
#include "file/file.h"

#include <stdlib.h>
#include <string.h>

struct gguf {
  char *path;
  struct file_map map;
  uint32_t version;
  uint64_t alignment;
  struct gguf_value *keys, **keys_sorted;
  struct gguf_tensor_info *tensors, **tensors_sorted;
  size_t key_count, tensor_count;
};

/* Blocks and bytes as ggml defines them (ggml-common.h). */
static const struct ggml_type ggml_types[] = {
    {"F32", 0, 1, 4, DTYPE_F32},         {"F16", 1, 1, 2, DTYPE_F16},
    {"Q4_0", 2, 32, 18, DTYPE_COUNT},    {"Q4_1", 3, 32, 20, DTYPE_COUNT},
    {"Q5_0", 6, 32, 22, DTYPE_COUNT},    {"Q5_1", 7, 32, 24, DTYPE_COUNT},
    {"Q8_0", 8, 32, 34, DTYPE_Q8_0},     {"Q8_1", 9, 32, 36, DTYPE_COUNT},
    {"Q2_K", 10, 256, 84, DTYPE_COUNT},  {"Q3_K", 11, 256, 110, DTYPE_COUNT},
    {"Q4_K", 12, 256, 144, DTYPE_COUNT}, {"Q5_K", 13, 256, 176, DTYPE_COUNT},
    {"Q6_K", 14, 256, 210, DTYPE_COUNT}, {"Q8_K", 15, 256, 292, DTYPE_COUNT},
    {"I8", 24, 1, 1, DTYPE_COUNT},       {"I16", 25, 1, 2, DTYPE_COUNT},
    {"I32", 26, 1, 4, DTYPE_I32},        {"I64", 27, 1, 8, DTYPE_I64},
    {"F64", 28, 1, 8, DTYPE_COUNT},      {"BF16", 30, 1, 2, DTYPE_BF16}};

#define GGML_TYPES (sizeof ggml_types / sizeof *ggml_types)

const struct ggml_type *ggml_type_at(uint32_t number) {
  for (size_t i = 0; i < GGML_TYPES; i++)
    if (ggml_types[i].number == number) return &ggml_types[i];
  return NULL;
}

int ggml_number(enum dtype dtype) {
  for (size_t i = 0; i < GGML_TYPES && dtype != DTYPE_COUNT; i++)
    if (ggml_types[i].dtype == dtype) return (int)ggml_types[i].number;
  return -1;
}

size_t ggml_value_size(enum gguf_type type) {
  static const unsigned char sizes[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < GGUF_TYPES ? sizes[type] : 0;
}

const char *gguf_type_name(enum gguf_type type) {
  static const char *const names[GGUF_TYPES] = {"u8",  "i8",  "u16",  "i16",    "u32",
                                                "i32", "f32", "bool", "string", "array",
                                                "u64", "i64", "f64"};
  return type < GGUF_TYPES ? names[type] : "?";
}

static int bad(const struct gguf *g, const struct reader *r, const char *what, struct err *err) {
  return err_set(err, ERR_FORMAT, "%s: byte %zu: %s", g->path, reader_at(r), what);
}

/* A name as zero-terminated copy. */
static int read_name(struct gguf *g, struct reader *r, size_t most, const char **out,
                     struct err *err) {
  uint64_t n = reader_u64(r);
  if (n > most && !r->bad) return bad(g, r, "a name is too long", err);
  const char *s = reader_bytes(r, n);
  if (!s) return reader_check(r, g->path, err);
  if (n == 0 || memchr(s, 0, (size_t)n)) return bad(g, r, "a name is empty or holds a zero", err);
  *out = mem_dup(s, (size_t)n);
  return *out ? 0 : err_nomem(err, n, "a name");
}

/* ---- keys ---- */

static int skip_items(struct gguf *g, struct reader *r, struct gguf_value *v, struct err *err) {
  size_t size = ggml_value_size(v->item);
  if (size) {
    uint64_t bytes;
    if (!checked_mul64(v->count, size, &bytes) || bytes > reader_left(r))
      return bad(g, r, "an array is longer than the file", err);
    reader_skip(r, bytes);
    return 0;
  }
  if (v->count > reader_left(r) / 8) return bad(g, r, "an array is longer than the file", err);
  for (uint64_t i = 0; i < v->count && !r->bad; i++) reader_skip(r, reader_u64(r));
  return reader_check(r, g->path, err);
}

static int read_value(struct gguf *g, struct reader *r, struct gguf_value *v, struct err *err) {
  uint32_t type = reader_u32(r);
  if (r->bad) return reader_check(r, g->path, err);
  if (type >= GGUF_TYPES) return bad(g, r, "a value of an unknown type", err);
  v->type = (enum gguf_type)type;
  v->count = 1;
  v->item = v->type;
  if (v->type == GGUF_ARRAY) {
    type = reader_u32(r);
    v->count = reader_u64(r);
    if (r->bad) return reader_check(r, g->path, err);
    if (type >= GGUF_TYPES || type == GGUF_ARRAY)
      return bad(g, r, "an array of arrays or of an unknown type", err);
    v->item = (enum gguf_type)type;
  }
  v->data = r->p;
  int rc = skip_items(g, r, v, err);
  v->data_end = r->p;
  if (!rc && v->type == GGUF_BOOL && *(const unsigned char *)v->data > 1)
    return bad(g, r, "a boolean that is neither 0 nor 1", err);
  return rc;
}

static int keys_by_name(const void *a, const void *b) {
  return strcmp((*(struct gguf_value *const *)a)->key, (*(struct gguf_value *const *)b)->key);
}

static int read_keys(struct gguf *g, struct reader *r, uint64_t n, struct err *err) {
  g->keys = mem_zeros((size_t)n + 1, sizeof *g->keys);
  g->keys_sorted = mem_zeros((size_t)n + 1, sizeof(struct gguf_value *));
  if (!g->keys || !g->keys_sorted) return err_nomem(err, n * sizeof *g->keys, "keys");
  for (uint64_t i = 0; i < n; i++) {
    struct gguf_value *v = &g->keys[i];
    int rc = read_name(g, r, 65535, &v->key, err);
    if (rc) return rc;
    g->keys_sorted[g->key_count++] = v;
    if ((rc = read_value(g, r, v, err))) {
      err_prefix(err, "key '%.100s'", v->key);
      return rc;
    }
  }
  qsort(g->keys_sorted, g->key_count, sizeof(struct gguf_value *), keys_by_name);
  for (size_t i = 1; i < g->key_count; i++)
    if (!strcmp(g->keys_sorted[i]->key, g->keys_sorted[i - 1]->key))
      return err_set(err, ERR_FORMAT, "%s: key '%.100s' occurs twice", g->path,
                     g->keys_sorted[i]->key);
  return 0;
}

/* ---- tensors ---- */

static int read_dims(struct gguf *g, struct reader *r, struct gguf_tensor_info *t,
                     struct err *err) {
  uint32_t rank = reader_u32(r);
  if (r->bad) return reader_check(r, g->path, err);
  if (rank < 1 || rank > GGUF_RANK) return bad(g, r, "a tensor has 1 to 4 dimensions", err);
  t->rank = (int)rank;
  t->count = 1;
  for (uint32_t i = 0; i < rank; i++) {
    uint64_t n = reader_u64(r);
    if (r->bad) return reader_check(r, g->path, err);
    if (n == 0 || n > INT64_MAX || !checked_mul64(t->count, n, &t->count))
      return bad(g, r, "a dimension of 0, or more elements than can be counted", err);
    t->shape[rank - 1 - i] = n;
  }
  return 0;
}

/* Leaves the offset in t->data as a number; placed when the data's begin is known. */
static int read_tensor(struct gguf *g, struct reader *r, struct gguf_tensor_info *t,
                       struct err *err) {
  int rc = read_dims(g, r, t, err);
  if (rc) return rc;
  t->type = reader_u32(r);
  uint64_t offset = reader_u64(r);
  if (r->bad) return reader_check(r, g->path, err);
  const struct ggml_type *type = ggml_type_at(t->type);
  if (!type)
    return err_set(err, ERR_UNSUPPORTED, "%s: byte %zu: tensor type %u is unknown", g->path,
                   reader_at(r), t->type);
  t->dtype = type->dtype;
  if (t->shape[t->rank - 1] % type->block)
    return bad(g, r, "a row is not a whole number of blocks", err);
  if (!checked_mul64(t->count / type->block, type->bytes, &t->bytes))
    return bad(g, r, "a tensor is too large", err);
  if (offset % g->alignment) return bad(g, r, "a tensor is not aligned", err);
  t->data = (const void *)(uintptr_t)offset;
  return 0;
}

static int tensors_by_name(const void *a, const void *b) {
  return strcmp((*(struct gguf_tensor_info *const *)a)->name,
                (*(struct gguf_tensor_info *const *)b)->name);
}

static int tensors_by_place(const void *a, const void *b) {
  uintptr_t x = (uintptr_t)(*(struct gguf_tensor_info *const *)a)->data;
  uintptr_t y = (uintptr_t)(*(struct gguf_tensor_info *const *)b)->data;
  return (x > y) - (x < y);
}

/* Places the tensors in the data, which begins at `at`; refuses what lies outside or overlaps. */
static int place_tensors(struct gguf *g, uint64_t at, struct err *err) {
  uint64_t size = g->map.size - at, end = 0;
  qsort(g->tensors_sorted, g->tensor_count, sizeof(struct gguf_tensor_info *), tensors_by_place);
  for (size_t i = 0; i < g->tensor_count; i++) {
    struct gguf_tensor_info *t = g->tensors_sorted[i];
    uint64_t offset = (uintptr_t)t->data;
    if (offset > size || t->bytes > size - offset)
      return err_set(err, ERR_FORMAT, "%s: tensor '%s' lies outside the file", g->path, t->name);
    if (offset < end)
      return err_set(err, ERR_FORMAT, "%s: tensor '%s' overlaps another", g->path, t->name);
    end = offset + t->bytes;
    t->data = g->map.data + at + offset;
  }
  qsort(g->tensors_sorted, g->tensor_count, sizeof(struct gguf_tensor_info *), tensors_by_name);
  for (size_t i = 1; i < g->tensor_count; i++)
    if (!strcmp(g->tensors_sorted[i]->name, g->tensors_sorted[i - 1]->name))
      return err_set(err, ERR_FORMAT, "%s: tensor '%s' occurs twice", g->path,
                     g->tensors_sorted[i]->name);
  return 0;
}

static int read_tensors(struct gguf *g, struct reader *r, uint64_t n, struct err *err) {
  g->tensors = mem_zeros((size_t)n + 1, sizeof *g->tensors);
  g->tensors_sorted = mem_zeros((size_t)n + 1, sizeof(struct gguf_tensor_info *));
  if (!g->tensors || !g->tensors_sorted) return err_nomem(err, n * sizeof *g->tensors, "tensors");
  for (uint64_t i = 0; i < n; i++) {
    struct gguf_tensor_info *t = &g->tensors[i];
    int rc = read_name(g, r, GGUF_NAME_MAX, &t->name, err);
    if (rc) return rc;
    g->tensors_sorted[g->tensor_count++] = t;
    if ((rc = read_tensor(g, r, t, err))) {
      err_prefix(err, "tensor '%s'", t->name);
      return rc;
    }
  }
  uint64_t at;
  if (!checked_align64(reader_at(r), g->alignment, &at) || (n && at > g->map.size))
    return bad(g, r, "the data is missing", err);
  return place_tensors(g, at < g->map.size ? at : g->map.size, err);
}

/* ---- the file ---- */

static int read_alignment(struct gguf *g, struct err *err) {
  const struct gguf_value *v = gguf_find(g, "general.alignment");
  const void *at = v ? v->data : NULL;
  int64_t n;
  g->alignment = GGUF_ALIGNMENT;
  if (!v) return 0;
  if (v->type != GGUF_U32 || !gguf_next_integer(v, &at, &n) || n < 8 || n > 65536 || (n & (n - 1)))
    return err_set(err, ERR_FORMAT, "%s: general.alignment is not a power of two from 8 to 65536",
                   g->path);
  g->alignment = (uint64_t)n;
  return 0;
}

static int read_all(struct gguf *g, struct err *err) {
  struct reader r;
  reader_init(&r, g->map.data, (size_t)g->map.size);
  const char *magic = reader_bytes(&r, 4);
  g->version = reader_u32(&r);
  uint64_t tensors = reader_u64(&r), keys = reader_u64(&r);
  if (!magic || memcmp(magic, "GGUF", 4))
    return err_set(err, ERR_FORMAT, "%s: not a GGUF file", g->path);
  if (r.bad) return reader_check(&r, g->path, err);
  if (g->version != 2 && g->version != 3)
    return err_set(err, ERR_UNSUPPORTED, "%s: GGUF version %u; 2 and 3 are read", g->path,
                   g->version);
  /* a key takes at least 13 bytes, a tensor 33 */
  if (keys > GGUF_KEYS_MAX || keys > reader_left(&r) / 13)
    return bad(g, &r, "more keys than the file has room for", err);
  if (tensors > GGUF_TENSORS_MAX || tensors > reader_left(&r) / 33)
    return bad(g, &r, "more tensors than the file has room for", err);
  int rc = read_keys(g, &r, keys, err);
  if (!rc) rc = read_alignment(g, err);
  return rc ? rc : read_tensors(g, &r, tensors, err);
}

int gguf_open(struct gguf **out, const char *path, struct err *err) {
  struct gguf *g = mem_zero(sizeof *g);
  *out = NULL;
  if (!g || !(g->path = mem_strdup(path))) {
    mem_free(g);
    return err_nomem(err, sizeof *g, path);
  }
  int rc = file_map_open(&g->map, path, err);
  if (!rc) rc = read_all(g, err);
  if (rc)
    gguf_close(g);
  else
    *out = g;
  return rc;
}

void gguf_close(struct gguf *g) {
  if (!g) return;
  for (size_t i = 0; i < g->key_count; i++) mem_free((void *)(uintptr_t)g->keys[i].key);
  for (size_t i = 0; i < g->tensor_count; i++) mem_free((void *)(uintptr_t)g->tensors[i].name);
  mem_free(g->keys);
  mem_free(g->keys_sorted);
  mem_free(g->tensors);
  mem_free(g->tensors_sorted);
  file_map_close(&g->map);
  mem_free(g->path);
  mem_free(g);
}

size_t gguf_keys(const struct gguf *g) {
  return g->key_count;
}
const struct gguf_value *gguf_key(const struct gguf *g, size_t i) {
  return i < g->key_count ? &g->keys[i] : NULL;
}
size_t gguf_tensors(const struct gguf *g) {
  return g->tensor_count;
}
const struct gguf_tensor_info *gguf_tensor_at(const struct gguf *g, size_t i) {
  return i < g->tensor_count ? &g->tensors[i] : NULL;
}

const struct gguf_value *gguf_find(const struct gguf *g, const char *key) {
  struct gguf_value wanted = {.key = key}, *p = &wanted, **found;
  if (!g->key_count) return NULL;
  found = bsearch(&p, g->keys_sorted, g->key_count, sizeof(struct gguf_value *), keys_by_name);
  return found ? *found : NULL;
}

const struct gguf_tensor_info *gguf_tensor_find(const struct gguf *g, const char *name) {
  struct gguf_tensor_info wanted = {.name = name}, *p = &wanted, **found;
  if (!g->tensor_count) return NULL;
  found = bsearch(&p, g->tensors_sorted, g->tensor_count, sizeof(struct gguf_tensor_info *),
                  tensors_by_name);
  return found ? *found : NULL;
}

/* ---- items ---- */

/* The item at *at as a reader over what is left of the value. */
static bool item(const struct gguf_value *v, const void **at, struct reader *r) {
  const char *p = *at, *end = v->data_end;
  if (p >= end) return false;
  reader_init(r, p, (size_t)(end - p));
  return true;
}

bool gguf_next_integer(const struct gguf_value *v, const void **at, int64_t *out) {
  struct reader r;
  if (!item(v, at, &r)) return false;
  switch (v->item) {
  case GGUF_U8:
  case GGUF_BOOL:
    *out = reader_u8(&r);
    break;
  case GGUF_I8:
    *out = (reader_u8(&r) ^ 0x80) - 0x80;
    break;
  case GGUF_U16:
    *out = reader_u16(&r);
    break;
  case GGUF_I16:
    *out = (int16_t)reader_u16(&r);
    break;
  case GGUF_U32:
    *out = reader_u32(&r);
    break;
  case GGUF_I32:
    *out = reader_i32(&r);
    break;
  case GGUF_I64:
    *out = reader_i64(&r);
    break;
  case GGUF_U64: {
    uint64_t u = reader_u64(&r);
    if (u > INT64_MAX) return false;
    *out = (int64_t)u;
    break;
  }
  default:
    return false;
  }
  *at = r.p;
  return !r.bad;
}

bool gguf_next_float(const struct gguf_value *v, const void **at, double *out) {
  struct reader r;
  if (!item(v, at, &r)) return false;
  if (v->item == GGUF_F32)
    *out = (double)reader_f32(&r);
  else if (v->item == GGUF_F64)
    *out = reader_f64(&r);
  else
    return false;
  *at = r.p;
  return !r.bad;
}

bool gguf_next_string(const struct gguf_value *v, const void **at, const char **s, size_t *n) {
  struct reader r;
  if (v->item != GGUF_STRING || !item(v, at, &r)) return false;
  uint64_t len = reader_u64(&r);
  *s = reader_bytes(&r, len);
  *n = (size_t)len;
  *at = r.p;
  return !r.bad;
}

#define CHUNK 8192 /* elements decoded at a time; a multiple of every block */

int gguf_decode(const struct gguf_tensor_info *t, struct buf *out, struct err *err) {
  _Alignas(64) unsigned char stored[CHUNK * 4];
  _Alignas(64) float wide[CHUNK];
  if (t->dtype == DTYPE_COUNT || !dtype_info(t->dtype)->is_float)
    return err_set(err, ERR_UNSUPPORTED, "tensor '%s': %s is not decoded", t->name,
                   ggml_type_at(t->type)->name);
  if (t->count > SIZE_MAX / 4 || buf_reserve(out, (size_t)t->count * 4))
    return err_nomem(err, t->count * 4, t->name);
  const char *p = t->data;
  for (uint64_t done = 0; done < t->count;) {
    size_t n = t->count - done < CHUNK ? (size_t)(t->count - done) : CHUNK;
    size_t bytes = dtype_bytes(t->dtype, n);
    memcpy(stored, p, bytes);
    dtype_to_f32(t->dtype, stored, wide, n);
    buf_add(out, wide, n * 4);
    done += n;
    p += bytes;
  }
  return buf_check(out, t->name, err);
}

/* SPDX-License-Identifier: MIT */
/* Writing safetensors; see safetensors.h. The header is complete before the first byte of data, so
 * nothing is patched and the bytes depend on the tensors only. */
#include "format/safetensors.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/checked.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "file/file.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 16384 /* elements converted at a time */

struct safetensors_writer {
  struct file_replace *file;
  struct {
    uint64_t end; /* offset in the data behind it */
    enum dtype dtype;
  } * tensors;
  size_t count, at;
  uint64_t written, total, header;
};

static const char *type_name(enum dtype dtype) {
  static const char *const names[] = {"F32", "BF16", "F16", "I32", "I64", "U8"};
  return (size_t)dtype < sizeof names / sizeof *names ? names[dtype] : NULL;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_names(const struct safetensors_spec *specs, size_t count, struct err *err) {
  const char **names = mem_array(count + 1, sizeof *names);
  int rc = 0;
  if (!names) return err_nomem(err, count * sizeof *names, "a list of names");
  for (size_t i = 0; i < count; i++) {
    size_t n = strlen(specs[i].name);
    names[i] = specs[i].name;
    if (n > SAFETENSORS_NAME_MAX || utf8_check(specs[i].name, n) < n ||
        !strcmp(names[i], "__metadata__"))
      rc = err_set(err, ERR_MISUSE, "'%.80s' is not a good name for a tensor", specs[i].name);
  }
  qsort(names, count, sizeof *names, by_name);
  for (size_t i = 1; i < count && !rc; i++)
    if (!strcmp(names[i], names[i - 1]))
      rc = err_set(err, ERR_MISUSE, "two tensors named '%s'", names[i]);
  mem_free(names);
  return rc;
}

static void put_metadata(struct buf *b, const char *const *metadata) {
  buf_adds(b, "\"__metadata__\":{");
  for (size_t i = 0; metadata[i]; i += 2) {
    if (i) buf_addc(b, ',');
    json_put_string(b, metadata[i], strlen(metadata[i]));
    buf_addc(b, ':');
    json_put_string(b, metadata[i + 1], strlen(metadata[i + 1]));
  }
  buf_addc(b, '}');
}

/* Adds one entry, and its bytes to *at. */
static int put_entry(struct buf *b, const struct safetensors_spec *spec, uint64_t *at,
                     struct err *err) {
  uint64_t count = 1, begin = *at;
  const char *type = type_name(spec->dtype);
  if (!type || spec->rank < 0 || spec->rank > SAFETENSORS_RANK)
    return err_set(err, ERR_MISUSE, "tensor '%s': a type or rank that safetensors has not",
                   spec->name);
  json_put_string(b, spec->name, strlen(spec->name));
  buf_addf(b, ":{\"dtype\":\"%s\",\"shape\":[", type);
  for (int i = 0; i < spec->rank; i++) {
    buf_addf(b, "%s%llu", i ? "," : "", (unsigned long long)spec->shape[i]);
    if (!checked_mul64(count, spec->shape[i], &count)) count = UINT64_MAX;
  }
  if (!checked_mul64(count, dtype_info(spec->dtype)->bytes, &count) ||
      !checked_add64(*at, count, at) || *at > INT64_MAX)
    return err_set(err, ERR_MISUSE, "tensor '%s': the shape overflows", spec->name);
  buf_addf(b, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)begin,
           (unsigned long long)*at);
  return 0;
}

static int put_header(struct safetensors_writer *w, struct buf *b,
                      const struct safetensors_spec *specs, size_t count,
                      const char *const *metadata, struct err *err) {
  int rc = 0;
  bool some = metadata && metadata[0];
  buf_addc(b, '{');
  if (some) put_metadata(b, metadata);
  for (size_t i = 0; i < count && !rc; i++) {
    if (i || some) buf_addc(b, ',');
    rc = put_entry(b, &specs[i], &w->total, err);
    w->tensors[i].end = w->total;
    w->tensors[i].dtype = specs[i].dtype;
  }
  buf_addc(b, '}');
  while (!b->failed && b->len % 8) buf_addc(b, ' ');
  if (!rc && b->len > SAFETENSORS_HEADER_MAX)
    rc = err_set(err, ERR_LIMIT, "a header of %zu bytes; the most is 100 MB", b->len);
  return rc ? rc : buf_check(b, "a header", err);
}

int safetensors_create(struct safetensors_writer **out, const char *path,
                       const struct safetensors_spec *specs, size_t count,
                       const char *const *metadata, struct err *err) {
  struct safetensors_writer *w = mem_zero(sizeof *w);
  struct buf header, length;
  *out = NULL;
  buf_init(&header), buf_init(&length);
  int rc = w && (w->tensors = mem_zeros(count + 1, sizeof *w->tensors))
               ? check_names(specs, count, err)
               : err_nomem(err, count * sizeof *w->tensors, path);
  if (w) w->count = count;
  if (!rc) rc = put_header(w, &header, specs, count, metadata, err);
  if (rc && err && err->code != ERR_NOMEM) err_prefix(err, "%s", path);
  if (!rc) rc = file_replace_open(&w->file, path, 0, err);
  buf_add_u64le(&length, header.len);
  if (!rc) rc = buf_check(&length, "a header", err);
  if (!rc) rc = file_replace_write(w->file, length.data, 8, err);
  if (!rc) rc = file_replace_write(w->file, header.data, header.len, err);
  if (!rc) {
    w->header = 8 + header.len;
    while (w->at < count && w->tensors[w->at].end == 0) w->at++; /* empty ones */
    *out = w;
  } else {
    safetensors_discard(w);
  }
  buf_clear(&header), buf_clear(&length);
  return rc;
}

ptrdiff_t safetensors_position(const struct safetensors_writer *w) {
  return w->at < w->count ? (ptrdiff_t)w->at : -1;
}

uint64_t safetensors_size(const struct safetensors_writer *w) {
  return w->header + w->total;
}

int safetensors_write(struct safetensors_writer *w, const void *bytes, size_t n, struct err *err) {
  if (n > w->total - w->written)
    return err_set(err, ERR_MISMATCH, "more bytes than the tensors have room for");
  int rc = file_replace_write(w->file, bytes, n, err);
  if (rc) return rc;
  w->written += n;
  while (w->at < w->count && w->tensors[w->at].end <= w->written) w->at++;
  return 0;
}

int safetensors_write_as(struct safetensors_writer *w, enum dtype from, const void *elements,
                         uint64_t n, struct err *err) {
  _Alignas(64) float wide[CHUNK];
  _Alignas(64) unsigned char narrow[CHUNK * 4];
  const unsigned char *p = elements;
  if (n == 0) return 0;
  if (w->at >= w->count) return err_set(err, ERR_MISMATCH, "all tensors are written");
  enum dtype to = w->tensors[w->at].dtype;
  const struct dtype_info *a = dtype_info(from), *b = dtype_info(to);
  if (n > (w->tensors[w->at].end - w->written) / b->bytes)
    return err_set(err, ERR_MISMATCH, "more elements than the tensor has");
  if (from != to && (!a->is_float || !b->is_float || a->block != 1))
    return err_set(err, ERR_MISUSE, "%s cannot become %s", a->name, b->name);
  for (uint64_t done = 0; done < n;) {
    size_t now = n - done < CHUNK ? (size_t)(n - done) : CHUNK;
    int rc = cancel_check(err);
    if (!rc && from == to) {
      rc = safetensors_write(w, p, now * a->bytes, err);
    } else if (!rc) {
      memcpy(narrow, p, now * a->bytes); /* the source need not be aligned */
      dtype_to_f32(from, narrow, wide, now);
      dtype_from_f32(to, wide, narrow, now);
      rc = safetensors_write(w, narrow, now * b->bytes, err);
    }
    if (rc) return rc;
    done += now;
    p += now * a->bytes;
  }
  return 0;
}

int safetensors_commit(struct safetensors_writer *w, struct err *err) {
  if (w->written != w->total)
    return err_set(err, ERR_MISMATCH, "%llu of %llu bytes of tensors were written",
                   (unsigned long long)w->written, (unsigned long long)w->total);
  return file_replace_commit(w->file, err);
}

void safetensors_discard(struct safetensors_writer *w) {
  if (!w) return;
  file_replace_close(w->file);
  mem_free(w->tensors);
  mem_free(w);
}

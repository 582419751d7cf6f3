/* SPDX-License-Identifier: MIT */
/* Reading safetensors; see safetensors.h. safetensors_write.c writes them. */
#include "format/safetensors.h"

#include "base/buf.h"
#include "base/checked.h"
#include "base/mem.h"
#include "base/reader.h"
#include "file/file.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shard {
  char *name; /* path */
  struct file_map map;
  struct json *header;
  uint64_t data_at; /* in the file */
  struct safetensors_tensor *tensors;
  size_t count;
};

struct safetensors {
  struct shard *shards;
  size_t shard_count;
  struct safetensors_tensor **order;  /* all, in file order */
  struct safetensors_tensor **sorted; /* all, by name */
  size_t count;
  char **metadata; /* key, value, … of the first file */
  size_t metadata_count;
};

static const struct {
  const char *name;
  unsigned bits;
  enum dtype dtype;
} types[] = {{"F32", 32, DTYPE_F32},   {"BF16", 16, DTYPE_BF16},    {"F16", 16, DTYPE_F16},
             {"I32", 32, DTYPE_I32},   {"I64", 64, DTYPE_I64},      {"U8", 8, DTYPE_U8},
             {"F64", 64, DTYPE_COUNT}, {"I16", 16, DTYPE_COUNT},    {"I8", 8, DTYPE_COUNT},
             {"U16", 16, DTYPE_COUNT}, {"U32", 32, DTYPE_COUNT},    {"U64", 64, DTYPE_COUNT},
             {"BOOL", 8, DTYPE_COUNT}, {"F8_E4M3", 8, DTYPE_COUNT}, {"F8_E5M2", 8, DTYPE_COUNT},
             {"C64", 64, DTYPE_COUNT}};

#define TYPES (sizeof types / sizeof *types)

/* ---- one entry of the header ---- */

static int bad(const struct shard *s, const char *name, const char *what, struct err *err) {
  return err_set(err, ERR_FORMAT, "%s: tensor '%.200s': %s", s->name, name, what);
}

static int read_shape(const struct shard *s, struct safetensors_tensor *t, json_id shape,
                      struct err *err) {
  struct json_iter it = json_iter(s->header, shape);
  if (json_kind(s->header, shape) != JSON_ARRAY) return bad(s, t->name, "shape is missing", err);
  if (json_count(s->header, shape) > SAFETENSORS_RANK)
    return bad(s, t->name, "more than 8 dimensions", err);
  t->count = 1;
  while (json_each(&it)) {
    int64_t n;
    if (!json_int(s->header, it.value, &n) || n < 0)
      return bad(s, t->name, "shape holds something else than whole numbers", err);
    t->shape[t->rank++] = (uint64_t)n;
    if (!checked_mul64(t->count, (uint64_t)n, &t->count))
      return bad(s, t->name, "shape overflows", err);
  }
  return 0;
}

static int read_type(const struct shard *s, struct safetensors_tensor *t, json_id type,
                     struct err *err) {
  for (size_t i = 0; i < TYPES; i++) {
    uint64_t bits;
    if (!json_is(s->header, type, types[i].name)) continue;
    t->type = types[i].name;
    t->dtype = types[i].dtype;
    if (!checked_mul64(t->count, types[i].bits, &bits))
      return bad(s, t->name, "shape overflows", err);
    t->bytes = bits / 8;
    return 0;
  }
  size_t n;
  const char *raw = json_raw(s->header, type, &n);
  return err_set(err,
                 raw && json_kind(s->header, type) == JSON_STRING ? ERR_UNSUPPORTED : ERR_FORMAT,
                 "%s: tensor '%.200s': unknown dtype %.*s", s->name, t->name,
                 (int)(n < 40 ? n : 40), raw ? raw : "");
}

static int read_offsets(const struct shard *s, struct safetensors_tensor *t, json_id offsets,
                        struct err *err) {
  int64_t begin, end;
  if (json_count(s->header, offsets) != 2 ||
      !json_int(s->header, json_at(s->header, offsets, 0), &begin) ||
      !json_int(s->header, json_at(s->header, offsets, 1), &end) || begin < 0 || end < begin)
    return bad(s, t->name, "data_offsets are not [begin, end]", err);
  uint64_t data = s->map.size - s->data_at;
  if ((uint64_t)end > data)
    return err_set(err, ERR_FORMAT,
                   "%s: tensor '%.200s': ends at byte %lld of %llu: the file is cut", s->name,
                   t->name, (long long)end, (unsigned long long)data);
  if ((uint64_t)(end - begin) != t->bytes)
    return err_set(err, ERR_FORMAT,
                   "%s: tensor '%.200s': shape and dtype make %llu bytes, offsets %lld", s->name,
                   t->name, (unsigned long long)t->bytes, (long long)(end - begin));
  t->data = s->map.data + s->data_at + begin;
  return 0;
}

static int copy_name(const struct shard *s, json_id key, char **out, struct err *err) {
  struct buf scratch;
  size_t n;
  buf_init(&scratch);
  const char *text = json_string(s->header, key, &scratch, &n);
  *out = text && n <= SAFETENSORS_NAME_MAX ? mem_dup(text, n) : NULL;
  int rc = 0;
  if (n > SAFETENSORS_NAME_MAX)
    rc = err_set(err, ERR_LIMIT, "%s: a name of %zu bytes", s->name, n);
  else if (!*out)
    rc = err_nomem(err, n, "a tensor's name");
  buf_clear(&scratch);
  return rc;
}

static int read_entry(struct shard *s, json_id key, json_id value, struct err *err) {
  struct safetensors_tensor *t = &s->tensors[s->count];
  char *name;
  int rc = copy_name(s, key, &name, err);
  if (rc) return rc;
  *t = (struct safetensors_tensor){.name = name};
  s->count++;
  if (json_kind(s->header, value) != JSON_OBJECT) return bad(s, name, "is not an object", err);
  if ((rc = read_shape(s, t, json_get(s->header, value, "shape"), err))) return rc;
  if ((rc = read_type(s, t, json_get(s->header, value, "dtype"), err))) return rc;
  return read_offsets(s, t, json_get(s->header, value, "data_offsets"), err);
}

/* ---- one file ---- */

static int by_place(const void *a, const void *b) {
  const struct safetensors_tensor *x = a, *y = b;
  if (x->data != y->data) return x->data < y->data ? -1 : 1;
  return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty ones first */
}

/* Tensors, in order of their places, must cover the data exactly. */
static int check_cover(struct shard *s, struct err *err) {
  const char *at = s->map.data + s->data_at, *end = s->map.data + s->map.size;
  qsort(s->tensors, s->count, sizeof *s->tensors, by_place);
  for (size_t i = 0; i < s->count; i++) {
    const char *data = s->tensors[i].data;
    if (data != at)
      return bad(s, s->tensors[i].name,
                 data < at ? "overlaps the one before it" : "there is a hole before it", err);
    at += s->tensors[i].bytes;
  }
  if (at != end)
    return err_set(err, ERR_FORMAT, "%s: %zu bytes behind the last tensor", s->name,
                   (size_t)(end - at));
  return 0;
}

static int read_header(struct shard *s, struct err *err) {
  struct reader r;
  struct json_limits limits = {.max_bytes = SAFETENSORS_HEADER_MAX, .max_depth = 8};
  reader_init(&r, s->map.data, (size_t)s->map.size);
  uint64_t n = reader_u64(&r);
  if (n > SAFETENSORS_HEADER_MAX && !r.bad)
    return err_set(err, ERR_LIMIT, "%s: a header of %llu bytes; the most is 100 MB", s->name,
                   (unsigned long long)n);
  const char *text = reader_bytes(&r, n);
  int rc = reader_check(&r, s->name, err);
  if (rc) return rc;
  s->data_at = 8 + n;
  if (n == 0 || text[0] != '{')
    return err_set(err, ERR_FORMAT, "%s: not a safetensors file", s->name);
  rc = json_parse(&s->header, text, (size_t)n, &limits, err);
  if (rc) err_prefix(err, "%s: header", s->name);
  return rc;
}

static int open_shard(struct shard *s, struct err *err) {
  int rc = file_map_open(&s->map, s->name, err);
  if (!rc) rc = read_header(s, err);
  if (rc) return rc;
  s->tensors = mem_zeros(json_count(s->header, JSON_ROOT) + 1, sizeof *s->tensors);
  if (!s->tensors) return err_nomem(err, json_count(s->header, JSON_ROOT), "a list of tensors");
  struct json_iter it = json_iter(s->header, JSON_ROOT);
  while (!rc && json_each(&it))
    if (!json_is(s->header, it.key, "__metadata__")) rc = read_entry(s, it.key, it.value, err);
  return rc ? rc : check_cover(s, err);
}

static void close_shard(struct shard *s) {
  for (size_t i = 0; i < s->count; i++) mem_free((void *)(uintptr_t)s->tensors[i].name);
  mem_free(s->tensors);
  json_free(s->header);
  file_map_close(&s->map);
  mem_free(s->name);
}

static int read_metadata(struct safetensors *s, struct err *err) {
  const struct shard *first = &s->shards[0];
  json_id object = json_get(first->header, JSON_ROOT, "__metadata__");
  struct json_iter it = json_iter(first->header, object);
  int rc = 0;
  if (object == JSON_NONE) return 0;
  s->metadata = mem_zeros(2 * json_count(first->header, object) + 1, sizeof *s->metadata);
  if (!s->metadata) return err_nomem(err, 0, "metadata");
  while (!rc && json_each(&it)) {
    if (it.key == JSON_NONE || json_kind(first->header, it.value) != JSON_STRING)
      return err_set(err, ERR_FORMAT, "%s: __metadata__ holds something else than strings",
                     first->name);
    struct buf b;
    size_t n;
    buf_init(&b);
    const char *text = json_string(first->header, it.value, &b, &n);
    char *value = text ? mem_dup(text, n) : NULL;
    buf_clear(&b);
    if (!value) return err_nomem(err, n, "metadata");
    s->metadata[s->metadata_count + 1] = value;
    rc = copy_name(first, it.key, &s->metadata[s->metadata_count], err);
    s->metadata_count += 2;
  }
  return rc;
}

/* ---- the list of all ---- */

static int by_name(const void *a, const void *b) {
  const struct safetensors_tensor *const *x = a, *const *y = b;
  return strcmp((*x)->name, (*y)->name);
}

static int list_all(struct safetensors *s, struct err *err) {
  size_t n = 0;
  for (size_t i = 0; i < s->shard_count; i++) n += s->shards[i].count;
  s->order = mem_zeros(n + 1, sizeof(struct safetensors_tensor *));
  s->sorted = mem_zeros(n + 1, sizeof(struct safetensors_tensor *));
  if (!s->order || !s->sorted) return err_nomem(err, n * sizeof *s->order, "a list of tensors");
  for (size_t i = 0; i < s->shard_count; i++)
    for (size_t k = 0; k < s->shards[i].count; k++) s->order[s->count++] = &s->shards[i].tensors[k];
  memcpy(s->sorted, s->order, n * sizeof(struct safetensors_tensor *));
  qsort(s->sorted, n, sizeof(struct safetensors_tensor *), by_name);
  for (size_t i = 1; i < n; i++)
    if (!strcmp(s->sorted[i]->name, s->sorted[i - 1]->name))
      return err_set(err, ERR_FORMAT, "%s: tensor '%.200s' is in two files", s->shards[0].name,
                     s->sorted[i]->name);
  return 0;
}

static int add_shard(struct safetensors *s, const char *path, struct err *err) {
  struct shard *shards = mem_rearray(s->shards, s->shard_count + 1, sizeof *shards);
  if (!shards) return err_nomem(err, sizeof *shards, "a list of files");
  s->shards = shards;
  shards[s->shard_count] = (struct shard){.name = mem_strdup(path)};
  if (!shards[s->shard_count].name) return err_nomem(err, strlen(path), "a file name");
  return open_shard(&shards[s->shard_count++], err);
}

/* ---- an index and its shards ---- */

static bool plain_name(const char *s, size_t n) {
  return n > 0 && n < 256 && !memchr(s, '/', n) && !memchr(s, 0, n) && s[0] != '.';
}

static int strings_by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The file names of the map, sorted, each once. */
static int shard_names(const struct json *j, json_id map, char **names, size_t *count,
                       struct err *err) {
  struct json_iter it = json_iter(j, map);
  struct buf b;
  int rc = 0;
  buf_init(&b);
  *count = 0;
  while (!rc && json_each(&it)) {
    size_t n;
    const char *s = json_string(j, it.value, &b, &n);
    if (!s || !plain_name(s, n)) {
      rc = err_set(err, ERR_FORMAT, "byte %zu: not the name of a file beside the index",
                   json_offset(j, it.value));
    } else if (*count && !strncmp(names[*count - 1], s, n) && !names[*count - 1][n]) {
      continue; /* tensors of one file mostly follow each other */
    } else if (!(names[*count] = mem_dup(s, n))) {
      rc = err_nomem(err, n, "a file name");
    } else {
      ++*count;
    }
  }
  buf_clear(&b);
  if (rc) return rc;
  qsort(names, *count, sizeof *names, strings_by_bytes);
  size_t kept = 0;
  for (size_t i = 0; i < *count; i++) {
    if (kept && !strcmp(names[kept - 1], names[i]))
      mem_free(names[i]);
    else
      names[kept++] = names[i];
  }
  *count = kept;
  return 0;
}

static int open_named(struct safetensors *s, const char *index, char **names, size_t count,
                      struct err *err) {
  const char *slash = strrchr(index, '/');
  int dir = slash ? (int)(slash - index + 1) : 0;
  struct buf path;
  int rc = 0;
  buf_init(&path);
  for (size_t i = 0; !rc && i < count; i++) {
    buf_reset(&path);
    buf_addf(&path, "%.*s%s", dir, index, names[i]);
    rc = buf_check(&path, "a path", err);
    if (!rc) rc = add_shard(s, path.data, err);
  }
  buf_clear(&path);
  return rc;
}

/* Every tensor of the map must be in the file that the map says, and every tensor in the map. */
static int check_index(const struct safetensors *s, const struct json *j, json_id map,
                       struct err *err) {
  size_t total = 0;
  for (size_t i = 0; i < s->shard_count; i++) {
    const struct shard *shard = &s->shards[i];
    const char *slash = strrchr(shard->name, '/'), *name = slash ? slash + 1 : shard->name;
    for (size_t k = 0; k < shard->count; k++) {
      json_id where = json_get(j, map, shard->tensors[k].name);
      if (!json_is(j, where, name))
        return err_set(err, ERR_MISMATCH, "tensor '%.200s' is in %s, which the index does not say",
                       shard->tensors[k].name, name);
    }
    total += shard->count;
  }
  if (total == json_count(j, map)) return 0;
  struct json_iter it = json_iter(j, map);
  while (json_each(&it)) { /* each shard's tensors are in the map, so one of the map is missing */
    size_t n, i = 0, k = 0;
    const char *raw = json_raw(j, it.key, &n);
    for (i = 0; i < s->shard_count; i++) {
      for (k = 0; k < s->shards[i].count; k++)
        if (json_is(j, it.key, s->shards[i].tensors[k].name)) break;
      if (k < s->shards[i].count) break;
    }
    if (i == s->shard_count)
      return err_set(err, ERR_MISMATCH, "tensor %.*s is in no file", (int)(n < 200 ? n : 200), raw);
  }
  return err_set(err, ERR_MISMATCH, "the index and its files do not agree");
}

static int open_index(struct safetensors *s, const char *path, struct err *err) {
  struct buf text;
  struct json *j = NULL;
  char **names = NULL;
  size_t count = 0;
  buf_init(&text);
  int rc = file_read(path, SAFETENSORS_HEADER_MAX, &text, err);
  if (rc) goto done;
  if ((rc = json_parse(&j, text.data, text.len, NULL, err))) goto named;
  json_id map = json_get(j, JSON_ROOT, "weight_map");
  if (json_kind(j, map) != JSON_OBJECT || json_count(j, map) == 0) {
    rc = err_set(err, ERR_FORMAT, "no weight_map");
    goto named;
  }
  names = mem_zeros(json_count(j, map), sizeof *names);
  if (!names) {
    rc = err_nomem(err, json_count(j, map), "a list of files");
    goto done;
  }
  if ((rc = shard_names(j, map, names, &count, err))) goto named;
  if ((rc = open_named(s, path, names, count, err))) goto done;
  rc = check_index(s, j, map, err);
named:
  if (rc) err_prefix(err, "%s", path);
done:
  for (size_t i = 0; i < count; i++) mem_free(names[i]);
  mem_free(names);
  json_free(j);
  buf_clear(&text);
  return rc;
}

static int open_folder(struct safetensors *s, const char *path, struct err *err) {
  static const char *const names[] = {"model.safetensors.index.json", "model.safetensors",
                                      "adapter_model.safetensors"};
  char full[4096];
  struct file_info info;
  for (size_t i = 0; i < 3; i++) {
    if ((size_t)snprintf(full, sizeof full, "%s/%s", path, names[i]) >= sizeof full)
      return err_set(err, ERR_LIMIT, "%s: the path is too long", path);
    int rc = file_stat(full, &info, err);
    if (rc) return rc;
    if (info.exists) return i ? add_shard(s, full, err) : open_index(s, full, err);
  }
  return err_set(err, ERR_NOTFOUND, "%s: no model.safetensors in this folder", path);
}

int safetensors_open(struct safetensors **out, const char *path, struct err *err) {
  struct safetensors *s = mem_zero(sizeof *s);
  struct file_info info;
  size_t n = strlen(path);
  *out = NULL;
  if (!s) return err_nomem(err, sizeof *s, path);
  int rc = file_stat(path, &info, err);
  if (!rc && info.is_dir)
    rc = open_folder(s, path, err);
  else if (!rc && n > 5 && !strcmp(path + n - 5, ".json"))
    rc = open_index(s, path, err);
  else if (!rc)
    rc = add_shard(s, path, err);
  if (!rc) rc = list_all(s, err);
  if (!rc) rc = read_metadata(s, err);
  if (rc)
    safetensors_close(s);
  else
    *out = s;
  return rc;
}

void safetensors_close(struct safetensors *s) {
  if (!s) return;
  for (size_t i = 0; i < s->shard_count; i++) close_shard(&s->shards[i]);
  for (size_t i = 0; i < s->metadata_count; i++) mem_free(s->metadata[i]);
  mem_free(s->metadata);
  mem_free(s->shards);
  mem_free(s->order);
  mem_free(s->sorted);
  mem_free(s);
}

size_t safetensors_count(const struct safetensors *s) {
  return s->count;
}

const struct safetensors_tensor *safetensors_at(const struct safetensors *s, size_t i) {
  return i < s->count ? s->order[i] : NULL;
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *s, const char *name) {
  struct safetensors_tensor key = {.name = name}, *p = &key;
  struct safetensors_tensor **found =
      s->count ? bsearch(&p, s->sorted, s->count, sizeof(struct safetensors_tensor *), by_name)
               : NULL;
  return found ? *found : NULL;
}

const char *safetensors_metadata(const struct safetensors *s, const char *key) {
  for (size_t i = 0; i < s->metadata_count; i += 2)
    if (!strcmp(s->metadata[i], key)) return s->metadata[i + 1];
  return NULL;
}

#define CHUNK 8192 /* elements converted at a time */

int safetensors_read(const struct safetensors_tensor *t, enum dtype to, void *out,
                     struct err *err) {
  _Alignas(64) unsigned char stored[CHUNK * 4];
  _Alignas(64) float wide[CHUNK];
  if (t->dtype == to) {
    if (t->bytes) memcpy(out, t->data, (size_t)t->bytes);
    return 0;
  }
  if (t->dtype == DTYPE_COUNT || !dtype_info(t->dtype)->is_float || !dtype_info(to)->is_float ||
      dtype_info(to)->block != 1)
    return err_set(err, ERR_UNSUPPORTED, "tensor '%s': %s cannot become %s", t->name, t->type,
                   dtype_info(to)->name);
  size_t from_size = dtype_info(t->dtype)->bytes, to_size = dtype_info(to)->bytes;
  for (uint64_t done = 0; done < t->count;) {
    size_t n = t->count - done < CHUNK ? (size_t)(t->count - done) : CHUNK;
    memcpy(stored, (const char *)t->data + done * from_size, n * from_size);
    dtype_to_f32(t->dtype, stored, wide, n);
    dtype_from_f32(to, wide, (char *)out + done * to_size, n);
    done += n;
  }
  return 0;
}

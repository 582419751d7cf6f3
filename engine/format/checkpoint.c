/* SPDX-License-Identifier: MIT */
/* Checkpoints; see checkpoint.h for the format. */
#include "format/checkpoint.h"

#include "base/checked.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/reader.h"
#include "base/utf8.h"
#include "file/file.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC      "lathe-ckpt-1\n\0\0\0"
#define MAGIC_SIZE 16
#define FIXED      (MAGIC_SIZE + 8 + 16) /* magic, length, hash */
#define ALIGN      64
#define SUFFIX     ".ckpt"

struct checkpoint {
  char *path;
  struct file_map map;
  struct json *header;
  uint64_t step;
  struct checkpoint_blob *blobs;
  size_t count;
};

static void hash_bytes(const void *bytes, size_t n, unsigned char out[16]) {
  uint64_t h[2];
  hash_xxh3_128(bytes, n, 0, h);
  for (int i = 0; i < 16; i++) out[i] = (unsigned char)(h[i / 8] >> (8 * (i % 8)));
}

/* ---- writing ---- */

static int by_name(const void *a, const void *b) {
  return strcmp(((const struct checkpoint_blob *)a)->name,
                ((const struct checkpoint_blob *)b)->name);
}

static int sorted_blobs(const struct checkpoint_blob *blobs, size_t count,
                        struct checkpoint_blob **out, struct err *err) {
  struct checkpoint_blob *sorted = mem_array(count + 1, sizeof *sorted);
  *out = sorted;
  if (!sorted) return err_nomem(err, count * sizeof *sorted, "a checkpoint");
  if (count > CHECKPOINT_BLOBS_MAX) return err_set(err, ERR_LIMIT, "%zu blobs", count);
  if (count) memcpy(sorted, blobs, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, by_name);
  for (size_t i = 0; i < count; i++) {
    size_t n = strlen(sorted[i].name);
    if (utf8_check(sorted[i].name, n) < n) return err_set(err, ERR_MISUSE, "a name is not UTF-8");
    if (i && !strcmp(sorted[i].name, sorted[i - 1].name))
      return err_set(err, ERR_MISUSE, "two blobs named '%s'", sorted[i].name);
  }
  return 0;
}

/* The header; offsets in it count from the first blob's place. */
static int put_header(struct buf *b, uint64_t step, const char *meta, size_t meta_size,
                      const struct checkpoint_blob *blobs, size_t count, struct err *err) {
  uint64_t at = 0;
  buf_addf(b, "{\"step\":%llu,\"meta\":", (unsigned long long)step);
  buf_add(b, meta ? meta : "{}", meta ? meta_size : 2);
  buf_adds(b, ",\"blobs\":[");
  for (size_t i = 0; i < count; i++) {
    unsigned char hash[16];
    char hex[33];
    hash_bytes(blobs[i].data, blobs[i].size, hash);
    hash_hex(hash, 16, hex);
    buf_adds(b, i ? ",{\"name\":" : "{\"name\":");
    json_put_string(b, blobs[i].name, strlen(blobs[i].name));
    buf_addf(b, ",\"offset\":%llu,\"size\":%zu,\"xxh3\":\"%s\"}", (unsigned long long)at,
             blobs[i].size, hex);
    at = (at + blobs[i].size + ALIGN - 1) / ALIGN * ALIGN;
  }
  buf_adds(b, "]}");
  if (b->len > CHECKPOINT_HEADER_MAX)
    return err_set(err, ERR_LIMIT, "a header of %zu bytes", b->len);
  return buf_check(b, "a checkpoint", err);
}

static int write_zeros(struct file_replace *w, struct err *err) {
  static const char zeros[ALIGN] = {0};
  size_t over = (size_t)(file_replace_size(w) % ALIGN);
  return over ? file_replace_write(w, zeros, ALIGN - over, err) : 0;
}

static int write_all(const char *path, const struct buf *header,
                     const struct checkpoint_blob *blobs, size_t count, struct err *err) {
  struct file_replace *w = NULL;
  unsigned char fixed[FIXED];
  memcpy(fixed, MAGIC, MAGIC_SIZE);
  for (int i = 0; i < 8; i++)
    fixed[MAGIC_SIZE + i] = (unsigned char)((uint64_t)header->len >> 8 * i);
  hash_bytes(header->data, header->len, fixed + MAGIC_SIZE + 8);
  int rc = file_replace_open(&w, path, 0, err);
  if (rc) return rc;
  rc = file_replace_write(w, fixed, FIXED, err);
  if (!rc) rc = file_replace_write(w, header->data, header->len, err);
  for (size_t i = 0; i < count && !rc; i++) {
    rc = write_zeros(w, err);
    if (!rc) rc = file_replace_write(w, blobs[i].data, blobs[i].size, err);
  }
  if (!rc) rc = file_replace_commit(w, err);
  file_replace_close(w);
  return rc;
}

/* Only what reads back may be written. */
static int check_meta(const char *meta, size_t n, struct err *err) {
  struct json *j = NULL;
  struct json_limits limits = {.max_depth = 500};
  int rc = json_parse(&j, meta, n, &limits, err);
  if (!rc && json_kind(j, JSON_ROOT) != JSON_OBJECT)
    rc = err_set(err, ERR_MISUSE, "the description is not a JSON object");
  json_free(j);
  if (rc) err_prefix(err, "a checkpoint's description");
  return rc;
}

int checkpoint_write(const char *dir, uint64_t step, const char *meta, size_t meta_size,
                     const struct checkpoint_blob *blobs, size_t count, struct err *err) {
  struct checkpoint_blob *sorted = NULL;
  struct buf header, path;
  buf_init(&header), buf_init(&path);
  int rc = step > CHECKPOINT_STEP_MAX ? err_set(err, ERR_MISUSE, "step is too large") : 0;
  if (!rc && meta) rc = check_meta(meta, meta_size, err);
  if (!rc) rc = sorted_blobs(blobs, count, &sorted, err);
  if (!rc) rc = put_header(&header, step, meta, meta_size, sorted, count, err);
  buf_addf(&path, "%s/step-%08llu" SUFFIX, dir, (unsigned long long)step);
  if (!rc) rc = buf_check(&path, "a path", err);
  if (!rc) rc = file_mkdirs(dir, err);
  if (!rc) rc = write_all(path.data, &header, sorted, count, err);
  mem_free(sorted);
  buf_clear(&header), buf_clear(&path);
  return rc;
}

/* ---- reading ---- */

static int damaged(const struct checkpoint *c, const char *what, struct err *err) {
  return err_set(err, ERR_FORMAT, "%s: damaged checkpoint: %s", c->path, what);
}

static int read_header(struct checkpoint *c, uint64_t *data_at, struct err *err) {
  struct reader r;
  unsigned char hash[16];
  struct json_limits limits = {.max_bytes = CHECKPOINT_HEADER_MAX};
  reader_init(&r, c->map.data, (size_t)c->map.size);
  const char *magic = reader_bytes(&r, MAGIC_SIZE);
  uint64_t n = reader_u64(&r);
  const void *want = reader_bytes(&r, 16);
  const char *text = reader_bytes(&r, n);
  if (r.bad || memcmp(magic, MAGIC, MAGIC_SIZE)) return damaged(c, "the file's head is cut", err);
  if (n > CHECKPOINT_HEADER_MAX) return damaged(c, "its header is too long", err);
  hash_bytes(text, (size_t)n, hash);
  if (memcmp(hash, want, 16)) return damaged(c, "the checksum of the header is wrong", err);
  *data_at = (FIXED + n + ALIGN - 1) / ALIGN * ALIGN;
  int rc = json_parse(&c->header, text, (size_t)n, &limits, err);
  if (rc) err_prefix(err, "%s", c->path);
  return rc;
}

static int read_blob(struct checkpoint *c, json_id entry, uint64_t data_at, uint64_t *end,
                     struct err *err) {
  const struct json *j = c->header;
  struct checkpoint_blob *blob = &c->blobs[c->count];
  struct buf scratch;
  unsigned char hash[16];
  char hex[33];
  int64_t offset, size;
  size_t n;
  uint64_t begin;
  buf_init(&scratch);
  const char *text = json_string(j, json_get(j, entry, "name"), &scratch, &n);
  char *name = text ? mem_dup(text, n) : NULL;
  buf_clear(&scratch);
  if (!name) return text ? err_nomem(err, n, "a name") : damaged(c, "a blob has no name", err);
  blob->name = name;
  c->count++;
  if (!json_int(j, json_get(j, entry, "offset"), &offset) || offset < 0 ||
      !json_int(j, json_get(j, entry, "size"), &size) || size < 0 ||
      !checked_add64(data_at, (uint64_t)offset, &begin) ||
      !checked_add64(begin, (uint64_t)size, end) || (size > 0 && *end > c->map.size))
    return damaged(c, "it is cut", err);
  blob->data = size ? c->map.data + begin : c->map.data;
  blob->size = (size_t)size;
  hash_bytes(blob->data, blob->size, hash);
  hash_hex(hash, 16, hex);
  if (!json_is(j, json_get(j, entry, "xxh3"), hex))
    return err_set(err, ERR_MISMATCH, "%s: damaged checkpoint: the checksum of '%.80s' is wrong",
                   c->path, name);
  return 0;
}

static int read_all(struct checkpoint *c, struct err *err) {
  uint64_t data_at = 0, end = 0;
  int64_t step;
  int rc = read_header(c, &data_at, err);
  if (rc) return rc;
  json_id blobs = json_get(c->header, JSON_ROOT, "blobs");
  size_t count = json_count(c->header, blobs);
  if (!json_int(c->header, json_get(c->header, JSON_ROOT, "step"), &step) || step < 0 ||
      json_kind(c->header, blobs) != JSON_ARRAY || count > CHECKPOINT_BLOBS_MAX ||
      json_kind(c->header, json_get(c->header, JSON_ROOT, "meta")) != JSON_OBJECT)
    return damaged(c, "its header is not complete", err);
  c->step = (uint64_t)step;
  c->blobs = mem_zeros(count + 1, sizeof *c->blobs);
  if (!c->blobs) return err_nomem(err, count * sizeof *c->blobs, "a checkpoint");
  struct json_iter it = json_iter(c->header, blobs);
  while (!rc && json_each(&it)) rc = read_blob(c, it.value, data_at, &end, err);
  for (size_t i = 1; i < c->count && !rc; i++)
    if (strcmp(c->blobs[i - 1].name, c->blobs[i].name) >= 0)
      rc = damaged(c, "its blobs are not in order", err);
  return rc;
}

int checkpoint_open(struct checkpoint **out, const char *path, struct err *err) {
  struct checkpoint *c = mem_zero(sizeof *c);
  *out = NULL;
  if (!c || !(c->path = mem_strdup(path))) {
    mem_free(c);
    return err_nomem(err, sizeof *c, path);
  }
  int rc = file_map_open(&c->map, path, err);
  if (!rc) rc = read_all(c, err);
  if (rc)
    checkpoint_close(c);
  else
    *out = c;
  return rc;
}

void checkpoint_close(struct checkpoint *c) {
  if (!c) return;
  for (size_t i = 0; i < c->count; i++) mem_free((void *)(uintptr_t)c->blobs[i].name);
  mem_free(c->blobs);
  json_free(c->header);
  file_map_close(&c->map);
  mem_free(c->path);
  mem_free(c);
}

uint64_t checkpoint_step(const struct checkpoint *c) {
  return c->step;
}
const char *checkpoint_path(const struct checkpoint *c) {
  return c->path;
}
const char *checkpoint_meta(const struct checkpoint *c, size_t *n) {
  return json_raw(c->header, json_get(c->header, JSON_ROOT, "meta"), n);
}
size_t checkpoint_count(const struct checkpoint *c) {
  return c->count;
}
const struct checkpoint_blob *checkpoint_at(const struct checkpoint *c, size_t i) {
  return i < c->count ? &c->blobs[i] : NULL;
}

const struct checkpoint_blob *checkpoint_find(const struct checkpoint *c, const char *name) {
  struct checkpoint_blob key = {.name = name};
  return c->count ? bsearch(&key, c->blobs, c->count, sizeof key, by_name) : NULL;
}

/* ---- a folder of them ---- */

struct found {
  uint64_t *steps;
  size_t count, cap;
};

/* "step-DIGITS.ckpt" */
static bool step_of(const char *name, uint64_t *step) {
  const char *p = name + 5;
  if (strncmp(name, "step-", 5)) return false;
  for (*step = 0; *p >= '0' && *p <= '9' && p - name < 21; p++)
    *step = *step * 10 + (uint64_t)(*p - '0');
  return p - name >= 13 && !strcmp(p, SUFFIX);
}

static int note_step(void *arg, const char *name, bool is_dir, struct err *err) {
  struct found *f = arg;
  uint64_t step;
  if (is_dir || !step_of(name, &step)) return 0;
  if (f->count == f->cap) {
    size_t cap = f->cap ? 2 * f->cap : 16;
    uint64_t *steps = mem_rearray(f->steps, cap, sizeof *steps);
    if (!steps) return err_nomem(err, cap * sizeof *steps, "a list of checkpoints");
    f->steps = steps;
    f->cap = cap;
  }
  f->steps[f->count++] = step;
  return 0;
}

static int downwards(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x < y) - (x > y);
}

static int find_steps(const char *dir, struct found *f, struct err *err) {
  struct file_info info;
  int rc = file_stat(dir, &info, err);
  if (rc || !info.exists) return rc;
  rc = file_list(dir, note_step, f, err);
  if (f->count) qsort(f->steps, f->count, sizeof *f->steps, downwards);
  return rc;
}

static int step_path(struct buf *path, const char *dir, uint64_t step, struct err *err) {
  buf_reset(path);
  buf_addf(path, "%s/step-%08llu" SUFFIX, dir, (unsigned long long)step);
  return buf_check(path, "a path", err);
}

int checkpoint_newest(struct checkpoint **out, const char *dir, struct buf *skipped,
                      struct err *err) {
  struct found f = {0};
  struct buf path;
  struct err why;
  *out = NULL;
  buf_init(&path);
  int rc = find_steps(dir, &f, err);
  for (size_t i = 0; i < f.count && !rc && !*out; i++) {
    if ((rc = step_path(&path, dir, f.steps[i], err))) break;
    int opened = checkpoint_open(out, path.data, &why);
    if (opened == ERR_NOMEM) rc = err_set(err, ERR_NOMEM, "%s", why.message);
    if (opened && skipped) buf_addf(skipped, "%s\n", why.message);
  }
  if (!rc && skipped) rc = buf_check(skipped, "a list of checkpoints", err);
  if (rc) {
    checkpoint_close(*out);
    *out = NULL;
  }
  mem_free(f.steps);
  buf_clear(&path);
  return rc;
}

int checkpoint_prune(const char *dir, size_t keep, struct err *err) {
  struct found f = {0};
  struct buf path;
  buf_init(&path);
  int rc = find_steps(dir, &f, err);
  for (size_t i = keep ? keep : 1; i < f.count && !rc; i++) {
    rc = step_path(&path, dir, f.steps[i], err);
    if (!rc) rc = file_unlink(path.data, err);
  }
  mem_free(f.steps);
  buf_clear(&path);
  return rc;
}

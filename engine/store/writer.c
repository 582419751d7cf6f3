/* SPDX-License-Identifier: MIT */
/* Writers of data sets; see writer.h.
 *
 *   put ──► format (a row, a line, a member of an array) ──► sink ──► PATH.tmp-PID-N
 *                                                             next shard when it has grown enough
 *
 * CSV (RFC 4180): CRLF behind rows; a field is quoted when it holds a quote, the delimiter or a
 * newline, or begins or ends with a space; nested values are their JSON text; null and missing are
 * empty. In TSV the same with tabs. A cell that begins with = + - @ tab or CR is run as a formula
 * by spreadsheets: formula_safe puts a ' before it, unless it is a number.
 */
#include "store/writer.h"

#include "base/mem.h"
#include "file/file.h"
#include "store/parquet_write.h"

#include <stdio.h>
#include <string.h>

struct shard {
  struct sink *sink;
  char *path;
  uint64_t records;
};

struct writer {
  struct writer_options options;
  char *path;
  struct shard *shards;
  size_t count, cap;
  bool open; /* the last shard takes records */
  struct parquet_writer *parquet;
  struct buf out, scratch;
  struct buf slots; /* json_id of each column */
};

void writer_close(struct writer *w) {
  if (!w) return;
  parquet_writer_free(w->parquet);
  for (size_t i = 0; i < w->count; i++) {
    sink_close(w->shards[i].sink);
    mem_free(w->shards[i].path);
  }
  mem_free(w->shards);
  mem_free(w->path);
  buf_clear(&w->out);
  buf_clear(&w->scratch);
  buf_clear(&w->slots);
  mem_free(w);
}

int writer_open(struct writer **out, const char *path, const struct writer_options *options,
                struct err *err) {
  *out = NULL;
  struct writer *w = mem_zero(sizeof *w);
  if (!w) return err_nomem(err, sizeof *w, path);
  w->options = *options;
  if (!(w->path = mem_strdup(path))) {
    writer_close(w);
    return err_nomem(err, strlen(path), path);
  }
  *out = w;
  return 0;
}

void writer_divide(struct writer *w, size_t writers) {
  const uint64_t most = (uint64_t)64 << 20, least = (uint64_t)2 << 20;
  uint64_t bytes =
      (w->options.group_bytes ? w->options.group_bytes : most) / (writers ? writers : 1);
  if (!w->options.group_bytes) w->options.group_bytes = bytes < least ? least : bytes;
}

/* ---- shards ---- */

static void put_cell(struct writer *w, const char *s, size_t n, bool number);

static int put_header(struct writer *w) {
  const struct schema_node *root = &w->options.schema->root;
  if (w->options.no_header || !root->count) return 0;
  for (size_t i = 0; i < root->count; i++) {
    if (i) buf_addc(&w->out, w->options.delimiter);
    put_cell(w, root->members[i]->name, root->members[i]->name_n, false);
  }
  buf_adds(&w->out, "\r\n");
  return 0;
}

static int begin_format(struct writer *w, struct sink *sink, struct err *err) {
  buf_reset(&w->out);
  if (w->options.format == WRITER_CSV) put_header(w);
  if (w->options.format == WRITER_JSON) buf_adds(&w->out, "[");
  if (w->options.format == WRITER_PARQUET) {
    struct parquet_write_options o = {.codec = w->options.parquet_codec,
                                      .level = w->options.level,
                                      .group_bytes = w->options.group_bytes};
    return parquet_writer_new(&w->parquet, sink, w->options.schema, &o, err);
  }
  int rc = buf_check(&w->out, "a header", err);
  return rc ? rc : sink_write(sink, w->out.data, w->out.len, err);
}

static int begin_shard(struct writer *w, struct err *err) {
  if (w->count == w->cap) {
    size_t cap = w->cap ? 2 * w->cap : 4;
    struct shard *bigger = mem_rearray(w->shards, cap, sizeof *bigger);
    if (!bigger) return err_nomem(err, cap * sizeof *bigger, w->path);
    w->shards = bigger, w->cap = cap;
  }
  struct shard *s = &w->shards[w->count];
  enum sink_codec codec = w->options.format == WRITER_PARQUET ? SINK_PLAIN : w->options.codec;
  memset(s, 0, sizeof *s);
  int rc = sink_open(&s->sink, w->path, codec, w->options.level,
                     w->options.no_sync ? FILE_NO_SYNC : 0, err);
  if (rc) return rc;
  w->count++, w->open = true;
  return begin_format(w, s->sink, err);
}

static int end_shard(struct writer *w, struct err *err) {
  struct shard *s = &w->shards[w->count - 1];
  int rc = 0;
  if (w->options.format == WRITER_JSON)
    rc = s->records ? sink_write(s->sink, "\n]\n", 3, err) : sink_write(s->sink, "]\n", 2, err);
  if (w->parquet) {
    rc = parquet_writer_finish(w->parquet, err);
    parquet_writer_free(w->parquet);
    w->parquet = NULL;
  }
  w->open = false;
  return rc ? rc : sink_finish(s->sink, err);
}

/* ---- CSV ---- */

static bool runs_as_formula(const char *s, size_t n) {
  return n && (strchr("=+-@\t\r", *s) != NULL) && *s;
}

static bool needs_quotes(const char *s, size_t n, char delimiter) {
  if (!n) return false;
  if (s[0] == ' ' || s[n - 1] == ' ') return true;
  for (size_t i = 0; i < n; i++)
    if (s[i] == '"' || s[i] == delimiter || s[i] == '\n' || s[i] == '\r') return true;
  return false;
}

static void put_cell(struct writer *w, const char *s, size_t n, bool number) {
  bool guard = w->options.formula_safe && !number && runs_as_formula(s, n);
  if (!guard && !needs_quotes(s, n, w->options.delimiter)) {
    buf_add(&w->out, s, n);
    return;
  }
  buf_addc(&w->out, '"');
  if (guard) buf_addc(&w->out, '\'');
  for (const char *end = s + n; s < end;) {
    const char *q = memchr(s, '"', (size_t)(end - s));
    size_t k = (size_t)((q ? q + 1 : end) - s);
    buf_add(&w->out, s, k);
    if (q) buf_addc(&w->out, '"');
    s += k;
  }
  buf_addc(&w->out, '"');
}

static int put_row(struct writer *w, const struct json *j, struct err *err) {
  const struct schema_node *root = &w->options.schema->root;
  struct json_iter it = json_iter(j, JSON_ROOT);
  size_t expect = 0, n;
  buf_reset(&w->slots);
  if (buf_reserve(&w->slots, root->count * sizeof(json_id))) return err_nomem(err, 0, "a row");
  json_id *slots = (json_id *)(void *)w->slots.data;
  memset(slots, 0xFF, root->count * sizeof *slots);
  while (json_each(&it)) {
    const char *name = json_string(j, it.key, &w->scratch, &n);
    size_t i = name ? schema_find(root, name, n, expect) : SIZE_MAX;
    if (i == SIZE_MAX) return err_set(err, ERR_MISMATCH, "a member that is not in the schema");
    slots[i] = it.value, expect = i + 1;
  }
  for (size_t i = 0; i < root->count; i++) {
    if (i) buf_addc(&w->out, w->options.delimiter);
    enum json_kind kind = json_kind(j, slots[i]);
    if (slots[i] == JSON_NONE || kind == JSON_NULL) continue;
    const char *s =
        kind == JSON_STRING ? json_string(j, slots[i], &w->scratch, &n) : json_raw(j, slots[i], &n);
    if (!s) return err_nomem(err, n, "a cell");
    put_cell(w, s, n, kind != JSON_STRING);
    /* a row that would be an empty line must not be passed over by readers */
    if (root->count == 1 && !n) buf_adds(&w->out, "\"\"");
  }
  buf_adds(&w->out, "\r\n");
  return 0;
}

/* ---- text ---- */

static json_id find_path(const struct json *j, const char *path, size_t n) {
  json_id v = JSON_ROOT;
  for (const char *end = path + n; v != JSON_NONE; path++) {
    const char *dot = memchr(path, '.', (size_t)(end - path));
    size_t k = (size_t)((dot ? dot : end) - path);
    v = json_getn(j, v, path, k);
    path += k;
    if (!dot) break;
  }
  return v;
}

static int put_text_line(struct writer *w, const struct json *j, struct err *err) {
  json_id v = find_path(j, w->options.field, w->options.field_n);
  size_t n = 0;
  if (v == JSON_NONE || json_kind(j, v) == JSON_NULL)
    return err_set(err, ERR_MISMATCH, "has no '%s' to write as text", w->options.field);
  const char *s =
      json_kind(j, v) == JSON_STRING ? json_string(j, v, &w->scratch, &n) : json_raw(j, v, &n);
  if (!s) return err_nomem(err, n, "a text");
  buf_add(&w->out, s, n);
  buf_add(&w->out, w->options.separator, w->options.separator_n);
  return 0;
}

/* ---- records ---- */

/* Bytes of the shard so far, as they decide where the next one begins. */
static bool is_full(const struct writer *w) {
  return w->options.shard && sink_size(w->shards[w->count - 1].sink) >= w->options.shard;
}

int writer_put(struct writer *w, const struct json *j, const char *text, size_t n,
               struct err *err) {
  int rc = 0;
  if (w->open && is_full(w)) rc = end_shard(w, err);
  if (!rc && !w->open) rc = begin_shard(w, err);
  if (rc) return rc;
  struct shard *s = &w->shards[w->count - 1];
  s->records++;
  buf_reset(&w->out);
  switch (w->options.format) {
  case WRITER_PARQUET:
    return parquet_writer_put(w->parquet, j, err);
  case WRITER_CSV:
    rc = put_row(w, j, err);
    break;
  case WRITER_TEXT:
    rc = put_text_line(w, j, err);
    break;
  case WRITER_JSON:
    buf_adds(&w->out, s->records > 1 ? ",\n" : "\n");
    break;
  default:
    break;
  }
  if (!rc && w->out.len) rc = buf_check(&w->out, "a record", err);
  if (!rc && w->out.len) rc = sink_write(s->sink, w->out.data, w->out.len, err);
  if (rc || (w->options.format != WRITER_JSONL && w->options.format != WRITER_JSON)) return rc;
  rc = sink_write(s->sink, text, n, err);
  if (!rc && w->options.format == WRITER_JSONL) rc = sink_write(s->sink, "\n", 1, err);
  return rc;
}

/* ---- the end ---- */

void writer_shard_name(const char *path, size_t i, size_t count, struct buf *out) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  const char *dot = strchr(*name == '.' ? name + 1 : name, '.');
  if (!dot) dot = name + strlen(name);
  buf_add(out, path, (size_t)(dot - path));
  buf_addf(out, "-%05zu-of-%05zu%s", i, count, dot);
}

static int name_shards(struct writer *w, struct err *err) {
  int rc = 0;
  for (size_t i = 0; !rc && i < w->count; i++) {
    buf_reset(&w->out);
    if (w->options.shard)
      writer_shard_name(w->path, i, w->count, &w->out);
    else
      buf_adds(&w->out, w->path);
    rc = buf_check(&w->out, w->path, err);
    if (!rc && !(w->shards[i].path = mem_strdup(w->out.data))) rc = err_nomem(err, 0, w->path);
    if (!rc) rc = sink_retarget(w->shards[i].sink, w->shards[i].path, err);
  }
  return rc;
}

int writer_finish(struct writer *w, struct err *err) {
  int rc = w->count ? 0 : begin_shard(w, err);
  if (!rc && w->open) rc = end_shard(w, err);
  return rc ? rc : name_shards(w, err);
}

size_t writer_files(const struct writer *w) {
  return w->count;
}

struct writer_file writer_file(const struct writer *w, size_t i) {
  const struct shard *s = &w->shards[i];
  return (struct writer_file){s->path, sink_size(s->sink), s->records, sink_sha256(s->sink)};
}

int writer_commit(struct writer *w, struct err *err) {
  int rc = 0;
  for (size_t i = 0; !rc && i < w->count; i++) rc = sink_commit(w->shards[i].sink, err);
  return rc;
}

/* SPDX-License-Identifier: MIT */
/* Jupyter notebooks (nbformat 3 and 4) to Markdown: JSON in, cells out in their order.
 *
 *   markdown cell    as it is, without the pictures packed into it (data: addresses)
 *   code cell        ```python … ``` in the kernel's language
 *   its text output  ```output … ```, at most OUTPUT_LINES lines and OUTPUT_MAX bytes
 *   raw cell         as it is
 *
 * Of an output that comes in several forms the plain text is taken; terminal colours are dropped.
 * The title is metadata.title, else the first "# " line of a Markdown cell. */
#include "base/buf.h"
#include "base/mem.h"
#include "extract/worker.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

#define NOTEBOOK_MAX ((uint64_t)128 << 20)
#define OUTPUT_LINES 20
#define OUTPUT_MAX   ((size_t)2000)
#define DATA_URL     64 /* longer ones are cut */

struct notebook {
  struct job *job;
  struct err *err;
  struct json *json;
  struct buf text; /* of the cell or output at work */
  char language[32];
  bool titled, cut, any;
};

/* ---- values ---- */

/* A multi-line string: a string, or a list of them. Appended. */
static void add_lines(struct notebook *d, json_id v, struct buf *out) {
  if (v == JSON_NONE) return;
  if (json_string_add(d->json, v, out)) return;
  struct json_iter it = json_iter(d->json, v);
  while (json_kind(d->json, v) == JSON_ARRAY && json_each(&it))
    json_string_add(d->json, it.value, out);
}

/* Ends of lines as "\n", and none at the end. */
static void tidy(struct buf *b) {
  size_t n = 0;
  for (size_t i = 0; i < b->len; i++) {
    if (b->data[i] == '\r' && i + 1 < b->len && b->data[i + 1] == '\n') continue;
    b->data[n++] = b->data[i] == '\r' || b->data[i] == 0 ? '\n' : b->data[i];
  }
  while (n > 0 && (b->data[n - 1] == '\n' || b->data[n - 1] == ' ' || b->data[n - 1] == '\t')) n--;
  b->len = n;
  if (b->data) b->data[n] = 0;
}

/* "\x1B[31m" and the like. */
static void drop_colours(struct buf *b) {
  size_t n = 0;
  for (size_t i = 0; i < b->len; i++) {
    if (b->data[i] == 0x1B && i + 1 < b->len && b->data[i + 1] == '[') {
      for (i += 2; i < b->len && (unsigned char)b->data[i] < 0x40;) i++;
      continue;
    }
    if (b->data[i] != 0x1B && b->data[i] != '\b') b->data[n++] = b->data[i];
  }
  b->len = n;
}

/* A picture written into the text as "data:image/png;base64,…" becomes "data:image/png". */
static void drop_pictures(struct buf *b) {
  size_t n = 0;
  for (size_t i = 0; i < b->len; i++) {
    b->data[n++] = b->data[i];
    if (b->len - i < 5 || memcmp(b->data + i, "data:", 5) != 0) continue;
    size_t end = i;
    while (end < b->len && !strchr(")\"'<> \n", b->data[end])) end++;
    const char *semicolon = memchr(b->data + i, ';', end - i);
    if (end - i <= DATA_URL || !semicolon) continue;
    size_t keep = (size_t)(semicolon - (b->data + i));
    memmove(b->data + n, b->data + i + 1, keep - 1);
    n += keep - 1;
    i = end - 1;
  }
  b->len = n;
}

/* ---- blocks ---- */

static void begin_block(struct notebook *d) {
  if (d->any) out_raw(&d->job->out, "\n\n", 2);
  d->any = true;
}

/* The longest run of backticks, so that the fence is longer. */
static size_t longest_ticks(const struct buf *b) {
  size_t most = 0, run = 0;
  for (size_t i = 0; i < b->len; i++) {
    run = b->data[i] == '`' ? run + 1 : 0;
    if (run > most) most = run;
  }
  return most;
}

static void write_fenced(struct notebook *d, const char *language) {
  struct out *o = &d->job->out;
  char fence[33];
  size_t n = longest_ticks(&d->text) + 1;
  if (n < 3) n = 3;
  if (n > 32) n = 32;
  memset(fence, '`', n);
  begin_block(d);
  out_raw(o, fence, n);
  out_raw(o, language, strlen(language));
  out_raw(o, "\n", 1);
  out_raw(o, d->text.data, d->text.len);
  out_raw(o, "\n", 1);
  out_raw(o, fence, n);
}

static void find_title(struct notebook *d) {
  for (size_t i = 0; !d->titled && i + 2 < d->text.len; i++) {
    if ((i > 0 && d->text.data[i - 1] != '\n') || memcmp(d->text.data + i, "# ", 2) != 0) continue;
    const char *s = d->text.data + i + 2, *end = memchr(s, '\n', d->text.len - i - 2);
    out_meta(&d->job->out, "title", s, end ? (size_t)(end - s) : d->text.len - i - 2);
    d->titled = true;
  }
}

static void write_text(struct notebook *d) {
  drop_pictures(&d->text);
  find_title(d);
  begin_block(d);
  out_raw(&d->job->out, d->text.data, d->text.len);
}

/* ---- outputs ---- */

/* Its plain text is then "<Figure size 640x480 with 1 Axes>", which says nothing. */
static bool is_picture(const struct notebook *d, json_id data) {
  return json_get(d->json, data, "image/png") != JSON_NONE ||
         json_get(d->json, data, "image/svg+xml") != JSON_NONE ||
         json_get(d->json, data, "image/jpeg") != JSON_NONE;
}

/* What one output says in plain text. Appended, with a line end between two. */
static void add_output(struct notebook *d, json_id output) {
  struct buf *b = &d->text;
  if (b->len && b->data[b->len - 1] != '\n') buf_addc(b, '\n');
  json_id name = json_get(d->json, output, "ename"), data = json_get(d->json, output, "data");
  if (name != JSON_NONE) {
    json_string_add(d->json, name, b);
    buf_adds(b, ": ");
    json_string_add(d->json, json_get(d->json, output, "evalue"), b);
  } else if (data != JSON_NONE) {
    size_t from = b->len;
    add_lines(d, json_get(d->json, data, "text/plain"), b);
    if (is_picture(d, data) && b->len > from && b->data[from] == '<') b->len = from;
  } else {
    add_lines(d, json_get(d->json, output, "text"), b);
  }
}

/* Keeps the first lines and bytes. */
static void shorten(struct notebook *d) {
  struct buf *b = &d->text;
  size_t n = 0;
  for (unsigned lines = 0; n < b->len && n < OUTPUT_MAX; n++)
    if (b->data[n] == '\n' && ++lines == OUTPUT_LINES) break;
  while (n > 0 && n < b->len && ((unsigned char)b->data[n] & 0xC0) == 0x80) n--;
  if (n >= b->len) return;
  b->len = n;
  d->cut = true;
  buf_adds(b, b->data[n - 1] == '\n' ? "…" : "\n…");
}

static void write_outputs(struct notebook *d, json_id outputs) {
  struct json_iter it = json_iter(d->json, outputs);
  if (json_kind(d->json, outputs) != JSON_ARRAY) return;
  buf_reset(&d->text);
  while (json_each(&it)) add_output(d, it.value);
  drop_colours(&d->text);
  tidy(&d->text);
  if (!d->text.len) return;
  shorten(d);
  write_fenced(d, "output");
}

/* ---- cells ---- */

static int write_cell(struct notebook *d, json_id cell) {
  json_id type = json_get(d->json, cell, "cell_type"), own = json_get(d->json, cell, "language");
  bool code = json_is(d->json, type, "code"), heading = json_is(d->json, type, "heading");
  json_id source = json_get(d->json, cell, code ? "input" : "source"); /* input: nbformat 3 */
  int64_t level = 1;
  buf_reset(&d->text);
  if (heading) {
    json_int(d->json, json_get(d->json, cell, "level"), &level);
    for (int64_t i = 0; i < level && i < 6; i++) buf_addc(&d->text, '#');
    buf_addc(&d->text, ' ');
  }
  add_lines(d, source == JSON_NONE ? json_get(d->json, cell, "source") : source, &d->text);
  tidy(&d->text);
  int rc = buf_check(&d->text, "a notebook's cell", d->err);
  if (rc) return rc;
  if (d->text.len && code) {
    struct buf language;
    buf_init(&language);
    if (own != JSON_NONE) json_string_add(d->json, own, &language);
    write_fenced(d, language.len && language.len < 32 ? language.data : d->language);
    buf_clear(&language);
  } else if (d->text.len) {
    write_text(d);
  }
  if (code) write_outputs(d, json_get(d->json, cell, "outputs"));
  return buf_check(&d->text, "a notebook's cell", d->err);
}

static int write_cells(struct notebook *d, json_id cells) {
  struct json_iter it = json_iter(d->json, cells);
  int rc = 0;
  while (!rc && !d->job->out.gone && json_each(&it)) rc = write_cell(d, it.value);
  return rc;
}

/* ---- the notebook ---- */

static void give(struct notebook *d, const char *key, json_id v) {
  buf_reset(&d->text);
  if (v == JSON_NONE || !json_string_add(d->json, v, &d->text) || !d->text.len) return;
  out_meta(&d->job->out, key, d->text.data, d->text.len);
  d->titled = d->titled || !strcmp(key, "title");
}

static void read_metadata(struct notebook *d) {
  const struct json *j = d->json;
  json_id metadata = json_get(j, JSON_ROOT, "metadata");
  json_id info = json_get(j, metadata, "language_info"),
          kernel = json_get(j, metadata, "kernelspec");
  json_id language = json_get(j, info, "name"), authors = json_get(j, metadata, "authors");
  if (language == JSON_NONE) language = json_get(j, kernel, "language");
  give(d, "title", json_get(j, metadata, "title"));
  if (json_kind(j, authors) == JSON_ARRAY && json_count(j, authors))
    give(d, "author", json_get(j, json_at(j, authors, 0), "name"));
  buf_reset(&d->text);
  if (language != JSON_NONE) json_string_add(j, language, &d->text);
  for (size_t i = 0; i < d->text.len; i++)
    if (d->text.data[i] <= ' ' || d->text.data[i] == '`') d->text.len = i;
  snprintf(d->language, sizeof d->language, "%.*s", (int)d->text.len,
           d->text.len && d->text.len < sizeof d->language ? d->text.data : "");
  if (!d->language[0]) snprintf(d->language, sizeof d->language, "python");
}

static int read_cells(struct notebook *d) {
  json_id cells = json_get(d->json, JSON_ROOT, "cells");
  json_id sheets = json_get(d->json, JSON_ROOT, "worksheets"); /* nbformat 3 */
  int rc = 0;
  if (json_kind(d->json, cells) != JSON_ARRAY && json_kind(d->json, sheets) != JSON_ARRAY)
    return err_set(d->err, ERR_FORMAT, "unreadable IPYNB: there is no list of cells in it");
  read_metadata(d);
  if (json_kind(d->json, cells) == JSON_ARRAY) return write_cells(d, cells);
  struct json_iter it = json_iter(d->json, sheets);
  while (!rc && json_each(&it)) rc = write_cells(d, json_get(d->json, it.value, "cells"));
  return rc;
}

int ipynb_read(struct job *job, struct err *err) {
  struct notebook d = {.job = job, .err = err};
  struct buf raw;
  int rc = 0;
  buf_init(&raw);
  buf_init(&d.text);
  if (job->bytes > NOTEBOOK_MAX)
    rc = err_set(err, ERR_LIMIT, "limit: a notebook of more than %llu MiB",
                 (unsigned long long)NOTEBOOK_MAX >> 20);
  if (!rc && buf_reserve(&raw, (size_t)job->bytes + 1))
    rc = err_nomem(err, job->bytes, "a notebook");
  long long n = rc ? -1 : job_read(job, 0, raw.data, (size_t)job->bytes, err);
  if (!rc && n < 0) rc = ERR_IO;
  size_t skip = n >= 3 && !memcmp(raw.data, "\xEF\xBB\xBF", 3) ? 3 : 0;
  if (!rc && json_parse(&d.json, raw.data + skip, (size_t)n - skip, NULL, err)) {
    rc = err->code;
    if (rc == ERR_FORMAT) err_prefix(err, "unreadable IPYNB: it is not JSON");
  }
  if (!rc) rc = read_cells(&d);
  if (!rc && d.any) out_raw(&job->out, "\n", 1);
  if (!rc && d.cut)
    out_note(&job->out, "long outputs of code cells cut to %d lines, %zu bytes", OUTPUT_LINES,
             OUTPUT_MAX);
  json_free(d.json);
  buf_clear(&raw);
  buf_clear(&d.text);
  return rc;
}

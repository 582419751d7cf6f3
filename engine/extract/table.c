/* SPDX-License-Identifier: MIT */
/* Pipe tables; see table.h. Cells lie end to end in one buffer; `ends` holds where each stops, and
 * SIZE_MAX between rows:
 *
 *   text  Option|Meaning|-a|all of them        ends  6 13 MAX 15 26 MAX
 *
 * Columns in which no row has text are left out (they come from layout), at most COLUMNS_MAX are
 * kept apart: the cells behind them run into the last one.
 */
#include "extract/table.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

#define COLUMNS_MAX 256
#define ROW_END     SIZE_MAX

void table_init(struct table *t) {
  *t = (struct table){0};
  buf_init(&t->text);
}

void table_clear(struct table *t) {
  buf_clear(&t->text);
  mem_free(t->ends);
  table_init(t);
}

static void push(struct table *t, size_t end) {
  if (t->count == t->cap) {
    size_t cap = t->cap ? t->cap * 2 : 64;
    size_t *ends = mem_rearray(t->ends, cap, sizeof *ends);
    if (!ends) {
      t->failed = true;
      return;
    }
    t->ends = ends;
    t->cap = cap;
  }
  t->ends[t->count++] = end;
}

static void end_row(struct table *t) {
  if (t->in_row) push(t, ROW_END);
  t->in_row = false;
}

void table_row(struct table *t) {
  end_row(t);
  t->in_row = true;
}

void table_cell(struct table *t, const char *s, size_t n, unsigned span) {
  size_t from = t->text.len, used;
  bool space = false;
  t->in_row = true;
  for (size_t i = 0; i < n; i += used) {
    uint32_t c = utf8_decode(s + i, n - i, &used);
    if (c <= ' ' || (c >= 0x7F && c <= 0xA0)) {
      space = true;
      continue;
    }
    if (space && t->text.len > from) buf_addc(&t->text, ' ');
    space = false;
    if (c == '|' && !(i > 0 && s[i - 1] == '\\')) buf_addc(&t->text, '\\');
    buf_add(&t->text, s + i, used);
  }
  push(t, t->text.len);
  for (unsigned i = 1; i < span && i < COLUMNS_MAX; i++) push(t, t->text.len);
}

bool table_full(const struct table *t) {
  return t->text.len >= TABLE_MAX || t->count >= TABLE_MAX / sizeof *t->ends;
}

bool table_empty(const struct table *t) {
  return t->text.len == 0;
}

/* A row: its first index in ends, one past its last, and where its text begins. */
struct row {
  size_t from, to, text;
  bool seen; /* step over it */
};

static bool next_row(const struct table *t, struct row *r) {
  if (r->seen) {
    if (r->to > r->from) r->text = t->ends[r->to - 1];
    r->from = r->to + 1;
  }
  r->seen = true;
  if (r->from >= t->count) return false;
  for (r->to = r->from; r->to < t->count && t->ends[r->to] != ROW_END;) r->to++;
  return true;
}

static size_t find_columns(const struct table *t, bool used[COLUMNS_MAX]) {
  size_t most = 0;
  for (struct row r = {0}; next_row(t, &r);) {
    size_t start = r.text;
    for (size_t i = r.from; i < r.to; start = t->ends[i++]) {
      size_t column = i - r.from < COLUMNS_MAX ? i - r.from : COLUMNS_MAX - 1;
      if (t->ends[i] > start) used[column] = true;
    }
  }
  for (size_t c = 0; c < COLUMNS_MAX; c++) most += used[c];
  return most;
}

static void write_cells(const struct table *t, const struct row *r, const bool *used,
                        size_t columns, struct buf *out) {
  size_t start = r->text, i = r->from, written = 0;
  for (size_t c = 0; c < COLUMNS_MAX && written < columns; c++) {
    size_t end = i < r->to ? t->ends[i] : start;
    if (c == COLUMNS_MAX - 1 && r->to > r->from) end = t->ends[r->to - 1];
    if (used[c]) {
      buf_adds(out, "| ");
      buf_add(out, t->text.data + start, end - start);
      if (end > start) buf_addc(out, ' ');
      written++;
    }
    if (i < r->to) start = t->ends[i++];
  }
  buf_addc(out, '|');
}

static void new_line(struct buf *out, size_t began, const char *indent) {
  if (out->len > began) buf_addc(out, '\n');
  buf_adds(out, indent);
}

int table_write(struct table *t, const char *indent, struct buf *out, struct err *err) {
  bool used[COLUMNS_MAX] = {false};
  size_t began = out->len, columns, rows = 0;
  end_row(t);
  if (t->failed) return err_nomem(err, t->count * sizeof *t->ends, "a table");
  int rc = buf_check(&t->text, "a table", err);
  if (rc) return rc;
  columns = find_columns(t, used);
  for (struct row r = {0}; columns && next_row(t, &r);) {
    if (r.to == r.from || t->ends[r.to - 1] == r.text) continue;
    new_line(out, began, indent);
    if (columns == 1) {
      buf_add(out, t->text.data + r.text, t->ends[r.to - 1] - r.text);
      continue;
    }
    write_cells(t, &r, used, columns, out);
    if (rows++) continue;
    new_line(out, began, indent);
    for (size_t c = 0; c < columns; c++) buf_adds(out, "|---");
    buf_addc(out, '|');
  }
  buf_reset(&t->text);
  t->count = 0;
  return buf_check(out, "a table", err);
}

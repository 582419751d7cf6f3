/* SPDX-License-Identifier: MIT */
/* From pieces to regions in reading order: columns and tables; see pdf_page.h.
 *
 *   ┌────────────────────────┐   a gutter is a stretch of x that few pieces cross and that has text
 *   │  A title that spans    │   on both sides for some lines; the pieces that cross it divide the
 *   ├───────────┬┬───────────┤   page into bands
 *   │ left      ││ right     │   a band with prose on both sides is two columns: the left one is
 *   │ column    ││ column    │   read first, each is looked at again in the same way
 *   ├───────────┴┴───────────┤
 *   │  a wide figure's text  │   every other band, and what spans, flows from top to bottom
 *   └────────────────────────┘
 *
 *   Name      Type     Default    in a flow, rows one below the other whose holes line up are a
 *   size      int      4000       table: three rows with two pieces or more, or two with three
 *   overlap   int      200
 *
 * What tells columns from a table: a column's lines fill it; the cells of at least one column of a
 * table do not. Long lists in equal columns (an index) count as columns too.
 *
 * Limits: a table whose cells are sentences on both sides reads as columns; ruling lines are not
 * seen, only positions; pages with more than PIECES_MAX pieces keep poppler's order.
 */
#include "base/mem.h"
#include "extract/pdf_page.h"
#include "extract/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIECES_MAX 20000
#define BINS       512
#define DEPTH      5
#define GUTTERS    12
#define GUTTER     0.8f /* of the body's size: the narrowest */
#define COLUMN_GAP 0.6f /* … between the columns of a table */
#define FILL       0.6f /* of a column's width that most of its lines fill */

struct layout {
  struct pdf_page *page;
  struct pdf_style *style;
  struct err *err;
};

struct pdf_block *pdf_add_block(struct pdf_page *p, enum pdf_kind kind) {
  if (p->block_count == p->block_cap) {
    size_t cap = p->block_cap ? p->block_cap * 2 : 32;
    struct pdf_block *b = mem_rearray(p->blocks, cap, sizeof *b);
    if (!b) return NULL;
    p->blocks = b;
    p->block_cap = cap;
  }
  struct pdf_block *b = &p->blocks[p->block_count++];
  *b = (struct pdf_block){.kind = kind, .from = p->text.len};
  return b;
}

static float middle(const struct pdf_piece *l) {
  return (l->top + l->bottom) / 2;
}

static int by_middle(const void *a, const void *b) {
  const struct pdf_piece *x = *(struct pdf_piece *const *)a, *y = *(struct pdf_piece *const *)b;
  float d = middle(x) - middle(y);
  if (d != 0) return d > 0 ? 1 : -1;
  return (x->from > y->from) - (x->from < y->from);
}

static int by_left(const void *a, const void *b) {
  const struct pdf_piece *x = *(struct pdf_piece *const *)a, *y = *(struct pdf_piece *const *)b;
  if (x->left != y->left) return x->left > y->left ? 1 : -1;
  return (x->from > y->from) - (x->from < y->from);
}

/* ---- rows ---- */

static bool is_rtl(uint32_t c) {
  return (c >= 0x590 && c <= 0x8FF) || (c >= 0xFB1D && c <= 0xFEFC);
}

/* Does the piece stand on the row that `first` began? */
static bool on_row(const struct pdf_piece *first, const struct pdf_piece *l) {
  float low = fminf(first->bottom, l->bottom), high = fmaxf(first->top, l->top);
  float height = fminf(first->bottom - first->top, l->bottom - l->top);
  return low - high >= 0.5f * height;
}

/* A large capital at the height of the line at its right begins that line. */
static void pull_up_capitals(struct layout *y, struct pdf_piece **v, size_t n) {
  for (size_t i = 0; i < n; i++) {
    struct pdf_piece *cap = v[i];
    if (cap->to - cap->from != 1 || cap->size < 1.8f * y->style->body) continue;
    struct pdf_piece *best = NULL;
    for (size_t k = 0; k < n; k++)
      if (k != i && v[k]->left >= cap->right - 1 && v[k]->left - cap->right < cap->size / 2 &&
          middle(v[k]) > cap->top && middle(v[k]) < cap->bottom && v[k]->size < cap->size * 0.7f &&
          (!best || middle(v[k]) < middle(best)))
        best = v[k];
    if (best) cap->top = best->top, cap->bottom = best->bottom, cap->size = best->size;
  }
}

/* Sorts pieces into rows; line i takes v[…] in order. Returns how many, SIZE_MAX when memory ends. */
static size_t make_rows(struct layout *y, struct pdf_piece **v, size_t n, struct pdf_line **out) {
  struct pdf_line *lines = mem_zeros(n + 1, sizeof *lines);
  size_t count = 0;
  *out = lines;
  if (!lines) return err_nomem(y->err, n * sizeof *lines, "a page's lines"), SIZE_MAX;
  if (n < 4096) pull_up_capitals(y, v, n);
  qsort(v, n, sizeof *v, by_middle);
  for (size_t i = 0; i < n;) {
    size_t from = i++;
    while (i < n && on_row(v[from], v[i])) i++;
    qsort(v + from, i - from, sizeof *v, by_left);
    if (is_rtl(y->page->glyphs[v[from]->from].c))
      for (size_t a = from, b = i - 1; a < b; a++, b--) {
        struct pdf_piece *t = v[a];
        v[a] = v[b], v[b] = t;
      }
    lines[count].pieces = v + from;
    lines[count].n = i - from;
    pdf_measure_line(y->page, &lines[count]);
    if (lines[count].mono && !y->style->mono_body) {
      lines[count].top -= y->style->shift * lines[count].size;
      lines[count].bottom -= y->style->shift * lines[count].size;
    }
    count++;
  }
  return count;
}

/* ---- tables ---- */

/* Puts [left, right] into the spans, joining what comes closer than gap. False: too many. */
static bool spans_add(struct pdf_spans *s, float left, float right, float gap) {
  size_t i = 0, k;
  while (i < s->n && s->right[i] + gap < left) i++;
  for (k = i; k < s->n && s->left[k] - gap <= right; k++) {
    left = fminf(left, s->left[k]);
    right = fmaxf(right, s->right[k]);
  }
  if (k == i && s->n == PDF_COLUMNS) return false;
  size_t tail = s->n - k;
  memmove(&s->left[i + 1], &s->left[k], tail * sizeof *s->left);
  memmove(&s->right[i + 1], &s->right[k], tail * sizeof *s->right);
  s->left[i] = left, s->right[i] = right;
  s->n = i + 1 + tail;
  return true;
}

static bool add_row(struct pdf_spans *s, const struct pdf_line *l, float gap) {
  for (size_t i = 0; i < l->n; i++)
    if (!spans_add(s, l->pieces[i]->left, l->pieces[i]->right, gap)) return false;
  return true;
}

static size_t span_of(const struct pdf_spans *s, const struct pdf_piece *l) {
  float x = (l->left + l->right) / 2;
  size_t i = 0;
  while (i + 1 < s->n && s->left[i + 1] <= x) i++;
  return i;
}

static size_t columns_used(const struct pdf_spans *s, const struct pdf_line *l) {
  size_t n = 0, last = SIZE_MAX;
  for (size_t i = 0; i < l->n; i++) {
    size_t c = span_of(s, l->pieces[i]);
    n += c != last;
    last = c;
  }
  return n;
}

/* A mark of a list: "1.", "(a)", "iv)" … */
static bool is_marker(const struct pdf_page *p, const struct pdf_piece *l) {
  uint32_t end = p->glyphs[l->to - 1].c;
  return l->to - l->from <= 5 && (end == '.' || end == ')' || end == ']' || end == 0x2013);
}

struct found_table {
  size_t from, to; /* rows */
  struct pdf_spans columns;
};

/* How far down does the table that begins at row `from` go? */
static bool grow_table(const struct layout *y, const struct pdf_line *lines, size_t n, size_t from,
                       struct found_table *t) {
  float gap = COLUMN_GAP * lines[from].size;
  size_t last_multi = from;
  struct pdf_spans s = {.n = 0}, next;
  if (lines[from].n < 2 || !add_row(&s, &lines[from], gap) || s.n < 2) return false;
  t->from = from;
  t->to = from + 1;
  t->columns = s;
  for (size_t i = from + 1; i < n; i++) {
    const struct pdf_line *l = &lines[i], *above = &lines[i - 1];
    next = s;
    if (l->top - above->bottom > 2.2f * fmaxf(l->size, above->size)) break;
    if (l->mono && !y->style->mono_body && l->n == 1) break;
    if (!add_row(&next, l, gap)) break;
    if (next.n < 2 || next.n * 2 < s.n + 1) break;
    /* a single piece that widens the first column is text below the table */
    if (l->n == 1 && span_of(&next, l->pieces[0]) == 0 &&
        (i + 1 >= n || lines[i + 1].n < 2 || next.right[0] > s.right[0] + 2 * l->size))
      break;
    s = next;
    if (l->n >= 2 && columns_used(&s, l) >= 2) {
      last_multi = i;
      t->columns = s;
      t->to = i + 1;
    } else if (i - last_multi > 12) {
      break;
    }
  }
  /* lines that go on in the last cells */
  for (size_t i = t->to; i < n && lines[i].n == 1; i++) {
    const struct pdf_line *l = &lines[i], *above = &lines[i - 1];
    size_t c = span_of(&t->columns, l->pieces[0]);
    next = t->columns;
    if (c == 0 || l->left < t->columns.left[c] - 2 || l->top - above->bottom > 0.8f * l->size)
      break;
    if (!add_row(&next, l, gap) || next.n != t->columns.n) break;
    t->columns = next;
    t->to = i + 1;
  }
  return true;
}

static int number_of(const struct pdf_page *p, const struct pdf_piece *l) {
  int value = 0;
  for (size_t i = l->from; i < l->to; i++) {
    uint32_t c = p->glyphs[i].c;
    if (c < '0' || c > '9' || i - l->from >= 3) return -1;
    value = value * 10 + (int)(c - '0');
  }
  return value;
}

/* Numbers that count, and text beside them: a list, not a table. */
static bool is_counted(const struct layout *y, const struct pdf_line *lines,
                       const struct found_table *t) {
  int last = -1;
  for (size_t i = t->from; i < t->to; i++) {
    const struct pdf_line *l = &lines[i];
    if (span_of(&t->columns, l->pieces[0]) != 0) continue;
    int value = number_of(y->page, l->pieces[0]);
    if (value < 0 || (last >= 0 && value != last + 1)) return false;
    last = value;
  }
  return t->columns.n == 2 && last >= 0;
}

/* Are these rows really a table? */
static bool is_table(const struct layout *y, const struct pdf_line *lines,
                     const struct found_table *t) {
  size_t multi = 0, markers = 0, full[PDF_COLUMNS] = {0}, used[PDF_COLUMNS] = {0}, fulls = 0;
  size_t mono = 0, chars = 0, leaders = 0;
  for (size_t i = t->from; i < t->to; i++) {
    const struct pdf_line *l = &lines[i];
    leaders += l->leader;
    multi += columns_used(&t->columns, l) >= 2;
    markers += is_marker(y->page, l->pieces[0]) || (l->item && l->n == 1);
    chars += l->chars;
    for (size_t k = 0; k < l->n; k++) {
      size_t c = span_of(&t->columns, l->pieces[k]);
      mono += l->pieces[k]->mono ? l->pieces[k]->to - l->pieces[k]->from : 0;
      float width = t->columns.right[c] - t->columns.left[c];
      used[c]++;
      full[c] += l->pieces[k]->right - l->pieces[k]->left > 0.75f * width && width > 12 * l->size;
    }
  }
  size_t rows = t->to - t->from;
  if (leaders * 4 >= rows) return false;                           /* a table of contents */
  if (!y->style->mono_body && mono * 10 > chars * 6) return false; /* code */
  if (multi < (t->columns.n >= 3 ? 2u : 3u)) return false;
  if (markers * 2 > multi || is_counted(y, lines, t)) return false;
  for (size_t c = 0; c < t->columns.n; c++) fulls += used[c] >= 2 && full[c] * 10 >= used[c] * 7;
  return fulls < 2 || fulls * 2 < t->columns.n;
}

/* A row that goes on with the row above: nothing in the first column, set close, and words. */
static bool continues_row(const struct layout *y, const struct pdf_line *l,
                          const struct pdf_line *above, const struct pdf_spans *s, float usual) {
  float step = l->bottom - above->bottom;
  if (span_of(s, l->pieces[0]) == 0 && l->n > 1) return false;
  if (span_of(s, l->pieces[0]) == 0)
    return l->first >= 'a' && l->first <= 'z' && step < usual * 1.1f;
  if (step > usual * 1.25f || step > 1.6f * l->size) return false;
  for (size_t i = 0; i < l->n; i++) {
    uint32_t c = y->page->glyphs[l->pieces[i]->from].c;
    if (c >= '0' && c <= '9') return false;
  }
  return true;
}

/* The distance between the lines of a cell, if rows are farther apart than that; else 0. Then each
 * row of cells, however they are set, lies between two larger distances. */
static float line_step(const struct pdf_line *lines, const struct found_table *t) {
  float step = INFINITY;
  size_t groups = 1, firsts = 0, bad = 0;
  for (size_t i = t->from + 1; i < t->to; i++) {
    float d = lines[i].bottom - lines[i - 1].bottom;
    if (d >= 0.95f * lines[i].size) step = fminf(step, d);
  }
  for (size_t i = t->from; i < t->to; i++) {
    if (i > t->from && lines[i].bottom - lines[i - 1].bottom > 1.15f * step) {
      groups++;
      bad += firsts > 1;
      firsts = 0;
    }
    firsts += span_of(&t->columns, lines[i].pieces[0]) == 0;
  }
  bad += firsts > 1;
  return groups >= 3 && bad * 12 <= groups ? step : 0;
}

/* The distance between rows that most have. */
static float usual_step(const struct pdf_line *lines, size_t from, size_t to) {
  float least = INFINITY;
  for (size_t i = from + 1; i < to; i++)
    least = fminf(least, fmaxf(lines[i].bottom - lines[i - 1].bottom, 0.8f * lines[i].size));
  return least;
}

/* Does row i belong to the same row of cells as the one above? */
static bool same_row(const struct layout *y, const struct pdf_line *lines, size_t i,
                     const struct found_table *t, float step, float usual) {
  if (step > 0 && lines[i].bottom - lines[i - 1].bottom <= 1.15f * step) return true;
  return continues_row(y, &lines[i], &lines[i - 1], &t->columns, usual);
}

static int write_table(struct layout *y, struct pdf_line *lines, const struct found_table *t) {
  struct table table;
  struct buf cells[PDF_COLUMNS];
  float usual = usual_step(lines, t->from, t->to), step = line_step(lines, t);
  table_init(&table);
  for (size_t c = 0; c < t->columns.n; c++) buf_init(&cells[c]);
  for (size_t i = t->from; i <= t->to; i++) {
    bool more = i < t->to;
    if (i > t->from && (!more || !same_row(y, lines, i, t, step, usual))) {
      table_row(&table);
      for (size_t c = 0; c < t->columns.n; c++) {
        table_cell(&table, cells[c].data ? cells[c].data : "", cells[c].len, 1);
        buf_reset(&cells[c]);
      }
    }
    for (size_t k = 0; more && k < lines[i].n; k++) {
      pdf_add_plain(y->page, y->style, lines[i].pieces[k],
                    &cells[span_of(&t->columns, lines[i].pieces[k])]);
    }
  }
  struct pdf_block *b = pdf_add_block(y->page, PDF_TABLE);
  int rc = b ? table_write(&table, "", &y->page->text, y->err)
             : err_nomem(y->err, sizeof *b, "a page's parts");
  if (!rc) {
    b->to = y->page->text.len;
    y->style->table = t->columns;
    y->style->table_page = y->page->number;
    b->columns = (int)t->columns.n;
    b->left = t->columns.left[0];
    b->right = t->columns.left[t->columns.n - 1];
  }
  for (size_t c = 0; c < t->columns.n; c++) buf_clear(&cells[c]);
  table_clear(&table);
  return rc;
}

/* Rows at the top of a page that fit the columns of the table with which the page before ended. */
static bool continue_table(const struct layout *y, const struct pdf_line *lines, size_t n,
                           struct found_table *t) {
  const struct pdf_spans *s = &y->style->table;
  size_t rows = 0, multi = 0;
  if (s->n < 2 || y->style->table_page + 1 != y->page->number || y->page->block_count) return false;
  for (; rows < n; rows++) {
    const struct pdf_line *l = &lines[rows];
    size_t last = SIZE_MAX, k = 0;
    for (; k < l->n; k++) {
      size_t c = span_of(s, l->pieces[k]);
      if (c == last || l->pieces[k]->left < s->left[c] - 4 || l->pieces[k]->right > s->right[c] + 4)
        break;
      last = c;
    }
    if (k < l->n || (l->n == 1 && (rows == 0 || last == 0))) break;
    multi += l->n > 1 && l->pieces[0]->left < s->left[0] + 4;
  }
  *t = (struct found_table){0, rows, *s};
  return multi > 0;
}

/* ---- a flow: tables and what is between them ---- */

static int flow(struct layout *y, struct pdf_piece **v, size_t n) {
  struct pdf_line *lines;
  size_t count = make_rows(y, v, n, &lines), from = 0;
  int rc = count == SIZE_MAX ? ERR_NOMEM : 0;
  for (size_t i = 0; !rc && i < count;) {
    struct found_table t;
    bool goes_on = i == 0 && continue_table(y, lines, count, &t);
    if (!goes_on && (!grow_table(y, lines, count, i, &t) || !is_table(y, lines, &t))) {
      i++;
      continue;
    }
    rc = pdf_blocks(y->page, lines + from, i - from, y->style, y->err);
    if (!rc) rc = write_table(y, lines, &t);
    from = i = t.to;
  }
  if (!rc && from < count) rc = pdf_blocks(y->page, lines + from, count - from, y->style, y->err);
  mem_free(lines);
  return rc;
}

/* ---- columns ---- */

struct gutter {
  float left, right;
};

static void cover_of(struct pdf_piece **v, size_t n, float left, float bin, float cover[BINS]) {
  memset(cover, 0, BINS * sizeof *cover);
  for (size_t i = 0; i < n; i++) {
    float a = (v[i]->left - left) / bin, b = (v[i]->right - left) / bin;
    for (size_t k = a > 0 ? (size_t)a : 0; k < BINS && (float)k <= b; k++)
      cover[k] += v[i]->bottom - v[i]->top;
  }
}

/* The stretches of x that are crossed little for how much text stands on both their sides: up to
 * GUTTERS of them, any of which may divide columns (or a column from the numbers beside it). */
static size_t find_gutters(const struct layout *y, struct pdf_piece **v, size_t n,
                           struct gutter g[GUTTERS]) {
  float cover[BINS], best_left[BINS], best_right[BINS], left = INFINITY, right = -INFINITY;
  float line = 1.1f * y->style->body;
  size_t count = 0;
  for (size_t i = 0; i < n; i++) left = fminf(left, v[i]->left), right = fmaxf(right, v[i]->right);
  float bin = (right - left) / BINS;
  if (n < 6 || !(bin > 0)) return 0;
  cover_of(v, n, left, bin, cover);
  for (size_t i = 0; i < BINS; i++) best_left[i] = i ? fmaxf(best_left[i - 1], cover[i]) : cover[i];
  for (size_t i = BINS; i-- > 0;)
    best_right[i] = i + 1 < BINS ? fmaxf(best_right[i + 1], cover[i]) : cover[i];
  for (size_t i = BINS / 20; i < BINS - BINS / 20 && count < GUTTERS;) {
    float depth = fminf(best_left[i], best_right[i]) - cover[i], least = cover[i];
    size_t from = i++;
    if (depth <= 2.3f * line) continue;
    for (; i < BINS && cover[i] <= least + line / 2; i++) least = fminf(least, cover[i]);
    while (from < i && cover[from] > least + line / 2) from++;
    struct gutter one = {left + bin * (float)from, left + bin * (float)i};
    if (one.right - one.left >= GUTTER * y->style->body) g[count++] = one;
  }
  return count;
}

static bool crosses(const struct pdf_piece *l, const struct gutter *g) {
  float x = (g->left + g->right) / 2;
  return l->left < x && l->right > x;
}

struct side {
  float left, right, top, bottom;
  size_t rows, filled, chars;
};

/* Measures the rows of one side of a band; v is in order of height. */
static void measure_side(struct pdf_piece **v, size_t n, float x, bool is_right, struct side *s) {
  *s = (struct side){.left = INFINITY, .right = -INFINITY, .top = INFINITY, .bottom = -INFINITY};
  for (size_t i = 0; i < n; i++) {
    if ((v[i]->left > x) != is_right) continue;
    s->left = fminf(s->left, v[i]->left), s->right = fmaxf(s->right, v[i]->right);
    s->top = fminf(s->top, v[i]->top), s->bottom = fmaxf(s->bottom, v[i]->bottom);
    s->chars += v[i]->to - v[i]->from;
  }
  for (size_t i = 0; i < n;) {
    struct pdf_piece *first = NULL;
    float width = 0;
    for (; i < n; i++) {
      if ((v[i]->left > x) != is_right) continue;
      if (first && !on_row(first, v[i])) break;
      if (!first) first = v[i];
      width += v[i]->right - v[i]->left;
    }
    if (!first) break;
    s->rows++;
    s->filled += width >= FILL * (s->right - s->left);
  }
}

/* Do the pieces of a band stand in two columns of text? v is in order of height. */
static bool are_columns(const struct layout *y, struct pdf_piece **v, size_t n,
                        const struct gutter *g) {
  float x = (g->left + g->right) / 2, body = y->style->body;
  struct side l, r;
  measure_side(v, n, x, false, &l);
  measure_side(v, n, x, true, &r);
  if (!l.rows || !r.rows) return false;
  float wl = l.right - l.left, wr = r.right - r.left;
  float shared = fminf(l.bottom, r.bottom) - fmaxf(l.top, r.top);
  if (shared < body * 0.5f || fminf(wl, wr) < 6 * body) return false;
  bool known = y->style->gutter > 0 && fabsf(y->style->gutter - x) < 6;
  bool left_text = l.filled * 2 > l.rows, right_text = r.filled * 2 > r.rows;
  size_t few = l.rows < r.rows ? l.rows : r.rows, many = l.rows < r.rows ? r.rows : l.rows;
  if (known && l.chars > l.rows * 8 && r.chars > r.rows * 8) return true;
  if (left_text && right_text && few >= 3 && fminf(wl, wr) > 10 * body) return true;
  if (left_text && right_text && many >= 8 && fminf(wl, wr) > 10 * body) return true;
  bool equal = fabsf((l.left - r.left) + (g->right - g->left) + wl) < 4 * body &&
               fabsf(wl - wr) < 0.3f * fmaxf(wl, wr);
  return equal && few >= 15 && fminf(wl, wr) > 8 * body;
}

static int region(struct layout *y, struct pdf_piece **v, size_t n, int depth);

static int columns(struct layout *y, struct pdf_piece **v, size_t n, const struct gutter *g,
                   int depth) {
  float x = (g->left + g->right) / 2;
  struct pdf_piece **sorted = mem_array(n + 1, sizeof *sorted);
  if (!sorted) return err_nomem(y->err, n * sizeof *sorted, "a page's columns");
  size_t k = 0, left;
  for (size_t i = 0; i < n; i++)
    if (v[i]->left <= x) sorted[k++] = v[i];
  left = k;
  for (size_t i = 0; i < n; i++)
    if (v[i]->left > x) sorted[k++] = v[i];
  memcpy(v, sorted, n * sizeof *v);
  mem_free(sorted);
  if (depth == 0) y->style->gutter = x;
  int rc = region(y, v, left, depth + 1);
  return rc ? rc : region(y, v + left, n - left, depth + 1);
}

/* The gutter that divides the most text into columns; of two, the one nearer to the middle. */
static bool choose_gutter(const struct layout *y, struct pdf_piece **v, size_t n,
                          struct gutter *best) {
  struct gutter g[GUTTERS];
  size_t count = find_gutters(y, v, n, g);
  float least = INFINITY, left = INFINITY, right = -INFINITY;
  for (size_t i = 0; i < n; i++) left = fminf(left, v[i]->left), right = fmaxf(right, v[i]->right);
  for (size_t k = 0; k < count; k++) {
    size_t inside = 0;
    for (size_t i = 0; i < n;) {
      size_t from = i;
      while (i < n && !crosses(v[i], &g[k])) i++;
      if (i > from && are_columns(y, v + from, i - from, &g[k])) inside += i - from;
      if (i == from) i++;
    }
    float off = fabsf((g[k].left + g[k].right) - (left + right)) / (right - left);
    float score = off - (float)inside / (float)n;
    if (inside && score < least) least = score, *best = g[k];
  }
  return least < INFINITY;
}

/* Reads one region: bands of columns, and the flows between them. */
static int region(struct layout *y, struct pdf_piece **v, size_t n, int depth) {
  struct gutter g = {0, 0};
  size_t flowing = 0;
  int rc = 0;
  if (n == 0) return 0;
  qsort(v, n, sizeof *v, by_middle);
  if (depth >= DEPTH || !choose_gutter(y, v, n, &g)) return flow(y, v, n);
  for (size_t i = 0; !rc && i < n;) {
    size_t from = i;
    if (crosses(v[i], &g)) {
      i++;
      continue;
    }
    while (i < n && !crosses(v[i], &g)) i++;
    if (!are_columns(y, v + from, i - from, &g)) continue;
    if (from > flowing) rc = flow(y, v + flowing, from - flowing);
    if (!rc) rc = columns(y, v + from, i - from, &g, depth);
    flowing = i;
  }
  if (!rc && flowing < n) rc = region(y, v + flowing, n - flowing, depth + 1);
  return rc;
}

static int plain_order(struct layout *y, struct pdf_piece **v, size_t n) {
  struct pdf_line *lines = mem_zeros(n + 1, sizeof *lines);
  if (!lines) return err_nomem(y->err, n * sizeof *lines, "a page's lines");
  for (size_t i = 0; i < n; i++) {
    lines[i].pieces = v + i;
    lines[i].n = 1;
    pdf_measure_line(y->page, &lines[i]);
  }
  int rc = pdf_blocks(y->page, lines, n, y->style, y->err);
  mem_free(lines);
  return rc;
}

int pdf_layout(struct pdf_page *p, struct pdf_style *style, struct err *err) {
  struct layout y = {p, style, err};
  struct pdf_piece **v = mem_array(p->piece_count + 1, sizeof *v);
  size_t n = 0, all = p->piece_count;
  if (!v) return err_nomem(err, p->piece_count * sizeof *v, "a page's lines");
  for (size_t i = 0; i < all; i++)
    if (!p->pieces[i].rotated) v[n++] = &p->pieces[i];
  size_t upright = n;
  for (size_t i = 0; i < all; i++)
    if (p->pieces[i].rotated) v[n++] = &p->pieces[i];
  bool sideways = upright * 2 < all; /* a table set across the page */
  int rc = 0;
  if (sideways || all > PIECES_MAX)
    rc = plain_order(&y, v, n);
  else {
    rc = region(&y, v, upright, 0);
    if (!rc && n > upright) rc = plain_order(&y, v + upright, n - upright);
  }
  mem_free(v);
  if (p->block_count == 0 || p->blocks[p->block_count - 1].kind != PDF_TABLE) style->table.n = 0;
  if (!rc) rc = buf_check(&p->text, "a page's text", err);
  return rc;
}

/* SPDX-License-Identifier: MIT */
/* Markdown: a chunk begins at a heading and holds whole blocks.
 *
 *   # Title               ─┐
 *                          │ headings without a text of their own stay with what follows
 *   ## Section            ─┘ wall
 *   A paragraph.
 *                            strength 0: between blocks
 *   | a | table |
 *   | 1 | row   |            strength 4: between rows, only when the table alone is too long
 *   ```
 *   # a comment, no heading  strength 3 (blank line), 4 (line)
 *   ```
 *
 * Headings are `#` to `######` and lines underlined with = or -, outside fences of ` and ~. Inside
 * paragraphs and lists the borders are items (1), lines (2) and sentences (2). Front matter between
 * lines of --- is one block. Limits: indented code, HTML blocks and footnotes are paragraphs.
 */
#include "base/mem.h"
#include "text/chunk_parts.h"

#include <string.h>

enum { BLOCK, ITEM, LINE, FENCE_BLANK, ROW };

struct line {
  size_t from, to;   /* without the line feed */
  size_t begin, end; /* without white space around */
  size_t indent;     /* columns; a tab goes to the next of four */
};

/* The line at `at`; the next one begins at to + 1. */
static struct line line_at(const char *s, size_t n, size_t at) {
  const char *p = memchr(s + at, '\n', n - at);
  struct line l = {at, p ? (size_t)(p - s) : n, at, 0, 0};
  l.end = l.to;
  for (; l.begin < l.end && (s[l.begin] == ' ' || s[l.begin] == '\t' || s[l.begin] == '\r');
       l.begin++)
    l.indent = s[l.begin] == '\t' ? (l.indent / 4 + 1) * 4 : l.indent + 1;
  while (l.end > l.begin && (s[l.end - 1] == ' ' || s[l.end - 1] == '\t' || s[l.end - 1] == '\r'))
    l.end--;
  return l;
}

static bool is_blank(const struct line *l) {
  return l->begin == l->end;
}

/* How many of c begin the line. */
static size_t run_of(const char *s, const struct line *l, char c) {
  size_t k = l->begin;
  while (k < l->end && s[k] == c) k++;
  return k - l->begin;
}

/* A heading's level by its #s, and where its words are; 0: none. */
static int atx_level(const char *s, const struct line *l, size_t *start, size_t *end) {
  size_t k = run_of(s, l, '#');
  if (l->indent > 3 || k < 1 || k > 6) return 0;
  *start = l->begin + k;
  if (*start < l->end && s[*start] != ' ' && s[*start] != '\t') return 0;
  *end = l->end;
  while (*start < *end && (s[*start] == ' ' || s[*start] == '\t')) ++*start;
  size_t e = *end;
  while (e > *start && s[e - 1] == '#') e--;
  if (e == *start || s[e - 1] == ' ' || s[e - 1] == '\t') *end = e;
  while (*end > *start && (s[*end - 1] == ' ' || s[*end - 1] == '\t')) --*end;
  return (int)k;
}

/* A line of = or - under a paragraph's only line. */
static int underline_level(const char *s, const struct line *l) {
  if (is_blank(l) || l->indent > 3) return 0;
  if (run_of(s, l, '=') == l->end - l->begin) return 1;
  return run_of(s, l, '-') == l->end - l->begin ? 2 : 0;
}

static bool is_item(const char *s, const struct line *l) {
  size_t k = l->begin;
  if (k + 1 < l->end && (s[k] == '-' || s[k] == '*' || s[k] == '+')) return s[k + 1] == ' ';
  while (k < l->end && k - l->begin < 9 && s[k] >= '0' && s[k] <= '9') k++;
  return k > l->begin && k + 1 < l->end && (s[k] == '.' || s[k] == ')') && s[k + 1] == ' ';
}

static bool is_row(const char *s, const struct line *l) {
  return !is_blank(l) && l->indent < 4 &&
         (s[l->begin] == '|' ||
          (s[l->end - 1] == '|' && memchr(s + l->begin, '|', l->end - l->begin - 1)));
}

/* A fence: its character and length; 0 for none. */
static size_t fence_of(const char *s, const struct line *l, char *c) {
  if (is_blank(l) || l->indent > 3) return 0;
  *c = s[l->begin];
  size_t k = *c == '`' || *c == '~' ? run_of(s, l, *c) : 0;
  if (k < 3 || (*c == '`' && memchr(s + l->begin + k, '`', l->end - l->begin - k))) return 0;
  return k;
}

/* ---- headings ---- */

static int add_heading(struct chunks *c, struct chunk_heading h, struct err *err) {
  if (c->heading_count == c->heading_cap) {
    size_t cap = c->heading_cap ? c->heading_cap * 2 : 16;
    struct chunk_heading *v = mem_rearray(c->headings, cap, sizeof *v);
    if (!v) return err_nomem(err, cap * sizeof *v, "headings");
    c->headings = v;
    c->heading_cap = cap;
  }
  size_t i = c->heading_count;
  h.owner = i ? i - 1 : CHUNK_SPAN;
  while (h.owner != CHUNK_SPAN && c->headings[h.owner].level >= h.level)
    h.owner = c->headings[h.owner].owner;
  c->headings[c->heading_count++] = h;
  return 0;
}

/* What a line is, while lines go by. */
enum kind { TEXT, BLANK, HEADING, FENCE_OPEN, FENCE_INSIDE, FENCE_CLOSE, TABLE, LIST };
struct walk {
  const char *s;
  size_t n, at;      /* the next line */
  char fence;        /* inside a fence of this character, at least this long; '-': front matter */
  size_t fence_size; /* 0: outside */
  enum kind before;  /* the line before */
};

static enum kind inside_fence(struct walk *w, const struct line *l) {
  char c = 0;
  size_t k = w->fence == '-' ? run_of(w->s, l, '-') : fence_of(w->s, l, &c);
  bool closes = k >= w->fence_size && l->begin + k == l->end && (w->fence == '-' || c == w->fence);
  if (closes) w->fence_size = 0;
  return closes ? FENCE_CLOSE : FENCE_INSIDE;
}

/* Whether the line at w->at underlines l, which may be a heading: it is a paragraph's only line. */
static int underlined(const struct walk *w, const struct line *l) {
  if (w->at >= w->n || w->before == TEXT || w->before == LIST || l->indent > 3) return 0;
  struct line next = line_at(w->s, w->n, w->at);
  return underline_level(w->s, &next);
}

/* A line begins with a fence, of which the end is in the text ("---" only at the very beginning). */
static bool opens_fence(struct walk *w, const struct line *l) {
  w->fence_size = fence_of(w->s, l, &w->fence);
  if (l->from == 0 && run_of(w->s, l, '-') == 3 && l->end == 3) {
    const char *p = memmem(w->s + 3, w->n - 3, "\n---", 4);
    if (p) w->fence = '-', w->fence_size = 3;
  }
  return w->fence_size > 0;
}

/* Reads a line; of a heading also what it says (two lines when it is underlined). */
static enum kind read_line(struct walk *w, struct line *l, struct chunk_heading *h) {
  *l = line_at(w->s, w->n, w->at);
  w->at = l->to + 1;
  if (w->fence_size) return w->before = inside_fence(w, l);
  if (opens_fence(w, l)) return w->before = FENCE_OPEN;
  if (is_blank(l)) return w->before = BLANK;
  *h = (struct chunk_heading){.at = l->from, .start = l->begin, .end = l->end};
  if ((h->level = atx_level(w->s, l, &h->start, &h->end))) return w->before = HEADING;
  if (is_row(w->s, l)) return w->before = TABLE;
  if (is_item(w->s, l)) return w->before = LIST;
  if (!(h->level = underlined(w, l))) return w->before = TEXT;
  struct line next = line_at(w->s, w->n, w->at);
  w->at = next.to + 1;
  return w->before = HEADING;
}

int chunk_headings(const char *s, size_t n, struct chunks *out, struct err *err) {
  struct walk w = {.s = s, .n = n, .before = BLANK};
  struct chunk_heading h;
  struct line l;
  int rc = 0;
  while (w.at < n && !rc)
    if (read_line(&w, &l, &h) == HEADING) rc = add_heading(out, h, err);
  return rc;
}

/* Only white space in [from, to). */
static bool nothing_between(const char *s, size_t from, size_t to) {
  for (; from < to; from++)
    if (s[from] != ' ' && s[from] != '\n' && s[from] != '\t' && s[from] != '\r') return false;
  return true;
}

static size_t heading_ends(const char *s, size_t n, const struct chunk_heading *h) {
  struct line l = line_at(s, n, h->at);
  if (atx_level(s, &l, &(size_t){0}, &(size_t){0})) return l.to;
  l = line_at(s, n, l.to + 1 < n ? l.to + 1 : n);
  return l.to;
}

size_t chunk_heading_of(const struct chunks *c, const char *s, size_t n, size_t start, size_t end) {
  size_t low = 0, high = c->heading_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (c->headings[middle].at > start)
      high = middle;
    else
      low = middle + 1;
  }
  const struct chunk_heading *h = c->headings;
  while (low < c->heading_count && h[low].at < end) {
    size_t body = start;
    if (low && h[low - 1].at >= start) body = heading_ends(s, n, &h[low - 1]);
    if (!nothing_between(s, body, h[low].at)) break;
    low++;
  }
  return low ? low - 1 : CHUNK_SPAN;
}

/* ---- borders ---- */

struct blocks {
  struct chunk_job *j;
  size_t count;
  bool only_headings; /* nothing but headings since the last wall */
  bool blank;         /* the line before was blank, in a fence too */
};

static int border(struct blocks *b, size_t at, int strength) {
  if (at == 0 || at >= b->j->n) return 0;
  return chunk_border_add(b->j->w, &b->count, at, strength, b->j->err);
}

/* A paragraph's line, with the sentences that begin inside. */
static int text_line(struct blocks *b, const struct line *l, int strength) {
  int rc = border(b, l->from, strength);
  if (rc || l->end - l->begin < 80) return rc;
  return chunk_sentence_borders(b->j, &b->count, l->begin, l->end, LINE - 1);
}

static int heading(struct blocks *b, const struct chunk_heading *h) {
  bool wall = h->level <= b->j->o->levels && !b->only_headings;
  int strength = wall ? CHUNK_WALL : b->only_headings ? LINE : BLOCK;
  b->only_headings = b->only_headings || wall;
  return border(b, h->at, strength);
}

static int line(struct blocks *b, const struct line *l, enum kind k, enum kind before) {
  switch (k) {
  case FENCE_OPEN:
    return border(b, l->from, BLOCK);
  case FENCE_INSIDE:
    return is_blank(l) ? 0 : border(b, l->from, b->blank ? FENCE_BLANK : ROW);
  case TABLE:
    return border(b, l->from, before == TABLE ? ROW : BLOCK);
  case LIST:
    if (before != LIST && before != TEXT && l->indent == 0) return border(b, l->from, BLOCK);
    return text_line(b, l, l->indent ? LINE : ITEM);
  case TEXT:
    if (before == LIST || before == TEXT) return text_line(b, l, LINE);
    return text_line(b, l, l->indent > 1 && before == BLANK ? ITEM : BLOCK);
  default:
    return 0;
  }
}

int chunk_markdown(struct chunk_job *j) {
  struct walk w = {.s = j->s, .n = j->n, .before = BLANK};
  struct blocks b = {.j = j, .only_headings = true};
  struct chunk_heading h;
  struct line l;
  int rc = 0;
  while (w.at < j->n && !rc) {
    enum kind before = w.before, k = read_line(&w, &l, &h);
    rc = k == HEADING ? heading(&b, &h) : line(&b, &l, k, before);
    if (k != BLANK && k != HEADING) b.only_headings = false;
    b.blank = is_blank(&l);
    if (!rc) rc = chunk_poll(j);
  }
  return rc ? rc : chunk_borders(j, b.count);
}

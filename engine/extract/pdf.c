/* SPDX-License-Identifier: MIT */
/* PDF to text, by poppler, page by page in reading order.
 *
 * A page is a run of characters with a rectangle each and stretches of one font. From these come
 * back what drawing lost:
 *
 *   lines      poppler's own; words hyphenated at line ends are left to the stage clean
 *   paragraphs a blank line where the distance to the line above is larger than usual, or where a
 *              sentence ends above and the line is indented, or the line above is short
 *   tables     pieces side by side on one line are joined by " | "
 *   lists      "- " for a bullet, wherever it was drawn
 *   bold       "**…**", from the font's name
 *   numbers    a page's number alone at its top or bottom is left out
 *   headings   "# ", "## " before a short line in larger type, or one that alone is bold
 *
 * progress->page tells the server which page is at work; when that page uses too much CPU time this
 * process is killed and another starts at first_page. So a page's text is sent when it is whole.
 * Without poppler this file only says which package is missing.
 */
#include "extract/worker.h"

#ifndef HAVE_POPPLER

uint32_t pdf_version(void) {
  return 0;
}

int pdf_read(struct job *job, struct err *err) {
  (void)job;
  return err_set(err, ERR_UNSUPPORTED,
                 "this lathe was built without PDF support: install libpoppler-glib-dev and run "
                 "make again");
}

#else

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <math.h>
#include <poppler.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PAGES_MAX     100000
#define TITLE_RATIO   1.4f /* of the body's size */
#define HEADING_RATIO 1.15f
#define HEADING_MAX   120  /* characters */
#define GAP_RATIO     1.2f /* of the usual distance between lines */
#define CELL_GAP      0.8f /* of the size */
#define SHORT_RATIO   0.6f /* of the usual length of lines */
#define SIZES         512  /* half points: sizes up to 256 pt are told apart */

uint32_t pdf_version(void) {
  return POPPLER_MAJOR_VERSION << 16 | POPPLER_MINOR_VERSION << 8 | POPPLER_MICRO_VERSION;
}

/* One character as it will be written. */
struct glyph {
  uint32_t c;           /* U+000A ends a line */
  float x1, y1, x2, y2; /* y grows downwards */
  float size;
  bool bold;
};

struct line {
  size_t from, to; /* glyphs, the newline left out */
  float top, bottom, left, right, size;
  bool bold; /* all of it */
  bool heading, cells;
  bool item; /* of a list */
};

struct page {
  struct glyph *glyphs;
  size_t count;
  struct line *lines;
  size_t line_count;
  size_t *marks; /* glyphs: bullets that stand apart from their text */
  size_t mark_count;
};

static void page_clear(struct page *p) {
  mem_free(p->glyphs);
  mem_free(p->lines);
  mem_free(p->marks);
  *p = (struct page){0};
}

/* ---- a page in ---- */

static bool is_bold(const char *font) {
  return font && (strcasestr(font, "bold") || strcasestr(font, "black") ||
                  strcasestr(font, "heavy") || strcasestr(font, "semib"));
}

static void set_fonts(PopplerPage *source, struct page *p) {
  GList *list = poppler_page_get_text_attributes(source);
  for (GList *l = list; l; l = l->next) {
    const PopplerTextAttributes *a = l->data;
    bool bold = is_bold(a->font_name);
    for (gint i = a->start_index; i <= a->end_index && i >= 0 && (size_t)i < p->count; i++) {
      p->glyphs[i].bold = bold;
      p->glyphs[i].size = (float)a->font_size;
    }
  }
  poppler_page_free_text_attributes(list);
}

/* Control characters have no place in text; U+FFFD would only make noise of them. */
static uint32_t plain_character(uint32_t c) {
  if (c == '\n') return c;
  if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return ' ';
  return c;
}

static int load_glyphs(PopplerPage *source, struct page *p, struct err *err) {
  PopplerRectangle *boxes = NULL;
  guint n = 0;
  int rc = 0;
  char *text = poppler_page_get_text(source);
  size_t bytes = text ? strlen(text) : 0, used;
  poppler_page_get_text_layout(source, &boxes, &n);
  p->glyphs = mem_zeros(bytes + 1, sizeof *p->glyphs);
  if (!p->glyphs) rc = err_nomem(err, bytes * sizeof *p->glyphs, "a page");
  for (size_t i = 0; !rc && i < bytes; i += used) {
    uint32_t c = utf8_decode(text + i, bytes - i, &used);
    struct glyph *g = &p->glyphs[p->count];
    g->c = c == UTF8_BAD ? 0xFFFD : plain_character(c);
    if (p->count < n) {
      g->x1 = (float)boxes[p->count].x1, g->y1 = (float)boxes[p->count].y1;
      g->x2 = (float)boxes[p->count].x2, g->y2 = (float)boxes[p->count].y2;
    }
    p->count++;
  }
  if (!rc) set_fonts(source, p);
  g_free(boxes);
  g_free(text);
  return rc;
}

/* Is there a hole before this character that no space fills, as between the cells of a table? */
static bool begins_cell(const struct page *p, const struct line *l, size_t i) {
  const struct glyph *g = &p->glyphs[i], *before = g - 1;
  return i > l->from && g->c != ' ' && before->c != ' ' && before->x2 > before->x1 &&
         g->x1 - before->x2 > CELL_GAP * g->size;
}

static void measure_line(const struct page *p, struct line *l) {
  bool first = true;
  l->bold = true;
  for (size_t i = l->from; i < l->to; i++) {
    const struct glyph *g = &p->glyphs[i];
    if (g->c == ' ') continue;
    l->bold = l->bold && g->bold;
    l->cells = l->cells || begins_cell(p, l, i);
    if (!(g->y2 > g->y1)) continue;
    if (first) l->top = g->y1, l->bottom = g->y2, l->left = g->x1, l->right = g->x2;
    first = false;
    l->top = fminf(l->top, g->y1), l->bottom = fmaxf(l->bottom, g->y2);
    l->left = fminf(l->left, g->x1), l->right = fmaxf(l->right, g->x2);
    l->size = fmaxf(l->size, g->size);
  }
}

static bool is_bullet(uint32_t c) {
  return c == 0x2022 || c == 0x2023 || c == 0x2043 || c == 0x2219 || c == 0x25AA || c == 0x25AB ||
         c == 0x25CF || c == 0x25E6 || c == 0xF0B7;
}

static void skip_spaces(const struct page *p, struct line *l) {
  while (l->to > l->from && p->glyphs[l->to - 1].c == ' ') l->to--;
  while (l->from < l->to && p->glyphs[l->from].c == ' ') l->from++;
}

/* Bullets come off the front of their line; a line of nothing else only leaves marks. */
static void take_bullets(struct page *p, struct line *l) {
  size_t i = l->from;
  while (i < l->to && (is_bullet(p->glyphs[i].c) || p->glyphs[i].c == ' ')) i++;
  if (i == l->to)
    for (size_t k = l->from; k < i; k++)
      if (is_bullet(p->glyphs[k].c)) p->marks[p->mark_count++] = k;
  l->item = i > l->from && i < l->to;
  l->from = i;
}

/* A mark belongs to the nearest line to its right at its height. */
static void place_marks(struct page *p) {
  for (size_t m = 0; m < p->mark_count; m++) {
    const struct glyph *g = &p->glyphs[p->marks[m]];
    struct line *best = NULL;
    float middle = (g->y1 + g->y2) / 2;
    for (struct line *l = p->lines; l < p->lines + p->line_count; l++)
      if (middle > l->top && middle < l->bottom && l->left > g->x1 &&
          (!best || l->left < best->left))
        best = l;
    if (best) best->item = true;
  }
}

static int split_lines(struct page *p, struct err *err) {
  size_t count = 1, marks = 1, from = 0;
  for (size_t i = 0; i < p->count; i++) {
    count += p->glyphs[i].c == '\n';
    marks += is_bullet(p->glyphs[i].c);
  }
  p->lines = mem_zeros(count, sizeof *p->lines);
  p->marks = mem_zeros(marks, sizeof *p->marks);
  if (!p->lines || !p->marks) return err_nomem(err, count * sizeof *p->lines, "a page's lines");
  for (size_t i = 0; i <= p->count; i++) {
    if (i < p->count && p->glyphs[i].c != '\n') continue;
    struct line *l = &p->lines[p->line_count];
    *l = (struct line){.from = from, .to = i};
    from = i + 1;
    skip_spaces(p, l);
    take_bullets(p, l);
    if (l->from == l->to) continue;
    measure_line(p, l);
    p->line_count++;
  }
  place_marks(p);
  return 0;
}

/* A line of digits alone at the top or bottom of a page is its number, not its text. */
static bool is_page_number(const struct page *p, const struct line *l) {
  bool above = false, below = false;
  if (l->to - l->from > 5) return false;
  for (size_t i = l->from; i < l->to; i++)
    if (p->glyphs[i].c < '0' || p->glyphs[i].c > '9') return false;
  for (size_t i = 0; i < p->line_count; i++) {
    above = above || (&p->lines[i] != l && p->lines[i].top < l->bottom);
    below = below || (&p->lines[i] != l && p->lines[i].bottom > l->top);
  }
  return above != below;
}

static void drop_page_number(struct page *p) {
  size_t n = p->line_count;
  if (n < 2) return;
  if (is_page_number(p, &p->lines[n - 1]))
    p->line_count--;
  else if (is_page_number(p, &p->lines[0]))
    memmove(p->lines, p->lines + 1, --p->line_count * sizeof *p->lines);
}

static int load_page(PopplerDocument *document, int index, struct page *p, struct err *err) {
  PopplerPage *source = poppler_document_get_page(document, index);
  if (!source) return 0; /* a damaged page: the caller sees no lines */
  int rc = load_glyphs(source, p, err);
  if (!rc) rc = split_lines(p, err);
  if (!rc) drop_page_number(p);
  g_object_unref(source);
  return rc;
}

/* ---- a page out ---- */

static int compare_floats(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

struct style {
  float body;  /* size of most characters, in points */
  float step;  /* usual distance between lines */
  float width; /* length of long lines */
};

static float quantile(float *values, size_t n, size_t percent) {
  if (n == 0) return 0;
  qsort(values, n, sizeof *values, compare_floats);
  return values[(n - 1) * percent / 100];
}

/* The size that most characters of the page have. */
static float body_size(const struct page *p) {
  size_t count[SIZES] = {0}, best = 0;
  for (size_t i = 0; i < p->count; i++) {
    float half = p->glyphs[i].size * 2 + 0.5f;
    if (half >= 1 && half < SIZES) count[(size_t)half]++;
  }
  for (size_t i = 1; i < SIZES; i++)
    if (count[i] > count[best]) best = i;
  return (float)best / 2;
}

static int measure_page(const struct page *p, struct style *s, struct err *err) {
  size_t n = 0;
  float *values = mem_array(p->line_count + 1, sizeof *values);
  if (!values) return err_nomem(err, p->line_count * sizeof *values, "a page's lines");
  for (size_t i = 1; i < p->line_count; i++) {
    float step = p->lines[i].bottom - p->lines[i - 1].bottom;
    if (step > 0.5f && step < 3 * (p->lines[i].bottom - p->lines[i].top)) values[n++] = step;
  }
  s->step = quantile(values, n, 30); /* tables and gaps are on the larger side */
  for (n = 0; n < p->line_count; n++) values[n] = p->lines[n].right - p->lines[n].left;
  s->width = quantile(values, n, 75);
  mem_free(values);
  return 0;
}

static uint32_t last_of(const struct page *p, const struct line *l) {
  return p->glyphs[l->to - 1].c;
}

/* Two pieces on one line of the page, the second to the right of the first. */
static bool is_beside(const struct line *l, const struct line *above) {
  float middle = (l->top + l->bottom) / 2;
  return middle > above->top && middle < above->bottom && l->left > above->right;
}

static void find_headings(struct page *p, const struct style *s) {
  for (size_t i = 0; i < p->line_count; i++) {
    struct line *l = &p->lines[i];
    const struct line *above = i ? l - 1 : NULL, *below = i + 1 < p->line_count ? l + 1 : NULL;
    uint32_t last = last_of(p, l);
    if (s->body <= 0 || l->item || l->to - l->from > HEADING_MAX) continue;
    bool larger = l->size >= s->body * HEADING_RATIO;
    bool alone = l->bold && below && !(above && above->bold) && !below->bold &&
                 !is_beside(below, l) && !(above && is_beside(l, above));
    bool sentence = last == '.' || last == ':' || last == ',' || last == ';';
    l->heading = larger || (alone && !sentence && l->size >= s->body * 0.95f);
  }
}

static bool begins_sentence(uint32_t c) {
  return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '"' || c == '(' || c >= 0xC0;
}

static bool ends_sentence(uint32_t c) {
  return c == '.' || c == '!' || c == '?' || c == ':' || c == '"' || c == 0x201D;
}

/* Does a paragraph end with the line above, and another begin? */
static bool begins_paragraph(const struct page *p, const struct line *l, const struct line *above,
                             const struct style *s) {
  bool sentence = ends_sentence(last_of(p, above));
  float indent = l->left - above->left;
  if (!sentence || !begins_sentence(p->glyphs[l->from].c)) return false;
  if (indent > 0.4f * s->body && indent < 5 * s->body) return true;
  return above->right - above->left < s->width * SHORT_RATIO;
}

/* Does a new block begin with this line? */
static bool begins_block(const struct page *p, size_t i, const struct style *s) {
  const struct line *l = &p->lines[i], *above = &p->lines[i - 1];
  float distance = l->bottom - above->bottom;
  if (l->heading != above->heading) return true;
  if (l->heading) /* a heading that runs on filled its line */
    return fabsf(l->size - above->size) > 0.5f || distance > 1.6f * l->size ||
           above->right - above->left < s->width * SHORT_RATIO;
  if (l->item) return true;
  if (l->cells && above->cells) return distance > 3 * l->size;
  if (distance > 0 && s->step > 0 && distance > s->step * GAP_RATIO) return true;
  return begins_paragraph(p, l, above, s);
}

static void write_line(const struct page *p, const struct line *l, struct buf *out) {
  char bytes[4];
  bool bold = false;
  for (size_t i = l->from; i < l->to; i++) {
    const struct glyph *g = &p->glyphs[i];
    bool space = g->c == ' ', wanted = space ? bold : g->bold && !l->heading;
    if (space && bold) { /* close before a space when the next word is not bold */
      size_t next = i;
      while (next < l->to && p->glyphs[next].c == ' ') next++;
      wanted = next < l->to && p->glyphs[next].bold;
    }
    bool cell = begins_cell(p, l, i);
    if (bold && (cell || !wanted)) buf_add(out, "**", 2);
    if (cell) buf_add(out, " | ", 3);
    if (wanted && (cell || !bold)) buf_add(out, "**", 2);
    bold = wanted;
    buf_add(out, bytes, utf8_encode(g->c, bytes));
  }
  if (bold) buf_add(out, "**", 2);
}

static void write_page(const struct page *p, const struct style *s, struct buf *out) {
  bool in_list = false;
  for (size_t i = 0; i < p->line_count; i++) {
    const struct line *l = &p->lines[i];
    bool beside = i > 0 && is_beside(l, l - 1);
    bool begins = i == 0 || (!beside && begins_block(p, i, s));
    bool next_item = l->item && in_list;
    if (i > 0 && beside)
      buf_adds(out, " | ");
    else if (i > 0)
      buf_adds(out, begins && !next_item ? "\n\n" : l->heading ? " " : "\n");
    if (begins) in_list = l->item;
    if (l->item && begins) buf_adds(out, "- ");
    if (l->heading && begins) buf_adds(out, l->size >= s->body * TITLE_RATIO ? "# " : "## ");
    write_line(p, l, out);
  }
  if (p->line_count == 0) return;
  const struct line *last = &p->lines[p->line_count - 1]; /* a sentence may go on overleaf */
  bool open = !last->heading && !last->cells && !ends_sentence(last_of(p, last));
  buf_adds(out, open ? "\n" : "\n\n");
}

/* ---- the document ---- */

static int open_document(struct job *job, PopplerDocument **out, struct err *err) {
  GError *why = NULL;
  int fd = dup(job->fd), rc = 0; /* poppler closes it */
  *out = NULL;
  if (fd < 0) return err_errno(err, "cannot read");
  *out = poppler_document_new_from_fd(fd, NULL, &why);
  if (*out) return 0;
  if (g_error_matches(why, POPPLER_ERROR, POPPLER_ERROR_ENCRYPTED))
    rc = err_set(err, ERR_FORMAT, "unreadable PDF: it is encrypted; save it without a password");
  else
    rc = err_set(err, ERR_FORMAT, "unreadable PDF: %s",
                 why && why->message ? why->message : "it is damaged");
  g_clear_error(&why);
  return rc;
}

static void give_title(struct job *job, PopplerDocument *document) {
  char *title = poppler_document_get_title(document);
  if (title && *title && strcasecmp(title, "untitled") && strcasecmp(title, "(anonymous)"))
    out_meta(&job->out, "title", title, strlen(title));
  g_free(title);
}

static int read_page(struct job *job, PopplerDocument *document, uint32_t number, bool *has_text,
                     struct style *style, struct err *err) {
  struct page p = {0};
  struct buf text;
  buf_init(&text);
  int rc = load_page(document, (int)number - 1, &p, err);
  if (!rc && p.line_count) {
    if (style->body <= 0) style->body = body_size(&p);
    rc = measure_page(&p, style, err);
  }
  if (!rc && p.line_count) {
    find_headings(&p, style);
    write_page(&p, style, &text);
    rc = buf_check(&text, "a page's text", err);
  }
  if (!rc) {
    *has_text = *has_text || text.len > 0;
    out_page(&job->out, number);
    out_raw(&job->out, text.data ? text.data : "", text.len);
    out_flush(&job->out);
  }
  buf_clear(&text);
  page_clear(&p);
  return rc;
}

int pdf_read(struct job *job, struct err *err) {
  PopplerDocument *document;
  bool has_text = false;
  struct style style = {0}; /* the body's size is that of the first page with text */
  int rc = open_document(job, &document, err);
  if (rc) return rc;
  int n = poppler_document_get_n_pages(document);
  if (n > PAGES_MAX) rc = err_set(err, ERR_LIMIT, "limit: %d pages, more than %d", n, PAGES_MAX);
  if (!rc && n <= 0) rc = err_set(err, ERR_FORMAT, "unreadable PDF: it has no pages");
  if (!rc) {
    atomic_store(&job->progress->pages, (uint32_t)n);
    if (job->first_page <= 1) give_title(job, document);
  }
  for (uint32_t i = job->first_page; !rc && i <= (uint32_t)n && !job->out.gone; i++) {
    atomic_store(&job->progress->page, i);
    rc = read_page(job, document, i, &has_text, &style, err);
  }
  g_object_unref(document);
  if (!rc && !has_text && job->first_page <= 1)
    rc = err_set(err, ERR_FORMAT,
                 "unreadable PDF: no text on its %d page%s (scanned images need "
                 "OCR first)",
                 n, n == 1 ? "" : "s");
  return rc;
}

#endif

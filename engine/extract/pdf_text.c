/* SPDX-License-Identifier: MIT */
/* From lines to blocks of Markdown; see pdf_page.h.
 *
 *   paragraphs  end where the distance to the next line is larger than usual, where the next line is
 *               indented, or where its first word would have fitted on the line above (a break that
 *               somebody wanted: behind a sentence a new paragraph begins, else only a line)
 *   headings    lines in larger type, or a few bold ones that stand alone; the outline gives the
 *               level where it names them, else the rank of the size among those of the document
 *   lists       "- " for a bullet wherever it was drawn, numbers as they are, indented by their place
 *   code        lines in typewriter type in a document that is not: fenced, with their indentation
 *   notes       small type with a mark at a column's foot, moved behind the page's other text
 *
 * A word cut by a hyphen at a line's end is joined; the hyphen stays where the document writes the
 * word with one elsewhere, and does not write it without. A hyphen before a capital or a digit stays.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "extract/pdf_page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE       1.15f /* of the body's size: a heading */
#define SMALL       0.92f /* … a footnote */
#define HEADING_MAX 160   /* characters */
#define BOLD_LINES  3     /* of a heading that is only bold */
#define GAP_RATIO   1.25f /* of the usual distance between lines */
#define NEAR        0.94f /* sizes of one level of headings */
#define LEVELS      3     /* told apart by size alone */

/* ---- characters ---- */

static bool is_lower(uint32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 0xDF && c <= 0xFF && c != 0xF7) ||
         (c >= 0x430 && c <= 0x44F) || (c >= 0x3B1 && c <= 0x3C9);
}

static bool is_digit(uint32_t c) {
  return c >= '0' && c <= '9';
}

static bool is_letter(uint32_t c) {
  return (c | 32) - 'a' < 26 || (c >= 0xC0 && c != 0xD7 && c != 0xF7 && c < 0x2000);
}

static bool is_hyphen(uint32_t c) {
  return c == '-' || c == 0xAD || c == 0x2010;
}

/* Written without spaces between words. */
static bool is_cjk(uint32_t c) {
  return (c >= 0x2E80 && c < 0xA4D0 && c != 0x3000) || (c >= 0xF900 && c < 0xFB00) ||
         (c >= 0xFF00 && c < 0xFFA0) || c >= 0x20000;
}

static bool ends_sentence(uint32_t c) {
  return c == '.' || c == '!' || c == '?' || c == ':' || c == 0x3002 || c == 0xFF01 || c == 0xFF1F;
}

static bool closes(uint32_t c) {
  return c == '"' || c == 0x201D || c == ')' || c == 0x2019 || c == '\'' || c == ']' || c == 0xBB;
}

/* ---- levels of headings ---- */

static void settle_body(struct pdf_style *s) {
  size_t best = 0;
  for (size_t i = 1; i < PDF_SIZES; i++)
    if (s->sizes[i] > s->sizes[best]) best = i;
  s->body = (float)best / 2;
  s->mono_body = s->mono * 2 > s->total;
}

static int level_near(const struct pdf_style *s, size_t at) {
  int larger = 0, smaller = 0;
  for (size_t i = at; i < PDF_SIZES; i++)
    if (s->levels[i]) {
      larger = s->levels[i];
      break;
    }
  for (size_t i = at; i-- > 0;)
    if (s->levels[i]) {
      smaller = s->levels[i];
      break;
    }
  return smaller ? smaller : larger ? larger : 1;
}

void pdf_settle(struct pdf_style *s) {
  uint32_t most = 0;
  int level = 0;
  float last = INFINITY;
  settle_body(s);
  for (size_t i = 0; i < PDF_SIZES; i++) most = s->pages[i] > most ? s->pages[i] : most;
  for (size_t i = PDF_SIZES; i-- > 1;) {
    float size = (float)i / 2;
    if (!s->sizes[i] || size < s->body * LARGE || s->levels[i]) continue;
    if (s->settled) {
      s->levels[i] = level_near(s, i);
      continue;
    }
    bool rank = most < 4 || s->pages[i] > 1; /* sizes of the cover do not count */
    if (rank && (size < last * NEAR || level == 0)) {
      level += level < LEVELS;
      last = size;
    }
    s->levels[i] = level ? level : 1;
  }
  if (!s->settled) s->deepest = level ? level + 1 : 2;
  s->settled = s->settled || s->total > 0;
}

static int level_of(const struct pdf_style *s, float size) {
  if (!(size >= s->body * LARGE && size > 0 && size < 0.5f * PDF_SIZES - 1))
    return s->deepest ? s->deepest : 2;
  size_t at = (size_t)(size * 2 + 0.5f);
  return s->levels[at] ? s->levels[at] : level_near(s, at);
}

/* The level that the outline gives a title on this page; 0: it does not name it. */
static int outline_level(const struct pdf_style *s, uint32_t page, const char *title, size_t n) {
  size_t low = 0, high = s->entry_count;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    if (s->entries[mid].page < page)
      low = mid + 1;
    else
      high = mid;
  }
  uint64_t all = pdf_title_hash(title, n), bare = all;
  size_t i = 0; /* behind "4.2 " */
  while (i < n && (is_digit((unsigned char)title[i]) || title[i] == '.' || title[i] == ' ')) i++;
  if (i > 0 && i < n) bare = pdf_title_hash(title + i, n - i);
  for (; low < s->entry_count && s->entries[low].page == page; low++)
    if (s->entries[low].title == all || s->entries[low].title == bare) return s->entries[low].depth;
  return 0;
}

/* ---- writing ---- */

struct writer {
  const struct pdf_page *p;
  const struct pdf_style *s;
  struct buf *out;
  size_t began; /* of the block's words in out */
  bool bold, code, space;
  bool plain;   /* no marks */
  bool counted; /* a dot is put behind the first piece: "1" is "1." */
};

static void close_marks(struct writer *w) {
  if (w->code) buf_addc(w->out, '`');
  if (w->bold) buf_adds(w->out, "**");
  w->code = w->bold = false;
}

static void open_marks(struct writer *w, bool bold, bool code) {
  bool same = bold == w->bold && code == w->code;
  if (!same) close_marks(w);
  if (w->space && w->out->len > w->began) buf_addc(w->out, ' ');
  w->space = false;
  if (same) return;
  if (bold) buf_adds(w->out, "**");
  if (code) buf_addc(w->out, '`');
  w->bold = bold;
  w->code = code;
}

/* How many glyphs from i on are the dots that lead to a page's number; 0: none. */
static size_t leader(const struct pdf_page *p, size_t i, size_t to) {
  size_t dots = 0, end = i;
  for (; i < to; i++) {
    uint32_t c = p->glyphs[i].c;
    if (c == '.' || c == 0x2024 || c == 0xB7)
      dots++, end = i + 1;
    else if (!pdf_is_space(c))
      break;
  }
  return dots >= 4 ? end : 0;
}

static bool is_word(uint32_t c) {
  return is_letter(c) || is_digit(c) || is_cjk(c);
}

/* Quotes and brackets that only come from another font are no reason to mark them: signs without a
 * letter or a digit that touch one in another font. */
static bool is_stray(const struct pdf_page *p, size_t from, size_t i, size_t to) {
  const struct pdf_glyph *first = &p->glyphs[i];
  bool touches = i > from && is_word(first[-1].c);
  for (; i < to && p->glyphs[i].bold == first->bold && p->glyphs[i].mono == first->mono; i++) {
    if (is_word(p->glyphs[i].c)) return false;
    if (pdf_is_space(p->glyphs[i].c)) return touches;
  }
  return touches || (i < to && is_word(p->glyphs[i].c));
}

static bool is_raised(const struct pdf_glyph *g, const struct pdf_piece *l) {
  return g->size < 0.82f * l->size && g->y2 < l->bottom - 0.15f * l->size;
}

static void put_piece(struct writer *w, const struct pdf_piece *l) {
  char bytes[4];
  bool raised = false;
  for (size_t i = l->from; i < l->to; i++) {
    const struct pdf_glyph *g = &w->p->glyphs[i];
    size_t end = g->c == '.' || g->c == 0xB7 ? leader(w->p, i, l->to) : 0;
    if (end) {
      close_marks(w);
      buf_adds(w->out, " \xe2\x80\xa6");
      w->space = true;
      i = end - 1;
      continue;
    }
    if (pdf_is_space(g->c) && g->c != 0x3000) {
      w->space = true;
      continue;
    }
    bool code = g->mono && !w->plain && !w->s->mono_body, bold = g->bold && !w->plain && !code;
    if (((code && !w->code) || (bold && !w->bold)) && is_stray(w->p, l->from, i, l->to))
      code = bold = false;
    open_marks(w, bold, code);
    bool up = is_raised(g, l) && is_digit(g->c);
    if (up && !raised && !w->space && w->out->len > w->began) {
      uint32_t before = i > l->from ? w->p->glyphs[i - 1].c : 0;
      if (is_letter(before) || before == ')') buf_addc(w->out, '^');
    }
    raised = up;
    buf_add(w->out, bytes, utf8_encode(g->c == '\t' ? ' ' : g->c, bytes));
  }
}

static void put_line(struct writer *w, const struct pdf_line *l) {
  for (size_t i = 0; i < l->n; i++) {
    bool cap = i > 0 && l->pieces[i - 1]->to - l->pieces[i - 1]->from == 1 &&
               w->p->glyphs[l->pieces[i - 1]->from].size > 1.8f * l->size;
    if (i > 0 && !cap) w->space = true;
    put_piece(w, l->pieces[i]);
    if (i == 0 && w->counted) buf_addc(w->out, '.');
  }
}

void pdf_plain(const struct pdf_page *p, const struct pdf_piece *piece, struct buf *out) {
  static const struct pdf_style none = {.mono_body = true};
  struct writer w = {.p = p, .s = &none, .out = out, .began = out->len, .plain = true};
  put_piece(&w, piece);
}

/* ---- joining lines ---- */

static uint32_t small(uint32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if (c >= 0xC0 && c <= 0xDE && c != 0xD7) return c + 32;
  if (c >= 0x410 && c <= 0x42F) return c + 32;
  return c;
}

/* The last character of s, which ends at n, and where it begins. */
static uint32_t last_character(const char *s, size_t n, size_t *at) {
  size_t used;
  *at = n;
  if (n == 0) return 0;
  do --*at;
  while (*at > 0 && ((unsigned char)s[*at] & 0xC0) == 0x80);
  return utf8_decode(s + *at, n - *at, &used);
}

/* Copies, small, the letters (and hyphens) at the end of s. */
static size_t word_before(const char *s, size_t n, char *out, size_t cap) {
  size_t at, from = n, used, len = 0;
  for (size_t end = n; end > 0; end = at) {
    uint32_t c = last_character(s, end, &at);
    if (!is_letter(c) && c != '-') break;
    from = at;
  }
  for (size_t i = from; i < n; i += used) {
    uint32_t c = utf8_decode(s + i, n - i, &used);
    if (len + 4 >= cap) return 0;
    len += utf8_encode(small(c), out + len);
  }
  return len;
}

static size_t word_after(const char *s, size_t n, char *out, size_t cap) {
  size_t len = 0, used;
  for (size_t i = 0; i < n; i += used) {
    uint32_t c = utf8_decode(s + i, n - i, &used);
    if (!is_letter(c) && !(c == '-' && len)) break;
    if (len + 4 >= cap) return 0;
    len += utf8_encode(small(c), out + len);
  }
  while (len && out[len - 1] == '-') len--;
  return len;
}

/* "Ein- und Ausgabe", "pre- and postfix": the hyphen stands for the word that both have. */
static bool hangs(const char *word, size_t n) {
  static const char *const words[] = {"und", "oder", "bis", "bzw", "sowie", "and",
                                      "or",  "to",   "en",  "of",  "et"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i]) == n && !memcmp(words[i], word, n)) return true;
  return false;
}

enum seam { SEAM_SPACE, SEAM_NONE, SEAM_DROP }; /* DROP: also the hyphen goes */

/* How does text that ends with `a` go on with `b`? */
static enum seam seam_of(const struct pdf_style *s, const char *a, size_t an, const char *b,
                         size_t bn) {
  char both[160], apart[160], second[72];
  size_t at, before, used;
  uint32_t last = last_character(a, an, &at), first = bn ? utf8_decode(b, bn, &used) : 0;
  if (is_cjk(last) && is_cjk(first)) return SEAM_NONE;
  if (!is_hyphen(last)) return SEAM_SPACE;
  uint32_t left = last_character(a, at, &before);
  if (last == 0xAD) return SEAM_DROP;
  if (!is_letter(left) && !is_digit(left)) return SEAM_SPACE; /* a dash */
  if (is_letter(left) && is_lower(first)) {
    size_t n = word_before(a, at, both, 72), m = word_after(b, bn, second, sizeof second);
    if (hangs(second, m)) return SEAM_SPACE;
    memcpy(apart, both, n);
    apart[n] = '-';
    memcpy(apart + n + 1, second, m);
    memcpy(both + n, second, m);
    if (pdf_word_known(s, hash_xxh3(both, n + m, 0))) return SEAM_DROP;
    if (pdf_word_known(s, hash_xxh3(apart, n + m + 1, 0))) return SEAM_NONE;
    return n && memchr(both, '-', n) ? SEAM_NONE : SEAM_DROP; /* state-of-the-|art */
  }
  return is_letter(first) || is_digit(first) ? SEAM_NONE : SEAM_SPACE;
}

static void drop_hyphen(struct buf *out) {
  size_t at;
  last_character(out->data, out->len, &at);
  out->len = at;
  out->data[at] = 0;
}

/* The first word of a line, for the seam. */
static size_t head_of(const struct pdf_page *p, const struct pdf_line *l, char *out, size_t cap) {
  size_t n = 0;
  const struct pdf_piece *first = l->pieces[0];
  for (size_t i = first->from; i < first->to && n + 4 < cap; i++) {
    if (pdf_is_space(p->glyphs[i].c)) break;
    n += utf8_encode(p->glyphs[i].c, out + n);
  }
  return n;
}

static bool begins_mono(const struct pdf_page *p, const struct pdf_line *l) {
  return p->glyphs[l->pieces[0]->from].mono;
}

static void join(struct writer *w, const struct pdf_line *next) {
  char head[72];
  size_t n = head_of(w->p, next, head, sizeof head);
  enum seam seam = seam_of(w->s, w->out->data + w->began, w->out->len - w->began, head, n);
  char tail = w->out->len > w->began ? w->out->data[w->out->len - 1] : ' ';
  if (w->code && (tail == '/' || tail == '_') && begins_mono(w->p, next))
    seam = SEAM_NONE; /* a path */
  if (seam == SEAM_DROP && w->code && w->out->len && w->out->data[w->out->len - 1] == '-')
    seam = SEAM_NONE; /* an option, a name */
  if (seam == SEAM_SPACE) w->space = true;
  if (seam == SEAM_DROP) drop_hyphen(w->out);
}

void pdf_add_plain(const struct pdf_page *p, const struct pdf_style *s,
                   const struct pdf_piece *piece, struct buf *out) {
  const struct pdf_line one = {
      .pieces = (struct pdf_piece *[]){(struct pdf_piece *)(uintptr_t)piece}, .n = 1};
  char head[72];
  if (out->len) {
    enum seam seam = seam_of(s, out->data, out->len, head, head_of(p, &one, head, sizeof head));
    if (seam == SEAM_DROP) drop_hyphen(out);
    if (seam == SEAM_SPACE) buf_addc(out, ' ');
  }
  pdf_plain(p, piece, out);
}

/* ---- lines ---- */

/* "Introduction      7": an entry of a table of contents. */
static bool ends_in_number(const struct pdf_page *p, const struct pdf_line *l) {
  const struct pdf_piece *last = l->pieces[l->n - 1];
  if (l->n < 2 || last->left - l->pieces[l->n - 2]->right < 2 * last->size) return false;
  for (size_t i = last->from; i < last->to; i++)
    if (!is_digit(p->glyphs[i].c)) return false;
  return true;
}

void pdf_measure_line(const struct pdf_page *p, struct pdf_line *l) {
  const struct pdf_piece *main = l->pieces[0], *first = l->pieces[0], *last = l->pieces[l->n - 1];
  l->bold = l->mono = true;
  l->left = INFINITY;
  l->right = -INFINITY;
  for (size_t i = 0; i < l->n; i++) {
    const struct pdf_piece *q = l->pieces[i];
    if (q->to - q->from > main->to - main->from) main = q;
    l->left = fminf(l->left, q->left);
    l->right = fmaxf(l->right, q->right);
    l->bold = l->bold && q->bold;
    l->mono = l->mono && q->mono;
    l->chars += q->to - q->from;
  }
  for (size_t i = 0; i < l->n && !l->leader; i++)
    for (size_t k = l->pieces[i]->from; k < l->pieces[i]->to && !l->leader; k++)
      l->leader = p->glyphs[k].c == '.' && leader(p, k, l->pieces[i]->to);
  l->number = l->leader || ends_in_number(p, l);
  l->size = main->size;
  l->top = main->top;
  l->bottom = main->bottom;
  l->item = first->item;
  l->item_x = first->item_x;
  l->first = p->glyphs[first->from].c;
  l->last = p->glyphs[last->to - 1].c;
  for (size_t i = last->to; closes(l->last) && i > last->from + 1; i--)
    l->last = p->glyphs[i - 2].c;
  size_t end = first->from;
  while (end < first->to && !pdf_is_space(p->glyphs[end].c)) end++;
  l->word = p->glyphs[end - 1].x2 - p->glyphs[first->from].x1;
}

struct shape {
  float right; /* where full lines end */
  float left;  /* where most lines begin */
  float step;  /* distance between lines, in sizes of the type */
};

static int compare_floats(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static float quantile(float *v, size_t n, size_t percent) {
  if (n == 0) return 0;
  qsort(v, n, sizeof *v, compare_floats);
  return v[(n - 1) * percent / 100];
}

static int measure_shape(const struct pdf_line *lines, size_t n, struct shape *s, struct err *err) {
  float *v = mem_array(n + 1, sizeof *v);
  size_t k = 0;
  if (!v) return err_nomem(err, n * sizeof *v, "a page's lines");
  for (size_t i = 1; i < n; i++) {
    float step = lines[i].bottom - lines[i - 1].bottom, size = lines[i].size;
    if (step > 0.5f * size && step < 3 * size && fabsf(size - lines[i - 1].size) < 0.5f)
      v[k++] = step / size;
  }
  s->step = k ? quantile(v, k, 30) : 1.3f;
  if (s->step > 1.9f && k < 4) s->step = 1.3f;
  for (k = 0; k < n; k++) v[k] = lines[k].right;
  s->right = quantile(v, n, n >= 10 ? 90 : 100);
  for (k = 0; k < n; k++) v[k] = lines[k].left;
  s->left = quantile(v, n, n >= 10 ? 10 : 0);
  mem_free(v);
  return 0;
}

/* ---- kinds of lines ---- */

/* A number that stands apart before the text. */
static bool is_bare_number(const struct pdf_page *p, const struct pdf_line *l) {
  const struct pdf_piece *q = l->pieces[0];
  if (l->n < 2 || q->to - q->from > 3) return false;
  for (size_t i = q->from; i < q->to; i++)
    if (!is_digit(p->glyphs[i].c)) return false;
  return !l->number;
}

/* "1. ", "12) ", "a) ", "(iv) ", "– ": characters of a mark that something follows; 0: none. */
static size_t enumerator(const struct pdf_page *p, const struct pdf_line *l) {
  const struct pdf_piece *q = l->pieces[0];
  uint32_t c[8] = {0};
  size_t n = 0, i = q->from;
  for (; i < q->to && n < 7 && !pdf_is_space(p->glyphs[i].c); i++) c[n++] = p->glyphs[i].c;
  bool more = i < q->to || l->n > 1;
  if (!more || n == 0 || n > 6) return 0;
  if (is_bare_number(p, l)) return n;
  if (n == 1 && (c[0] == '-' || c[0] == 0x2013 || c[0] == '*')) return n;
  size_t from = c[0] == '(' ? 1 : 0;
  if (c[n - 1] != ')' && (from || c[n - 1] != '.')) return 0;
  size_t body = n - 1 - from, digits = 0, letters = 0;
  for (size_t k = from; k + 1 < n; k++) digits += is_digit(c[k]), letters += is_letter(c[k]);
  if (body == 0 || digits + letters < body) return 0;
  if (digits == body) return body <= 3 ? n : 0;
  if (letters == 1 && body == 1) return n;
  for (size_t k = from; k + 1 < n; k++)
    if (!strchr("ivx", (int)(c[k] < 128 ? c[k] : 0)) || !c[k]) return 0;
  return from || c[n - 1] == ')' ? n : 0;
}

/* What a mark counts: 3 for "3.", "(c)"; 0 for others. */
static int value_of(const struct pdf_page *p, const struct pdf_line *l) {
  const struct pdf_piece *q = l->pieces[0];
  size_t i = q->from + (p->glyphs[q->from].c == '(');
  int value = 0;
  if (is_letter(p->glyphs[i].c) && p->glyphs[i].c < 128)
    return (int)(p->glyphs[i].c | 32) - 'a' + 1;
  for (; i < q->to && is_digit(p->glyphs[i].c) && value < 1000; i++)
    value = value * 10 + (int)(p->glyphs[i].c - '0');
  return value;
}

static bool is_caption(const struct pdf_page *p, const struct pdf_line *l) {
  static const char *const words[] = {"figure",  "fig.",   "table",   "listing",   "abbildung",
                                      "tabelle", "figura", "tableau", "algorithm", "example"};
  char head[72], low[72];
  size_t n = head_of(p, l, head, sizeof head - 1);
  for (size_t i = 0; i < n; i++)
    low[i] = (char)(head[i] >= 'A' && head[i] <= 'Z' ? head[i] + 32 : head[i]);
  low[n] = 0;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strcmp(low, words[i])) return l->n > 1 || l->chars > n;
  return false;
}

static bool has_words(const struct pdf_page *p, const struct pdf_line *l) {
  size_t letters = 0;
  for (size_t k = 0; k < l->n; k++)
    for (size_t i = l->pieces[k]->from; i < l->pieces[k]->to; i++)
      letters += is_letter(p->glyphs[i].c) || is_cjk(p->glyphs[i].c) || is_digit(p->glyphs[i].c);
  return letters >= 1;
}

static bool far_below(const struct pdf_line *l, const struct pdf_line *above,
                      const struct shape *s) {
  float step = l->bottom - above->bottom;
  return step > s->step * fmaxf(l->size, above->size) * GAP_RATIO || step < -l->size;
}

/* Bold lines [from, to) of one size that stand alone are a heading. */
static void mark_bold(const struct pdf_page *p, struct pdf_line *lines, size_t n, size_t from,
                      size_t to, const struct pdf_style *st, const struct shape *s) {
  struct pdf_line *l = &lines[from], *end = &lines[to - 1];
  size_t chars = 0;
  for (size_t i = from; i < to; i++) chars += lines[i].chars;
  uint32_t last = end->last;
  bool sentence = last == '.' || last == ':' || last == ',' || last == ';';
  if (to >= n || to - from > BOLD_LINES || chars > HEADING_MAX || sentence) return;
  if (l->size < 0.95f * st->body || is_caption(p, l) || l->number) return;
  if (from > 0 && !far_below(l, l - 1, s) && l[-1].last != '.' && l[-1].last != ':' &&
      l[-1].right > s->right - 4 * l->size)
    return; /* in the middle of a paragraph */
  for (size_t i = from; i < to; i++) lines[i].heading = true;
}

static void find_headings(const struct pdf_page *p, struct pdf_line *lines, size_t n,
                          const struct pdf_style *st, const struct shape *s) {
  for (size_t i = 0; i < n; i++) {
    struct pdf_line *l = &lines[i];
    l->heading = st->body > 0 && !l->item && l->chars <= HEADING_MAX &&
                 l->size >= st->body * LARGE && has_words(p, l) && !l->number;
  }
  for (size_t i = 0; i < n;) {
    size_t from = i++;
    const struct pdf_line *l = &lines[from];
    if (!l->bold || l->heading || l->item || (l->mono && !st->mono_body)) continue;
    while (i < n && lines[i].bold && !lines[i].heading && !lines[i].item &&
           fabsf(lines[i].size - l->size) < 0.5f && !far_below(&lines[i], &lines[i - 1], s))
      i++;
    mark_bold(p, lines, n, from, i, st, s);
  }
}

static bool begins_note(const struct pdf_page *p, const struct pdf_line *l) {
  const struct pdf_glyph *g = &p->glyphs[l->pieces[0]->from];
  bool symbol = g->c == '*' || g->c == 0x2020 || g->c == 0x2021 || g->c == 0xA7;
  return symbol || (is_digit(g->c) && (g->size < 0.85f * l->size || l->chars > 4));
}

/* Footnotes: small lines at the foot, the first of them with a mark. */
static void find_notes(const struct pdf_page *p, struct pdf_line *lines, size_t n,
                       const struct pdf_style *st) {
  size_t i = n;
  while (i > 0 && lines[i - 1].size <= SMALL * st->body && !lines[i - 1].mono) i--;
  if (i == 0 || i == n) return;
  while (i < n && !begins_note(p, &lines[i])) i++;
  for (; i < n; i++) lines[i].note = lines[i].top > p->height * 0.4f;
}

/* Does line i stand further in than its neighbours, neither of which needed to end there? */
static bool is_set_in(const struct pdf_line *lines, size_t n, size_t i, const struct shape *s) {
  const struct pdf_line *l = &lines[i];
  if (l->left < s->left + 0.8f * l->size) return false;
  if (i > 0 && l[-1].left > l->left - 0.8f * l->size) return false;
  return i + 1 >= n || l[1].left < l->left - 0.8f * l->size;
}

/* Typewritten, or set in and at least half typewritten (with a comment in another type). */
static bool is_codeish(const struct pdf_page *p, const struct pdf_line *l, const struct shape *s) {
  size_t mono = 0, all = 0;
  if (l->mono) return true;
  if (l->left < s->left + 0.8f * l->size || !p->glyphs[l->pieces[0]->from].mono) return false;
  for (size_t k = 0; k < l->n; k++)
    for (size_t i = l->pieces[k]->from; i < l->pieces[k]->to; i++) {
      if (pdf_is_space(p->glyphs[i].c)) continue;
      all++;
      mono += p->glyphs[i].mono;
    }
  return mono * 2 >= all;
}

static void find_code(const struct pdf_page *p, struct pdf_line *lines, size_t n,
                      const struct pdf_style *st, const struct shape *s) {
  if (st->mono_body) return;
  for (size_t i = 0; i < n;) {
    size_t from = i++;
    if (!is_codeish(p, &lines[from], s) || lines[from].heading || lines[from].item) continue;
    while (i < n && is_codeish(p, &lines[i], s) && !lines[i].item &&
           lines[i].top > lines[i - 1].top &&
           lines[i].top - lines[i - 1].bottom < 2.5f * lines[i].size)
      i++;
    bool above = from == 0 || far_below(&lines[from], &lines[from - 1], s);
    bool below = i == n || far_below(&lines[i], &lines[i - 1], s);
    if (i - from < 2 && !(above && below && lines[from].chars > 3) && !is_set_in(lines, n, from, s))
      continue;
    for (size_t k = from; k < i; k++) lines[k].code = true;
  }
}

/* ---- code ---- */

/* The distance from one character to the next in the typewriter type of these lines. */
static float cell_width(const struct pdf_page *p, const struct pdf_line *lines, size_t n) {
  float v[64];
  size_t k = 0;
  for (size_t i = 0; i < n && k < 64; i++)
    for (size_t j = lines[i].pieces[0]->from; j + 1 < lines[i].pieces[0]->to && k < 64; j++) {
      const struct pdf_glyph *g = &p->glyphs[j];
      float d = g[1].x1 - g->x1;
      if (!pdf_is_space(g->c) && !pdf_is_space(g[1].c) && g->mono && d > 0.2f * g->size) v[k++] = d;
    }
  float width = quantile(v, k, 50);
  return width > 1 ? width : 0.5f * lines[0].size;
}

/* Blanks are counted from the end of the character before, so that no error adds up. */
static void put_code_line(const struct pdf_page *p, const struct pdf_line *l, float left,
                          float width, struct buf *out) {
  char bytes[4];
  float end = left;
  bool space = true; /* at the beginning, or behind a blank of the page's */
  for (size_t k = 0; k < l->n; k++, space = true)
    for (size_t i = l->pieces[k]->from; i < l->pieces[k]->to; i++) {
      const struct pdf_glyph *g = &p->glyphs[i];
      if (pdf_is_space(g->c)) {
        space = true;
        continue;
      }
      float gap = (g->x1 - end) / width + 0.4f;
      size_t blanks = space && gap > 0 && gap < 400 ? (size_t)gap : 0;
      if (space && !blanks && end > left) blanks = 1;
      for (; blanks > 0; blanks--) buf_addc(out, ' ');
      buf_add(out, bytes, utf8_encode(g->c, bytes));
      end = g->x1 + fmaxf(width, g->mono ? 0 : g->x2 - g->x1);
      space = false;
    }
}

static int write_code(struct pdf_page *p, const struct pdf_line *lines, size_t n, struct err *err) {
  struct pdf_block *b = pdf_add_block(p, PDF_CODE);
  float width = cell_width(p, lines, n), left = INFINITY, usual = INFINITY;
  if (!b) return err_nomem(err, sizeof *b, "a page's parts");
  for (size_t i = 0; i < n; i++) {
    left = fminf(left, lines[i].left);
    if (i) usual = fminf(usual, fmaxf(lines[i].bottom - lines[i - 1].bottom, 0.9f * lines[i].size));
  }
  buf_adds(&p->text, "```\n");
  for (size_t i = 0; i < n; i++) {
    if (i && lines[i].bottom - lines[i - 1].bottom > 1.6f * usual) buf_addc(&p->text, '\n');
    put_code_line(p, &lines[i], left, width, &p->text);
    buf_addc(&p->text, '\n');
  }
  buf_adds(&p->text, "```");
  p->blocks[p->block_count - 1].to = p->text.len;
  return 0;
}

/* ---- paragraphs ---- */

/* Would the first word of l have fitted behind the line above? Then somebody broke it there. */
static bool broken_on_purpose(const struct pdf_line *l, const struct pdf_line *above,
                              const struct shape *s) {
  return above->number || above->right + l->word + 0.6f * l->size < s->right;
}

struct building {
  struct pdf_page *p;
  struct pdf_style *st;
  const struct shape *s;
  float items[8]; /* where the items of the open lists begin */
  int depth;
  bool in_item;
  float item_left;  /* of the item that is open: its mark */
  int item_value;   /* … and its number; 0: none */
  float first_left; /* of the block's first line */
  size_t count;     /* lines of the block */
};

static bool ends(const struct pdf_line *l) {
  return ends_sentence(l->last);
}

/* Does a list's item begin with l? */
static bool begins_item(const struct building *g, const struct pdf_line *l,
                        const struct pdf_line *above) {
  if (l->item) return true;
  if (!enumerator(g->p, l)) return false;
  if (!above || far_below(l, above, g->s) || ends(above) || above->last == ';') return true;
  if (broken_on_purpose(l, above, g->s)) return true;
  if (!g->in_item || fabsf(l->left - g->item_left) > 3) return false;
  if (g->item_value && value_of(g->p, l) == g->item_value + 1) return true;
  return above->left > l->left + 0.5f * l->size;
}

/* Does a new block begin with l, both being running text? */
static bool begins_block(const struct building *g, const struct pdf_line *l,
                         const struct pdf_line *above) {
  float em = l->size, indent = l->left - above->left;
  if (far_below(l, above, g->s)) return true;
  if (fabsf(l->size - above->size) > 0.12f * fmaxf(l->size, above->size) &&
      fminf((float)l->chars, (float)above->chars) > 8)
    return true;
  if (g->in_item && l->left < g->item_left - 0.3f * em) return true;
  if (g->in_item && fabsf(l->left - g->item_left) < 0.3f * em && g->count > 1 &&
      above->left > l->left + 0.5f * em)
    return true;
  if (!g->in_item && indent > 0.7f * em && indent < 6 * em && l->left > g->s->left + 0.5f * em &&
      (ends(above) || (broken_on_purpose(l, above, g->s) && !is_lower(l->first))))
    return true;
  if (!g->in_item && g->count == 1 && ends(above) && fabsf(indent) < 1 && !is_lower(l->first) &&
      above->left > g->s->left + 0.7f * em && above->left < g->s->left + 2.2f * em)
    return true; /* both are indented */
  if (!g->in_item && g->count > 1 && indent < -0.7f * em && l->left <= g->first_left + 0.3f * em &&
      above->left > g->first_left + 0.7f * em && ends(above))
    return true; /* the next entry of a bibliography */
  return ends(above) && !is_lower(l->first) && broken_on_purpose(l, above, g->s);
}

static void begin_list_item(struct building *g, const struct pdf_line *l, struct pdf_block *b) {
  float x = l->item ? l->item_x : l->left;
  while (g->depth > 0 && x < g->items[g->depth - 1] - 0.4f * l->size) g->depth--;
  if (g->depth == 0 || x > g->items[g->depth - 1] + 0.6f * l->size) {
    if (g->depth < 8) g->items[g->depth] = x, g->depth++;
  }
  b->level = g->depth ? g->depth - 1 : 0;
  g->in_item = true;
  g->item_left = x;
}

/* Writes the lines [0, n) as one block. */
static int write_block(struct building *g, const struct pdf_line *lines, size_t n,
                       enum pdf_kind kind, struct err *err) {
  struct pdf_page *p = g->p;
  struct pdf_block *b = pdf_add_block(p, kind);
  if (!b) return err_nomem(err, sizeof *b, "a page's parts");
  struct writer w = {.p = p, .s = g->st, .out = &p->text, .plain = kind == PDF_HEADING};
  if (kind == PDF_ITEM) {
    begin_list_item(g, lines, b);
    for (int i = 0; i < b->level; i++) buf_adds(&p->text, "  ");
    if (lines[0].item) buf_adds(&p->text, "- ");
  }
  w.began = p->text.len;
  for (size_t i = 0; i < n; i++) {
    const struct pdf_line *l = &lines[i], *above = i ? l - 1 : NULL;
    bool breaks = above && kind != PDF_HEADING && (above->number || !is_lower(l->first)) &&
                  broken_on_purpose(l, above, g->s) && !is_hyphen(above->last);
    if (breaks) {
      close_marks(&w);
      buf_addc(&p->text, '\n');
      w.space = false;
    } else if (above) {
      join(&w, l);
    }
    w.counted = i == 0 && kind == PDF_ITEM && !l->item && is_bare_number(p, l);
    put_line(&w, l);
  }
  close_marks(&w);
  b = &p->blocks[p->block_count - 1];
  b->to = p->text.len;
  const struct pdf_line *last = &lines[n - 1];
  b->open =
      !ends_sentence(last->last) && !last->number && (kind == PDF_PARAGRAPH || kind == PDF_ITEM);
  b->full = b->open && last->right > g->s->right - 2 * last->size &&
            g->s->right - g->s->left > 12 * last->size;
  b->goes_on = kind == PDF_PARAGRAPH && (is_lower(lines[0].first) || is_cjk(lines[0].first));
  b->may_go_on = kind == PDF_PARAGRAPH && lines[0].left < g->s->left + 0.5f * lines[0].size;
  return 0;
}

static int write_heading(struct building *g, const struct pdf_line *lines, size_t n,
                         struct err *err) {
  struct pdf_page *p = g->p;
  int rc = write_block(g, lines, n, PDF_HEADING, err);
  if (rc) return rc;
  struct pdf_block *b = &p->blocks[p->block_count - 1];
  const char *title = p->text.data + b->from;
  int named = outline_level(g->st, p->number, title, b->to - b->from);
  b->level = named ? named : level_of(g->st, lines[0].size);
  if (named)
    g->st->last_level = named;
  else if (g->st->last_level && b->level <= g->st->last_level && p->number > 1)
    b->level = g->st->last_level + 1;
  if (b->level > 6) b->level = 6;
  if (b->to - b->from > HEADING_MAX * 2) b->kind = PDF_PARAGRAPH; /* a text in large type */
  return 0;
}

/* How many lines from `from` on make one heading? */
static size_t heading_lines(const struct pdf_line *lines, size_t n, size_t from,
                            const struct shape *s) {
  size_t i = from + 1;
  for (; i < n && lines[i].heading; i++) {
    const struct pdf_line *l = &lines[i], *above = l - 1;
    if (fabsf(l->size - above->size) > 0.5f || l->bottom - above->bottom > 1.6f * l->size) break;
    if (l->bold != above->bold || l->bottom < above->bottom) break;
    if (above->right - above->left < 0.45f * (s->right - s->left) &&
        fabsf((l->left + l->right) - (above->left + above->right)) > l->size)
      break; /* the line above had room: another heading */
  }
  return i - from;
}

/* A short paragraph that the outline names is a heading, however it is set. */
static void name_heading(struct building *g) {
  struct pdf_page *p = g->p;
  struct pdf_block *b = &p->blocks[p->block_count - 1];
  const char *text = p->text.data + b->from;
  size_t n = b->to - b->from;
  if (b->kind != PDF_PARAGRAPH || n > HEADING_MAX || !g->st->entry_count) return;
  int named = outline_level(g->st, p->number, text, n);
  if (!named) return;
  b->kind = PDF_HEADING;
  b->level = named > 6 ? 6 : named;
  b->open = b->goes_on = false;
  g->st->last_level = named;
  if (n > 4 && !memcmp(text, "**", 2) && !memcmp(text + n - 2, "**", 2))
    b->from += 2, b->to -= 2; /* without its marks */
}

/* The first and the last text of the region whose blocks begin at `from`. */
static void mark_ends(struct pdf_page *p, size_t from) {
  size_t last = SIZE_MAX;
  for (size_t i = from; i < p->block_count; i++) {
    if (p->blocks[i].kind == PDF_NOTE) continue;
    p->blocks[i].first = last == SIZE_MAX;
    last = i;
  }
  if (last != SIZE_MAX) p->blocks[last].last = true;
}

int pdf_blocks(struct pdf_page *p, struct pdf_line *lines, size_t n, struct pdf_style *st,
               struct err *err) {
  struct shape s;
  struct building g = {.p = p, .st = st, .s = &s};
  size_t first = p->block_count;
  if (n == 0) return 0;
  int rc = measure_shape(lines, n, &s, err);
  if (rc) return rc;
  find_headings(p, lines, n, st, &s);
  find_code(p, lines, n, st, &s);
  find_notes(p, lines, n, st);
  for (size_t i = 0; !rc && i < n;) {
    const struct pdf_line *l = &lines[i], *above = i ? l - 1 : NULL;
    size_t k = 1;
    if (l->heading) {
      k = heading_lines(lines, n, i, &s);
      rc = write_heading(&g, l, k, err);
      g.in_item = false;
      g.depth = 0;
    } else if (l->code) {
      while (i + k < n && lines[i + k].code) k++;
      rc = write_code(p, l, k, err);
    } else {
      bool item = begins_item(&g, l, above);
      g.first_left = l->left;
      g.count = 1;
      if (item) {
        g.in_item = true;
        g.item_left = l->item ? l->item_x : l->left;
        g.item_value = l->item || !enumerator(p, l) ? 0 : value_of(p, l);
      }
      if (!item && g.in_item && l->left < g.item_left + 0.5f * l->size)
        g.in_item = false, g.depth = 0;
      bool note = l->note;
      for (; i + k < n; k++, g.count++) {
        const struct pdf_line *next = &lines[i + k], *prev = next - 1;
        if (next->heading || next->code || next->note != note) break;
        if (note && begins_note(p, next)) break;
        if (begins_item(&g, next, prev) || begins_block(&g, next, prev)) break;
      }
      rc = write_block(&g, l, k, note ? PDF_NOTE : item ? PDF_ITEM : PDF_PARAGRAPH, err);
      if (!rc) name_heading(&g);
    }
    i += k;
  }
  mark_ends(p, first);
  return rc;
}

/* ---- a page's text ---- */

static const char *text_of(const struct pdf_page *p, const struct pdf_block *b) {
  return p->text.data + b->from;
}

/* Does block b go on with what a left open? */
static bool goes_on(const struct pdf_block *a, const struct pdf_block *b) {
  return a->last && b->first && a->open &&
         (b->goes_on || (a->full && b->may_go_on && b->kind == PDF_PARAGRAPH));
}

/* The length of the first line of s, with its end. */
static size_t line_length(const char *s, size_t n) {
  const char *end = memchr(s, '\n', n);
  return end ? (size_t)(end - s) + 1 : n;
}

static void write_one(const struct pdf_page *p, const struct pdf_block *b, struct buf *out) {
  if (b->kind == PDF_TABLE && b->part != PDF_WHOLE) {
    const char *s = text_of(p, b);
    size_t n = b->to - b->from, head = line_length(s, n), rule = line_length(s + head, n - head);
    if (b->part == PDF_NO_RULE) buf_add(out, s, head + rule < n ? head : head - 1);
    buf_add(out, s + head + rule, n - head - rule);
    return;
  }
  if (b->kind == PDF_HEADING) {
    for (int i = 0; i < b->level; i++) buf_addc(out, '#');
    buf_addc(out, ' ');
  }
  buf_add(out, text_of(p, b), b->to - b->from);
}

static const struct pdf_block *first_text(const struct pdf_page *p) {
  for (size_t i = 0; p && i < p->block_count; i++)
    if (p->blocks[i].kind != PDF_NOTE) return &p->blocks[i];
  return NULL;
}

/* What stands between two blocks; takes a hyphen off the end of out. */
static void write_seam(const struct pdf_style *s, const struct pdf_block *a,
                       const struct pdf_page *next, const struct pdf_block *b, struct buf *out) {
  if (a && b && goes_on(a, b)) {
    size_t n = b->to - b->from;
    enum seam seam = seam_of(s, out->data, out->len, text_of(next, b), n);
    if (seam == SEAM_DROP) drop_hyphen(out);
    if (seam == SEAM_SPACE) buf_addc(out, ' ');
    return;
  }
  if (a && b && b->kind == PDF_TABLE && b->part != PDF_WHOLE) {
    buf_addc(out, '\n');
    return;
  }
  bool list = a && b && a->kind == PDF_ITEM && b->kind == PDF_ITEM;
  buf_adds(out, list ? "\n" : "\n\n");
}

static void write_notes(const struct pdf_page *p, struct buf *out) {
  for (size_t i = 0; i < p->block_count; i++)
    if (p->blocks[i].kind == PDF_NOTE) {
      write_one(p, &p->blocks[i], out);
      buf_adds(out, "\n\n");
    }
}

static const struct pdf_block *last_text(const struct pdf_page *p) {
  for (size_t i = p->block_count; i-- > 0;)
    if (p->blocks[i].kind != PDF_NOTE) return &p->blocks[i];
  return NULL;
}

void pdf_link(const struct pdf_page *p, struct pdf_page *next) {
  const struct pdf_block *a = last_text(p), *first = first_text(next);
  if (!a || !first || a->kind != PDF_TABLE || first->kind != PDF_TABLE) return;
  struct pdf_block *b = &next->blocks[first - next->blocks];
  if (a->columns != b->columns) return;
  size_t head = line_length(text_of(p, a), a->to - a->from);
  bool same = line_length(text_of(next, b), b->to - b->from) == head &&
              !memcmp(text_of(p, a), text_of(next, b), head);
  bool aligned = fabsf(a->left - b->left) < 4 && fabsf(a->right - b->right) < 12;
  if (same && b->to - b->from > 2 * head)
    b->part = PDF_NO_HEAD;
  else if (aligned)
    b->part = PDF_NO_RULE;
}

/* The first block of the chain of joined ones that ends at `tail`. */
static size_t chain_start(const struct pdf_page *p, size_t tail) {
  size_t first = tail;
  for (size_t i = tail; i-- > 0;) {
    if (p->blocks[i].kind == PDF_NOTE) continue;
    if (!goes_on(&p->blocks[i], &p->blocks[first])) break;
    first = i;
  }
  return first;
}

int pdf_write(const struct pdf_page *p, const struct pdf_page *next, const struct pdf_style *s,
              struct buf *out, struct err *err) {
  const struct pdf_block *last = NULL, *behind = first_text(next);
  size_t tail = SIZE_MAX; /* the last block that is no note */
  for (size_t i = 0; i < p->block_count; i++)
    if (p->blocks[i].kind != PDF_NOTE) tail = i;
  /* notes stand before a paragraph that goes on overleaf */
  bool open = tail != SIZE_MAX && behind && goes_on(&p->blocks[tail], behind);
  size_t before = open ? chain_start(p, tail) : SIZE_MAX;
  for (size_t i = 0; i < p->block_count; i++) {
    const struct pdf_block *b = &p->blocks[i];
    if (b->kind == PDF_NOTE) continue;
    if (last) write_seam(s, last, p, b, out);
    if (i == before) write_notes(p, out);
    write_one(p, b, out);
    last = b;
  }
  if (last) write_seam(s, last, next, behind, out);
  if (!open) write_notes(p, out);
  return buf_check(out, "a page's text", err);
}

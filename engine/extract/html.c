/* SPDX-License-Identifier: MIT */
/* HTML to text: the main text of a page, as Markdown.
 *
 *   h1 … h6   "# " … "###### "          ul / ol      "- " / "1. ", nested by indentation
 *   p, div …  blocks between blank lines   table     a pipe table; its cells when it only places them
 *   b, dfn, dt "**…**"                   pre          fenced, with the language its class names
 *   code, kbd  `…`                       blockquote   "> "          br   line end
 *   img       its alt text               a            its text; addresses are left out
 *   sup       "^" before a number        math         its alttext as $…$, else its characters
 *
 * What is not the main text (navigation, page headers and footers, sidebars, banners) is found by
 * html_plan.c in a walk of its own; scripts and hidden things are never seen (html_walk.c). The
 * page's <title> is the title, <html lang> the language.
 *
 * The encoding is taken in this order: byte order mark, what <meta> declares, detection. Bytes are
 * decoded here, and the parser is told UTF-8.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "extract/html_plan.h"
#include "extract/html_walk.h"
#include "extract/table.h"
#include "extract/worker.h"
#include "text/encoding.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HTML_MAX  ((uint64_t)64 << 20)
#define HEAD      ((size_t)4 << 10) /* where <meta charset> must be */
#define TITLE_MAX ((size_t)1024)
#define CODE_MAX  ((size_t)4096) /* bytes of `…`; more of it is text */
#define NESTING   12             /* lists and quotations that are indented */

/* A list or quotation that is open. */
struct level {
  unsigned char kind; /* UL, OL, QUOTE */
  bool began;         /* the item has text: what follows is a paragraph of it */
  unsigned n;         /* of the item */
  unsigned width;     /* of what an item's further lines begin with */
};

struct html {
  struct job *job;
  const struct html_options *options;
  struct html_plan plan;
  uint32_t inside_main; /* the element's number while we are in it */
  struct level levels[NESTING];
  unsigned depth; /* of levels; may exceed NESTING */
  unsigned bold, pre;
  unsigned breaks; /* <br> since the last text */
  bool in_title, in_heading, titled, in_super, in_math;
  bool in_cell, in_row;
  unsigned cell_span, cell_bold; /* 1: wanted, 2: written */
  struct table table;
  unsigned tables; /* open ones; the innermost collects when `collects` */
  bool collects;
  struct buf title, block, code, cell;
  unsigned in_code;
  char language[24]; /* of the code, from a class */
  uint32_t language_from;
  uint64_t began;   /* blocks written when the item began */
  uint64_t defined; /* … when the definition began, + 1 */
  struct err *err;
  int rc;
};

/* ---- where text goes ---- */

static void cell_text(struct html *h, const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if ((unsigned char)s[i] <= ' ') {
      buf_addc(&h->cell, ' ');
      continue;
    }
    if (h->cell_bold == 1) buf_adds(&h->cell, "**");
    if (h->cell_bold) h->cell_bold = 2;
    buf_addc(&h->cell, s[i]);
  }
}

static void end_cell_bold(struct html *h) {
  size_t n = h->cell.len;
  if (h->cell_bold == 2) {
    while (n > 0 && h->cell.data[n - 1] == ' ') n--;
    bool space = n < h->cell.len;
    h->cell.len = n;
    buf_adds(&h->cell, space ? "** " : "**");
  }
  h->cell_bold = 0;
}

/* What further lines of the open lists and quotations begin with; `outer` levels of them. */
static void indentation(const struct html *h, unsigned outer, char *out, size_t cap) {
  size_t n = 0;
  out[0] = 0;
  for (unsigned i = 0; i < outer && i < NESTING; i++) {
    const struct level *l = &h->levels[i];
    if (l->kind == QUOTE)
      n += (size_t)snprintf(out + n, cap - n, "> ");
    else
      n += (size_t)snprintf(out + n, cap - n, "%*s", (int)(l->width ? l->width : 2), "");
    if (n + 8 >= cap) break;
  }
}

static void start_block(struct html *h, unsigned gap) {
  char indent[96];
  h->breaks = 0;
  indentation(h, h->depth, indent, sizeof indent);
  out_block(&h->job->out, gap, indent);
}

static void owed_breaks(struct html *h) {
  char indent[96];
  if (!h->breaks || !h->job->out.in_block) {
    h->breaks = 0;
    return;
  }
  if (h->breaks > 1) {
    start_block(h, 2);
    return;
  }
  h->breaks = 0;
  indentation(h, h->depth, indent, sizeof indent);
  out_break(&h->job->out);
  out_verbatim(&h->job->out, indent, strlen(indent));
}

static bool is_blank(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)s[i] > ' ') return false;
  return true;
}

static void flow(struct html *h, const char *s, size_t n) {
  if (h->in_cell) {
    cell_text(h, s, n);
    return;
  }
  if (!is_blank(s, n)) owed_breaks(h);
  out_text(&h->job->out, s, n);
}

/* Ends `…`: with the text in marks, unless it is too long to be more than text. */
static void end_code(struct html *h, bool marked) {
  struct buf *c = &h->code;
  size_t from = 0, n = c->len;
  char mark[] = "``";
  if (!n) return;
  while (from < n && (unsigned char)c->data[from] <= ' ') from++;
  while (n > from && (unsigned char)c->data[n - 1] <= ' ') n--;
  if (from > 0) flow(h, " ", 1);
  bool ticks = n > from && memchr(c->data + from, '`', n - from) != NULL;
  marked = marked && n > from;
  if (marked) flow(h, mark, ticks ? 2 : 1);
  if (n > from) flow(h, c->data + from, n - from);
  if (marked) flow(h, mark, ticks ? 2 : 1);
  if (n < c->len) flow(h, " ", 1);
  buf_reset(c);
}

static void block_text(struct html *h, const char *s, size_t n) {
  buf_add(&h->block, s, n);
}

static void put(struct html *h, const char *s, size_t n) {
  if (h->in_title) {
    if (h->title.len + n <= TITLE_MAX) buf_add(&h->title, s, n);
  } else if (h->plan.main && !h->inside_main) {
    return;
  } else if (h->pre) {
    block_text(h, s, n);
  } else if (h->in_code) {
    buf_add(&h->code, s, n);
    if (h->code.len > CODE_MAX) end_code(h, false), h->in_code = 0;
  } else {
    flow(h, s, n);
  }
}

/* ---- blocks ---- */

static struct level *innermost(struct html *h) {
  return h->depth && h->depth <= NESTING ? &h->levels[h->depth - 1] : NULL;
}

static bool in_list(const struct html *h) {
  for (unsigned i = h->depth < NESTING ? h->depth : NESTING; i > 0; i--)
    if (h->levels[i - 1].kind != QUOTE) return true;
  return false;
}

/* <li><p>, <dd><p>: what the item begins with must survive. */
static bool pending_item(struct html *h) {
  if (!h->job->out.in_block && h->defined == h->job->out.blocks + 1) return true;
  const struct level *l = innermost(h);
  return l && l->n > 0 && l->kind != QUOTE && h->job->out.blocks == h->began &&
         !h->job->out.in_block;
}

static void leave_inline(struct html *h) {
  if (h->in_code) end_code(h, false), h->in_code = 0;
}

/* Where a paragraph or the like begins or ends: inside a table's cell only a space. */
static void block_edge(struct html *h, bool begins) {
  leave_inline(h);
  if (h->pre) {
    if (h->block.len && h->block.data[h->block.len - 1] != '\n') buf_addc(&h->block, '\n');
  } else if (h->in_cell) {
    buf_addc(&h->cell, ' ');
  } else if (!pending_item(h)) {
    start_block(h, begins || !in_list(h) ? 2 : 1);
  }
}

static void push_level(struct html *h, enum element_kind kind) {
  if (h->depth < NESTING)
    h->levels[h->depth] = (struct level){.kind = (unsigned char)kind, .width = 2};
  h->depth++;
}

static void begin_list(struct html *h, enum element_kind kind, const char **attributes) {
  if (h->in_cell) return;
  leave_inline(h);
  if (!pending_item(h)) start_block(h, in_list(h) ? 1 : 2);
  push_level(h, kind);
  const char *start = html_attribute(attributes, "start");
  struct level *l = innermost(h);
  if (l && start && kind == OL) {
    long n = strtol(start, NULL, 10);
    if (n > 0 && n < 1000000) l->n = (unsigned)n - 1;
  }
}

static void end_list(struct html *h) {
  if (h->in_cell) return;
  h->depth -= h->depth > 0;
  start_block(h, in_list(h) ? 1 : 2);
}

static void begin_item(struct html *h) {
  char prefix[96];
  struct level *l = innermost(h);
  if (h->in_cell) {
    flow(h, " - ", 3);
    return;
  }
  leave_inline(h);
  h->breaks = 0;
  indentation(h, h->depth ? h->depth - 1 : 0, prefix, sizeof prefix - 16);
  size_t n = strlen(prefix);
  if (l) l->n++;
  if (l && l->kind == OL)
    l->width = (unsigned)snprintf(prefix + n, sizeof prefix - n, "%u. ", l->n);
  else
    snprintf(prefix + n, sizeof prefix - n, "- ");
  out_block(&h->job->out, 1, prefix);
  h->began = h->job->out.blocks;
}

static void begin_heading(struct html *h, const struct element *e) {
  char prefix[112];
  block_edge(h, true);
  if (h->in_cell) return;
  h->in_heading = true;
  out_bold(&h->job->out, false);
  if (in_list(h)) return; /* a heading in an item is its text */
  indentation(h, h->depth, prefix, sizeof prefix - 8);
  strcat(prefix, &"###### "[6 - e->level]);
  out_block(&h->job->out, 2, prefix);
}

static void begin_bold(struct html *h) {
  h->bold++;
  if (h->in_code || h->pre) return;
  if (h->in_cell)
    h->cell_bold = h->cell_bold ? h->cell_bold : 1;
  else
    out_bold(&h->job->out, !h->in_heading);
}

static void end_bold(struct html *h) {
  h->bold -= h->bold > 0;
  if (h->bold || h->pre) return;
  end_cell_bold(h);
  out_bold(&h->job->out, false);
}

/* ---- code ---- */

static const char *language_of(const char *class, char word[24]) {
  static const char *const starts[] = {
      "language-", "lang-", "highlight-source-", "highlight-", "src-", "brush:", "syntax-"};
  static const char *const none[] = {"default", "none",        "text",        "plain", "plaintext",
                                     "txt",     "nohighlight", "notranslate", "block", ""};
  bool source = false;
  for (const char *at = class; html_word(&at, word, 24);) {
    const char *name = source ? word : NULL;
    for (size_t i = 0; !name && i < sizeof starts / sizeof *starts; i++)
      if (!strncmp(word, starts[i], strlen(starts[i]))) name = word + strlen(starts[i]);
    source = !strcmp(word, "sourcecode");
    if (!name) continue;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
      if (!strcmp(name, none[i])) name = NULL, i = sizeof none / sizeof *none;
    if (!name) continue;
    if (!strcmp(name, "python3") || !strcmp(name, "py") || !strcmp(name, "ipython3"))
      return "python";
    return name;
  }
  return NULL;
}

static void note_language(struct html *h, const char **attributes, uint32_t number) {
  const char *class = html_attribute(attributes, "class");
  const char *data = html_attribute(attributes, "data-lang");
  char word[24];
  const char *name = class ? language_of(class, word) : NULL;
  if (!name && data && *data) name = data;
  if (!name) return;
  size_t n = 0;
  for (; name[n] && n + 1 < sizeof h->language; n++)
    if ((unsigned char)name[n] <= ' ' || name[n] == '`') return;
  memcpy(h->language, name, n);
  h->language[n] = 0;
  h->language_from = h->pre ? 0 : number;
}

static size_t longest_run(const struct buf *b, char c) {
  size_t best = 0, run = 0;
  for (size_t i = 0; i < b->len; i++) {
    run = b->data[i] == c ? run + 1 : 0;
    if (run > best) best = run;
  }
  return best;
}

/* Writes lines, each behind the indentation of the block. */
static void write_lines(struct html *h, const char *s, size_t n) {
  struct out *o = &h->job->out;
  char indent[96];
  if (!s) return;
  indentation(h, h->depth, indent, sizeof indent);
  for (size_t at = 0; at < n;) {
    const char *end = memchr(s + at, '\n', n - at);
    size_t stop = end ? (size_t)(end - s) : n, text = stop;
    while (text > at && (s[text - 1] == ' ' || s[text - 1] == '\r' || s[text - 1] == '\t')) text--;
    if (at > 0) out_verbatim(o, "\n", 1);
    if (at > 0 && text > at) out_verbatim(o, indent, strlen(indent));
    out_verbatim(o, s + at, text - at);
    at = stop + 1;
  }
}

static void write_pre(struct html *h) {
  struct out *o = &h->job->out;
  struct buf *b = &h->block;
  size_t from = 0, n = b->len, ticks = longest_run(b, '`');
  while (n > 0 && (unsigned char)b->data[n - 1] <= ' ') n--;
  for (size_t i = 0; i < n && (unsigned char)b->data[i] <= ' '; i++)
    if (b->data[i] == '\n') from = i + 1;
  if (n == 0) return;
  if (!pending_item(h)) start_block(h, 2);
  if (h->plan.plain_pre) {
    write_lines(h, b->data + from, n - from);
  } else {
    char fence[64] = "```";
    if (ticks >= 3)
      memset(fence, '`', ticks < 40 ? ticks + 1 : 40), fence[ticks < 40 ? ticks + 1 : 40] = 0;
    struct buf lines;
    buf_init(&lines);
    buf_addf(&lines, "%s%s\n", fence, h->language);
    buf_add(&lines, b->data + from, n - from);
    buf_addf(&lines, "\n%s", fence);
    h->rc = buf_check(&lines, "a page's code", h->err);
    if (!h->rc) write_lines(h, lines.data, lines.len);
    buf_clear(&lines);
  }
  out_flush(o);
}

static void end_pre(struct html *h) {
  h->pre -= h->pre > 0;
  if (h->pre) return;
  if (!h->rc) h->rc = buf_check(&h->block, "a page's code", h->err);
  if (h->in_cell) {
    flow(h, h->block.data ? h->block.data : "", h->block.len);
  } else if (!h->rc) {
    write_pre(h);
    start_block(h, 2);
  }
  buf_reset(&h->block);
  if (!h->language_from) h->language[0] = 0;
}

/* ---- tables ---- */

static void write_table(struct html *h) {
  struct buf text;
  char indent[96];
  if (table_empty(&h->table)) return;
  buf_init(&text);
  indentation(h, h->depth, indent, sizeof indent);
  start_block(h, 2);
  if (!h->rc) h->rc = table_write(&h->table, "", &text, h->err);
  if (!h->rc) write_lines(h, text.data, text.len);
  start_block(h, 2);
  buf_clear(&text);
}

static void begin_table(struct html *h, uint32_t number) {
  bool layout = html_plan_is_layout(&h->plan, number) || h->in_cell;
  if (!h->in_cell) block_edge(h, true);
  if (h->tables++ == 0 || !h->collects) h->collects = !layout;
}

static void end_table(struct html *h) {
  h->tables -= h->tables > 0;
  if (h->in_cell) return;
  if (h->collects) write_table(h);
  h->collects = false;
  block_edge(h, false);
}

static void end_cell(struct html *h) {
  if (!h->in_cell) return;
  leave_inline(h);
  end_cell_bold(h);
  h->in_cell = false;
  if (!h->rc) h->rc = buf_check(&h->cell, "a table's cell", h->err);
  table_cell(&h->table, h->cell.data ? h->cell.data : "", h->cell.len, h->cell_span);
  buf_reset(&h->cell);
  if (table_full(&h->table)) write_table(h);
}

static void begin_cell(struct html *h, const char **attributes) {
  if (!h->collects) {
    block_edge(h, true);
    return;
  }
  const char *span = html_attribute(attributes, "colspan");
  long n = span ? strtol(span, NULL, 10) : 1;
  end_cell(h);
  h->cell_span = n > 1 && n < 100 ? (unsigned)n : 1;
  h->in_cell = true;
  out_bold(&h->job->out, false);
}

/* ---- elements ---- */

static void begin_image(struct html *h, const char **attributes) {
  const char *alt = html_attribute(attributes, "alt");
  size_t n = alt ? strlen(alt) : 0;
  size_t solid = 0;
  for (size_t i = 0; i < n; i++) solid += isalnum((unsigned char)alt[i]) || (alt[i] & 0x80);
  if (n < 3 || !solid || h->in_title) return;
  if (alt[0] == '[' && alt[n - 1] == ']') return; /* an icon: "[Note]" */
  const char *dot = strrchr(alt, '.');
  if (dot && strlen(dot) <= 5 && !strchr(alt, ' ')) return; /* a file's name */
  put(h, alt, n);
}

static bool begin_math(struct html *h, const char **attributes) {
  const char *text = html_attribute(attributes, "alttext");
  if (!text || !*text) return true;
  put(h, "$", 1);
  put(h, text, strlen(text));
  put(h, "$", 1);
  return false;
}

static void begin_root(struct html *h, const char **attributes) {
  const char *language = html_attribute(attributes, "lang");
  if (!language) language = html_attribute(attributes, "xml:lang");
  if (language && *language && !h->options->quiet)
    out_meta(&h->job->out, "language", language, strlen(language));
}

static void begin_term(struct html *h) {
  block_edge(h, true);
  begin_bold(h);
}

/* False: the element is left out. */
static bool begin(struct html *h, const struct element *e, const char **attributes,
                  uint32_t number) {
  switch (e->kind) {
  case ROOT:
    begin_root(h, attributes);
    break;
  case BLOCK:
  case NAV:
  case ASIDE:
  case PAGE_HEADER:
  case PAGE_FOOTER:
  case FORM:
  case MAIN:
  case ARTICLE:
  case BODY:
  case PARAGRAPH:
  case DL:
    block_edge(h, true);
    break;
  case HEADING:
    begin_heading(h, e);
    break;
  case BOLD:
    begin_bold(h);
    break;
  case UL:
  case OL:
    begin_list(h, e->kind, attributes);
    break;
  case LI:
    begin_item(h);
    break;
  case DT:
    begin_term(h);
    break;
  case DD:
    leave_inline(h);
    if (h->in_cell)
      flow(h, " ", 1);
    else
      start_block(h, 1), h->defined = h->job->out.blocks + 1;
    break;
  case QUOTE:
    block_edge(h, true);
    if (!h->in_cell) push_level(h, QUOTE), start_block(h, 2);
    break;
  case PRE:
    leave_inline(h);
    h->pre++;
    break;
  case CODE:
    if (!h->pre) h->in_code++;
    break;
  case TABLE:
    begin_table(h, number);
    break;
  case TR:
    if (h->collects)
      end_cell(h), table_row(&h->table);
    else
      block_edge(h, true);
    break;
  case CELL:
    begin_cell(h, attributes);
    break;
  case BR:
    if (h->pre)
      buf_addc(&h->block, '\n');
    else if (h->in_cell)
      buf_addc(&h->cell, ' ');
    else
      leave_inline(h), h->breaks++;
    break;
  case INLINE_QUOTE:
    put(h, "\xe2\x80\x9c", 3);
    break;
  case SUPER:
    h->in_super = true;
    break;
  case IMAGE:
    begin_image(h, attributes);
    break;
  case MATH:
    return begin_math(h, attributes);
  case TITLE:
    h->in_title = true; /* its text is not the page's */
    break;
  case LINK:
  case INLINE:
  case SKIP:
    break;
  }
  return true;
}

static void finish_title(struct html *h) {
  if (h->in_title && !h->titled && h->title.len)
    out_meta(&h->job->out, "title", h->title.data, h->title.len);
  h->titled = h->titled || h->title.len > 0;
  h->in_title = false;
}

static void end(struct html *h, const struct element *e) {
  switch (e->kind) {
  case ROOT:
  case BLOCK:
  case NAV:
  case ASIDE:
  case PAGE_HEADER:
  case PAGE_FOOTER:
  case FORM:
  case MAIN:
  case ARTICLE:
  case BODY:
  case PARAGRAPH:
  case DL:
    block_edge(h, false);
    break;
  case HEADING:
    h->in_heading = false;
    block_edge(h, false);
    if (!h->in_cell) out_bold(&h->job->out, h->bold > 0);
    break;
  case DT:
    leave_inline(h);
    end_bold(h);
    if (!h->in_cell) start_block(h, 1);
    break;
  case BOLD:
    end_bold(h);
    break;
  case UL:
  case OL:
    end_list(h);
    break;
  case PRE:
    end_pre(h);
    break;
  case CODE:
    if (h->in_code && --h->in_code == 0) end_code(h, true);
    break;
  case QUOTE:
    leave_inline(h);
    if (h->in_cell) break;
    h->depth -= h->depth > 0;
    start_block(h, 2);
    break;
  case LI:
  case DD:
    leave_inline(h);
    if (h->in_cell)
      flow(h, " ", 1);
    else
      start_block(h, 1);
    break;
  case CELL:
    if (h->collects)
      end_cell(h);
    else
      block_edge(h, false);
    break;
  case TR:
    if (h->collects)
      end_cell(h);
    else
      block_edge(h, false);
    break;
  case TABLE:
    end_cell(h);
    end_table(h);
    break;
  case INLINE_QUOTE:
    put(h, "\xe2\x80\x9d", 3);
    break;
  case SUPER:
    h->in_super = false;
    break;
  case TITLE:
    finish_title(h);
    break;
  case MATH:
  case BR:
  case IMAGE:
  case LINK:
  case INLINE:
  case SKIP:
    break;
  }
}

static bool on_begin(void *arg, const struct element *e, const char **attributes, uint32_t number) {
  struct html *h = arg;
  if (h->rc || html_plan_leaves_out(&h->plan, number)) return false;
  if (h->plan.main == number) h->inside_main = number;
  if (h->plan.main && !h->inside_main && e->kind != TITLE && e->kind != ROOT) return true;
  if (e->kind == BLOCK || e->kind == PRE || (h->pre && e->kind != BR)) {
    note_language(h, attributes, number);
  }
  return begin(h, e, attributes, number);
}

static void on_end(void *arg, const struct element *e, uint32_t number) {
  struct html *h = arg;
  if (h->plan.main && !h->inside_main && e->kind != TITLE && e->kind != ROOT) return;
  end(h, e);
  if (h->language_from == number && number) h->language[0] = 0, h->language_from = 0;
  if (h->inside_main == number) h->inside_main = 0;
}

static void on_text(void *arg, const char *s, size_t n) {
  struct html *h = arg;
  if (h->in_super && !h->in_code && !h->pre && n > 0 && s[0] >= '0' && s[0] <= '9') {
    put(h, "^", 1);
    h->in_super = false;
  }
  put(h, s, n);
}

static bool is_gone(void *arg) {
  const struct html *h = arg;
  return h->rc || h->job->out.gone;
}

/* ---- encoding ---- */

/* The charset that a <meta> of the head declares, lower or upper case as it stands there. */
static bool declared(const char *s, size_t n, char *out, size_t cap) {
  const char *end = s + (n < HEAD ? n : HEAD);
  for (const char *p = s; (p = memmem(p, (size_t)(end - p), "<", 1)); p++) {
    if (end - p < 6 || strncasecmp(p, "<meta", 5)) continue;
    const char *close = memchr(p, '>', (size_t)(end - p));
    for (close = close ? close : end; p + 8 < close; p++) {
      if (strncasecmp(p, "charset", 7)) continue;
      p += 7;
      while (p < close && (*p == ' ' || *p == '=' || *p == '"' || *p == '\'')) p++;
      size_t len = 0;
      while (p + len < close && len + 1 < cap && (unsigned char)p[len] > ' ' &&
             !strchr("\"';/>", p[len]))
        len++;
      memcpy(out, p, len);
      out[len] = 0;
      return len > 0;
    }
  }
  return false;
}

/* The encoding that an XML declaration names. */
static bool declared_xml(const char *s, size_t n, char *out, size_t cap) {
  size_t len = 0;
  if (n > 256) n = 256;
  if (n < 6 || memcmp(s, "<?xml", 5) != 0) return false;
  const char *close = memmem(s, n, "?>", 2);
  const char *p = close ? memmem(s, (size_t)(close - s), "encoding", 8) : NULL;
  if (!p) return false;
  for (p += 8; p < close && (*p == ' ' || *p == '=' || *p == '"' || *p == '\'');) p++;
  while (p + len < close && len + 1 < cap && (unsigned char)p[len] > ' ' && p[len] != '"' &&
         p[len] != '\'')
    len++;
  memcpy(out, p, len);
  out[len] = 0;
  return len > 0;
}

/* Control characters have no place in a page; one in a hundred of them means that it is none. */
static bool is_binary(const struct buf *text) {
  size_t odd = 0;
  for (size_t i = 0; i < text->len; i++) {
    unsigned char c = (unsigned char)text->data[i];
    odd += c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f';
  }
  return odd > 16 && odd > text->len / 100;
}

/* Browsers read these names as their Windows supersets, and a page that says UTF-16 in ASCII is
 * lying. */
static const char *as_browsers_do(const char *name) {
  static const char *const latin[] = {"iso-8859-1", "latin1", "iso8859-1", "us-ascii", "ascii"};
  for (size_t i = 0; i < sizeof latin / sizeof *latin; i++)
    if (!strcasecmp(name, latin[i])) return "WINDOWS-1252";
  if (!strncasecmp(name, "utf-16", 6)) return "UTF-8";
  if (!strcasecmp(name, "utf8")) return "UTF-8";
  return name;
}

static bool is_utf8(const char *name) {
  return !strcasecmp(name, "utf-8");
}

/* What the page declares is believed unless its bytes say otherwise: valid UTF-8 is UTF-8, and
 * bytes that are far from it are not. */
static int decode(struct job *job, const struct buf *raw, bool quiet, struct buf *out,
                  struct err *err) {
  struct encoding e;
  char name[64];
  size_t replaced = 0;
  int rc = encoding_detect(raw->data, raw->len, &e, err);
  if (rc) return rc;
  const char *use = e.name;
  bool says = declared_xml(raw->data, raw->len, name, sizeof name) ||
              declared(raw->data, raw->len, name, sizeof name);
  if (e.how != ENCODING_BOM && says && e.how != ENCODING_VALID &&
      !(is_utf8(as_browsers_do(name)) && e.how != ENCODING_MOSTLY))
    use = as_browsers_do(name);
  rc = encoding_to_utf8(raw->data, raw->len, use, out, &replaced, err);
  if (rc == ERR_UNSUPPORTED) { /* a charset nobody knows */
    buf_reset(out);
    use = e.name;
    rc = encoding_to_utf8(raw->data, raw->len, use, out, &replaced, err);
  }
  if (rc) return rc;
  if (is_binary(out))
    return err_set(err, ERR_UNSUPPORTED,
                   "unsupported type: it begins like HTML and goes on with binary data");
  if (!quiet) out_meta(&job->out, "encoding", use, strlen(use));
  if (!quiet && use == e.name && (e.how == ENCODING_GUESS || e.how == ENCODING_FALLBACK))
    out_note(&job->out, "encoding %s: the page declares none, this is a guess", use);
  if (replaced) out_note(&job->out, "%zu malformed %s sequences replaced by U+FFFD", replaced, use);
  return buf_check(out, "decoded HTML", err);
}

static int read_all(struct job *job, struct buf *out, struct err *err) {
  if (job->bytes > HTML_MAX)
    return err_set(err, ERR_LIMIT, "limit: an HTML file of more than %llu MiB",
                   (unsigned long long)HTML_MAX >> 20);
  if (buf_reserve(out, (size_t)job->bytes + 1)) return err_nomem(err, job->bytes, "the HTML file");
  long long n = job_read(job, 0, out->data, (size_t)job->bytes, err);
  if (n < 0) return ERR_IO;
  out->len = (size_t)n;
  return 0;
}

static void html_clear(struct html *h) {
  buf_clear(&h->title);
  buf_clear(&h->block);
  buf_clear(&h->code);
  buf_clear(&h->cell);
  table_clear(&h->table);
  html_plan_clear(&h->plan);
}

static int read_page(struct job *job, const struct buf *raw, const struct html_options *o,
                     struct err *err) {
  struct html h = {.job = job, .options = o, .titled = o->quiet, .err = err};
  struct html_walker w = {&h, on_begin, on_end, on_text, is_gone};
  struct buf text;
  buf_init(&text);
  table_init(&h.table);
  int rc = decode(job, raw, o->quiet, &text, err);
  if (!rc)
    rc = html_plan_make(&h.plan, text.data ? text.data : "", text.len, o->whole, is_gone, &h, err);
  if (!rc) rc = html_walk(&w, text.data ? text.data : "", text.len, err);
  if (!rc) rc = h.rc;
  if (!rc && h.plan.dropped && !o->quiet)
    out_note(&job->out, "navigation and the like left out: %llu characters",
             (unsigned long long)h.plan.dropped);
  out_bold(&job->out, false);
  buf_clear(&text);
  html_clear(&h);
  return rc;
}

int html_read_bytes(struct job *job, const char *bytes, size_t n, const struct html_options *o,
                    bool *has_text, struct err *err) {
  struct buf raw = {.data = (char *)(uintptr_t)bytes, .len = n, .cap = n}; /* only read */
  uint64_t before = job->out.blocks;
  if (job->out.began) out_block(&job->out, 2, "");
  int rc = read_page(job, &raw, o, err);
  if (has_text) *has_text = job->out.blocks > before;
  return rc;
}

int html_read(struct job *job, struct err *err) {
  struct buf raw;
  buf_init(&raw);
  int rc = read_all(job, &raw, err);
  if (!rc) rc = read_page(job, &raw, &(struct html_options){0}, err);
  buf_clear(&raw);
  out_block(&job->out, 0, "");
  if (!rc && job->out.began) out_raw(&job->out, "\n", 1);
  return rc;
}

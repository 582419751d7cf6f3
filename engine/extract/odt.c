/* SPDX-License-Identifier: MIT */
/* ODT to text (OpenDocument 1.3, part 3). The members that are looked at, in this order:
 *
 *   META-INF/manifest.xml   whether it is encrypted
 *   meta.xml                title, author, language
 *   styles.xml              styles: which are titles, bold, preformatted; how lists count
 *   content.xml             the document's own (automatic) styles, then the text
 *
 *   text:h outline-level=2  "## "         text:list / list-item   "- ", "1. ", nested by elements
 *   text:p of style Title   "# "          table:table             a pipe table
 *   text:note               "[^1]"        Preformatted Text       lines between "```"
 *
 * A heading that is an item of a list (LibreOffice numbers chapters so) is a heading. Left out:
 * tables of contents and other indexes but bibliographies, deleted text (text:tracked-changes),
 * comments, phonetic guides, hidden text, headers and footers.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "extract/flow.h"
#include "extract/package.h"
#include "extract/worker.h"
#include "extract/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STYLES_MAX 8192
#define LISTS_MAX  2048
#define REPEAT_MAX 64u /* of one cell: spreadsheets repeat empty ones by the thousand */
#define TITLE_MAX  512
#define FLAT_MAX   ((uint64_t)128 << 20)
#define LEVELS     10
#define BOLD_DEPTH 32

struct style {
  char name[64], parent[64];
  char list[64]; /* the list style that paragraphs of it have */
  bool bold, not_bold, hidden, code;
};

struct list_style {
  char name[64];
  unsigned char format[LEVELS]; /* enum flow_number; FORMAT_NONE: no mark */
  unsigned start[LEVELS];
};
#define FORMAT_NONE 255

/* What a paragraph's style says, with all that it is based on. */
struct look {
  bool title, code, hidden, bold;
  bool weight; /* bold says something */
};

struct odt {
  struct job *job;
  struct err *err;
  struct package package;
  struct flow flow;
  struct xml xml;
  bool encrypted;

  struct style *styles;
  size_t style_count;
  struct style *style; /* being read */
  struct list_style *lists;
  size_t list_count;
  struct list_style *list; /* being read */

  struct buf meta; /* text of the key below */
  const char *key;
  bool titled;

  bool in_body;
  unsigned paragraphs;                     /* open ones */
  bool bold[BOLD_DEPTH], code[BOLD_DEPTH]; /* of the open spans */
  size_t spans;
  bool paragraph_bold;

  struct {
    const struct list_style *style;
    unsigned count; /* of the items so far; an item that holds only a list is none */
    unsigned start; /* of this item; UINT_MAX: the next number */
    bool begun;     /* the item's mark is written; a text:list-header has none */
  } open[LEVELS];   /* lists, the innermost last */
  unsigned depth;
  unsigned note_depth; /* lists outside the note, which does not see them */
};

enum token {
  T_OTHER,
  T_P,
  T_H,
  T_SPAN,
  T_S,
  T_TAB,
  T_BREAK,
  T_LIST,
  T_ITEM,
  T_HEADER,
  T_TABLE,
  T_COLUMN,
  T_ROW,
  T_CELL,
  T_COVERED,
  T_NOTE,
  T_NOTE_BODY,
  T_NOTE_CITATION,
  T_SKIP,
  T_BODY,
  T_STYLE,
  T_TEXT_PROPERTIES,
  T_LIST_STYLE,
  T_LEVEL_NUMBER,
  T_LEVEL_BULLET,
  T_ENCRYPTION,
  T_TITLE,
  T_CREATOR,
  T_AUTHOR,
  T_LANGUAGE
};

#define TEXT  "xmlns:text:"
#define TABLE "xmlns:table:"
#define STYLE "xmlns:style:"

static const struct xml_name names[] = {{"p", TEXT, T_P},
                                        {"h", TEXT, T_H},
                                        {"span", TEXT, T_SPAN},
                                        {"s", TEXT, T_S},
                                        {"tab", TEXT, T_TAB},
                                        {"line-break", TEXT, T_BREAK},
                                        {"list", TEXT, T_LIST},
                                        {"list-item", TEXT, T_ITEM},
                                        {"list-header", TEXT, T_HEADER},
                                        {"table", TABLE, T_TABLE},
                                        {"table-column", TABLE, T_COLUMN},
                                        {"table-row", TABLE, T_ROW},
                                        {"table-cell", TABLE, T_CELL},
                                        {"covered-table-cell", TABLE, T_COVERED},
                                        {"note", TEXT, T_NOTE},
                                        {"note-body", TEXT, T_NOTE_BODY},
                                        {"note-citation", TEXT, T_NOTE_CITATION},
                                        {"tracked-changes", TEXT, T_SKIP},
                                        {"annotation", "xmlns:office:", T_SKIP},
                                        {"ruby-text", TEXT, T_SKIP},
                                        {"hidden-text", TEXT, T_SKIP},
                                        {"table-of-content", TEXT, T_SKIP},
                                        {"alphabetical-index", TEXT, T_SKIP},
                                        {"illustration-index", TEXT, T_SKIP},
                                        {"table-index", TEXT, T_SKIP},
                                        {"object-index", TEXT, T_SKIP},
                                        {"user-index", TEXT, T_SKIP},
                                        {"title", "svg-compatible", T_SKIP},
                                        {"desc", "svg-compatible", T_SKIP},
                                        {"forms", "xmlns:office:", T_SKIP},
                                        {"text", "xmlns:office:", T_BODY},
                                        {"style", STYLE, T_STYLE},
                                        {"text-properties", STYLE, T_TEXT_PROPERTIES},
                                        {"list-style", TEXT, T_LIST_STYLE},
                                        {"list-level-style-number", TEXT, T_LEVEL_NUMBER},
                                        {"list-level-style-bullet", TEXT, T_LEVEL_BULLET},
                                        {"list-level-style-image", TEXT, T_LEVEL_BULLET},
                                        {"encryption-data", "xmlns:manifest:", T_ENCRYPTION},
                                        {"title", "dc/elements", T_TITLE},
                                        {"creator", "dc/elements", T_CREATOR},
                                        {"initial-creator", "xmlns:meta:", T_AUTHOR},
                                        {"language", "dc/elements", T_LANGUAGE},
                                        {NULL, NULL, 0}};

typedef void on_start(void *arg, int token, const struct xml_attributes *a);
typedef void on_end(void *arg, int token);
typedef void on_text(void *arg, const char *s, size_t n);

static int parse_part(struct odt *d, const char *name, on_start *start, on_end *end,
                      on_text *text) {
  const struct part *part = package_part(&d->package, name);
  if (!part) return 0;
  d->xml = (struct xml){
      .what = "ODT", .names = names, .start = start, .end = end, .text = text, .arg = d};
  return xml_parse(&d->xml, name, part->bytes.data ? part->bytes.data : "", part->bytes.len,
                   d->err);
}

static void nothing_ends(void *arg, int token) {
  (void)arg, (void)token;
}

/* ---- encryption, title, author ---- */

static void manifest_start(void *arg, int token, const struct xml_attributes *a) {
  struct odt *d = arg;
  (void)a;
  if (token == T_ENCRYPTION) d->encrypted = true;
}

static void meta_start(void *arg, int token, const struct xml_attributes *a) {
  struct odt *d = arg;
  (void)a;
  d->key = token == T_TITLE                          ? "title"
           : token == T_AUTHOR || token == T_CREATOR ? "author"
           : token == T_LANGUAGE                     ? "language"
                                                     : NULL;
  buf_reset(&d->meta);
}

static void meta_end(void *arg, int token) {
  struct odt *d = arg;
  (void)token;
  if (d->key && d->meta.len) {
    out_meta(&d->job->out, d->key, d->meta.data, d->meta.len);
    d->titled = d->titled || !strcmp(d->key, "title");
  }
  d->key = NULL;
}

static void meta_text(void *arg, const char *s, size_t n) {
  struct odt *d = arg;
  if (d->key && d->meta.len + n <= TITLE_MAX) buf_add(&d->meta, s, n);
}

/* ---- styles ---- */

static unsigned char format_of(const char *format) {
  switch (format[0]) {
  case 0:
    return FORMAT_NONE;
  case 'a':
    return NUMBER_LOWER;
  case 'A':
    return NUMBER_UPPER;
  case 'i':
    return NUMBER_ROMAN;
  case 'I':
    return NUMBER_ROMAN_UPPER;
  default:
    return NUMBER_DECIMAL;
  }
}

static void begin_list_style(struct odt *d, const struct xml_attributes *a) {
  d->list = NULL;
  if (d->list_count == LISTS_MAX) return;
  d->list = &d->lists[d->list_count++];
  *d->list = (struct list_style){0};
  xml_attribute(a, "name", d->list->name, sizeof d->list->name);
  for (int i = 0; i < LEVELS; i++) d->list->start[i] = 1;
}

static void begin_level(struct odt *d, int token, const struct xml_attributes *a) {
  char format[16];
  unsigned level = xml_number(a, "level", 1, LEVELS);
  if (!d->list || level == 0) return;
  xml_attribute(a, "num-format", format, sizeof format);
  d->list->format[level - 1] = token == T_LEVEL_NUMBER ? format_of(format) : NUMBER_BULLET;
  d->list->start[level - 1] = xml_number(a, "start-value", 1, 1000000);
}

static void begin_style(struct odt *d, const struct xml_attributes *a) {
  d->style = NULL;
  if (d->style_count == STYLES_MAX) return;
  d->style = &d->styles[d->style_count++];
  *d->style = (struct style){0};
  xml_attribute(a, "name", d->style->name, sizeof d->style->name);
  xml_attribute(a, "parent-style-name", d->style->parent, sizeof d->style->parent);
  xml_attribute(a, "list-style-name", d->style->list, sizeof d->style->list);
}

/* Elements of styles; true when the token was one. */
static bool style_element(struct odt *d, int token, const struct xml_attributes *a) {
  char value[64];
  if (token == T_STYLE) return begin_style(d, a), true;
  if (token == T_LIST_STYLE) return begin_list_style(d, a), true;
  if (token == T_LEVEL_NUMBER || token == T_LEVEL_BULLET) return begin_level(d, token, a), true;
  if (token != T_TEXT_PROPERTIES) return false;
  if (!d->style) return true;
  if (xml_attribute_ns(a, "xsl-fo-compatible", "font-weight", value, sizeof value)) {
    d->style->bold = !strcmp(value, "bold") || (value[0] >= '6' && value[0] <= '9');
    d->style->not_bold = !d->style->bold;
  }
  xml_attribute_ns(a, STYLE, "font-name", value, sizeof value);
  d->style->code = flow_is_monospace(value) && strcmp(d->style->name, "Standard") != 0;
  xml_attribute(a, "display", value, sizeof value);
  if (!strcmp(value, "none")) d->style->hidden = true;
  return true;
}

static void styles_start(void *arg, int token, const struct xml_attributes *a) {
  style_element(arg, token, a);
}

static const struct style *style_named(const struct odt *d, const char *name) {
  for (size_t i = d->style_count; i-- > 0;) /* the document's own come last */
    if (!strcmp(d->styles[i].name, name)) return &d->styles[i];
  return NULL;
}

static const struct list_style *list_named(const struct odt *d, const char *name) {
  for (size_t i = d->list_count; *name && i-- > 0;)
    if (!strcmp(d->lists[i].name, name)) return &d->lists[i];
  return NULL;
}

static struct look look_of(const struct odt *d, const char *name) {
  struct look look = {0};
  for (int i = 0; *name && i < 10; i++) {
    const struct style *s = style_named(d, name);
    if (!strcmp(name, "Title")) look.title = true;
    if (!strncmp(name, "Preformatted", 12) || !strncmp(name, "Source_20_Code", 14))
      look.code = true;
    if (!s) break;
    if (!look.weight && (s->bold || s->not_bold)) look.bold = s->bold, look.weight = true;
    look.code = look.code || s->code;
    look.hidden = look.hidden || s->hidden;
    name = s->parent;
  }
  return look;
}

/* ---- lists ---- */

static void begin_list(struct odt *d, const struct xml_attributes *a) {
  char name[64], yes[8];
  unsigned at = d->depth < LEVELS ? d->depth : LEVELS - 1;
  xml_attribute(a, "style-name", name, sizeof name);
  const struct list_style *style = list_named(d, name);
  if (!style && d->depth > d->note_depth) style = d->open[at - 1].style;
  xml_attribute(a, "continue-numbering", yes, sizeof yes);
  bool goes_on = (!strcmp(yes, "true") || xml_attribute(a, "continue-list", name, sizeof name)) &&
                 d->open[at].style == style;
  if (!goes_on) d->open[at].count = 0;
  d->open[at].style = style;
  d->open[at].begun = true; /* until an item begins */
  d->depth++;
}

static void begin_item(struct odt *d, int token, const struct xml_attributes *a) {
  if (!d->depth || d->depth > LEVELS) return;
  d->open[d->depth - 1].start = xml_number(a, "start-value", UINT32_MAX, 1000000);
  d->open[d->depth - 1].begun = token == T_HEADER;
}

/* The list at work, in d->open; those deeper than it holds share its last place. */
static unsigned innermost(const struct odt *d) {
  if (d->depth >= LEVELS) return LEVELS - 1;
  return d->depth ? d->depth - 1 : 0;
}

/* Counts an item at its first paragraph. */
static void count_item(struct odt *d, unsigned at) {
  const struct list_style *style = d->open[at].style;
  if (d->open[at].start != UINT32_MAX)
    d->open[at].count = d->open[at].start;
  else if (d->open[at].count == 0 && style)
    d->open[at].count = style->start[at];
  else
    d->open[at].count++;
}

/* The style of a paragraph inside a list's item. */
static void item_style(struct odt *d, struct flow_style *s) {
  unsigned at = innermost(d);
  const struct list_style *style = d->open[at].style;
  unsigned char format = style ? style->format[at] : (unsigned char)NUMBER_BULLET;
  s->kind = FLOW_ITEM;
  s->level = at - (d->note_depth < at ? d->note_depth : at);
  s->more = d->open[at].begun;
  if (!s->more) count_item(d, at);
  d->open[at].begun = true;
  if (format == FORMAT_NONE) {
    s->kind = at ? FLOW_ITEM : FLOW_TEXT;
    s->more = true;
  } else {
    flow_label((enum flow_number)format, d->open[at].count, s->label, sizeof s->label);
  }
}

static bool item_begun(const struct odt *d) {
  return d->depth > 0 && d->open[innermost(d)].begun;
}

/* ---- the text ---- */

static void set_marks(struct odt *d) {
  size_t at = (d->spans <= BOLD_DEPTH ? d->spans : BOLD_DEPTH) - 1;
  flow_bold(&d->flow, d->spans ? d->bold[at] : d->paragraph_bold);
  flow_code(&d->flow, d->spans && d->code[at]);
}

static void begin_paragraph(struct odt *d, int token, const struct xml_attributes *a) {
  struct flow_style s = {0};
  char name[64];
  xml_attribute(a, "style-name", name, sizeof name);
  struct look look = look_of(d, name);
  if (look.hidden) {
    xml_skip(&d->xml);
    return;
  }
  d->paragraphs++;
  if (token == T_H) {
    s.kind = FLOW_HEADING;
    s.level = xml_number(a, "outline-level", 1, 10);
    if (s.level == 0) s.level = 1;
  } else if (look.title && d->depth == 0) {
    s.kind = FLOW_HEADING;
    s.level = 1;
  } else if (d->depth > d->note_depth && !(look.code && item_begun(d))) {
    item_style(d, &s);
  } else if (look.code) {
    s.kind = FLOW_CODE;
    s.level = d->depth;
  }
  if (!d->flow.in_note) d->spans = 0, d->paragraph_bold = look.bold;
  flow_open(&d->flow, &s);
  set_marks(d);
}

static void end_paragraph(struct odt *d) {
  struct buf *title = &d->flow.first_heading;
  d->paragraphs -= d->paragraphs > 0;
  flow_close(&d->flow);
  if (!d->titled && title->len) {
    out_meta(&d->job->out, "title", title->data, title->len);
    d->titled = true;
  }
  if (d->flow.rc) xml_stop(&d->xml, d->flow.rc);
  if (d->job->out.gone) xml_stop(&d->xml, ERR_IO);
}

static void begin_span(struct odt *d, const struct xml_attributes *a) {
  char name[64];
  xml_attribute(a, "style-name", name, sizeof name);
  struct look look = look_of(d, name);
  if (look.hidden) {
    xml_skip(&d->xml);
    return;
  }
  if (!strcmp(name, "Strong_20_Emphasis")) look.bold = look.weight = true;
  if (!strcmp(name, "Source_20_Text") || !strcmp(name, "Teletype")) look.code = true;
  size_t outer = d->spans - 1;
  if (d->spans < BOLD_DEPTH) {
    d->bold[d->spans] = look.weight ? look.bold : d->spans ? d->bold[outer] : d->paragraph_bold;
    d->code[d->spans] = look.code || (d->spans && d->code[outer]);
  }
  d->spans++;
  set_marks(d);
}

static void begin_note(struct odt *d) {
  flow_note(&d->flow);
  d->note_depth = d->depth;
}

static void content_start(void *arg, int token, const struct xml_attributes *a) {
  struct odt *d = arg;
  struct flow *f = &d->flow;
  if (token == T_BODY) d->in_body = true;
  if (!d->in_body) {
    style_element(d, token, a);
    return;
  }
  switch ((enum token)token) {
  case T_SKIP:
  case T_NOTE_CITATION:
    xml_skip(&d->xml);
    break;
  case T_P:
  case T_H:
    begin_paragraph(d, token, a);
    break;
  case T_SPAN:
    begin_span(d, a);
    break;
  case T_S:
    flow_space(f, xml_number(a, "c", 1, 256));
    break;
  case T_TAB:
    flow_tab(f);
    break;
  case T_BREAK:
    flow_break(f);
    break;
  case T_LIST:
    begin_list(d, a);
    break;
  case T_ITEM:
  case T_HEADER:
    begin_item(d, token, a);
    break;
  case T_TABLE:
    flow_table(f);
    break;
  case T_COLUMN:
    flow_columns(f, xml_number(a, "number-columns-repeated", 1, REPEAT_MAX));
    break;
  case T_ROW:
    flow_row(f);
    break;
  case T_CELL:
  case T_COVERED:
    flow_cell(f, 1, xml_number(a, "number-columns-repeated", 1, REPEAT_MAX));
    break;
  case T_NOTE_BODY:
    begin_note(d);
    break;
  default:
    break;
  }
}

static void content_end(void *arg, int token) {
  struct odt *d = arg;
  struct flow *f = &d->flow;
  if (!d->in_body) return;
  switch ((enum token)token) {
  case T_P:
  case T_H:
    end_paragraph(d);
    break;
  case T_SPAN:
    d->spans -= d->spans > 0;
    set_marks(d);
    break;
  case T_LIST:
    d->depth -= d->depth > 0;
    if (d->depth > 0 && d->depth <= LEVELS) d->open[d->depth - 1].begun = true;
    if (d->depth == 0) flow_list_end(f);
    break;
  case T_CELL:
  case T_COVERED:
    flow_cell_end(f);
    break;
  case T_TABLE:
    flow_table_end(f);
    break;
  case T_NOTE_BODY:
    flow_note_end(f);
    d->depth = d->note_depth;
    d->note_depth = 0;
    set_marks(d);
    break;
  case T_BODY:
    d->in_body = false;
    break;
  default:
    break;
  }
}

static void content_text(void *arg, const char *s, size_t n) {
  struct odt *d = arg;
  if (!d->in_body || !d->paragraphs) return;
  flow_text(&d->flow, s, n);
}

/* ---- a flat document: the same in one XML file (FODT) ---- */

static void flat_start(void *arg, int token, const struct xml_attributes *a) {
  struct odt *d = arg;
  if (!d->in_body) meta_start(arg, token, a);
  content_start(arg, token, a);
}

static void flat_end(void *arg, int token) {
  struct odt *d = arg;
  if (!d->in_body) meta_end(arg, token);
  content_end(arg, token);
}

static void flat_text(void *arg, const char *s, size_t n) {
  struct odt *d = arg;
  if (d->in_body)
    content_text(arg, s, n);
  else
    meta_text(arg, s, n);
}

static int read_flat(struct odt *d) {
  struct job *job = d->job;
  struct buf bytes;
  int rc = 0;
  buf_init(&bytes);
  if (job->bytes > FLAT_MAX)
    rc = err_set(d->err, ERR_LIMIT, "limit: a flat ODT of more than %llu MiB",
                 (unsigned long long)FLAT_MAX >> 20);
  if (!rc && buf_reserve(&bytes, (size_t)job->bytes + 1))
    rc = err_nomem(d->err, job->bytes, "a flat ODT");
  long long n = rc ? 0 : job_read(job, 0, bytes.data, (size_t)job->bytes, d->err);
  if (n < 0) rc = ERR_IO;
  d->xml = (struct xml){.what = "ODT",
                        .names = names,
                        .start = flat_start,
                        .end = flat_end,
                        .text = flat_text,
                        .arg = d};
  if (!rc) rc = xml_parse(&d->xml, "it", bytes.data, (size_t)n, d->err);
  buf_clear(&bytes);
  return rc;
}

/* ---- the package ---- */

static bool wanted(const char *name) {
  static const char *const parts[] = {"mimetype", "content.xml", "styles.xml", "meta.xml",
                                      "META-INF/manifest.xml"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!strcmp(name, parts[i])) return true;
  return false;
}

static int read_parts(struct odt *d) {
  int rc = parse_part(d, "META-INF/manifest.xml", manifest_start, nothing_ends, NULL);
  if (rc == ERR_FORMAT && !d->encrypted) rc = 0; /* old ones have a DTD; it is not needed */
  if (d->encrypted)
    return err_set(d->err, ERR_FORMAT,
                   "unreadable ODT: it is encrypted; save it without a password");
  if (!rc && !package_part(&d->package, "content.xml"))
    rc = err_set(d->err, ERR_FORMAT, "unreadable ODT: there is no content.xml in it");
  if (!rc) rc = parse_part(d, "meta.xml", meta_start, meta_end, meta_text);
  if (!rc) rc = parse_part(d, "styles.xml", styles_start, nothing_ends, NULL);
  if (!rc) rc = parse_part(d, "content.xml", content_start, content_end, content_text);
  return rc;
}

static void clear(struct odt *d) {
  mem_free(d->styles);
  mem_free(d->lists);
  buf_clear(&d->meta);
  flow_clear(&d->flow);
  package_close(&d->package);
  mem_free(d);
}

int odt_read(struct job *job, struct err *err) {
  struct odt *d = mem_zero(sizeof *d);
  if (!d) return err_nomem(err, sizeof *d, "an ODT");
  d->job = job;
  d->err = err;
  flow_init(&d->flow, &job->out, err);
  d->styles = mem_array(STYLES_MAX, sizeof *d->styles);
  d->lists = mem_array(LISTS_MAX, sizeof *d->lists);
  int rc = d->styles && d->lists ? 0 : err_nomem(err, 0, "styles");
  char head[2] = {0};
  if (!rc && job_read(job, 0, head, sizeof head, err) < 0) rc = ERR_IO;
  bool flat = memcmp(head, "PK", 2) != 0;
  if (!rc && !flat) rc = package_open(&d->package, job, "ODT", wanted, err);
  if (!rc) rc = flat ? read_flat(d) : read_parts(d);
  int ended = flow_finish(&d->flow);
  if (!rc) rc = ended;
  clear(d);
  return rc;
}

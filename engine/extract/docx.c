/* SPDX-License-Identifier: MIT */
/* DOCX to text. The parts that are looked at, in this order (ECMA-376; names as Word writes them,
 * the document's own through _rels/.rels):
 *
 *   docProps/core.xml     title, author, language
 *   word/styles.xml       which styles are headings, lists, code, a table of contents
 *   word/numbering.xml    how lists count: numId → abstractNum → nine levels
 *   word/footnotes.xml, word/endnotes.xml
 *   word/document.xml     the text, event by event, never as a tree
 *
 * Paragraphs, lists, tables and notes become text in flow.c. Left out: deleted and moved-away text,
 * hidden text, fields' instructions, the second version of what is there twice (mc:Fallback),
 * headers, footers, comments, phonetic guides, and tables of contents, which repeat the headings.
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

#define STYLES_MAX    4096
#define NUMBERS_MAX   4096
#define ABSTRACTS_MAX 2048
#define NOTES_MAX     ((size_t)1 << 16)
#define TITLE_MAX     512
#define LEVELS        9

struct style {
  char id[64];
  char based_on[64];
  unsigned heading; /* 1–6, 0: none */
  unsigned number;  /* numId; 0: none */
  unsigned level;
  bool list, code, contents;
};

struct abstract {
  unsigned id;
  unsigned char format[LEVELS]; /* enum flow_number; FORMAT_NONE: no mark at all */
  unsigned start[LEVELS];
  unsigned count[LEVELS];
};
#define FORMAT_NONE 255

struct number {
  unsigned id, abstract; /* index into abstracts; UINT_MAX: not there */
  unsigned start[LEVELS];
  unsigned char overrides[LEVELS]; /* 1: the start is not used yet */
};

struct note {
  char id[16];
  bool end; /* an endnote */
  char *text;
};

struct docx {
  struct job *job;
  struct err *err;
  struct package package;
  struct flow flow;
  struct xml xml;

  struct style *styles;
  size_t style_count;
  struct style style; /* being read */
  bool in_style, default_style;

  struct abstract *abstracts;
  size_t abstract_count;
  struct number *numbers;
  size_t number_count;
  unsigned at_level; /* being read */

  struct note *notes;
  size_t note_count, note_cap;
  struct buf note;
  bool in_note, endnotes;
  char note_id[16];

  struct buf title; /* of core.xml, being read */
  const char *meta; /* its key */
  bool titled;

  /* the paragraph */
  bool in_properties, in_run_properties, in_text, bold, inline_code, hidden;
  unsigned heading, level, number;
  bool list, code, contents, drop_cap;
  struct buf cap;   /* the large letter whose paragraph comes next */
  bool is_contents; /* the w:sdt that is open is a table of contents */
};

enum token {
  T_OTHER,
  T_P,
  T_PPR,
  T_PSTYLE,
  T_NUMPR,
  T_NUMID,
  T_ILVL,
  T_OUTLINE,
  T_RPR,
  T_R,
  T_B,
  T_VANISH,
  T_RSTYLE,
  T_T,
  T_TAB,
  T_BR,
  T_HYPHEN,
  T_TBL,
  T_TR,
  T_TC,
  T_SPAN,
  T_COLUMN,
  T_BEFORE,
  T_FRAME,
  T_FONTS,
  T_SKIP,
  T_STYLE,
  T_NAME,
  T_BASED,
  T_ABSTRACT,
  T_ABSTRACT_ID,
  T_NUM,
  T_LVL,
  T_OVERRIDE,
  T_START,
  T_START_OVERRIDE,
  T_FORMAT,
  T_FOOTNOTE,
  T_ENDNOTE,
  T_FOOTNOTE_REF,
  T_ENDNOTE_REF,
  T_SDT,
  T_SDT_CONTENT,
  T_GALLERY,
  T_TITLE,
  T_CREATOR,
  T_LANGUAGE
};

#define W "wordprocessingml"

static const struct xml_name names[] = {{"p", W, T_P},
                                        {"r", W, T_R},
                                        {"t", W, T_T},
                                        {"rPr", W, T_RPR},
                                        {"pPr", W, T_PPR},
                                        {"pStyle", W, T_PSTYLE},
                                        {"numPr", W, T_NUMPR},
                                        {"numId", W, T_NUMID},
                                        {"ilvl", W, T_ILVL},
                                        {"outlineLvl", W, T_OUTLINE},
                                        {"b", W, T_B},
                                        {"vanish", W, T_VANISH},
                                        {"rStyle", W, T_RSTYLE},
                                        {"tab", W, T_TAB},
                                        {"ptab", W, T_TAB},
                                        {"br", W, T_BR},
                                        {"cr", W, T_BR},
                                        {"noBreakHyphen", W, T_HYPHEN},
                                        {"tbl", W, T_TBL},
                                        {"tr", W, T_TR},
                                        {"tc", W, T_TC},
                                        {"gridSpan", W, T_SPAN},
                                        {"gridCol", W, T_COLUMN},
                                        {"gridBefore", W, T_BEFORE},
                                        {"framePr", W, T_FRAME},
                                        {"rFonts", W, T_FONTS},
                                        {"del", W, T_SKIP},
                                        {"moveFrom", W, T_SKIP},
                                        {"rt", W, T_SKIP},
                                        {"pPrChange", W, T_SKIP},
                                        {"rPrChange", W, T_SKIP},
                                        {"numberingChange", W, T_SKIP},
                                        {"Fallback", "markup-compatibility", T_SKIP},
                                        {"footnoteReference", W, T_FOOTNOTE_REF},
                                        {"endnoteReference", W, T_ENDNOTE_REF},
                                        {"sdt", W, T_SDT},
                                        {"sdtContent", W, T_SDT_CONTENT},
                                        {"docPartGallery", W, T_GALLERY},
                                        {"t", "officeDocument/2006/math", T_T},
                                        {"t", "ooxml/officeDocument/math", T_T},
                                        {"footnote", W, T_FOOTNOTE},
                                        {"endnote", W, T_ENDNOTE},
                                        {"style", W, T_STYLE},
                                        {"name", W, T_NAME},
                                        {"basedOn", W, T_BASED},
                                        {"abstractNum", W, T_ABSTRACT},
                                        {"abstractNumId", W, T_ABSTRACT_ID},
                                        {"num", W, T_NUM},
                                        {"lvl", W, T_LVL},
                                        {"lvlOverride", W, T_OVERRIDE},
                                        {"start", W, T_START},
                                        {"startOverride", W, T_START_OVERRIDE},
                                        {"numFmt", W, T_FORMAT},
                                        {"title", "dc/elements", T_TITLE},
                                        {"creator", "dc/elements", T_CREATOR},
                                        {"language", "dc/elements", T_LANGUAGE},
                                        {NULL, NULL, 0}};

static bool is_on(const struct xml_attributes *a) { /* <w:b/>, <w:b w:val="0"/> */
  char value[16];
  xml_attribute(a, "val", value, sizeof value);
  return strcmp(value, "0") && strcmp(value, "false") && strcmp(value, "off");
}

typedef void on_start(void *arg, int token, const struct xml_attributes *a);
typedef void on_end(void *arg, int token);
typedef void on_text(void *arg, const char *s, size_t n);

static int parse_part(struct docx *d, const char *name, on_start *start, on_end *end,
                      on_text *text) {
  const struct part *part = package_part(&d->package, name);
  if (!part) return 0;
  d->xml = (struct xml){
      .what = "DOCX", .names = names, .start = start, .end = end, .text = text, .arg = d};
  return xml_parse(&d->xml, name, part->bytes.data ? part->bytes.data : "", part->bytes.len,
                   d->err);
}

/* ---- styles ---- */

static struct style *find_style(const struct docx *d, const char *id) {
  for (size_t i = 0; i < d->style_count; i++)
    if (!strcmp(d->styles[i].id, id)) return &d->styles[i];
  return NULL;
}

static const struct style *style_named(const struct docx *d, const char *id) {
  return find_style(d, id);
}

static bool begins(const char *name, const char *word) {
  return !strncasecmp(name, word, strlen(word));
}

/* "heading 1" → 1, "Title" → 1, "List Bullet 2" → list, level 1, "toc 1" → contents */
static void style_by_name(const char *name, struct style *s) {
  if (begins(name, "heading")) {
    const char *digit = name[7] == ' ' ? name + 8 : name + 7;
    if (*digit >= '1' && *digit <= '9') s->heading = *digit > '6' ? 6 : (unsigned)(*digit - '0');
  }
  if (!strcasecmp(name, "title")) s->heading = 1;
  if (begins(name, "list bullet") || begins(name, "list number") || begins(name, "listbullet") ||
      begins(name, "listnumber")) {
    char last = name[strlen(name) - 1];
    s->list = true;
    if (last >= '2' && last <= '9') s->level = (unsigned)(last - '1');
  }
  if (begins(name, "toc") && (name[3] == ' ' || (name[3] >= '0' && name[3] <= '9')))
    s->contents = true;
  if (begins(name, "html preformatted") || begins(name, "source code") ||
      begins(name, "sourcecode") || begins(name, "htmlpreformatted") ||
      begins(name, "preformatted") || !strcasecmp(name, "code") || begins(name, "code block"))
    s->code = true;
}

static void styles_start(void *arg, int token, const struct xml_attributes *a) {
  struct docx *d = arg;
  char value[64];
  if (token == T_STYLE) {
    d->style = (struct style){0};
    xml_attribute(a, "type", value, sizeof value);
    d->in_style = !strcmp(value, "paragraph");
    d->default_style = xml_number(a, "default", 0, 1) == 1;
    xml_attribute(a, "styleId", d->style.id, sizeof d->style.id);
  }
  if (!d->in_style) return;
  xml_attribute(a, "val", value, sizeof value);
  if (token == T_NAME) style_by_name(value, &d->style);
  if (token == T_BASED) memcpy(d->style.based_on, value, sizeof value);
  if (token == T_FONTS) {
    xml_attribute(a, "ascii", value, sizeof value);
    d->style.code = d->style.code || (flow_is_monospace(value) && !d->default_style);
  }
  if (token == T_NUMID) {
    d->style.number = xml_number(a, "val", 0, UINT32_MAX - 1);
    d->style.list = d->style.number != 0;
  }
  if (token == T_ILVL) d->style.level = xml_number(a, "val", 0, LEVELS - 1);
  if (token == T_OUTLINE && value[0] >= '0' && value[0] <= '5')
    d->style.heading = (unsigned)(value[0] - '0') + 1;
}

static void styles_end(void *arg, int token) {
  struct docx *d = arg;
  if (token != T_STYLE || !d->in_style) return;
  d->in_style = false;
  if (d->style_count < STYLES_MAX) d->styles[d->style_count++] = d->style;
}

/* A style has what the one it is based on has; chains are followed a few steps. */
static struct style resolve_style(const struct docx *d, const char *id) {
  struct style out = {0};
  const struct style *s = style_named(d, id);
  if (!s) style_by_name(id, &out);
  for (int i = 0; s && i < 8; i++) {
    if (!out.heading) out.heading = s->heading;
    if (!out.list) {
      out.list = s->list;
      out.number = s->number;
      out.level = s->level;
    }
    out.code = out.code || s->code;
    out.contents = out.contents || s->contents;
    s = s->based_on[0] ? style_named(d, s->based_on) : NULL;
  }
  return out;
}

/* ---- numbering ---- */

static unsigned char format_of(const char *name) {
  static const struct {
    const char *name;
    unsigned char kind;
  } formats[] = {{"bullet", NUMBER_BULLET},     {"none", FORMAT_NONE},
                 {"lowerLetter", NUMBER_LOWER}, {"upperLetter", NUMBER_UPPER},
                 {"lowerRoman", NUMBER_ROMAN},  {"upperRoman", NUMBER_ROMAN_UPPER}};
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (!strcmp(name, formats[i].name)) return formats[i].kind;
  return NUMBER_DECIMAL;
}

static void begin_abstract(struct docx *d, const struct xml_attributes *a) {
  if (d->abstract_count == ABSTRACTS_MAX) return;
  struct abstract *abstract = &d->abstracts[d->abstract_count++];
  *abstract = (struct abstract){.id = xml_number(a, "abstractNumId", 0, UINT32_MAX - 1)};
  for (int i = 0; i < LEVELS; i++) abstract->start[i] = 1;
}

static void begin_number(struct docx *d, const struct xml_attributes *a) {
  if (d->number_count == NUMBERS_MAX) return;
  d->numbers[d->number_count++] =
      (struct number){.id = xml_number(a, "numId", 0, UINT32_MAX - 1), .abstract = UINT32_MAX};
}

static void numbering_start(void *arg, int token, const struct xml_attributes *a) {
  struct docx *d = arg;
  struct abstract *abstract = d->abstract_count ? &d->abstracts[d->abstract_count - 1] : NULL;
  struct number *number = d->number_count ? &d->numbers[d->number_count - 1] : NULL;
  char value[64];
  if (token == T_PSTYLE && abstract && !number) {
    xml_attribute(a, "val", value, sizeof value);
    struct style *style = find_style(d, value);
    if (style && style->list && !style->level) style->level = d->at_level;
  }
  if (token == T_ABSTRACT) begin_abstract(d, a);
  if (token == T_NUM) begin_number(d, a);
  if (token == T_LVL || token == T_OVERRIDE) d->at_level = xml_number(a, "ilvl", 0, LEVELS - 1);
  if (token == T_START && abstract && !number)
    abstract->start[d->at_level] = xml_number(a, "val", 1, 1000000);
  if (token == T_FORMAT && abstract && !number) {
    xml_attribute(a, "val", value, sizeof value);
    abstract->format[d->at_level] = format_of(value);
  }
  if (token == T_START_OVERRIDE && number) {
    number->start[d->at_level] = xml_number(a, "val", 1, 1000000);
    number->overrides[d->at_level] = 1;
  }
  if (token != T_ABSTRACT_ID || !number) return;
  unsigned id = xml_number(a, "val", 0, UINT32_MAX - 1);
  for (size_t i = 0; i < d->abstract_count; i++)
    if (d->abstracts[i].id == id) number->abstract = (unsigned)i;
}

static void nothing_ends(void *arg, int token) {
  (void)arg, (void)token;
}

/* The mark of a list's paragraph, which is thereby counted. False: it has none, it is plain text. */
static bool mark_of(struct docx *d, unsigned id, unsigned level, char *label, size_t cap) {
  struct number *number = NULL;
  label[0] = 0;
  if (level >= LEVELS) level = LEVELS - 1;
  for (size_t i = 0; i < d->number_count && !number; i++)
    if (d->numbers[i].id == id) number = &d->numbers[i];
  if (!number || number->abstract == UINT32_MAX) return true; /* a bullet */
  struct abstract *a = &d->abstracts[number->abstract];
  if (a->format[level] == FORMAT_NONE) return false;
  if (number->overrides[level] == 1) {
    a->count[level] = number->start[level];
    number->overrides[level] = 2;
  } else {
    a->count[level] = a->count[level] ? a->count[level] + 1 : a->start[level];
    if (!a->count[level]) a->count[level] = 1; /* a list may start at 0, once */
  }
  for (unsigned i = level + 1; i < LEVELS; i++) a->count[i] = 0;
  flow_label((enum flow_number)a->format[level], a->count[level], label, cap);
  return true;
}

/* ---- title, author ---- */

static void core_start(void *arg, int token, const struct xml_attributes *a) {
  struct docx *d = arg;
  (void)a;
  d->meta = token == T_TITLE      ? "title"
            : token == T_CREATOR  ? "author"
            : token == T_LANGUAGE ? "language"
                                  : NULL;
  buf_reset(&d->title);
}

static void core_end(void *arg, int token) {
  struct docx *d = arg;
  (void)token;
  if (d->meta && d->title.len) {
    out_meta(&d->job->out, d->meta, d->title.data, d->title.len);
    d->titled = d->titled || !strcmp(d->meta, "title");
  }
  d->meta = NULL;
}

static void core_text(void *arg, const char *s, size_t n) {
  struct docx *d = arg;
  if (d->meta && d->title.len + n <= TITLE_MAX) buf_add(&d->title, s, n);
}

/* ---- footnotes and endnotes ---- */

static void add_note(struct docx *d) {
  if (d->note_count >= NOTES_MAX || !d->note.len) return;
  if (d->note_count == d->note_cap) {
    size_t cap = d->note_cap ? d->note_cap * 2 : 64;
    struct note *notes = mem_rearray(d->notes, cap, sizeof *notes);
    if (!notes) {
      xml_stop(&d->xml, err_nomem(d->err, cap * sizeof *notes, "notes"));
      return;
    }
    d->notes = notes;
    d->note_cap = cap;
  }
  struct note *n = &d->notes[d->note_count];
  *n = (struct note){.end = d->endnotes, .text = mem_dup(d->note.data, d->note.len)};
  memcpy(n->id, d->note_id, sizeof n->id);
  if (n->text)
    d->note_count++;
  else
    xml_stop(&d->xml, err_nomem(d->err, d->note.len, "notes"));
}

static void notes_start(void *arg, int token, const struct xml_attributes *a) {
  struct docx *d = arg;
  char type[32];
  if (token == T_SKIP) xml_skip(&d->xml);
  if (token == T_FOOTNOTE || token == T_ENDNOTE) {
    xml_attribute(a, "type", type, sizeof type); /* separators have one */
    xml_attribute(a, "id", d->note_id, sizeof d->note_id);
    d->in_note = !type[0] || !strcmp(type, "normal");
    buf_reset(&d->note);
  }
  if (token == T_P || token == T_TAB || token == T_BR) buf_addc(&d->note, ' ');
  if (token == T_T) d->in_text = true;
}

static void notes_end(void *arg, int token) {
  struct docx *d = arg;
  if (token == T_T) d->in_text = false;
  if (token != T_FOOTNOTE && token != T_ENDNOTE) return;
  if (d->in_note) add_note(d);
  d->in_note = false;
}

static void notes_text(void *arg, const char *s, size_t n) {
  struct docx *d = arg;
  if (d->in_note && d->in_text) buf_add(&d->note, s, n);
}

static int read_notes(struct docx *d, const char *part, bool endnotes) {
  d->endnotes = endnotes;
  d->in_note = d->in_text = false;
  int rc = parse_part(d, part, notes_start, notes_end, notes_text);
  d->in_text = false;
  return rc ? rc : buf_check(&d->note, "notes", d->err);
}

static void refer(struct docx *d, const struct xml_attributes *a, bool end) {
  char id[sizeof d->note_id];
  xml_attribute(a, "id", id, sizeof id);
  for (size_t i = 0; i < d->note_count; i++) {
    const struct note *n = &d->notes[i];
    if (n->end != end || strcmp(n->id, id) != 0) continue;
    flow_note(&d->flow);
    flow_open(&d->flow, &(struct flow_style){0});
    flow_text(&d->flow, n->text, strlen(n->text));
    flow_close(&d->flow);
    flow_note_end(&d->flow);
    return;
  }
}

/* ---- the document ---- */

/* The paragraph's style, once its properties are known. A table of contents is left out. */
static void settle(struct docx *d) {
  struct flow_style s = {0};
  if (d->heading) {
    s.kind = FLOW_HEADING;
    s.level = d->heading;
  } else if (d->code) {
    s.kind = FLOW_CODE;
  } else if (d->list && mark_of(d, d->number, d->level, s.label, sizeof s.label)) {
    s.kind = FLOW_ITEM;
    s.level = d->level;
  }
  flow_restyle(&d->flow, &s);
}

static void start_property(struct docx *d, int token, const struct xml_attributes *a) {
  char value[64];
  xml_attribute(a, "val", value, sizeof value);
  if (token == T_PSTYLE) {
    struct style s = resolve_style(d, value);
    if (!d->heading) d->heading = s.heading;
    if (!d->list) d->list = s.list, d->number = s.number, d->level = s.level;
    d->code = s.code;
    d->contents = s.contents;
  }
  if (token == T_NUMID) {
    d->number = xml_number(a, "val", 0, UINT32_MAX - 1);
    d->list = d->number != 0;
  }
  if (token == T_ILVL) d->level = xml_number(a, "val", 0, LEVELS - 1);
  if (token == T_FRAME) {
    xml_attribute(a, "dropCap", value, sizeof value);
    d->drop_cap = !strcmp(value, "drop") || !strcmp(value, "margin");
  }
  if (token == T_OUTLINE && value[0] >= '0' && value[0] <= '5')
    d->heading = (unsigned)(value[0] - '0') + 1;
}

static void start_paragraph(struct docx *d) {
  flow_open(&d->flow, &(struct flow_style){0});
  d->bold = d->hidden = d->list = d->code = d->contents = false;
  d->drop_cap = false;
  d->heading = d->level = d->number = 0;
}

/* A large first letter is a paragraph of its own: it belongs to the next one that has text. */
static void keep_cap(struct docx *d) {
  const struct flow_paragraph *p = d->flow.depth ? &d->flow.open[d->flow.depth - 1] : NULL;
  if (!d->drop_cap || !p || p->text.len > 32) return;
  buf_reset(&d->cap);
  buf_add(&d->cap, p->text.data ? p->text.data : "", p->text.len);
  flow_discard(&d->flow);
}

static void give_cap(struct docx *d) {
  if (!d->cap.len || d->drop_cap) return;
  flow_text(&d->flow, d->cap.data, d->cap.len);
  buf_reset(&d->cap);
}

static void start_run_property(struct docx *d, int token, const struct xml_attributes *a) {
  char value[64];
  if (token == T_B) d->bold = is_on(a);
  if (token == T_VANISH) d->hidden = is_on(a);
  if (token != T_RSTYLE) return;
  xml_attribute(a, "val", value, sizeof value);
  if (!strcasecmp(value, "Strong")) d->bold = true;
  if (strcasestr(value, "verbatim") || !strcasecmp(value, "HTMLCode") ||
      !strcasecmp(value, "SourceText") || !strcasecmp(value, "InlineCode"))
    d->inline_code = true;
}

static void start_contents(struct docx *d, int token, const struct xml_attributes *a) {
  char value[64];
  if (token == T_SDT) d->is_contents = false;
  if (token == T_GALLERY) {
    xml_attribute(a, "val", value, sizeof value);
    d->is_contents = !strcasecmp(value, "Table of Contents");
  }
  if (token == T_SDT_CONTENT && d->is_contents) {
    d->is_contents = false;
    xml_skip(&d->xml);
  }
}

static void document_start(void *arg, int token, const struct xml_attributes *a) {
  struct docx *d = arg;
  struct flow *f = &d->flow;
  switch ((enum token)token) {
  case T_SKIP:
    xml_skip(&d->xml);
    break;
  case T_P:
    start_paragraph(d);
    break;
  case T_PPR:
    d->in_properties = true;
    break;
  case T_R:
    d->bold = d->inline_code = d->hidden = false;
    break;
  case T_RPR:
    d->in_run_properties = !d->in_properties;
    break;
  case T_T:
    d->in_text = !d->hidden && !d->contents;
    flow_bold(f, d->bold);
    flow_code(f, d->inline_code);
    break;
  case T_TAB:
    if (!d->in_properties && !d->contents) flow_tab(f);
    break;
  case T_BR:
    if (!d->contents) flow_break(f);
    break;
  case T_HYPHEN:
    if (!d->contents) flow_text(f, "-", 1);
    break;
  case T_TBL:
    flow_table(f);
    break;
  case T_COLUMN:
    flow_columns(f, 1);
    break;
  case T_TR:
    flow_row(f);
    break;
  case T_BEFORE: /* columns that the row leaves out */
    flow_cell(f, xml_number(a, "val", 1, 256), 1);
    flow_cell_end(f);
    break;
  case T_TC:
    flow_cell(f, 1, 1);
    break;
  case T_SPAN:
    flow_cell_span(f, xml_number(a, "val", 1, 256));
    break;
  case T_FOOTNOTE_REF:
  case T_ENDNOTE_REF:
    refer(d, a, token == T_ENDNOTE_REF);
    break;
  case T_SDT:
  case T_SDT_CONTENT:
  case T_GALLERY:
    start_contents(d, token, a);
    break;
  default:
    if (d->in_run_properties)
      start_run_property(d, token, a);
    else if (d->in_properties)
      start_property(d, token, a);
  }
}

/* Where core.xml has no title, the first heading is it. */
static void give_title(struct docx *d) {
  const struct buf *title = &d->flow.first_heading;
  if (d->titled || !title->len) return;
  out_meta(&d->job->out, "title", title->data, title->len);
  d->titled = true;
}

static void document_end(void *arg, int token) {
  struct docx *d = arg;
  struct flow *f = &d->flow;
  switch ((enum token)token) {
  case T_P:
    keep_cap(d);
    flow_close(f);
    give_title(d);
    d->contents = false;
    if (f->rc) xml_stop(&d->xml, f->rc);
    if (d->job->out.gone) xml_stop(&d->xml, ERR_IO);
    break;
  case T_PPR:
    d->in_properties = false;
    settle(d);
    break;
  case T_RPR:
    d->in_run_properties = false;
    break;
  case T_T:
    d->in_text = false;
    break;
  case T_TC:
    flow_cell_end(f);
    break;
  case T_TBL:
    flow_table_end(f);
    break;
  default:
    break;
  }
}

static void document_text(void *arg, const char *s, size_t n) {
  struct docx *d = arg;
  if (!d->in_text) return;
  give_cap(d);
  flow_text(&d->flow, s, n);
}

/* ---- the package ---- */

struct target {
  struct xml xml;
  char path[512];
};

enum { R_RELATIONSHIP = 1 };

static void relations_start(void *arg, int token, const struct xml_attributes *a) {
  struct target *t = arg;
  char type[256], target[512];
  if (token != R_RELATIONSHIP || t->path[0]) return;
  xml_attribute(a, "Type", type, sizeof type);
  xml_attribute(a, "Target", target, sizeof target);
  size_t n = strlen(type);
  if (n > 15 && !strcmp(type + n - 15, "/officeDocument") &&
      !package_resolve("", target, t->path, sizeof t->path))
    t->path[0] = 0;
}

/* The part that is the document: what _rels/.rels says, else Word's own name for it. */
static int find_document(struct docx *d, char *out, size_t cap) {
  static const struct xml_name relation[] = {{"Relationship", "", R_RELATIONSHIP}, {NULL, NULL, 0}};
  struct target *t = mem_zero(sizeof *t);
  const struct part *p = package_part(&d->package, "_rels/.rels");
  if (!t) return err_nomem(d->err, sizeof *t, "relations");
  int rc = 0;
  t->xml = (struct xml){
      .what = "DOCX", .names = relation, .start = relations_start, .end = nothing_ends, .arg = t};
  if (p) rc = xml_parse(&t->xml, p->name, p->bytes.data ? p->bytes.data : "", p->bytes.len, d->err);
  snprintf(out, cap, "%s",
           t->path[0] && package_part(&d->package, t->path) ? t->path : "word/document.xml");
  mem_free(t);
  return rc;
}

static bool wanted(const char *name) {
  static const char *const no[] = {"header",   "footer",      "comments",  "theme",
                                   "settings", "webSettings", "fontTable", "people"};
  size_t n = strlen(name);
  if (!strcasecmp(name, "_rels/.rels") || !strcasecmp(name, "docProps/core.xml")) return true;
  if (n < 4 || strcasecmp(name + n - 4, ".xml") != 0 || name[0] == '[') return false;
  if (begins(name, "docProps/") || begins(name, "customXml/") || strstr(name, "/theme/") ||
      strstr(name, "/charts/") || strstr(name, "/diagrams/"))
    return false;
  const char *base = strrchr(name, '/');
  for (size_t i = 0; i < sizeof no / sizeof *no; i++)
    if (begins(base ? base + 1 : name, no[i])) return false;
  return true;
}

static int read_parts(struct docx *d) {
  char document[512];
  int rc = parse_part(d, "docProps/core.xml", core_start, core_end, core_text);
  if (!rc) rc = parse_part(d, "word/styles.xml", styles_start, styles_end, NULL);
  if (!rc) rc = parse_part(d, "word/numbering.xml", numbering_start, nothing_ends, NULL);
  if (!rc) rc = read_notes(d, "word/footnotes.xml", false);
  if (!rc) rc = read_notes(d, "word/endnotes.xml", true);
  if (!rc) rc = find_document(d, document, sizeof document);
  if (!rc && !package_part(&d->package, document))
    rc = err_set(d->err, ERR_FORMAT, "unreadable DOCX: there is no word/document.xml in it");
  if (!rc) rc = parse_part(d, document, document_start, document_end, document_text);
  return rc;
}

static void clear(struct docx *d) {
  for (size_t i = 0; d->notes && i < d->note_count; i++) mem_free(d->notes[i].text);
  mem_free(d->notes);
  mem_free(d->styles);
  mem_free(d->abstracts);
  mem_free(d->numbers);
  buf_clear(&d->title);
  buf_clear(&d->note);
  buf_clear(&d->cap);
  flow_clear(&d->flow);
  package_close(&d->package);
  mem_free(d);
}

int docx_read(struct job *job, struct err *err) {
  struct docx *d = mem_zero(sizeof *d);
  if (!d) return err_nomem(err, sizeof *d, "a DOCX");
  d->job = job;
  d->err = err;
  flow_init(&d->flow, &job->out, err);
  d->styles = mem_array(STYLES_MAX, sizeof *d->styles);
  d->abstracts = mem_array(ABSTRACTS_MAX, sizeof *d->abstracts);
  d->numbers = mem_array(NUMBERS_MAX, sizeof *d->numbers);
  int rc = d->styles && d->abstracts && d->numbers ? 0 : err_nomem(err, 0, "styles");
  if (!rc) rc = package_open(&d->package, job, "DOCX", wanted, err);
  if (!rc) rc = read_parts(d);
  int ended = flow_finish(&d->flow);
  if (!rc) rc = ended;
  clear(d);
  return rc;
}

/* SPDX-License-Identifier: MIT */
/* PPTX to text (ECMA-376, parts named as PowerPoint does):
 *
 *   docProps/core.xml                     title, author, language
 *   ppt/presentation.xml                  the slides' ids in order
 *   ppt/_rels/presentation.xml.rels       id → ppt/slides/slideN.xml, whose numbers mean nothing
 *   ppt/slides/_rels/slideN.xml.rels      → the slide's notes, its diagrams' texts
 *
 *   title placeholder   "## …" ("# …" on a title slide)     body placeholder   "- …", nested by lvl
 *   other text          paragraphs                          a:tbl              a pipe table
 *   notes               "Notes: …" behind the slide
 *
 * Each slide is a page. Its title comes first, the rest in the order of the file, which is the order
 * that screen readers use. Left out: hidden slides (noted), footers, dates, slide numbers, charts.
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

#define SLIDES_MAX 10000
#define RELATED    16 /* diagrams of a slide */
#define TITLE_MAX  512
#define LEVELS     9
#define PATH_CAP   512

enum token {
  T_OTHER,
  T_SLIDE_ID,
  T_RELATION,
  T_SLIDE,
  T_SHAPE,
  T_PLACEHOLDER,
  T_TEXT_BODY,
  T_P,
  T_PPR,
  T_RPR,
  T_RUN,
  T_T,
  T_BR,
  T_NO_BULLET,
  T_CHAR_BULLET,
  T_AUTO_NUMBER,
  T_TABLE,
  T_COLUMN,
  T_ROW,
  T_CELL,
  T_SKIP,
  T_POINT,
  T_TITLE,
  T_CREATOR,
  T_LANGUAGE
};

#define A "drawingml"
#define P "presentationml"

static const struct xml_name names[] = {{"p", A, T_P},
                                        {"r", A, T_RUN},
                                        {"fld", A, T_RUN},
                                        {"t", A, T_T},
                                        {"pPr", A, T_PPR},
                                        {"rPr", A, T_RPR},
                                        {"br", A, T_BR},
                                        {"buNone", A, T_NO_BULLET},
                                        {"buChar", A, T_CHAR_BULLET},
                                        {"buBlip", A, T_CHAR_BULLET},
                                        {"buAutoNum", A, T_AUTO_NUMBER},
                                        {"sp", P, T_SHAPE},
                                        {"ph", P, T_PLACEHOLDER},
                                        {"txBody", "", T_TEXT_BODY},
                                        {"tbl", A, T_TABLE},
                                        {"gridCol", A, T_COLUMN},
                                        {"tr", A, T_ROW},
                                        {"tc", A, T_CELL},
                                        {"Fallback", "markup-compatibility", T_SKIP},
                                        {"sldId", P, T_SLIDE_ID},
                                        {"sld", P, T_SLIDE},
                                        {"Relationship", "relationships", T_RELATION},
                                        {"pt", "diagram", T_POINT},
                                        {"title", "dc/elements", T_TITLE},
                                        {"creator", "dc/elements", T_CREATOR},
                                        {"language", "dc/elements", T_LANGUAGE},
                                        {NULL, NULL, 0}};

/* What a shape is for. */
enum role { ROLE_TEXT, ROLE_TITLE, ROLE_MAIN_TITLE, ROLE_SUBTITLE, ROLE_BODY, ROLE_NONE };

struct slide {
  char id[64];         /* of its relation */
  char part[PATH_CAP]; /* "" until it is found */
};

struct pptx {
  struct job *job;
  struct err *err;
  struct package package;
  struct flow flow;
  struct xml xml;

  struct slide *slides;
  size_t slide_count;
  char notes[PATH_CAP]; /* of the slide at work */
  char diagrams[RELATED][PATH_CAP];
  size_t diagram_count;
  const char *from; /* the part whose relations are read */

  struct buf meta;
  const char *key;
  bool titled;

  enum pass { PASS_TITLE, PASS_REST, PASS_NOTES, PASS_DIAGRAM } pass;
  enum role role;
  bool hidden, any;
  unsigned shapes; /* open text bodies inside shapes */
  bool open, in_t, in_properties, bold;
  unsigned level, number_level;
  enum { MARK_INHERITED, MARK_NONE, MARK_BULLET, MARK_NUMBER } mark;
  enum flow_number format;
  unsigned start;
  unsigned counts[LEVELS];
};

typedef void on_start(void *arg, int token, const struct xml_attributes *a);
typedef void on_end(void *arg, int token);
typedef void on_text(void *arg, const char *s, size_t n);

static int parse_part(struct pptx *d, const char *name, on_start *start, on_end *end,
                      on_text *text) {
  const struct part *part = package_part(&d->package, name);
  if (!part) return 0;
  d->xml = (struct xml){
      .what = "PPTX", .names = names, .start = start, .end = end, .text = text, .arg = d};
  return xml_parse(&d->xml, name, part->bytes.data ? part->bytes.data : "", part->bytes.len,
                   d->err);
}

static void nothing_ends(void *arg, int token) {
  (void)arg, (void)token;
}

/* ---- title, author ---- */

static void core_start(void *arg, int token, const struct xml_attributes *a) {
  struct pptx *d = arg;
  (void)a;
  d->key = token == T_TITLE      ? "title"
           : token == T_CREATOR  ? "author"
           : token == T_LANGUAGE ? "language"
                                 : NULL;
  buf_reset(&d->meta);
}

/* What the program calls a presentation that nobody named is no title. */
static void core_end(void *arg, int token) {
  struct pptx *d = arg;
  (void)token;
  bool title = d->key && !strcmp(d->key, "title");
  if (d->key && d->meta.len && !(title && !strcasecmp(d->meta.data, "PowerPoint Presentation"))) {
    out_meta(&d->job->out, d->key, d->meta.data, d->meta.len);
    d->titled = d->titled || title;
  }
  d->key = NULL;
}

static void core_text(void *arg, const char *s, size_t n) {
  struct pptx *d = arg;
  if (d->key && d->meta.len + n <= TITLE_MAX) buf_add(&d->meta, s, n);
}

/* ---- which slides, in which order ---- */

static void presentation_start(void *arg, int token, const struct xml_attributes *a) {
  struct pptx *d = arg;
  if (token != T_SLIDE_ID || d->slide_count == SLIDES_MAX) return;
  struct slide *s = &d->slides[d->slide_count];
  *s = (struct slide){0};
  if (xml_attribute_ns(a, "relationships", "id", s->id, sizeof s->id)) d->slide_count++;
}

static bool ends(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && !strcmp(s + n - m, end);
}

static void presentation_relation(void *arg, int token, const struct xml_attributes *a) {
  struct pptx *d = arg;
  char id[64], target[PATH_CAP];
  if (token != T_RELATION) return;
  xml_attribute(a, "Id", id, sizeof id);
  xml_attribute(a, "Target", target, sizeof target);
  for (size_t i = 0; i < d->slide_count; i++)
    if (!strcmp(d->slides[i].id, id))
      package_resolve(d->from, target, d->slides[i].part, sizeof d->slides[i].part);
}

static void slide_relation(void *arg, int token, const struct xml_attributes *a) {
  struct pptx *d = arg;
  char type[256], target[PATH_CAP];
  if (token != T_RELATION) return;
  xml_attribute(a, "Type", type, sizeof type);
  xml_attribute(a, "Target", target, sizeof target);
  if (ends(type, "/notesSlide")) package_resolve(d->from, target, d->notes, sizeof d->notes);
  if (ends(type, "/diagramData") && d->diagram_count < RELATED &&
      package_resolve(d->from, target, d->diagrams[d->diagram_count], PATH_CAP))
    d->diagram_count++;
}

/* "ppt/slides/slide1.xml" → "ppt/slides/_rels/slide1.xml.rels" */
static int read_relations(struct pptx *d, const char *part, on_start *start) {
  char name[PATH_CAP + 16];
  const char *slash = strrchr(part, '/');
  int folder = slash ? (int)(slash - part) + 1 : 0;
  snprintf(name, sizeof name, "%.*s_rels/%s.rels", folder, part, part + folder);
  d->from = part;
  return parse_part(d, name, start, nothing_ends, NULL);
}

/* ---- a slide's text ---- */

static enum role role_of(const char *type, bool has_type) {
  if (!strcmp(type, "title")) return ROLE_TITLE;
  if (!strcmp(type, "ctrTitle")) return ROLE_MAIN_TITLE;
  if (!strcmp(type, "subTitle")) return ROLE_SUBTITLE;
  if (!strcmp(type, "ftr") || !strcmp(type, "dt") || !strcmp(type, "sldNum") ||
      !strcmp(type, "hdr") || !strcmp(type, "sldImg"))
    return ROLE_NONE;
  if (!has_type || !strcmp(type, "body") || !strcmp(type, "obj")) return ROLE_BODY;
  return ROLE_TEXT;
}

/* Is the shape at work of this pass? */
static bool is_wanted(const struct pptx *d) {
  bool title = d->role == ROLE_TITLE || d->role == ROLE_MAIN_TITLE;
  if (d->role == ROLE_NONE) return false;
  if (d->pass == PASS_NOTES) return d->role == ROLE_BODY;
  if (d->pass == PASS_DIAGRAM) return true;
  return (d->pass == PASS_TITLE) == title;
}

static void settle(struct pptx *d) {
  struct flow_style s = {0};
  bool bulleted = d->role == ROLE_BODY || d->pass == PASS_DIAGRAM;
  unsigned level = d->level < LEVELS ? d->level : LEVELS - 1;
  if (d->role == ROLE_TITLE || d->role == ROLE_MAIN_TITLE) {
    s.kind = FLOW_HEADING;
    s.level = d->role == ROLE_MAIN_TITLE ? 1 : 2;
  } else if (d->pass != PASS_NOTES && !d->flow.in_cell &&
             (d->mark == MARK_BULLET || d->mark == MARK_NUMBER ||
              (d->mark == MARK_INHERITED && bulleted))) {
    s.kind = FLOW_ITEM;
    s.level = level;
  }
  if (d->mark == MARK_NUMBER) {
    d->counts[level] = d->counts[level] ? d->counts[level] + 1 : d->start;
    flow_label(d->format, d->counts[level], s.label, sizeof s.label);
  } else {
    d->counts[level] = 0;
  }
  for (unsigned i = level + 1; i < LEVELS; i++) d->counts[i] = 0;
  flow_restyle(&d->flow, &s);
}

static enum flow_number format_of(const char *type) {
  if (!strncmp(type, "alphaLc", 7)) return NUMBER_LOWER;
  if (!strncmp(type, "alphaUc", 7)) return NUMBER_UPPER;
  if (!strncmp(type, "romanLc", 7)) return NUMBER_ROMAN;
  if (!strncmp(type, "romanUc", 7)) return NUMBER_ROMAN_UPPER;
  return NUMBER_DECIMAL;
}

static void begin_paragraph(struct pptx *d) {
  d->open = is_wanted(d) && (d->shapes || d->flow.table_depth || d->pass == PASS_DIAGRAM);
  d->level = 0;
  d->mark = MARK_INHERITED;
  d->bold = false;
  if (!d->open) return;
  flow_open(&d->flow, &(struct flow_style){0});
  if (d->pass == PASS_NOTES && !d->any) flow_text(&d->flow, "Notes: ", 7);
}

/* A mark is taken, and a number counted, once the paragraph is known to hold text. */
static void end_paragraph(struct pptx *d) {
  struct flow *f = &d->flow;
  if (d->open && flow_has_text(f)) settle(d), d->any = true;
  if (d->open) flow_close(f);
  d->open = false;
  if (!d->titled && f->first_heading.len) {
    out_meta(&d->job->out, "title", f->first_heading.data, f->first_heading.len);
    d->titled = true;
  }
  if (f->rc) xml_stop(&d->xml, f->rc);
  if (d->job->out.gone) xml_stop(&d->xml, ERR_IO);
}

static void slide_start(void *arg, int token, const struct xml_attributes *a) {
  struct pptx *d = arg;
  struct flow *f = &d->flow;
  char value[32];
  switch ((enum token)token) {
  case T_SKIP:
    xml_skip(&d->xml);
    break;
  case T_SLIDE:
    d->hidden = xml_attribute(a, "show", value, sizeof value) &&
                (!strcmp(value, "0") || !strcmp(value, "false"));
    break;
  case T_SHAPE:
    d->role = ROLE_TEXT;
    break;
  case T_PLACEHOLDER:
    d->role = role_of(value, xml_attribute(a, "type", value, sizeof value));
    break;
  case T_TEXT_BODY:
    d->shapes++;
    memset(d->counts, 0, sizeof d->counts);
    break;
  case T_P:
    begin_paragraph(d);
    break;
  case T_PPR:
    d->level = xml_number(a, "lvl", 0, LEVELS - 1);
    break;
  case T_NO_BULLET:
    d->mark = MARK_NONE;
    break;
  case T_CHAR_BULLET:
    d->mark = MARK_BULLET;
    break;
  case T_AUTO_NUMBER:
    xml_attribute(a, "type", value, sizeof value);
    d->mark = MARK_NUMBER;
    d->format = format_of(value);
    d->start = xml_number(a, "startAt", 1, 100000);
    break;
  case T_RUN:
    d->bold = false;
    break;
  case T_RPR:
    d->bold = xml_attribute(a, "b", value, sizeof value) &&
              (!strcmp(value, "1") || !strcmp(value, "true"));
    break;
  case T_T:
    d->in_t = true;
    if (d->open) flow_bold(f, d->bold);
    break;
  case T_BR:
    if (d->open) flow_break(f);
    break;
  case T_TABLE:
    d->role = ROLE_TEXT;
    if (d->pass == PASS_REST) flow_table(f);
    break;
  case T_COLUMN:
    if (d->pass == PASS_REST) flow_columns(f, 1);
    break;
  case T_ROW:
    if (d->pass == PASS_REST) flow_row(f);
    break;
  case T_CELL:
    if (d->pass == PASS_REST) flow_cell(f, 1, 1); /* merged cells stand there, empty */
    break;
  default:
    break;
  }
}

static void slide_end(void *arg, int token) {
  struct pptx *d = arg;
  struct flow *f = &d->flow;
  switch ((enum token)token) {
  case T_SHAPE:
    d->role = ROLE_TEXT;
    flow_list_end(f);
    break;
  case T_TEXT_BODY:
    d->shapes -= d->shapes > 0;
    break;
  case T_P:
    end_paragraph(d);
    break;
  case T_T:
    d->in_t = false;
    break;
  case T_CELL:
    if (d->pass == PASS_REST) flow_cell_end(f);
    break;
  case T_TABLE:
    if (d->pass == PASS_REST) flow_table_end(f);
    break;
  default:
    break;
  }
}

static void slide_text(void *arg, const char *s, size_t n) {
  struct pptx *d = arg;
  if (!d->open || !d->in_t) return;
  for (size_t i = 0; i < n;) { /* line ends inside the text: code that a program put there */
    const char *line = memchr(s + i, '\n', n - i);
    size_t end = line ? (size_t)(line - s) : n;
    flow_text(&d->flow, s + i, end - i);
    if (line) flow_break(&d->flow);
    i = end + 1;
  }
}

static int read_pass(struct pptx *d, const char *part, enum pass pass) {
  d->pass = pass;
  d->role = ROLE_TEXT;
  d->shapes = 0;
  d->open = d->in_t = d->any = false;
  int rc = parse_part(d, part, slide_start, slide_end, slide_text);
  flow_list_end(&d->flow);
  return rc;
}

static int read_slide(struct pptx *d, const struct slide *s, unsigned number) {
  d->notes[0] = 0;
  d->diagram_count = 0;
  d->hidden = false;
  if (!package_part(&d->package, s->part)) {
    out_note(&d->job->out, "slide %u is missing", number);
    return 0;
  }
  int rc = read_relations(d, s->part, slide_relation);
  out_block(&d->job->out, 2, "");
  out_page(&d->job->out, number);
  if (!rc) rc = read_pass(d, s->part, PASS_TITLE);
  if (!rc) rc = read_pass(d, s->part, PASS_REST);
  for (size_t i = 0; !rc && i < d->diagram_count; i++)
    rc = read_pass(d, d->diagrams[i], PASS_DIAGRAM);
  if (!rc && d->notes[0]) rc = read_pass(d, d->notes, PASS_NOTES);
  return rc;
}

/* ---- hidden slides: known by their first element, before anything of them is written ---- */

static void peek_start(void *arg, int token, const struct xml_attributes *a) {
  struct pptx *d = arg;
  slide_start(arg, token == T_SLIDE ? T_SLIDE : T_OTHER, a);
  xml_stop(&d->xml, ERR_CANCELLED);
}

static bool is_hidden(struct pptx *d, const struct slide *s) {
  struct err ignored, *err = d->err;
  d->hidden = false;
  d->err = &ignored;
  parse_part(d, s->part, peek_start, nothing_ends, NULL);
  d->err = err;
  return d->hidden;
}

/* ---- the package ---- */

static bool wanted(const char *name) {
  static const char *const folders[] = {"ppt/slides/", "ppt/notesSlides/", "ppt/diagrams/data"};
  size_t n = strlen(name);
  if (!strcasecmp(name, "docProps/core.xml") || !strncasecmp(name, "ppt/presentation", 16) ||
      !strcasecmp(name, "ppt/_rels/presentation.xml.rels"))
    return true;
  if (!ends(name, ".xml") && !ends(name, ".rels")) return false;
  for (size_t i = 0; n && i < sizeof folders / sizeof *folders; i++)
    if (!strncasecmp(name, folders[i], strlen(folders[i]))) return true;
  return false;
}

static int read_parts(struct pptx *d) {
  static const char presentation[] = "ppt/presentation.xml";
  unsigned hidden = 0;
  int rc = parse_part(d, "docProps/core.xml", core_start, core_end, core_text);
  if (!rc && !package_part(&d->package, presentation))
    rc = err_set(d->err, ERR_FORMAT, "unreadable PPTX: there is no ppt/presentation.xml in it");
  if (!rc) rc = parse_part(d, presentation, presentation_start, nothing_ends, NULL);
  if (!rc) rc = read_relations(d, presentation, presentation_relation);
  for (size_t i = 0; !rc && i < d->slide_count; i++) {
    if (is_hidden(d, &d->slides[i]))
      hidden++;
    else
      rc = read_slide(d, &d->slides[i], (unsigned)i + 1);
  }
  if (!rc && hidden) out_note(&d->job->out, "hidden slides left out: %u", hidden);
  return rc;
}

static void clear(struct pptx *d) {
  mem_free(d->slides);
  buf_clear(&d->meta);
  flow_clear(&d->flow);
  package_close(&d->package);
  mem_free(d);
}

int pptx_read(struct job *job, struct err *err) {
  struct pptx *d = mem_zero(sizeof *d);
  if (!d) return err_nomem(err, sizeof *d, "a PPTX");
  d->job = job;
  d->err = err;
  flow_init(&d->flow, &job->out, err);
  d->slides = mem_array(SLIDES_MAX, sizeof *d->slides);
  int rc = d->slides ? 0 : err_nomem(err, SLIDES_MAX * sizeof *d->slides, "slides");
  if (!rc) rc = package_open(&d->package, job, "PPTX", wanted, err);
  if (!rc) rc = read_parts(d);
  int ended = flow_finish(&d->flow);
  if (!rc) rc = ended;
  clear(d);
  return rc;
}

/* SPDX-License-Identifier: MIT */
/* DOCX to text: a ZIP archive read in memory, of which two passes look at four members.
 *
 *   pass 1   word/styles.xml      which styles are headings, lists
 *            docProps/core.xml    the title
 *   pass 2   word/document.xml    the text, event by event, never as a tree
 *
 *   heading styles  "# " … "###### "     list paragraphs  "- ", two spaces per level
 *   bold runs       "**…**"              table rows       "a | b"
 *
 * Nothing is unpacked to disk, so that names and links in the archive mean nothing. Unpacked bytes
 * are limited in total and relative to the file (a bomb is small), members in number. XML with a
 * DTD is refused before anything in it is looked at: no OOXML has one, every entity attack does.
 * Left out: deleted and moved-away text, hidden text, fields' instructions, the second version of
 * what is there twice (mc:Fallback), headers, footers, notes.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "extract/worker.h"

#include <archive.h>
#include <archive_entry.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MEMBERS_MAX 10000
#define RATIO_MAX   200                 /* unpacked : packed; text compresses 3 to 20 times */
#define RATIO_FREE  ((uint64_t)4 << 20) /* small documents are not held to it */
#define STYLES_MAX  4096
#define TITLE_MAX   512
#define BLOCK       ((size_t)64 << 10)
#define LEVELS      8

struct style {
  char id[64];
  char based_on[64];
  unsigned heading; /* 1–6, 0: none */
  bool list;
};

/* What the file turns out to be when there is no word/document.xml in it. */
static const struct {
  const char *member, *what;
} cousins[] = {{"xl/workbook.xml", "an Excel workbook (XLSX)"},
               {"ppt/presentation.xml", "a PowerPoint presentation (PPTX)"},
               {"content.xml", "an OpenDocument file (ODT, ODS …)"},
               {"META-INF/container.xml", "an EPUB book"},
               {"META-INF/MANIFEST.MF", "a Java archive"}};

struct docx {
  struct job *job;
  struct err *err;
  int rc;
  uint64_t unpacked;
  const char *cousin;
  xmlParserCtxtPtr parser;

  struct style *styles;
  size_t style_count;
  struct style style; /* being read */
  bool in_style;

  struct buf title; /* of core.xml, or of the first heading */
  bool in_title, titled;

  /* the document */
  unsigned skip; /* depth inside something that is left out; 0: not inside */
  bool in_paragraph, placed, in_properties, in_run_properties, in_text;
  bool bold, hidden;
  unsigned heading, level, cells;
  bool list, was_list, was_row;
};

static int stop(struct docx *d, int rc) {
  if (!d->rc) d->rc = rc;
  if (d->parser) xmlStopParser(d->parser);
  return rc;
}

/* ---- XML ---- */

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
  T_SKIP,
  T_STYLE,
  T_NAME,
  T_BASED
};

static const struct {
  const char *name;
  enum token token;
} tokens[] = {{"p", T_P},
              {"pPr", T_PPR},
              {"pStyle", T_PSTYLE},
              {"numPr", T_NUMPR},
              {"numId", T_NUMID},
              {"ilvl", T_ILVL},
              {"outlineLvl", T_OUTLINE},
              {"rPr", T_RPR},
              {"r", T_R},
              {"b", T_B},
              {"vanish", T_VANISH},
              {"rStyle", T_RSTYLE},
              {"t", T_T},
              {"tab", T_TAB},
              {"br", T_BR},
              {"cr", T_BR},
              {"noBreakHyphen", T_HYPHEN},
              {"tbl", T_TBL},
              {"tr", T_TR},
              {"tc", T_TC},
              {"del", T_SKIP},
              {"moveFrom", T_SKIP},
              {"style", T_STYLE},
              {"name", T_NAME},
              {"basedOn", T_BASED}};

static enum token token_of(const xmlChar *name, const xmlChar *uri) {
  const char *u = uri ? (const char *)uri : "";
  if (!strcmp((const char *)name, "Fallback") && strstr(u, "markup-compatibility")) return T_SKIP;
  if (!strstr(u, "wordprocessingml")) return T_OTHER;
  for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
    if (!strcmp((const char *)name, tokens[i].name)) return tokens[i].token;
  return T_OTHER;
}

/* The attribute of that local name, cut to cap; "" when there is none. */
static void attribute(const xmlChar **list, int n, const char *name, char *out, size_t cap) {
  out[0] = 0;
  for (int i = 0; i < n; i++, list += 5) {
    if (strcmp((const char *)list[0], name)) continue;
    size_t len = (size_t)(list[4] - list[3]);
    if (len >= cap) len = cap - 1;
    memcpy(out, list[3], len);
    out[len] = 0;
    return;
  }
}

static bool is_on(const xmlChar **list, int n) { /* <w:b/>, <w:b w:val="0"/> */
  char value[16];
  attribute(list, n, "val", value, sizeof value);
  return strcmp(value, "0") && strcmp(value, "false") && strcmp(value, "off");
}

static void on_dtd(void *arg, const xmlChar *name, const xmlChar *external, const xmlChar *system) {
  struct docx *d = arg;
  (void)name, (void)external, (void)system;
  stop(d, err_set(d->err, ERR_FORMAT, "unreadable DOCX: its XML has a DTD, which is refused"));
}

static void on_error(void *arg, const char *format, ...) {
  (void)arg, (void)format;
}

/* ---- styles and title ---- */

static const struct style *style_named(const struct docx *d, const char *id) {
  for (size_t i = 0; i < d->style_count; i++)
    if (!strcmp(d->styles[i].id, id)) return &d->styles[i];
  return NULL;
}

/* "heading 1" → 1, "Title" → 1, "List Bullet 2" → list */
static void style_by_name(const char *name, struct style *s) {
  if (!strncasecmp(name, "heading", 7)) {
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): name is a string */
    const char *digit = name[7] == ' ' ? name + 8 : name + 7;
    if (*digit >= '1' && *digit <= '9') s->heading = *digit > '6' ? 6 : (unsigned)(*digit - '0');
  }
  if (!strcasecmp(name, "title")) s->heading = 1;
  if (!strncasecmp(name, "list bullet", 11) || !strncasecmp(name, "list number", 11) ||
      !strncasecmp(name, "listbullet", 10) || !strncasecmp(name, "listnumber", 10))
    s->list = true;
}

static void styles_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                         int ns_count, const xmlChar **ns, int n, int defaulted,
                         const xmlChar **list) {
  struct docx *d = arg;
  char value[64];
  (void)prefix, (void)ns_count, (void)ns, (void)defaulted;
  enum token token = token_of(name, uri);
  if (token == T_STYLE) {
    d->style = (struct style){0};
    attribute(list, n, "type", value, sizeof value);
    d->in_style = !strcmp(value, "paragraph");
    attribute(list, n, "styleId", d->style.id, sizeof d->style.id);
  }
  if (!d->in_style) return;
  attribute(list, n, "val", value, sizeof value);
  if (token == T_NAME) style_by_name(value, &d->style);
  if (token == T_BASED) memcpy(d->style.based_on, value, sizeof value);
  if (token == T_NUMID) d->style.list = strcmp(value, "0") != 0;
  if (token == T_OUTLINE && value[0] >= '0' && value[0] <= '5')
    d->style.heading = (unsigned)(value[0] - '0') + 1;
}

static void styles_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
  struct docx *d = arg;
  (void)prefix;
  if (token_of(name, uri) != T_STYLE || !d->in_style) return;
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
    out.list = out.list || s->list;
    s = s->based_on[0] ? style_named(d, s->based_on) : NULL;
  }
  return out;
}

static void core_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                       int ns_count, const xmlChar **ns, int n, int defaulted,
                       const xmlChar **list) {
  struct docx *d = arg;
  (void)prefix, (void)uri, (void)ns_count, (void)ns, (void)n, (void)defaulted, (void)list;
  d->in_title = !strcmp((const char *)name, "title") && !d->titled;
}

static void give_title(struct docx *d) {
  if (d->titled || !d->title.len) return;
  out_meta(&d->job->out, "title", d->title.data, d->title.len);
  d->titled = true;
}

static void core_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
  struct docx *d = arg;
  (void)name, (void)prefix, (void)uri;
  if (d->in_title) give_title(d);
  d->in_title = false;
}

static void core_text(void *arg, const xmlChar *text, int n) {
  struct docx *d = arg;
  if (d->in_title && d->title.len + (size_t)n <= TITLE_MAX) buf_add(&d->title, text, (size_t)n);
}

/* ---- the document ---- */

/* Opens the paragraph's block before its first text. */
static void place(struct docx *d) {
  struct out *o = &d->job->out;
  char prefix[2 * LEVELS + 8];
  if (d->placed) return;
  d->placed = true;
  if (d->cells) {
    out_space(o);
    return;
  }
  if (d->heading) {
    out_block(o, 2, &"###### "[6 - d->heading]);
  } else if (d->list) {
    int indent = 2 * (int)(d->level < LEVELS ? d->level : LEVELS);
    snprintf(prefix, sizeof prefix, "%*s- ", indent, "");
    out_block(o, d->was_list ? 1 : 2, prefix);
  } else {
    out_block(o, 2, "");
  }
  d->was_list = d->list && !d->heading;
}

static void start_property(struct docx *d, enum token token, const xmlChar **list, int n) {
  char value[64];
  attribute(list, n, "val", value, sizeof value);
  if (token == T_PSTYLE) {
    struct style s = resolve_style(d, value);
    if (!d->heading) d->heading = s.heading;
    d->list = d->list || s.list;
  }
  if (token == T_NUMID) d->list = strcmp(value, "0") != 0;
  if (token == T_ILVL) d->level = (unsigned)strtoul(value, NULL, 10);
  if (token == T_OUTLINE && value[0] >= '0' && value[0] <= '5')
    d->heading = (unsigned)(value[0] - '0') + 1;
}

static void start_paragraph(struct docx *d) {
  d->in_paragraph = true;
  d->placed = d->bold = d->hidden = d->list = false;
  d->heading = d->level = 0;
}

static void start_row_or_cell(struct docx *d, enum token token) {
  struct out *o = &d->job->out;
  if (token == T_TR) {
    out_block(o, d->was_row ? 1 : 2, "");
    d->cells = 1;
    d->was_row = true;
  } else if (token == T_TC && d->cells++ > 1) {
    out_text(o, " | ", 3);
  }
}

static void document_start(void *arg, const xmlChar *name, const xmlChar *prefix,
                           const xmlChar *uri, int ns_count, const xmlChar **ns, int n,
                           int defaulted, const xmlChar **list) {
  struct docx *d = arg;
  struct out *o = &d->job->out;
  (void)prefix, (void)ns_count, (void)ns, (void)defaulted;
  enum token token = token_of(name, uri);
  if (d->skip || token == T_SKIP) {
    d->skip++;
    return;
  }
  switch (token) {
  case T_P:
    start_paragraph(d);
    break;
  case T_PPR:
    d->in_properties = true;
    break;
  case T_R:
    d->bold = d->hidden = false;
    break;
  case T_RPR:
    d->in_run_properties = !d->in_properties;
    break;
  case T_B:
    if (d->in_run_properties) d->bold = is_on(list, n);
    break;
  case T_VANISH:
    if (d->in_run_properties) d->hidden = is_on(list, n);
    break;
  case T_RSTYLE: {
    char value[64];
    attribute(list, n, "val", value, sizeof value);
    if (d->in_run_properties && !strcasecmp(value, "Strong")) d->bold = true;
    break;
  }
  case T_T:
    d->in_text = !d->hidden;
    break;
  case T_TAB:
    if (!d->in_properties) out_space(o);
    break;
  case T_BR:
    if (d->cells)
      out_space(o);
    else
      out_break(o);
    break;
  case T_HYPHEN:
    place(d);
    out_text(o, "-", 1);
    break;
  case T_TBL:
    d->was_row = false;
    break;
  case T_TR:
  case T_TC:
    start_row_or_cell(d, token);
    break;
  default:
    if (d->in_properties && !d->in_run_properties) start_property(d, token, list, n);
  }
}

static void end_paragraph(struct docx *d) {
  if (d->heading && d->placed) give_title(d);
  if (!d->titled) buf_reset(&d->title);
  if (!d->cells && d->placed) out_block(&d->job->out, 1, "");
  d->in_paragraph = false;
}

static void document_end(void *arg, const xmlChar *name, const xmlChar *prefix,
                         const xmlChar *uri) {
  struct docx *d = arg;
  (void)prefix;
  if (d->skip) {
    d->skip--;
    return;
  }
  switch (token_of(name, uri)) {
  case T_P:
    end_paragraph(d);
    break;
  case T_PPR:
    d->in_properties = false;
    break;
  case T_RPR:
    d->in_run_properties = false;
    break;
  case T_T:
    d->in_text = false;
    break;
  case T_TR:
    d->cells = 0;
    out_block(&d->job->out, 1, "");
    break;
  case T_TBL:
    d->cells = 0;
    d->was_row = d->was_list = false;
    out_block(&d->job->out, 2, "");
    break;
  default:
    break;
  }
}

static void document_text(void *arg, const xmlChar *text, int n) {
  struct docx *d = arg;
  struct out *o = &d->job->out;
  if (!d->in_text || d->skip || n <= 0) return;
  place(d);
  out_bold(o, d->bold && !d->heading);
  out_text(o, (const char *)text, (size_t)n);
  if (d->heading && !d->titled && d->title.len + (size_t)n <= TITLE_MAX)
    buf_add(&d->title, text, (size_t)n);
  if (o->gone) stop(d, ERR_IO);
}

/* ---- the archive ---- */

static int damaged(struct docx *d, struct archive *a) {
  const char *why = archive_error_string(a);
  return err_set(d->err, ERR_FORMAT, "unreadable DOCX: %s", why ? why : "a damaged ZIP archive");
}

static int count_unpacked(struct docx *d, size_t n) {
  d->unpacked += n;
  if (d->unpacked > d->job->request.unpacked_max)
    return err_set(d->err, ERR_LIMIT, "limit: it unpacks to more than %llu bytes",
                   (unsigned long long)d->job->request.unpacked_max);
  if (d->unpacked > RATIO_FREE && d->unpacked / RATIO_MAX > d->job->bytes)
    return err_set(d->err, ERR_LIMIT,
                   "limit: it unpacks to more than %d times its size (a zip bomb?)", RATIO_MAX);
  return 0;
}

static void set_common(xmlSAXHandler *sax) {
  sax->initialized = XML_SAX2_MAGIC;
  sax->internalSubset = on_dtd;
  sax->externalSubset = on_dtd;
  sax->error = on_error;
  sax->warning = on_error;
  sax->fatalError = on_error;
}

static int feed(struct docx *d, struct archive *a, const char *name) {
  char *block = mem_alloc(BLOCK);
  int rc = block ? 0 : err_nomem(d->err, BLOCK, name);
  while (!rc && !d->rc) {
    la_ssize_t n = archive_read_data(a, block, BLOCK);
    if (n < 0) rc = damaged(d, a);
    if (n <= 0) break;
    rc = count_unpacked(d, (size_t)n);
    if (rc) break;
    int e = xmlParseChunk(d->parser, block, (int)n, 0);
    if (e && !d->rc && !d->parser->wellFormed) {
      const xmlError *why = xmlCtxtGetLastError(d->parser);
      int len = why && why->message ? (int)strcspn(why->message, "\n") : 0;
      rc = err_set(d->err, ERR_FORMAT, "unreadable DOCX: %s is not well-formed XML (%.*s)", name,
                   len, len ? why->message : "");
    }
  }
  if (!rc && !d->rc && xmlParseChunk(d->parser, "", 0, 1) && !d->parser->wellFormed)
    rc = err_set(d->err, ERR_FORMAT, "unreadable DOCX: %s ends early", name);
  mem_free(block);
  return rc ? rc : d->rc;
}

static int parse_member(struct docx *d, struct archive *a, const char *name, xmlSAXHandler *sax) {
  set_common(sax);
  d->parser = xmlCreatePushParserCtxt(sax, d, NULL, 0, NULL);
  if (!d->parser) return err_nomem(d->err, 0, "the XML parser");
  xmlCtxtUseOptions(d->parser, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
  int rc = feed(d, a, name);
  if (d->parser->myDoc) xmlFreeDoc(d->parser->myDoc);
  d->parser->myDoc = NULL;
  xmlFreeParserCtxt(d->parser);
  d->parser = NULL;
  return rc;
}

enum pass { PASS_STYLES, PASS_TEXT };

/* Reads one member if this pass wants it. found becomes true at the document. */
static int visit(struct docx *d, struct archive *a, struct archive_entry *entry, enum pass pass,
                 bool *found) {
  xmlSAXHandler sax = {0};
  const char *name = archive_entry_pathname_utf8(entry);
  if (!name || archive_entry_filetype(entry) != AE_IFREG) return 0;
  for (size_t i = 0; i < sizeof cousins / sizeof *cousins; i++)
    if (!d->cousin && !strcmp(name, cousins[i].member)) d->cousin = cousins[i].what;
  bool styles = !strcmp(name, "word/styles.xml"), core = !strcmp(name, "docProps/core.xml");
  bool text = !strcmp(name, "word/document.xml") || !strcmp(name, "word/document2.xml");
  if (pass == PASS_TEXT ? !text || *found : !styles && !core) return 0;
  if (archive_entry_is_encrypted(entry))
    return err_set(d->err, ERR_FORMAT,
                   "unreadable DOCX: it is encrypted; save it without a "
                   "password");
  sax.startElementNs = styles ? styles_start : core ? core_start : document_start;
  sax.endElementNs = styles ? styles_end : core ? core_end : document_end;
  sax.characters = core ? core_text : text ? document_text : NULL;
  sax.cdataBlock = sax.characters;
  *found = *found || text;
  return parse_member(d, a, name, &sax);
}

static int walk(struct docx *d, enum pass pass, bool *found) {
  struct archive_entry *entry;
  struct archive *a = archive_read_new();
  int rc = 0, e;
  if (!a) return err_nomem(d->err, 0, "the archive reader");
  archive_read_support_format_zip(a);
  if (lseek(d->job->fd, 0, SEEK_SET) < 0) rc = err_errno(d->err, "cannot read");
  if (!rc && archive_read_open_fd(a, d->job->fd, BLOCK) != ARCHIVE_OK) rc = damaged(d, a);
  for (unsigned n = 0; !rc; n++) {
    e = archive_read_next_header(a, &entry);
    if (e == ARCHIVE_EOF) break;
    if (e < ARCHIVE_WARN)
      rc = damaged(d, a);
    else if (n == MEMBERS_MAX)
      rc = err_set(d->err, ERR_LIMIT, "limit: more than %d members", MEMBERS_MAX);
    else
      rc = visit(d, a, entry, pass, found);
  }
  archive_read_free(a);
  return rc;
}

int docx_read(struct job *job, struct err *err) {
  struct docx d = {.job = job, .err = err};
  bool found = false;
  buf_init(&d.title);
  d.styles = mem_array(STYLES_MAX, sizeof *d.styles);
  int rc = d.styles ? walk(&d, PASS_STYLES, &found) : err_nomem(err, 0, "styles");
  if (!rc) rc = walk(&d, PASS_TEXT, &found);
  if (!rc && !found && d.cousin)
    rc = err_set(err, ERR_UNSUPPORTED,
                 "unsupported type: it is %s; read takes pdf, docx, html, md "
                 "and txt",
                 d.cousin);
  if (!rc && !found && strncmp(job->request.extension, "doc", 3))
    rc = err_set(err, ERR_UNSUPPORTED, "unsupported type: it is a ZIP archive");
  if (!rc && !found)
    rc = err_set(err, ERR_FORMAT, "unreadable DOCX: there is no word/document.xml in it");
  out_block(&job->out, 0, "");
  if (!rc && job->out.began) out_raw(&job->out, "\n", 1);
  buf_clear(&d.title);
  mem_free(d.styles);
  return rc;
}

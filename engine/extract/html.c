/* SPDX-License-Identifier: MIT */
/* HTML to text, by libxml2's forgiving parser in its event form: no tree is built, so memory is
 * bounded by the nesting, not by the page, and no depth makes us recurse. The parser sees bytes
 * only: no network, no DTD is loaded (the event table has no handler that could).
 *
 *   h1 … h6   "# " … "###### "          ul / ol   "- " / "1. ", two spaces per level
 *   p, div …  blocks between blank lines   tr     "a | b"
 *   b, strong, dfn, dt   "**…**"        br        line end        pre   white space kept
 *
 * Left out: script, style, template, nav, forms' controls, svg, and whatever is hidden (hidden,
 * aria-hidden="true", display:none). The page's <title> is the title.
 *
 * The encoding is taken in this order: byte order mark, what <meta> declares, detection. Bytes are
 * decoded here, and the parser is told UTF-8.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "extract/worker.h"
#include "text/encoding.h"

#include <libxml/HTMLparser.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HTML_MAX  ((uint64_t)64 << 20)
#define DEPTH_MAX ((size_t)1 << 18)
#define HEAD      ((size_t)4 << 10) /* where <meta charset> must be */
#define TITLE_MAX ((size_t)1024)
#define FEED      ((size_t)64 << 10)
#define LISTS     8 /* levels that are indented */

enum element_kind {
  INLINE,
  SKIP,    /* with all that is in it */
  BLOCK,   /* between blank lines */
  HEADING, /* level: 1–6 */
  BOLD,
  UL,
  OL,
  LI,
  DT,
  DD,
  PRE,
  TR,
  CELL,
  BR,
  TITLE
};

static const struct element {
  const char *name;
  enum element_kind kind;
  unsigned level;
} elements[] = {{"script", SKIP, 0},
                {"style", SKIP, 0},
                {"template", SKIP, 0},
                {"nav", SKIP, 0},
                {"noscript", SKIP, 0},
                {"svg", SKIP, 0},
                {"math", INLINE, 0},
                {"iframe", SKIP, 0},
                {"object", SKIP, 0},
                {"canvas", SKIP, 0},
                {"audio", SKIP, 0},
                {"video", SKIP, 0},
                {"select", SKIP, 0},
                {"button", SKIP, 0},
                {"textarea", SKIP, 0},
                {"datalist", SKIP, 0},
                {"title", TITLE, 0},
                {"h1", HEADING, 1},
                {"h2", HEADING, 2},
                {"h3", HEADING, 3},
                {"h4", HEADING, 4},
                {"h5", HEADING, 5},
                {"h6", HEADING, 6},
                {"p", BLOCK, 0},
                {"div", BLOCK, 0},
                {"section", BLOCK, 0},
                {"article", BLOCK, 0},
                {"main", BLOCK, 0},
                {"header", BLOCK, 0},
                {"footer", BLOCK, 0},
                {"aside", BLOCK, 0},
                {"figure", BLOCK, 0},
                {"figcaption", BLOCK, 0},
                {"blockquote", BLOCK, 0},
                {"address", BLOCK, 0},
                {"details", BLOCK, 0},
                {"summary", BLOCK, 0},
                {"form", BLOCK, 0},
                {"fieldset", BLOCK, 0},
                {"hr", BLOCK, 0},
                {"table", BLOCK, 0},
                {"caption", BLOCK, 0},
                {"body", BLOCK, 0},
                {"center", BLOCK, 0},
                {"dl", BLOCK, 0},
                {"ul", UL, 0},
                {"menu", UL, 0},
                {"ol", OL, 0},
                {"li", LI, 0},
                {"dt", DT, 0},
                {"dd", DD, 0},
                {"pre", PRE, 0},
                {"listing", PRE, 0},
                {"tr", TR, 0},
                {"td", CELL, 0},
                {"th", CELL, 0},
                {"br", BR, 0},
                {"b", BOLD, 0},
                {"strong", BOLD, 0},
                {"dfn", BOLD, 0}};

static const struct element plain = {"", INLINE, 0};

static const struct element *element_of(const xmlChar *name) {
  for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
    if (!strcmp((const char *)name, elements[i].name)) return &elements[i];
  return &plain;
}

/* The open elements. A name is kept as its place in the table, or as a hash for the others. */
struct open_element {
  const struct element *element;
  uint32_t hash;
};

struct html {
  struct job *job;
  struct open_element *open;
  size_t depth, cap;
  size_t skip_from; /* depth at which skipping began + 1; 0: not skipping */
  unsigned bold, pre, cells;
  bool in_title, in_heading;
  struct {
    bool ordered;
    unsigned n;
  } lists[LISTS];
  unsigned list_depth;
  struct buf title;
  bool titled, failed, too_deep;
  htmlParserCtxtPtr parser;
};

static uint32_t name_hash(const xmlChar *name) {
  uint32_t h = 2166136261u;
  for (; *name; name++) h = (h ^ *name) * 16777619u;
  return h;
}

/* Does a style attribute say display: none? */
static bool style_hides(const char *style) {
  const char *p = strcasestr(style, "display");
  if (!p) return false;
  for (p += 7; *p == ' ' || *p == ':'; p++) continue;
  return !strncasecmp(p, "none", 4);
}

static bool is_hidden(const xmlChar **attributes) {
  for (; attributes && attributes[0]; attributes += 2) {
    const char *key = (const char *)attributes[0], *value = (const char *)attributes[1];
    if (!strcmp(key, "hidden")) return true;
    if (value && !strcmp(key, "aria-hidden") && !strcasecmp(value, "true")) return true;
    if (value && !strcmp(key, "style") && style_hides(value)) return true;
  }
  return false;
}

static void begin_item(struct html *h) {
  char prefix[64];
  unsigned level = h->list_depth ? h->list_depth - 1 : 0;
  unsigned at = level < LISTS ? level : LISTS - 1;
  int indent = (int)(2 * (level < LISTS ? level : LISTS - 1));
  if (h->list_depth && h->lists[at].ordered)
    snprintf(prefix, sizeof prefix, "%*s%u. ", indent, "", ++h->lists[at].n);
  else
    snprintf(prefix, sizeof prefix, "%*s- ", indent, "");
  out_block(&h->job->out, 1, prefix);
}

static void begin_list(struct html *h, bool ordered) {
  if (!h->cells) out_block(&h->job->out, h->list_depth ? 1 : 2, "");
  unsigned at = h->list_depth < LISTS ? h->list_depth : LISTS - 1;
  h->lists[at].ordered = ordered;
  h->lists[at].n = 0;
  h->list_depth++;
}

static bool pending_item(const struct html *h) { /* <li><p>: the item's mark must survive */
  return !h->job->out.in_block && h->list_depth && h->job->out.prefix[0];
}

/* Where a paragraph or the like begins or ends: inside a table's row only a space. */
static void block_edge(struct html *h) {
  struct out *o = &h->job->out;
  if (h->cells)
    out_space(o);
  else if (!pending_item(h))
    out_block(o, h->list_depth ? 1 : 2, h->list_depth ? "  " : "");
}

static void begin(struct html *h, const struct element *e) {
  struct out *o = &h->job->out;
  switch (e->kind) {
  case BLOCK:
    block_edge(h);
    break;
  case HEADING:
    out_block(o, 2, &"###### "[6 - e->level]);
    h->in_heading = true;
    out_bold(o, false);
    break;
  case BOLD:
    h->bold++;
    out_bold(o, !h->in_heading);
    break;
  case UL:
    begin_list(h, false);
    break;
  case OL:
    begin_list(h, true);
    break;
  case LI:
    if (h->cells)
      out_text(o, " - ", 3);
    else
      begin_item(h);
    break;
  case DT:
    out_block(o, 2, "");
    out_bold(o, ++h->bold > 0);
    break;
  case DD:
    out_block(o, 1, "");
    break;
  case PRE:
    out_block(o, 2, "");
    h->pre++;
    break;
  case TR:
    out_block(o, 1, "");
    h->cells = 1;
    break;
  case CELL:
    if (h->cells++ > 1) out_text(o, " | ", 3);
    break;
  case BR:
    if (h->cells)
      out_space(o);
    else
      out_break(o);
    break;
  case TITLE:
    h->in_title = !h->titled;
    break;
  case INLINE:
  case SKIP:
    break;
  }
}

static void finish_title(struct html *h) {
  if (h->title.len) out_meta(&h->job->out, "title", h->title.data, h->title.len);
  h->titled = h->titled || h->title.len > 0;
  h->in_title = false;
}

static void end(struct html *h, const struct element *e) {
  struct out *o = &h->job->out;
  switch (e->kind) {
  case BLOCK:
    block_edge(h);
    break;
  case HEADING:
    h->in_heading = false;
    out_block(o, 2, "");
    out_bold(o, h->bold > 0);
    break;
  case DT:
    h->bold -= h->bold > 0;
    out_bold(o, h->bold > 0);
    out_block(o, 1, "");
    break;
  case BOLD:
    h->bold -= h->bold > 0;
    out_bold(o, h->bold > 0 && !h->in_heading);
    break;
  case UL:
  case OL:
    h->list_depth -= h->list_depth > 0;
    if (!h->cells) out_block(o, h->list_depth ? 1 : 2, "");
    break;
  case PRE:
    h->pre -= h->pre > 0;
    out_block(o, 2, "");
    break;
  case LI:
  case DD:
    if (h->cells)
      out_space(o);
    else
      out_block(o, 1, "");
    break;
  case TR:
    h->cells = 0;
    out_block(o, 1, "");
    break;
  case TITLE:
    finish_title(h);
    break;
  case CELL:
  case BR:
  case INLINE:
  case SKIP:
    break;
  }
}

static bool push(struct html *h, const struct element *e, uint32_t hash) {
  if (h->depth == h->cap) {
    size_t cap = h->cap ? h->cap * 2 : 256;
    struct open_element *p = cap > DEPTH_MAX ? NULL : mem_rearray(h->open, cap, sizeof *p);
    h->too_deep = cap > DEPTH_MAX;
    h->failed = !p;
    if (!p) return xmlStopParser(h->parser), false;
    h->open = p;
    h->cap = cap;
  }
  h->open[h->depth++] = (struct open_element){e, hash};
  return true;
}

static void on_start(void *arg, const xmlChar *name, const xmlChar **attributes) {
  struct html *h = arg;
  const struct element *e = element_of(name);
  if (h->failed || !push(h, e, name_hash(name)) || h->skip_from) return;
  if (e->kind == SKIP || is_hidden(attributes)) {
    h->skip_from = h->depth;
    return;
  }
  begin(h, e);
}

/* Ends the innermost element of that name and those inside it. */
static void on_end(void *arg, const xmlChar *name) {
  struct html *h = arg;
  uint32_t hash = name_hash(name);
  size_t at = h->depth;
  while (at > 0 && h->open[at - 1].hash != hash) at--;
  if (at == 0) return;
  while (h->depth >= at) {
    const struct element *e = h->open[h->depth - 1].element;
    bool hidden = h->skip_from != 0;
    if (h->skip_from == h->depth) h->skip_from = 0;
    h->depth--;
    if (!hidden) end(h, e);
  }
}

static void on_text(void *arg, const xmlChar *text, int n) {
  struct html *h = arg;
  const char *s = (const char *)text;
  if (h->skip_from || n <= 0) return;
  if (h->in_title) {
    if (h->title.len + (size_t)n <= TITLE_MAX) buf_add(&h->title, s, (size_t)n);
  } else if (h->pre) {
    out_verbatim(&h->job->out, s, (size_t)n);
  } else {
    out_text(&h->job->out, s, (size_t)n);
  }
}

static void on_error(void *arg, const char *format, ...) {
  (void)arg, (void)format; /* HTML in the wild is full of errors; the parser mends them */
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
  if (e.how != ENCODING_BOM && declared(raw->data, raw->len, name, sizeof name) &&
      e.how != ENCODING_VALID && !(is_utf8(as_browsers_do(name)) && e.how != ENCODING_MOSTLY))
    use = as_browsers_do(name);
  rc = encoding_to_utf8(raw->data, raw->len, use, out, &replaced, err);
  if (rc == ERR_UNSUPPORTED) { /* a charset nobody knows */
    buf_reset(out);
    use = e.name;
    rc = encoding_to_utf8(raw->data, raw->len, use, out, &replaced, err);
  }
  if (rc) return rc;
  if (!quiet) out_meta(&job->out, "encoding", use, strlen(use));
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

static int parse(struct html *h, const struct buf *text, struct err *err) {
  htmlSAXHandler sax = {0};
  sax.startElement = on_start;
  sax.endElement = on_end;
  sax.characters = on_text;
  sax.cdataBlock = on_text;
  sax.ignorableWhitespace = on_text;
  sax.error = on_error;
  sax.warning = on_error;
  h->parser = htmlCreatePushParserCtxt(&sax, h, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
  if (!h->parser) return err_nomem(err, 0, "the HTML parser");
  htmlCtxtUseOptions(h->parser, HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_NOERROR |
                                    HTML_PARSE_NOWARNING | HTML_PARSE_IGNORE_ENC);
  for (size_t at = 0; at < text->len && !h->failed && !h->job->out.gone; at += FEED) {
    size_t n = text->len - at < FEED ? text->len - at : FEED;
    htmlParseChunk(h->parser, text->data + at, (int)n, 0);
  }
  if (!h->failed) htmlParseChunk(h->parser, "", 0, 1);
  htmlFreeParserCtxt(h->parser);
  if (h->too_deep)
    return err_set(err, ERR_LIMIT, "limit: elements nested more than %zu deep", DEPTH_MAX);
  return h->failed ? err_nomem(err, 0, "open HTML elements") : 0;
}

static int read_page(struct job *job, const struct buf *raw, const struct html_options *o,
                     struct err *err) {
  struct html h = {.job = job, .titled = o->quiet};
  struct buf text;
  buf_init(&text);
  buf_init(&h.title);
  int rc = decode(job, raw, o->quiet, &text, err);
  if (!rc) rc = parse(&h, &text, err);
  buf_clear(&text);
  buf_clear(&h.title);
  mem_free(h.open);
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

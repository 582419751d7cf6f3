/* SPDX-License-Identifier: MIT */
/* The walk over a page; see html_walk.h.
 *
 *   open    html body div ul li        the elements that are open, outermost first
 *   skip    ────────────▲              everything from this depth on is left out
 *
 * An end tag closes the innermost element of its name and those inside it; one that matches
 * nothing is passed over. The parser itself adds the tags that HTML lets an author leave out.
 */
#include "extract/html_walk.h"

#include "base/mem.h"

#include <libxml/HTMLparser.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX ((size_t)1 << 18)
#define FEED      ((size_t)64 << 10)

static const struct element elements[] = {{"p", PARAGRAPH, 0},
                                          {"div", BLOCK, 0},
                                          {"a", LINK, 0},
                                          {"span", INLINE, 0},
                                          {"li", LI, 0},
                                          {"td", CELL, 0},
                                          {"tr", TR, 0},
                                          {"br", BR, 0},
                                          {"code", CODE, 0},
                                          {"b", BOLD, 0},
                                          {"strong", BOLD, 0},
                                          {"dfn", BOLD, 0},
                                          {"script", SKIP, 0},
                                          {"style", SKIP, 0},
                                          {"template", SKIP, 0},
                                          {"noscript", SKIP, 0},
                                          {"svg", SKIP, 0},
                                          {"iframe", SKIP, 0},
                                          {"object", SKIP, 0},
                                          {"canvas", SKIP, 0},
                                          {"audio", SKIP, 0},
                                          {"video", SKIP, 0},
                                          {"select", SKIP, 0},
                                          {"button", SKIP, 0},
                                          {"textarea", SKIP, 0},
                                          {"datalist", SKIP, 0},
                                          {"dialog", SKIP, 0},
                                          {"rt", SKIP, 0}, /* readings over ruby text */
                                          {"rp", SKIP, 0},
                                          {"annotation", SKIP, 0}, /* says a formula again */
                                          {"annotation-xml", SKIP, 0},
                                          {"math", MATH, 0},
                                          {"title", TITLE, 0},
                                          {"h1", HEADING, 1},
                                          {"h2", HEADING, 2},
                                          {"h3", HEADING, 3},
                                          {"h4", HEADING, 4},
                                          {"h5", HEADING, 5},
                                          {"h6", HEADING, 6},
                                          {"section", BLOCK, 0},
                                          {"article", ARTICLE, 0},
                                          {"main", MAIN, 0},
                                          {"nav", NAV, 0},
                                          {"header", PAGE_HEADER, 0},
                                          {"footer", PAGE_FOOTER, 0},
                                          {"aside", ASIDE, 0},
                                          {"figure", BLOCK, 0},
                                          {"figcaption", BLOCK, 0},
                                          {"blockquote", QUOTE, 0},
                                          {"address", BLOCK, 0},
                                          {"details", BLOCK, 0},
                                          {"summary", BLOCK, 0},
                                          {"form", FORM, 0},
                                          {"fieldset", BLOCK, 0},
                                          {"legend", BLOCK, 0},
                                          {"hr", BLOCK, 0},
                                          {"table", TABLE, 0},
                                          {"caption", BLOCK, 0},
                                          {"body", BODY, 0},
                                          {"html", ROOT, 0},
                                          {"center", BLOCK, 0},
                                          {"hgroup", BLOCK, 0},
                                          {"search", NAV, 0},
                                          {"dl", DL, 0},
                                          {"ul", UL, 0},
                                          {"menu", UL, 0},
                                          {"dir", UL, 0},
                                          {"ol", OL, 0},
                                          {"dt", DT, 0},
                                          {"dd", DD, 0},
                                          {"pre", PRE, 0},
                                          {"listing", PRE, 0},
                                          {"xmp", PRE, 0},
                                          {"th", CELL, 1},
                                          {"tt", CODE, 0},
                                          {"kbd", CODE, 0},
                                          {"samp", CODE, 0},
                                          {"q", INLINE_QUOTE, 0},
                                          {"sup", SUPER, 0},
                                          {"img", IMAGE, 0}};

static const struct element plain = {"", INLINE, 0};

static const struct element *element_of(const char *name) {
  for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
    if (!strcmp(name, elements[i].name)) return &elements[i];
  return &plain;
}

/* A name is kept as its place in the table, or as a hash for the others. */
struct open_element {
  const struct element *element;
  uint32_t hash, number;
};

struct walk {
  const struct html_walker *w;
  htmlParserCtxtPtr parser;
  struct open_element *open;
  size_t depth, cap;
  size_t skip; /* depth at which leaving out began; 0: not leaving out */
  uint32_t number;
  bool failed, too_deep;
};

static uint32_t name_hash(const char *name) {
  uint32_t h = 2166136261u;
  for (; *name; name++) h = (h ^ (unsigned char)*name) * 16777619u;
  return h;
}

/* ---- attributes ---- */

const char *html_attribute(const char **attributes, const char *name) {
  for (; attributes && attributes[0]; attributes += 2)
    if (!strcmp(attributes[0], name)) return attributes[1] ? attributes[1] : "";
  return NULL;
}

bool html_word(const char **at, char *out, size_t n) {
  const char *s = *at;
  size_t len = 0;
  while (*s && (unsigned char)*s <= ' ') s++;
  for (; (unsigned char)*s > ' '; s++)
    if (len + 1 < n) out[len++] = (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
  out[len] = 0;
  *at = s;
  return len > 0;
}

/* Does a style attribute say that nobody sees this? */
static bool style_hides(const char *style) {
  const char *p = strcasestr(style, "display");
  if (p) {
    for (p += 7; *p == ' ' || *p == ':'; p++) continue;
    if (!strncasecmp(p, "none", 4)) return true;
  }
  if (!(p = strcasestr(style, "visibility"))) return false;
  for (p += 10; *p == ' ' || *p == ':'; p++) continue;
  return !strncasecmp(p, "hidden", 6);
}

/* Words of classes whose elements are for the eye or the mouse only: links beside headings, texts
 * for screen readers, numbers of lines, buttons to copy and to edit. */
static bool class_hides(const char *value) {
  static const char *const words[] = {"headerlink",
                                      "header-anchor",
                                      "anchor-link",
                                      "anchorjs-link",
                                      "heading-anchor",
                                      "heading-link",
                                      "hash-link",
                                      "mw-editsection",
                                      "mw-jump-link",
                                      "sr-only",
                                      "visually-hidden",
                                      "visuallyhidden",
                                      "screen-reader-text",
                                      "skip-link",
                                      "skiplink",
                                      "skip-to-content",
                                      "linenos",
                                      "lineno",
                                      "linenumber",
                                      "linenodiv",
                                      "rouge-gutter",
                                      "blob-num",
                                      "copybtn",
                                      "copy-button",
                                      "noprint"};
  char word[64];
  while (html_word(&value, word, sizeof word))
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
      if (!strcmp(word, words[i])) return true;
  return false;
}

static bool is_hidden(const struct element *e, const char **attributes) {
  for (; attributes && attributes[0]; attributes += 2) {
    const char *key = attributes[0], *value = attributes[1] ? attributes[1] : "";
    if (!strcmp(key, "hidden") && strcasecmp(value, "until-found") != 0) return true;
    if (!strcmp(key, "aria-hidden") && !strcasecmp(value, "true")) return true;
    if (!strcmp(key, "style") && style_hides(value)) return true;
    if (!strcmp(key, "class") && e->kind != PRE && e->kind != BODY && e->kind != ROOT &&
        class_hides(value))
      return true;
  }
  return false;
}

/* ---- the parser's events ---- */

static bool push(struct walk *w, const struct element *e, uint32_t hash) {
  if (w->depth == w->cap) {
    size_t cap = w->cap ? w->cap * 2 : 256;
    struct open_element *p = cap > DEPTH_MAX ? NULL : mem_rearray(w->open, cap, sizeof *p);
    w->too_deep = cap > DEPTH_MAX;
    w->failed = !p;
    if (!p) return xmlStopParser(w->parser), false;
    w->open = p;
    w->cap = cap;
  }
  w->open[w->depth++] = (struct open_element){e, hash, ++w->number};
  return true;
}

static void on_start(void *arg, const xmlChar *name, const xmlChar **attributes) {
  struct walk *w = arg;
  const struct element *e = element_of((const char *)name);
  const char **list = (const char **)attributes;
  if (w->failed || !push(w, e, name_hash((const char *)name)) || w->skip) return;
  if (e->kind == SKIP || is_hidden(e, list) || !w->w->begin(w->w->arg, e, list, w->number))
    w->skip = w->depth;
}

static void on_end(void *arg, const xmlChar *name) {
  struct walk *w = arg;
  uint32_t hash = name_hash((const char *)name);
  size_t at = w->depth;
  while (at > 0 && w->open[at - 1].hash != hash) at--;
  if (at == 0) return;
  while (w->depth >= at) {
    struct open_element o = w->open[w->depth - 1];
    bool left_out = w->skip != 0;
    if (w->skip == w->depth) w->skip = 0;
    w->depth--;
    if (!left_out) w->w->end(w->w->arg, o.element, o.number);
  }
}

static void on_text(void *arg, const xmlChar *text, int n) {
  struct walk *w = arg;
  if (!w->skip && n > 0) w->w->text(w->w->arg, (const char *)text, (size_t)n);
}

static void on_error(void *arg, const char *format, ...) {
  (void)arg, (void)format; /* HTML in the wild is full of errors; the parser mends them */
}

static void feed(struct walk *w, const char *text, size_t n) {
  htmlCtxtUseOptions(w->parser, HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_NOERROR |
                                    HTML_PARSE_NOWARNING | HTML_PARSE_IGNORE_ENC);
  for (size_t at = 0; at < n && !w->failed && !w->w->stop(w->w->arg); at += FEED)
    htmlParseChunk(w->parser, text + at, (int)(n - at < FEED ? n - at : FEED), 0);
  if (!w->failed) htmlParseChunk(w->parser, "", 0, 1);
  while (!w->failed && w->depth > 0) { /* what the page left open */
    struct open_element o = w->open[w->depth - 1];
    if (!w->skip) w->w->end(w->w->arg, o.element, o.number);
    if (w->skip == w->depth) w->skip = 0;
    w->depth--;
  }
}

int html_walk(const struct html_walker *walker, const char *text, size_t n, struct err *err) {
  struct walk w = {.w = walker};
  htmlSAXHandler sax = {0};
  sax.startElement = on_start;
  sax.endElement = on_end;
  sax.characters = on_text;
  sax.cdataBlock = on_text;
  sax.ignorableWhitespace = on_text;
  sax.error = on_error;
  sax.warning = on_error;
  w.parser = htmlCreatePushParserCtxt(&sax, &w, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
  if (!w.parser) return err_nomem(err, 0, "the HTML parser");
  feed(&w, text, n);
  htmlFreeParserCtxt(w.parser);
  mem_free(w.open);
  if (w.too_deep)
    return err_set(err, ERR_LIMIT, "limit: elements nested more than %zu deep", DEPTH_MAX);
  return w.failed ? err_nomem(err, 0, "open HTML elements") : 0;
}

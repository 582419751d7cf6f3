/* SPDX-License-Identifier: MIT */
/* XML by libxml2's push parser; see xml.h. Names and namespaces are interned by the parser, so that
 * a token is found by two pointers in a small cache, and by comparing only the first time. */
#include "extract/xml.h"

#include <libxml/parser.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FEED ((size_t)64 << 10)

struct xml_attributes {
  const xmlChar **list; /* name, prefix, address, value, its end */
  int n;
};

static int token_of(struct xml *x, const xmlChar *name, const xmlChar *space) {
  size_t at = ((uintptr_t)name >> 3 ^ (uintptr_t)space >> 5) % (sizeof x->cache / sizeof *x->cache);
  const char *address = space ? (const char *)space : "";
  if (x->cache[at].name == name && x->cache[at].space == space) return x->cache[at].token;
  int token = 0;
  for (const struct xml_name *t = x->names; t->name && !token; t++)
    if (!strcmp((const char *)name, t->name) && strstr(address, t->space)) token = t->token;
  x->cache[at].name = name;
  x->cache[at].space = space;
  x->cache[at].token = token;
  return token;
}

static void on_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *space,
                     int ns_count, const xmlChar **ns, int n, int defaulted, const xmlChar **list) {
  struct xml *x = arg;
  struct xml_attributes a = {list, n};
  (void)prefix, (void)ns_count, (void)ns, (void)defaulted;
  if (x->skip)
    x->skip++;
  else if (!x->rc)
    x->start(x->arg, token_of(x, name, space), &a);
}

static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *space) {
  struct xml *x = arg;
  (void)prefix;
  if (x->skip)
    x->skip--;
  else if (!x->rc)
    x->end(x->arg, token_of(x, name, space));
}

static void on_text(void *arg, const xmlChar *text, int n) {
  struct xml *x = arg;
  if (!x->skip && !x->rc && x->text && n > 0) x->text(x->arg, (const char *)text, (size_t)n);
}

static void on_dtd(void *arg, const xmlChar *name, const xmlChar *external, const xmlChar *system) {
  struct xml *x = arg;
  (void)name, (void)external, (void)system;
  xml_stop(x, err_set(x->err, ERR_FORMAT, "unreadable %s: its XML has a DTD, which is refused",
                      x->what));
}

static void on_error(void *arg, const char *format, ...) {
  (void)arg, (void)format;
}

void xml_skip(struct xml *x) {
  x->skip = 1;
}

void xml_stop(struct xml *x, int rc) {
  if (!x->rc) x->rc = rc;
  if (x->parser) xmlStopParser(x->parser);
}

static int malformed(struct xml *x, const char *part) {
  const xmlError *why = xmlCtxtGetLastError(x->parser);
  int n = why && why->message ? (int)strcspn(why->message, "\n") : 0;
  return err_set(x->err, ERR_FORMAT, "unreadable %s: %s is not well-formed XML (%.*s)", x->what,
                 part, n, n ? why->message : "");
}

static int feed(struct xml *x, const char *part, const char *bytes, size_t n) {
  xmlParserCtxtPtr parser = x->parser;
  for (size_t at = 0; at < n && !x->rc; at += FEED) {
    size_t take = n - at < FEED ? n - at : FEED;
    int e = xmlParseChunk(parser, bytes + at, (int)take, 0);
    if (e && !x->rc && !parser->wellFormed) return malformed(x, part);
  }
  if (!x->rc && xmlParseChunk(parser, "", 0, 1) && !x->rc && !parser->wellFormed)
    return err_set(x->err, ERR_FORMAT, "unreadable %s: %s ends early", x->what, part);
  return x->rc;
}

int xml_parse(struct xml *x, const char *part, const char *bytes, size_t n, struct err *err) {
  xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
                       .startElementNs = on_start,
                       .endElementNs = on_end,
                       .characters = on_text,
                       .ignorableWhitespace = on_text,
                       .cdataBlock = on_text,
                       .internalSubset = on_dtd,
                       .externalSubset = on_dtd,
                       .error = on_error,
                       .warning = on_error,
                       .fatalError = on_error};
  x->skip = 0;
  x->rc = 0;
  x->err = err;
  memset(x->cache, 0, sizeof x->cache);
  xmlParserCtxtPtr parser = x->parser = xmlCreatePushParserCtxt(&sax, x, NULL, 0, NULL);
  if (!parser) return err_nomem(err, 0, "the XML parser");
  xmlCtxtUseOptions(parser, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
  int rc = feed(x, part, bytes, n);
  if (parser->myDoc) xmlFreeDoc(parser->myDoc);
  parser->myDoc = NULL;
  xmlFreeParserCtxt(parser);
  x->parser = NULL;
  return rc;
}

/* ---- attributes ---- */

bool xml_attribute_ns(const struct xml_attributes *a, const char *space, const char *name,
                      char *out, size_t cap) {
  const xmlChar **p = a->list;
  out[0] = 0;
  for (int i = 0; i < a->n; i++, p += 5) {
    if (strcmp((const char *)p[0], name)) continue;
    if (*space && !(p[2] && strstr((const char *)p[2], space))) continue;
    size_t n = (size_t)(p[4] - p[3]);
    if (n >= cap) n = cap - 1;
    memcpy(out, p[3], n);
    out[n] = 0;
    return true;
  }
  return false;
}

bool xml_attribute(const struct xml_attributes *a, const char *name, char *out, size_t cap) {
  return xml_attribute_ns(a, "", name, out, cap);
}

unsigned xml_number(const struct xml_attributes *a, const char *name, unsigned fallback,
                    unsigned most) {
  char value[24], *end;
  if (!xml_attribute(a, name, value, sizeof value)) return fallback;
  long n = strtol(value, &end, 10);
  if (end == value || n < 0) return fallback;
  return (unsigned long)n > most ? most : (unsigned)n;
}

/* SPDX-License-Identifier: MIT */
/* XML of office documents, event by event, never as a tree:
 *
 *   static const struct xml_name names[] = {{"p", "wordprocessingml", T_P}, …, {NULL, NULL, 0}};
 *   struct xml x = {.what = "DOCX", .names = names, .start = …, .end = …, .text = …, .arg = &d};
 *   xml_parse(&x, "word/document.xml", bytes, n, err)
 *
 * An element is told by its local name and by a piece of its namespace's address, since strict and
 * transitional OOXML differ there. XML with a DTD is refused before anything in it is looked at: no
 * office document has one, every entity attack does. The parser reaches nothing outside its bytes.
 */
#ifndef LATHE_EXTRACT_XML_H
#define LATHE_EXTRACT_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct xml_name {
  const char *name, *space; /* local name; a piece of the namespace's address, "" for any */
  int token;                /* not 0 */
};

struct xml_attributes; /* of the element that starts */

struct xml {
  const char *what; /* "DOCX": for messages */
  const struct xml_name *names;
  /* token 0: an element that is not in names. text may be NULL. */
  void (*start)(void *arg, int token, const struct xml_attributes *attributes);
  void (*end)(void *arg, int token);
  void (*text)(void *arg, const char *s, size_t n);
  void *arg;

  /* the parser's own */
  void *parser;
  unsigned skip;
  int rc;
  struct err *err;
  struct {
    const void *name, *space;
    int token;
  } cache[256];
};

/* ERR_FORMAT (not well-formed, a DTD), ERR_NOMEM, or what xml_stop was given. */
int xml_parse(struct xml *x, const char *part, const char *bytes, size_t n, struct err *err);

/* In start: passes over the element and all that is in it; its end is not reported either. */
void xml_skip(struct xml *x);
/* In any handler: ends the parse with this code. */
void xml_stop(struct xml *x, int rc);

/* The attribute of that local name, cut to cap; "" (and false) when there is none. */
bool xml_attribute(const struct xml_attributes *a, const char *name, char *out, size_t cap);
/* The same where two namespaces use a name: the attribute whose namespace contains `space`. */
bool xml_attribute_ns(const struct xml_attributes *a, const char *space, const char *name,
                      char *out, size_t cap);
/* A whole number, or fallback. Never above `most`. */
unsigned xml_number(const struct xml_attributes *a, const char *name, unsigned fallback,
                    unsigned most);

#endif

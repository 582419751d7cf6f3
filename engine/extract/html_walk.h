/* SPDX-License-Identifier: MIT */
/* A walk over an HTML page by libxml2's forgiving parser in its event form: no tree is built, so
 * memory is bounded by the nesting and not by the page, and no depth makes us recurse. The parser
 * sees bytes only: no network, no DTD is loaded (the event table has no handler that could).
 *
 * A page is walked twice: html_plan.c finds out what is navigation, html.c writes the rest. Both
 * see the same elements under the same numbers (from 1, in order of their start tags), without those
 * that nobody reads: scripts, styles, what is hidden, marks beside headings, line numbers.
 */
#ifndef LATHE_EXTRACT_HTML_WALK_H
#define LATHE_EXTRACT_HTML_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum element_kind {
  INLINE,
  SKIP,  /* with all that is in it */
  BLOCK, /* between blank lines */
  PARAGRAPH,
  HEADING, /* level: 1–6 */
  BOLD,
  UL,
  OL,
  LI,
  DL,
  DT,
  DD,
  PRE,
  CODE,
  QUOTE,
  INLINE_QUOTE,
  SUPER,
  TABLE,
  TR,
  CELL, /* level 1: of the head */
  BR,
  IMAGE,
  LINK,
  MATH,
  TITLE,
  NAV, /* never the main text */
  ASIDE,
  PAGE_HEADER,
  PAGE_FOOTER,
  FORM,
  MAIN,
  ARTICLE,
  BODY,
  ROOT
};

struct element {
  const char *name;
  enum element_kind kind;
  unsigned level;
};

struct html_walker {
  void *arg;
  /* An element begins; false: leave it out with all that is in it (end is not called then). */
  bool (*begin)(void *arg, const struct element *e, const char **attributes, uint32_t number);
  void (*end)(void *arg, const struct element *e, uint32_t number);
  void (*text)(void *arg, const char *s, size_t n);
  bool (*stop)(void *arg); /* asked now and then */
};

/* `text` is UTF-8. ERR_LIMIT (nested too deep), ERR_NOMEM. */
int html_walk(const struct html_walker *w, const char *text, size_t n, struct err *err);

/* The value of an attribute, or NULL. */
const char *html_attribute(const char **attributes, const char *name);

/* The next word of a class or id attribute, in small letters, cut at n − 1 bytes; false at the end. */
bool html_word(const char **at, char *out, size_t n);

#endif

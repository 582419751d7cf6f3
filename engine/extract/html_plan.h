/* SPDX-License-Identifier: MIT */
/* What of a page is its main text? The first of two walks decides it, the second asks here.
 *
 *   <main>, role="main", an only <article>     is the main text, if it holds a good part of the page
 *   nav, page header and footer, sidebars …    are left out, wherever they are
 *   lists and boxes that are mostly links      are left out where they stand beside the main text
 *
 * Nothing is left out of a page when most of its text would go (a page that is only links, or whose
 * names of classes mislead).
 */
#ifndef LATHE_EXTRACT_HTML_PLAN_H
#define LATHE_EXTRACT_HTML_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct html_plan {
  uint32_t *left_out; /* numbers of elements, rising */
  size_t count, next;
  uint32_t main;    /* only the text of this element; 0: of the page */
  uint64_t dropped; /* characters of navigation and the like */
  uint32_t *layout; /* tables that only place things, rising */
  size_t layout_count, layout_next;
  bool plain_pre; /* the page is one preformatted text, not a page with code in it */
};

/* `whole`: nothing is left out; only tables and preformatted text are looked at. */
int html_plan_make(struct html_plan *p, const char *text, size_t n, bool whole,
                   bool (*stop)(void *), void *arg, struct err *err);
void html_plan_clear(struct html_plan *p);

/* Asked in rising order of numbers: */
bool html_plan_leaves_out(struct html_plan *p, uint32_t number);
bool html_plan_is_layout(struct html_plan *p, uint32_t table);

#endif

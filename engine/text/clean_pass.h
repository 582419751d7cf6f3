/* SPDX-License-Identifier: MIT */
/* One pass of cleaning: an output buffer, the map of what was kept, and the counts. A pass goes over
 * `in` from front to end; it calls pass_keep for each stretch that stays and buf_add(&p->out) for
 * what it puts in its place; the last stretch too. `rc` is sticky: after a failure it may go on, but
 * need not. Only for the files of clean. */
#ifndef LATHE_TEXT_CLEAN_PASS_H
#define LATHE_TEXT_CLEAN_PASS_H

#include "text/clean.h"
#include "text/pii.h"

struct pass {
  const char *in;
  size_t n;
  struct buf out;
  struct run_map map;
  bool want_map;
  struct clean_counts *counts;
  int rc;
  struct err *err;
};

static inline void pass_keep(struct pass *p, size_t from, size_t to) {
  if (from >= to || p->rc) return;
  size_t at = p->out.len;
  buf_add(&p->out, p->in + from, to - from);
  if (p->want_map) p->rc = run_map_add(&p->map, at, from, to - from, p->err);
}

/* mojibake.c: could there be any? A quick look at bytes. */
bool mojibake_possible(const char *s, size_t n);
void mojibake_pass(struct pass *p, const struct clean_options *o);
void pii_pass(struct pass *p, const struct clean_options *o);         /* pii.c */
void boilerplate_pass(struct pass *p, const struct clean_options *o); /* boilerplate.c */

#endif

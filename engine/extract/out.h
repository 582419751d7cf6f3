/* SPDX-License-Identifier: MIT */
/* The child's output: frames for the engine, and on top of them a small layout engine that HTML,
 * DOCX share: words flow, blocks are separated by blank lines, runs may be bold.
 *
 *   out_raw                    bytes as they are (plain text, Markdown)
 *   out_block, out_text …      white space collapses to one space; a block starts after `gap`
 *                              newlines with its prefix ("# ", "- ", "  - ", "" …)
 *
 * Errors are sticky: once the engine has gone away nothing more is sent and out_gone is true, which
 * long loops look at.
 */
#ifndef LATHE_EXTRACT_OUT_H
#define LATHE_EXTRACT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define OUT_PENDING ((size_t)32 << 10)

struct out {
  int fd;
  bool gone;       /* the engine closed its end */
  bool began;      /* something was written: gaps count from now on */
  bool in_block;   /* the open block has text */
  bool space;      /* white space was seen since the last character */
  bool bold;       /* wanted */
  bool bold_on;    /* written: "**" is open */
  unsigned gap;    /* newlines owed before the next text */
  uint64_t blocks; /* begun so far */
  char prefix[96];
  size_t len;
  char text[OUT_PENDING];
};

void out_init(struct out *o, int fd);

/* ---- frames ---- */
void out_raw(struct out *o, const char *s, size_t n); /* valid UTF-8 */
void out_flush(struct out *o);
void out_page(struct out *o, uint32_t page);
void out_meta(struct out *o, const char *key, const char *value, size_t n);
void out_note(struct out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A frame of any kind, at most EXTRACT_FRAME bytes with its kind; a and b are its payload. */
void out_frame(struct out *o, char kind, const void *a, size_t an, const void *b, size_t bn);
void out_result(struct out *o, int code, const char *message);

/* ---- layout ---- */

/* Ends the block that is open; the next text starts after `gap` newlines (1: next line, 2: blank
 * line between) behind `prefix`. Gaps do not add up: the largest wins; the last prefix wins. */
void out_block(struct out *o, unsigned gap, const char *prefix);
void out_text(struct out *o, const char *s, size_t n);     /* flowing text */
void out_verbatim(struct out *o, const char *s, size_t n); /* white space counts (pre) */
void out_break(struct out *o);                             /* a line break inside the block */
void out_bold(struct out *o, bool on);

#endif

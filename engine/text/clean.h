/* SPDX-License-Identifier: MIT */
/* Text cleaning, and the run map that leads from a cleaned text back to the text it came from.
 *
 *   in    "one\r\ntwo­three   \n"            runs   out  in  len
 *   out   "one\ntwothree"                            0   0    3     one
 *                                                    3   4    4     \ntwo
 *                                                    7  10    5     three
 *
 * A run says that output bytes [out, out+len) are the input bytes [in, in+len). Output between two
 * runs was put in for the input between them (a composed letter, a blank); input between two runs
 * with no output between them was removed. Runs are in order and never touch on both sides.
 *
 * Each rule is an option. All rules together are idempotent: a cleaned text is left as it is.
 */
#ifndef LATHE_TEXT_CLEAN_H
#define LATHE_TEXT_CLEAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct clean_options {
  bool line_ends;  /* CR LF, CR, VT, FF, U+0085, U+2028, U+2029 become LF */
  bool control;    /* C0 (but tab and LF), DEL, C1 and non-characters are removed */
  bool zero_width; /* U+200B, U+2060, U+FEFF, U+00AD are removed; the joiners U+200C/D carry
                      meaning in Persian, Indic scripts and emoji, and stay */
  bool bidi;       /* U+200E/F, U+202A–E, U+2066–9 are removed */
  bool ligatures;  /* U+FB00–06 become their letters */
  bool nfc;        /* canonical composition, Unicode's form C */
  bool spaces;   /* no-break, thin and other odd spaces become U+0020, and a run of blanks inside a
                    line becomes one; indentation and U+3000 stay */
  bool trailing; /* blanks at a line's end are removed */
  bool dehyphenate; /* a word cut at a line's end with a hyphen, its rest in small letters, is
                       joined */
  bool trim;        /* blank lines at the start, all blanks at the end */
  int blank_lines;  /* at most this many blank lines in a row; −1: any number */
};

/* Everything on but bidi and dehyphenate; two blank lines. */
void clean_defaults(struct clean_options *o);

struct run {
  size_t out, in, len;
};
struct run_map {
  struct run *v; /* in order; owned */
  size_t n, cap;
  size_t in_size, out_size; /* lengths of the two texts */
};

void run_map_clear(struct run_map *m); /* may be called twice */
/* Appends one run, joined to the last where both sides touch. */
int run_map_add(struct run_map *m, size_t out, size_t in, size_t len, struct err *err);
/* Where output [start, …) begins, and where output […, end) ends, in the input. */
size_t run_map_start(const struct run_map *m, size_t out);
size_t run_map_end(const struct run_map *m, size_t out);
/* Where the output that came from input byte `in`, or from the first byte after it that was kept,
 * begins: the way from the original to the cleaned text. */
size_t run_map_output(const struct run_map *m, size_t in);
/* to = from the last text through `outer` to the middle one, then through `inner` to the first. */
int run_map_compose(const struct run_map *outer, const struct run_map *inner, struct run_map *to,
                    struct err *err);
/* Appends "[[out,in,len],…]". */
void run_map_write(const struct run_map *m, struct buf *out);

/* Appends the cleaned text to out (initialised, usually empty); *map (cleared or zero; may be NULL)
 * is filled with offsets relative to where the text begins in out. Malformed UTF-8 becomes U+FFFD.
 * ERR_NOMEM, ERR_CANCELLED. */
int clean_text(const char *s, size_t n, const struct clean_options *o, struct buf *out,
               struct run_map *map, struct err *err);

/* Form C alone: appends; valid UTF-8 expected. */
int clean_nfc(const char *s, size_t n, struct buf *out, struct err *err);

/* Words: runs of anything but white space (Unicode's White_Space). */
size_t clean_words(const char *s, size_t n);

#endif

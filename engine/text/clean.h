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
 * Each rule is an option, and counts how often it did something. All rules together are idempotent: a
 * cleaned text is left as it is.
 *
 * The order: mojibake, characters (malformed … spaces), form C, lines (spaces … blank_lines), personal
 * data, case, boilerplate and repeated lines. Where one of the rules that look for whole words or
 * lines has done something, all are gone through once more, because what is left may be news to
 * another.
 */
#ifndef LATHE_TEXT_CLEAN_H
#define LATHE_TEXT_CLEAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum clean_rule {
  CLEAN_MALFORMED, /* always on */
  CLEAN_MOJIBAKE,
  CLEAN_LINE_ENDS,
  CLEAN_CONTROL,
  CLEAN_ZERO_WIDTH,
  CLEAN_BIDI,
  CLEAN_LIGATURES,
  CLEAN_NFC,
  CLEAN_SPACES,
  CLEAN_TRAILING,
  CLEAN_DEHYPHENATE,
  CLEAN_TRIM,
  CLEAN_BLANK_LINES,
  CLEAN_CASE,
  CLEAN_BOILERPLATE,
  CLEAN_REPEATED_LINES,
  CLEAN_PII, /* the first of the kinds of personal data: CLEAN_PII + enum pii_kind */
  CLEAN_RULES = CLEAN_PII + 17
};
extern const char *const clean_rule_names[CLEAN_RULES];
struct clean_counts {
  size_t v[CLEAN_RULES]; /* characters, words, lines or stretches that a rule changed */
};

struct clean_phrases; /* see boilerplate.h */

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
  bool mojibake;    /* UTF-8 that was read as Windows-1252 or Latin-1 is read again: mojibake.h */
  bool lower;       /* letters become small ones (masks of personal data stay) */
  size_t
      repeated_lines; /* of a line that is there more often than this only the first stays; 0: off.
                            Lines without a letter or digit do not count */
  const struct clean_phrases *boilerplate; /* lines with such a phrase go; NULL: none */
  uint32_t pii;                            /* kinds of personal data that are masked: pii.h */
  const char *const *masks;                /* by kind; NULL: pii_masks */
};

/* Everything on but bidi and dehyphenate; two blank lines. Of the last group, mojibake alone. */
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
 * is filled with offsets relative to where the text begins in out; *counts (may be NULL) is filled. Malformed UTF-8 becomes U+FFFD.
 * ERR_NOMEM, ERR_CANCELLED. */
int clean_text(const char *s, size_t n, const struct clean_options *o, struct buf *out,
               struct run_map *map, struct clean_counts *counts, struct err *err);

/* Form C alone: appends; valid UTF-8 expected. */
int clean_nfc(const char *s, size_t n, struct buf *out, struct err *err);

/* Words: runs of anything but white space (Unicode's White_Space). */
size_t clean_words(const char *s, size_t n);

#endif

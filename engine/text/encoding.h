/* SPDX-License-Identifier: MIT */
/* Which encoding a text is in, and its conversion to UTF-8.
 *
 * Detection, first match wins:
 *   1. a byte order mark: UTF-8, UTF-16LE/BE, UTF-32LE/BE
 *   2. zero bytes at every second place, or units that are all characters with spaces among them:
 *      UTF-16 or UTF-32 without a mark
 *   3. well-formed UTF-8 (ASCII included); also a text that is UTF-8 but for a few damaged places
 *   4. what libuchardet says, if it was built in and iconv knows the name; a Latin guess on a text
 *      whose letters are all plainly Western European gives way to 5, one on pairs of bytes that are
 *      Korean syllables to EUC-KR, and KOI8-R in a text with Ukrainian letters to KOI8-U
 *   5. Windows-1252 (named ISO-8859-1 when no byte is between 0x80 and 0x9F: the same characters)
 *
 * Conversion never fails on the bytes: what has no meaning becomes U+FFFD and is counted.
 * Shift_JIS, EUC-KR, GB 2312 and a few others are read as the supersets that Windows made of them.
 * UTF-8, UTF-16, UTF-32, ISO-8859-1 and Windows-1252 are decoded here; everything else by iconv,
 * which loads a module from the C library's folder on first use: a process that is about to lock
 * itself in opens a decoder for each of encoding_legacy first and keeps them.
 *
 * Both directions work on blocks, so that a file of any size needs little memory:
 *   detector: new, feed …, finish, free      decoder: new, feed …, feed(final), free
 */
#ifndef LATHE_TEXT_ENCODING_H
#define LATHE_TEXT_ENCODING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum encoding_how {
  ENCODING_BOM,     /* certain */
  ENCODING_VALID,   /* well-formed UTF-8, or UTF-16 by its zero bytes: nearly certain */
  ENCODING_MOSTLY,  /* UTF-8 with a few malformed places, which will be replaced */
  ENCODING_GUESS,   /* libuchardet's guess, or plainly Western letters */
  ENCODING_FALLBACK /* nothing better than Windows-1252 was found */
};

struct encoding {
  char name[32]; /* as iconv knows it: "UTF-8", "ISO-8859-1", "SHIFT_JIS" … */
  enum encoding_how how;
  double confidence; /* 0 … 1: of the kind above, not a probability of this text */
  size_t bom;        /* bytes of the mark at the start (the decoder drops it itself) */
};

/* "bom", "valid", "mostly", "guess", "fallback" */
const char *encoding_how_name(enum encoding_how how);

/* ---- whole texts ---- */

int encoding_detect(const char *s, size_t n, struct encoding *out, struct err *err);
/* Appends s as UTF-8. *replaced (may be NULL) counts the U+FFFD put in for malformed sequences.
 * ERR_UNSUPPORTED when the name is not known. */
int encoding_to_utf8(const char *s, size_t n, const char *name, struct buf *out, size_t *replaced,
                     struct err *err);

/* ---- by blocks ---- */

struct encoding_detector;
int encoding_detector_new(struct encoding_detector **out, struct err *err);
int encoding_detector_feed(struct encoding_detector *d, const char *s, size_t n, struct err *err);
int encoding_detector_finish(struct encoding_detector *d, struct encoding *out, struct err *err);
void encoding_detector_free(struct encoding_detector *d);

struct encoding_decoder;
int encoding_decoder_new(struct encoding_decoder **out, const char *name, struct err *err);
/* Appends the UTF-8 of the next block; a character cut at the block's end waits for the next one.
 * With final the rest is given out and the decoder may start a new text. */
int encoding_decoder_feed(struct encoding_decoder *d, const char *s, size_t n, bool final,
                          struct buf *out, struct err *err);
size_t encoding_decoder_replaced(const struct encoding_decoder *d); /* over the decoder's life */
void encoding_decoder_free(struct encoding_decoder *d);

/* Names that detection can give and that need iconv; NULL ends the list. */
extern const char *const encoding_legacy[];

#endif

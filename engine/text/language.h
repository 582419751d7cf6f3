/* SPDX-License-Identifier: MIT */
/* Which language a text is in, by libexttextcat: the ranks of its most frequent 1- to 5-grams are
 * compared with those of some 180 languages. No model is downloaded; the package's own lists are used.
 *
 * Texts over LANGUAGE_SAMPLE bytes are judged by three stretches: beginning, middle, end. A text of
 * fewer than LANGUAGE_LETTERS letters is unknown, and so is one that fits too many languages.
 * Confidence is how far the next language is behind: 0 when it fits as well, 1 when its distance is
 * 3 % or more above the best one's.
 */
#ifndef LATHE_TEXT_LANGUAGE_H
#define LATHE_TEXT_LANGUAGE_H

#include <stddef.h>

#include "base/err.h"

#define LANGUAGE_SAMPLE  ((size_t)6144)
#define LANGUAGE_LETTERS 20

struct language {
  char code[16];     /* ISO 639, "en", "zh", "gug"; "unknown" */
  double confidence; /* 0–1; 0 for unknown */
};

struct language_models;
/* folder: where fpdb.conf and the .lm files are. Belongs to one thread. ERR_NOTFOUND, ERR_NOMEM,
 * ERR_UNSUPPORTED (built without libexttextcat). */
int language_open(struct language_models **out, const char *folder, struct err *err);
void language_close(struct language_models *m);
/* ERR_NOMEM. */
int language_identify(struct language_models *m, const char *s, size_t n, struct language *out,
                      struct err *err);

#endif

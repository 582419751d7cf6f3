/* SPDX-License-Identifier: MIT */
/* Phrases that mark a line as boilerplate ("all rights reserved"), ready to be looked for.
 *
 *   pairs     one bit for each pair of bytes that a phrase begins with: nearly all places of a text
 *             are done with after one look
 *
 * Capital letters of the text count as small ones; phrases are given in small letters. Lines of more
 * than `longest` characters are left: they say more than the phrase.
 */
#ifndef LATHE_TEXT_BOILERPLATE_H
#define LATHE_TEXT_BOILERPLATE_H

#include <stddef.h>

#include "base/err.h"

struct clean_phrases;
/* The phrases (at least two bytes each, at most 65,535 of them) are copied. ERR_NOMEM, ERR_MISUSE. */
int clean_phrases_new(struct clean_phrases **out, const char *const *phrases, size_t count,
                      size_t longest, struct err *err);
void clean_phrases_free(struct clean_phrases *p);

#endif

/* SPDX-License-Identifier: MIT */
/* How many columns of a terminal a text takes. */
#ifndef LATHE_TEXT_WIDTH_H
#define LATHE_TEXT_WIDTH_H

#include <stddef.h>

/* Columns of UTF-8 text without control characters: East Asian wide characters take two, combining
 * ones none. Malformed bytes count one each. Terminals differ on emoji that are joined. */
size_t text_width(const char *s, size_t n);

#endif

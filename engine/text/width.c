/* SPDX-License-Identifier: MIT */
/* Columns of a terminal, as utf8proc knows them (Unicode's East Asian Width). For aligning what is
 * shown, nothing more: no two terminals agree on every sequence of emoji. */
#include "text/width.h"

#include <utf8proc.h>

#include "base/utf8.h"

size_t text_width(const char *s, size_t n) {
  size_t columns = 0, used;
  for (size_t at = 0; at < n; at += used) {
    uint32_t c = utf8_decode(s + at, n - at, &used);
    int wide = c == UTF8_BAD ? (int)used : utf8proc_charwidth((utf8proc_int32_t)c);
    columns += wide > 0 ? (size_t)wide : 0;
  }
  return columns;
}

/* SPDX-License-Identifier: MIT */
/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF. */
#ifndef LATHE_BASE_UTF8_H
#define LATHE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define UTF8_BAD UINT32_MAX

/* Decodes one character at s (n ≥ 1 bytes readable), stores its length in *used. A malformed
 * sequence gives UTF8_BAD and in *used the length of its longest prefix of a valid one (at least
 * 1), which is what one U+FFFD stands for (Unicode 15, section 3.9, "maximal subpart"). */
uint32_t utf8_decode(const char *s, size_t n, size_t *used);

/* Writes 1–4 bytes; returns how many. c must be a scalar value. */
size_t utf8_encode(uint32_t c, char out[4]);

/* Offset of the first malformed byte, or n when all is well. */
size_t utf8_check(const char *s, size_t n);

/* Characters in valid UTF-8 (counts bytes that are not continuations). */
size_t utf8_count(const char *s, size_t n);

/* Offset ≤ at that begins a character. */
size_t utf8_floor(const char *s, size_t n, size_t at);

/* Appends s with each maximal malformed subpart replaced by U+FFFD; returns how many were replaced.
 */
size_t utf8_lossy(const char *s, size_t n, struct buf *out);

#endif

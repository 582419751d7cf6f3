/* SPDX-License-Identifier: MIT */
/* Between scan.c, scan_mask.c and their tests. */
#ifndef LATHE_TOKENIZER_SCAN_H
#define LATHE_TOKENIZER_SCAN_H

#include "tokenizer/parts.h"

/* The end of the word that begins at `at` < n, found byte by byte. */
size_t scan_one(enum scan_kind kind, const char *s, size_t n, size_t at);

/* With which instructions; SCAN_PLAIN: none but those of C. (cache.h and bpe.h use it as well.) */
enum scan_masks { SCAN_PLAIN, SCAN_AVX2, SCAN_AVX512 };
enum scan_masks scan_masks_best(void); /* what this processor has */

#define SCAN_WINDOW 64
/* The ends of those words of the window s[at, at + 64) that surely end there, of one-byte
 * characters; `at` begins a word. How many; at most SCAN_WINDOW. */
size_t scan_window(enum scan_masks how, enum scan_kind kind, const char *s, size_t n, size_t at,
                   uint32_t *ends);

/* scan_words with the instructions given. */
size_t scan_words_with(enum scan_masks how, enum scan_kind kind, const char *s, size_t n,
                       size_t *at, uint32_t *ends, size_t max);

#endif

/* SPDX-License-Identifier: MIT */
/* What can be measured of a document to judge its quality: the numbers that the rules of Gopher, C4
 * and FineWeb are about, and those of the stage score. Judging itself is the caller's: here are no
 * thresholds.
 *
 *   text ──one scan──► words, signs, lines ──► struct quality (counts) ──► quality_values (ratios)
 *                         └─ repetition: tables of n-grams, kept in struct quality_work
 *
 * Words. White space (Unicode's, and U+001C–1F) parts a text into runs, and each run is cut into
 * pieces: letters, marks, numbers and '_' belong together; so does an apostrophe, a point, a comma,
 * a colon or '@' between two of them (3.14, don't, a.b), but not a hyphen or a slash; every other
 * sign is a piece by itself, a repeated one (… ... ---) together. A piece with a letter, mark or
 * number is a word. Scripts written without blanks give long words: these rules are for languages
 * with blanks.
 *
 * Lengths are in characters (code points). Malformed UTF-8 counts as one sign a sequence. Repetition
 * looks at the first QUALITY_WORDS_MAX pieces, so its memory stays under 0.3 GiB for any text.
 */
#ifndef LATHE_TEXT_QUALITY_H
#define LATHE_TEXT_QUALITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define QUALITY_WORDS_MAX ((size_t)1 << 22)
#define QUALITY_TOP       3 /* most frequent 2-, 3-, 4-grams */
#define QUALITY_DUPLICATE 6 /* repeated 5- … 10-grams */

/* Memory that is used again from text to text, and the list of stop words. Belongs to one thread. */
struct quality_work;
/* The words (UTF-8, compared as they are) are copied. ERR_NOMEM. */
int quality_work_new(struct quality_work **out, const char *const *stop_words, size_t count,
                     struct err *err);
void quality_work_free(struct quality_work *w);

enum quality_parts { /* what is asked for beyond the scan */
                     QUALITY_REPETITION = 1,
                     QUALITY_DIVERSITY = 2
};

struct quality {
  size_t bytes, characters, newlines; /* newlines: U+000A */
  size_t pieces, words;               /* see above */
  size_t word_characters;             /* of the words */
  size_t letter_words;                /* words with a letter */
  size_t hashes, ellipses;            /* '#'; "..." (not overlapping) and U+2026 */
  size_t stop_words;                  /* how many of the list occur */
  size_t sentence_ends;               /* signs that end a sentence, a run of them once */
  /* lines as Python's splitlines parts them */
  size_t lines, bullet_lines, ellipsis_lines;
  /* lines parted by U+000A that are not blank */
  size_t text_lines, punctuated_lines, short_lines;
  size_t repeated_line_characters; /* of text lines that were there before */
  /* QUALITY_REPETITION: parts between line ends in a row, and between two and more of them */
  size_t split_lines, duplicate_lines, duplicate_line_characters;
  size_t paragraphs, duplicate_paragraphs, duplicate_paragraph_characters;
  size_t top[QUALITY_TOP];             /* characters of the most frequent n-gram, all its places */
  size_t duplicate[QUALITY_DUPLICATE]; /* characters in n-grams that were there before */
  /* QUALITY_DIVERSITY */
  size_t distinct_words; /* without regard to ASCII case */
};

/* short_line: lines of at most so many characters are short (FineWeb: 30). ERR_NOMEM,
 * ERR_CANCELLED. */
int quality_measure(struct quality_work *w, const char *s, size_t n, unsigned parts,
                    size_t short_line, struct quality *q, struct err *err);

/* The measures that rules name: counts and ratios made of them. A ratio of nothing is 0. */
#define QUALITY_VALUES 31
extern const char *const quality_names[QUALITY_VALUES];
void quality_values(const struct quality *q, double out[QUALITY_VALUES]);

/* ---- keywords ---- */

/* How many of the words and phrases (small letters, UTF-8) occur in the text, capitals counting as small
 * letters, with no letter, mark or number next to them. */
struct quality_keyword {
  const char *text;
  size_t n;
};
size_t quality_keywords(const char *s, size_t n, const struct quality_keyword *words, size_t count);

/* ---- C4: a filter of lines ---- */

struct quality_phrase {
  const char *text; /* looked for in small letters (ASCII) */
  size_t n;
  bool reject; /* the document, not only the line */
};
struct c4_options {
  bool terminal;                        /* a line must end in . ? ! " ' and not in "..." */
  bool citations;                       /* [1], [], [edit] and [citation needed] are taken out */
  size_t min_words;                     /* of a line; 0: any */
  size_t max_word_characters;           /* a line with a longer word goes; 0: any */
  const struct quality_phrase *phrases; /* looked for in this order */
  size_t phrase_count;
};
struct c4_facts {
  size_t lines, kept; /* lines are parted as Python's splitlines parts them */
  size_t no_terminal, few_words, long_word, phrase; /* lines that went, by reason */
  size_t sentences;                                 /* of the lines that stay */
  size_t rejected_by; /* 1 + index of the phrase that rejects the document; 0: none */
};
/* Appends the lines that stay, without the blanks at their ends, joined by U+000A. ERR_NOMEM. */
int quality_c4(const char *s, size_t n, const struct c4_options *o, struct buf *out,
               struct c4_facts *facts, struct err *err);

/* Sentences: one ends at . ? ! or its like in another script, with closing quotes and brackets
 * after it, before white space or the end; not at a point behind one letter or a usual
 * abbreviation, or before a small letter. What is left at the end counts as one. */
size_t quality_sentences(const char *s, size_t n);

#endif

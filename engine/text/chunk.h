/* SPDX-License-Identifier: MIT */
/* Chunkers: a text cut into overlapping pieces of bounded size.
 *
 *   recursive   at the first separator of a list that occurs, then at the ones behind it
 *   character   at one separator; what is too long stays whole
 *   tokens      windows of `size` tokens, `size − overlap` apart
 *   sentence    whole sentences while they fit           (chunk_sentence.c)
 *   markdown    a section under its heading, then blocks (chunk_markdown.c)
 *   code        at borders of functions and classes      (chunk_code.c)
 *
 * The native mode gives spans: source[start:end] is the chunk, a character is never cut, and a
 * cluster (a letter and its accents, CRLF) only where it is longer than the size. What lies between
 * chunks is white space, and separators that were not to be kept.
 *
 * The modes `python` and `js` give what LangChain's packages give (langchain-text-splitters 1.1,
 * @langchain/textsplitters 1.0), to the byte (chunk_exact.c). Where these leave separators out they put
 * one back between two pieces, even where the text had several or where a regular expression
 * matched something else; such a chunk is no span of the text, and is given as a text of its own.
 *
 * Sizes and overlaps are characters (code points), bytes, UTF-16 units or tokens. For tokens the text
 * is encoded once, by the caller, and cut on offsets: the size counts the tokens of the whole text
 * that a chunk touches.
 */
#ifndef LATHE_TEXT_CHUNK_H
#define LATHE_TEXT_CHUNK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct chunk {
  size_t start, end; /* bytes of the text; in exact modes the place of what the chunk is made of */
  size_t text;       /* CHUNK_SPAN, or where its text begins in chunks.text */
  size_t text_size;
};
#define CHUNK_SPAN ((size_t)-1)

/* One heading of a Markdown text: its line, and its words without marks. */
struct chunk_heading {
  size_t at;         /* where its line begins */
  size_t start, end; /* its words, bytes of the text */
  int level;         /* 1–6 */
  size_t owner;      /* index of the heading it lies under, or CHUNK_SPAN */
};

struct chunks {
  struct chunk *v; /* starts never decrease; owned */
  size_t n, cap;
  struct buf text;                /* texts that are no spans */
  struct chunk_heading *headings; /* by chunk_headings, in order */
  size_t heading_count, heading_cap;
};
void chunks_reset(struct chunks *c); /* empties, keeps the memory */
void chunks_clear(struct chunks *c); /* may be called twice */

struct chunk_regex; /* chunk_regex.c */
struct chunk_separator {
  const char *s;
  size_t n;                  /* 0: between characters */
  struct chunk_regex *regex; /* python mode: s is a regular expression, this is it compiled */
};
#define CHUNK_SEPARATORS_MAX 64

struct chunk_token {
  size_t start, end; /* bytes of the text */
};

enum chunk_method {
  CHUNK_RECURSIVE,
  CHUNK_CHARACTER,
  CHUNK_WINDOWS,
  CHUNK_SENTENCE,
  CHUNK_MARKDOWN,
  CHUNK_CODE
};
enum chunk_mode { CHUNK_NATIVE, CHUNK_PYTHON, CHUNK_JAVASCRIPT };
enum chunk_unit { CHUNK_CHARACTERS, CHUNK_BYTES, CHUNK_UTF16, CHUNK_TOKENS };
enum chunk_keep { CHUNK_DROP, CHUNK_KEEP_START, CHUNK_KEEP_END };

/* Tokens of a piece, for the exact modes, which measure every piece alone. */
typedef int chunk_count(void *context, const char *s, size_t n, size_t *count, struct err *err);

struct chunk_options {
  enum chunk_method method;
  enum chunk_mode mode; /* the exact ones: recursive and character only */
  enum chunk_unit unit;
  size_t size, overlap;                     /* size ≥ 1, overlap < size (python: ≤ size) */
  const struct chunk_separator *separators; /* recursive: at least one; character: the first */
  size_t separator_count;
  enum chunk_keep keep; /* a separator begins the next piece, ends the one before, or is left out */
  bool strip;           /* white space at both ends of a chunk is left out */
  const char *language; /* code: a programming language's name; NULL or unknown: by indentation.
                           sentence: "de" … */
  int levels;           /* markdown: headings up to this level begin a chunk */
  chunk_count *count;   /* exact modes with CHUNK_TOKENS */
  void *context;
};

/* 2000, 200, recursive, native, characters, the default separators, KEEP_START, strip, 6 levels. */
void chunk_defaults(struct chunk_options *o);

/* Memory that is used again from text to text; {0} to begin with. */
struct chunk_work {
  void *ring, *blocks, *borders;
  size_t ring_cap, blocks_cap, borders_cap;
};
void chunk_work_clear(struct chunk_work *w);

/* ERR_MISUSE: what the options alone have wrong. */
int chunk_check(const struct chunk_options *o, struct err *err);

/* Appends the chunks of s (UTF-8). tokens: where CHUNK_TOKENS is the unit of a native mode, the
 * offsets of all tokens in order, else NULL. ERR_MISUSE (options, offsets that do not fit),
 * ERR_NOMEM, ERR_CANCELLED, ERR_LIMIT (a regular expression that backtracks without end). Time is
 * linear in n for each level of separators; memory is an eighth of n and the chunks. */
int chunk_text(const struct chunk_options *o, struct chunk_work *w, const char *s, size_t n,
               const struct chunk_token *tokens, size_t token_count, struct chunks *out,
               struct err *err);

/* The headings of a Markdown text, appended to out->headings. */
int chunk_headings(const char *s, size_t n, struct chunks *out, struct err *err);
/* The heading that source[start, end) lies under: of headings at its beginning the last; CHUNK_SPAN
 * for none. Its owners are the path. */
size_t chunk_heading_of(const struct chunks *c, const char *s, size_t n, size_t start, size_t end);

/* A regular expression of Python's syntax, as PCRE2 reads it. ERR_FORMAT, with the place;
 * ERR_UNSUPPORTED for capturing groups, which would become pieces. */
int chunk_regex_new(struct chunk_regex **out, const char *regex, size_t n, struct err *err);
void chunk_regex_free(struct chunk_regex *r);

#endif

/* SPDX-License-Identifier: MIT */
/* Chunkers: a text cut into overlapping pieces of bounded size, each a span of the text itself, so
 * that source[start:end] is the chunk, always.
 *
 * By characters: what LangChain's RecursiveCharacterTextSplitter (the Python package) does. Sizes
 * and overlaps are code points. The first separator of the list that occurs is used; pieces that
 * are not shorter than the size are cut again with the separators behind it; neighbours are merged
 * while they fit; a merged chunk begins with as much of the one before as the overlap allows.
 * "" cuts between any two characters. Without recursion (CharacterTextSplitter) one separator is
 * used and a piece that is too long stays whole.
 *
 * Where a separator is not kept (keep = false) it still lies between the pieces of a chunk.
 * LangChain puts one separator back between two pieces even where the text had several; a span
 * cannot, so such a chunk may be longer than the size by the separators in excess.
 *
 * By tokens: windows of `size` tokens, `size − overlap` apart, from byte offsets that a tokenizer
 * gave; a border inside a character moves to the character's beginning.
 */
#ifndef LATHE_TEXT_CHUNK_H
#define LATHE_TEXT_CHUNK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct chunk {
  size_t start, end; /* bytes of the text */
  int level;         /* by characters: which separator joins its pieces (index into the list) */
};
struct chunks {
  struct chunk *v; /* starts never decrease; owned */
  size_t n, cap;
};
void chunks_clear(struct chunks *c); /* may be called twice */

struct chunk_separator {
  const char *s;
  size_t n; /* 0: between characters */
};
#define CHUNK_SEPARATORS_MAX 64

enum chunk_style {
  CHUNK_PYTHON,    /* the Python package */
  CHUNK_JAVASCRIPT /* the JavaScript package: a kept separator may overlap itself, the overlap is
                      measured without separators, and when the list is used up it cuts between
                      characters; its white space includes U+FEFF and not U+001C–1F, U+0085 */
};

struct chunk_options {
  size_t size, overlap; /* code points; size ≥ 1, overlap ≤ size (JavaScript: < size) */
  const struct chunk_separator
      *separators; /* at least one when recursive; else the first is used */
  size_t separator_count;
  bool recursive;
  bool keep;  /* a separator leads the next piece */
  bool strip; /* white space at both ends of a chunk is left out; what is empty then is dropped */
  enum chunk_style style;
};

/* 2000, 200, "\n\n" "\n" " " "", recursive, keep, strip, Python. */
void chunk_defaults(struct chunk_options *o);

/* Appends the chunks of s (UTF-8) to out. ERR_MISUSE for sizes out of range, ERR_NOMEM,
 * ERR_CANCELLED. Time O(n × separators), memory O(size + chunks). */
int chunk_characters(const char *s, size_t n, const struct chunk_options *o, struct chunks *out,
                     struct err *err);

/* tokens: byte offsets [start, end) of each token in s, in order. Empty windows are dropped. */
struct chunk_token {
  size_t start, end;
};
int chunk_tokens(const char *s, size_t n, const struct chunk_token *tokens, size_t token_count,
                 size_t size, size_t overlap, struct chunks *out, struct err *err);

/* The separators of a language ("markdown", "python", "html", "latex", "c" …): fills *list (static)
 * and returns how many; 0 when there is none for that name. */
size_t chunk_language(const char *name, const struct chunk_separator **list);

#endif

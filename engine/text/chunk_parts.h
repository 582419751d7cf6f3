/* SPDX-License-Identifier: MIT */
/* Between the files of the chunkers.
 *
 *   chunk.c           options, spans out, native recursive, character and token chunking
 *   chunk_index.c     how long a stretch is, and how far a size reaches, in constant time
 *   chunk_find.c      where a separator stands
 *   chunk_exact.c     LangChain's two packages
 *   chunk_regex.c     separators that are regular expressions
 *   chunk_borders.c   borders of several strengths → chunks: what the next three share
 *   chunk_sentence.c, chunk_markdown.c, chunk_code.c   find borders
 */
#ifndef LATHE_TEXT_CHUNK_PARTS_H
#define LATHE_TEXT_CHUNK_PARTS_H

#include <stdint.h>

#include "text/chunk.h"

/* ---- chunk_index.c ---- */

/* Units that begin before each 64th byte. A unit belongs to the byte where it begins; a stretch has
 * those units that lie in it wholly or in part.
 *
 *   bytes   0 ………………… 64 ………………… 128 …      blocks[k] = units that begin before byte 64 k
 */
struct chunk_index {
  const char *s;
  size_t n;
  enum chunk_unit unit;
  bool plain; /* one unit is one byte: no blocks */
  const uint32_t *blocks;
  const struct chunk_token *tokens;
  size_t token_count;
};
int chunk_index_make(struct chunk_index *x, enum chunk_unit unit, struct chunk_work *w,
                     const char *s, size_t n, const struct chunk_token *tokens, size_t token_count,
                     struct err *err);
size_t chunk_index_length(const struct chunk_index *x, size_t from, size_t to);
/* The last character border `at` with length(from, at) ≤ size; never before `from`. */
size_t chunk_index_reach(const struct chunk_index *x, size_t from, size_t size);
/* The first character border `at` with length(at, to) ≤ size; never behind `to`. */
size_t chunk_index_back(const struct chunk_index *x, size_t to, size_t size);

/* ---- chunk_find.c ---- */

#define CHUNK_NONE ((size_t)-1)
/* The first place at or behind `at` where the separator (one byte or more) stands and ends by `to`; the
 * last one in [low, high]; or CHUNK_NONE. */
size_t chunk_find_first(const struct chunk_separator *sep, const char *s, size_t at, size_t to);
size_t chunk_find_last(const struct chunk_separator *sep, const char *s, size_t low, size_t high,
                       size_t to);

/* ---- chunk.c ---- */

int chunk_add(struct chunks *c, size_t start, size_t end, struct err *err);
bool chunk_space(uint32_t c, enum chunk_mode mode);
/* A stretch known to be white space, so that chunks that overlap do not walk over it again. */
struct chunk_stretch {
  size_t from, to;
};
/* [*start, *end) without white space at its ends. */
void chunk_strip(const char *s, size_t *start, size_t *end, enum chunk_mode mode,
                 struct chunk_stretch known[2]);
/* Whether a cluster goes on at the character border `at`. */
bool chunk_cluster_inside(const char *s, size_t n, size_t at);
/* Text that has no better border: lines, words, clusters. */
struct chunk_job {
  const char *s;
  size_t n;
  const struct chunk_options *o;
  struct chunk_work *w;
  struct chunk_index x;
  struct chunks *out;
  struct err *err;
  struct chunk_stretch known[2];
  unsigned polled;
};
int chunk_plain(struct chunk_job *j, size_t from, size_t to);
/* One chunk, stripped when asked for; nothing when it is empty. */
int chunk_give(struct chunk_job *j, size_t start, size_t end);
int chunk_poll(struct chunk_job *j);

/* ---- chunk_borders.c ---- */

/* A place where a text may be cut. Strength 0 is the best place; CHUNK_WALL is one where a chunk
 * always ends, and behind which no overlap reaches. */
struct chunk_border {
  size_t at;
  int strength;
};
#define CHUNK_WALL      (-1)
#define CHUNK_STRENGTHS 48
int chunk_border_add(struct chunk_work *w, size_t *count, size_t at, int strength, struct err *err);
/* Chunks of the whole text at those borders (in order of `at`, each once, 0 < at < n). */
int chunk_borders(struct chunk_job *j, size_t count);

/* Adds the borders of paragraphs, sentences and clauses inside [from, to), of the strengths
 * `strength`, + 1, + 2. */
int chunk_sentence_borders(struct chunk_job *j, size_t *count, size_t from, size_t to,
                           int strength);

int chunk_sentences(struct chunk_job *j);
int chunk_markdown(struct chunk_job *j);
int chunk_code(struct chunk_job *j);

/* ---- chunk_exact.c, chunk_regex.c ---- */

int chunk_exact(const struct chunk_options *o, struct chunk_work *w, const char *s, size_t n,
                struct chunks *out, struct err *err);

/* The next match in s[0, n) at or behind `at`; empty: one that is empty may lie at `at`. */
int chunk_regex_find(struct chunk_regex *r, const char *s, size_t n, size_t at, bool empty,
                     bool *found, size_t *start, size_t *end, struct err *err);

#endif

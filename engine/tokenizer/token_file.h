/* SPDX-License-Identifier: MIT */
/* A token cache: the ids of many documents in one file that is mapped, and windows of them.
 *
 *   0   "lathe-tk"      8   version (1), bytes an id (2 or 4)      16  tokens      24  documents
 *   32  key, 16 bytes: what it was made from                       48  where the documents' starts are
 *   64  ids, little-endian; from the next multiple of 8 on: documents + 1 starts, 8 bytes each
 *
 * A window of `size` tokens is an input and a target, which is the input shifted by one:
 *
 *   tokens   a b c d e f g      size 3, stride 2
 *   inputs   a b c              targets  b c d
 *                c d e                       d e f
 *                    e f                         f g      the rest: kept short, padded, or dropped
 *
 * Windows end where a document ends, or, when packed, go on over all documents. Every token but a
 * document's first is a target of some window (in a packed file: but the very first), unless the rest
 * is dropped. A cache for this program, not a format for others; read with bounds all the same.
 */
#ifndef LATHE_TOKENIZER_TOKEN_FILE_H
#define LATHE_TOKENIZER_TOKEN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TOKEN_NO_TARGET (-1) /* no loss: padding, and what has no next token */

/* ---- writing ---- */

struct token_writer;
/* ids below `vocab`; the file appears at commit. key may be NULL. */
int token_writer_open(struct token_writer **out, const char *path, size_t vocab,
                      const uint64_t key[2], struct err *err);
/* One more document. ERR_MISUSE for an id that is not below vocab. Empty ones are left out. */
int token_writer_add(struct token_writer *w, const uint32_t *ids, size_t n, struct err *err);
int token_writer_commit(struct token_writer *w, struct err *err);
void token_writer_close(struct token_writer *w); /* removes what was not committed */

/* ---- reading ---- */

struct token_file;
int token_file_open(struct token_file **out, const char *path, struct err *err);
void token_file_close(struct token_file *f);
uint64_t token_file_count(const struct token_file *f);
uint64_t token_file_documents(const struct token_file *f);
const uint64_t *token_file_key(const struct token_file *f);
/* Tokens [from, from + n) as ids; inside the file. */
void token_file_ids(const struct token_file *f, uint64_t from, size_t n, uint32_t *out);

/* ---- windows ---- */

enum token_rest { TOKEN_KEEP, TOKEN_PAD, TOKEN_DROP };
/* Windows of n tokens in a row; 1 ≤ stride ≤ size. */
uint64_t token_windows_of(uint64_t n, size_t size, size_t stride, enum token_rest rest);

struct token_windows {
  const struct token_file *file;
  size_t size, stride;
  bool packed;
  enum token_rest rest;
  uint64_t count;
  uint64_t *before; /* windows before each block of documents; owned */
};
/* The file must outlive it. ERR_MISUSE for a size of 0 or a stride outside of it. */
int token_windows_init(struct token_windows *w, const struct token_file *f, size_t size,
                       size_t stride, bool packed, enum token_rest rest, struct err *err);
void token_windows_clear(struct token_windows *w);
/* Window i (below count): `size` inputs and targets, filled up with `pad` and TOKEN_NO_TARGET;
 * *document gets the document it begins in, *n how many inputs are real. With TOKEN_KEEP the caller
 * cuts them off. */
void token_window(const struct token_windows *w, uint64_t i, uint32_t pad, uint32_t *input,
                  int32_t *target, size_t *n, uint64_t *document);

/* A permutation of 0 … n − 1 as a function, so that an epoch's order takes no memory. */
uint64_t token_shuffled(uint64_t i, uint64_t n, uint64_t seed);

#endif

/* SPDX-License-Identifier: MIT */
/* Tokenizer files of other kinds, rewritten as the text of a tokenizer.json, which tokenizer_load
 * reads: so that there is one loader, and what was converted can be saved and looked at.
 *
 *   tiktoken.c       rank files: "base64 rank" a line (cl100k_base.tiktoken, Llama 3's
 *                    tokenizer.model, qwen.tiktoken)
 *   convert.c        which kind a file is
 *   sentencepiece.c  tokenizer.model of SentencePiece, of type BPE (Llama 2, Mistral, Phi-3)
 *
 * Both take bytes from anywhere: whatever is wrong with them is an error that names the line or the
 * field. Nothing of the input is kept.
 */
#ifndef LATHE_TOKENIZER_CONVERT_H
#define LATHE_TOKENIZER_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* A tokenizer of another kind by its first bytes. TOKENIZER_FILE_JSON is only a guess ("{"). */
enum tokenizer_file {
  TOKENIZER_FILE_UNKNOWN,
  TOKENIZER_FILE_JSON,
  TOKENIZER_FILE_TIKTOKEN,
  TOKENIZER_FILE_SENTENCEPIECE,
  TOKENIZER_FILE_GGUF
};
enum tokenizer_file tokenizer_sniff(const char *bytes, size_t n);

/* A small file can name very many merges (every length of a run of one letter, say): of a file of n
 * bytes at most so many bytes of merges are written, then ERR_LIMIT. Published files have 2 n. */
#define CONVERT_MERGE_BYTES(n) (((size_t)64 << 20) + 16 * (n))

/* ---- tiktoken ---- */

/* A rank file has the tokens only: how text is cut and which special tokens there are is told by the
 * name of the encoding, or by a pattern and a list. With neither, the encoding is the one whose
 * published file has these very ranks; ERR_MISUSE names the known ones when there is none. */
struct tiktoken_special {
  const char *content; /* zero-terminated */
  uint32_t id;
};
struct tiktoken_options {
  const char *
      encoding; /* gpt2, r50k_base, p50k_base, p50k_edit, cl100k_base, o200k_base, llama3, qwen2 … */
  const char *pattern; /* a regular expression in place of the encoding's; zero-terminated */
  const struct tiktoken_special *special; /* in place of the encoding's, when has_special */
  size_t special_count;
  bool has_special;
};

/* Appends the tokenizer.json. Merges: every split of a token into two tokens, in the order of the
 * token's rank, then of the left and the right part's, as the published conversions have them.
 * options may be NULL. ERR_FORMAT with the line, ERR_LIMIT, ERR_MISUSE, ERR_CANCELLED. */
int tiktoken_convert(const char *bytes, size_t n, const struct tiktoken_options *options,
                     struct buf *json, struct err *err);
/* The names of the encodings, one after the other; NULL after the last. */
const char *tiktoken_encoding(size_t i);

/* ---- SentencePiece ---- */

enum sentencepiece_space {                     /* the space that is put before a text */
                           SENTENCEPIECE_AUTO, /* as SentencePiece has it, so far as a tokenizer.json can say that */
                           SENTENCEPIECE_ALWAYS, /* before every stretch between special tokens: as the published files */
                           SENTENCEPIECE_FIRST /* before the text, unless it has one: transformers' "legacy": false */
};
struct sentencepiece_options {
  bool no_bos, eos; /* what encoding with special tokens adds; the file does not say */
  enum sentencepiece_space space;
};
/* Appends the tokenizer.json of a SentencePiece model of type BPE. options may be NULL. ERR_FORMAT
 * with the byte or the piece, ERR_LIMIT, ERR_UNSUPPORTED (Unigram and other types, normalization by
 * a table, suffixes), ERR_CANCELLED. */
int sentencepiece_convert(const char *bytes, size_t n, const struct sentencepiece_options *options,
                          struct buf *json, struct err *err);

#endif

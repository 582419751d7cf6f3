/* SPDX-License-Identifier: MIT */
/* What kind of tokenizer file is this? Names do not tell: "tokenizer.model" is SentencePiece with
 * Llama 2 and a rank file with Llama 3. The first bytes do:
 *
 *   GGUF                     llama.cpp's
 *   { after spaces           JSON
 *   base64, space, digits    tiktoken's ranks
 *   0A len 0A …              SentencePiece: the first field of the message is a piece, whose first
 *                            field is its string
 */
#include "tokenizer/convert.h"

#include <string.h>

static size_t span_of(const char *s, size_t n, const char *set) {
  size_t i = 0;
  while (i < n && s[i] && strchr(set, s[i])) i++;
  return i;
}

static bool is_ranks(const char *s, size_t n) {
  size_t digits =
      span_of(s, n, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=");
  if (digits == 0 || digits % 4 || digits + 1 >= n || s[digits] != ' ') return false;
  size_t at = digits + 1, number = span_of(s + at, n - at, "0123456789");
  return number && (at + number == n || s[at + number] == '\n' || s[at + number] == '\r');
}

static bool is_json(const char *s, size_t n) {
  size_t at = span_of(s, n, " \t\r\n");
  if (at == n || s[at++] != '{') return false;
  at += span_of(s + at, n - at, " \t\r\n");
  return at < n && (s[at] == '"' || s[at] == '}');
}

static bool is_sentencepiece(const char *s, size_t n) {
  size_t at = 1;
  if (n < 4 || s[0] != 0x0A) return false;
  while (at < n && at < 6 && (unsigned char)s[at] & 0x80) at++; /* the length */
  return at + 1 < n && !((unsigned char)s[at] & 0x80) && s[at + 1] == 0x0A;
}

enum tokenizer_file tokenizer_sniff(const char *bytes, size_t n) {
  if (n >= 4 && !memcmp(bytes, "GGUF", 4)) return TOKENIZER_FILE_GGUF;
  if (is_json(bytes, n)) return TOKENIZER_FILE_JSON;
  if (is_ranks(bytes, n)) return TOKENIZER_FILE_TIKTOKEN;
  if (is_sentencepiece(bytes, n)) return TOKENIZER_FILE_SENTENCEPIECE;
  return TOKENIZER_FILE_UNKNOWN;
}

/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for tokenizer/tiktoken.c: the input up to the first byte 0xFF is a rank file, the
 * rest a text. What converts must load, and give back any text that it encoded. */
#include "base/buf.h"
#include "tokenizer/convert.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct buf *json, const char *text, size_t n) {
  struct tokenizer *t;
  struct tokens ts = {0};
  struct buf out;
  buf_init(&out);
  if (tokenizer_load(&t, json->data, json->len, NULL)) abort();
  if (tokenizer_encode(t, NULL, text, n, TOKENIZER_PLAIN, &ts, NULL)) abort();
  if (tokenizer_decode_bytes(t, ts.ids, ts.count, 0, &out, NULL)) abort();
  if (out.len != n || (n && memcmp(out.data, text, n))) abort();
  tokens_clear(&ts);
  buf_clear(&out);
  tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const names[] = {NULL, "gpt2", "cl100k_base", "llama3"};
  const uint8_t *mark = memchr(data, 0xFF, size);
  size_t n = mark ? (size_t)(mark - data) : size;
  struct tiktoken_options o = {.encoding = names[size % 4]};
  struct buf json;
  buf_init(&json);
  tokenizer_sniff((const char *)data, size);
  if (!tiktoken_convert((const char *)data, n, &o, &json, NULL))
    use(&json, (const char *)(mark ? mark + 1 : data), mark ? size - n - 1 : 0);
  buf_clear(&json);
  return 0;
}

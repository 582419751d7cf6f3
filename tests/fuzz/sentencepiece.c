/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for tokenizer/sentencepiece.c. The last byte tells how much of the end is a text.
 * What converts must load, encode that text, decode, and survive being saved. */
#include "base/buf.h"
#include "tokenizer/convert.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct buf *json, const char *text, size_t n) {
  struct tokenizer *t, *again;
  struct tokens ts = {0};
  struct buf out;
  buf_init(&out);
  if (tokenizer_load(&t, json->data, json->len, NULL)) abort();
  if (tokenizer_encode(t, NULL, text, n, TOKENIZER_SPECIAL | TOKENIZER_SPANS, &ts, NULL)) abort();
  for (size_t i = 0; i < ts.count; i++)
    if (ts.spans[i].start > ts.spans[i].end || ts.spans[i].end > n) abort();
  if (tokenizer_decode(t, ts.ids, ts.count, 0, &out, NULL)) abort();
  buf_clear(&out);
  if (tokenizer_write(t, &out, NULL)) abort();
  if (tokenizer_load(&again, out.data, out.len, NULL)) abort();
  tokenizer_free(again);
  tokenizer_free(t);
  tokens_clear(&ts);
  buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t text = size ? data[size - 1] : 0;
  if (text >= size) text = size;
  size_t n = size - text;
  struct sentencepiece_options o = {
      .no_bos = size & 1, .eos = size & 2, .space = (enum sentencepiece_space)(size % 3)};
  struct buf json;
  buf_init(&json);
  tokenizer_sniff((const char *)data, size);
  if (!sentencepiece_convert((const char *)data, n, &o, &json, NULL))
    use(&json, (const char *)data + n, text);
  buf_clear(&json);
  return 0;
}

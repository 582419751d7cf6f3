/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for tokenizer/: the input up to the first byte 0xFF is a tokenizer.json, the rest
 * a text. What loads must encode any text, say where its tokens are, decode, and survive being
 * saved. */
#include "base/buf.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct tokenizer *t, const char *text, size_t n) {
  struct tokens ts = {0}, again = {0};
  struct buf out, streamed;
  struct tokenizer_stream s = {0};
  buf_init(&out), buf_init(&streamed);
  if (tokenizer_encode(t, NULL, text, n, TOKENIZER_SPECIAL | TOKENIZER_SPANS, &ts, NULL)) abort();
  if (tokenizer_encode(t, NULL, text, n, TOKENIZER_SPECIAL, &again, NULL)) abort();
  if (ts.count != again.count || memcmp(ts.ids, again.ids, ts.count * sizeof *ts.ids)) abort();
  for (size_t i = 0; i < ts.count; i++) {
    if (ts.spans[i].start > ts.spans[i].end || ts.spans[i].end > n) abort();
    if (tokenizer_stream_add(t, &s, ts.ids[i], 0, &streamed, NULL)) abort();
  }
  if (tokenizer_stream_end(&s, &streamed, NULL)) abort();
  tokenizer_stream_clear(&s);
  if (tokenizer_decode(t, ts.ids, ts.count, 0, &out, NULL)) abort();
  if (out.len != streamed.len || (out.len && memcmp(out.data, streamed.data, out.len))) abort();
  buf_clear(&out), buf_clear(&streamed);
  tokens_clear(&ts), tokens_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct tokenizer *t, *again;
  struct buf json;
  const uint8_t *mark = memchr(data, 0xFF, size);
  size_t n = mark ? (size_t)(mark - data) : size;
  if (tokenizer_load(&t, (const char *)data, n, NULL)) return 0;
  if (mark) use(t, (const char *)mark + 1, size - n - 1);
  buf_init(&json);
  if (tokenizer_write(t, &json, NULL)) abort();
  if (tokenizer_load(&again, json.data, json.len, NULL)) abort();
  if (tokenizer_entries(again) != tokenizer_entries(t)) abort();
  tokenizer_free(again);
  tokenizer_free(t);
  buf_clear(&json);
  return 0;
}

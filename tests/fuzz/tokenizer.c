/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for tokenizer/: the input up to the first byte 0xFF is a tokenizer.json, the rest
 * a text. What loads must encode any text, say where its tokens are, decode, whole and as a stream,
 * and survive being saved. Only a regular expression may give up (ERR_LIMIT), and an unknown token be
 * missing that is needed (ERR_FORMAT). */
#include "base/buf.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool encode(const struct tokenizer *t, const char *text, size_t n, int flags,
                   struct tokens *out) {
  int rc = tokenizer_encode(t, NULL, text, n, flags, out, NULL);
  if (rc && rc != ERR_LIMIT && rc != ERR_FORMAT) abort();
  return !rc;
}

static void check_spans(const struct tokens *ts, size_t n) {
  for (size_t i = 0; i < ts->count; i++)
    if (ts->spans[i].start > ts->spans[i].end || ts->spans[i].end > n) abort();
}

static void check_decode(const struct tokenizer *t, const struct tokens *ts) {
  struct buf out, streamed;
  struct tokenizer_stream s = {0};
  int rc = 0, other;
  buf_init(&out), buf_init(&streamed);
  for (size_t i = 0; i < ts->count && !rc; i++)
    rc = tokenizer_stream_add(t, &s, ts->ids[i], 0, &streamed, NULL);
  if (!rc) rc = tokenizer_stream_end(&s, &streamed, NULL);
  tokenizer_stream_clear(&s);
  other = tokenizer_decode(t, ts->ids, ts->count, 0, &out, NULL);
  if (rc != other || (rc && rc != ERR_LIMIT)) abort();
  if (!rc && (out.len != streamed.len || (out.len && memcmp(out.data, streamed.data, out.len))))
    abort();
  buf_clear(&out), buf_clear(&streamed);
}

static void check_cut(const struct tokenizer *t, const char *text, size_t n, size_t all) {
  struct tokens ts = {0};
  uint64_t at;
  if (!tokenizer_truncate(t, NULL, text, n, 0, all / 2, &ts, &at, NULL) &&
      (ts.count > all / 2 || at > n))
    abort();
  tokens_clear(&ts);
}

static void use(const struct tokenizer *t, const struct tokenizer *again, const char *text,
                size_t n) {
  static const int flags[] = {0, TOKENIZER_SPECIAL, TOKENIZER_PLAIN};
  struct tokens ts = {0}, other = {0};
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
    tokens_reset(&ts), tokens_reset(&other);
    if (!encode(t, text, n, flags[i] | TOKENIZER_SPANS, &ts)) continue;
    if (!encode(again, text, n, flags[i], &other)) abort();
    if (ts.count != other.count || memcmp(ts.ids, other.ids, ts.count * sizeof *ts.ids)) abort();
    check_spans(&ts, n);
    check_decode(t, &ts);
    if (!flags[i]) check_cut(t, text, n, ts.count);
  }
  tokens_clear(&ts), tokens_clear(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct tokenizer *t, *again;
  struct buf json;
  const uint8_t *mark = memchr(data, 0xFF, size);
  size_t n = mark ? (size_t)(mark - data) : size;
  if (tokenizer_load(&t, (const char *)data, n, NULL)) return 0;
  buf_init(&json);
  if (tokenizer_write(t, &json, NULL)) abort();
  if (tokenizer_load(&again, json.data, json.len, NULL)) abort();
  if (tokenizer_entries(again) != tokenizer_entries(t)) abort();
  if (mark) use(t, again, (const char *)mark + 1, size - n - 1);
  tokenizer_free(again);
  tokenizer_free(t);
  buf_clear(&json);
  return 0;
}

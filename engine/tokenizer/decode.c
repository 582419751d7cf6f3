/* SPDX-License-Identifier: MIT */
/* The whole way back: ids → bytes → text.
 *
 * The byte-level decoder joins the tokens' bytes and then repairs the whole, since a character may
 * be spread over tokens. Without a decoder the reference joins token strings with spaces; so do we.
 * In a stream the beginning of a character (at most three bytes) waits for its rest:
 *
 *   … A B C E2 82 │ AC D …       held: E2 82
 */
#include "base/utf8.h"
#include "tokenizer/parts.h"

#include <string.h>

bool tokenizer_is_special(const struct tokenizer *t, uint32_t id) {
  size_t low = 0, high = t->added.count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (t->added.list[middle].id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low < t->added.count && t->added.list[low].id == id && t->added.list[low].special;
}

const char *tokenizer_bytes(const struct tokenizer *t, uint32_t id, size_t *n) {
  const struct vocab *v = &t->vocab;
  *n = 0;
  if (id >= v->size || v->len[id] == TOKENIZER_NONE) return NULL;
  *n = v->bytes_len[id];
  return v->blob.data + v->bytes_at[id];
}

static void add(const struct tokenizer *t, uint32_t id, int flags, bool *begun, struct buf *out) {
  size_t n;
  const char *s = tokenizer_bytes(t, id, &n);
  if (!s || (flags & TOKENIZER_SKIP_SPECIAL && tokenizer_is_special(t, id))) return;
  if (*begun && !t->byte_decoder) buf_addc(out, ' ');
  buf_add(out, s, n);
  *begun = true;
}

int tokenizer_decode_bytes(const struct tokenizer *t, const uint32_t *ids, size_t n, int flags,
                           struct buf *out, struct err *err) {
  bool begun = false;
  for (size_t i = 0; i < n; i++) add(t, ids[i], flags, &begun, out);
  return buf_check(out, "decoded text", err);
}

int tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n, int flags,
                     struct buf *out, struct err *err) {
  struct buf bytes;
  buf_init(&bytes);
  int rc = tokenizer_decode_bytes(t, ids, n, flags, &bytes, err);
  if (!rc && bytes.len) {
    if (utf8_check(bytes.data, bytes.len) == bytes.len)
      buf_add(out, bytes.data, bytes.len);
    else
      utf8_lossy(bytes.data, bytes.len, out);
    rc = buf_check(out, "decoded text", err);
  }
  buf_clear(&bytes);
  return rc;
}

/* Bytes at the end of s that may be the beginning of a character. */
static size_t unfinished(const char *s, size_t n) {
  size_t used;
  for (size_t back = 1; back <= 3 && back <= n; back++) {
    unsigned char lead = (unsigned char)s[n - back];
    if (lead < 0x80) return 0;
    if (lead < 0xC0) continue;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    return utf8_decode(s + n - back, back, &used) == UTF8_BAD && used == back ? back : 0;
  }
  return 0;
}

int tokenizer_stream_add(const struct tokenizer *t, struct tokenizer_stream *s, uint32_t id,
                         int flags, struct buf *out, struct err *err) {
  struct buf bytes;
  buf_init(&bytes);
  buf_add(&bytes, s->held, s->count);
  add(t, id, flags, &s->begun, &bytes);
  int rc = buf_check(&bytes, "decoded text", err);
  if (!rc && bytes.len) {
    size_t wait = unfinished(bytes.data, bytes.len);
    utf8_lossy(bytes.data, bytes.len - wait, out);
    rc = buf_check(out, "decoded text", err);
    memcpy(s->held, bytes.data + bytes.len - wait, wait);
    s->count = (unsigned)wait;
  }
  buf_clear(&bytes);
  return rc;
}

int tokenizer_stream_end(struct tokenizer_stream *s, struct buf *out, struct err *err) {
  if (s->count) utf8_lossy(s->held, s->count, out);
  *s = (struct tokenizer_stream){0};
  return buf_check(out, "decoded text", err);
}

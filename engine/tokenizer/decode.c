/* SPDX-License-Identifier: MIT */
/* The whole way back: ids → token strings → decoder → text.
 *
 * A ByteLevel alone, the usual case, has a way of its own: the tokens' bytes are joined and the
 * whole is repaired, since a character may be spread over tokens. Everything else, and every stream,
 * goes through decoder.c, which holds back what is not certain yet:
 *
 *   … A B C E2 82 │ AC D …       held: E2 82
 */
#include "base/utf8.h"
#include "tokenizer/parts.h"

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

/* The string that is decoded. As in the reference, a token that is looked for in the normalized text
 * decodes to its normalized content, so that Llama 2's "<s>" gives "▁<s>"; and what is skipped are
 * strings that some special token has, of which "▁<s>" is none. */
static const char *decoded(const struct tokenizer *t, uint32_t id, int flags, size_t *n) {
  if (id >= t->vocab.size || t->vocab.len[id] == TOKENIZER_NONE) return NULL;
  const char *s = t->added.form_count ? added_form(&t->added, id, n) : NULL;
  uint32_t same = s ? vocab_find(&t->vocab, s, *n) : id;
  if (flags & TOKENIZER_SKIP_SPECIAL && same != TOKENIZER_NONE && tokenizer_is_special(t, same))
    return NULL;
  return s ? s : vocab_string(&t->vocab, id, n);
}

static int add(const struct tokenizer *t, struct decoding *run, uint32_t id, int flags,
               struct buf *out, struct err *err) {
  size_t n, bytes_n;
  const char *s = decoded(t, id, flags, &n);
  if (!s) return 0;
  const char *bytes = tokenizer_bytes(t, id, &bytes_n);
  return decoding_add(run, s, n, bytes, bytes_n, out, err);
}

static int decode_chain(const struct tokenizer *t, const uint32_t *ids, size_t n, int flags,
                        bool raw, struct buf *out, struct err *err) {
  struct decoding *run;
  size_t before = out->len;
  int rc = decoding_new(&run, t->decoder, raw, false, err);
  for (size_t i = 0; i < n && !rc; i++) rc = add(t, run, ids[i], flags, out, err);
  if (!rc) rc = decoding_end(run, out, err);
  decoding_free(run);
  if (rc) out->len = before;
  return rc;
}

int tokenizer_decode_bytes(const struct tokenizer *t, const uint32_t *ids, size_t n, int flags,
                           struct buf *out, struct err *err) {
  if (!decoder_plain(t->decoder)) return decode_chain(t, ids, n, flags, true, out, err);
  for (size_t i = 0; i < n; i++) {
    size_t len;
    if (!decoded(t, ids[i], flags, &len)) continue;
    const char *s = tokenizer_bytes(t, ids[i], &len);
    buf_add(out, s, len);
  }
  return buf_check(out, "decoded text", err);
}

int tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n, int flags,
                     struct buf *out, struct err *err) {
  if (!decoder_plain(t->decoder)) return decode_chain(t, ids, n, flags, false, out, err);
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

int tokenizer_stream_add(const struct tokenizer *t, struct tokenizer_stream *s, uint32_t id,
                         int flags, struct buf *out, struct err *err) {
  int rc = s->run ? 0 : decoding_new(&s->run, t->decoder, false, false, err);
  return rc ? rc : add(t, s->run, id, flags, out, err);
}

int tokenizer_stream_end(struct tokenizer_stream *s, struct buf *out, struct err *err) {
  return s->run ? decoding_end(s->run, out, err) : 0;
}

void tokenizer_stream_clear(struct tokenizer_stream *s) {
  decoding_free(s->run);
  s->run = NULL;
}

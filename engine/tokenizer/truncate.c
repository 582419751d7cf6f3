/* SPDX-License-Identifier: MIT */
/* Encoding with at most so many tokens, and where in the text the cut lies.
 *
 *   "naïve €5"     na │ Ã │ ¯ │ ve │ Ġ │ â │ Ĥ │ ¬ │ 5        max 6
 *                                        ▲ the sixth token ends inside a character
 *                                   ▲ so the cut is here: five tokens, byte 7
 *
 * The tokens are those of the whole text, less those that are cut off: the same that a caller gets
 * who encodes everything and takes a part, as the reference does. (Encoding the part of the text may
 * give other tokens, when the cut lies inside a word.) Tokens that share bytes of the input stay
 * together, so a cut never parts a character and never an added token.
 */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/parts.h"

/* Whether text may be cut between tokens i − 1 and i, and at which byte. */
static bool may_cut(const struct tokens *ts, size_t i, const char *text, size_t n, bool left,
                    uint64_t *at) {
  uint64_t before = i ? ts->spans[i - 1].end : 0, after = i < ts->count ? ts->spans[i].start : n;
  if (before > after) return false;
  *at = left ? after : before;
  if (!i && !left) *at = 0;
  if (i == ts->count && left) *at = n;
  return *at == n || utf8_floor(text, n, (size_t)*at) == *at;
}

static void keep_part(struct tokens *ts, size_t from, size_t count) {
  memmove(ts->ids, ts->ids + from, count * sizeof *ts->ids);
  memmove(ts->spans, ts->spans + from, count * sizeof *ts->spans);
  ts->count = count;
}

/* Which of the tokens of a text stay; *at is where the text is cut. */
static void cut(struct tokens *ts, const char *text, size_t n, size_t max, bool left,
                uint64_t *at) {
  size_t count = ts->count, i;
  if (count <= max) {
    *at = left ? 0 : n;
  } else if (left) {
    for (i = count - max; i < count && !may_cut(ts, i, text, n, true, at); i++) {
    }
    if (i == count) *at = n;
    keep_part(ts, i, count - i);
  } else {
    for (i = max; i && !may_cut(ts, i, text, n, false, at); i--) {
    }
    if (!i) *at = 0;
    ts->count = i;
  }
}

static int add_all(struct tokens *out, const uint32_t *ids, const struct token_span *spans,
                   size_t count, uint64_t at, struct err *err) {
  int rc = tokens_reserve(out, count, true, err);
  for (size_t i = 0; i < count && !rc; i++, out->count++) {
    out->ids[out->count] = ids[i];
    out->spans[out->count] = spans ? spans[i] : (struct token_span){at, at};
  }
  return rc;
}

int tokenizer_truncate(const struct tokenizer *t, struct tokenizer_work *work, const char *text,
                       size_t n, int flags, size_t max, struct tokens *out, uint64_t *at,
                       struct err *err) {
  static const struct tokens none = {0};
  bool special = flags & TOKENIZER_SPECIAL, left = flags & TOKENIZER_LEFT;
  const struct tokens *head = special ? &t->head : &none, *tail = special ? &t->tail : &none;
  size_t around = head->count + tail->count, before = out->count;
  struct tokens some = {0};
  *at = 0;
  if (max < around)
    return err_set(err, ERR_MISUSE, "at most %zu tokens, but %zu are added to every text", max,
                   around);
  int plain = (flags & ~(TOKENIZER_SPECIAL | TOKENIZER_LEFT)) | TOKENIZER_SPANS;
  int rc = tokenizer_encode(t, work, text, n, plain, &some, err);
  if (!rc) {
    cut(&some, text, n, max - around, left, at);
    rc = add_all(out, head->ids, NULL, head->count, left ? *at : 0, err);
  }
  if (!rc) rc = add_all(out, some.ids, some.spans, some.count, 0, err);
  if (!rc) rc = add_all(out, tail->ids, NULL, tail->count, left ? n : *at, err);
  if (rc) out->count = before;
  tokens_clear(&some);
  return rc;
}

/* SPDX-License-Identifier: MIT */
/* The fast way from raw text to ids, for the files whose normalizer and pre-tokenizer allow it:
 *
 *   FRONT_SCAN    ByteLevel with its own pattern, or Split by a known pattern and then ByteLevel:
 *                 raw text ─ scan_words ─► words ─ cache, model ─► ids
 *
 * What a file says is compared with what is known here; anything unknown goes the general way
 * (normalize.c, pretokenize.c), which gives the same ids.
 */
#include <string.h>

#include "base/cancel.h"
#include "tokenizer/parts.h"

#define WORDS 128 /* words found before any is looked up */

/* ---- recognising ---- */

static bool none(const struct json *j, json_id v) {
  return v == JSON_NONE || json_kind(j, v) == JSON_NULL;
}

static bool is_type(const struct json *j, json_id v, const char *type) {
  return json_is(j, json_get(j, v, "type"), type);
}

static bool flag(const struct json *j, json_id v, const char *name, bool fallback) {
  json_bool(j, json_get(j, v, name), &fallback);
  return fallback;
}

/* Lists inside lists, with their members in order; false when there are more than `max`. */
static bool flatten(const struct json *j, json_id v, const char *list, json_id *out, size_t max,
                    size_t *count, int depth) {
  if (none(j, v)) return true;
  if (!is_type(j, v, "Sequence")) {
    if (*count == max) return false;
    out[(*count)++] = v;
    return true;
  }
  struct json_iter it = json_iter(j, json_get(j, v, list));
  bool ok = depth < 8;
  while (ok && json_each(&it)) ok = flatten(j, it.value, list, out, max, count, depth + 1);
  return ok;
}

#define STEPS 3 /* no fast way has more */

static void find_scan(struct front *f, const struct json *j, const json_id *step, size_t count) {
  json_id last = count ? step[count - 1] : JSON_NONE;
  if (!count || !is_type(j, last, "ByteLevel")) return;
  bool regex = flag(j, last, "use_regex", true);
  if (count != 1) return;
  f->scan = regex ? SCAN_GPT2 : SCAN_WHOLE;
  f->prefix = flag(j, last, "add_prefix_space", true) ? PREFIX_UNLESS : PREFIX_NEVER;
  f->kind = FRONT_SCAN;
}

int front_find(struct tokenizer *t, const struct json *j, json_id normalizer, json_id pre_tokenizer,
               struct err *err) {
  json_id norm[STEPS], pre[STEPS];
  size_t norms = 0, pres = 0;
  (void)err;
  t->front = (struct front){0};
  if (!flatten(j, normalizer, "normalizers", norm, STEPS, &norms, 0)) return 0;
  if (!flatten(j, pre_tokenizer, "pretokenizers", pre, STEPS, &pres, 0)) return 0;
  if (!norms) find_scan(&t->front, j, pre, pres);
  return 0;
}

/* ---- taking it ---- */

bool front_takes(const struct tokenizer *t, const char *s, size_t n) {
  (void)s;
  (void)n;
  return t->front.kind != FRONT_NONE;
}

static int run(const struct tokenizer *t, struct tokenizer_work *w, const char *s, size_t n,
               struct tokens *out, bool spans, uint64_t base, size_t *counted, struct err *err) {
  uint32_t ends[WORDS];
  size_t poll = 0;
  int rc = 0;
  for (size_t at = 0, start = 0; at < n && !rc;) {
    size_t count = scan_words(t->front.scan, s, n, &at, ends, WORDS);
    for (size_t i = 0; i < count && !rc; start = ends[i++])
      rc = word_encode(t, w, s + start, ends[i] - start, s + n, BPE_BYTES, out, spans, base + start,
                       err);
    if (at < poll) continue;
    poll = at + TOKENIZER_POLL;
    if (!rc) rc = cancel_check(err);
    if (counted) *counted += out->count, out->count = 0;
  }
  return rc;
}

/* A copy with a space before it, whose byte no span has. */
static int run_prefixed(const struct tokenizer *t, struct tokenizer_work *w, const char *s,
                        size_t n, struct tokens *out, bool spans, uint64_t base, size_t *counted,
                        struct err *err) {
  struct buf *b = &w->prefixed;
  buf_reset(b);
  buf_addc(b, ' ');
  buf_add(b, s, n);
  int rc = buf_check(b, "a piece of text", err);
  size_t first = out->count;
  if (rc || (rc = run(t, w, b->data, b->len, out, spans, base, counted, err))) return rc;
  for (size_t i = first; spans && i < out->count; i++) {
    struct token_span *span = &out->spans[i];
    if (span->start > base) span->start--;
    if (span->end > base) span->end--;
  }
  return 0;
}

int front_words(const struct tokenizer *t, struct tokenizer_work *w, const char *s, size_t n,
                bool begins, struct tokens *out, bool spans, uint64_t base, size_t *counted,
                struct err *err) {
  struct tokens scratch = {0};
  struct tokens *to = counted ? &scratch : out;
  int rc = 0;
  (void)begins;
  if (n && t->front.prefix == PREFIX_UNLESS && *s != ' ')
    rc = run_prefixed(t, w, s, n, to, spans && !counted, base, counted, err);
  else if (n)
    rc = run(t, w, s, n, to, spans && !counted, base, counted, err);
  if (counted) *counted += scratch.count;
  tokens_clear(&scratch);
  return rc;
}

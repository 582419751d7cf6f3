/* SPDX-License-Identifier: MIT */
/* The whole way from text to ids:
 *
 *   "a<|end|> b" ─ plain added tokens ─► "a"  <|end|>  " b"
 *                ─ added tokens of the normalized text, inside what is left
 *                ─ scanner ─► words ─ bpe_word ─► ids
 *
 * and around it what the post-processor adds.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "tokenizer/parts.h"

#define CACHE_FROM ((size_t)64 << 10) /* a temporary work gets a cache for texts this long */

int tokenizer_work_new(struct tokenizer_work **out, const struct tokenizer *t, struct err *err) {
  struct tokenizer_work *w = mem_zero(sizeof *w);
  *out = w;
  if (!w) return err_nomem(err, sizeof *w, "tokenizer work");
  w->owner = t;
  w->cache = cache_new();
  if (w->cache) return 0;
  tokenizer_work_free(w);
  *out = NULL;
  return err_nomem(err, 0, "word cache");
}

static void work_clear(struct tokenizer_work *w) {
  cache_free(w->cache);
  bpe_scratch_clear(&w->scratch);
  buf_clear(&w->prefixed);
  memset(w, 0, sizeof *w);
}

void tokenizer_work_free(struct tokenizer_work *work) {
  if (!work) return;
  work_clear(work);
  mem_free(work);
}

void tokens_reset(struct tokens *ts) {
  ts->count = 0;
}

void tokens_clear(struct tokens *ts) {
  mem_free(ts->ids);
  mem_free(ts->spans);
  memset(ts, 0, sizeof *ts);
}

struct job {
  const struct tokenizer *t;
  struct tokenizer_work *w;
  struct tokens *out;
  struct err *err;
  bool spans, plain, counting;
  size_t counted;
  struct tokenizer_work own; /* when the caller gave none */
};

static int poll_job(struct job *j, size_t at, size_t *next) {
  if (at < *next) return 0;
  *next = at + TOKENIZER_POLL;
  if (j->counting) j->counted += j->out->count, j->out->count = 0;
  return cancel_check(j->err);
}

static int words(struct job *j, const char *s, size_t n, uint64_t base) {
  size_t next = 0;
  int rc = 0;
  for (size_t at = 0, end; at < n && !rc; at = end) {
    if ((rc = poll_job(j, at, &next))) break;
    end = j->t->scan(s, n, at);
    rc = word_encode(j->t, j->w, s + at, end - at, s + n, BPE_BYTES, j->out, j->spans, base + at,
                     j->err);
  }
  return rc;
}

/* add_prefix_space: the piece with a space before it, whose byte no span has. */
static int words_prefixed(struct job *j, const char *s, size_t n, uint64_t base) {
  struct buf *b = &j->w->prefixed;
  buf_reset(b);
  buf_addc(b, ' ');
  buf_add(b, s, n);
  int rc = buf_check(b, "a piece of text", j->err);
  size_t first = j->out->count;
  if (rc || (rc = words(j, b->data, b->len, base))) return rc;
  if (!j->spans) return 0;
  for (size_t i = first; i < j->out->count; i++) {
    struct token_span *span = &j->out->spans[i];
    if (span->start > base) span->start--;
    if (span->end > base) span->end--;
  }
  return 0;
}

static int piece(struct job *j, const char *s, size_t n, uint64_t base) {
  if (!n) return 0;
  if (j->t->add_prefix_space && *s != ' ') return words_prefixed(j, s, n, base);
  return words(j, s, n, base);
}

static int push(struct job *j, uint32_t id, uint64_t start, uint64_t end) {
  struct tokens *out = j->out;
  int rc = tokens_reserve(out, 1, j->spans, j->err);
  if (rc) return rc;
  if (j->spans) out->spans[out->count] = (struct token_span){start, end};
  out->ids[out->count++] = id;
  return 0;
}

/* Cuts the trie's tokens out of s and hands what lies between to `rest`. */
static int cut(struct job *j, const struct trie *trie, const char *s, size_t n, uint64_t base,
               int (*rest)(struct job *j, const char *s, size_t n, uint64_t base)) {
  const struct added *added = &j->t->added;
  size_t at = 0, last = 0, start, end;
  uint32_t i;
  int rc = 0;
  while ((i = added_next(added, trie, s, n, at, last, j->plain, &start, &end, &at)) !=
         TOKENIZER_NONE) {
    if (start > last && (rc = rest(j, s + last, start - last, base + last))) return rc;
    if ((rc = push(j, added->list[i].id, base + start, base + end))) return rc;
    last = end;
  }
  return last < n ? rest(j, s + last, n - last, base + last) : 0;
}

static int cut_normalized(struct job *j, const char *s, size_t n, uint64_t base) {
  return cut(j, &j->t->added.normalized, s, n, base, piece);
}

static int surround(struct job *j, const struct tokens *ids, uint64_t at) {
  int rc = 0;
  for (size_t i = 0; i < ids->count && !rc; i++) rc = push(j, ids->ids[i], at, at);
  return rc;
}

static int run(struct job *j, const char *text, size_t n, int flags) {
  int rc = 0;
  if (n >= UINT32_MAX)
    return err_set(j->err, ERR_LIMIT, "a text of %zu bytes; at most 4 GiB at once", n);
  if (j->w && j->w->owner != j->t)
    return err_set(j->err, ERR_MISUSE, "this work belongs to another tokenizer");
  if (!j->w) {
    j->w = &j->own;
    j->own.owner = j->t;
    if (n >= CACHE_FROM) j->own.cache = cache_new(); /* without memory: without a cache */
  }
  if (flags & TOKENIZER_SPECIAL) rc = surround(j, &j->t->head, 0);
  if (!rc) rc = cut(j, &j->t->added.plain, text, n, 0, cut_normalized);
  if (!rc && flags & TOKENIZER_SPECIAL) rc = surround(j, &j->t->tail, n);
  work_clear(&j->own);
  return rc;
}

int tokenizer_encode(const struct tokenizer *t, struct tokenizer_work *work, const char *text,
                     size_t n, int flags, struct tokens *out, struct err *err) {
  size_t before = out->count;
  struct job j = {.t = t,
                  .w = work,
                  .out = out,
                  .err = err,
                  .spans = flags & TOKENIZER_SPANS,
                  .plain = flags & TOKENIZER_PLAIN};
  int rc = run(&j, text, n, flags);
  if (rc) out->count = before;
  return rc;
}

int tokenizer_count(const struct tokenizer *t, struct tokenizer_work *work, const char *text,
                    size_t n, int flags, size_t *count, struct err *err) {
  struct tokens some = {0};
  struct job j = {.t = t,
                  .w = work,
                  .out = &some,
                  .err = err,
                  .plain = flags & TOKENIZER_PLAIN,
                  .counting = true};
  int rc = run(&j, text, n, flags);
  *count = rc ? 0 : j.counted + some.count;
  tokens_clear(&some);
  return rc;
}

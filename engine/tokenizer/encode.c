/* SPDX-License-Identifier: MIT */
/* The whole way from text to ids:
 *
 *   "a<|end|> b" ─ plain added tokens ─► "a"  <|end|>  " b"
 *                ─ the fast way (front.c), where it may be taken; else
 *                ─ normalizer ─ added tokens of the normalized text ─ pre-tokenizer ─► words ─► ids
 *
 * and around it what the post-processor adds.
 *
 * The general way keeps, with spans only, where each byte of the normalized text came from; a
 * token's span is where its first byte begins and its last one ends.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "tokenizer/parts.h"

#define CACHE_FROM ((size_t)64 << 10) /* a temporary work gets a cache for texts this long */
#define PROBE      ((size_t)1 << 10)  /* bytes that tell how a normalized text begins */
#define KEEP_MAX   ((size_t)1 << 20)  /* scratch of a longer text is not kept for the next */

int tokenizer_work_new(struct tokenizer_work **out, const struct tokenizer *t, struct err *err) {
  struct tokenizer_work *w = mem_aligned(sizeof *w);
  *out = w;
  if (!w) return err_nomem(err, sizeof *w, "tokenizer work");
  memset(w, 0, sizeof *w);
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
  aligned_clear(&w->normalized);
  pieces_clear(&w->pieces);
  pieces_clear(&w->spare);
  memset(w, 0, sizeof *w);
}

static void work_trim(struct tokenizer_work *w) {
  aligned_clear(&w->normalized);
  pieces_clear(&w->pieces);
  pieces_clear(&w->spare);
  buf_clear(&w->prefixed);
}

void tokenizer_work_free(struct tokenizer_work *work) {
  if (!work) return;
  work_clear(work);
  mem_free_aligned(work, sizeof *work);
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

/* While only counting, ids are not kept. */
static void tally(struct job *j) {
  if (j->counting) j->counted += j->out->count, j->out->count = 0;
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

/* ---- the fast way ---- */

static int fast_piece(struct job *j, const char *s, size_t n, uint64_t base) {
  return front_words(j->t, j->w, s, n, base == 0, j->out, j->spans, base,
                     j->counting ? &j->counted : NULL, j->err);
}

/* ---- the general way ---- */

/* Spans of the tokens from `first` on, from bytes of `a` to bytes of the input. */
static void spans_back(struct job *j, const struct aligned *a, size_t first, uint64_t base) {
  for (size_t i = first; i < j->out->count; i++) {
    struct token_span *span = &j->out->spans[i];
    size_t from = (size_t)span->start, to = (size_t)span->end;
    if (from == a->text.len) from--; /* an empty span at the end */
    span->start = base + a->start[from];
    span->end = to > from ? base + a->end[to - 1] : span->start;
  }
}

static int words(struct job *j, const struct pieces *p, int kind, uint64_t base) {
  const struct aligned *a = &p->a;
  const char *s = a->text.data, *end = s + a->text.len;
  size_t polled = 0;
  int rc = 0;
  for (size_t i = 0; i < p->count && !rc; i++) {
    size_t from = p->list[i].start, to = p->list[i].end, first = j->out->count;
    if (to - polled >= TOKENIZER_POLL) {
      polled = to;
      tally(j);
      first = j->out->count;
      if ((rc = cancel_check(j->err))) break;
    }
    rc = word_encode(j->t, j->w, s + from, to - from, end, kind, j->out, j->spans, from, j->err);
    if (!rc && j->spans) spans_back(j, a, first, base);
  }
  return rc;
}

static int one_piece(struct pieces *p, struct err *err) {
  if (!p->cap) {
    p->list = mem_array(16, sizeof *p->list);
    if (!p->list) return err_nomem(err, 16 * sizeof *p->list, "a piece of text");
    p->cap = 16;
  }
  p->list[0] = (struct piece){0, p->a.text.len};
  p->count = 1;
  return buf_check(&p->a.text, "a piece of text", err);
}

/* Bytes [from, to) of the normalized text `a` (NULL: of s as it is) become words and ids. */
static int general_piece(struct job *j, const struct aligned *a, const char *s, size_t from,
                         size_t to, size_t zero, uint64_t base) {
  struct pieces *p = &j->w->pieces;
  bool alphabet = false;
  if (from == to) return 0;
  aligned_reset(&p->a, j->spans);
  if (a && j->spans)
    aligned_append(&p->a, a, from, to);
  else
    aligned_copy(&p->a, s + from, to - from, (uint32_t)from);
  int rc = one_piece(p, j->err);
  if (!rc)
    rc = pre_tokenizer_run(j->t->pre_tokenizer, p, &j->w->spare, zero > from ? zero - from : 0,
                           &alphabet, j->err);
  if (to - from > KEEP_MAX) pieces_clear(&j->w->spare); /* before the tokens take their memory */
  bool bytes = pre_tokenizer_byte_level(j->t->pre_tokenizer) && !alphabet;
  return rc ? rc : words(j, p, bytes ? BPE_BYTES : BPE_CHARACTERS, base);
}

/* How many bytes the normalized text begins with that stand for the beginning of s. */
static int zero_bytes(struct job *j, const char *s, size_t n, size_t *zero) {
  struct aligned a = {.track = true};
  size_t some = n < PROBE ? n : utf8_floor(s, n, PROBE);
  int rc = normalizer_run(j->t->normalizer, s, some, &a, j->err);
  *zero = 0;
  while (!rc && *zero < a.text.len && a.start[*zero] == 0) ++*zero;
  aligned_clear(&a);
  return rc;
}

static int general(struct job *j, const char *s, size_t n, uint64_t base) {
  const struct added *added = &j->t->added;
  struct aligned *a = NULL;
  const char *text = s;
  size_t len = n, at = 0, last = 0, start, end, zero = base == 0;
  uint32_t i;
  int rc = 0;
  if (!normalizer_keeps(j->t->normalizer, s, n)) {
    a = &j->w->normalized;
    a->track = j->spans;
    if (zero && (rc = zero_bytes(j, s, n, &zero))) return rc;
    if ((rc = normalizer_run(j->t->normalizer, s, n, a, j->err))) return rc;
    text = a->text.data;
    len = a->text.len;
  }
  while ((i = added_next(added, &added->normalized, text, len, at, last, j->plain, &start, &end,
                         &at)) != TOKENIZER_NONE) {
    if (start > last && (rc = general_piece(j, a, text, last, start, zero, base))) return rc;
    size_t first = j->out->count;
    if ((rc = push(j, added->list[i].id, base + start, base + end))) return rc;
    if (a && j->spans) {
      j->out->spans[first] = (struct token_span){start, end};
      spans_back(j, a, first, base);
    }
    last = end;
  }
  return last < len ? general_piece(j, a, text, last, len, zero, base) : 0;
}

/* ---- the whole ---- */

static int piece(struct job *j, const char *s, size_t n, uint64_t base) {
  if (!n) return 0;
  if (front_takes(j->t, s, n)) return cut(j, &j->t->added.normalized, s, n, base, fast_piece);
  return general(j, s, n, base);
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
  if (!rc) rc = cut(j, &j->t->added.plain, text, n, 0, piece);
  if (!rc && flags & TOKENIZER_SPECIAL) rc = surround(j, &j->t->tail, n);
  if (j->w != &j->own && n > KEEP_MAX) work_trim(j->w);
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

/* SPDX-License-Identifier: MIT */
/* The fast way from raw text to ids, for the files whose normalizer and pre-tokenizer allow it:
 *
 *   raw text ─ scan_words ─► words ─ words_many ─► ids
 *
 *   FRONT_SCAN    ByteLevel with its own pattern, or Split by a known pattern and then ByteLevel, or
 *                 Digits and ByteLevel. A normalizer must leave the text as it is; it is asked.
 *   FRONT_SPACES  SentencePiece's kind: Metaspace, or the normalizers Prepend and Replace. Nothing is
 *                 replaced: the model reads ' ' as U+2581.
 *
 * A file without a pre-tokenizer has one word as long as the text. But where no token has U+2581
 * behind another character, no merge crosses such a place, and what is merged left and right of it
 * is independent: so words may be cut there. The same with line ends that no token mixes with other
 * characters. Whether it is so is read off the vocabulary.
 *
 * What a file says is compared with what is known here; anything unknown goes the general way
 * (normalize.c, pretokenize.c), which gives the same ids.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "tokenizer/parts.h"
#include "tokenizer/scan.h"

#define MARK  "\xE2\x96\x81" /* U+2581 */
#define STEPS 3              /* no fast way has more */

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

struct steps {
  json_id at[STEPS];
  size_t count;
};

/* Sequences inside sequences, with their members in order; false when there are too many. */
static bool flatten(const struct json *j, json_id v, const char *list, struct steps *out,
                    int depth) {
  if (none(j, v)) return true;
  if (!is_type(j, v, "Sequence")) {
    if (out->count == STEPS) return false;
    out->at[out->count++] = v;
    return true;
  }
  struct json_iter it = json_iter(j, json_get(j, v, list));
  bool ok = depth < 8;
  while (ok && json_each(&it)) ok = flatten(j, it.value, list, out, depth + 1);
  return ok;
}

/* A Split that gives every match of a known pattern. Those match every character. */
static bool known_split(const struct json *j, json_id v, enum scan_kind *kind) {
  struct buf scratch;
  size_t n;
  bool invert = flag(j, v, "invert", false), known = false;
  const char *behavior = invert ? "Removed" : "Isolated";
  if (!is_type(j, v, "Split") || !json_is(j, json_get(j, v, "behavior"), behavior)) return false;
  buf_init(&scratch);
  const char *regex = json_string(j, json_get(j, json_get(j, v, "pattern"), "Regex"), &scratch, &n);
  if (regex) known = scan_recognise(regex, n, false, kind);
  buf_clear(&scratch);
  return known;
}

static bool find_scan(struct front *f, const struct json *j, const struct steps *pre) {
  json_id last = pre->count ? pre->at[pre->count - 1] : JSON_NONE, first = pre->at[0];
  if (!pre->count || pre->count > 2 || !is_type(j, last, "ByteLevel")) return false;
  bool regex = flag(j, last, "use_regex", true), prefix = flag(j, last, "add_prefix_space", true);
  f->prefix = prefix ? PREFIX_UNLESS : PREFIX_NEVER;
  f->scan = regex ? SCAN_GPT2 : SCAN_WHOLE;
  if (pre->count == 1) return true;
  if (prefix) return false; /* it would go to every word */
  if (!regex) return known_split(j, first, &f->scan);
  f->scan = SCAN_GPT2_DIGITS;
  return is_type(j, first, "Digits") && flag(j, first, "individual_digits", false);
}

static bool is_mark(const struct json *j, json_id v) {
  return json_is(j, v, MARK);
}

/* Metaspace alone. prepend_scheme is newer than add_prefix_space. */
static bool find_metaspace(struct front *f, const struct json *j, json_id v) {
  json_id scheme = json_get(j, v, "prepend_scheme");
  if (!is_type(j, v, "Metaspace") || !is_mark(j, json_get(j, v, "replacement"))) return false;
  f->scan = flag(j, v, "split", true) ? SCAN_EACH_SPACE : SCAN_WHOLE;
  f->prefix = PREFIX_UNLESS;
  if (none(j, scheme)) return flag(j, v, "add_prefix_space", true);
  if (json_is(j, scheme, "always")) return true;
  f->prefix = PREFIX_FIRST;
  if (json_is(j, scheme, "first")) return true;
  f->prefix = PREFIX_NEVER;
  return json_is(j, scheme, "never");
}

/* Prepend and Replace, the former or not, in any order. */
static bool find_replace(struct front *f, const struct json *j, const struct steps *norm) {
  f->prefix = PREFIX_NEVER;
  f->scan = SCAN_WHOLE;
  for (size_t i = 0; i < norm->count; i++) {
    json_id v = norm->at[i], pattern = json_get(j, v, "pattern");
    if (is_type(j, v, "Prepend") && is_mark(j, json_get(j, v, "prepend")) && !f->prefix)
      f->prefix = PREFIX_ALWAYS;
    else if (is_type(j, v, "Replace") && is_mark(j, json_get(j, v, "content")) &&
             json_is(j, json_get(j, pattern, "String"), " "))
      f->normalizes = true;
    else
      return false;
  }
  return f->normalizes;
}

/* No pre-tokenizer, or one that looks for spaces, which are not there any more (Gemma). */
static bool cuts_nothing(const struct json *j, const struct steps *pre) {
  for (size_t i = 0; i < pre->count; i++) {
    json_id pattern = json_get(j, pre->at[i], "pattern");
    if (!is_type(j, pre->at[i], "Split") || flag(j, pre->at[i], "invert", false)) return false;
    if (!json_is(j, json_get(j, pattern, "String"), " ")) return false;
  }
  return true;
}

/* ---- SentencePiece's vocabularies ---- */

static bool is_byte_token(const struct tokenizer *t, uint32_t id) {
  size_t n;
  const char *s = vocab_string(&t->vocab, id, &n);
  return s && n == 6 && !memcmp(s, "<0x", 3);
}

/* Whether the tokens of any text lie end to end in it and words may be cut: each byte has a token,
 * which no merge takes, and characters are the same wherever they stand in a word. */
static bool tokens_tile(const struct tokenizer *t) {
  static const char hex[] = "0123456789ABCDEF";
  char name[6] = "<0x00>";
  bool tile = t->bpe.byte_fallback && !t->bpe.prefix_len && !t->bpe.suffix_len;
  for (unsigned b = 0; tile && b < 256; b++) {
    name[3] = hex[b >> 4], name[4] = hex[b & 15];
    tile = vocab_find(&t->vocab, name, 6) != TOKENIZER_NONE;
  }
  for (size_t i = 0; tile && i < tokenizer_merge_count(t); i++) {
    uint32_t left, right;
    tokenizer_merge_at(t, i, &left, &right);
    tile = !is_byte_token(t, left) && !is_byte_token(t, right);
  }
  return tile;
}

struct habits {
  bool crosses; /* a token has U+2581 behind another character */
  bool mixes;   /* a token has a line end beside another character */
};

/* Marks are counted on the way; returns how many there are in the token. */
static uint32_t token_habits(const char *s, size_t n, struct habits *h) {
  uint32_t marks = 0;
  size_t lines = 0;
  bool was_mark = true;
  for (size_t i = 0; i < n; i++) {
    bool mark = n - i > 2 && !memcmp(s + i, MARK, 3);
    if (mark && !was_mark) h->crosses = true;
    marks += mark;
    lines += s[i] == '\r' || s[i] == '\n';
    i += mark ? 2 : 0;
    was_mark = mark;
  }
  if (lines && lines < n) h->mixes = true;
  return marks;
}

/* Where words may be cut, and how many bytes of the text each token stands for. */
static int learn_tokens(struct tokenizer *t, struct err *err) {
  struct front *f = &t->front;
  struct habits h = {false, false};
  f->lengths = mem_array(t->vocab.size, sizeof *f->lengths);
  if (!f->lengths) return err_nomem(err, t->vocab.size * sizeof *f->lengths, "tokens' lengths");
  for (size_t id = 0; id < t->vocab.size; id++) {
    size_t n;
    const char *s = vocab_string(&t->vocab, (uint32_t)id, &n);
    f->lengths[id] = 0;
    if (!s) continue;
    uint32_t marks = token_habits(s, n, &h);
    f->lengths[id] = is_byte_token(t, (uint32_t)id) ? 1 : (uint32_t)n - 2 * marks;
  }
  if (f->scan == SCAN_WHOLE && !h.crosses && !t->bpe.ignore_merges)
    f->scan = h.mixes ? SCAN_SPACES : SCAN_SPACES_LINES;
  return 0;
}

/* ---- the whole ---- */

void front_clear(struct front *f) {
  mem_free(f->lengths);
  *f = (struct front){0};
}

int front_find(struct tokenizer *t, const struct json *j, json_id normalizer, json_id pre_tokenizer,
               struct err *err) {
  struct steps norm = {.count = 0}, pre = {.count = 0};
  struct front f = {0};
  front_clear(&t->front);
  if (!flatten(j, pre_tokenizer, "pretokenizers", &pre, 0)) return 0;
  if (find_scan(&f, j, &pre)) {
    t->front = f;
    t->front.kind = FRONT_SCAN;
    return 0;
  }
  f = (struct front){0};
  if (!(pre.count == 1 && find_metaspace(&f, j, pre.at[0])) &&
      !(cuts_nothing(j, &pre) && flatten(j, normalizer, "normalizers", &norm, 0) &&
        find_replace(&f, j, &norm)))
    return 0;
  if (!tokens_tile(t)) return 0;
  t->front = f;
  t->front.kind = FRONT_SPACES;
  return learn_tokens(t, err);
}

/* ---- taking it ---- */

#define LOOKED_FOR 8 /* added tokens that are looked for in the raw text */

/* The first of what lies between spaces, of either kind, in a token's content. */
static const char *core_of(const char *s, size_t n, size_t *len) {
  size_t from = 0, to;
  while (from < n && (s[from] == ' ' || (n - from > 2 && !memcmp(s + from, MARK, 3))))
    from += s[from] == ' ' ? 1 : 3;
  for (to = from; to < n && s[to] != ' ' && !(n - to > 2 && !memcmp(s + to, MARK, 3));) to++;
  *len = to - from;
  return s + from;
}

static bool contains(const char *s, size_t n, const char *what, size_t len) {
  for (const char *end = s + n; (s = memchr(s, *what, (size_t)(end - s))); s++)
    if ((size_t)(end - s) >= len && !memcmp(s, what, len)) return true;
  return false;
}

/* Whether the text surely has none of the added tokens that are looked for once it is normalized,
 * "<s>" as "\u2581<s>": what is between spaces is not changed. */
static bool lacks_normalized(const struct tokenizer *t, const char *s, size_t n) {
  size_t looked = 0, len;
  for (size_t i = 0; i < t->added.count && t->added.normalized.any; i++) {
    const struct tokenizer_added *token = &t->added.list[i];
    if (!token->normalized) continue;
    const char *core = core_of(token->content, token->n, &len);
    if (!len || ++looked > LOOKED_FOR || contains(s, n, core, len)) return false;
  }
  return true;
}

bool front_takes(const struct tokenizer *t, const char *s, size_t n) {
  if (t->front.kind == FRONT_NONE) return false;
  return t->front.normalizes ? lacks_normalized(t, s, n) : normalizer_keeps(t->normalizer, s, n);
}

static int run(const struct words *j, const char *s, size_t n, uint64_t base) {
  uint32_t ends[WORDS_BATCH];
  const struct front *f = &j->t->front;
  enum scan_masks how = scan_masks_best();
  size_t poll = 0;
  int rc = 0;
  for (size_t at = 0, start = 0; at < n && !rc; start = at) {
    size_t count = scan_words_with(how, f->scan, s, n, &at, ends, WORDS_BATCH);
    rc = words_many(j, s, start, ends, count, s + n, base);
    if (at < poll) continue;
    poll = at + TOKENIZER_POLL;
    if (!rc) rc = cancel_check(j->err);
  }
  return rc;
}

static bool begins_with_space(const struct front *f, const char *s, size_t n) {
  return *s == ' ' || (f->kind == FRONT_SPACES && n > 2 && !memcmp(s, MARK, 3));
}

static bool wants_prefix(const struct front *f, const char *s, size_t n, bool begins) {
  switch (f->prefix) {
  case PREFIX_NEVER:
    return false;
  case PREFIX_ALWAYS:
    return true;
  case PREFIX_FIRST:
    return begins && !begins_with_space(f, s, n);
  case PREFIX_UNLESS:
    break;
  }
  return !begins_with_space(f, s, n);
}

/* A copy with a space before it; a token of that space alone stands for the first character, as the
 * reference has it. */
static int run_prefixed(const struct words *j, const char *s, size_t n, uint64_t base) {
  struct buf *b = &j->w->prefixed;
  size_t first = j->out->count, used;
  utf8_decode(s, n, &used);
  buf_reset(b);
  buf_addc(b, ' ');
  buf_add(b, s, n);
  int rc = buf_check(b, "a piece of text", j->err);
  if (rc || (rc = run(j, b->data, b->len, base))) return rc;
  for (size_t i = first; j->spans && i < j->out->count; i++) {
    struct token_span *span = &j->out->spans[i];
    if (span->start > base) span->start--;
    span->end = span->end > base + 1 ? span->end - 1 : base + used;
  }
  return 0;
}

/* Which lengths tell where tokens stand; NULL: none do, the model is asked. */
static const uint32_t *lengths(const struct tokenizer *t, bool marks) {
  if (t->front.kind == FRONT_SCAN)
    return t->bpe.complete && decoder_bytes(t->decoder) ? t->vocab.bytes_len : NULL;
  return marks ? NULL : t->front.lengths;
}

int front_words(const struct tokenizer *t, struct tokenizer_work *w, const char *s, size_t n,
                bool begins, struct tokens *out, bool spans, uint64_t base, size_t *counted,
                struct err *err) {
  struct tokens scratch = {0};
  struct words j = {.t = t, .w = w, .err = err, .counted = counted};
  if (!n) return 0;
  j.kind = t->front.kind == FRONT_SCAN ? BPE_BYTES : BPE_SPACES;
  j.out = counted ? &scratch : out;
  j.spans = spans && !counted;
  j.whole = t->front.kind == FRONT_SPACES && memmem(s, n, MARK, 3);
  j.lengths = j.spans ? lengths(t, j.whole) : NULL;
  bool prefix = wants_prefix(&t->front, s, n, begins);
  int rc = prefix ? run_prefixed(&j, s, n, base) : run(&j, s, n, base);
  tokens_clear(&scratch);
  return rc;
}

/* SPDX-License-Identifier: MIT */
/* The normalizer of a tokenizer.json: a chain of steps, each of which reads a text and writes
 * another, with where its bytes came from.
 *
 *   {"type": "Sequence", "normalizers": [
 *      {"type": "NFC" | "NFD" | "NFKC" | "NFKD"},
 *      {"type": "Prepend", "prepend": "▁"},                        nothing before an empty text
 *      {"type": "Replace", "pattern": {"String": " "} | {"Regex": " +"}, "content": "▁"},
 *      {"type": "Strip", "strip_left": true, "strip_right": true},
 *      {"type": "Lowercase" | "StripAccents" | "Nmt" | "ByteLevel"},
 *      {"type": "Precompiled", "precompiled_charsmap": base64},    see charsmap.c
 *      {"type": "BertNormalizer", "clean_text": …, "handle_chinese_chars": …,
 *                                 "strip_accents": … | null (as lowercase), "lowercase": …} ]}
 *
 * Sequences are flattened; a BertNormalizer becomes the steps it is made of. What is put in stands
 * for what the reference says it stands for: a Prepend for the first character, a Replace for the
 * last character that its pattern matched, one character's expansion for that character.
 */
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/cancel.h"
#include "base/mem.h"
#include "tokenizer/normal.h"

enum { DEPTH_MAX = 32, STEPS_MAX = 1024 };

enum step_kind {
  STEP_FORM,
  STEP_PREPEND,
  STEP_LITERAL,
  STEP_PATTERN,
  STEP_STRIP,
  STEP_FILTER, /* characters with a flag of `gone` go, those with one of `space` become spaces */
  STEP_CJK,
  STEP_LOWER,
  STEP_BYTES,
  STEP_CHARSMAP
};

struct step {
  enum step_kind kind;
  enum normal_form form;
  bool left, right;
  uint32_t gone, space;
  struct pattern *pattern;
  struct charsmap *charsmap;
  char *find, *content; /* of content: the text put in */
  size_t find_n, content_n;
};

struct normalizer {
  struct step *steps;
  size_t count;
};

/* ---- one character at a time ---- */

static uint32_t char_at(const struct step_io *io, size_t at, size_t *used, uint32_t *record) {
  uint32_t c = (unsigned char)io->s[at];
  if (c < 0x80) {
    *used = 1;
    *record = normal_record[normal_blocks[0][c]];
    return c;
  }
  c = utf8_decode(io->s + at, io->n - at, used);
  if (c == UTF8_BAD) *used = 1;
  *record = c == UTF8_BAD ? 0 : normal_of(c);
  return c;
}

/* Whether a character has one of these flags. */
static bool any_flagged(const char *s, size_t n, uint32_t flags) {
  uint32_t r;
  struct step_io io = {.s = s, .n = n};
  for (size_t at = 0, used; at < n; at += used) {
    char_at(&io, at, &used, &r);
    if (r & flags) return true;
  }
  return false;
}

/* How a step writes the character c (record r) that stands at [at, at + used). */
static void write_flagged(const struct step *step, struct step_io *io, uint32_t c, uint32_t r,
                          size_t at, size_t used) {
  size_t to = at + used;
  if (step->kind == STEP_FILTER) {
    if (!(r & step->gone)) step_put(io, " ", 1, at, to);
  } else if (step->kind == STEP_CJK) {
    step_put(io, " ", 1, at, to);
    step_keep(io, at, used);
    step_put(io, " ", 1, at, to);
  } else if (c == 0x130) {
    step_put(io, "i\xCC\x87", 3, at, to);
  } else {
    step_put_char(io, normal_lower(c), at, to);
  }
}

static uint32_t flags_of(const struct step *step) {
  if (step->kind == STEP_CJK) return NORMAL_BERT_CJK;
  return step->kind == STEP_LOWER ? NORMAL_LOWER : step->gone | step->space;
}

/* Copies the ASCII that begins at `at`, in small letters; returns its end. */
static size_t lower_ascii(struct step_io *io, size_t at) {
  size_t end = at, was = io->out->text.len;
  while (end < io->n && (unsigned char)io->s[end] < 0x80) end++;
  step_keep(io, at, end - at);
  if (io->out->text.failed) return end;
  for (char *p = io->out->text.data + was, *stop = p + (end - at); p < stop; p++)
    *p = (char)(*p + ((unsigned char)(*p - 'A') < 26 ? 'a' - 'A' : 0));
  return end;
}

/* Writes what has a flag differently; copies what lies between. */
static void run_flagged(const struct step *step, struct step_io *io) {
  uint32_t flags = flags_of(step), r;
  size_t from = 0;
  for (size_t at = 0, used; at < io->n; at += used) {
    if (step->kind == STEP_LOWER && (unsigned)(io->s[at] - 'A') < 26) {
      step_keep(io, from, at - from);
      from = lower_ascii(io, at);
      used = from - at;
      continue;
    }
    uint32_t c = char_at(io, at, &used, &r);
    if (!(r & flags)) continue;
    step_keep(io, from, at - from);
    write_flagged(step, io, c, r, at, used);
    from = at + used;
  }
  step_keep(io, from, io->n - from);
}

static bool byte_stays(unsigned char b) {
  return b > 0x20 && b < 0x7F;
}

/* Each byte in the byte-level alphabet, standing for the whole character it belongs to. */
static void run_bytes(struct step_io *io) {
  uint32_t r;
  for (size_t at = 0, used; at < io->n; at += used) {
    char_at(io, at, &used, &r);
    if (byte_stays((unsigned char)io->s[at])) {
      step_keep(io, at, 1);
      continue;
    }
    for (size_t i = 0; i < used; i++) {
      char two[2];
      size_t n = byte_char_put((unsigned char)io->s[at + i], two);
      step_put(io, two, n, at, at + used);
    }
  }
}

/* ---- at the ends ---- */

static void strip_ends(const struct step *step, const char *s, size_t n, size_t *from, size_t *to) {
  struct step_io io = {.s = s, .n = n};
  uint32_t r;
  size_t used, at;
  for (*from = 0; step->left && *from < n; *from += used) {
    char_at(&io, *from, &used, &r);
    if (!(r & NORMAL_SPACE)) break;
  }
  for (*to = n; step->right && *to > *from; *to = at) {
    at = step_back(s, *from, *to);
    io.n = *to;
    char_at(&io, at, &used, &r);
    if (!(r & NORMAL_SPACE)) break;
  }
}

static void run_prepend(const struct step *step, struct step_io *io) {
  size_t used;
  uint32_t r;
  if (!io->n) return;
  char_at(io, 0, &used, &r);
  step_put(io, step->content, step->content_n, 0, used);
  step_keep(io, 0, io->n);
}

/* ---- replacing ---- */

/* The content, put in for the last character of a match that ends at `to`. */
static void put_content(const struct step *step, struct step_io *io, size_t to) {
  step_put(io, step->content, step->content_n, to ? step_back(io->s, 0, to) : 0, to);
}

static size_t count_byte(const char *s, size_t n, char byte) {
  size_t count = 0, at = 0;
#ifdef __SSE2__
  __m128i sum = _mm_setzero_si128(), find = _mm_set1_epi8(byte);
  for (; n - at >= 16; at += 16) { /* of 16 results, 0 or 1 each, the two sums */
    __m128i hit = _mm_cmpeq_epi8(_mm_loadu_si128((const void *)(s + at)), find);
    hit = _mm_sub_epi8(_mm_setzero_si128(), hit);
    sum = _mm_add_epi64(sum, _mm_sad_epu8(hit, _mm_setzero_si128()));
  }
  count = (size_t)_mm_cvtsi128_si64(sum) + (size_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(sum, sum));
#endif
  for (; at < n; at++) count += s[at] == byte;
  return count;
}

enum { WIDE = 16, CONTENT_SMALL = 8 };

/* The text of run_byte; what is stored too much is overwritten. *at: how far it came. */
static char *put_wide(const struct step *step, const struct step_io *io, char *to, size_t *at) {
#ifdef __SSE2__
  const __m128i find = _mm_set1_epi8(step->find[0]);
  const size_t put = step->content_n;
  char content[CONTENT_SMALL] = {0};
  if (put) memcpy(content, step->content, put);
  for (; io->n - *at >= 2 * WIDE; *at += WIDE) {
    const char *s = io->s + *at;
    __m128i v = _mm_loadu_si128((const void *)s);
    unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, find)), done = 0;
    for (; mask; mask &= mask - 1) {
      unsigned i = (unsigned)__builtin_ctz(mask);
      _mm_storeu_si128((void *)to, _mm_loadu_si128((const void *)(s + done)));
      memcpy(to + (i - done), content, sizeof content);
      to += i - done + put;
      done = i + 1;
    }
    _mm_storeu_si128((void *)to, _mm_loadu_si128((const void *)(s + done)));
    to += WIDE - done;
  }
#endif
  for (; *at < io->n; ++*at) {
    size_t n = io->s[*at] == step->find[0] ? step->content_n : 1;
    memcpy(to, io->s[*at] == step->find[0] ? step->content : io->s + *at, n);
    to += n;
  }
  return to;
}

/* The positions of run_byte. */
static void put_positions(const struct step *step, struct step_io *io) {
  uint32_t *start = io->out->start + io->out->text.len, *end = io->out->end + io->out->text.len;
  for (size_t i = 0; i < io->n; i++) {
    uint32_t from = io->start ? io->start[i] : (uint32_t)i;
    uint32_t to = io->start ? io->end[i] : (uint32_t)i + 1;
    for (size_t n = io->s[i] == step->find[0] ? step->content_n : 1; n; n--) {
      *start++ = from;
      *end++ = to;
    }
  }
}

/* One byte replaced by a few, which is how spaces become "▁": sixteen bytes are stored at a time.
 * False: this is no such step. */
static bool run_byte(const struct step *step, struct step_io *io) {
  struct buf *out = &io->out->text;
  size_t at = 0;
  if (step->find_n != 1 || step->content_n > CONTENT_SMALL) return false;
  size_t hits = count_byte(io->s, io->n, step->find[0]);
  if (!aligned_room(io->out, io->n + hits * step->content_n + 2 * WIDE)) return true;
  if (io->out->track) put_positions(step, io);
  out->len = (size_t)(put_wide(step, io, out->data + out->len, &at) - out->data);
  out->data[out->len] = 0;
  return true;
}

static void run_literal(const struct step *step, struct step_io *io) {
  size_t from = 0;
  const char *hit;
  if (run_byte(step, io)) return;
  while (from < io->n && (hit = memmem(io->s + from, io->n - from, step->find, step->find_n))) {
    size_t at = (size_t)(hit - io->s), to = at + step->find_n;
    step_keep(io, from, at - from);
    put_content(step, io, to);
    from = to;
  }
  step_keep(io, from, io->n - from);
}

static int run_pattern(const struct step *step, struct step_io *io, struct err *err) {
  struct matches m = {0};
  size_t copied = 0, from = 0, to = 0, polled = 0;
  bool found = false;
  if (!io->n) return 0;
  int rc = matches_begin(&m, step->pattern, io->s, io->n, err);
  while (!rc && !(rc = matches_next(&m, &found, &from, &to, err)) && found) {
    step_keep(io, copied, from - copied);
    put_content(step, io, to);
    copied = to;
    if (copied - polled > TOKENIZER_POLL) {
      rc = cancel_check(err);
      polled = copied;
    }
  }
  if (!rc) step_keep(io, copied, io->n - copied);
  matches_clear(&m);
  return rc;
}

/* ---- the chain ---- */

static bool strip_keeps(const struct step *step, const char *s, size_t n) {
  size_t from, to;
  strip_ends(step, s, n, &from, &to);
  return from == 0 && to == n;
}

static bool pattern_keeps(const struct step *step, const char *s, size_t n) {
  bool found = true;
  size_t from, to;
  return !n || (!pattern_find(step->pattern, s, n, 0, &found, &from, &to, NULL) && !found);
}

static bool bytes_stay(const char *s, size_t n) {
  size_t at = 0;
  while (at < n && byte_stays((unsigned char)s[at])) at++;
  return at == n;
}

static bool step_keeps(const struct step *step, const char *s, size_t n) {
  switch (step->kind) {
  case STEP_FORM:
    return form_keeps(step->form, s, n);
  case STEP_PREPEND:
    return !n || !step->content_n;
  case STEP_LITERAL:
    return !n || !memmem(s, n, step->find, step->find_n);
  case STEP_PATTERN:
    return pattern_keeps(step, s, n);
  case STEP_STRIP:
    return strip_keeps(step, s, n);
  case STEP_BYTES:
    return bytes_stay(s, n);
  case STEP_CHARSMAP:
    return charsmap_keeps(step->charsmap, s, n);
  default:
    return !any_flagged(s, n, flags_of(step));
  }
}

static int step_run(const struct step *step, struct step_io *io, struct err *err) {
  size_t from, to;
  int rc = 0;
  switch (step->kind) {
  case STEP_FORM:
    rc = form_run(step->form, io, err);
    break;
  case STEP_PREPEND:
    run_prepend(step, io);
    break;
  case STEP_LITERAL:
    run_literal(step, io);
    break;
  case STEP_PATTERN:
    rc = run_pattern(step, io, err);
    break;
  case STEP_STRIP:
    strip_ends(step, io->s, io->n, &from, &to);
    step_keep(io, from, to - from);
    break;
  case STEP_BYTES:
    run_bytes(io);
    break;
  case STEP_CHARSMAP:
    charsmap_run(step->charsmap, io);
    break;
  default:
    run_flagged(step, io);
  }
  return rc ? rc : buf_check(&io->out->text, "the normalized text", err);
}

bool normalizer_keeps(const struct normalizer *z, const char *s, size_t n) {
  for (size_t i = 0; z && i < z->count; i++)
    if (!step_keeps(z->steps + i, s, n)) return false;
  return true;
}

int normalizer_run(const struct normalizer *z, const char *s, size_t n, struct aligned *out,
                   struct err *err) {
  struct aligned other = {0};
  struct aligned *text[2] = {out, &other}; /* written in turn, so that the last one is `out` */
  struct step_io io = {.s = s, .n = n, .out = out};
  size_t count = z ? z->count : 0;
  int rc = 0;
  aligned_reset(out, out->track);
  if (!count) {
    step_keep(&io, 0, n);
    return buf_check(&out->text, "the normalized text", err);
  }
  for (size_t i = 0; i < count && !rc; i++) {
    io.out = text[(count - 1 - i) & 1];
    aligned_reset(io.out, out->track);
    rc = step_run(z->steps + i, &io, err);
    io.s = io.out->text.data ? io.out->text.data : "";
    io.n = io.out->text.len;
    if (out->track) io.start = io.out->start, io.end = io.out->end;
    if (!rc) rc = cancel_check(err);
  }
  aligned_clear(&other);
  return rc;
}

/* ---- loading ---- */

struct loading {
  struct normalizer *z;
  const struct json *j;
  struct buf scratch;
  unsigned depth;
  struct err *err;
};

static int wrong(struct loading *l, const char *type, const char *field, const char *what) {
  return err_set(l->err, ERR_FORMAT, "normalizer %s%s%s: %s", type, *type ? "." : "", field, what);
}

static int add_step(struct loading *l, struct step **out) {
  if (l->z->count == STEPS_MAX)
    return err_set(l->err, ERR_LIMIT, "normalizer: more than %d steps", STEPS_MAX);
  struct step *p = mem_rearray(l->z->steps, l->z->count + 1, sizeof *p);
  if (!p) return err_nomem(l->err, (l->z->count + 1) * sizeof *p, "the normalizer");
  l->z->steps = p;
  *out = p + l->z->count++;
  **out = (struct step){0};
  return 0;
}

static int load_flag(struct loading *l, json_id v, const char *type, const char *name, bool *out) {
  if (!json_bool(l->j, json_get(l->j, v, name), out))
    return wrong(l, type, name, "true or false is expected");
  return 0;
}

/* A string of its own; the caller's step frees it. */
static int load_text(struct loading *l, json_id v, const char *type, const char *name, char **out,
                     size_t *n) {
  const char *s = json_string(l->j, v, &l->scratch, n);
  if (!s) {
    if (l->scratch.failed) return err_nomem(l->err, 0, "the normalizer");
    return wrong(l, type, name, "a string is expected");
  }
  return (*out = mem_dup(s, *n)) ? 0 : err_nomem(l->err, *n, "the normalizer");
}

static int load_form(struct loading *l, enum normal_form form) {
  struct step *step;
  int rc = add_step(l, &step);
  if (!rc) step->form = form;
  return rc;
}

static int load_filter(struct loading *l, uint32_t gone, uint32_t space) {
  struct step *step;
  int rc = add_step(l, &step);
  if (rc) return rc;
  step->kind = STEP_FILTER;
  step->gone = gone;
  step->space = space;
  return 0;
}

static int load_kind(struct loading *l, enum step_kind kind) {
  struct step *step;
  int rc = add_step(l, &step);
  if (!rc) step->kind = kind;
  return rc;
}

static int load_prepend(struct loading *l, json_id v) {
  struct step *step;
  int rc = add_step(l, &step);
  if (rc) return rc;
  step->kind = STEP_PREPEND;
  return load_text(l, json_get(l->j, v, "prepend"), "Prepend", "prepend", &step->content,
                   &step->content_n);
}

static int load_charsmap(struct loading *l, json_id v) {
  struct step *step;
  size_t n;
  int rc = add_step(l, &step);
  if (rc) return rc;
  step->kind = STEP_CHARSMAP;
  rc = load_text(l, json_get(l->j, v, "precompiled_charsmap"), "Precompiled",
                 "precompiled_charsmap", &step->content, &n);
  if (rc) return rc;
  rc = charsmap_load(&step->charsmap, step->content, n, l->err);
  mem_free(step->content);
  step->content = NULL;
  return rc ? err_prefix(l->err, "normalizer Precompiled.precompiled_charsmap") : 0;
}

static int load_strip(struct loading *l, json_id v) {
  struct step *step;
  int rc = add_step(l, &step);
  if (rc) return rc;
  step->kind = STEP_STRIP;
  if ((rc = load_flag(l, v, "Strip", "strip_left", &step->left))) return rc;
  return load_flag(l, v, "Strip", "strip_right", &step->right);
}

/* {"String": …} is searched for as it is; an empty one matches everywhere, so it is a pattern. */
static int load_pattern(struct loading *l, json_id v, struct step *step) {
  json_id string = json_get(l->j, v, "String"), regex = json_get(l->j, v, "Regex");
  bool literal = string != JSON_NONE;
  if (json_count(l->j, v) != 1 || (!literal && regex == JSON_NONE))
    return wrong(l, "Replace", "pattern", "an object with String or with Regex is expected");
  int rc = load_text(l, literal ? string : regex, "Replace", literal ? "String" : "Regex",
                     &step->find, &step->find_n);
  if (rc || (literal && step->find_n)) return rc;
  step->kind = STEP_PATTERN;
  rc = pattern_new(&step->pattern, step->find, step->find_n, l->err);
  if (rc) err_prefix(l->err, "normalizer Replace");
  return rc;
}

static int load_replace(struct loading *l, json_id v) {
  struct step *step;
  int rc = add_step(l, &step);
  if (rc) return rc;
  step->kind = STEP_LITERAL;
  if ((rc = load_pattern(l, json_get(l->j, v, "pattern"), step))) return rc;
  return load_text(l, json_get(l->j, v, "content"), "Replace", "content", &step->content,
                   &step->content_n);
}

static int load_bert(struct loading *l, json_id v) {
  bool clean = false, cjk = false, lower = false, accents;
  json_id strip = json_get(l->j, v, "strip_accents");
  int rc = load_flag(l, v, "BertNormalizer", "clean_text", &clean);
  if (!rc) rc = load_flag(l, v, "BertNormalizer", "handle_chinese_chars", &cjk);
  if (!rc) rc = load_flag(l, v, "BertNormalizer", "lowercase", &lower);
  accents = lower;
  if (!rc && json_kind(l->j, strip) != JSON_NULL)
    rc = load_flag(l, v, "BertNormalizer", "strip_accents", &accents);
  if (!rc && clean) rc = load_filter(l, NORMAL_BERT_GONE, NORMAL_BERT_SPACE);
  if (!rc && cjk) rc = load_kind(l, STEP_CJK);
  if (!rc && accents) rc = load_form(l, FORM_NFD);
  if (!rc && accents) rc = load_filter(l, NORMAL_BERT_ACCENT, 0);
  if (!rc && lower) rc = load_kind(l, STEP_LOWER);
  return rc;
}

static int load_one(struct loading *l, json_id v);

static int load_sequence(struct loading *l, json_id v) {
  json_id list = json_get(l->j, v, "normalizers");
  if (json_kind(l->j, list) != JSON_ARRAY)
    return wrong(l, "Sequence", "normalizers", "an array is expected");
  if (++l->depth > DEPTH_MAX)
    return err_set(l->err, ERR_LIMIT, "normalizer: Sequences nested deeper than %d", DEPTH_MAX);
  struct json_iter it = json_iter(l->j, list);
  int rc = 0;
  while (!rc && json_each(&it)) rc = load_one(l, it.value);
  l->depth--;
  return rc;
}

static int load_one(struct loading *l, json_id v) {
  static const char *const forms[] = {"NFC", "NFD", "NFKC", "NFKD"};
  const struct json *j = l->j;
  json_id type = json_get(j, v, "type");
  size_t n;
  for (int form = 0; form < 4; form++)
    if (json_is(j, type, forms[form])) return load_form(l, (enum normal_form)form);
  if (json_is(j, type, "Sequence")) return load_sequence(l, v);
  if (json_is(j, type, "Prepend")) return load_prepend(l, v);
  if (json_is(j, type, "Replace")) return load_replace(l, v);
  if (json_is(j, type, "Strip")) return load_strip(l, v);
  if (json_is(j, type, "Lowercase")) return load_kind(l, STEP_LOWER);
  if (json_is(j, type, "StripAccents")) return load_filter(l, NORMAL_ACCENT, 0);
  if (json_is(j, type, "Nmt")) return load_filter(l, NORMAL_NMT_GONE, NORMAL_NMT_SPACE);
  if (json_is(j, type, "ByteLevel")) return load_kind(l, STEP_BYTES);
  if (json_is(j, type, "Precompiled")) return load_charsmap(l, v);
  if (json_is(j, type, "BertNormalizer")) return load_bert(l, v);
  const char *s = json_string(j, type, &l->scratch, &n);
  if (!s) return wrong(l, "", "type", "a string is expected");
  return err_set(l->err, ERR_UNSUPPORTED, "normalizer %.*s is not supported", n > 60 ? 60 : (int)n,
                 s);
}

int normalizer_load(struct normalizer **out, const struct json *j, json_id section,
                    struct err *err) {
  struct loading l = {.j = j, .err = err};
  *out = NULL;
  if (json_kind(j, section) == JSON_NULL) return 0;
  if (!(l.z = mem_zero(sizeof *l.z))) return err_nomem(err, sizeof *l.z, "the normalizer");
  int rc = load_one(&l, section);
  buf_clear(&l.scratch);
  if (rc || !l.z->count)
    normalizer_free(l.z);
  else
    *out = l.z;
  return rc;
}

void normalizer_free(struct normalizer *z) {
  if (!z) return;
  for (size_t i = 0; i < z->count; i++) {
    pattern_free(z->steps[i].pattern);
    charsmap_free(z->steps[i].charsmap);
    mem_free(z->steps[i].find);
    mem_free(z->steps[i].content);
  }
  mem_free(z->steps);
  mem_free(z);
}

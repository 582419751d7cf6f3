/* SPDX-License-Identifier: MIT */
/* The file's decoder: token strings → text, a chain of steps that hand tokens on to each other.
 *
 *   ["▁a" "<0xE2>" "<0x82>" "<0xAC>"]  ─Replace ▁→' '─►  [" a" "<0xE2>" "<0x82>" "<0xAC>"]
 *      ─ByteFallback─►  [" a" "€"]  ─Fuse─►  [" a€"]  ─Strip 1 ' '─►  ["a€"]
 *
 * The chain runs in pieces, so that decoding a stream and decoding a whole are the same code. What
 * passes between steps is a token's bytes (decode_put, any number of times) and its end
 * (decode_end); what a step cannot yet know waits in its `held`:
 *
 *   ByteLevel     joins all tokens; the beginning of a character waits
 *   ByteFallback  a run of byte tokens waits for its end, since it is valid or not as a whole
 *   Strip         the characters that may turn out to be the last ones
 *   Replace       a beginning of its string; with a regular expression: the whole token
 *   BPEDecoder    the last token so far, since the last of all loses its suffix
 *   Fuse, Metaspace   nothing
 *
 * So a regular expression after Fuse holds everything back until the end.
 *
 * With `raw` what is not UTF-8 stays as it is. With `inner` the rules for the first token do not
 * apply: what a token gives in the middle of a text.
 */
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "tokenizer/parts.h"

enum kind { BYTE_LEVEL, BYTE_FALLBACK, FUSE, STRIP, REPLACE, METASPACE, SUFFIX, WORDPIECE };
#define STEPS_MAX 16
#define DEPTH_MAX 8
#define CUT_MAX   (1u << 20) /* characters that Strip takes */

struct step {
  enum kind kind;
  struct buf what; /* Replace: string; Strip: character; Metaspace: replacement; suffix; prefix */
  struct buf with; /* Replace: content */
  struct pattern *pattern; /* Replace by regular expression */
  size_t start, stop;      /* Strip */
  bool flag;               /* Metaspace: drop at the first token; WordPiece: clean up */
};

struct decoder {
  struct step steps[STEPS_MAX];
  size_t count;
};

/* ---- loading ---- */

static int load_steps(struct decoder *d, const struct json *j, json_id v, int depth,
                      struct err *err);

static int wrong(const struct json *j, json_id v, const char *what, struct err *err) {
  return err_set(err, ERR_FORMAT, "byte %zu: decoder: %s", json_offset(j, v), what);
}

static int load_string(const struct json *j, json_id object, const char *name, struct buf *out,
                       struct err *err) {
  json_id v = json_get(j, object, name);
  if (json_kind(j, v) != JSON_STRING)
    return err_set(err, ERR_FORMAT, "byte %zu: decoder: \"%s\" must be a string",
                   json_offset(j, object), name);
  json_string_add(j, v, out);
  if (!out->data) buf_add(out, "", 0);
  return buf_check(out, "decoder", err);
}

static bool one_character(const struct buf *b) {
  size_t used;
  return b->len && utf8_decode(b->data, b->len, &used) != UTF8_BAD && used == b->len;
}

static int load_strip(struct step *s, const struct json *j, json_id v, struct err *err) {
  int64_t start = 0, stop = 0;
  int rc = load_string(j, v, "content", &s->what, err);
  if (rc) return rc;
  if (!one_character(&s->what)) return wrong(j, v, "Strip takes one character", err);
  if (!json_int(j, json_get(j, v, "start"), &start) ||
      !json_int(j, json_get(j, v, "stop"), &stop) || start < 0 || stop < 0 || start > CUT_MAX ||
      stop > CUT_MAX)
    return wrong(j, v, "Strip needs \"start\" and \"stop\", numbers of characters", err);
  s->start = (size_t)start;
  s->stop = (size_t)stop;
  return 0;
}

static int load_replace(struct step *s, const struct json *j, json_id v, struct err *err) {
  json_id pattern = json_get(j, v, "pattern");
  json_id string = json_get(j, pattern, "String");
  bool regex = string == JSON_NONE;
  int rc = load_string(j, v, "content", &s->with, err);
  if (!rc) rc = load_string(j, pattern, regex ? "Regex" : "String", &s->what, err);
  if (rc || (!regex && s->what.len)) return rc;
  return pattern_new(&s->pattern, s->what.data, s->what.len, err);
}

/* prepend_scheme, or the add_prefix_space of older files. */
static int load_metaspace(struct step *s, const struct json *j, json_id v, struct err *err) {
  bool prefix = true;
  json_id scheme = json_get(j, v, "prepend_scheme");
  int rc = load_string(j, v, "replacement", &s->what, err);
  if (rc) return rc;
  if (!one_character(&s->what)) return wrong(j, v, "Metaspace replaces by one character", err);
  json_bool(j, json_get(j, v, "add_prefix_space"), &prefix);
  if (json_kind(j, scheme) == JSON_STRING) prefix = !json_is(j, scheme, "never");
  s->flag = prefix;
  return 0;
}

static int load_sequence(struct decoder *d, const struct json *j, json_id v, int depth,
                         struct err *err) {
  json_id list = json_get(j, v, "decoders");
  int rc = 0;
  if (json_kind(j, list) != JSON_ARRAY) return wrong(j, v, "Sequence needs \"decoders\"", err);
  struct json_iter it = json_iter(j, list);
  while (!rc && json_each(&it)) rc = load_steps(d, j, it.value, depth + 1, err);
  return rc;
}

static int load_step(struct step *s, const struct json *j, json_id v, struct err *err) {
  json_id type = json_get(j, v, "type");
  if (json_is(j, type, "ByteLevel")) return s->kind = BYTE_LEVEL, 0;
  if (json_is(j, type, "ByteFallback")) return s->kind = BYTE_FALLBACK, 0;
  if (json_is(j, type, "Fuse")) return s->kind = FUSE, 0;
  if (json_is(j, type, "Strip")) return s->kind = STRIP, load_strip(s, j, v, err);
  if (json_is(j, type, "Replace")) return s->kind = REPLACE, load_replace(s, j, v, err);
  if (json_is(j, type, "Metaspace")) return s->kind = METASPACE, load_metaspace(s, j, v, err);
  if (json_is(j, type, "BPEDecoder"))
    return s->kind = SUFFIX, load_string(j, v, "suffix", &s->what, err);
  if (json_is(j, type, "WordPiece")) {
    s->kind = WORDPIECE;
    json_bool(j, json_get(j, v, "cleanup"), &s->flag);
    return load_string(j, v, "prefix", &s->what, err);
  }
  if (json_kind(j, type) != JSON_STRING) return wrong(j, v, "its \"type\" is missing", err);
  struct buf name;
  buf_init(&name);
  json_string_add(j, type, &name);
  int rc =
      err_set(err, ERR_UNSUPPORTED, "decoder %s is not supported", name.data ? name.data : "?");
  buf_clear(&name);
  return rc;
}

static int load_steps(struct decoder *d, const struct json *j, json_id v, int depth,
                      struct err *err) {
  if (depth > DEPTH_MAX)
    return err_set(err, ERR_LIMIT, "decoder: a Sequence inside too many others");
  if (json_is(j, json_get(j, v, "type"), "Sequence")) return load_sequence(d, j, v, depth, err);
  if (d->count == STEPS_MAX)
    return err_set(err, ERR_LIMIT, "decoder: more than %d steps", STEPS_MAX);
  return load_step(&d->steps[d->count++], j, v, err);
}

int decoder_load(struct decoder **out, const struct json *j, json_id section, struct err *err) {
  *out = NULL;
  if (section == JSON_NONE || json_kind(j, section) == JSON_NULL) return 0;
  struct decoder *d = mem_zero(sizeof *d);
  if (!d) return err_nomem(err, sizeof *d, "decoder");
  int rc = load_steps(d, j, section, 0, err);
  if (rc)
    decoder_free(d);
  else
    *out = d;
  return rc;
}

void decoder_free(struct decoder *d) {
  if (!d) return;
  for (size_t i = 0; i < d->count; i++) {
    buf_clear(&d->steps[i].what);
    buf_clear(&d->steps[i].with);
    pattern_free(d->steps[i].pattern);
  }
  mem_free(d);
}

bool decoder_bytes(const struct decoder *d) {
  return d && d->count && d->steps[0].kind == BYTE_LEVEL;
}

bool decoder_plain(const struct decoder *d) {
  return decoder_bytes(d) && d->count == 1;
}

/* ---- running ---- */

struct decoding {
  const struct decoder *d; /* NULL: tokens are joined with spaces */
  struct buf *out;
  struct err *err;
  int rc;
  bool raw, inner, begun;
  struct stage {
    struct buf held; /* the token at hand, as far as it must be known whole; a part of it */
    struct buf more; /* a run of bytes; the token before this one */
    size_t count;    /* tokens that have ended; Strip: characters it may still take */
    size_t waiting;  /* Strip: characters held at the end */
    bool inside;     /* in a token */
  } stages[STEPS_MAX];
};

static void put(struct decoding *r, size_t i, const char *s, size_t n);
static void end(struct decoding *r, size_t i);

/* A whole token. */
static void give(struct decoding *r, size_t i, const char *s, size_t n) {
  put(r, i, s, n);
  end(r, i);
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

/* What `more` holds, but for its last `wait` bytes, goes on as text. */
static void bytes_flush(struct decoding *r, size_t i, size_t wait) {
  struct buf *b = &r->stages[i].more;
  size_t n = b->len - wait;
  if (!n) return;
  if (r->raw || utf8_check(b->data, n) == n) {
    put(r, i + 1, b->data, n);
  } else {
    struct buf text;
    buf_init(&text);
    utf8_lossy(b->data, n, &text);
    if (!(r->rc = buf_check(&text, "decoded text", r->err))) put(r, i + 1, text.data, text.len);
    buf_clear(&text);
  }
  memmove(b->data, b->data + n, wait);
  b->len = wait;
}

static void bytes_go_on(struct decoding *r, size_t i) {
  struct buf *b = &r->stages[i].more;
  bytes_flush(r, i, r->raw || !b->len ? 0 : unfinished(b->data, b->len));
}

static void byte_level_end(struct decoding *r, size_t i) {
  struct stage *g = &r->stages[i];
  if (buf_reserve(&g->more, g->held.len + 1)) {
    r->rc = err_nomem(r->err, g->held.len, "decoded text");
    return;
  }
  g->more.len += bytes_decode(g->held.data, g->held.len, g->more.data + g->more.len);
  bytes_go_on(r, i);
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "<0x4F>" → 0x4F, else −1. As the reference reads numbers, "+F" is one as well. */
int byte_token(const char *s, size_t n) {
  if (n != 6 || memcmp(s, "<0x", 3) || s[5] != '>') return -1;
  int high = s[3] == '+' ? 0 : hex(s[3]), low = hex(s[4]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static void run_flush(struct decoding *r, size_t i) {
  struct buf *b = &r->stages[i].more;
  size_t n = b->len;
  b->len = 0; /* its bytes stay until the next byte token */
  if (!n) return;
  if (r->raw || utf8_check(b->data, n) == n) {
    give(r, i + 1, b->data, n);
    return;
  }
  while (n--) give(r, i + 1, "\xEF\xBF\xBD", 3);
}

static void byte_fallback_end(struct decoding *r, size_t i) {
  struct stage *g = &r->stages[i];
  int byte = byte_token(g->held.data, g->held.len);
  if (byte >= 0) {
    buf_addc(&g->more, (char)byte);
    return;
  }
  run_flush(r, i);
  give(r, i + 1, g->held.data, g->held.len);
}

static void strip_put(struct decoding *r, size_t i, const char *s, size_t n) {
  const struct step *t = &r->d->steps[i];
  struct stage *g = &r->stages[i];
  const char *c = t->what.data;
  size_t len = t->what.len, tail = 0;
  if (!g->inside) g->inside = true, g->waiting = 0, g->count = r->inner ? 0 : t->start;
  for (; g->count && n; s += len, n -= len, g->count--) {
    if (n >= len && !memcmp(s, c, len)) continue;
    g->count = 0;
    break;
  }
  if (!n) return;
  while ((tail + 1) * len <= n && tail < t->stop && !memcmp(s + n - (tail + 1) * len, c, len))
    tail++;
  if (tail * len == n) { /* nothing else: what waits grows, and what is too much goes on */
    for (g->waiting += tail; g->waiting > t->stop; g->waiting--) put(r, i + 1, c, len);
    return;
  }
  for (; g->waiting; g->waiting--) put(r, i + 1, c, len);
  put(r, i + 1, s, n - tail * len);
  g->waiting = tail;
}

/* Emits s with the step's string replaced; returns how many bytes at the end may begin another. */
static size_t replace_string(struct decoding *r, size_t i, const char *s, size_t n) {
  const struct step *t = &r->d->steps[i];
  const char *what = t->what.data, *at;
  size_t len = t->what.len, keep;
  while (n >= len && (at = memmem(s, n, what, len))) {
    if (at > s) put(r, i + 1, s, (size_t)(at - s));
    if (t->with.len) put(r, i + 1, t->with.data, t->with.len);
    n -= (size_t)(at - s) + len;
    s = at + len;
  }
  for (keep = n < len ? n : len - 1; keep && memcmp(s + n - keep, what, keep); keep--) {
  }
  if (n > keep) put(r, i + 1, s, n - keep);
  return keep;
}

static void replace_put(struct decoding *r, size_t i, const char *s, size_t n) {
  struct buf *held = &r->stages[i].held;
  if (!held->len) {
    size_t keep = replace_string(r, i, s, n);
    buf_add(held, s + n - keep, keep);
    return;
  }
  buf_add(held, s, n);
  if ((r->rc = buf_check(held, "decoded text", r->err))) return;
  size_t keep = replace_string(r, i, held->data, held->len);
  memmove(held->data, held->data + held->len - keep, keep);
  held->len = keep;
}

static void replace_matches(struct decoding *r, size_t i, const char *s, size_t n) {
  const struct step *t = &r->d->steps[i];
  struct matches m = {0};
  size_t done = 0, from, to;
  bool found = false;
  r->rc = matches_begin(&m, t->pattern, s, n, r->err);
  while (!r->rc && !(r->rc = matches_next(&m, &found, &from, &to, r->err)) && found) {
    put(r, i + 1, s + done, from - done);
    put(r, i + 1, t->with.data, t->with.len);
    done = to;
  }
  put(r, i + 1, s + done, n - done);
  matches_clear(&m);
}

static void metaspace_put(struct decoding *r, size_t i, const char *s, size_t n) {
  const struct step *t = &r->d->steps[i];
  size_t len = t->what.len;
  bool drop = t->flag && !r->stages[i].count && !r->inner;
  const char *at;
  while (n >= len && (at = memmem(s, n, t->what.data, len))) {
    if (at > s) put(r, i + 1, s, (size_t)(at - s));
    if (!drop) put(r, i + 1, " ", 1);
    n -= (size_t)(at - s) + len;
    s = at + len;
  }
  if (n) put(r, i + 1, s, n);
}

/* The token in `more`, its suffixes replaced. */
static void suffix_give(struct decoding *r, size_t i, const char *with, size_t n) {
  const struct step *t = &r->d->steps[i];
  const char *s = r->stages[i].more.data, *at;
  size_t left = r->stages[i].more.len, len = t->what.len;
  while (len && left >= len && (at = memmem(s, left, t->what.data, len))) {
    put(r, i + 1, s, (size_t)(at - s));
    put(r, i + 1, with, n);
    left -= (size_t)(at - s) + len;
    s = at + len;
  }
  for (size_t used; !len && n && left; s += used, left -= used) { /* "" stands between characters */
    utf8_decode(s, left, &used);
    put(r, i + 1, with, n);
    put(r, i + 1, s, used);
  }
  put(r, i + 1, left ? s : with, left ? left : len ? 0 : n);
  end(r, i + 1);
}

static void suffix_end(struct decoding *r, size_t i) {
  struct stage *g = &r->stages[i];
  if (g->count) suffix_give(r, i, " ", 1);
  buf_reset(&g->more);
  buf_add(&g->more, g->held.data, g->held.len);
}

/* The clean-up of WordPiece, one rule after the other over the whole token. */
static void clean_up(struct buf *b) {
  static const char *const rules[][2] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
  };
  for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
    size_t len = strlen(rules[k][0]), with = strlen(rules[k][1]), to = 0;
    for (size_t at = 0; at < b->len;) { /* no rule makes the text longer */
      if (b->len - at >= len && !memcmp(b->data + at, rules[k][0], len)) {
        memcpy(b->data + to, rules[k][1], with);
        at += len;
        to += with;
      } else {
        b->data[to++] = b->data[at++];
      }
    }
    b->len = to;
  }
}

static void wordpiece_end(struct decoding *r, size_t i) {
  const struct step *t = &r->d->steps[i];
  struct stage *g = &r->stages[i];
  struct buf *b = &g->more;
  const char *s = g->held.data;
  size_t n = g->held.len;
  buf_reset(b);
  if (g->count || r->inner) {
    bool inside = n >= t->what.len && !memcmp(s, t->what.data, t->what.len);
    if (inside)
      s += t->what.len, n -= t->what.len;
    else
      buf_addc(b, ' ');
  }
  buf_add(b, s, n);
  if (t->flag) clean_up(b);
  give(r, i + 1, b->data, b->len);
}

/* Bytes of a token come to step i. */
static void put(struct decoding *r, size_t i, const char *s, size_t n) {
  if (r->rc || !n) return;
  if (!r->d || i == r->d->count) {
    buf_add(r->out, s, n);
    return;
  }
  const struct step *t = &r->d->steps[i];
  if (t->kind == FUSE)
    put(r, i + 1, s, n);
  else if (t->kind == STRIP)
    strip_put(r, i, s, n);
  else if (t->kind == REPLACE && !t->pattern)
    replace_put(r, i, s, n);
  else if (t->kind == METASPACE)
    metaspace_put(r, i, s, n);
  else
    buf_add(&r->stages[i].held, s, n);
}

/* The token that came to step i is over. */
static void end(struct decoding *r, size_t i) {
  if (r->rc || !r->d || i == r->d->count) return;
  const struct step *t = &r->d->steps[i];
  struct stage *g = &r->stages[i];
  if ((r->rc = buf_check(&g->held, "decoded text", r->err))) return;
  if (!g->held.data) buf_add(&g->held, "", 0);
  switch (t->kind) {
  case BYTE_LEVEL:
    byte_level_end(r, i);
    break;
  case BYTE_FALLBACK:
    byte_fallback_end(r, i);
    break;
  case FUSE:
    return;
  case STRIP:
    g->inside = false;
    break;
  case REPLACE:
    if (t->pattern)
      replace_matches(r, i, g->held.data, g->held.len);
    else
      put(r, i + 1, g->held.data, g->held.len);
    break;
  case METASPACE:
    break;
  case SUFFIX:
    suffix_end(r, i);
    break;
  case WORDPIECE:
    wordpiece_end(r, i);
    break;
  }
  buf_reset(&g->held);
  if (t->kind == STRIP || t->kind == REPLACE || t->kind == METASPACE) end(r, i + 1);
  if (t->kind != STRIP) g->count++;
}

/* No token comes to step i any more. */
static void finish(struct decoding *r, size_t i) {
  for (; r->d && i < r->d->count && !r->rc; i++) {
    struct stage *g = &r->stages[i];
    switch (r->d->steps[i].kind) {
    case BYTE_LEVEL:
      bytes_flush(r, i, 0);
      end(r, i + 1);
      break;
    case FUSE:
      end(r, i + 1);
      break;
    case BYTE_FALLBACK:
      run_flush(r, i);
      break;
    case SUFFIX:
      if (g->count) suffix_give(r, i, " ", r->inner);
      break;
    default:
      break;
    }
  }
}

/* ---- for decode.c ---- */

int decoding_new(struct decoding **out, const struct decoder *d, bool raw, bool inner,
                 struct err *err) {
  struct decoding *r = mem_zero(sizeof *r);
  *out = r;
  if (!r) return err_nomem(err, sizeof *r, "decoding");
  *r = (struct decoding){.d = d, .raw = raw, .inner = inner};
  return 0;
}

void decoding_free(struct decoding *r) {
  if (!r) return;
  for (size_t i = 0; i < STEPS_MAX; i++) {
    buf_clear(&r->stages[i].held);
    buf_clear(&r->stages[i].more);
  }
  mem_free(r);
}

static int decoding_check(struct decoding *r) {
  for (size_t i = 0; r->d && i < r->d->count && !r->rc; i++) {
    r->rc = buf_check(&r->stages[i].held, "decoded text", r->err);
    if (!r->rc) r->rc = buf_check(&r->stages[i].more, "decoded text", r->err);
  }
  return r->rc ? r->rc : buf_check(r->out, "decoded text", r->err);
}

int decoding_add(struct decoding *r, const char *token, size_t n, const char *bytes, size_t bytes_n,
                 struct buf *out, struct err *err) {
  r->out = out;
  r->err = err;
  if (!r->d && r->begun && !r->inner) buf_addc(out, ' ');
  r->begun = true;
  if (decoder_bytes(r->d)) {
    buf_add(&r->stages[0].more, bytes, bytes_n);
    bytes_go_on(r, 0);
  } else {
    give(r, 0, token, n);
  }
  return decoding_check(r);
}

int decoding_end(struct decoding *r, struct buf *out, struct err *err) {
  r->out = out;
  r->err = err;
  if (!r->rc) finish(r, 0);
  int rc = decoding_check(r);
  for (size_t i = 0; i < STEPS_MAX; i++) {
    struct stage *g = &r->stages[i];
    buf_reset(&g->held);
    buf_reset(&g->more);
    g->count = g->waiting = 0;
    g->inside = false;
  }
  r->rc = 0;
  r->begun = false;
  return rc;
}

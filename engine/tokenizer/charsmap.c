/* SPDX-License-Identifier: MIT */
/* The Precompiled normalizer: SentencePiece's table of what becomes what, as the reference reads it.
 *
 *   base64 of:  u32 bytes of the units │ units, u32 each │ strings, each with a zero byte
 *
 * The units are a double array. A state is a base; its child by byte c is the unit at base ^ c:
 *
 *   bits 0–7  c, and bit 31 clear: it is this child      bits 10–30  its position ^ the child's base
 *   bit 8     the child ends a key; the unit at its base holds where the string begins (31 bits)
 *   bit 9     the offset in bits 10–30 counts in 256
 *
 * The reference looks up graphemes shorter than six bytes, takes the shortest key that begins one,
 * and puts its string in for the whole grapheme; a grapheme that is longer or begins with no key is
 * looked up character by character. (SentencePiece itself takes the longest key and knows no
 * graphemes; for its own tables the two nearly always agree.)
 *
 * Graphemes follow Unicode Standard Annex 29 but for its rule 9c, about Indic consonants: no
 * grapheme it makes is shorter than six bytes. Untrusted: every position is checked when it is used.
 */
#include <string.h>

#include "base/mem.h"
#include "tokenizer/normal.h"

struct charsmap {
  uint32_t *units;
  size_t count;
  char *strings; /* a zero byte follows the last */
  size_t n;
  bool begins[256]; /* bytes that begin a key */
};

/* ---- loading ---- */

static int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int base64_decode(const char *s, size_t n, struct buf *out, struct err *err) {
  uint32_t bits = 0;
  if (n % 4) return err_set(err, ERR_FORMAT, "not base64: %zu characters", n);
  if (buf_reserve(out, n / 4 * 3)) return err_nomem(err, n, "a charsmap");
  for (size_t i = 0; i < n; i++) {
    int v = base64_value(s[i]);
    if (v < 0 && !(s[i] == '=' && (i == n - 1 || (i == n - 2 && s[n - 1] == '='))))
      return err_set(err, ERR_FORMAT, "not base64: character %zu", i);
    bits = bits << 6 | (v < 0 ? 0 : (uint32_t)v);
    if (i % 4 < 3) continue;
    size_t bytes = 3 - (s[i] == '=') - (s[i - 1] == '=');
    char three[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
    buf_add(out, three, bytes);
    bits = 0;
  }
  return 0;
}

static uint32_t u32(const char *p) {
  const unsigned char *b = (const unsigned char *)p;
  return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint32_t offset_of(uint32_t unit) {
  return unit >> 10 << ((unit & 1u << 9) >> 6);
}

/* From the state whose base is *at by one byte; false: there is no such child. */
static bool child(const struct charsmap *m, uint32_t *at, unsigned char byte, uint32_t *unit) {
  uint32_t place = *at ^ byte;
  if (place >= m->count) return false;
  *unit = m->units[place];
  if ((*unit & 0x800000FFu) != byte) return false;
  *at = place ^ offset_of(*unit);
  return true;
}

static int fill(struct charsmap *m, const struct buf *raw, struct err *err) {
  size_t bytes = raw->len < 4 ? 0 : u32(raw->data);
  if (raw->len < 4 || bytes % 4 || !bytes || bytes > raw->len - 4)
    return err_set(err, ERR_FORMAT, "the charsmap's table is not inside it");
  m->count = bytes / 4;
  m->n = raw->len - 4 - bytes;
  if (utf8_check(raw->data + 4 + bytes, m->n) != m->n)
    return err_set(err, ERR_FORMAT, "the charsmap's strings are not UTF-8");
  m->units = mem_array(m->count, sizeof *m->units);
  m->strings = mem_dup(raw->data + 4 + bytes, m->n);
  if (!m->units || !m->strings) return err_nomem(err, raw->len, "a charsmap");
  for (size_t i = 0; i < m->count; i++) m->units[i] = u32(raw->data + 4 + i * 4);
  for (unsigned b = 1; b < 256; b++) {
    uint32_t at = offset_of(m->units[0]), unit;
    m->begins[b] = child(m, &at, (unsigned char)b, &unit);
  }
  return 0;
}

int charsmap_load(struct charsmap **out, const char *base64, size_t n, struct err *err) {
  struct buf raw;
  struct charsmap *m = mem_zero(sizeof *m);
  buf_init(&raw);
  *out = NULL;
  if (!m) return err_nomem(err, sizeof *m, "a charsmap");
  int rc = base64_decode(base64, n, &raw, err);
  if (!rc) rc = fill(m, &raw, err);
  buf_clear(&raw);
  if (rc)
    charsmap_free(m);
  else
    *out = m;
  return rc;
}

void charsmap_free(struct charsmap *m) {
  if (!m) return;
  mem_free(m->units);
  mem_free(m->strings);
  mem_free(m);
}

/* ---- graphemes ---- */

enum hangul { HANGUL_NONE, HANGUL_IS_L, HANGUL_IS_V, HANGUL_IS_T, HANGUL_IS_LV, HANGUL_IS_LVT };

static enum hangul hangul_of(uint32_t c) {
  if (c < 0x1100) return HANGUL_NONE;
  if (c < 0x1160 || (c >= 0xA960 && c < 0xA97D)) return HANGUL_IS_L;
  if (c < 0x11A8 || (c >= 0xD7B0 && c < 0xD7C7)) return HANGUL_IS_V;
  if (c < 0x1200 || (c >= 0xD7CB && c < 0xD7FC)) return HANGUL_IS_T;
  if (c - HANGUL_BASE >= HANGUL_COUNT) return HANGUL_NONE;
  return (c - HANGUL_BASE) % 28 ? HANGUL_IS_LVT : HANGUL_IS_LV;
}

static bool hangul_joins(enum hangul a, enum hangul b) {
  if (!a || !b) return false;
  if (a == HANGUL_IS_L) return b != HANGUL_IS_T;
  if (a == HANGUL_IS_LV || a == HANGUL_IS_V) return b == HANGUL_IS_V || b == HANGUL_IS_T;
  return b == HANGUL_IS_T;
}

static bool flag_letter(uint32_t c) {
  return c - 0x1F1E6 < 26;
}

struct walk {
  uint32_t c, record; /* of the last character */
  bool pictograph;    /* one stands before, with nothing but EXTEND since */
  bool odd_flag;      /* the flag letters at the end are odd in number */
};

static void walk_begin(struct walk *w, uint32_t c, uint32_t record) {
  *w = (struct walk){c, record, record & NORMAL_PICTOGRAPH, flag_letter(c)};
}

/* Whether c stays in the grapheme; then it is its last character. */
static bool walk_joins(struct walk *w, uint32_t c, uint32_t record) {
  bool joins;
  if (c == UTF8_BAD || w->c == UTF8_BAD) return false;
  if (w->c == '\r' && c == '\n')
    joins = true;
  else if ((w->record | record) & NORMAL_CONTROL)
    joins = false;
  else
    joins = record & NORMAL_EXTEND || w->record & NORMAL_PREPEND ||
            hangul_joins(hangul_of(w->c), hangul_of(c)) ||
            (w->c == 0x200D && w->pictograph && record & NORMAL_PICTOGRAPH) ||
            (w->odd_flag && flag_letter(c));
  if (!joins) return false;
  w->pictograph =
      record & NORMAL_PICTOGRAPH ||
      (w->pictograph && w->c != 0x200D && record & NORMAL_EXTEND && !(record & NORMAL_SPACING));
  w->odd_flag = flag_letter(c) && !w->odd_flag;
  w->c = c;
  w->record = record;
  return true;
}

static uint32_t character(const char *s, size_t n, size_t *used, uint32_t *record) {
  uint32_t c = utf8_decode(s, n, used);
  if (c == UTF8_BAD) *used = 1;
  *record = c == UTF8_BAD ? 0 : normal_of(c);
  return c;
}

/* The bytes of the grapheme at s; n ≥ 1. */
static size_t grapheme(const char *s, size_t n) {
  const unsigned char *b = (const unsigned char *)s;
  struct walk w;
  size_t used, at;
  uint32_t record;
  if (n == 1 || (b[0] > 0x1F && b[0] < 0x7F && b[1] < 0x80)) return 1;
  uint32_t c = character(s, n, &at, &record);
  for (walk_begin(&w, c, record); at < n; at += used) {
    c = character(s + at, n - at, &used, &record);
    if (!walk_joins(&w, c, record)) break;
  }
  return at;
}

/* ---- looking up ---- */

enum { GRAPHEME_MAX = 6 };

/* The string of the shortest key that s begins with. */
static bool look_up(const struct charsmap *m, const char *s, size_t n, const char **to,
                    size_t *to_n) {
  if (!m->begins[(unsigned char)*s]) return false;
  uint32_t at = offset_of(m->units[0]), unit;
  for (size_t i = 0; i < n && s[i]; i++) {
    if (!child(m, &at, (unsigned char)s[i], &unit)) return false;
    if (!(unit >> 8 & 1)) continue;
    if (at >= m->count) return false;
    size_t from = m->units[at] & 0x7FFFFFFFu;
    if (from > m->n || (m->strings[from] & 0xC0) == 0x80) return false; /* inside a character */
    *to = m->strings + from;
    *to_n = strlen(*to);
    return true;
  }
  return false;
}

bool charsmap_keeps(const struct charsmap *m, const char *s, size_t n) {
  for (size_t at = 0; at < n; at++)
    if (m->begins[(unsigned char)s[at]]) return false;
  return true;
}

/* ---- writing ---- one character late, since what is taken out is counted to the one before */

struct late {
  struct step_io *io;
  size_t at, before; /* the next character read; the one taken last */
  char bytes[4];
  size_t n;
  long takes; /* characters read that it stands for */
};

static size_t length_at(const struct step_io *io, size_t at) {
  size_t used;
  return at >= io->n || utf8_decode(io->s + at, io->n - at, &used) == UTF8_BAD ? at < io->n : used;
}

static void late_write(struct late *l) {
  struct step_io *io = l->io;
  size_t used = length_at(io, l->at);
  if (!l->n) return;
  if (l->takes <= 0)
    step_put(io, l->bytes, l->n, l->before, l->at);
  else if (l->takes == 1 && used == l->n && !memcmp(l->bytes, io->s + l->at, used))
    step_keep(io, l->at, used);
  else
    step_put(io, l->bytes, l->n, l->at, l->at + used);
  for (long k = 0; k < l->takes; k++) {
    l->before = l->at;
    l->at += length_at(io, l->at);
  }
}

static void late_push(struct late *l, const char *bytes, size_t n, long takes) {
  late_write(l);
  memcpy(l->bytes, bytes, n);
  l->n = n;
  l->takes = takes;
}

static size_t count_chars(const char *s, size_t n) {
  struct step_io part = {.s = s, .n = n};
  size_t count = 0;
  for (size_t at = 0; at < n; at += length_at(&part, at)) count++;
  return count;
}

/* `to` in place of `old` characters: one for one; then more, or the last takes the rest. */
static void late_replace(struct late *l, size_t old, const char *to, size_t n) {
  size_t chars = utf8_count(to, n), used, i = 0;
  for (size_t at = 0; at < n; at += used, i++) {
    utf8_decode(to + at, n - at, &used);
    late_push(l, to + at, used, i < old);
  }
  if (chars < old) l->takes += (long)(old - chars);
}

void charsmap_run(const struct charsmap *m, struct step_io *io) {
  struct late l = {.io = io};
  const char *to;
  size_t n;
  for (size_t at = 0; at < io->n;) {
    size_t size = grapheme(io->s + at, io->n - at), end = at + size;
    if (size < GRAPHEME_MAX && look_up(m, io->s + at, size, &to, &n)) {
      late_replace(&l, count_chars(io->s + at, size), to, n);
      at = end;
    }
    for (size_t used; at < end; at += used) {
      used = length_at(io, at);
      if (look_up(m, io->s + at, used, &to, &n))
        late_replace(&l, 1, to, n);
      else
        late_push(&l, io->s + at, used, 1);
    }
  }
  late_write(&l);
}

/* SPDX-License-Identifier: MIT */
/* Mojibake: UTF-8 whose bytes were taken for Windows-1252 or Latin-1 characters and written as UTF-8
 * once more.
 *
 *   "é" = C3 A9 ──read as 1252──► "Ã" "©" ──written──► C3 83 C2 A9         candidate: Ã©
 *
 * A candidate is a letter that stands for a lead byte (Â … ô) with as many signs or letters behind it
 * as that byte asks for, each of which stands for a byte 80–BF, together a valid character that
 * is assigned. Right text has such pairs as well: "MENÜ…" would be one Syriac letter, „Spaß“ one of
 * N'Ko, "perché…”" an ideograph, “AMANHÃ” an Ô. So a candidate is read again only where right text
 * has no business to look like this:
 *
 *   1. two candidates touch (Cyrillic, Greek, CJK, what went wrong twice), not counting ß, or
 *   2. it holds a C1 control character (what Latin-1 has at 80–9F) but U+0085, or
 *   3. its first two characters are ones that no word ends with: â€ âœ ðŸ ï¬ à¤ …, or
 *   4. it begins with Ã or another capital and a sign follows that no text puts behind one (Ã© Å¡ Ä™),
 *      or one that text does (quotes, dashes, dots, superscripts), in the middle of a word: after a
 *      small letter, or before one and not behind a letter; or Â and a sign, not behind a capital;
 *   5. its line has candidates of these sorts and no character above U+007F outside of candidates.
 *
 * What went wrong twice is a candidate made of candidates: clean goes over its own result again. Text about
 * mojibake has a single one in quotes (“Ã©”), and that is left.
 */
#include "base/cancel.h"
#include "base/utf8.h"
#include "text/chars.h"
#include "text/clean_pass.h"

#include <string.h>
#include <utf8proc.h>

/* Windows-1252 at 80–9F; the five that it does not have are C1 controls, as browsers do. */
static const uint16_t windows[32] = {0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
                                     0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
                                     0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                     0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};

/* The byte 80–FF that c was made of; 0 for none. */
static unsigned byte_of(uint32_t c) {
  if (c >= 0x80 && c <= 0xff) return c;
  if (c < 0x152 || c > 0x2122) return 0;
  for (unsigned k = 0; k < 32; k++)
    if (windows[k] == c) return 0x80 + k;
  return 0;
}

bool mojibake_possible(const char *s, size_t n) {
  const char *end = s + n, *at = s;
  while (at < end && (at = memchr(at, 0xc3, (size_t)(end - at)))) {
    at++;
    if (end - at < 3) return false;
    unsigned lead = (unsigned char)at[0], next = (unsigned char)at[1];
    if (lead < 0x82 || lead > 0xb4) continue;
    if (next == 0xc2 || next == 0xc5 || next == 0xc6 || next == 0xcb || next == 0xe2) return true;
  }
  return false;
}

struct candidate {
  size_t size;       /* bytes of the text; 0: none */
  uint32_t c;        /* what it should be */
  unsigned bytes[4]; /* what it was */
  unsigned count;    /* of these */
  bool control;      /* one of its characters is a C1 control but U+0085 */
};

/* May this come out of it? Characters that do not exist, or are for private use, do not. */
static bool possible(const struct candidate *k) {
  uint32_t c = k->c;
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (c < least[k->count] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || c == 0xfffd)
    return false;
  if (c < 0xa0) return k->control; /* a control again: only where this is the work of Latin-1 */
  utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
  return category != UTF8PROC_CATEGORY_CN && category != UTF8PROC_CATEGORY_CO;
}

static struct candidate candidate_at(const char *s, size_t n, size_t at) {
  struct candidate k = {0}, none = {0};
  size_t used;
  if ((unsigned char)s[at] != 0xc3 || at + 1 >= n) return none;
  unsigned lead = 0xc0 + ((unsigned char)s[at + 1] & 0x3f);
  if (lead < 0xc2 || lead > 0xf4) return none;
  unsigned want = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  k.bytes[0] = lead;
  k.count = 1;
  k.size = 2;
  k.c = lead & (want == 2 ? 0x1fu : want == 3 ? 0x0fu : 0x07u);
  while (k.count < want) {
    if (at + k.size >= n || (unsigned char)s[at + k.size] < 0x80) return none;
    uint32_t c = utf8_decode(s + at + k.size, n - at - k.size, &used);
    unsigned byte = c == UTF8_BAD ? 0 : byte_of(c);
    if (byte < 0x80 || byte > 0xbf) return none;
    k.control |= c >= 0x80 && c < 0xa0 && c != 0x85;
    k.c = k.c << 6 | (byte & 0x3f);
    k.bytes[k.count++] = byte;
    k.size += used;
  }
  return possible(&k) ? k : none;
}

static bool small_ascii(const char *s, size_t n, size_t at) {
  return at < n && s[at] >= 'a' && s[at] <= 'z';
}

static uint32_t char_before(const char *s, size_t at, size_t least) {
  size_t used;
  if (at <= least) return 0;
  size_t from = at - 1;
  while (from > least && ((unsigned char)s[from] & 0xc0) == 0x80) from--;
  return utf8_decode(s + from, at - from, &used);
}

/* Signs that right text puts behind a capital letter: quotes, dashes, dots, guillemets, a no-break
 * space, superscripts, ordinals. */
static bool usual_after_capital(unsigned byte) {
  switch (byte) {
  case 0x85:
  case 0x8b:
  case 0x91:
  case 0x92:
  case 0x93:
  case 0x94:
  case 0x95:
  case 0x96:
  case 0x97:
  case 0x99:
  case 0x9b:
  case 0xa0:
  case 0xaa:
  case 0xab:
  case 0xae:
  case 0xb0:
  case 0xb2:
  case 0xb3:
  case 0xb4:
  case 0xb7:
  case 0xb9:
  case 0xba:
  case 0xbb:
    return true;
  default:
    return false;
  }
}

static bool strange_pair(unsigned lead, unsigned second, unsigned third) {
  switch (lead) {
  case 0xe2: /* â: punctuation, arrows, signs */
    return second == 0x80 || second == 0x82 || second == 0x84 || second == 0x86 || second == 0x87 ||
           second == 0x88 || second == 0x89 || second == 0x8c || second == 0x98 || second == 0x99 ||
           second == 0x9a || second == 0x9c || second == 0x9e;
  case 0xe0: /* à: the scripts of India */
    return (second >= 0xa4 && second <= 0xa9) || second == 0xac || second == 0xad ||
           second == 0xae || second == 0xb1 || second == 0xb5;
  case 0xef: /* ï: ligatures, byte order mark, full-width signs */
    return second == 0xac || second == 0xbc || second == 0xbd || (second == 0xbb && third == 0xbf);
  case 0xf0:
    return second == 0x9f || second == 0x9d; /* ð: pictures, mathematical letters */
  default:
    return false;
  }
}

/* Rules 2 to 4 for the candidate at `at` of the line that begins at `start`. */
static bool convincing(const char *s, size_t n, size_t start, size_t at,
                       const struct candidate *k) {
  if (k->control) return true;
  unsigned lead = k->bytes[0], second = k->bytes[1];
  if (k->count > 2) return strange_pair(lead, second, k->bytes[2]);
  if (lead == 0xd7 || lead == 0xdf) return false; /* × and ß are no capitals */
  uint32_t before = char_before(s, at, start);
  bool after_small = before >= 'a' && before <= 'z', letter_before = false;
  if (before && before != UTF8_BAD) letter_before = char_class(before) & CHAR_LETTER;
  if (lead == 0xc2) { /* Â and a sign */
    if (second < 0xa0) return false;
    return after_small || !letter_before || !usual_after_capital(second);
  }
  if (!usual_after_capital(second)) return true;
  if (after_small) return true;
  if (lead == 0xc3 && (!before || before == ' ' || (before >= '0' && before <= '9')) &&
      second == 0x97)
    return true;                                                                 /* 3 Ã— 4 */
  if (lead == 0xc3 && second == 0xa0 && (!before || before == ' ')) return true; /* the word à */
  return small_ascii(s, n, at + k->size) && !letter_before && before != 0x201e && before != 0x201c;
}

/* ---- a line ---- */

struct line {
  size_t from, to;
  bool strange;  /* rules 1–4 hold somewhere */
  bool outsider; /* a character above U+007F is part of no candidate */
};

static bool quote(uint32_t c) {
  return c == '"' || c == '\'' || c == '`' || c == 0xab || c == 0xbb || c == 0x300c ||
         c == 0x300d || (c >= 0x2018 && c <= 0x201f);
}

/* Is [at, end) all that stands between two quotes? Then the text is about it. */
static bool quoted(const char *s, const struct line *line, size_t at, size_t end) {
  size_t used;
  if (end >= line->to || !quote(char_before(s, at, line->from))) return false;
  return quote(utf8_decode(s + end, line->to - end, &used));
}

/* Goes over the candidates of a line, in groups that touch. write: replaces what is to be. */
static void walk(struct pass *p, struct line *line, bool write, size_t *kept) {
  const char *s = p->in;
  size_t at = line->from, used;
  while (at < line->to && !p->rc) {
    if ((unsigned char)s[at] < 0x80) {
      at++;
      continue;
    }
    struct candidate k = candidate_at(s, line->to, at);
    if (!k.size) {
      line->outsider = true;
      (void)utf8_decode(s + at, line->to - at, &used);
      at += used;
      continue;
    }
    size_t end = at, members = 0;
    bool good = false;
    for (struct candidate m = k; m.size; members += m.bytes[0] != 0xdf) {
      good = good || convincing(s, line->to, line->from, end, &m);
      end += m.size;
      m = end < line->to ? candidate_at(s, line->to, end) : (struct candidate){0};
    }
    good = members > 1 || (good && !(end == at + k.size && quoted(s, line, at, end)));
    line->strange = line->strange || good;
    if (!write || !(good || (line->strange && !line->outsider))) {
      at = end;
      continue;
    }
    pass_keep(p, *kept, at);
    while (at < end) {
      char bytes[4];
      k = candidate_at(s, line->to, at);
      buf_add(&p->out, bytes, utf8_encode(k.c, bytes));
      at += k.size;
      p->counts->v[CLEAN_MOJIBAKE]++;
    }
    *kept = at;
  }
}

static size_t line_end(const char *s, size_t n, size_t at) {
  const char *e = memchr(s + at, '\n', n - at);
  return e ? (size_t)(e - s) : n;
}

void mojibake_pass(struct pass *p, const struct clean_options *o) {
  size_t kept = 0, polled = 0;
  (void)o;
  for (size_t at = 0; at < p->n && !p->rc;) {
    size_t end = line_end(p->in, p->n, at);
    struct line line = {.from = at, .to = end};
    if (at - polled > (size_t)1 << 20) {
      p->rc = cancel_check(p->err);
      polled = at;
    }
    if (mojibake_possible(p->in + at, end - at)) {
      walk(p, &line, false, &kept);
      if (line.strange) walk(p, &line, true, &kept);
    }
    at = end + 1;
  }
  pass_keep(p, kept, p->n);
}

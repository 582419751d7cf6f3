/* SPDX-License-Identifier: MIT */
/* Encoding detection and conversion; see encoding.h for the order of the tests.
 *
 * The detector walks each block once. Runs of ASCII are skipped eight bytes at a time; what is not
 * ASCII is counted as a well-formed or a malformed UTF-8 sequence. libuchardet sees nothing until
 * the first malformed sequence (its verdict would not be asked for otherwise), and no more than
 * GUESS_BYTES after it. A sequence cut at a block's end is carried into the next block:
 *
 *   block k  … c3 | a9 …  block k + 1        carry = { c3 }
 *
 * "Plainly Western" means that every byte above 0x7F, read as Windows-1252, is a letter or mark of
 * the Western languages in a place where one stands: statistics over a short text in French or
 * German otherwise often name a Baltic or Turkish sibling of Latin-1.
 */
#include "text/encoding.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#ifdef HAVE_UCHARDET
#include <uchardet.h>
#endif

#define GUESS_BYTES ((size_t)1 << 20)
#define HEAD_BYTES  4096 /* looked at for zero bytes */
#define WESTERN_MAX 4096 /* with more high bytes than this the statistics are trusted */

const char *const encoding_legacy[] = {"BIG5",
                                       "CP949",
                                       "EUC-JP",
                                       "EUC-KR",
                                       "EUC-TW",
                                       "GB18030",
                                       "IBM852",
                                       "IBM855",
                                       "IBM862",
                                       "IBM865",
                                       "IBM866",
                                       "ISO-2022-JP",
                                       "ISO-2022-KR",
                                       "ISO-8859-2",
                                       "ISO-8859-3",
                                       "ISO-8859-4",
                                       "ISO-8859-5",
                                       "ISO-8859-6",
                                       "ISO-8859-7",
                                       "ISO-8859-8",
                                       "ISO-8859-9",
                                       "ISO-8859-10",
                                       "ISO-8859-11",
                                       "ISO-8859-13",
                                       "ISO-8859-15",
                                       "ISO-8859-16",
                                       "JOHAB",
                                       "KOI8-R",
                                       "KOI8-U",
                                       "CP874",
                                       "CP932",
                                       "MAC-CYRILLIC",
                                       "MAC-CENTRALEUROPE",
                                       "SHIFT_JIS",
                                       "TIS-620",
                                       "UHC",
                                       "VISCII",
                                       "WINDOWS-1250",
                                       "WINDOWS-1251",
                                       "WINDOWS-1253",
                                       "WINDOWS-1254",
                                       "WINDOWS-1255",
                                       "WINDOWS-1256",
                                       "WINDOWS-1257",
                                       "WINDOWS-1258",
                                       NULL};

/* Windows-1252, 0x80–0x9F; 0 marks the five bytes without a character. */
static const uint16_t cp1252[32] = {0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                    0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017d, 0,
                                    0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

const char *encoding_how_name(enum encoding_how how) {
  static const char *const names[] = {"bom", "valid", "mostly", "guess", "fallback"};
  return (unsigned)how < sizeof names / sizeof *names ? names[how] : "fallback";
}

/* ---- detection ---- */

struct encoding_detector {
  char head[HEAD_BYTES]; /* the first bytes of the text */
  size_t head_len;
  char carry[8]; /* an unfinished UTF-8 sequence */
  size_t carry_len;
  uint64_t good, bad;   /* multi-byte UTF-8 sequences, well-formed and malformed */
  uint64_t high;        /* bytes above 0x7F */
  uint64_t c1;          /* bytes 0x80 … 0x9F */
  uint64_t odd;         /* high bytes that are not Western text */
  uint64_t pairs;       /* … that come in pairs with a lead byte of Korean syllables */
  uint64_t signs;       /* … or of quotes, arrows and the like */
  uint64_t unpaired;    /* runs of high bytes of odd length */
  uint64_t ukrainian;   /* letters of KOI8-U, in a word, that are lines in KOI8-R */
  size_t run;           /* high bytes just before, for `pairs` */
  unsigned char before; /* the byte before, for `odd` */
  bool escape;          /* ESC $ or ESC (: ISO-2022 */
#ifdef HAVE_UCHARDET
  uchardet_t guess;
  size_t guessed;
#endif
};

int encoding_detector_new(struct encoding_detector **out, struct err *err) {
  struct encoding_detector *d = mem_zero(sizeof *d);
  *out = d;
  return d ? 0 : err_nomem(err, sizeof *d, "encoding detection");
}

void encoding_detector_free(struct encoding_detector *d) {
  if (!d) return;
#ifdef HAVE_UCHARDET
  if (d->guess) uchardet_delete(d->guess);
#endif
  mem_free(d);
}

static bool ascii_letter(unsigned char c) {
  return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* Letters of French, German, Spanish, Portuguese, Italian, Dutch and the Nordic languages. */
static bool western_letter(unsigned char c) {
  return c == 0x8c || c == 0x9c || c == 0x9f ||
         (c >= 0xc0 && c != 0xd0 && c != 0xd7 && c != 0xdd && c != 0xde && c != 0xf0 && c != 0xf7 &&
          c != 0xfd && c != 0xfe);
}

/* Quotes, dashes, «», ¡¿, §, °, ·, €, £, ª º, no-break space, ©, ®, ´. */
static bool western_mark(unsigned char c) {
  return c && strchr("\x80\x82\x84\x85\x91\x92\x93\x94\x95\x96\x97\xa0\xa1\xa3\xa7\xa9\xaa\xab\xad"
                     "\xae\xb0\xb4\xb7\xba\xbb\xbf",
                     c);
}

static bool western_here(unsigned char before, unsigned char c, unsigned char after) {
  if (western_letter(c)) {
    /* a small letter is followed by a capital, or two accents in a row: not how words look */
    if (before >= 0x80 && western_letter(before) && western_letter(after)) return false;
    if (c >= 0xe0 && after >= 'A' && after <= 'Z') return false;
    return ascii_letter(before) || ascii_letter(after) || (before < 0x80 && after < 0x80);
  }
  if (!western_mark(c)) return false;
  /* signs that stand between words, not inside one */
  bool inside = ascii_letter(before) && ascii_letter(after);
  return !inside || c == 0x92 || c == 0xb7 || c == 0xad || c == 0xb4;
}

/* є і ї ґ and their capitals in KOI8-U. */
static bool is_ukrainian(unsigned char c) {
  return c && strchr("\xa4\xa6\xa7\xad\xb4\xb6\xb7\xbd", c);
}

static void count_high(struct encoding_detector *d, const unsigned char *s, size_t n) {
  unsigned char before = d->before;
  for (size_t i = 0; i < n; before = s[i++]) {
    uint64_t word;
    while (n - i > 8 && (memcpy(&word, s + i, 8), !(word & 0x8080808080808080u))) i += 8;
    if (i) before = s[i - 1];
    if (s[i] < 0x80) {
      d->unpaired += d->run & 1;
      d->run = 0;
      continue;
    }
    if (i && before < 0x80) d->unpaired += d->run & 1, d->run = 0;
    bool lead = !(d->run++ & 1);
    d->pairs += lead && s[i] >= 0xb0 && s[i] <= 0xc8;
    d->signs += lead && s[i] >= 0xa1 && s[i] <= 0xa3;
    d->ukrainian += is_ukrainian(s[i]) && before >= 0xc0;
    d->high++;
    d->c1 += s[i] < 0xa0;
    d->odd += !western_here(before, s[i], i + 1 < n ? s[i + 1] : ' ');
  }
  d->before = before;
}

#ifdef HAVE_UCHARDET
static int feed_guess(struct encoding_detector *d, const char *s, size_t n, struct err *err) {
  size_t from = 0;
  if (!d->guess) {
    if (!(d->guess = uchardet_new())) return err_nomem(err, 0, "encoding detection");
    /* begin where no two-byte character can be cut */
    if (d->head_len == HEAD_BYTES)
      while (from < n && (unsigned char)s[from] >= 0x30) from++;
  }
  size_t room = GUESS_BYTES - d->guessed, take = n - from < room ? n - from : room;
  if (take && uchardet_handle_data(d->guess, s + from, take) != 0)
    return err_nomem(err, 0, "encoding detection");
  d->guessed += take;
  return 0;
}
#endif

/* Counts the UTF-8 sequences of s; returns how many bytes at its end wait for more. */
static size_t count_sequences(struct encoding_detector *d, const char *s, size_t n) {
  size_t i = 0, used;
  while (i < n) {
    size_t ok = utf8_check(s + i, n - i);
    for (size_t k = i; k < i + ok; k++) d->good += (unsigned char)s[k] >= 0xc0;
    i += ok;
    if (i >= n) break;
    if (utf8_decode(s + i, n - i, &used) != UTF8_BAD) continue;
    if (i + used == n && used < 4 && (unsigned char)s[i] >= 0xc2) return used; /* cut */
    d->bad++;
    i += used;
  }
  return 0;
}

int encoding_detector_feed(struct encoding_detector *d, const char *s, size_t n, struct err *err) {
  if (!n) return 0;
  size_t head = HEAD_BYTES - d->head_len < n ? HEAD_BYTES - d->head_len : n;
  for (const char *e = s; (e = memchr(e, 0x1b, n - (size_t)(e - s))); e++)
    if (e + 1 < s + n && (e[1] == '$' || e[1] == '(')) d->escape = true;
  count_high(d, (const unsigned char *)s, n);
  /* finish the sequence that the block before left open */
  size_t skip = 0;
  if (d->carry_len) {
    char joined[8];
    size_t take = n < 3 ? n : 3, used;
    memcpy(joined, d->carry, d->carry_len);
    memcpy(joined + d->carry_len, s, take);
    size_t all = d->carry_len + take;
    bool fine = utf8_decode(joined, all, &used) != UTF8_BAD;
    if (!fine && used == all && all < 4) { /* still open: the block is tiny */
      memcpy(d->carry, joined, all);
      d->carry_len = all;
      skip = n;
    } else {
      *(fine ? &d->good : &d->bad) += 1;
      skip = used > d->carry_len ? used - d->carry_len : 0;
      d->carry_len = 0;
    }
  }
  if (skip < n) {
    d->carry_len = count_sequences(d, s + skip, n - skip);
    memcpy(d->carry, s + n - d->carry_len, d->carry_len);
  }
#ifdef HAVE_UCHARDET
  if ((d->bad || d->escape) && d->guessed < GUESS_BYTES) {
    int rc = feed_guess(d, s, n, err);
    if (rc) return rc;
  }
#else
  (void)err;
#endif
  memcpy(d->head + d->head_len, s, head);
  d->head_len += head;
  return 0;
}

static void set(struct encoding *out, const char *name, enum encoding_how how, double confidence,
                size_t bom) {
  memset(out, 0, sizeof *out);
  size_t n = strlen(name);
  if (n >= sizeof out->name) n = sizeof out->name - 1;
  memcpy(out->name, name, n);
  out->how = how;
  out->confidence = confidence;
  out->bom = bom;
}

static bool by_mark(const unsigned char *s, size_t n, struct encoding *out) {
  static const struct {
    const char *name;
    unsigned char mark[4];
    size_t len;
  } marks[] = {{"UTF-32LE", {0xff, 0xfe, 0, 0}, 4},
               {"UTF-32BE", {0, 0, 0xfe, 0xff}, 4},
               {"UTF-8", {0xef, 0xbb, 0xbf}, 3},
               {"UTF-16LE", {0xff, 0xfe}, 2},
               {"UTF-16BE", {0xfe, 0xff}, 2}};
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
    if (n >= marks[i].len && !memcmp(s, marks[i].mark, marks[i].len)) {
      set(out, marks[i].name, ENCODING_BOM, 1.0, marks[i].len);
      return true;
    }
  return false;
}

/* Text in UTF-16 without a mark: a third or more of one half is zero, hardly any of the other. */
static bool by_zeros(const unsigned char *s, size_t n, struct encoding *out) {
  size_t even = 0, odd = 0;
  n &= ~(size_t)1;
  if (n < 4) return false;
  for (size_t i = 0; i < n; i += 2) even += !s[i], odd += !s[i + 1];
  size_t pairs = n / 2;
  if (odd * 3 >= pairs && even * 50 <= pairs) {
    set(out, "UTF-16LE", ENCODING_VALID, 0.95, 0);
    return true;
  }
  if (even * 3 >= pairs && odd * 50 <= pairs) {
    set(out, "UTF-16BE", ENCODING_VALID, 0.95, 0);
    return true;
  }
  return false;
}

static uint32_t unit(const unsigned char *s, size_t size, bool big) {
  uint32_t c = 0;
  for (size_t k = 0; k < size; k++) c = c << 8 | s[big ? k : size - 1 - k];
  return c;
}

/* Text in UTF-16 or UTF-32 without a mark whose letters are not Latin: every unit has a meaning, at
 * least one in sixty is a space or a line end, none is a control character, and nearly all letters
 * are of one script. Text in an encoding
 * of bytes has no zero bytes, which the spaces here have. */
static bool by_spaces(const unsigned char *s, size_t n, size_t size, bool big) {
  size_t units = n / size, spaces = 0, rows[256] = {0}, asian = 0, best = 0;
  if (units < 8) return false;
  for (size_t i = 0; i + size <= n; i += size) {
    uint32_t c = unit(s + i, size, big);
    bool blank = c == ' ' || c == '\n' || c == '\r' || c == '\t';
    bool last = i + 2 * size > n; /* a pair of surrogates may be cut */
    if (!blank && (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xfffe || c == 0xffff)) return false;
    if (size == 4 && (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))) return false;
    if (size == 2 && c >= 0xdc00 && c < 0xe000) return false;
    if (size == 2 && c >= 0xd800 && c < 0xdc00 && !last) {
      uint32_t low = unit(s + (i += size), size, big);
      if (low < 0xdc00 || low >= 0xe000) return false;
    }
    spaces += blank;
    asian += (c >= 0x3000 && c < 0xa000) || (c >= 0xac00 && c < 0xd7b0) || c >= 0xff00;
    if (c < 0x10000) rows[c >> 8]++;
  }
  for (size_t i = 1; i < 256; i++) best = rows[i] > best ? rows[i] : best;
  bool one_script = (best + rows[0]) * 10 >= units * 9 || (asian + rows[0]) * 10 >= units * 9;
  return spaces > 0 && spaces * 60 >= units && one_script;
}

static bool by_units(const unsigned char *s, size_t n, struct encoding *out) {
  static const struct {
    const char *name;
    size_t size;
    bool big;
  } kinds[] = {
      {"UTF-32LE", 4, false}, {"UTF-32BE", 4, true}, {"UTF-16LE", 2, false}, {"UTF-16BE", 2, true}};
  if (!memchr(s, 0, n)) return false;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (n % kinds[i].size == 0 || n == HEAD_BYTES)
      if (by_spaces(s, n, kinds[i].size, kinds[i].big)) {
        set(out, kinds[i].name, ENCODING_VALID, 0.9, 0);
        return true;
      }
  return false;
}

static const char *latin1_name(const struct encoding_detector *d) {
  return d->c1 ? "WINDOWS-1252" : "ISO-8859-1";
}

/* Every high byte but one in fifty is Western, and they are a small share of all letters. */
static bool western(const struct encoding_detector *d) {
  return d->odd * 50 <= d->high;
}

#ifdef HAVE_UCHARDET
static bool latin_family(const char *name) {
  static const char *const names[] = {
      "ISO-8859-1",   "ISO-8859-2",   "ISO-8859-3",       "ISO-8859-4",   "ISO-8859-9",
      "ISO-8859-10",  "ISO-8859-13",  "ISO-8859-15",      "ISO-8859-16",  "WINDOWS-1250",
      "WINDOWS-1252", "WINDOWS-1254", "WINDOWS-1257",     "WINDOWS-1258", "IBM852",
      "IBM865",       "VISCII",       "MAC-CENTRALEUROPE"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcasecmp(name, names[i])) return true;
  return false;
}

static bool iconv_knows(const char *name) {
  iconv_t c = iconv_open("UTF-8", name);
  if (c == (iconv_t)-1) return false;
  iconv_close(c);
  return true;
}

/* Short Korean texts among much ASCII: pairs of bytes, led as syllables are. */
static bool is_korean(const struct encoding_detector *d) {
  return d->high >= 8 && !d->unpaired && !(d->run & 1) && d->pairs >= 2 &&
         (d->pairs + d->signs) * 20 >= d->high * 9;
}

static bool by_guess(struct encoding_detector *d, struct encoding *out) {
  if (!d->guess) return false;
  uchardet_data_end(d->guess);
  const char *name = uchardet_get_charset(d->guess);
  if (!name || !*name || !strcasecmp(name, "ASCII")) return false;
  if (!strncasecmp(name, "UTF-8", 5)) {
    set(out, "UTF-8", ENCODING_MOSTLY, 0.6, 0);
    return true;
  }
  if ((!strcasecmp(name, "ISO-8859-1") || !strcasecmp(name, "WINDOWS-1252")) && !is_korean(d)) {
    set(out, latin1_name(d), ENCODING_GUESS, 0.8, 0);
    return true;
  }
  if (latin_family(name) && is_korean(d)) return set(out, "EUC-KR", ENCODING_GUESS, 0.7, 0), true;
  if (latin_family(name) && d->high < WESTERN_MAX && western(d)) return false;
  if (!strcasecmp(name, "KOI8-R") && d->ukrainian > 0) name = "KOI8-U";
  if (!iconv_knows(name)) return false;
  set(out, name, ENCODING_GUESS, 0.7, 0);
  return true;
}
#endif

int encoding_detector_finish(struct encoding_detector *d, struct encoding *out, struct err *err) {
  (void)err;
  const unsigned char *head = (const unsigned char *)d->head;
  if (d->carry_len) d->bad++, d->carry_len = 0;
  if (by_mark(head, d->head_len, out) || by_zeros(head, d->head_len, out) ||
      by_units(head, d->head_len, out))
    return 0;
  if (!d->bad && !d->escape) return set(out, "UTF-8", ENCODING_VALID, d->good ? 0.99 : 1.0, 0), 0;
  if (d->good && d->good >= 4 * d->bad) return set(out, "UTF-8", ENCODING_MOSTLY, 0.9, 0), 0;
#ifdef HAVE_UCHARDET
  if (by_guess(d, out)) return 0;
#endif
  if (!d->bad) return set(out, "UTF-8", ENCODING_VALID, 1.0, 0), 0;
  bool plain = western(d);
  set(out, latin1_name(d), plain ? ENCODING_GUESS : ENCODING_FALLBACK, plain ? 0.8 : 0.3, 0);
  return 0;
}

int encoding_detect(const char *s, size_t n, struct encoding *out, struct err *err) {
  struct encoding_detector *d;
  int rc = encoding_detector_new(&d, err);
  if (!rc) rc = encoding_detector_feed(d, s, n, err);
  if (!rc) rc = encoding_detector_finish(d, out, err);
  encoding_detector_free(d);
  return rc;
}

/* ---- conversion ---- */

enum kind { KIND_UTF8, KIND_UTF16, KIND_UTF32, KIND_LATIN1, KIND_CP1252, KIND_ICONV };

struct encoding_decoder {
  enum kind kind;
  bool big;     /* UTF-16, UTF-32: big-endian */
  bool started; /* something of this text was decoded: a mark is no longer a mark */
  iconv_t cd;
  char carry[16]; /* the start of a character that the last block cut */
  size_t carry_len;
  size_t replaced;
};

static bool named(const char *name, const char *const *list) {
  for (; *list; list++)
    if (!strcasecmp(name, *list)) return true;
  return false;
}

static enum kind kind_of(const char *name, bool *big) {
  static const char *const utf8[] = {"UTF-8", "UTF8", "ASCII", "US-ASCII", NULL};
  static const char *const utf16[] = {"UTF-16LE", "UTF-16BE", "UTF-16", NULL};
  static const char *const utf32[] = {"UTF-32LE", "UTF-32BE", "UTF-32", NULL};
  static const char *const latin1[] = {"ISO-8859-1", "LATIN1", "ISO8859-1", NULL};
  static const char *const windows[] = {"WINDOWS-1252", "CP1252", NULL};
  *big = !strcasecmp(name, "UTF-16BE") || !strcasecmp(name, "UTF-32BE");
  if (named(name, utf8)) return KIND_UTF8;
  if (named(name, utf16)) return KIND_UTF16;
  if (named(name, utf32)) return KIND_UTF32;
  if (named(name, latin1)) return KIND_LATIN1;
  if (named(name, windows)) return KIND_CP1252;
  return KIND_ICONV;
}

/* What texts under these names are really written in: the supersets that Windows made of them. In
 * them a backslash is a backslash, where the standards have a yen sign. */
static const char *as_written(const char *name) {
  static const char *const pairs[][2] = {
      {"SHIFT_JIS", "CP932"},   {"SHIFT-JIS", "CP932"}, {"SJIS", "CP932"},
      {"X-SJIS", "CP932"},      {"EUC-KR", "CP949"},    {"KS_C_5601-1987", "CP949"},
      {"GB2312", "GB18030"},    {"GBK", "GB18030"},     {"ISO-8859-9", "CP1254"},
      {"ISO-8859-11", "CP874"}, {"TIS-620", "CP874"}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    if (!strcasecmp(name, pairs[i][0])) return pairs[i][1];
  return name;
}

int encoding_decoder_new(struct encoding_decoder **out, const char *name, struct err *err) {
  struct encoding_decoder *d = mem_zero(sizeof *d);
  *out = d;
  if (!d) return err_nomem(err, sizeof *d, "a decoder");
  d->kind = kind_of(name, &d->big);
  if (d->kind != KIND_ICONV) return 0;
  d->cd = iconv_open("UTF-8", as_written(name));
  if (d->cd == (iconv_t)-1) d->cd = iconv_open("UTF-8", name);
  if (d->cd != (iconv_t)-1) return 0;
  mem_free(d);
  *out = NULL;
  return err_set(err, ERR_UNSUPPORTED, "the encoding '%s' is not known to iconv", name);
}

void encoding_decoder_free(struct encoding_decoder *d) {
  if (!d) return;
  if (d->kind == KIND_ICONV) iconv_close(d->cd);
  mem_free(d);
}

size_t encoding_decoder_replaced(const struct encoding_decoder *d) {
  return d->replaced;
}

static void put(struct encoding_decoder *d, uint32_t c, struct buf *out) {
  char bytes[4];
  bool scalar = c < 0xd800 || (c > 0xdfff && c <= 0x10ffff);
  if (c == 0xfeff && !d->started) {
    d->started = true;
    return;
  }
  d->started = true;
  d->replaced += !scalar;
  buf_add(out, bytes, utf8_encode(scalar ? c : 0xfffd, bytes));
}

/* Each of these returns how many bytes it has used up; the rest (a cut character) is carried. */

static size_t decode_utf8(struct encoding_decoder *d, const char *s, size_t n, bool final,
                          struct buf *out) {
  size_t from = 0, end = n, used;
  if (!final)
    for (size_t back = 1; back <= 3 && back <= n; back++) {
      unsigned char c = (unsigned char)s[n - back];
      if (c < 0x80) break;
      if (c < 0xc0) continue;
      if (utf8_decode(s + n - back, back, &used) == UTF8_BAD && used == back) end = n - back;
      break;
    }
  if (!d->started && !final && n < 3) return 0;
  if (!d->started && end >= 3 && !memcmp(s, "\xef\xbb\xbf", 3)) from = 3;
  if (end > from) d->started = true;
  d->replaced += utf8_lossy(s + from, end - from, out);
  return end;
}

static uint32_t unit16(const struct encoding_decoder *d, const char *s) {
  const unsigned char *u = (const unsigned char *)s;
  return d->big ? (uint32_t)u[0] << 8 | u[1] : (uint32_t)u[1] << 8 | u[0];
}

static size_t decode_utf16(struct encoding_decoder *d, const char *s, size_t n, bool final,
                           struct buf *out) {
  size_t i = 0;
  while (n - i >= 2) {
    uint32_t c = unit16(d, s + i);
    if (c >= 0xd800 && c < 0xdc00) {
      if (n - i < 4 && !final) return i;
      uint32_t low = n - i >= 4 ? unit16(d, s + i + 2) : 0;
      if (low >= 0xdc00 && low < 0xe000) {
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        i += 2;
      }
    }
    put(d, c, out);
    i += 2;
  }
  return i;
}

static size_t decode_utf32(struct encoding_decoder *d, const char *s, size_t n, struct buf *out) {
  size_t i = 0;
  for (; n - i >= 4; i += 4) {
    uint32_t a = unit16(d, s + i), b = unit16(d, s + i + 2);
    put(d, d->big ? a << 16 | b : b << 16 | a, out);
  }
  return i;
}

static size_t decode_byte(struct encoding_decoder *d, const char *s, size_t n, struct buf *out) {
  size_t i = 0;
  d->started = true;
  while (i < n) {
    size_t run = i;
    while (run < n && (unsigned char)s[run] < 0x80) run++;
    buf_add(out, s + i, run - i);
    for (i = run; i < n && (unsigned char)s[i] >= 0x80; i++) {
      uint32_t c = (unsigned char)s[i];
      if (d->kind == KIND_CP1252 && c < 0xa0) c = cp1252[c - 0x80] ? cp1252[c - 0x80] : UTF8_BAD;
      put(d, c, out);
    }
  }
  return i;
}

static int decode_iconv(struct encoding_decoder *d, const char *s, size_t n, bool final,
                        struct buf *out, size_t *used, struct err *err) {
  char *in = (char *)(uintptr_t)s;
  size_t left = n;
  d->started = true;
  for (;;) {
    char bytes[4096], *to = bytes;
    size_t room = sizeof bytes;
    /* with nothing left, one call that gives out what the converter holds back */
    bool flush = left == 0 && final;
    size_t rc = left ? iconv(d->cd, &in, &left, &to, &room)
                     : (flush ? iconv(d->cd, NULL, NULL, &to, &room) : 0);
    int why = rc == (size_t)-1 ? errno : 0;
    buf_add(out, bytes, sizeof bytes - room);
    if (!why && !left && (flush || !final)) break;
    if (!why || why == E2BIG) continue;
    if (why != EILSEQ && why != EINVAL) return err_errno(err, "iconv");
    if (why == EINVAL && !final) break; /* cut: wait for the next block */
    if (!left) break;
    d->replaced++;
    buf_adds(out, "\xef\xbf\xbd");
    in++, left--;
  }
  *used = n - left;
  return 0;
}

static int decode(struct encoding_decoder *d, const char *s, size_t n, bool final, struct buf *out,
                  size_t *used, struct err *err) {
  switch (d->kind) {
  case KIND_UTF8:
    *used = decode_utf8(d, s, n, final, out);
    return 0;
  case KIND_UTF16:
    *used = decode_utf16(d, s, n, final, out);
    return 0;
  case KIND_UTF32:
    *used = decode_utf32(d, s, n, out);
    return 0;
  case KIND_LATIN1:
  case KIND_CP1252:
    *used = decode_byte(d, s, n, out);
    return 0;
  case KIND_ICONV:
    break;
  }
  return decode_iconv(d, s, n, final, out, used, err);
}

int encoding_decoder_feed(struct encoding_decoder *d, const char *s, size_t n, bool final,
                          struct buf *out, struct err *err) {
  size_t used = 0;
  int rc = 0;
  /* a carried start of a character is finished from a small joined piece, byte by byte */
  while (d->carry_len && n && !rc) {
    d->carry[d->carry_len++] = *s++, n--;
    rc = decode(d, d->carry, d->carry_len, final && !n, out, &used, err);
    memmove(d->carry, d->carry + used, d->carry_len - used);
    d->carry_len -= used;
    if (d->carry_len == sizeof d->carry) { /* no character is that long */
      d->replaced++;
      buf_adds(out, "\xef\xbf\xbd");
      d->carry_len = 0;
    }
  }
  if (!rc && (n || final) && !d->carry_len) {
    rc = decode(d, s, n, final, out, &used, err);
    if (!rc && n - used <= sizeof d->carry - 1) {
      memcpy(d->carry, s + used, n - used);
      d->carry_len = n - used;
    }
  }
  if (rc || !final) return rc ? rc : buf_check(out, "decoded text", err);
  if (d->carry_len) {
    if ((rc = decode(d, d->carry, d->carry_len, true, out, &used, err))) return rc;
    if (used < d->carry_len) d->replaced++, buf_adds(out, "\xef\xbf\xbd");
  }
  d->carry_len = 0;
  d->started = false;
  if (d->kind == KIND_ICONV) iconv(d->cd, NULL, NULL, NULL, NULL);
  return buf_check(out, "decoded text", err);
}

int encoding_to_utf8(const char *s, size_t n, const char *name, struct buf *out, size_t *replaced,
                     struct err *err) {
  struct encoding_decoder *d;
  int rc = encoding_decoder_new(&d, name, err);
  if (rc) return rc;
  rc = encoding_decoder_feed(d, s, n, true, out, err);
  if (replaced) *replaced = d->replaced;
  encoding_decoder_free(d);
  return rc;
}

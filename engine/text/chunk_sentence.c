/* SPDX-License-Identifier: MIT */
/* Where sentences end, in many languages, without a model.
 *
 * A sentence ends at . ! ? … and their kin of other scripts, with closing quotes and brackets behind
 * them, where white space follows; in Chinese and Japanese (。！？) where anything follows. A full
 * stop is none
 *
 *   in 3.14, example.org     no white space follows
 *   in e.g. this             a small letter follows
 *   in Dr. Smith             behind an abbreviation of the list
 *   in J. R. Smith, z. B.    behind a single letter
 *   in 1. First, 3. Mai      behind a number of one or two digits: at the beginning of a sentence, and
 *                            anywhere in languages that write ordinals so, when the language is given
 *
 * A blank line always ends one; so does the end of a line before a bullet or a number of a list.
 * Limits: a sentence that ends in an abbreviation ("… and Co. Then") goes on to the next one, and an
 * abbreviation that is not known ends one if a capital follows.
 */
#include "base/utf8.h"
#include "text/chunk_parts.h"

#include <string.h>
#include <strings.h>

enum { PARAGRAPH, SENTENCE, CLAUSE };

/* Before a full stop, without it; compared without case. Titles and the like, behind which a
 * sentence hardly ever ends. */
static const char *const abbreviations[] = {
    "mr",   "mrs",  "ms",    "dr",   "prof", "st",     "sr",   "jr",   "vs",   "etc",  "inc",
    "ltd",  "co",   "corp",  "fig",  "figs", "eq",     "eqs",  "sec",  "ch",   "vol",  "nos",
    "pp",   "ed",   "eds",   "al",   "cf",   "approx", "dept", "gen",  "col",  "sgt",  "capt",
    "lt",   "rev",  "hon",   "gov",  "sen",  "rep",    "jan",  "feb",  "mar",  "apr",  "jun",
    "jul",  "aug",  "sep",   "sept", "oct",  "nov",    "dec",  "mt",   "ave",  "blvd", "i.e",
    "e.g",  "viz",  "resp",  "ref",  "refs", "tab",    "bzw",  "usw",  "ca",   "evtl", "ggf",
    "inkl", "exkl", "nr",    "str",  "hr",   "fr",     "abb",  "bd",   "s.o",  "s.u",  "vgl",
    "zzgl", "sog",  "dipl",  "ing",  "hrsg", "mio",    "mrd",  "tel",  "mme",  "mlle", "av",
    "env",  "p.ex", "art",   "chap", "sra",  "srta",   "ud",   "uds",  "pág",  "págs", "núm",
    "ej",   "dra",  "ee.uu", "sig",  "sigg", "dott",   "ecc",  "pag",  "pagg", "bijv", "enz",
    "blz",  "mevr", "dhr",   "drs",  "o.a",  "d.w.z",  "exmo", "exma", "т.е",  "т.д",  "т.п",
    "др",   "г",    "гг",    "ул",   "стр",  "рис",    "табл", "см",   "им",   "тыс",  "млн",
    "млрд", "руб",  "np",    "tzn",  "itd",  "itp",    "ul",   "godz", "tj",   "tzv",  "např",
    "atd",  "popř", "bl.a",  "t.ex", "dvs",  "osv"};

static bool is_abbreviation(const char *word, size_t n) {
  for (size_t i = 0; i < sizeof abbreviations / sizeof *abbreviations; i++)
    if (strlen(abbreviations[i]) == n && !strncasecmp(abbreviations[i], word, n)) return true;
  return false;
}

struct scan {
  const char *s;
  size_t to;
  bool ordinals; /* the language writes "3." for "third" */
};

static uint32_t peek(const struct scan *x, size_t at, size_t *used) {
  *used = 0;
  return at < x->to ? utf8_decode(x->s + at, x->to - at, used) : 0;
}

static bool is_closer(uint32_t c) {
  return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == '*' || c == '_' ||
         c == 0xbb || c == 0xab || c == 0x2019 || c == 0x201d || c == 0x201c || c == 0x203a ||
         c == 0x300d || c == 0x300f || c == 0xff09 || c == 0x3011 || c == 0x3009 || c == 0x300b ||
         c == 0xff02;
}

/* Ends a sentence when white space follows. */
static bool is_terminal(uint32_t c) {
  return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x203c ||
         (c >= 0x2047 && c <= 0x2049) || c == 0x61f || c == 0x6d4 || c == 0x589 || c == 0x964 ||
         c == 0x965 || c == 0x1362 || c == 0x1367 || c == 0x104a || c == 0x104b || c == 0x17d4 ||
         c == 0x17d5 || c == 0x203d;
}

/* Ends one whatever follows. */
static bool is_full(uint32_t c) {
  return c == 0x3002 || c == 0xff01 || c == 0xff1f || c == 0xff61 || c == 0xff0e;
}

static bool is_small(uint32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 0xdf && c <= 0xff && c != 0xf7) ||
         (c >= 0x430 && c <= 0x45f) || (c >= 0x3ac && c <= 0x3ce) ||
         (c >= 0x100 && c <= 0x17f && (c & 1));
}

static bool is_digit(unsigned char c) {
  return c >= '0' && c <= '9';
}
static bool is_letter(unsigned char c) {
  return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_blank(unsigned char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

/* The word before the full stop at `dot`: letters, and full stops inside. */
static size_t word_before(const char *s, size_t from, size_t dot) {
  size_t i = dot;
  while (i > from) {
    unsigned char c = (unsigned char)s[i - 1];
    if (!(is_letter(c) || c >= 0x80 || is_digit(c) || c == '.')) break;
    if (dot - i >= 32) break;
    i--;
  }
  return i;
}

/* Whether the full stop at `dot` belongs to its word. */
static bool belongs_to_word(const struct scan *x, size_t from, size_t dot) {
  size_t w = word_before(x->s, from, dot), n = dot - w, used;
  if (!n) return false;
  const char *word = x->s + w;
  bool digits = true;
  for (size_t i = 0; i < n; i++) digits = digits && is_digit((unsigned char)word[i]);
  if (digits) return n <= 2 && (w == from || x->ordinals);
  peek(x, w, &used);
  if (used == n && !is_full(peek(x, w, &used))) { /* one letter: an initial; but "I." and CJK end */
    uint32_t c = peek(x, w, &used);
    return c < 0x2e80 && !(c == 'I' && n == 1);
  }
  if (n >= 3 && word[n - 2] == '.' && is_letter((unsigned char)word[n - 1])) return true; /* U.S. */
  return is_abbreviation(word, n);
}

/* A bullet or a list's number at the beginning of a line. */
static bool is_item(const struct scan *x, size_t at) {
  while (at < x->to && is_blank((unsigned char)x->s[at])) at++;
  size_t left = x->to - at, i = 0;
  const char *p = x->s + at;
  if (left >= 2 && (p[0] == '-' || p[0] == '*' || p[0] == '+') && p[1] == ' ') return true;
  if (left >= 4 && !memcmp(p, "\xe2\x80\xa2", 3)) return true;
  while (i < left && i < 3 && is_digit((unsigned char)p[i])) i++;
  return i && i + 1 < left && (p[i] == '.' || p[i] == ')') && p[i + 1] == ' ';
}

/* Behind a line feed at `at`: the first byte of the next line that is not blank, and whether a
 * blank line lies between. */
static size_t behind_lines(const struct scan *x, size_t at, bool *blank) {
  size_t line = at;
  *blank = false;
  for (size_t i = at; i < x->to; i++) {
    if (x->s[i] == '\n') {
      *blank = true;
      line = i + 1;
    } else if (!is_blank((unsigned char)x->s[i])) {
      break;
    }
  }
  return line;
}

/* "« Vraiment ? »": a closing one may stand behind a space, when one follows as well. */
static size_t behind_guillemet(const struct scan *x, size_t at) {
  size_t space, mark, used;
  uint32_t c = peek(x, at, &space);
  if (c != ' ' && c != 0xa0 && c != 0x202f) return at;
  if (peek(x, at + space, &mark) != 0xbb) return at;
  c = peek(x, at + space + mark, &used);
  return !used || chunk_space(c, CHUNK_NATIVE) ? at + space + mark : at;
}

/* A terminal character at [at, next): where the next sentence begins, or 0. */
static size_t sentence_end(const struct scan *x, size_t from, size_t at, size_t next, uint32_t c) {
  size_t used, end = next;
  bool full = is_full(c), only_dot = c == '.';
  uint32_t d;
  while (d = peek(x, end, &used), used && (is_terminal(d) || is_full(d))) {
    full |= is_full(d), only_dot = false;
    end += used;
  }
  while (d = peek(x, end, &used), used && is_closer(d)) end += used;
  end = behind_guillemet(x, end);
  size_t space = end;
  while (d = peek(x, space, &used), used && d != '\n' && chunk_space(d, CHUNK_NATIVE))
    space += used;
  if (space == end && !full && d != '\n' && used) return 0;
  if (space >= x->to) return 0;
  if (d == '\n') { /* what begins the next line */
    bool blank;
    size_t line = behind_lines(x, space + 1, &blank);
    if (blank) return 0; /* the paragraph's end sees to it */
    while (d = peek(x, line, &used), used && chunk_space(d, CHUNK_NATIVE)) line += used;
    space = line;
  }
  if (is_small(d) && !full) return 0;
  if (only_dot && belongs_to_word(x, from, at)) return 0;
  return space;
}

static bool has_ordinals(const char *language) {
  static const char *const codes[] = {"de", "da", "nb", "nn", "no", "fi", "et", "cs", "sk", "pl",
                                      "hu", "hr", "sl", "sr", "bs", "lv", "is", "fo", "tr", "eu"};
  for (size_t i = 0; language && i < sizeof codes / sizeof *codes; i++)
    if (!strncasecmp(language, codes[i], 2) && !((unsigned char)(language[2] | 32) >= 'a'))
      return true;
  return false;
}

int chunk_sentence_borders(struct chunk_job *j, size_t *count, size_t from, size_t to,
                           int strength) {
  struct scan x = {j->s, to, has_ordinals(j->o->language)};
  size_t used, begin = from;
  int rc = 0;
  for (size_t at = from; at < to && !rc; at += used) {
    unsigned char byte = (unsigned char)j->s[at];
    used = 1;
    if (byte == '\n') {
      bool blank;
      size_t line = behind_lines(&x, at + 1, &blank);
      if (line >= to) break;
      if (blank || is_item(&x, line)) {
        rc = chunk_border_add(j->w, count, line, strength + (blank ? PARAGRAPH : SENTENCE), j->err);
        begin = line;
      }
      used = line - at;
      if (at % 65536 == 0 && !rc) rc = chunk_poll(j);
      continue;
    }
    if (byte < 0x80 && byte != '.' && byte != '!' && byte != '?' && byte != ',' && byte != ';' &&
        byte != ':')
      continue;
    uint32_t c = byte < 0x80 ? byte : peek(&x, at, &used);
    if (is_terminal(c) || is_full(c)) {
      size_t next = sentence_end(&x, begin, at, at + used, c);
      if (!next || next >= to) continue;
      rc = chunk_border_add(j->w, count, next, strength + SENTENCE, j->err);
      begin = next;
      used = next - at;
    } else if (c == 0xff0c || c == 0x3001 || c == 0xff1b || c == 0xff1a) {
      if (at + used < to) rc = chunk_border_add(j->w, count, at + used, strength + CLAUSE, j->err);
    } else if (byte < 0x80 && at + 2 < to && j->s[at + 1] == ' ') {
      rc = chunk_border_add(j->w, count, at + 2, strength + CLAUSE, j->err);
    }
  }
  return rc;
}

int chunk_sentences(struct chunk_job *j) {
  size_t count = 0;
  int rc = chunk_sentence_borders(j, &count, 0, j->n, 0);
  return rc ? rc : chunk_borders(j, count);
}

/* SPDX-License-Identifier: MIT */
/* The published pre-tokenizer patterns by hand: where the words of a piece of text end.
 *
 *   GPT-2    's … ` ?\p{L}+` ` ?\p{N}+` ` ?[^\s\p{L}\p{N}]+`   a run of one kind, with one space
 *   CL100K   `[^\r\n\p{L}\p{N}]?\p{L}+`   letters, with one character of any other kind before them
 *            `\p{N}{1,3}`                 numbers by threes (Qwen2: one by one)
 *            ` ?[^\s\p{L}\p{N}]+[\r\n]*`  the rest, with a space before and line ends after
 *            `\s*[\r\n]+`                 spaces up to the last line end among them
 *   O200K    letters so that no word has upper case after lower; 's at the end of a word
 *   all      `\s+(?!\S)|\s+`              spaces up to the last one before a word, or up to the end
 *
 * A word depends on nothing that stands before it: so each family is a function from a word's first
 * byte to its end. These functions are the reference; plain text of one-byte characters is cut by
 * scan_mask.c, many words at a time, and tests hold the two, and pattern.c, equal.
 */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/parts.h"
#include "tokenizer/scan.h"

#include "tokenizer/kinds.inc"

enum { OTHER, MARK, UPPER, LOWER, LETTER, NUMBER, SPACE, NEWER, WIDE };
#define SET(k)   (1u << (k))
#define IN(k, s) ((s) >> (k)&1u)
#define LETTERS  (SET(UPPER) | SET(LOWER) | SET(LETTER))
#define RAISED   (SET(UPPER) | SET(LETTER) | SET(MARK)) /* what O200K lets begin a word */
#define LOWERED  (SET(LOWER) | SET(LETTER) | SET(MARK)) /* … and go on with */
#define OTHERS   (SET(OTHER) | SET(MARK) | SET(NEWER))
#define NUMERIC  (SET(NUMBER) | SET(NEWER)) /* of Digits, whose Unicode is newer */
#define INLINE   static inline __attribute__((always_inline))

#define O OTHER
#define U UPPER
#define L LOWER
#define N NUMBER
#define S SPACE
#define W WIDE
/* clang-format off */
static const uint8_t kind_byte[256] = {
  O,O,O,O,O,O,O,O,O,S,S,S,S,S,O,O, O,O,O,O,O,O,O,O,O,O,O,O,O,O,O,O,
  S,O,O,O,O,O,O,O,O,O,O,O,O,O,O,O, N,N,N,N,N,N,N,N,N,N,O,O,O,O,O,O,
  O,U,U,U,U,U,U,U,U,U,U,U,U,U,U,U, U,U,U,U,U,U,U,U,U,U,U,O,O,O,O,O,
  O,L,L,L,L,L,L,L,L,L,L,L,L,L,L,L, L,L,L,L,L,L,L,L,L,L,L,O,O,O,O,O,
  W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,W, W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,
  W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,W, W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,
  W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,W, W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,
  W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,W, W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,W,
};
/* clang-format on */
#undef O
#undef U
#undef L
#undef N
#undef S
#undef W

INLINE unsigned kind_of(uint32_t c) {
  return kind_blocks[kind_index[c >> 8]][c >> 1 & 127] >> (c & 1) * 4 & 15u;
}

/* Two and three bytes, the common case, are read here; the rest and the malformed by utf8_decode. */
INLINE unsigned kind_at(const char *s, size_t n, size_t at, size_t *used) {
  const unsigned char *p = (const unsigned char *)s + at;
  unsigned k = kind_byte[*p];
  *used = 1;
  if (k != WIDE) return k;
  size_t left = n - at;
  if (p[0] >= 0xC2 && p[0] < 0xE0 && left > 1 && p[1] >> 6 == 2) {
    *used = 2;
    return kind_of((p[0] & 31u) << 6 | (p[1] & 63u));
  }
  if (p[0] > 0xE0 && p[0] < 0xF0 && p[0] != 0xED && left > 2 && p[1] >> 6 == 2 && p[2] >> 6 == 2) {
    *used = 3;
    return kind_of((p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u));
  }
  size_t bytes;
  uint32_t c = utf8_decode(s + at, left, &bytes);
  if (c == UTF8_BAD) return OTHER;
  *used = bytes;
  return kind_of(c);
}

INLINE size_t run_end(const char *s, size_t n, size_t at, unsigned set) {
  size_t used;
  while (at < n && IN(kind_at(s, n, at, &used), set)) at += used;
  return at;
}

static bool line_end(char c) {
  return c == '\r' || c == '\n';
}

/* ---- 's 't 're … : their length, or 0 ---- */

static size_t contraction(const char *s, size_t n) {
  if (n < 2 || *s != '\'') return 0;
  char c = s[1], d = n > 2 ? s[2] : 0;
  if (c == 's' || c == 't' || c == 'm' || c == 'd') return 2;
  return (c == 'l' && d == 'l') || ((c == 'v' || c == 'r') && d == 'e') ? 3 : 0;
}

/* Either case; U+017F is a way to write s. */
static size_t contraction_folded(const char *s, size_t n) {
  if (n < 2 || *s != '\'') return 0;
  char low[3] = {'\'', (char)(s[1] | 32), n > 2 ? (char)(s[2] | 32) : 0};
  if (n > 2 && s[1] == '\xC5' && s[2] == '\xBF') return 3;
  return contraction(low, n < 3 ? n : 3);
}

/* ---- spaces ---- */

/* What GPT-2 makes of spaces: `\s+(?!\S)|\s+`. They also end at what is in `stop`. */
INLINE size_t spaces_end(const char *s, size_t n, size_t at, unsigned stop) {
  size_t used, count = 0, last = at;
  unsigned k = SPACE;
  while (at < n && (k = kind_at(s, n, at, &used)) == SPACE) last = at, at += used, count++;
  return at == n || count < 2 || IN(k, stop) ? at : last;
}

/* `\s*[\r\n]+` first. tail: before all, `\s+$`. */
INLINE size_t lines_end(const char *s, size_t n, size_t at, bool tail) {
  size_t used, count = 0, last = at, line = 0;
  while (at < n && kind_at(s, n, at, &used) == SPACE) {
    last = at;
    at += used;
    count++;
    if (line_end(s[last])) line = at;
  }
  if (at == n && tail) return n;
  if (line) return line;
  return at == n || count < 2 ? at : last;
}

/* ---- the families ---- */

INLINE size_t gpt2_word(const char *s, size_t n, size_t at, bool digits) {
  size_t used, taken = contraction(s + at, n - at);
  if (taken) return at + taken;
  unsigned numbers = digits ? NUMERIC : SET(NUMBER), others = digits ? OTHERS & ~NUMERIC : OTHERS;
  size_t from = at;
  unsigned k = kind_at(s, n, at, &used);
  if (s[at] == ' ' && at + 1 < n) {
    size_t second;
    unsigned next = kind_at(s, n, at + 1, &second);
    if (next != SPACE) {
      if (digits && IN(next, numbers)) return at + 1;
      from = at + 1, k = next, used = second;
    }
  }
  if (k == SPACE) return spaces_end(s, n, at, digits ? numbers : 0);
  if (IN(k, LETTERS)) return run_end(s, n, from + used, LETTERS);
  if (IN(k, numbers)) return digits ? from + used : run_end(s, n, from + used, numbers);
  return run_end(s, n, from + used, others);
}

INLINE size_t numbers_end(const char *s, size_t n, size_t at, unsigned most) {
  size_t used;
  while (most-- && at < n && kind_at(s, n, at, &used) == NUMBER) at += used;
  return at;
}

/* ` ?[^\s\p{L}\p{N}]+[\r\n]*`, with slash: [\r\n/]*. 0 when it does not match. */
INLINE size_t others_end(const char *s, size_t n, size_t at, bool slash) {
  size_t from = at + (s[at] == ' '), end = run_end(s, n, from, OTHERS);
  if (end == from) return 0;
  while (end < n && (line_end(s[end]) || (slash && s[end] == '/'))) end++;
  return end;
}

INLINE size_t cl100k_word(const char *s, size_t n, size_t at, unsigned digits, bool tail) {
  size_t used, second, taken = contraction_folded(s + at, n - at), end;
  if (taken) return at + taken;
  unsigned k = kind_at(s, n, at, &used);
  if (IN(k, LETTERS)) return run_end(s, n, at + used, LETTERS);
  if (k == NUMBER) return numbers_end(s, n, at, digits);
  if (at + used < n && !line_end(s[at]) && IN(kind_at(s, n, at + used, &second), LETTERS))
    return run_end(s, n, at + used + second, LETTERS);
  if ((end = others_end(s, n, at, false))) return end;
  return lines_end(s, n, at, tail);
}

/* `[RAISED]*[LOWERED]+` at p, or 0. The characters that are both may go to either: when nothing
 * lowered follows the raised ones, the last that is both is where the word ends. */
static size_t camel_lowered(const char *s, size_t n, size_t p) {
  size_t used, both = 0;
  for (unsigned k; p < n && IN(k = kind_at(s, n, p, &used), RAISED);) {
    p += used;
    if (IN(k, LOWERED)) both = p;
  }
  size_t end = run_end(s, n, p, LOWERED);
  return end > p ? end : both;
}

static size_t camel_end(const char *s, size_t n, size_t at, unsigned k, size_t used) {
  bool before = !IN(k, LETTERS) && k != NUMBER && !line_end(s[at]);
  size_t end;
  if (before && (end = camel_lowered(s, n, at + used))) return end;
  if ((end = camel_lowered(s, n, at))) return end;
  if (before && (end = run_end(s, n, at + used, RAISED)) > at + used) return end;
  return (end = run_end(s, n, at, RAISED)) > at ? end : 0;
}

INLINE size_t o200k_word(const char *s, size_t n, size_t at, unsigned digits, bool suffix) {
  size_t used, end;
  unsigned k = kind_at(s, n, at, &used);
  if (k == NUMBER) return numbers_end(s, n, at, digits);
  if ((end = camel_end(s, n, at, k, used)))
    return suffix && end < n ? end + contraction_folded(s + end, n - end) : end;
  if ((end = others_end(s, n, at, true))) return end;
  return lines_end(s, n, at, false);
}

/* ---- SentencePiece ---- */

static size_t mark_at(const char *s, size_t n, size_t at) {
  if (s[at] == ' ') return 1;
  return n - at > 2 && !memcmp(s + at, "\xE2\x96\x81", 3) ? 3 : 0;
}

/* After the spaces that may begin the word (one or any number), up to the next space. */
static size_t spaced_word(const char *s, size_t n, size_t at, bool each, bool lines) {
  size_t mark;
  if (lines && line_end(s[at])) {
    while (at < n && line_end(s[at])) at++;
    return at;
  }
  while (at < n && (mark = mark_at(s, n, at))) {
    at += mark;
    if (each) break;
  }
  while (at < n && !mark_at(s, n, at) && !(lines && line_end(s[at]))) at++;
  return at;
}

size_t scan_one(enum scan_kind kind, const char *s, size_t n, size_t at) {
  switch (kind) {
  case SCAN_GPT2:
    return gpt2_word(s, n, at, false);
  case SCAN_GPT2_DIGITS:
    return gpt2_word(s, n, at, true);
  case SCAN_CL100K:
    return cl100k_word(s, n, at, 3, false);
  case SCAN_CL100K_TAIL:
    return cl100k_word(s, n, at, 3, true);
  case SCAN_QWEN2:
    return cl100k_word(s, n, at, 1, false);
  case SCAN_O200K:
    return o200k_word(s, n, at, 3, true);
  case SCAN_TEKKEN:
    return o200k_word(s, n, at, 1, false);
  case SCAN_SPACES:
    return spaced_word(s, n, at, false, false);
  case SCAN_SPACES_LINES:
    return spaced_word(s, n, at, false, true);
  case SCAN_EACH_SPACE:
    return spaced_word(s, n, at, true, false);
  case SCAN_WHOLE:
    break;
  }
  return n;
}

/* ---- many words ---- */

size_t scan_words_with(enum scan_masks how, enum scan_kind kind, const char *s, size_t n,
                       size_t *at, uint32_t *ends, size_t max) {
  size_t count = 0, p = *at;
  bool windows = how != SCAN_PLAIN && kind != SCAN_WHOLE, spaces = kind >= SCAN_SPACES;
  while (count < max && p < n) {
    bool wide = !spaces && (s[p] < 0 || (p + 1 < n && s[p + 1] < 0));
    if (windows && !wide && max - count >= SCAN_WINDOW) {
      size_t found = scan_window(how, kind, s, n, p, ends + count);
      if (found) {
        count += found;
        p = ends[count - 1];
        continue;
      }
    } else if (windows && !wide && count) {
      break; /* the caller's list is nearly full; the next one has room for a window */
    }
    p = scan_one(kind, s, n, p);
    ends[count++] = (uint32_t)p;
  }
  *at = p;
  return count;
}

size_t scan_words(enum scan_kind kind, const char *s, size_t n, size_t *at, uint32_t *ends,
                  size_t max) {
  return scan_words_with(scan_masks_best(), kind, s, n, at, ends, max);
}

/* ---- recognising ---- */

/* `\p{N}{1,3}+` is at most three digits to tiktoken, any number to the reference. */
static const struct spelling {
  const char *pattern;
  enum scan_kind kind;
  bool tiktoken_only;
} spellings[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     SCAN_GPT2, false},
    {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", SCAN_GPT2,
     false},
    {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s++$|\\s+(?!\\S)|\\s",
     SCAN_GPT2, false},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
     "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     SCAN_CL100K, false},
    {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}"
     "| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
     SCAN_CL100K, false},
    {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+"
     "| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s",
     SCAN_CL100K_TAIL, true},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
     "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     SCAN_QWEN2, false},
    {"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
     "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}"
     "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     SCAN_O200K, false},
    {"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
     "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
     "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     SCAN_TEKKEN, false},
};

bool scan_recognise(const char *pattern, size_t n, bool tiktoken, enum scan_kind *kind) {
  for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
    const struct spelling *sp = &spellings[i];
    if (strlen(sp->pattern) != n || memcmp(sp->pattern, pattern, n)) continue;
    *kind = sp->kind;
    return tiktoken || !sp->tiktoken_only;
  }
  return false;
}

const char *scan_pattern(enum scan_kind kind) {
  for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
    if (spellings[i].kind == kind) return spellings[i].pattern;
  return NULL;
}

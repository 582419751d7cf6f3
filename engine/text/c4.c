/* SPDX-License-Identifier: MIT */
/* The rules of C4, line by line, and the counting of sentences; see quality.h.
 *
 * The order of the rules is that of the published code, because it matters: a line that goes for its
 * missing full stop is not looked at for a curly bracket that would reject the document. Citations are
 * taken out before the line's end is looked at, and blanks that this lays bare stay.
 */
#include "text/quality.h"
#include "base/utf8.h"
#include "text/chars.h"

#include <string.h>

static unsigned class_at(const char *s, size_t n, size_t at, size_t *used) {
  uint32_t c = utf8_decode(s + at, n - at, used);
  return c == UTF8_BAD ? 0 : char_class(c);
}

/* Where the line that begins at `at` ends; *next is where the one after it begins. */
static size_t line_end(const char *s, size_t n, size_t at, size_t *next) {
  size_t used = 1;
  while (at < n) {
    unsigned char b = (unsigned char)s[at];
    unsigned k = b < 128                  ? (used = 1, char_ascii[b])
                 : b == 0xc2 || b == 0xe2 ? class_at(s, n, at, &used)
                                          : (used = 1, 0u);
    if (k & CHAR_LINE) {
      *next = at + used;
      if (b == '\r' && *next < n && s[*next] == '\n') ++*next;
      return at;
    }
    at += used;
  }
  *next = n;
  return n;
}

static void strip(const char *s, size_t *from, size_t *to) {
  size_t used;
  while (*from < *to && class_at(s, *to, *from, &used) & CHAR_SPACE) *from += used;
  while (*to > *from) {
    size_t at = *to - 1;
    while (at > *from && ((unsigned char)s[at] & 0xc0) == 0x80) at--;
    if (!(class_at(s, *to, at, &used) & CHAR_SPACE)) break;
    *to = at;
  }
}

/* Words between white space; *longest in characters. */
static size_t count_words(const char *s, size_t n, size_t *longest) {
  size_t words = 0, length = 0, used;
  *longest = 0;
  for (size_t i = 0; i < n; i += used) {
    unsigned k;
    if ((unsigned char)s[i] < 128)
      used = 1, k = char_ascii[(unsigned char)s[i]];
    else
      k = class_at(s, n, i, &used);
    if (k & CHAR_SPACE) {
      length = 0;
      continue;
    }
    words += !length++;
    if (length > *longest) *longest = length;
  }
  return words;
}

/* The length of a citation that begins with the bracket at s; 0 for none. */
static size_t citation(const char *s, size_t n) {
  static const char *const fixed[] = {"[edit]", "[citation needed]"};
  for (size_t k = 0; k < 2; k++) {
    size_t length = strlen(fixed[k]);
    if (n >= length && !memcmp(s, fixed[k], length)) return length;
  }
  size_t i = 1;
  while (i < n && s[i] >= '0' && s[i] <= '9') i++;
  return i < n && s[i] == ']' ? i + 1 : 0;
}

static void without_citations(const char *s, size_t n, struct buf *out) {
  size_t from = 0, i = 0;
  while (i < n) {
    const char *open = memchr(s + i, '[', n - i);
    if (!open) break;
    i = (size_t)(open - s);
    size_t length = citation(open, n - i);
    if (!length) {
      i++;
      continue;
    }
    buf_add(out, s + from, i - from);
    from = i += length;
  }
  buf_add(out, s + from, n - from);
}

static bool ends_well(const char *s, size_t n) {
  if (!n || !strchr(".?!\"'", s[n - 1]) || !s[n - 1]) return false;
  return !(n >= 3 && !memcmp(s + n - 3, "...", 3));
}

static void small_letters(const char *s, size_t n, struct buf *out) {
  buf_reset(out);
  if (buf_reserve(out, n + 1)) {
    out->failed = true;
    return;
  }
  for (size_t i = 0; i < n; i++)
    out->data[i] = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] | 32) : s[i];
  out->len = n;
}

/* 1 + index of the first phrase in the line; 0 for none. */
static size_t phrase_in(const struct c4_options *o, const struct buf *small) {
  for (size_t k = 0; k < o->phrase_count; k++) {
    const struct quality_phrase *p = &o->phrases[k];
    if (p->n && small->len && memmem(small->data, small->len, p->text, p->n)) return k + 1;
  }
  return 0;
}

struct c4_buffers {
  struct buf line, small;
};

/* Appends one line, stripped, if it stays; counts why not. False: the document is rejected. */
static bool one_line(const char *s, size_t n, const struct c4_options *o, struct c4_buffers *b,
                     struct buf *out, struct c4_facts *f) {
  size_t longest, words = count_words(s, n, &longest);
  if (o->max_word_characters && longest > o->max_word_characters) return f->long_word++, true;
  buf_reset(&b->line);
  if (o->citations)
    without_citations(s, n, &b->line);
  else
    buf_add(&b->line, s, n);
  const char *line = b->line.data ? b->line.data : "";
  if (o->terminal && !ends_well(line, b->line.len)) return f->no_terminal++, true;
  if (words < o->min_words) return f->few_words++, true;
  if (o->phrase_count) {
    small_letters(line, b->line.len, &b->small);
    size_t k = phrase_in(o, &b->small);
    if (k && o->phrases[k - 1].reject) return f->rejected_by = k, false;
    if (k) return f->phrase++, true;
  }
  f->sentences += quality_sentences(line, b->line.len);
  if (f->kept++) buf_addc(out, '\n');
  buf_add(out, line, b->line.len);
  return true;
}

int quality_c4(const char *s, size_t n, const struct c4_options *o, struct buf *out,
               struct c4_facts *facts, struct err *err) {
  struct c4_buffers b;
  size_t begin = out->len, next;
  *facts = (struct c4_facts){0};
  buf_init(&b.line);
  buf_init(&b.small);
  for (size_t at = 0; at < n && !b.small.failed && !b.line.failed; at = next) {
    size_t from = at, to = line_end(s, n, at, &next);
    facts->lines++;
    strip(s, &from, &to);
    if (!one_line(s + from, to - from, o, &b, out, facts)) break;
  }
  size_t from = begin, to = out->len; /* citations may have laid bare blanks at the ends */
  if (out->data) strip(out->data, &from, &to);
  if (from > begin) memmove(out->data + begin, out->data + from, to - from);
  if (out->data) out->len = begin + (to - from);
  int rc = buf_check(out, "the lines that stay", err);
  if (!rc) rc = buf_check(&b.line, "a line", err);
  if (!rc) rc = buf_check(&b.small, "a line", err);
  buf_clear(&b.line);
  buf_clear(&b.small);
  return rc;
}

/* ---- sentences ---- */

/* Does the point at `at` belong to an initial or an abbreviation? */
static bool abbreviation(const char *s, size_t at) {
  static const char *const known[] = {
      "mr",  "mrs", "ms", "dr", "prof", "st", "vs", "etc",    "eg",   "ie",  "cf",  "fig", "no",
      "vol", "pp",  "jr", "sr", "inc",  "al", "ca", "approx", "dept", "gen", "rev", "col", "sgt"};
  size_t from = at, letters = 0;
  char small[8];
  while (from && (char_class((unsigned char)s[from - 1] & 127) & CHAR_LETTER) &&
         (unsigned char)s[from - 1] < 128)
    from--;
  letters = at - from;
  if (from && (unsigned char)s[from - 1] >= 128)
    return false; /* the end of another script's word */
  if (letters == 1) return s[from] != 'I' || (from && s[from - 1] == '.');
  if (letters < 2 || letters >= sizeof small) return false;
  for (size_t i = 0; i < letters; i++) small[i] = (char)(s[from + i] | 32);
  small[letters] = 0;
  for (size_t k = 0; k < sizeof known / sizeof *known; k++)
    if (!strcmp(small, known[k])) return true;
  return false;
}

static bool closing(uint32_t c) {
  return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == 0xbb || c == 0x2019 ||
         c == 0x201d || c == 0x203a || c == 0x300d || c == 0x300f || c == 0xff09;
}

/* Behind the signs that end a sentence at `at`: where what follows begins, or 0 when the sentence
 * goes on; *signs_end is where the signs themselves do. */
static size_t sentence_stop(const char *s, size_t n, size_t at, size_t *signs_end) {
  size_t i = at, used = 1, signs = 0;
  uint32_t c = 0, last = 0;
  while (i < n) {
    c = utf8_decode(s + i, n - i, &used);
    if (c == UTF8_BAD || !(char_class(c) & CHAR_END)) break;
    last = c;
    signs++;
    i += used;
  }
  *signs_end = i;
  while (i < n) {
    c = utf8_decode(s + i, n - i, &used);
    if (c == UTF8_BAD || !closing(c)) break;
    i += used;
  }
  if (i == n || last >= 0x3000) return i; /* full-width signs need no blank */
  if (!(char_class(c) & CHAR_SPACE)) return 0;
  if (last != '.') return i;
  if (signs == 1 && abbreviation(s, at)) return 0;
  while (i < n && s[i] == ' ') i++;
  return i < n && s[i] >= 'a' && s[i] <= 'z' ? 0 : i;
}

size_t quality_sentences(const char *s, size_t n) {
  size_t sentences = 0, used;
  bool open = false;
  for (size_t i = 0; i < n; i += used) {
    unsigned k;
    if ((unsigned char)s[i] < 128)
      used = 1, k = char_ascii[(unsigned char)s[i]];
    else
      k = class_at(s, n, i, &used);
    if (k & CHAR_END) {
      size_t signs_end, stop = sentence_stop(s, n, i, &signs_end);
      if (stop) {
        sentences += open;
        open = false;
        used = stop - i;
        continue;
      }
      used = signs_end - i;
    }
    if (!(k & CHAR_SPACE)) open = true;
  }
  return sentences + open;
}

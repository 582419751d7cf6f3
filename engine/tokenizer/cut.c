/* SPDX-License-Identifier: MIT */
/* Where a long text may be cut so that nobody can tell from the ids: for counting and encoding
 * files of any length in bounded memory.
 *
 * Nothing is guessed. A cut is made only in a place, and only for a file, where the proof holds:
 *
 *   "…end of| one"    between an ASCII letter and a single space before an ASCII letter: for every
 *                     known pattern a word ends there and the next one begins with the space; for
 *                     SentencePiece's kind words begin at spaces
 *   "…end.\n|Next"    between a single line feed, with no white space before it, and a letter of
 *                     any script: the known patterns never carry a line feed into the next word
 *
 * Neither place can be inside an added token (tokens that hold white space and something else
 * forbid cutting at all) nor be eaten by one (those that strip spaces and end or begin with a
 * letter forbid it too). Composing characters never reaches over a space or a line feed.
 *
 * A file that puts a space before every text ("Prepend") would put one before the second part as
 * well; there the cut takes the space away, and encoding puts it back: next is one more than end.
 */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/parts.h"

static bool ascii_letter(char c) {
  unsigned char lower = (unsigned char)((unsigned char)c | 0x20);
  return lower >= 'a' && lower <= 'z';
}

static unsigned first_class(const char *s, size_t n) {
  size_t used;
  return class_at(s, n, &used);
}

/* The class of the character that ends at s[n); a malformed one counts as a space: no cut. */
static unsigned last_class(const char *s, size_t n) {
  size_t at = utf8_floor(s, n, n - 1), used;
  uint32_t c = utf8_decode(s + at, n - at, &used);
  return c == UTF8_BAD || at + used != n ? CLASS_SPACE : class_of(c);
}

/* White space together with something else in one token. */
static bool mixes(const char *s, size_t n) {
  bool space = false, other = false;
  for (size_t at = 0, used; at < n; at += used) {
    if (class_at(s + at, n - at, &used) & CLASS_SPACE)
      space = true;
    else
      other = true;
  }
  return space && other;
}

static bool has_block(const char *s, size_t n) { /* U+2581, which stands for a space */
  for (size_t i = 0; i + 3 <= n; i++)
    if (!memcmp(s + i, "\xE2\x96\x81", 3)) return true;
  return false;
}

static bool token_allows(const struct tokenizer *t, const struct tokenizer_added *a) {
  const char *s = a->content;
  if (!a->n) return true;
  if (mixes(s, a->n)) return false;
  if (a->lstrip && first_class(s, a->n) & CLASS_LETTER) return false;
  if (a->rstrip && ascii_letter(s[a->n - 1])) return false;
  if (t->front.kind != FRONT_SPACES) return true;
  if (has_block(s, a->n)) return false;
  return t->front.prefix != PREFIX_ALWAYS || !ascii_letter(s[a->n - 1]);
}

static bool normalizer_allows(const struct tokenizer *t) {
  const struct buf *section = &t->section[SECTION_NORMALIZER];
  static const char nfc[] = "{\"type\":\"NFC\"}";
  if (!section->len || t->front.normalizes) return true;
  return section->len == sizeof nfc - 1 && !memcmp(section->data, nfc, sizeof nfc - 1);
}

static bool words_allow(const struct front *f) {
  switch (f->scan) {
  case SCAN_GPT2:
  case SCAN_GPT2_DIGITS:
  case SCAN_CL100K:
  case SCAN_CL100K_TAIL:
  case SCAN_QWEN2:
  case SCAN_O200K:
    return f->kind == FRONT_SCAN && f->prefix != PREFIX_ALWAYS;
  case SCAN_EACH_SPACE:
  case SCAN_SPACES:
  case SCAN_SPACES_LINES:
    return f->kind == FRONT_SPACES;
  default:
    return false;
  }
}

static bool may_cut(const struct tokenizer *t) {
  bool may = t->front.kind != FRONT_NONE && words_allow(&t->front) && normalizer_allows(t);
  for (size_t i = 0; i < t->added.count && may; i++) may = token_allows(t, &t->added.list[i]);
  return may;
}

static bool before_space(const char *s, size_t at) {
  return s[at] == ' ' && ascii_letter(s[at - 1]) && ascii_letter(s[at + 1]);
}

static bool behind_line(const char *s, size_t n, size_t at) {
  return at >= 2 && s[at - 1] == '\n' && !(last_class(s, at - 1) & CLASS_SPACE) &&
         first_class(s + at, n - at) & CLASS_LETTER;
}

bool tokenizer_cut(const struct tokenizer *t, const char *s, size_t n, size_t *end, size_t *next) {
  *end = *next = 0;
  if (!may_cut(t)) return false;
  bool lines = t->front.kind == FRONT_SCAN && t->front.prefix == PREFIX_NEVER;
  bool takes = t->front.kind == FRONT_SPACES && t->front.prefix == PREFIX_ALWAYS;
  for (size_t at = n < 2 ? 0 : n - 2; at > 0; at--) {
    bool space = before_space(s, at);
    if (!space && !(lines && behind_line(s, n, at))) continue;
    *end = at;
    *next = at + (space && takes);
    return true;
  }
  return false;
}

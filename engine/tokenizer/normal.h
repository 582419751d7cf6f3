/* SPDX-License-Identifier: MIT */
/* What the files of the normalizer share: the table of characters, and how a step of the chain
 * writes its text.
 *
 * A character's record says in one word all that the normalizers ask about it:
 *
 *   normal_record[normal_blocks[normal_index[c / 128]][c % 128]]
 *       bits 0–5  the place of its combining class in the order of classes; 0: it is a starter
 *       the rest  the flags below
 */
#ifndef LATHE_TOKENIZER_NORMAL_H
#define LATHE_TOKENIZER_NORMAL_H

#include "base/utf8.h"
#include "tokenizer/parts.h"

enum { NORMAL_CLASS = 63 };
enum {
  NORMAL_CANONICAL = 1 << 6,    /* NFD changes it */
  NORMAL_COMPATIBLE = 1 << 7,   /* NFKD changes it */
  NORMAL_NFC = 1 << 8,          /* NFC changes it even when it stands alone */
  NORMAL_NFKC = 1 << 9,         /* … NFKC */
  NORMAL_SECOND = 1 << 10,      /* may be joined to a character before it */
  NORMAL_FIRST = 1 << 11,       /* may have one joined to it */
  NORMAL_TAIL_C = 1 << 12,      /* what it decomposes to may touch what stands before it */
  NORMAL_TAIL_K = 1 << 13,      /* … in the compatibility decomposition */
  NORMAL_ACCENT = 1 << 14,      /* StripAccents removes it */
  NORMAL_BERT_ACCENT = 1 << 15, /* BertNormalizer's strip_accents removes it (after NFD) */
  NORMAL_BERT_GONE = 1 << 16,   /* its clean_text removes it */
  NORMAL_BERT_SPACE = 1 << 17,  /* … makes it a space */
  NORMAL_BERT_CJK = 1 << 18,    /* its handle_chinese_chars puts spaces around it */
  NORMAL_NMT_GONE = 1 << 19,
  NORMAL_NMT_SPACE = 1 << 20,
  NORMAL_SPACE = 1 << 21, /* Strip takes it away */
  NORMAL_LOWER = 1 << 22, /* it has a lowercase */
  /* of graphemes: */
  NORMAL_EXTEND = 1 << 23,  /* joins what stands before it */
  NORMAL_PREPEND = 1 << 24, /* what stands behind joins it */
  NORMAL_CONTROL = 1 << 25, /* nothing joins it */
  NORMAL_PICTOGRAPH = 1 << 26,
  NORMAL_SPACING = 1 << 27 /* joins, but parts a pictograph from a joiner */
};

extern const uint32_t normal_record[];
extern const uint8_t normal_index[], normal_blocks[][128], normal_clean[];

/* c: below 0x110000. */
static inline uint32_t normal_of(uint32_t c) {
  return normal_record[normal_blocks[normal_index[c >> 7]][c & 127]];
}

/* ---- normal_table.c ---- */

/* The full decomposition of a character that has one and is no Hangul syllable, as UTF-8. */
const char *normal_decompose(uint32_t c, bool compatible, size_t *n);
uint32_t normal_compose(uint32_t a, uint32_t b); /* 0: they are not joined */
uint32_t normal_lower(uint32_t c);               /* of one that has NORMAL_LOWER, but U+0130 */

#define HANGUL_BASE  0xAC00u /* syllables: 19 × 21 × 28 */
#define HANGUL_COUNT 11172u
#define HANGUL_L     0x1100u
#define HANGUL_V     0x1161u
#define HANGUL_T     0x11A7u

/* ---- aligned.c ---- memory for n more bytes (and their positions when track) */

bool aligned_room(struct aligned *a, size_t n);

/* ---- normal_step.c ---- writing one step's text */

/* The text that a step reads: what the step before it wrote, or the source itself (start NULL). */
struct step_io {
  const char *s;
  size_t n;
  const uint32_t *start, *end;
  struct aligned *out;
};
/* Appends the bytes [at, at + n) of the text read, each where it came from. */
void step_keep(struct step_io *io, size_t at, size_t n);
/* Appends bytes that stand for the bytes [from, to) of the text read. */
void step_put(struct step_io *io, const char *bytes, size_t n, size_t from, size_t to);
/* The same for one character. */
void step_put_char(struct step_io *io, uint32_t c, size_t from, size_t to);
/* Where the character that ends at `at` begins (a malformed byte is one character); lo < at. */
size_t step_back(const char *s, size_t lo, size_t at);

/* ---- normal_forms.c ---- */

enum normal_form { FORM_NFC, FORM_NFD, FORM_NFKC, FORM_NFKD };
/* Whether the text is in the form; exact up to compositions that turn out to change nothing. */
bool form_keeps(enum normal_form form, const char *s, size_t n);
int form_run(enum normal_form form, struct step_io *io, struct err *err);

/* ---- charsmap.c ---- the Precompiled normalizer */

struct charsmap;
int charsmap_load(struct charsmap **out, const char *base64, size_t n, struct err *err);
void charsmap_free(struct charsmap *m);
bool charsmap_keeps(const struct charsmap *m, const char *s, size_t n);
void charsmap_run(const struct charsmap *m, struct step_io *io);

#endif

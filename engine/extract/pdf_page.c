/* SPDX-License-Identifier: MIT */
/* From glyphs to pieces; see pdf_page.h.
 *
 *   "Name    Type      Default"      one line of poppler's, three pieces: a hole of more than HOLE
 *                                    of the size divides them
 *
 * Too many pieces do no harm: what no column and no table needs apart is put together again. Here
 * ligatures become letters, bullets come off their lines, and the words of the document are
 * remembered (as hashes) so that a word cut at a line's end can be put together as it is written
 * elsewhere.
 */
#include "extract/pdf_page.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HOLE      0.8f
#define WORDS_MAX ((size_t)1 << 18)
#define WORD_MAX  64 /* bytes; longer ones are not remembered */

void pdf_page_clear(struct pdf_page *p) {
  mem_free(p->glyphs);
  mem_free(p->pieces);
  mem_free(p->blocks);
  buf_clear(&p->text);
  *p = (struct pdf_page){0};
}

void pdf_style_clear(struct pdf_style *s) {
  mem_free(s->entries);
  mem_free(s->words);
  *s = (struct pdf_style){0};
}

bool pdf_is_space(uint32_t c) {
  return c <= ' ' || c == 0xA0 || (c >= 0x2000 && c <= 0x200B) || c == 0x202F || c == 0x3000;
}

/* ---- words ---- */

static size_t slot_of(const struct pdf_style *s, uint64_t hash) {
  size_t i = (size_t)hash & (s->word_cap - 1);
  while (s->words[i] && s->words[i] != hash) i = (i + 1) & (s->word_cap - 1);
  return i;
}

bool pdf_word_known(const struct pdf_style *s, uint64_t hash) {
  return s->word_cap && s->words[slot_of(s, hash ? hash : 1)] != 0;
}

static bool grow_words(struct pdf_style *s) {
  struct pdf_style next = *s;
  next.word_cap = s->word_cap ? s->word_cap * 2 : 1024;
  next.words = mem_zeros(next.word_cap, sizeof *next.words);
  if (!next.words) return false; /* hyphens are then judged by less */
  for (size_t i = 0; i < s->word_cap; i++)
    if (s->words[i]) next.words[slot_of(&next, s->words[i])] = s->words[i];
  mem_free(s->words);
  *s = next;
  return true;
}

void pdf_word_add(struct pdf_style *s, uint64_t hash) {
  if (s->word_count >= WORDS_MAX) return;
  if (s->word_count * 2 >= s->word_cap && !grow_words(s)) return;
  size_t i = slot_of(s, hash ? hash : 1);
  s->word_count += s->words[i] == 0;
  s->words[i] = hash ? hash : 1;
}

static uint32_t small(uint32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if (c >= 0xC0 && c <= 0xDE && c != 0xD7) return c + 32;
  if (c >= 0x410 && c <= 0x42F) return c + 32;
  return c;
}

static bool is_letter(uint32_t c) {
  return (c | 32) - 'a' < 26 || (c >= 0xC0 && c != 0xD7 && c != 0xF7 && c < 0x2000) ||
         (c >= 0x2C00 && c < 0x3000);
}

static bool is_digit(uint32_t c) {
  return c >= '0' && c <= '9';
}

/* Remembers the words of a piece, but for those at its ends that a hyphen may have cut. */
static void learn_words(const struct pdf_page *p, const struct pdf_piece *piece,
                        struct pdf_style *s) {
  char word[WORD_MAX];
  size_t n = 0;
  bool cut = false;
  for (size_t i = piece->from; i <= piece->to; i++) {
    uint32_t c = i < piece->to ? p->glyphs[i].c : ' ';
    bool hyphen = c == '-' && n > 0 && i + 1 < piece->to && is_letter(p->glyphs[i + 1].c);
    if (is_letter(c) || hyphen) {
      if (n + 4 < sizeof word)
        n += utf8_encode(small(c), word + n);
      else
        cut = true;
      continue;
    }
    if (n > 2 && !cut && c != '-' && c != 0xAD && c != 0x2010)
      pdf_word_add(s, hash_xxh3(word, n, 0));
    n = 0;
    cut = false;
  }
}

uint64_t pdf_title_hash(const char *s, size_t n) {
  char bytes[512];
  size_t have = 0, used;
  for (size_t i = 0; i < n && have + 4 < sizeof bytes; i += used) {
    uint32_t c = utf8_decode(s + i, n - i, &used);
    if (is_letter(c) || is_digit(c) || c >= 0x3000) have += utf8_encode(small(c), bytes + have);
  }
  return hash_xxh3(bytes, have, 1);
}

/* ---- glyphs ---- */

/* U+FB00 … U+FB06 as letters, each in its share of the rectangle. */
static const char *ligature(uint32_t c) {
  static const char *const letters[] = {"ff", "fi", "fl", "ffi", "ffl", "st", "st"};
  return c >= 0xFB00 && c <= 0xFB06 ? letters[c - 0xFB00] : NULL;
}

static int split_ligatures(struct pdf_page *p, struct err *err) {
  size_t more = 0;
  for (size_t i = 0; i < p->count; i++)
    if (ligature(p->glyphs[i].c)) more += 2;
  if (!more) return 0;
  struct pdf_glyph *all = mem_array(p->count + more, sizeof *all);
  if (!all) return err_nomem(err, (p->count + more) * sizeof *all, "a page");
  size_t n = 0;
  for (size_t i = 0; i < p->count; i++) {
    const char *letters = ligature(p->glyphs[i].c);
    size_t k = letters ? strlen(letters) : 1;
    float step = (p->glyphs[i].x2 - p->glyphs[i].x1) / (float)k;
    for (size_t j = 0; j < k; j++) {
      all[n] = p->glyphs[i];
      if (!letters) {
        n++;
        continue;
      }
      all[n].c = (unsigned char)letters[j];
      all[n].x1 = p->glyphs[i].x1 + step * (float)j;
      all[n].x2 = all[n].x1 + step;
      n++;
    }
  }
  mem_free(p->glyphs);
  p->glyphs = all;
  p->count = n;
  return 0;
}

static void count_sizes(const struct pdf_page *p, struct pdf_style *s) {
  bool seen[PDF_SIZES] = {false};
  for (size_t i = 0; i < p->count; i++) {
    float half = p->glyphs[i].size * 2 + 0.5f;
    if (pdf_is_space(p->glyphs[i].c) || !(half >= 1 && half < PDF_SIZES)) continue;
    size_t at = (size_t)half;
    s->sizes[at]++;
    s->pages[at] += !seen[at];
    seen[at] = true;
    s->total++;
    s->mono += p->glyphs[i].mono;
  }
}

/* ---- pieces ---- */

static bool is_bullet(uint32_t c) {
  return c == 0x2022 || c == 0x2023 || c == 0x2043 || c == 0x2219 || c == 0x25AA || c == 0x25AB ||
         c == 0x25CF || c == 0x25CB || c == 0x25E6 || c == 0x25A0 || c == 0x25B6 || c == 0x25BA ||
         c == 0x2B1D || c == 0xF0B7 || c == 0xF0A7 || c == 0xF0D8;
}

/* Size and height are those of most glyphs, found by a vote (Boyer and Moore): fonts differ in what
 * poppler takes for their height, and one word in another font must not move the line. */
static void measure_piece(const struct pdf_page *p, struct pdf_piece *l) {
  size_t count = 0, most = 0;
  bool first = true;
  l->bold = l->mono = true;
  for (size_t i = l->from; i < l->to; i++) {
    const struct pdf_glyph *g = &p->glyphs[i];
    if (pdf_is_space(g->c)) continue;
    l->bold = l->bold && g->bold;
    l->mono = l->mono && g->mono;
    count++;
    if (!(g->y2 > g->y1)) continue;
    if (fabsf(g->size - l->size) < 0.3f && fabsf(g->y1 - l->top) < 0.3f)
      most++;
    else if (most > 0)
      most--;
    else
      l->size = g->size, l->top = g->y1, l->bottom = g->y2, most = 1;
    if (first) l->left = g->x1, l->right = g->x2;
    first = false;
    l->left = fminf(l->left, g->x1), l->right = fmaxf(l->right, g->x2);
  }
  const struct pdf_glyph *a = &p->glyphs[l->from], *b = &p->glyphs[l->to - 1];
  float dx = fabsf((b->x1 + b->x2) - (a->x1 + a->x2)),
        dy = fabsf((b->y1 + b->y2) - (a->y1 + a->y2));
  l->rotated = count >= 3 && dy > dx && dy > 4 * l->size;
}

static void trim_piece(const struct pdf_page *p, struct pdf_piece *l) {
  while (l->to > l->from && pdf_is_space(p->glyphs[l->to - 1].c)) l->to--;
  while (l->from < l->to && pdf_is_space(p->glyphs[l->from].c)) l->from++;
}

/* Adds the glyphs [from, to) of a line as a piece; a bullet comes off its front, and one that
 * stands alone is kept as a piece of its own until place_marks. */
static void add_piece(struct pdf_page *p, size_t from, size_t to) {
  struct pdf_piece *l = &p->pieces[p->piece_count];
  *l = (struct pdf_piece){.from = from, .to = to};
  trim_piece(p, l);
  if (l->from == l->to) return;
  if (is_bullet(p->glyphs[l->from].c) && l->to - l->from > 1) {
    l->item = true;
    l->item_x = p->glyphs[l->from].x1;
    while (l->from < l->to &&
           (is_bullet(p->glyphs[l->from].c) || pdf_is_space(p->glyphs[l->from].c)))
      l->from++;
    if (l->from == l->to) l->from = from, trim_piece(p, l), l->item = false;
  }
  measure_piece(p, l);
  if (l->right > l->left) p->piece_count++;
}

/* Does a hole in the line stand before glyph i, whose last visible neighbour is `before`? */
static bool is_hole(const struct pdf_page *p, size_t before, size_t i) {
  const struct pdf_glyph *a = &p->glyphs[before], *b = &p->glyphs[i];
  float size = fminf(a->size, b->size), large = fmaxf(a->size, b->size);
  if (fabsf((a->y1 + a->y2) - (b->y1 + b->y2)) > 1.6f * large) return true; /* another height */
  return b->x1 - a->x2 > HOLE * size || b->x2 < a->x1 - HOLE * size;
}

static bool is_mark(const struct pdf_page *p, const struct pdf_piece *l) {
  return l->to - l->from == 1 && is_bullet(p->glyphs[l->from].c);
}

/* A bullet alone belongs to the nearest piece to its right at its height. */
static void place_marks(struct pdf_page *p) {
  for (size_t m = 0; m < p->piece_count; m++) {
    struct pdf_piece *mark = &p->pieces[m], *best = NULL;
    if (!is_mark(p, mark)) continue;
    float middle = (mark->top + mark->bottom) / 2;
    for (struct pdf_piece *l = p->pieces; l < p->pieces + p->piece_count; l++)
      if (l != mark && !is_mark(p, l) && middle > l->top && middle < l->bottom &&
          l->left > mark->left && (!best || l->left < best->left))
        best = l;
    if (best && best->left - mark->right < 6 * best->size) {
      best->item = true;
      best->item_x = mark->left;
      mark->gone = true;
    }
  }
}

static void drop_gone(struct pdf_page *p) {
  size_t n = 0;
  for (size_t i = 0; i < p->piece_count; i++)
    if (!p->pieces[i].gone) p->pieces[n++] = p->pieces[i];
  p->piece_count = n;
}

/* Where typewriter type stands beside other type in a line, poppler puts the two at different
 * heights, as their fonts say: by how much is learned here. */
static void learn_shift(const struct pdf_page *p, const struct pdf_piece *l, struct pdf_style *s) {
  for (size_t i = l->from + 1; i < l->to && s->shifts < 1000; i++) {
    const struct pdf_glyph *a = &p->glyphs[i - 1], *b = &p->glyphs[i];
    if (pdf_is_space(a->c) && i >= l->from + 2) a--;
    if (a->mono == b->mono || pdf_is_space(a->c) || pdf_is_space(b->c)) continue;
    if (fabsf(a->size - b->size) > 0.1f * b->size || !(b->size > 0)) continue;
    float d = (b->mono ? b->y1 - a->y1 : a->y1 - b->y1) / b->size;
    if (fabsf(d) > 0.5f) continue;
    s->shift += (d - s->shift) / (float)++s->shifts;
  }
}

int pdf_pieces(struct pdf_page *p, struct pdf_style *style, struct err *err) {
  size_t from = 0, last = SIZE_MAX;
  int rc = split_ligatures(p, err);
  if (rc) return rc;
  p->pieces = mem_zeros(p->count + 1, sizeof *p->pieces);
  if (!p->pieces) return err_nomem(err, p->count * sizeof *p->pieces, "a page's lines");
  for (size_t i = 0; i <= p->count; i++) {
    bool end = i == p->count || p->glyphs[i].c == '\n';
    if (!end && pdf_is_space(p->glyphs[i].c)) continue;
    bool dots = !end && p->glyphs[i].c == '.' && i + 2 < p->count &&
                (p->glyphs[i + 1].c == '.' || p->glyphs[i + 2].c == '.'); /* a leader */
    if (end || (last != SIZE_MAX && !dots && is_hole(p, last, i))) {
      add_piece(p, from, i);
      from = end ? i + 1 : i;
    }
    last = end ? SIZE_MAX : i;
  }
  if (p->piece_count < 4096) place_marks(p);
  drop_gone(p);
  count_sizes(p, style);
  for (size_t i = 0; i < p->piece_count; i++) {
    learn_words(p, &p->pieces[i], style);
    learn_shift(p, &p->pieces[i], style);
  }
  return 0;
}

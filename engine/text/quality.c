/* SPDX-License-Identifier: MIT */
/* Measures of quality; see quality.h.
 *
 * The scan goes once over the text, a piece (word, sign, blank) at a time, and looks back only at a
 * line's own ends. For repetition it leaves the pieces behind in two buffers, so that an n-gram is
 * one stretch of bytes and is hashed as such:
 *
 *   "It's so, so good"    spaced   It's so , so good        top n-grams: joined by a blank
 *                         tight    It'sso,sogood            repeated n-grams: joined by nothing
 *                         at       0 5 8 10 13 18           where piece i begins in spaced
 *
 * Two n-grams are the same when their 64-bit hashes are; in a text of a million words two that differ
 * meet with a probability of 1 in 40 million.
 */
#include "text/quality.h"
#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/chars.h"

#include <string.h>

#define POLL_BYTES ((size_t)1 << 20)
#define LONG_STOP  64 /* bytes of the longest stop word */

/* ---- a set of hashes, with how often each was seen ---- */

struct seen {
  uint64_t hash; /* 0: free */
  uint32_t count, first;
};
struct table {
  struct seen *v;
  size_t cap, used, allocated;
};

static int table_begin(struct table *t, size_t expected, struct err *err) {
  size_t cap = 64;
  while (cap < 2 * expected) cap *= 2;
  if (cap > t->allocated) {
    mem_free(t->v);
    t->allocated = 0;
    t->v = mem_array(cap, sizeof *t->v);
    if (!t->v) return err_nomem(err, cap * sizeof *t->v, "a table of n-grams");
    t->allocated = cap;
  }
  t->cap = cap;
  t->used = 0;
  memset(t->v, 0, cap * sizeof *t->v);
  return 0;
}

/* The place of a hash; a new one has count 0. There is room: see table_room. */
static struct seen *table_at(struct table *t, uint64_t hash) {
  if (!hash) hash = 1;
  size_t i = (size_t)hash & (t->cap - 1);
  while (t->v[i].hash && t->v[i].hash != hash) i = (i + 1) & (t->cap - 1);
  if (!t->v[i].hash) {
    t->v[i].hash = hash;
    t->used++;
  }
  return &t->v[i];
}

/* Room for one more, where the number was not known before. */
static int table_room(struct table *t, struct err *err) {
  if (2 * (t->used + 1) <= t->cap) return 0;
  struct table bigger = {0};
  int rc = table_begin(&bigger, t->cap, err);
  if (rc) return rc;
  for (size_t i = 0; i < t->cap; i++)
    if (t->v[i].hash) *table_at(&bigger, t->v[i].hash) = t->v[i];
  mem_free(t->v);
  *t = bigger;
  return 0;
}

/* ---- what is kept from text to text ---- */

struct quality_work {
  struct table stop; /* the list; first: its number from 0 */
  size_t stop_count, longest_stop;
  unsigned char *stop_met; /* by number: was it in this text? */
  struct table table, distinct;
  struct buf spaced, tight;
  uint32_t *at,
      *characters; /* of pieces: offset in spaced, characters before; one more at the end */
  size_t pieces, cap;
};

static int stop_list(struct quality_work *w, const char *const *words, size_t count,
                     struct err *err) {
  int rc = table_begin(&w->stop, count, err);
  if (rc) return rc;
  w->stop_met = mem_zeros(count, 1);
  if (!w->stop_met) return err_nomem(err, count, "stop words");
  for (size_t i = 0; i < count; i++) {
    size_t n = strlen(words[i]);
    struct seen *p = table_at(&w->stop, hash_xxh3(words[i], n, 0));
    if (p->count++) continue; /* twice in the list: counts once */
    p->first = (uint32_t)w->stop_count++;
    if (n > w->longest_stop) w->longest_stop = n;
  }
  return 0;
}

int quality_work_new(struct quality_work **out, const char *const *stop_words, size_t count,
                     struct err *err) {
  struct quality_work *w = mem_zero(sizeof *w);
  *out = NULL;
  if (!w) return err_nomem(err, sizeof *w, "measures of quality");
  buf_init(&w->spaced);
  buf_init(&w->tight);
  int rc = stop_list(w, stop_words, count, err);
  if (rc) {
    quality_work_free(w);
    return rc;
  }
  *out = w;
  return 0;
}

void quality_work_free(struct quality_work *w) {
  if (!w) return;
  mem_free(w->stop.v);
  mem_free(w->stop_met);
  mem_free(w->table.v);
  mem_free(w->distinct.v);
  buf_clear(&w->spaced);
  buf_clear(&w->tight);
  mem_free(w->at);
  mem_free(w->characters);
  mem_free(w);
}

/* ---- the scan ---- */

struct scan {
  const char *s;
  size_t n, i, characters; /* how far it is, in bytes and in characters */
  unsigned parts;
  size_t short_line;
  struct quality_work *w;
  struct quality *q;
  bool after_end;            /* the character before i ends sentences */
  uint32_t first;            /* the first sign of this line that is not white space; 0: none yet */
  size_t first_at, last_end; /* where it begins; where the last one ends */
  size_t text_at, text_characters; /* where the line begins that U+000A began */
  bool text_seen;                  /* it is not blank */
  int rc;
  struct err *err;
};

static bool grow_pieces(struct scan *p) {
  struct quality_work *w = p->w;
  if (w->pieces + 1 < w->cap) return true;
  size_t cap = w->cap ? 2 * w->cap : 1024;
  uint32_t *at = mem_rearray(w->at, cap, sizeof *at);
  if (at) w->at = at;
  uint32_t *characters = mem_rearray(w->characters, cap, sizeof *characters);
  if (characters) w->characters = characters;
  if (at && characters)
    w->cap = cap;
  else
    p->rc = err_nomem(p->err, cap * 2 * sizeof *at, "the words of a text");
  return !p->rc;
}

/* Leaves a piece behind for the n-grams. */
static void keep_piece(struct scan *p, size_t from, size_t to, size_t characters) {
  struct quality_work *w = p->w;
  if (w->pieces == QUALITY_WORDS_MAX || !grow_pieces(p)) return;
  if (!w->pieces) w->at[0] = w->characters[0] = 0;
  buf_add(&w->spaced, p->s + from, to - from);
  buf_addc(&w->spaced, ' ');
  buf_add(&w->tight, p->s + from, to - from);
  w->pieces++;
  w->at[w->pieces] = (uint32_t)w->spaced.len;
  w->characters[w->pieces] = w->characters[w->pieces - 1] + (uint32_t)characters;
}

static void meet_distinct(struct scan *p, size_t from, size_t to) {
  char small[256];
  const char *s = p->s + from;
  size_t n = to - from;
  if (p->w->distinct.used >= QUALITY_WORDS_MAX) return;
  if (n <= sizeof small) {
    for (size_t i = 0; i < n; i++) small[i] = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] | 32) : s[i];
    s = small;
  }
  p->rc = table_room(&p->w->distinct, p->err);
  if (!p->rc) table_at(&p->w->distinct, hash_xxh3(s, n, 0));
}

static void meet_stop(struct quality_work *w, struct quality *q, const char *s, size_t n) {
  uint64_t hash = hash_xxh3(s, n, 0);
  if (!hash) hash = 1;
  for (size_t i = (size_t)hash & (w->stop.cap - 1); w->stop.v[i].hash;
       i = (i + 1) & (w->stop.cap - 1)) {
    if (w->stop.v[i].hash != hash) continue;
    unsigned char *met = &w->stop_met[w->stop.v[i].first];
    q->stop_words += !*met;
    *met = 1;
    return;
  }
}

static void word(struct scan *p, size_t from, size_t to, size_t characters, unsigned classes) {
  struct quality *q = p->q;
  q->pieces++;
  q->words++;
  q->word_characters += characters;
  if (classes & CHAR_LETTER) q->letter_words++;
  if (to - from <= p->w->longest_stop) meet_stop(p->w, q, p->s + from, to - from);
  if (p->parts & QUALITY_DIVERSITY) meet_distinct(p, from, to);
  if (p->parts & QUALITY_REPETITION) keep_piece(p, from, to, characters);
}

static uint32_t next_char(const struct scan *p, size_t at, size_t *used) {
  unsigned char b = (unsigned char)p->s[at];
  if (b < 128) return *used = 1, b;
  return utf8_decode(p->s + at, p->n - at, used);
}

static unsigned next_class(const struct scan *p, size_t at, size_t *used) {
  uint32_t c = next_char(p, at, used);
  return c == UTF8_BAD ? 0 : char_class(c);
}

/* From p->i: letters and what joins them. */
static void take_word(struct scan *p) {
  size_t from = p->i, at = from, characters = 0, used, after;
  unsigned classes = 0;
  bool real = false;
  while (at < p->n) {
    unsigned k = next_class(p, at, &used);
    if (k & CHAR_WORD) {
      classes |= k;
      real = real || k & (CHAR_LETTER | CHAR_MARK | CHAR_NUMBER);
    } else if (!(k & CHAR_JOIN) || at + used >= p->n ||
               !(next_class(p, at + used, &after) & CHAR_WORD)) {
      break;
    }
    at += used;
    characters++;
  }
  p->i = at;
  p->characters += characters;
  p->after_end = false;
  if (real)
    word(p, from, at, characters, classes);
  else if (p->q->pieces++, p->parts & QUALITY_REPETITION)
    keep_piece(p, from, at, characters);
}

/* From p->i: a sign and its repetitions. */
static void take_sign(struct scan *p, uint32_t c, unsigned class, size_t used) {
  size_t from = p->i, at = from, count = 0;
  do {
    at += used;
    count++;
  } while (p->n - at >= used && !memcmp(p->s + at, p->s + from, used));
  if (c == '#') p->q->hashes += count;
  if (c == '.') p->q->ellipses += count / 3;
  if (c == 0x2026) p->q->ellipses += count;
  if (class & CHAR_END && !p->after_end) p->q->sentence_ends++;
  p->after_end = class & CHAR_END;
  p->i = at;
  p->characters += count;
  p->q->pieces++;
  if (p->parts & QUALITY_REPETITION) keep_piece(p, from, at, count);
}

/* A line in the sense of splitlines ends. */
static void end_line(struct scan *p) {
  const char *end = p->s + p->last_end;
  p->q->lines++;
  if (!p->first) return;
  if (p->first == '-' || p->first == 0x2022) p->q->bullet_lines++;
  if ((p->last_end - p->first_at >= 3) &&
      (!memcmp(end - 3, "...", 3) || !memcmp(end - 3, "\xe2\x80\xa6", 3)))
    p->q->ellipsis_lines++;
  p->first = 0;
}

/* A line that U+000A, or the text's end at p->i, ends. */
static void end_text_line(struct scan *p) {
  size_t characters = p->characters - p->text_characters;
  if (!p->text_seen) return;
  p->q->text_lines++;
  p->q->punctuated_lines += p->after_end;
  p->q->short_lines += characters <= p->short_line;
  p->rc = table_room(&p->w->table, p->err);
  if (p->rc) return;
  struct seen *line = table_at(&p->w->table, hash_xxh3(p->s + p->text_at, p->i - p->text_at, 0));
  if (line->count++) p->q->repeated_line_characters += characters;
  p->text_seen = false;
}

static void take_space(struct scan *p, uint32_t c, unsigned class, size_t used) {
  if (c == '\n') end_text_line(p);
  p->after_end = false;
  p->i += used;
  p->characters++;
  if (!(class & CHAR_LINE)) return;
  end_line(p);
  if (c == '\r' && p->i < p->n && p->s[p->i] == '\n') { /* one end of a line */
    end_text_line(p);
    p->i++;
    p->characters++;
    c = '\n';
  }
  if (c != '\n') return;
  p->q->newlines++;
  p->text_at = p->i;
  p->text_characters = p->characters;
}

static void scan_text(struct scan *p) {
  size_t used, polled = 0, line_start = 0;
  while (p->i < p->n && !p->rc) {
    if (p->i - polled > POLL_BYTES) {
      p->rc = cancel_check(p->err);
      polled = p->i;
    }
    uint32_t c = next_char(p, p->i, &used);
    unsigned class = c == UTF8_BAD ? 0 : char_class(c);
    if (class & CHAR_SPACE) {
      take_space(p, c, class, used);
      if (class & CHAR_LINE) line_start = p->i;
      continue;
    }
    if (!p->first) {
      p->first = c;
      p->first_at = p->i;
    }
    p->text_seen = true;
    if (class & CHAR_WORD)
      take_word(p);
    else
      take_sign(p, c, class, used);
    p->last_end = p->i;
  }
  if (line_start < p->n) end_line(p);
  end_text_line(p);
}

/* ---- repetition ---- */

static size_t stripped(const char *s, size_t n, size_t *from) {
  size_t i = 0, used;
  while (i < n) {
    uint32_t c = utf8_decode(s + i, n - i, &used);
    if (c == UTF8_BAD || !(char_class(c) & CHAR_SPACE)) break;
    i += used;
  }
  *from = i;
  while (n > i) {
    size_t at = n - 1;
    while (at > i && ((unsigned char)s[at] & 0xc0) == 0x80) at--;
    uint32_t c = utf8_decode(s + at, n - at, &used);
    if (c == UTF8_BAD || !(char_class(c) & CHAR_SPACE)) break;
    n = at;
  }
  return n;
}

/* Parts between runs of at least `least` line ends: how many, how many that were there before, and
 * the characters of these. */
static int duplicate_parts(struct table *t, const char *s, size_t n, size_t least, size_t out[3],
                           struct err *err) {
  int rc = table_begin(t, 64, err);
  out[0] = out[1] = out[2] = 0;
  for (size_t from = 0, at = 0; !rc; at = from) {
    const char *e;
    size_t end = n;
    while ((e = memchr(s + at, '\n', n - at))) {
      end = (size_t)(e - s);
      for (at = end; at < n && s[at] == '\n'; at++) continue;
      if (at - end >= least) break;
      end = n;
    }
    rc = table_room(t, err);
    if (rc) break;
    struct seen *p = table_at(t, hash_xxh3(s + from, end - from, 0));
    out[0]++;
    if (p->count++) {
      out[1]++;
      out[2] += utf8_count(s + from, end - from);
    }
    if (!e) break;
    from = at;
  }
  return rc;
}

/* Characters of the most frequent n-gram, all its places together; the first one among equals. */
static int top_gram(struct quality_work *w, size_t n, size_t *characters, struct err *err) {
  *characters = 0;
  if (w->pieces < n) return 0;
  size_t count = w->pieces - n + 1;
  int rc = table_begin(&w->table, count, err);
  if (rc) return rc;
  uint32_t best = 0;
  for (size_t i = 0; i < count; i++) {
    size_t length = w->at[i + n] - w->at[i] - 1;
    struct seen *p = table_at(&w->table, hash_xxh3(w->spaced.data + w->at[i], length, 0));
    if (!p->count++) p->first = (uint32_t)i;
    if (p->count > best) best = p->count;
  }
  /* several may reach the highest count: the one that came first */
  uint32_t first = UINT32_MAX;
  for (size_t i = 0; i < w->table.cap; i++)
    if (w->table.v[i].count == best && w->table.v[i].first < first) first = w->table.v[i].first;
  *characters = (w->characters[first + n] - w->characters[first] + n - 1) * (size_t)best;
  return 0;
}

/* Characters in n-grams that were there before, none counted twice: behind a repeated one the search
 * goes on after its end. */
static int duplicate_gram(struct quality_work *w, size_t n, size_t *characters, struct err *err) {
  *characters = 0;
  if (w->pieces < n) return 0;
  int rc = table_begin(&w->table, w->pieces - n + 1, err);
  for (size_t i = 0; !rc && i + n <= w->pieces;) {
    size_t from = w->at[i] - i, to = w->at[i + n] - (i + n);
    struct seen *p = table_at(&w->table, hash_xxh3(w->tight.data + from, to - from, 0));
    if (p->count++) {
      *characters += w->characters[i + n] - w->characters[i];
      i += n;
    } else {
      i++;
    }
  }
  return rc;
}

static int repetition(struct quality_work *w, const char *s, size_t n, struct quality *q,
                      struct err *err) {
  size_t from, out[3], end = stripped(s, n, &from);
  int rc = duplicate_parts(&w->table, s + from, end - from, 2, out, err);
  q->paragraphs = out[0], q->duplicate_paragraphs = out[1];
  q->duplicate_paragraph_characters = out[2];
  if (!rc) rc = duplicate_parts(&w->table, s, n, 1, out, err);
  q->split_lines = out[0], q->duplicate_lines = out[1], q->duplicate_line_characters = out[2];
  for (size_t k = 0; !rc && k < QUALITY_TOP; k++) rc = top_gram(w, k + 2, &q->top[k], err);
  for (size_t k = 0; !rc && k < QUALITY_DUPLICATE; k++) {
    rc = cancel_check(err);
    if (!rc) rc = duplicate_gram(w, k + 5, &q->duplicate[k], err);
  }
  return rc;
}

int quality_measure(struct quality_work *w, const char *s, size_t n, unsigned parts,
                    size_t short_line, struct quality *q, struct err *err) {
  *q = (struct quality){.bytes = n};
  if (n >= UINT32_MAX / 2)
    return err_set(err, ERR_LIMIT, "a text of %zu bytes is too long to be measured", n);
  if (w->stop_count) memset(w->stop_met, 0, w->stop_count);
  buf_reset(&w->spaced);
  buf_reset(&w->tight);
  w->pieces = 0;
  struct scan p = {.s = s ? s : "",
                   .n = n,
                   .parts = parts,
                   .short_line = short_line,
                   .w = w,
                   .q = q,
                   .err = err};
  int rc = table_begin(&w->table, 64, err);
  if (!rc && parts & QUALITY_DIVERSITY) rc = table_begin(&w->distinct, 64, err);
  if (rc) return rc;
  scan_text(&p);
  rc = p.rc;
  q->characters = p.characters;
  if (parts & QUALITY_DIVERSITY) q->distinct_words = w->distinct.used;
  if (!rc) rc = buf_check(&w->spaced, "the words of a text", err);
  if (!rc) rc = buf_check(&w->tight, "the words of a text", err);
  if (!rc && parts & QUALITY_REPETITION) rc = repetition(w, p.s, n, q, err);
  return rc;
}

/* ---- ratios ---- */

const char *const quality_names[QUALITY_VALUES] = {"bytes",
                                                   "characters",
                                                   "words",
                                                   "pieces",
                                                   "lines",
                                                   "mean_word_length",
                                                   "hashes",
                                                   "ellipses",
                                                   "bullet_lines",
                                                   "ellipsis_lines",
                                                   "alphabetic_words",
                                                   "stop_words",
                                                   "duplicate_lines",
                                                   "duplicate_paragraphs",
                                                   "duplicate_line_characters",
                                                   "duplicate_paragraph_characters",
                                                   "top_2_gram",
                                                   "top_3_gram",
                                                   "top_4_gram",
                                                   "duplicate_5_gram",
                                                   "duplicate_6_gram",
                                                   "duplicate_7_gram",
                                                   "duplicate_8_gram",
                                                   "duplicate_9_gram",
                                                   "duplicate_10_gram",
                                                   "punctuated_lines",
                                                   "short_lines",
                                                   "repeated_line_characters",
                                                   "newlines_per_word",
                                                   "sentence_ends",
                                                   "distinct_words"};

static double ratio(size_t a, size_t b) {
  return b ? (double)a / (double)b : 0;
}

void quality_values(const struct quality *q, double out[QUALITY_VALUES]) {
  const double values[QUALITY_VALUES] = {
      (double)q->bytes,
      (double)q->characters,
      (double)q->words,
      (double)q->pieces,
      (double)q->lines,
      ratio(q->word_characters, q->words),
      ratio(q->hashes, q->pieces),
      ratio(q->ellipses, q->pieces),
      ratio(q->bullet_lines, q->lines),
      ratio(q->ellipsis_lines, q->lines),
      ratio(q->letter_words, q->pieces),
      (double)q->stop_words,
      ratio(q->duplicate_lines, q->split_lines),
      ratio(q->duplicate_paragraphs, q->paragraphs),
      ratio(q->duplicate_line_characters, q->characters),
      ratio(q->duplicate_paragraph_characters, q->characters),
      ratio(q->top[0], q->characters),
      ratio(q->top[1], q->characters),
      ratio(q->top[2], q->characters),
      ratio(q->duplicate[0], q->characters),
      ratio(q->duplicate[1], q->characters),
      ratio(q->duplicate[2], q->characters),
      ratio(q->duplicate[3], q->characters),
      ratio(q->duplicate[4], q->characters),
      ratio(q->duplicate[5], q->characters),
      ratio(q->punctuated_lines, q->text_lines),
      ratio(q->short_lines, q->text_lines),
      ratio(q->repeated_line_characters, q->characters - q->newlines),
      ratio(q->newlines, q->pieces),
      (double)q->sentence_ends,
      ratio(q->distinct_words, q->words),
  };
  memcpy(out, values, sizeof values);
}

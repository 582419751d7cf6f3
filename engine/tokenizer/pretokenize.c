/* SPDX-License-Identifier: MIT */
/* Pre-tokenizers in general: text → words, one step after the other.
 *
 *   text   ␣one,two            pieces [0,8)
 *   Split at ','               pieces [0,4) [4,5) [5,8)     the text stays
 *   alphabet                   text Ġone,two                the text is written anew, piece by piece
 *
 * A step that cuts sees each piece as a text of its own, as a row of events: [from, to) matches, or
 * lies between matches, together covering the piece. The behaviour makes pieces of events as they
 * come. Empty events count (they end a run of matches), empty pieces vanish.
 *
 * What the reference means by the first piece, which Metaspace asks: one whose first byte stands for
 * the beginning of the input. A prefix that was put before a piece shares the position of the
 * character after it, so several pieces may be first (`zero`).
 */
#include "tokenizer/pretokenize.h"

#include "base/cancel.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <string.h>

void pieces_clear(struct pieces *p) {
  aligned_clear(&p->a);
  mem_free(p->list);
  *p = (struct pieces){0};
}

bool pre_tokenizer_byte_level(const struct pre_tokenizer *p) {
  return p && p->byte_level;
}

/* ---- from events to pieces ---- */

struct cutter {
  const struct pre_tokenizer *p;
  struct pieces *to;
  enum cut_behavior behavior;
  bool invert;
  bool any;      /* a piece of this piece is held */
  bool previous; /* the last event was a match */
  struct piece held;
  size_t base; /* where the piece begins in its text */
  struct err *err;
};

static int add_piece(struct cutter *c, struct piece piece) {
  struct pieces *to = c->to;
  if (piece.start == piece.end) return 0;
  if (to->count == to->cap) {
    size_t cap = to->cap ? to->cap * 2 : 64;
    struct piece *grown = mem_rearray(to->list, cap, sizeof *grown);
    if (!grown) return err_nomem(c->err, cap * sizeof *grown, "the words of a text");
    to->list = grown;
    to->cap = cap;
  }
  to->list[to->count++] = piece;
  return 0;
}

/* The next event; positions are the piece's own. One piece is held back, to which more may come. */
static int event(struct cutter *c, size_t from, size_t to, bool match) {
  struct piece next = {c->base + from, c->base + to};
  bool joins = false;
  int rc = 0;
  if (c->invert) match = !match;
  switch (c->behavior) {
  case CUT_REMOVED:
    return match ? 0 : add_piece(c, next);
  case CUT_ISOLATED:
    return add_piece(c, next);
  case CUT_CONTIGUOUS:
    joins = match == c->previous;
    break;
  case CUT_PREVIOUS:
    joins = match && !c->previous;
    break;
  case CUT_NEXT:
    joins = !match && c->previous;
    break;
  }
  if (c->any && joins) {
    c->held.end = next.end;
  } else {
    if (c->any) rc = add_piece(c, c->held);
    c->held = next;
    c->any = true;
  }
  c->previous = match;
  return rc;
}

static void cutter_begin(struct cutter *c, struct piece piece) {
  c->any = c->previous = false;
  c->base = piece.start;
}

static int cutter_end(struct cutter *c) {
  return c->any ? add_piece(c, c->held) : 0;
}

/* ---- the steps that cut ---- */

/* The character at s + at, of n; how many bytes it has. CHARSET_BAD for a byte that is none. */
static inline uint32_t char_at(const char *s, size_t n, size_t at, size_t *used) {
  unsigned char b = (unsigned char)s[at];
  *used = 1;
  if (b < 0x80) return b;
  uint32_t c = utf8_decode(s + at, n - at, used);
  if (c != UTF8_BAD) return c;
  *used = 1;
  return CHARSET_BAD;
}

static inline unsigned kind_at(const struct cutter *c, const char *s, size_t n, size_t at,
                               size_t *used) {
  uint32_t one = char_at(s, n, at, used);
  return one < 128 ? c->p->of_byte[one] : char_kind(one);
}

static int cut_pattern(struct cutter *c, struct matches *m, const struct pre_step *step,
                       const char *s, size_t n) {
  size_t done = 0, from, to;
  bool found;
  int rc = matches_begin(m, step->pattern, s, n, c->err);
  while (!rc && !(rc = matches_next(m, &found, &from, &to, c->err)) && found) {
    if (from > done) rc = event(c, done, from, false);
    if (!rc) rc = event(c, from, to, true);
    if (to / TOKENIZER_POLL != done / TOKENIZER_POLL && !rc) rc = cancel_check(c->err);
    done = to;
  }
  return !rc && done < n ? event(c, done, n, false) : rc;
}

/* Each character that matches is an event, what lies between them is one. */
static int cut_chars(struct cutter *c, const struct pre_step *step, const char *s, size_t n) {
  size_t done = 0, used;
  int rc = 0;
  for (size_t at = 0; !rc && at < n; at += used) {
    bool match = step->kind == STEP_CHAR ? char_at(s, n, at, &used) == step->character
                                         : kind_at(c, s, n, at, &used) & step->mask;
    if (!match) continue;
    if (at > done) rc = event(c, done, at, false);
    if (!rc) rc = event(c, at, at + used, true);
    done = at + used;
  }
  return !rc && done < n ? event(c, done, n, false) : rc;
}

/* \w+|[^\w\s]+ */
static int cut_words(struct cutter *c, const char *s, size_t n) {
  size_t from = 0, used;
  unsigned run = CHAR_SPACE;
  int rc = 0;
  for (size_t at = 0; !rc && at < n; at += used) {
    unsigned kind = kind_at(c, s, n, at, &used) & (CHAR_WORD | CHAR_SPACE);
    if (kind == run) continue;
    if (run != CHAR_SPACE) rc = event(c, from, at, true);
    from = at;
    run = kind;
  }
  return !rc && run != CHAR_SPACE && from < n ? event(c, from, n, true) : rc;
}

static int cut_length(struct cutter *c, size_t length, const char *s, size_t n) {
  size_t from = 0, count = 0, used;
  int rc = 0;
  for (size_t at = 0; !rc && at < n; at += used) {
    if (count == length) {
      rc = event(c, from, at, true);
      from = at;
      count = 0;
    }
    char_at(s, n, at, &used);
    count++;
  }
  return rc ? rc : event(c, from, n, true);
}

/* Before each character whose script is another than the last one's; characters without a script
 * stay with what is before them, and vanish where there is nothing. */
static int cut_scripts(struct cutter *c, const char *s, size_t n) {
  size_t from = n, used;
  unsigned last = 0;
  int rc = 0;
  for (size_t at = 0; !rc && at < n; at += used) {
    unsigned script = char_script(char_at(s, n, at, &used));
    if (!script || script == last) continue;
    if (last) rc = event(c, from, at, true);
    from = at;
    last = script;
  }
  return rc || !last ? rc : event(c, from, n, true);
}

static int cut(struct cutter *c, struct matches *m, const struct pre_step *step, const char *s,
               size_t n) {
  switch (step->kind) {
  case STEP_PATTERN:
    return cut_pattern(c, m, step, s, n);
  case STEP_WORDS:
    return cut_words(c, s, n);
  case STEP_LENGTH:
    return cut_length(c, step->length, s, n);
  case STEP_SCRIPTS:
    return cut_scripts(c, s, n);
  default:
    return cut_chars(c, step, s, n);
  }
}

/* All pieces of `io`; the list of `spare` takes the new ones, then they change places. */
static int run_cut(const struct pre_tokenizer *p, const struct pre_step *step, struct pieces *io,
                   struct pieces *spare, struct err *err) {
  struct cutter c = {
      .p = p, .to = spare, .behavior = step->behavior, .invert = step->invert, .err = err};
  struct matches m = {0};
  size_t polled = 0;
  int rc = 0;
  spare->count = 0;
  for (size_t i = 0; !rc && i < io->count; i++) {
    struct piece piece = io->list[i];
    if (piece.end == piece.start) continue;
    cutter_begin(&c, piece);
    rc = cut(&c, &m, step, io->a.text.data + piece.start, piece.end - piece.start);
    if (!rc) rc = cutter_end(&c);
    if (!rc && piece.end - polled > TOKENIZER_POLL) {
      rc = cancel_check(err);
      polled = piece.end;
    }
  }
  matches_clear(&m);
  struct piece *list = io->list;
  size_t cap = io->cap;
  io->list = spare->list;
  io->cap = spare->cap;
  io->count = spare->count;
  spare->list = list;
  spare->cap = cap;
  return rc;
}

/* ---- the steps that write the text anew ---- */

struct rewriting {
  const struct pre_step *step;
  const struct aligned *from;
  struct aligned *to;
  bool begins, sliced;
  size_t zero, next_zero; /* untracked: pieces that begin below this byte are first; the next one */
};

/* The old bytes [at, end) come next in the new text: where `zero` goes. */
static void carry(struct rewriting *w, size_t at, size_t end, bool copied) {
  if (at < w->zero && w->zero <= end)
    w->next_zero = w->to->text.len + 1 + (copied ? w->zero - 1 - at : 0);
}

/* Bytes [at, end) of the old text, each for what it stood for. */
static void keep(struct rewriting *w, size_t at, size_t end) {
  const struct aligned *a = w->from;
  carry(w, at, end, true);
  if (!a->track) {
    aligned_add(w->to, a->text.data + at, end - at, 0, 0);
    return;
  }
  while (at < end) {
    size_t k = at + 1;
    bool plain = a->end[at] == a->start[at] + 1;
    while (k < end &&
           (plain ? a->start[k] == a->start[at] + (k - at) && a->end[k] == a->start[k] + 1
                  : a->start[k] == a->start[at] && a->end[k] == a->end[at]))
      k++;
    if (plain)
      aligned_copy(w->to, a->text.data + at, k - at, a->start[at]);
    else
      aligned_add(w->to, a->text.data + at, k - at, a->start[at], a->end[at]);
    at = k;
  }
}

/* `n` bytes that stand for what the bytes [at, end) of the old text stand for. */
static void put_for(struct rewriting *w, const char *s, size_t n, size_t at, size_t end) {
  carry(w, at, end, false);
  if (w->from->track)
    aligned_add(w->to, s, n, w->from->start[at], w->from->end[end - 1]);
  else
    aligned_add(w->to, s, n, 0, 0);
}

/* A prefix stands for the piece's first character. */
static void prefix(struct rewriting *w, const char *s, size_t n, struct piece piece) {
  size_t used;
  char_at(w->from->text.data + piece.start, piece.end - piece.start, 0, &used);
  put_for(w, s, n, piece.start, piece.start + used);
}

static void write_alphabet(struct rewriting *w, struct piece piece) {
  char out[2];
  for (size_t at = piece.start; at < piece.end; at++) {
    size_t n = byte_char_put((unsigned char)w->from->text.data[at], out);
    put_for(w, out, n, at, at + 1);
  }
}

static bool is_first(const struct rewriting *w, struct piece piece) {
  if (!w->begins) return false;
  if (w->sliced && w->from->track) return w->from->start[piece.start] == 0;
  return piece.start < w->zero;
}

static void write_meta(struct rewriting *w, struct piece piece) {
  char mark[4];
  const char *s = w->from->text.data;
  size_t len = utf8_encode(w->step->character, mark), at = piece.start;
  bool marked = s[at] == ' ' || (piece.end - at >= len && !memcmp(s + at, mark, len));
  if (!marked &&
      (w->step->prepend == META_ALWAYS || (w->step->prepend == META_FIRST && is_first(w, piece))))
    prefix(w, mark, len, piece);
  while (at < piece.end) {
    const char *space = memchr(s + at, ' ', piece.end - at);
    size_t end = space ? (size_t)(space - s) : piece.end;
    keep(w, at, end);
    if (space) put_for(w, mark, len, end, end + 1);
    at = end + (space != NULL);
  }
}

static void rewrite(struct rewriting *w, struct piece piece) {
  switch (w->step->kind) {
  case STEP_ALPHABET:
    write_alphabet(w, piece);
    break;
  case STEP_META:
    write_meta(w, piece);
    break;
  default:
    if (w->from->text.data[piece.start] != ' ') prefix(w, " ", 1, piece);
    keep(w, piece.start, piece.end);
    break;
  }
}

static int run_rewrite(const struct pre_step *step, struct pieces *io, struct pieces *spare,
                       struct rewriting *w, struct err *err) {
  struct cutter c = {.to = spare, .err = err};
  size_t polled = 0;
  int rc = 0;
  aligned_reset(&spare->a, io->a.track);
  spare->count = 0;
  w->step = step;
  w->from = &io->a;
  w->to = &spare->a;
  w->next_zero = 0;
  for (size_t i = 0; !rc && i < io->count; i++) {
    struct piece piece = io->list[i];
    if (piece.end == piece.start) continue;
    size_t start = spare->a.text.len;
    rewrite(w, piece);
    if (piece.start < w->zero && w->next_zero <= start) w->next_zero = start + 1;
    if (!spare->a.text.failed) rc = add_piece(&c, (struct piece){start, spare->a.text.len});
    if (!rc && piece.end - polled > TOKENIZER_POLL) {
      rc = cancel_check(err);
      polled = piece.end;
    }
  }
  if (!rc) rc = buf_check(&spare->a.text, "the words of a text", err);
  w->zero = w->next_zero;
  struct pieces t = *io;
  *io = *spare;
  *spare = t;
  return rc;
}

/* ---- the whole ---- */

int pre_tokenizer_run(const struct pre_tokenizer *p, struct pieces *io, struct pieces *spare,
                      size_t begins, bool *alphabet, struct err *err) {
  struct rewriting w = {.begins = begins > 0, .sliced = io->count > 1, .zero = begins};
  int rc = 0;
  *alphabet = false;
  if (!p) return 0;
  for (size_t i = 0; !rc && i < p->count; i++) {
    const struct pre_step *step = &p->steps[i];
    if (step->kind == STEP_ALPHABET || step->kind == STEP_META || step->kind == STEP_SPACE) {
      rc = run_rewrite(step, io, spare, &w, err);
    } else {
      rc = run_cut(p, step, io, spare, err);
      w.sliced = true;
    }
    if (step->kind == STEP_ALPHABET) *alphabet = true;
  }
  if (p->bytes_last) {
    *alphabet = false;
    if (!io->a.text.len) io->count = 0; /* as cutting would have it */
  }
  return rc;
}

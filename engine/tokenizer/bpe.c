/* SPDX-License-Identifier: MIT */
/* The model: the bytes of one word, merged pair by pair, always the pair of lowest rank, leftmost
 * first, until no neighbours are in the table.
 *
 *   "Ġlow" →  Ġ l o w  ─(l,o)→  Ġ lo w  ─(lo,w)→  Ġ low  ─(Ġ,low)→  Ġlow
 *
 * Pairs are found in an open-addressing table. Short words keep their symbols in an array and look
 * for the lowest rank each time; long ones keep them in a list and the ranks in a heap whose stale
 * entries are recognised when they come up, so that a word of n bytes costs n log n.
 */
#include "tokenizer/parts.h"

#include <stdio.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "base/utf8.h"

#define NO_RANK     UINT32_MAX
#define NO_PLACE    UINT32_MAX
#define SHORT_WORD  48 /* symbols merged without a heap */
#define PAIR_FACTOR 0x9E3779B97F4A7C15u

/* ---- the table of merges ---- */

void bpe_clear(struct bpe *b) {
  mem_free(b->left);
  mem_free(b->right);
  mem_free(b->result);
  mem_free(b->pairs);
  memset(b, 0, sizeof *b);
}

int bpe_add(struct bpe *b, uint32_t left, uint32_t right, uint32_t result, struct err *err) {
  if (b->count == b->cap) {
    size_t cap = b->cap ? b->cap * 2 : 1024;
    uint32_t *l = mem_rearray(b->left, cap, sizeof *l);
    if (l) b->left = l;
    uint32_t *r = mem_rearray(b->right, cap, sizeof *r);
    if (r) b->right = r;
    uint32_t *to = mem_rearray(b->result, cap, sizeof *to);
    if (to) b->result = to;
    if (!l || !r || !to) return err_nomem(err, cap * 12, "merges");
    b->cap = cap;
  }
  b->left[b->count] = left;
  b->right[b->count] = right;
  b->result[b->count++] = result;
  return 0;
}

static uint64_t pair_key(uint32_t left, uint32_t right) {
  return (uint64_t)left << 32 | right;
}

static struct bpe_pair *pair_slot(const struct bpe *b, uint64_t key) {
  uint64_t h = key * PAIR_FACTOR;
  size_t i = (size_t)(h ^ h >> 32) & b->mask;
  while (b->pairs[i].key != key && b->pairs[i].key != UINT64_MAX) i = (i + 1) & b->mask;
  return &b->pairs[i];
}

static int bpe_bytes(struct bpe *b, const struct vocab *v) {
  char s[2];
  b->complete = true;
  for (unsigned byte = 0; byte < 256; byte++) {
    b->byte_id[byte] = vocab_find(v, s, byte_char_put(byte, s));
    if (b->byte_id[byte] == TOKENIZER_NONE) b->complete = false;
    char name[8];
    size_t n = (size_t)snprintf(name, sizeof name, "<0x%02X>", byte);
    b->fallback[byte] = b->byte_fallback ? vocab_find(v, name, n) : TOKENIZER_NONE;
  }
  return 0;
}

int bpe_finish(struct bpe *b, const struct vocab *v, struct err *err) {
  size_t slots = 1024;
  while (slots < b->count * 2) slots *= 2;
  b->pairs = mem_array(slots, sizeof *b->pairs);
  if (!b->pairs) return err_nomem(err, slots * sizeof *b->pairs, "merges");
  memset(b->pairs, 0xFF, slots * sizeof *b->pairs);
  b->mask = slots - 1;
  for (size_t i = 0; i < b->count; i++) { /* a pair given twice has its last rank */
    uint64_t key = pair_key(b->left[i], b->right[i]);
    *pair_slot(b, key) = (struct bpe_pair){key, (uint32_t)i, b->result[i]};
  }
  return bpe_bytes(b, v);
}

static uint32_t pair_rank(const struct bpe *b, uint32_t left, uint32_t right) {
  return pair_slot(b, pair_key(left, right))->rank; /* empty slots have rank NO_RANK */
}

/* ---- one word ---- */

int tokens_reserve(struct tokens *ts, size_t more, bool spans, struct err *err) {
  size_t need = ts->count + more;
  if (need > ts->cap) {
    size_t cap = ts->cap ? ts->cap : 64;
    while (cap < need) cap *= 2;
    uint32_t *ids = mem_rearray(ts->ids, cap, sizeof *ids);
    if (!ids) return err_nomem(err, cap * sizeof *ids, "tokens");
    ts->ids = ids;
    ts->cap = cap;
  }
  if (spans && need > ts->span_cap) {
    struct token_span *list = mem_rearray(ts->spans, ts->cap, sizeof *list);
    if (!list) return err_nomem(err, ts->cap * sizeof *list, "token spans");
    ts->spans = list;
    ts->span_cap = ts->cap;
  }
  return 0;
}

static int symbols_reserve(struct tokenizer_work *w, size_t n, struct err *err) {
  if (n <= w->symbol_cap) return 0;
  if (n >= NO_PLACE) return err_set(err, ERR_LIMIT, "a word of %zu bytes", n);
  size_t cap = w->symbol_cap ? w->symbol_cap : 256;
  while (cap < n) cap *= 2;
  struct symbol *symbols = mem_rearray(w->symbols, cap, sizeof *symbols);
  if (!symbols) return err_nomem(err, cap * sizeof *symbols, "a long word");
  w->symbols = symbols;
  w->symbol_cap = cap;
  return 0;
}

/* ---- a word's symbols ---- */

struct symbolizer {
  const struct bpe *b;
  struct symbol *s;
  size_t count;
  /* The unknown token waits: it comes after the byte tokens of the characters behind it, as in the
   * reference, until a known character or another unknown one. */
  struct symbol unknown;
  bool waits;
};

static void put_symbol(struct symbolizer *z, uint32_t id, size_t start, size_t len) {
  z->s[z->count++] =
      (struct symbol){.id = id, .rank = NO_RANK, .start = (uint32_t)start, .len = (uint32_t)len};
}

static void flush_unknown(struct symbolizer *z) {
  if (z->waits) z->s[z->count++] = z->unknown;
  z->waits = false;
}

static void put_unknown(struct symbolizer *z, size_t start, size_t len) {
  if (z->b->unk == TOKENIZER_NONE) return;
  if (z->waits && z->b->fuse_unk) {
    z->unknown.len = (uint32_t)(start + len) - z->unknown.start;
    return;
  }
  flush_unknown(z);
  z->waits = true;
  z->unknown = (struct symbol){
      .id = z->b->unk, .rank = NO_RANK, .start = (uint32_t)start, .len = (uint32_t)len};
}

/* The character's bytes as tokens <0xXX>; false unless all of them exist. */
static bool put_fallback(struct symbolizer *z, const char *c, size_t n, size_t start, size_t len) {
  if (!z->b->byte_fallback) return false;
  for (size_t i = 0; i < n; i++)
    if (z->b->fallback[(unsigned char)c[i]] == TOKENIZER_NONE) return false;
  for (size_t i = 0; i < n; i++) {
    size_t from = len == n ? start + i : start;
    put_symbol(z, z->b->fallback[(unsigned char)c[i]], from, len == n ? 1 : len);
  }
  return true;
}

/* The character c, which stands for word[start, start + len). */
static void put_character(struct symbolizer *z, uint32_t id, const char *c, size_t n, size_t start,
                          size_t len) {
  if (id != TOKENIZER_NONE) {
    flush_unknown(z);
    put_symbol(z, id, start, len);
  } else if (!put_fallback(z, c, n, start, len)) {
    put_unknown(z, start, len);
  }
}

static void symbols_of_bytes(struct symbolizer *z, const char *word, size_t n) {
  char c[2];
  for (size_t i = 0; i < n; i++) {
    unsigned byte = (unsigned char)word[i];
    put_character(z, z->b->byte_id[byte], c, byte_char_put(byte, c), i, 1);
  }
}

static void symbols_of_text(struct symbolizer *z, const struct vocab *v, const char *word, size_t n,
                            bool spaces) {
  for (size_t i = 0, used; i < n; i += used) {
    utf8_decode(word + i, n - i, &used);
    bool space = spaces && word[i] == ' ';
    const char *c = space ? "\xE2\x96\x81" : word + i;
    size_t len = space ? 3 : used;
    put_character(z, vocab_find(v, c, len), c, len, i, used);
  }
}

static size_t word_symbols(const struct tokenizer *t, const char *word, size_t n, int kind,
                           struct symbol *s) {
  struct symbolizer z = {.b = &t->bpe, .s = s};
  if (kind == BPE_BYTES)
    symbols_of_bytes(&z, word, n);
  else
    symbols_of_text(&z, &t->vocab, word, n, kind == BPE_SPACES);
  flush_unknown(&z);
  return z.count;
}

/* s[0, n): merged in place; returns how many are left. */
static size_t merge_short(const struct bpe *b, struct symbol *s, size_t n) {
  for (size_t i = 0; i + 1 < n; i++) s[i].rank = pair_rank(b, s[i].id, s[i + 1].id);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; i++)
      if (s[i].rank < s[best].rank) best = i;
    if (s[best].rank == NO_RANK) break;
    s[best].id = b->result[s[best].rank];
    s[best].len = s[best + 1].start + s[best + 1].len - s[best].start;
    memmove(s + best + 1, s + best + 2, (n - best - 2) * sizeof *s);
    n--;
    s[best].rank = best + 1 < n ? pair_rank(b, s[best].id, s[best + 1].id) : NO_RANK;
    if (best) s[best - 1].rank = pair_rank(b, s[best - 1].id, s[best].id);
  }
  return n;
}

static void heap_sink(uint64_t *h, size_t n, size_t i) {
  uint64_t v = h[i];
  for (size_t c; (c = 2 * i + 1) < n; i = c) {
    if (c + 1 < n && h[c + 1] < h[c]) c++;
    if (h[c] >= v) break;
    h[i] = h[c];
  }
  h[i] = v;
}

static void heap_push(struct tokenizer_work *w, uint64_t v) {
  size_t i = w->heap_count++;
  for (; i && w->heap[(i - 1) / 2] > v; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
  w->heap[i] = v;
}

static uint64_t heap_pop(struct tokenizer_work *w) {
  uint64_t top = w->heap[0];
  w->heap[0] = w->heap[--w->heap_count];
  if (w->heap_count) heap_sink(w->heap, w->heap_count, 0);
  return top;
}

/* Every merge removes one pair and offers at most two new ones: 3n entries are enough. */
static int heap_reserve(struct tokenizer_work *w, size_t n, struct err *err) {
  size_t cap = n * 3;
  w->heap_count = 0;
  if (cap <= w->heap_cap) return 0;
  uint64_t *heap = mem_rearray(w->heap, cap, sizeof *heap);
  if (!heap) return err_nomem(err, cap * sizeof *heap, "a long word");
  w->heap = heap;
  w->heap_cap = cap;
  return 0;
}

static void offer(const struct bpe *b, struct tokenizer_work *w, uint32_t i) {
  struct symbol *s = w->symbols;
  s[i].rank = s[i].next == NO_PLACE ? NO_RANK : pair_rank(b, s[i].id, s[s[i].next].id);
  if (s[i].rank != NO_RANK) heap_push(w, (uint64_t)s[i].rank << 32 | i);
}

static int merge_long(const struct bpe *b, struct tokenizer_work *w, size_t *n, struct err *err) {
  struct symbol *s = w->symbols;
  int rc = heap_reserve(w, *n, err);
  if (rc) return rc;
  for (size_t i = 0; i < *n; i++) {
    s[i].prev = i ? (uint32_t)i - 1 : NO_PLACE;
    s[i].next = i + 1 < *n ? (uint32_t)i + 1 : NO_PLACE;
    s[i].rank = s[i].next == NO_PLACE ? NO_RANK : pair_rank(b, s[i].id, s[i + 1].id);
    if (s[i].rank != NO_RANK) w->heap[w->heap_count++] = (uint64_t)s[i].rank << 32 | i;
  }
  for (size_t i = w->heap_count / 2; i-- > 0;) heap_sink(w->heap, w->heap_count, i);
  for (size_t merged = 0; w->heap_count; merged++) {
    if (!(merged & 0xFFFF) && (rc = cancel_check(err))) return rc;
    uint64_t top = heap_pop(w);
    uint32_t i = (uint32_t)top, rank = (uint32_t)(top >> 32);
    if (s[i].rank != rank) continue; /* a neighbour has changed since */
    uint32_t gone = s[i].next;
    s[i].id = b->result[rank];
    s[i].len = s[gone].start + s[gone].len - s[i].start;
    s[i].next = s[gone].next;
    s[gone].rank = NO_RANK;
    if (s[i].next != NO_PLACE) s[s[i].next].prev = i;
    offer(b, w, i);
    if (s[i].prev != NO_PLACE) offer(b, w, s[i].prev);
  }
  size_t count = 0;
  for (uint32_t i = 0, next; i != NO_PLACE; i = next) {
    next = s[i].next;
    struct symbol kept = s[i]; /* count ≤ i, so nothing unread is overwritten */
    s[count++] = kept;
  }
  *n = count;
  return 0;
}

static int word_merge(const struct tokenizer *t, struct tokenizer_work *w, const char *word,
                      size_t n, int kind, struct tokens *out, bool spans, uint64_t at,
                      struct err *err) {
  const struct bpe *b = &t->bpe;
  int rc = symbols_reserve(w, n * 3, err); /* a space may become three byte tokens */
  if (rc) return rc;
  size_t count = word_symbols(t, word, n, kind, w->symbols);
  if (count <= SHORT_WORD)
    count = merge_short(b, w->symbols, count);
  else if ((rc = merge_long(b, w, &count, err)))
    return rc;
  if ((rc = tokens_reserve(out, count, spans, err))) return rc;
  for (size_t i = 0; i < count; i++) {
    const struct symbol *s = &w->symbols[i];
    if (spans) out->spans[out->count] = (struct token_span){at + s->start, at + s->start + s->len};
    out->ids[out->count++] = s->id;
  }
  return 0;
}

#define WHOLE_MAX 255 /* bytes of a word that is looked up as a whole */

/* The token whose string is the whole word. */
static uint32_t word_whole(const struct tokenizer *t, const char *word, size_t n, int kind) {
  char s[3 * WHOLE_MAX];
  size_t len = 0;
  if (kind == BPE_CHARACTERS) return vocab_find(&t->vocab, word, n);
  if (n > WHOLE_MAX) return TOKENIZER_NONE;
  for (size_t i = 0; i < n; i++) {
    if (kind == BPE_BYTES) {
      len += byte_char_put((unsigned char)word[i], s + len);
    } else if (word[i] == ' ') {
      memcpy(s + len, "\xE2\x96\x81", 3);
      len += 3;
    } else {
      s[len++] = word[i];
    }
  }
  return vocab_find(&t->vocab, s, len);
}

int bpe_word(const struct tokenizer *t, struct tokenizer_work *w, const char *word, size_t n,
             int kind, struct tokens *out, bool spans, uint64_t at, struct err *err) {
  uint32_t id = t->bpe.ignore_merges && n ? word_whole(t, word, n, kind) : TOKENIZER_NONE;
  if (id == TOKENIZER_NONE) return word_merge(t, w, word, n, kind, out, spans, at, err);
  int rc = tokens_reserve(out, 1, spans, err);
  if (rc) return rc;
  if (spans) out->spans[out->count] = (struct token_span){at, at + n};
  out->ids[out->count++] = id;
  return 0;
}

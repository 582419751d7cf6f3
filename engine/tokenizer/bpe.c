/* SPDX-License-Identifier: MIT */
/* The model: one word → ids. Its characters become symbols, the symbols are merged (bpe_merge.c).
 *
 *   bytes      each byte is its character of the byte-level alphabet     "é" → Ã ©
 *   text       each character; with a prefix if it is not the first,     "ab" → a b</w>
 *              with a suffix if it is the last
 *
 * A character without a token becomes the tokens <0xXX> of its bytes if the file has byte_fallback
 * and all of them, else the unknown token, else nothing. As in the reference, an unknown token
 * waits until the next character with a token of its own (or the next unknown one, with which it is
 * one token if fuse_unk), so that byte tokens between them come before it.
 *
 * Here are also the tables: of pairs (bpe.h), of pairs of bytes, of characters. All of them are flat
 * arrays.
 */
#include "tokenizer/bpe.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define FAR_MAX    15u /* buckets of a pair from its home; beyond, another hash is tried */
#define SPACE_MARK "\xE2\x96\x81"

/* ---- the table of merges ---- */

size_t bpe_slot_bytes(const struct bpe *b) {
  return (b->bucket_mask + 1) * BPE_BUCKET * sizeof *b->slots;
}

void bpe_clear(struct bpe *b) {
  mem_free(b->merges);
  mem_free_aligned(b->slots, bpe_slot_bytes(b));
  mem_free(b->byte_rank);
  mem_free(b->page_of);
  mem_free(b->pages);
  memset(b, 0, sizeof *b);
}

int bpe_reserve(struct bpe *b, size_t merges, struct err *err) {
  if (merges <= b->cap) return 0;
  struct bpe_merge *list = mem_rearray(b->merges, merges, sizeof *list);
  if (!list) return err_nomem(err, merges * sizeof *list, "merges");
  b->merges = list;
  b->cap = merges;
  mem_huge(list, merges * sizeof *list);
  return 0;
}

int bpe_add(struct bpe *b, uint32_t left, uint32_t right, uint32_t result, struct err *err) {
  int rc = b->count < b->cap ? 0 : bpe_reserve(b, b->cap ? b->cap * 2 : 1024, err);
  if (rc) return rc;
  b->merges[b->count++] = (struct bpe_merge){left, right, result};
  return 0;
}

/* The slot of the pair, or the empty one where it would go; *far: how many buckets from home. */
static size_t slot_of(const struct bpe *b, uint32_t left, uint32_t right, unsigned *far) {
  uint64_t h = bpe_hash(b, left, right);
  uint32_t tag = bpe_tag(b, h), v;
  *far = 0;
  for (size_t i = bpe_home(b, h);; i = (i + 1) & b->bucket_mask, ++*far)
    for (size_t k = i * BPE_BUCKET; k < (i + 1) * BPE_BUCKET; k++) {
      if ((v = b->slots[k]) == BPE_EMPTY) return k;
      if ((v & b->tag_mask) == tag && bpe_is(b, v >> b->rank_shift, left, right)) return k;
    }
}

uint32_t bpe_rank_exact(const struct bpe *b, uint32_t left, uint32_t right) {
  unsigned far;
  uint32_t v = b->slots[slot_of(b, left, right, &far)];
  return v == BPE_EMPTY ? BPE_NO_RANK : v >> b->rank_shift;
}

static unsigned bits_for(size_t n) { /* n values */
  unsigned bits = 1;
  while ((uint64_t)1 << bits < n) bits++;
  return bits;
}

static uint64_t next_factor(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return (z ^ z >> 31) | 1;
}

/* False: it would be too far from home. A pair given twice has its last rank. */
static bool put_merge(struct bpe *b, size_t rank) {
  uint32_t left = b->merges[rank].left, right = b->merges[rank].right;
  uint64_t h = bpe_hash(b, left, right);
  uint32_t tag = bpe_tag(b, h), twin = (uint32_t)1 << (b->rank_shift - 1);
  unsigned far;
  size_t place = slot_of(b, left, right, &far);
  if (far > FAR_MAX) return false;
  bool empty = b->slots[place] == BPE_EMPTY;
  size_t all = (b->bucket_mask + 1) * BPE_BUCKET;
  for (size_t i = bpe_home(b, h) * BPE_BUCKET; empty && i != place; i = i + 1 < all ? i + 1 : 0)
    if ((b->slots[i] & b->tag_mask) == tag) b->slots[i] |= twin;
  b->slots[place] = (uint32_t)rank << b->rank_shift | tag | (empty ? 0 : b->slots[place] & twin);
  return true;
}

#define AHEAD 16 /* slots are asked for that many merges before they are needed */

static bool fill_slots(struct bpe *b) {
  memset(b->slots, 0xFF, bpe_slot_bytes(b));
  for (size_t rank = 0; rank < b->count; rank++) {
    if (rank + AHEAD < b->count) {
      const struct bpe_merge *m = &b->merges[rank + AHEAD];
      __builtin_prefetch(&b->slots[bpe_home(b, bpe_hash(b, m->left, m->right)) * BPE_BUCKET], 1);
    }
    if (!put_merge(b, rank)) return false;
  }
  return true;
}

static int make_slots(struct bpe *b, const struct vocab *v, struct err *err) {
  uint64_t state = (uintptr_t)b ^ v->seed;
  unsigned bits = bits_for((b->count + b->count / 2) / BPE_BUCKET + 4);
  unsigned rank_bits = bits_for(b->count + 1);
  if (rank_bits < b->rank_bits) rank_bits = b->rank_bits;
  if (rank_bits > 28) return err_set(err, ERR_LIMIT, "%zu merges", b->count);
  b->rank_shift = 32 - rank_bits;
  b->tag_mask = ((uint32_t)1 << (b->rank_shift - 1)) - 1;
  for (int attempt = 0; attempt < 16; attempt++) {
    bool more = attempt == 8; /* unlucky numbers are rare; a larger table makes them rarer */
    b->factor[0] = next_factor(&state);
    b->factor[1] = next_factor(&state);
    if (!attempt || more) {
      mem_free_aligned(b->slots, bpe_slot_bytes(b));
      b->bucket_mask = ((size_t)1 << (bits + more)) - 1;
      b->home_shift = 64 - (bits + more);
      b->slots = mem_aligned(bpe_slot_bytes(b));
      if (!b->slots) return err_nomem(err, bpe_slot_bytes(b), "merges");
    }
    if (fill_slots(b)) return 0;
  }
  return err_set(err, ERR_LIMIT, "%zu merges cannot be put into a table", b->count);
}

/* ---- bytes and characters ---- */

static void find_bytes(struct bpe *b, const struct vocab *v) {
  char s[8];
  b->complete = true;
  for (unsigned byte = 0; byte < 256; byte++) {
    b->byte_id[byte] = vocab_find_model(v, s, byte_char_put(byte, s));
    if (b->byte_id[byte] == TOKENIZER_NONE) b->complete = false;
    int n = snprintf(s, sizeof s, "<0x%02X>", byte);
    b->fallback[byte] = b->byte_fallback ? vocab_find_model(v, s, (size_t)n) : TOKENIZER_NONE;
  }
  b->space_id = vocab_find_model(v, SPACE_MARK, 3);
}

/* The token's byte when it is a character of the alphabet, or −1. */
static int token_byte(const struct vocab *v, uint32_t id) {
  size_t used;
  if (v->len[id] > 2) return -1;
  uint32_t c = v->len[id] ? utf8_decode(v->blob.data + v->at[id], v->len[id], &used) : UTF8_BAD;
  return c == UTF8_BAD || used != v->len[id] ? -1 : char_byte(c);
}

static int make_byte_ranks(struct bpe *b, const struct vocab *v, struct err *err) {
  size_t size = BPE_BYTE_PAIRS * sizeof *b->byte_rank;
  b->byte_rank = mem_alloc(size);
  if (!b->byte_rank) return err_nomem(err, size, "merges");
  memset(b->byte_rank, 0xFF, size);
  for (size_t rank = 0; rank < b->count; rank++) {
    const struct bpe_merge *m = &b->merges[rank];
    if (v->len[m->left] > 2 || v->len[m->right] > 2) continue;
    int left = token_byte(v, m->left), right = token_byte(v, m->right);
    if (left >= 0 && right >= 0) b->byte_rank[left * 256 + right] = (uint32_t)rank;
  }
  return 0;
}

/* The character that is the whole token, or UTF8_BAD. */
static uint32_t token_character(const struct vocab *v, uint32_t id) {
  size_t n = v->len[id], used = 0;
  if (n == 0 || n > 4) return UTF8_BAD; /* no token: TOKENIZER_NONE is above */
  const char *s = v->blob.data + v->at[id];
  if (n > 1 && ((unsigned char)*s < 0xC0 ||
                n != 2u + ((unsigned char)*s >= 0xE0) + ((unsigned char)*s >= 0xF0)))
    return UTF8_BAD;
  uint32_t c = utf8_decode(s, n, &used);
  return used == n ? c : UTF8_BAD;
}

static int make_pages(struct bpe *b, const struct vocab *v, struct err *err) {
  b->page_of = mem_zeros(BPE_PAGES, sizeof *b->page_of);
  if (!b->page_of) return err_nomem(err, BPE_PAGES * 2, "characters");
  b->page_count = 1;
  for (uint32_t id = 0; id < v->size; id++) {
    uint32_t c = token_character(v, id);
    if (c != UTF8_BAD && !b->page_of[c >> 8]) b->page_of[c >> 8] = (uint16_t)b->page_count++;
  }
  b->pages = mem_array(b->page_count * 256, sizeof *b->pages);
  if (!b->pages) return err_nomem(err, b->page_count * 1024, "characters");
  memset(b->pages, 0xFF, b->page_count * 256 * sizeof *b->pages);
  for (uint32_t id = 0; id < v->size; id++) {
    uint32_t c = token_character(v, id);
    if (c != UTF8_BAD) b->pages[(size_t)b->page_of[c >> 8] * 256 + (c & 255)] = id;
  }
  return 0;
}

int bpe_finish(struct bpe *b, const struct vocab *v, struct err *err) {
  int rc = make_slots(b, v, err);
  find_bytes(b, v);
  if (!rc) rc = make_byte_ranks(b, v, err);
  return rc ? rc : make_pages(b, v, err);
}

/* ---- a word's symbols ---- */

struct symbolizer {
  const struct tokenizer *t;
  const struct bpe *b;
  struct bpe_scratch *x;
  size_t count;
  bool spans;
  /* the unknown token that waits, and its bytes */
  bool waits, missing;
  uint32_t from, to;
};

static void put_symbol(struct symbolizer *z, uint32_t id, size_t from, size_t to) {
  if (z->spans) {
    z->x->start[z->count] = (uint32_t)from;
    z->x->end[z->count] = (uint32_t)to;
  }
  z->x->ids[z->count++] = id;
}

static void flush_unknown(struct symbolizer *z) {
  if (z->waits) put_symbol(z, z->b->unk, z->from, z->to);
  z->waits = false;
}

static void put_unknown(struct symbolizer *z, size_t from, size_t to) {
  z->missing = z->missing || z->b->unk_missing;
  if (z->b->unk == TOKENIZER_NONE) return;
  if (z->waits && z->b->fuse_unk) {
    z->to = (uint32_t)to;
    return;
  }
  flush_unknown(z);
  z->waits = true;
  z->from = (uint32_t)from;
  z->to = (uint32_t)to;
}

static bool has_fallback(const struct bpe *b, const char *c, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (b->fallback[(unsigned char)c[i]] == TOKENIZER_NONE) return false;
  return true;
}

/* The character c, which stands for word[from, to); of a longer c (a prefix, a suffix, a space's
 * mark) each byte stands for all of that. */
static void put_character(struct symbolizer *z, uint32_t id, const char *c, size_t n, size_t from,
                          size_t to) {
  const struct bpe *b = z->b;
  if (id != TOKENIZER_NONE) {
    flush_unknown(z);
    put_symbol(z, id, from, to);
  } else if (!b->byte_fallback || !has_fallback(b, c, n)) {
    put_unknown(z, from, to);
  } else {
    bool own = to - from == n;
    for (size_t i = 0; i < n; i++)
      put_symbol(z, b->fallback[(unsigned char)c[i]], own ? from + i : from,
                 own ? from + i + 1 : to);
  }
}

/* With prefix and suffix. */
static void put_affixed(struct symbolizer *z, const char *c, size_t n, size_t from, size_t to,
                        bool last) {
  const struct bpe *b = z->b;
  char s[4 + 2 * BPE_AFFIX_MAX];
  size_t len = 0;
  if (from) memcpy(s, b->prefix, len = b->prefix_len);
  memcpy(s + len, c, n);
  len += n;
  if (last) memcpy(s + len, b->suffix, b->suffix_len), len += b->suffix_len;
  put_character(z, vocab_find_model(&z->t->vocab, s, len), s, len, from, to);
}

static void symbols_of_bytes(struct symbolizer *z, const char *word, size_t n) {
  bool affixes = z->b->prefix_len || z->b->suffix_len;
  char c[2];
  if (z->b->complete && !affixes && !z->spans) {
    for (size_t i = 0; i < n; i++) z->x->ids[i] = z->b->byte_id[(unsigned char)word[i]];
    z->count = n;
    return;
  }
  for (size_t i = 0; i < n; i++) {
    unsigned byte = (unsigned char)word[i];
    size_t len = byte_char_put(byte, c);
    if (affixes)
      put_affixed(z, c, len, i, i + 1, i + 1 == n);
    else
      put_character(z, z->b->byte_id[byte], c, len, i, i + 1);
  }
}

static void symbols_of_text(struct symbolizer *z, const char *word, size_t n, bool spaces) {
  const struct bpe *b = z->b;
  bool affixes = b->prefix_len || b->suffix_len;
  for (size_t i = 0, used; i < n; i += used) {
    uint32_t c = utf8_decode(word + i, n - i, &used), id;
    bool space = spaces && c == ' ', bad = c == UTF8_BAD;
    if (bad) used = 1;
    const char *s = space ? SPACE_MARK : word + i;
    size_t len = space ? 3 : used;
    id = space ? b->space_id : bad ? TOKENIZER_NONE : bpe_character(b, c);
    if (affixes)
      put_affixed(z, s, len, i, i + used, i + used == n);
    else
      put_character(z, id, s, len, i, i + used);
  }
}

static int scratch_reserve(struct bpe_scratch *x, size_t n, bool spans, struct err *err) {
  if (n > x->cap) {
    mem_free(x->ids), mem_free(x->first);
    x->cap = 0;
    x->ids = mem_array(n, sizeof *x->ids);
    x->first = mem_array(n, sizeof *x->first);
    if (!x->ids || !x->first) return err_nomem(err, n * 8, "a long word");
    x->cap = n;
    mem_huge(x->ids, n * sizeof *x->ids);
    mem_huge(x->first, n * sizeof *x->first);
  }
  if (spans && n > x->span_cap) {
    mem_free(x->start), mem_free(x->end);
    x->span_cap = 0;
    x->start = mem_array(n, sizeof *x->start);
    x->end = mem_array(n, sizeof *x->end);
    if (!x->start || !x->end) return err_nomem(err, n * 8, "a long word");
    x->span_cap = n;
  }
  return 0;
}

/* The most symbols that n bytes become. */
static size_t symbols_of(const struct bpe *b, size_t n, int kind) {
  size_t each = kind == BPE_BYTES && !b->complete && b->byte_fallback ? 2 : 1;
  if (kind == BPE_SPACES && b->space_id == TOKENIZER_NONE) each = 3;
  if (b->byte_fallback && (b->prefix_len || b->suffix_len))
    each = 4 + b->prefix_len + b->suffix_len;
  return n * each;
}

/* ---- one word ---- */

int tokens_reserve(struct tokens *ts, size_t more, bool spans, struct err *err) {
  size_t need = ts->count + (more ? more : 1); /* so that there is something to point to */
  if (need > ts->cap) {
    size_t cap = ts->cap ? ts->cap : 64;
    while (cap < need) cap *= 2;
    uint32_t *ids = mem_rearray(ts->ids, cap, sizeof *ids);
    if (!ids) return err_nomem(err, cap * sizeof *ids, "tokens");
    ts->ids = ids;
    ts->cap = cap;
    mem_huge(ids, cap * sizeof *ids);
  }
  if (spans && need > ts->span_cap) {
    struct token_span *list = mem_rearray(ts->spans, ts->cap, sizeof *list);
    if (!list) return err_nomem(err, ts->cap * sizeof *list, "token spans");
    ts->spans = list;
    ts->span_cap = ts->cap;
  }
  return 0;
}

/* A short word of bytes that all have tokens: nothing but two arrays on the stack. */
static int word_of_bytes(const struct bpe *b, const char *word, size_t n, struct tokens *out,
                         bool spans, uint64_t at, struct err *err) {
  uint32_t ids[BPE_SHORT], ranks[BPE_SHORT], first[BPE_SHORT];
  const unsigned char *s = (const unsigned char *)word;
  size_t count = n;
  for (size_t i = 0; i < n; i++) ids[i] = b->byte_id[s[i]];
  for (size_t i = 0; i + 1 < n; i++) ranks[i] = b->byte_rank[s[i] << 8 | s[i + 1]];
  if (spans)
    for (size_t i = 0; i < n; i++) first[i] = (uint32_t)i;
  if (n > 1) count = bpe_merge_short(b, ids, ranks, spans ? first : NULL, n);
  int rc = tokens_reserve(out, count, spans, err);
  if (rc) return rc;
  for (size_t i = 0; i < count; i++) {
    if (spans)
      out->spans[out->count + i] =
          (struct token_span){at + first[i], at + (i + 1 < count ? first[i + 1] : n)};
    out->ids[out->count + i] = ids[i];
  }
  out->count += count;
  return 0;
}

/* Tokens with their first symbols → spans. A waiting unknown token stands behind bytes that follow
 * it, so that a token's bytes are those from its least to its greatest. */
static void put_spans(const struct bpe_scratch *x, size_t symbols, size_t count, uint64_t at,
                      struct token_span *out) {
  for (size_t i = 0; i < count; i++) {
    size_t k = x->first[i], end = i + 1 < count ? x->first[i + 1] : symbols;
    uint32_t from = x->start[k], to = x->end[k];
    while (++k < end) {
      if (x->start[k] < from) from = x->start[k];
      if (x->end[k] > to) to = x->end[k];
    }
    out[i] = (struct token_span){at + from, at + to};
  }
}

/* x->ids[0, n) → tokens in out, their first symbols in x->first. */
static int merge_symbols(const struct bpe *b, struct bpe_scratch *x, size_t n, struct tokens *out,
                         struct err *err) {
  uint32_t ranks[BPE_SHORT];
  if (n > BPE_SHORT) return bpe_merge_long(b, x, n, out, err);
  for (size_t i = 0; i + 1 < n; i++) ranks[i] = bpe_rank(b, x->ids[i], x->ids[i + 1]);
  for (size_t i = 0; i < n; i++) x->first[i] = (uint32_t)i;
  size_t count = bpe_merge_short(b, x->ids, ranks, x->first, n);
  int rc = tokens_reserve(out, count, false, err);
  if (rc) return rc;
  memcpy(out->ids + out->count, x->ids, count * sizeof *x->ids);
  out->count += count;
  return 0;
}

#define KEEP_SYMBOLS ((size_t)1 << 16) /* what a work keeps after a long word */

static int word_merge(const struct tokenizer *t, struct tokenizer_work *w, const char *word,
                      size_t n, int kind, struct tokens *out, bool spans, uint64_t at,
                      struct err *err) {
  const struct bpe *b = &t->bpe;
  struct bpe_scratch *x = &w->scratch;
  struct symbolizer z = {.t = t, .b = b, .x = x, .spans = spans};
  if (n >= UINT32_MAX / 256) /* below: 4 + prefix + suffix symbols a byte at most */
    if (symbols_of(b, n, kind) >= UINT32_MAX)
      return err_set(err, ERR_LIMIT, "a word of %zu bytes", n);
  size_t most = symbols_of(b, n, kind);
  int rc = scratch_reserve(x, most < 256 ? 256 : most, spans, err);
  if (rc) return rc;
  if (kind == BPE_BYTES)
    symbols_of_bytes(&z, word, n);
  else
    symbols_of_text(&z, word, n, kind == BPE_SPACES);
  flush_unknown(&z);
  if (z.missing)
    return err_set(err, ERR_FORMAT, "the unknown token is needed, but is not in the vocabulary");
  size_t before = out->count;
  rc = merge_symbols(b, x, z.count, out, err);
  if (!rc && spans) rc = tokens_reserve(out, 0, true, err);
  if (!rc && spans) put_spans(x, z.count, out->count - before, at, out->spans + before);
  if (x->cap > KEEP_SYMBOLS || x->link_cap > KEEP_SYMBOLS) bpe_scratch_clear(x);
  return rc;
}

#define WHOLE_MAX 255 /* bytes of a word that is looked up as a whole */

/* What a word's token would be called; out holds three bytes for each of the word's. */
static size_t name_of(const char *word, size_t n, int kind, char *out) {
  size_t len = 0;
  for (size_t i = 0; i < n; i++) {
    if (kind == BPE_BYTES) {
      len += byte_char_put((unsigned char)word[i], out + len);
    } else if (kind == BPE_SPACES && word[i] == ' ') {
      memcpy(out + len, SPACE_MARK, 3);
      len += 3;
    } else {
      out[len++] = word[i];
    }
  }
  return len;
}

/* The token whose string is the whole word. */
static uint32_t word_whole(const struct tokenizer *t, const char *word, size_t n, int kind) {
  char s[3 * WHOLE_MAX];
  if (kind == BPE_CHARACTERS) return vocab_find_model(&t->vocab, word, n);
  if (n > WHOLE_MAX) return TOKENIZER_NONE;
  return vocab_find_model(&t->vocab, s, name_of(word, n, kind, s));
}

void bpe_wholes(const struct tokenizer *t, struct bpe_word_query *words, size_t count, int kind) {
  struct vocab_query ask[BPE_LANES];
  char names[BPE_LANES][3 * BPE_LANE];
  for (size_t i = 0; i < count; i++)
    ask[i] = (struct vocab_query){.s = names[i],
                                  .n = name_of(words[i].word, words[i].n, kind, names[i])};
  vocab_find_all(&t->vocab, ask, count);
  for (size_t i = 0; i < count; i++) {
    bool model = ask[i].id != TOKENIZER_NONE && t->vocab.at[ask[i].id] < t->vocab.model_end;
    words[i].id = model ? ask[i].id : TOKENIZER_NONE;
  }
}

uint32_t bpe_whole(const struct tokenizer *t, const char *word, size_t n, int kind) {
  return t->bpe.ignore_merges && n ? word_whole(t, word, n, kind) : TOKENIZER_NONE;
}

int bpe_merged(const struct tokenizer *t, struct tokenizer_work *w, const char *word, size_t n,
               int kind, struct tokens *out, bool spans, uint64_t at, struct err *err) {
  const struct bpe *b = &t->bpe;
  bool plain = kind == BPE_BYTES && n <= BPE_SHORT && b->complete && !b->prefix_len;
  if (plain && !b->suffix_len) return word_of_bytes(b, word, n, out, spans, at, err);
  return word_merge(t, w, word, n, kind, out, spans, at, err);
}

int bpe_word(const struct tokenizer *t, struct tokenizer_work *w, const char *word, size_t n,
             int kind, struct tokens *out, bool spans, uint64_t at, struct err *err) {
  uint32_t id = bpe_whole(t, word, n, kind);
  if (id == TOKENIZER_NONE) return bpe_merged(t, w, word, n, kind, out, spans, at, err);
  int rc = tokens_reserve(out, 1, spans, err);
  if (rc) return rc;
  if (spans) out->spans[out->count] = (struct token_span){at, at + n};
  out->ids[out->count++] = id;
  return 0;
}

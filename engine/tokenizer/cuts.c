/* SPDX-License-Identifier: MIT */
/* Words in parts. If no token could cover both bytes beside a place in a word, no merge ever crosses
 * it, and what is merged left and right of it is independent: the word may be cut there. Words that
 * are seen once (Chinese between two commas, code without spaces) are mostly made of parts that are
 * seen often.
 *
 *   "日本語の文書"  →  "日本" "語" "の" "文" "書"      no token has 本語, 語の, …
 *
 * A token that crosses ab in "xaby" has these two bytes, and
 *
 *   it begins with ab, or it has xab;   and it ends with ab, or it has aby
 *
 * So there are four sets of two or three bytes, made from all tokens: pairs, firsts, lasts, triples.
 * Triples are hashed to one bit each; an accident there makes a cut less, never one too many.
 * The vocabulary's strings are read as the text they stand for: byte-level characters as bytes,
 * U+2581 as a space; a word that has U+2581 itself is left whole. A word of characters is never cut
 * inside of one.
 */
#include <string.h>

#include "base/mem.h"
#include "tokenizer/cache.h"

#define MARK        "\xE2\x96\x81" /* U+2581 */
#define TRIPLE_BITS 19
#define WHOLE_BITS  21  /* of the words that are tokens */
#define LONG_BITS   15  /* of those of more than CACHE_SHORT bytes, which are few */
#define TOKEN_MAX   256 /* longer tokens are not worth their bytes: they make cuts impossible */

enum { PAIR = 1, FIRST = 2, LAST = 4 };
struct cuts {
  uint64_t never[1u << 10]; /* a bit for each pair that is in no token, the second byte above */
  uint8_t pairs[65536];     /* PAIR, FIRST, LAST */
  uint64_t triples[1u << (TRIPLE_BITS - 6)];
  bool characters, wholes;
  uint64_t long_whole[1u << (LONG_BITS - 6)];
  uint64_t whole[]; /* keys of whole tokens; only with ignore_merges */
};

static unsigned pair_at(const char *s) {
  return (unsigned)(unsigned char)s[0] << 8 | (unsigned char)s[1];
}

static uint32_t triple_at(const char *s) {
  uint32_t v = pair_at(s) << 8 | (unsigned char)s[2];
  return v * 0x9E3779B1u >> (32 - TRIPLE_BITS);
}

static void set(uint64_t *bits, uint32_t i) {
  bits[i >> 6] |= (uint64_t)1 << (i & 63);
}

static bool has(const uint64_t *bits, uint32_t i) {
  return bits[i >> 6] >> (i & 63) & 1;
}

static void add_token(struct cuts *c, const char *s, size_t n) {
  if (n < 2) return;
  c->pairs[pair_at(s)] |= FIRST;
  c->pairs[pair_at(s + n - 2)] |= LAST;
  for (size_t i = 0; i + 1 < n; i++) c->pairs[pair_at(s + i)] |= PAIR;
  for (size_t i = 0; i + 2 < n; i++) set(c->triples, triple_at(s + i));
}

static void add_whole(struct cuts *c, const char *s, size_t n) {
  if (!n || n > CACHE_LONG) return;
  uint64_t key = cache_key_of(s, n, s + n, false);
  if (n > CACHE_SHORT)
    set(c->long_whole, (uint32_t)(key >> (64 - LONG_BITS)));
  else
    set(c->whole, (uint32_t)(key >> (64 - WHOLE_BITS)));
}

/* A token's string with spaces for U+2581. */
static size_t unmark(const char *s, size_t n, char *out) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    bool mark = n - i > 2 && !memcmp(s + i, MARK, 3);
    out[count++] = mark ? ' ' : s[i];
    i += mark ? 2 : 0;
  }
  return count;
}

static bool add_tokens(struct cuts *c, const struct tokenizer *t, int kind) {
  char text[TOKEN_MAX];
  for (size_t id = 0; id < t->vocab.size; id++) {
    size_t n;
    const char *s = vocab_string(&t->vocab, (uint32_t)id, &n);
    if (!s) continue;
    if (n > TOKEN_MAX) return false;
    n = kind == BPE_BYTES ? bytes_decode(s, n, text) : unmark(s, n, text);
    add_token(c, text, n);
    if (t->bpe.ignore_merges) add_whole(c, text, n);
  }
  return true;
}

/* Pairs between which every text is cut; inside of a character none is. */
static void find_never(struct cuts *c) {
  for (uint32_t pair = 0; pair < 65536; pair++) {
    uint32_t first = pair & 255, second = pair >> 8;
    if (!c->pairs[first << 8 | second] && (!c->characters || (second & 0xC0) != 0x80))
      set(c->never, pair);
  }
}

struct cuts *cuts_new(const struct tokenizer *t, int kind) {
  const struct bpe *b = &t->bpe;
  bool tiled = kind == BPE_BYTES ? b->complete : kind == BPE_SPACES && t->front.lengths;
  if (!tiled || b->prefix_len || b->suffix_len) return NULL;
  struct cuts *c = mem_zero(sizeof *c + (b->ignore_merges ? (1u << WHOLE_BITS) / 8 : 0));
  if (!c) return NULL;
  c->wholes = b->ignore_merges;
  c->characters = kind != BPE_BYTES;
  if (add_tokens(c, t, kind)) {
    find_never(c);
    return c;
  }
  mem_free(c);
  return NULL;
}

void cuts_free(struct cuts *c) {
  mem_free(c);
}

size_t cuts_next(const struct cuts *c, const char *word, size_t n, size_t at) {
  for (size_t i = at + 1; i < n; i++) {
    unsigned pair = c->pairs[pair_at(word + i - 1)];
    bool left = pair & FIRST || (pair && i > 1 && has(c->triples, triple_at(word + i - 2)));
    bool right = pair & LAST || (left && i + 1 < n && has(c->triples, triple_at(word + i - 1)));
    if (left && right) continue;
    if (!c->characters || ((unsigned char)word[i] & 0xC0) != 0x80) return i;
  }
  return n;
}

uint64_t cuts_mask(const struct cuts *c, const char *s, size_t n) {
  uint64_t mask = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t pair = (uint32_t)(unsigned char)s[i - 1] | (uint32_t)(unsigned char)s[i] << 8;
    mask |= (c->never[pair >> 6] >> (pair & 63) & 1) << i;
  }
  return mask;
}

void cuts_prefetch(const struct cuts *c, size_t n, uint64_t key) {
  if (c->wholes && n <= CACHE_SHORT) __builtin_prefetch(&c->whole[key >> (64 - WHOLE_BITS + 6)]);
}

bool cuts_whole(const struct cuts *c, size_t n, uint64_t key) {
  if (!c->wholes || n > CACHE_LONG) return c->wholes;
  return n > CACHE_SHORT ? has(c->long_whole, (uint32_t)(key >> (64 - LONG_BITS)))
                         : has(c->whole, (uint32_t)(key >> (64 - WHOLE_BITS)));
}

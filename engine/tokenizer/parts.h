/* SPDX-License-Identifier: MIT */
/* What the files of tokenizer/ share; nobody else includes this.
 *
 *   classes.c   letter, number, space, word: as the reference sees characters
 *   scan.c      pre-tokenizers: where words end (GPT-2's pattern by hand)
 *   bytes.c     the byte-level alphabet: byte ↔ printable character
 *   vocab.c     token strings ↔ ids
 *   added.c     added tokens inside a text
 *   bpe.c       the model: one word → ids, with merge table and word cache
 *   encode.c    the whole way from text to ids;  decode.c  the whole way back
 *   load.c      tokenizer.json → struct tokenizer;  save.c  the other way
 *   train.c     texts → struct tokenizer
 */
#ifndef LATHE_TOKENIZER_PARTS_H
#define LATHE_TOKENIZER_PARTS_H

#include "tokenizer/tokenizer.h"

/* ---- classes.c ---- */

enum { CLASS_LETTER = 1, CLASS_NUMBER = 2, CLASS_SPACE = 4, CLASS_WORD = 8 };
/* Of a character below 0x110000; CLASS_WORD may be added to any. */
unsigned class_of(uint32_t c);
/* The classes of the bytes below 0x80; the others have CLASS_WIDE. */
enum { CLASS_WIDE = 16 };
extern const uint8_t class_byte[256];
/* A character of more than one byte at s (n ≥ 1): its class, and in *used its bytes. Malformed: 0
 * and one byte. */
unsigned class_wide(const char *s, size_t n, size_t *used);

/* The character at s (n ≥ 1), of any kind. */
static inline unsigned class_at(const char *s, size_t n, size_t *used) {
  unsigned k = class_byte[(unsigned char)*s];
  *used = 1;
  return k & CLASS_WIDE ? class_wide(s, n, used) : k;
}

/* ---- scan.c ---- a scanner gives the end of the word that begins at `at` < n; always > at. */

typedef size_t scan_word(const char *s, size_t n, size_t at);
scan_word scan_gpt2;
scan_word scan_all; /* the whole piece is one word */

/* ---- bytes.c ---- */

uint32_t byte_char(unsigned byte);                       /* 0x20 → U+0120 'Ġ' */
int char_byte(uint32_t c);                               /* −1: not in the alphabet */
size_t byte_char_put(unsigned byte, char out[2]);        /* as UTF-8; returns 1 or 2 */
size_t bytes_decode(const char *s, size_t n, char *out); /* token → bytes; out holds n bytes */

/* ---- vocab.c ---- */

struct vocab {
  struct buf blob;           /* the strings, one after the other, then their bytes */
  uint64_t *at, *bytes_at;   /* per id: offset into blob */
  uint32_t *len, *bytes_len; /* per id; len TOKENIZER_NONE: no token */
  size_t size, cap, entries; /* size: largest id + 1 */
  uint32_t *slots;           /* open addressing: id, or TOKENIZER_NONE */
  size_t slot_count, slot_used;
};
void vocab_clear(struct vocab *v);
/* ERR_FORMAT when the id or the string is taken, ERR_LIMIT when the id is too large. */
int vocab_add(struct vocab *v, const char *s, size_t n, uint32_t id, struct err *err);
uint32_t vocab_find(const struct vocab *v, const char *s, size_t n);
const char *vocab_string(const struct vocab *v, uint32_t id, size_t *n); /* NULL: none */
/* Once all tokens are in: what each decodes to. */
int vocab_finish(struct vocab *v, bool byte_level, struct err *err);

/* ---- added.c ---- */

struct added {
  struct tokenizer_added *list; /* in order of ids; contents live in the vocabulary */
  size_t count, cap;
  struct trie {
    struct trie_node {
      uint32_t child, next; /* first child, next sibling; 0: none (node 0 is the root) */
      uint32_t token;       /* index into list, or TOKENIZER_NONE */
      unsigned char byte;
    } * nodes;
    size_t count, cap;
    bool first[256]; /* bytes that begin a token */
    bool any;
  } plain, normalized; /* tokens looked for in the text as it is; in the normalized text */
};
#define ADDED_MAX_BYTES 1024
void added_clear(struct added *a);
int added_add(struct added *a, const struct tokenizer_added *token, struct err *err);
int added_finish(struct added *a, struct err *err); /* sorts and builds the tries */
/* The next token of the trie at or after *at: its list index, and the bytes [start, end) it takes
 * (stripped spaces included; start ≥ *at). TOKENIZER_NONE at the end of the text. */
uint32_t added_next(const struct added *a, const struct trie *trie, const char *s, size_t n,
                    size_t at, size_t last, bool skip_special, size_t *start, size_t *end,
                    size_t *resume);

/* ---- bpe.c ---- */

struct bpe {
  uint32_t byte_id[256]; /* TOKENIZER_NONE: the vocabulary lacks the byte */
  uint32_t unk;          /* TOKENIZER_NONE: missing bytes are dropped */
  bool fuse_unk, ignore_merges;
  bool complete;                   /* no byte is missing: a word's tokens lie end to end */
  uint32_t *left, *right, *result; /* per rank */
  size_t count, cap;
  struct bpe_pair {
    uint64_t key; /* left << 32 | right; UINT64_MAX: empty */
    uint32_t rank, id;
  } * pairs;
  size_t mask; /* slots − 1 */
};
void bpe_clear(struct bpe *b);
int bpe_add(struct bpe *b, uint32_t left, uint32_t right, uint32_t result, struct err *err);
int bpe_finish(struct bpe *b, const struct vocab *v, struct err *err);

struct cache; /* words already encoded */
struct tokenizer_work {
  const struct tokenizer *owner;
  struct cache *cache; /* NULL: none */
  struct symbol {
    uint32_t id, rank;   /* rank of the merge with the right neighbour */
    uint32_t start, len; /* bytes of the word */
    uint32_t prev, next;
  } * symbols;
  size_t symbol_cap;
  uint64_t *heap; /* rank << 32 | position */
  size_t heap_count, heap_cap;
  struct buf prefixed; /* a piece with a space put before it */
};

/* The tokens of one word, appended. `end` is where readable memory ends (≥ word + n). */
int bpe_word(const struct tokenizer *t, struct tokenizer_work *w, const char *word, size_t n,
             const char *end, struct tokens *out, bool spans, uint64_t at, struct err *err);
struct cache *cache_new(void);
void cache_free(struct cache *c);
int tokens_reserve(struct tokens *ts, size_t more, bool spans, struct err *err);

/* ---- the whole ---- */

enum { SECTION_NORMALIZER, SECTION_PRE_TOKENIZER, SECTION_POST_PROCESSOR, SECTION_DECODER };
enum { SECTIONS = 4 };

struct tokenizer {
  struct vocab vocab;
  struct added added;
  struct bpe bpe;
  scan_word *scan;
  bool add_prefix_space;
  bool byte_decoder;            /* false: no decoder; token strings joined by spaces */
  struct tokens head, tail;     /* ids that the post-processor puts before and after */
  struct buf section[SECTIONS]; /* their JSON, for saving */
};
int tokenizer_new(struct tokenizer **out, struct err *err);
/* Once vocabulary, added tokens and merges are in. */
int tokenizer_finish(struct tokenizer *t, struct err *err);

/* Polling for cancellation every so many input bytes. */
#define TOKENIZER_POLL ((size_t)256 << 10)

#endif

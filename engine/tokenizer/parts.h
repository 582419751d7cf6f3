/* SPDX-License-Identifier: MIT */
/* What the files of tokenizer/ share; nobody else includes this.
 *
 *   added.c       added tokens inside a text, cut out before anything else
 *   normalize.c   the file's normalizer: text → text, with where each byte came from
 *                 (normal_forms.c NFC and its kin, charsmap.c SentencePiece's table; see normal.h)
 *   pretokenize.c the file's pre-tokenizer in general: text → words
 *   pattern.c     regular expressions as the reference reads them (on PCRE2); syntax.c their
 *                 syntax, charset.c sets of characters and what the reference knows about each
 *   scan.c        the same for the known patterns, by hand: where words end
 *   front.c       recognises what allows the fast way: scanner, word cache, model
 *   words.c       words → ids, many at once, through a cache (cache.c);  cuts.c  words in parts
 *   bpe.c         the model: one word → ids (bpe_merge.c);  bpe_lanes.c  many short words
 *   batch.c       many texts over threads
 *   encode.c      the whole way from text to ids;  cut.c  where a long text may be cut for it
 *   decoder.c     the file's decoder: token strings → text;  decode.c  the whole way back
 *
 *   classes.c     letter, number, space, word: as the reference sees characters
 *   bytes.c       the byte-level alphabet: byte ↔ printable character
 *   vocab.c       token strings ↔ ids
 *   load.c        tokenizer.json → struct tokenizer;  save.c  the other way
 *   load_model.c  the model in it: vocabulary and merges
 *   sections.c    what is around the model: post-processor, truncation, padding, and the others
 *   image.c       a finished tokenizer as a file that is mapped
 *   train.c       texts → struct tokenizer
 */
#ifndef LATHE_TOKENIZER_PARTS_H
#define LATHE_TOKENIZER_PARTS_H

#include "file/file.h"
#include "json/json.h"
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

/* ---- scan.c ---- hand-written pre-tokenizers: where words end */

enum scan_kind {
  SCAN_WHOLE,       /* the whole piece is one word */
  SCAN_GPT2,        /* GPT-2's pattern */
  SCAN_GPT2_DIGITS, /* every digit alone, GPT-2's pattern on what is between (StarCoder, SmolLM) */
  SCAN_CL100K,      /* letters with one character before them, at most three digits: Llama-3 too */
  SCAN_CL100K_TAIL, /* the same, spaces up to the end of the text being one word (tiktoken 0.7+) */
  SCAN_QWEN2,       /* the same as CL100K with digits one by one */
  SCAN_O200K,       /* CL100K that also parts fooBar into foo and Bar */
  SCAN_TEKKEN,      /* O200K with digits one by one, without 's (Mistral Nemo) */
  /* U+2581 is a space as well: */
  SCAN_SPACES,       /* words begin with runs of spaces */
  SCAN_SPACES_LINES, /* the same, and line ends are words */
  SCAN_EACH_SPACE    /* words begin with each space */
};
/* The ends of up to `max` ≥ 1 words, the first of which begins at *at < n, in order; each word is
 * at least a byte long. Moves *at to the last one. n < 4 GiB. Malformed bytes count as one character
 * each that is neither letter, number nor space. */
size_t scan_words(enum scan_kind kind, const char *s, size_t n, size_t *at, uint32_t *ends,
                  size_t max);
/* By a pattern's text in any of its published spellings; false: none of ours. tiktoken: as tiktoken
 * reads it; otherwise as the reference does. */
bool scan_recognise(const char *pattern, size_t n, bool tiktoken, enum scan_kind *kind);
/* The first spelling; NULL for the kinds that are no pattern. */
const char *scan_pattern(enum scan_kind kind);

/* ---- aligned text ---- a text made from another, and where its bytes came from */

struct aligned {
  struct buf text;
  /* Byte i of text stands for the source's bytes [start[i], end[i]); filled only when track. Bytes
   * that were copied stand for themselves; what was put in for a character has that character's
   * range in each of its bytes; what was put in for nothing has start == end. */
  uint32_t *start, *end;
  size_t cap;
  bool track;
};
void aligned_clear(struct aligned *a);             /* frees; {0} is an empty one */
void aligned_reset(struct aligned *a, bool track); /* empties, keeps the memory */
/* Appends n bytes that stand for [start, end). A failure shows at buf_check(&a->text, …). */
void aligned_add(struct aligned *a, const char *s, size_t n, uint32_t start, uint32_t end);
/* Appends n bytes each of which (not: each character of which) stands for itself at `start`. */
void aligned_copy(struct aligned *a, const char *s, size_t n, uint32_t start);
/* Appends [from, to) of another text with its positions; both track. */
void aligned_append(struct aligned *a, const struct aligned *other, size_t from, size_t to);

/* ---- normalize.c ---- a chain of steps, never changed once loaded */

struct normalizer;
/* From the section of a tokenizer.json; null: *out is NULL, which the others take for "no change".
 * ERR_UNSUPPORTED names the type. */
int normalizer_load(struct normalizer **out, const struct json *j, json_id section,
                    struct err *err);
void normalizer_free(struct normalizer *z);
/* Quickly: true when the text surely stays as it is. */
bool normalizer_keeps(const struct normalizer *z, const char *s, size_t n);
/* out is reset; its `track` (the caller's) says whether positions are kept. Positions are those in
 * s. Malformed bytes stay as they are. */
int normalizer_run(const struct normalizer *z, const char *s, size_t n, struct aligned *out,
                   struct err *err);

/* ---- pattern.c ---- a regular expression with the reference's syntax and character classes */

struct pattern;
int pattern_new(struct pattern **out, const char *regex, size_t n, struct err *err);
int pattern_literal(struct pattern **out, const char *string, size_t n, struct err *err);
void pattern_free(struct pattern *p);
/* The matches in a text, one after the other, as the reference walks through them: an empty
 * match where the one before it ended is passed over. A byte that is not UTF-8 is a character of its own, in
 * every negated class and in no other. ERR_LIMIT: the pattern backtracks without end.
 *
 *   struct matches m = {0};
 *   for (matches_begin(&m, p, s, n, err); !matches_next(&m, &found, &from, &to, err) && found;) …
 *   matches_clear(&m);                        may begin again with another text before that
 *
 * A pattern may be used by any number of threads at once, each with its own struct matches. */
struct matches {
  const struct pattern *p;
  const char *s;
  size_t n;
  void *data;              /* PCRE2's */
  struct buf kinds;        /* the text as pattern.c sees it */
  size_t at;               /* where the next search begins, in kinds */
  size_t kind_at, byte_at; /* a place in both texts, behind all later ones */
  bool plain;              /* kinds and bytes have the same positions */
  size_t last;             /* where the last match ended, in kinds */
  bool over;
};
int matches_begin(struct matches *m, const struct pattern *p, const char *s, size_t n,
                  struct err *err);
int matches_next(struct matches *m, bool *found, size_t *from, size_t *to, struct err *err);
void matches_clear(struct matches *m);
/* The first match at or after the byte `at`: *found and [*from, *to). Look-behind sees what stands
 * before. Reads the whole text each time, so a loop over a text takes struct matches. */
int pattern_find(const struct pattern *p, const char *s, size_t n, size_t at, bool *found,
                 size_t *from, size_t *to, struct err *err);

/* ---- pretokenize.c ---- */

struct piece {
  size_t start, end; /* bytes of the aligned text */
};
struct pieces {
  struct aligned a;
  struct piece *list;
  size_t count, cap;
};
void pieces_clear(struct pieces *p);

struct pre_tokenizer;
/* null: *out is NULL and nothing is cut. */
int pre_tokenizer_load(struct pre_tokenizer **out, const struct json *j, json_id section,
                       struct err *err);
void pre_tokenizer_free(struct pre_tokenizer *p);
/* Whether the words come out in the byte-level alphabet (a ByteLevel stands in the chain). */
bool pre_tokenizer_byte_level(const struct pre_tokenizer *p);
/* `io` holds one piece or more with their text and is replaced by the words, in order; `spare` is
 * scratch of the same kind that may be kept for the next call. begins: how many of the text's
 * first bytes stand for the first of the whole input (Metaspace asks). When pre_tokenizer_byte_level and the last step is the
 * ByteLevel, the words are still the bytes themselves; when something follows it, they are in the
 * alphabet: *alphabet tells. */
int pre_tokenizer_run(const struct pre_tokenizer *p, struct pieces *io, struct pieces *spare,
                      size_t begins, bool *alphabet, struct err *err);

/* ---- bytes.c ---- */

uint32_t byte_char(unsigned byte);                       /* 0x20 → U+0120 'Ġ' */
int char_byte(uint32_t c);                               /* −1: not in the alphabet */
size_t byte_char_put(unsigned byte, char out[2]);        /* as UTF-8; returns 1 or 2 */
size_t bytes_decode(const char *s, size_t n, char *out); /* token → bytes; out holds n bytes */

/* ---- vocab.c ---- */

struct vocab {
  struct buf blob;                /* the strings, one after the other, then their bytes */
  uint32_t *at, *len;             /* per id: place in blob; len TOKENIZER_NONE: no token */
  uint32_t *bytes_at, *bytes_len; /* the same of what it decodes to */
  size_t size, cap, entries;      /* size: largest id + 1 */
  uint32_t *slots; /* open addressing: bits of the hash above an id; TOKENIZER_NONE: empty */
  size_t slot_count, slot_used;
  uint64_t seed;    /* of the hash: a file cannot be made to collide */
  size_t model_end; /* strings from here on in blob are added tokens, which the model lacks */
};
void vocab_clear(struct vocab *v);
/* Room for that many tokens and bytes of strings at once. */
int vocab_reserve(struct vocab *v, size_t tokens, size_t bytes, struct err *err);
/* ERR_FORMAT when the id or the string is taken, ERR_LIMIT when the id is too large. */
int vocab_add(struct vocab *v, const char *s, size_t n, uint32_t id, struct err *err);
/* What is added later is not the model's. */
void vocab_seal(struct vocab *v);
uint32_t vocab_find(const struct vocab *v, const char *s, size_t n);
uint32_t vocab_find_model(const struct vocab *v, const char *s, size_t n); /* no added tokens */
uint64_t vocab_hash(const struct vocab *v, const char *s, size_t n);
void vocab_prefetch(const struct vocab *v, uint64_t hash);
int vocab_add_hashed(struct vocab *v, const char *s, size_t n, uint32_t id, uint64_t hash,
                     struct err *err);
/* Many strings at once: memory is asked for long before it is needed. */
struct vocab_query {
  const char *s;
  size_t n;
  uint64_t hash; /* filled, */
  uint32_t id;   /* and what vocab_find gives */
};
void vocab_find_all(const struct vocab *v, struct vocab_query *queries, size_t count);
/* Whether the token is a and b together. */
bool vocab_is(const struct vocab *v, uint32_t id, const char *a, size_t an, const char *b,
              size_t bn);
const char *vocab_string(const struct vocab *v, uint32_t id, size_t *n); /* NULL: none */
/* Once all tokens are in: what each decodes to. */
int vocab_finish(struct vocab *v, bool byte_level, struct err *err);

/* ---- decoder.c ---- a chain of steps, never changed once loaded */

struct decoder;
/* null: *out is NULL, which joins tokens with spaces. ERR_UNSUPPORTED names the type. */
int decoder_load(struct decoder **out, const struct json *j, json_id section, struct err *err);
void decoder_free(struct decoder *d);
bool decoder_bytes(const struct decoder *d); /* its first step is ByteLevel */
bool decoder_plain(const struct decoder *d); /* it is the ByteLevel and nothing else */

/* One run of it; of one thread at a time. raw: what is not UTF-8 stays. inner: no token is the
 * first. */
struct decoding;
int decoding_new(struct decoding **out, const struct decoder *d, bool raw, bool inner,
                 struct err *err);
void decoding_free(struct decoding *r);
/* A token: its string in the file, and its bytes for decoder_bytes. Appends what is certain. */
int decoding_add(struct decoding *r, const char *token, size_t n, const char *bytes, size_t bytes_n,
                 struct buf *out, struct err *err);
/* Appends the rest; the run may then be used for another text. */
int decoding_end(struct decoding *r, struct buf *out, struct err *err);

int byte_token(const char *s, size_t n); /* "<0x4F>" → 0x4F; −1: not of this form */

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
    int only;        /* the byte that all begin with, or −1 */
    bool any;
  } plain, normalized; /* tokens looked for in the text as it is; in the normalized text */
  /* `normalized` tokens whose content the normalizer changes: what they decode to, by id. */
  struct added_form {
    uint32_t id, n;
    size_t at; /* in `normal` */
  } * forms;
  size_t form_count;
  struct buf normal;
};
#define ADDED_MAX_BYTES 1024
void added_clear(struct added *a);
int added_add(struct added *a, const struct tokenizer_added *token, struct err *err);
/* Sorts and builds the tries; z is applied to the contents of `normalized` tokens. */
int added_finish(struct added *a, const struct normalizer *z, struct err *err);
/* The content of an added token as the normalizer leaves it; NULL: as it is, or another token. */
const char *added_form(const struct added *a, uint32_t id, size_t *n);
/* The next token of the trie at or after *at: its list index, and the bytes [start, end) it takes
 * (stripped spaces included; start ≥ *at). TOKENIZER_NONE at the end of the text. */
uint32_t added_next(const struct added *a, const struct trie *trie, const char *s, size_t n,
                    size_t at, size_t last, bool skip_special, size_t *start, size_t *end,
                    size_t *resume);

/* ---- bpe.c ---- */

#define BPE_AFFIX_MAX  64
#define BPE_BYTE_PAIRS 65536u
#define BPE_PAGES      0x1100u
struct bpe {
  uint32_t byte_id[256];  /* of the byte's character of the alphabet; TOKENIZER_NONE: none */
  uint32_t fallback[256]; /* of "<0xXX>"; TOKENIZER_NONE: none, or no byte_fallback */
  uint32_t space_id;      /* of U+2581 */
  uint32_t unk;           /* TOKENIZER_NONE: characters without a token are dropped */
  bool unk_missing;       /* the file names an unknown token that it does not have */
  bool fuse_unk, ignore_merges, byte_fallback;
  bool complete; /* no byte is missing: a byte-level word's tokens lie end to end */
  /* continuing_subword_prefix stands before each character but a word's first,
   * end_of_word_suffix behind its last */
  char prefix[BPE_AFFIX_MAX], suffix[BPE_AFFIX_MAX];
  uint32_t prefix_len, suffix_len;
  struct bpe_merge {
    uint32_t left, right, result;
  } * merges; /* per rank */
  size_t count, cap;
  uint32_t *slots;     /* the table of merges, see bpe.h */
  uint32_t *byte_rank; /* of two bytes, first × 256 + second; [BPE_BYTE_PAIRS] */
  uint64_t factor[2];
  size_t bucket_mask; /* buckets − 1 */
  uint32_t tag_mask, rank_shift, home_shift;
  uint32_t rank_bits; /* at least; more than needed leave less to tell pairs apart by (tests) */
  /* tokens of one character, 256 characters a page: pages[page_of[c >> 8] * 256 + (c & 255)] */
  uint16_t *page_of; /* [BPE_PAGES]; page 0 is empty */
  uint32_t *pages;
  size_t page_count;
};
void bpe_clear(struct bpe *b);
size_t bpe_slot_bytes(const struct bpe *b); /* of the table of merges */
int bpe_reserve(struct bpe *b, size_t merges, struct err *err);
int bpe_add(struct bpe *b, uint32_t left, uint32_t right, uint32_t result, struct err *err);
/* Once the model's tokens and merges are in, and before added tokens are, which are none of its. */
int bpe_finish(struct bpe *b, const struct vocab *v, struct err *err);
static inline uint32_t bpe_character(const struct bpe *b, uint32_t c) {
  return b->pages[(size_t)b->page_of[c >> 8] * 256 + (c & 255)];
}

struct bpe_scratch {     /* what merging a word needs; see bpe_merge.c */
  uint32_t *ids, *first; /* per symbol; per token: its first symbol */
  uint32_t *start, *end; /* per symbol: bytes of the word */
  size_t cap, span_cap;
  struct bpe_row {
    uint32_t *ids, *first;
    size_t count, cap;
  } window, meeting;
  struct bpe_link {
    uint32_t id, rank; /* of the pair with `next` */
    uint32_t prev, next;
  } * links;
  uint64_t *heap;
  size_t link_cap, heap_count;
};
void bpe_scratch_clear(struct bpe_scratch *x);

struct cache; /* words already encoded */
struct tokenizer_work {
  _Alignas(64) const struct tokenizer *owner; /* a thread's own lines of memory */
  struct cache *cache;                        /* NULL: none */
  struct bpe_scratch scratch;
  struct buf prefixed; /* a piece with a space put before it */
  struct aligned normalized;
  struct pieces pieces, spare;
};

/* What the bytes of a word mean. The cache does not tell them apart: one tokenizer, one kind. */
enum {
  BPE_CHARACTERS = 0, /* UTF-8; a malformed byte is a character of its own */
  BPE_BYTES = 1,      /* bytes; each stands for its character of the byte-level alphabet */
  BPE_SPACES = 2      /* UTF-8, and ' ' reads as U+2581 (▁), Metaspace's replacement */
};
/* The tokens of one word, appended. kind: one of the above. Spans are bytes of `word` as given,
 * plus `at`; tokens that stand for a part of a character have that part's bytes. */
int bpe_word(const struct tokenizer *t, struct tokenizer_work *w, const char *word, size_t n,
             int kind, struct tokens *out, bool spans, uint64_t at, struct err *err);
/* The two halves of it: the token that the whole word is (files with ignore_merges), or
 * TOKENIZER_NONE; and the tokens that merging gives, whatever the file says. */
uint32_t bpe_whole(const struct tokenizer *t, const char *word, size_t n, int kind);
int bpe_merged(const struct tokenizer *t, struct tokenizer_work *w, const char *word, size_t n,
               int kind, struct tokens *out, bool spans, uint64_t at, struct err *err);
int tokens_reserve(struct tokens *ts, size_t more, bool spans, struct err *err);

/* ---- words.c ---- */

/* What is to be done with words. One work sees words of one kind only; BPE_CHARACTERS and BPE_SPACES
 * may mix when no word of BPE_CHARACTERS has a ' '. */
struct words {
  const struct tokenizer *t;
  struct tokenizer_work *w;
  int kind; /* as of bpe_word */
  bool spans;
  const uint32_t *lengths; /* per id: bytes of the text it stands for; NULL: the model says it */
  struct tokens *out;
  size_t *counted; /* NULL: ids are appended; else only counted, and out is scratch */
  bool whole;      /* words are not cut into parts: U+2581 is among them (BPE_SPACES) */
  struct err *err;
};
/* The same as bpe_word, through the cache. `end` is where readable memory ends (≥ word + n). */
int words_one(const struct words *j, const char *word, size_t n, const char *end, uint64_t at);
/* The words of s that end at `ends`, the first beginning at `start`; s stands at `base`. */
#define WORDS_BATCH 1024
int words_many(const struct words *j, const char *s, size_t start, const uint32_t *ends,
               size_t count, const char *end, uint64_t base);
int word_encode(const struct tokenizer *t, struct tokenizer_work *w, const char *word, size_t n,
                const char *end, int kind, struct tokens *out, bool spans, uint64_t at,
                struct err *err);

/* ---- cuts.c ---- places inside words that no token crosses */

struct cuts;
/* NULL: there is no memory for it, or the tokens do not tell (an affix, bytes without a token). */
struct cuts *cuts_new(const struct tokenizer *t, int kind);
void cuts_free(struct cuts *c);
/* The next place behind `at` < n where the word may be cut: what merging makes of it is what it makes
 * of the two parts. n: none. */
size_t cuts_next(const struct cuts *c, const char *word, size_t n, size_t at);
/* The places of s[0, n), n ≤ 64, before which any text may be cut, whatever else is in it: a bit each.
 * s[-1] is readable. Fewer than cuts_next finds, and found faster. */
uint64_t cuts_mask(const struct cuts *c, const char *s, size_t n);
/* False: the word of n bytes with that key (cache.h) is surely no token (as a whole; of files with
 * ignore_merges). The answer's memory may be asked for before. */
bool cuts_whole(const struct cuts *c, size_t n, uint64_t key);
void cuts_prefetch(const struct cuts *c, size_t n, uint64_t key);

struct cache *cache_new(void);
void cache_free(struct cache *c);

/* ---- front.c ---- the fast way: from a piece of raw text to ids, for the files that allow it */

enum front_kind {
  FRONT_NONE,  /* the file has no fast way */
  FRONT_SCAN,  /* byte-level words found by a scanner */
  FRONT_SPACES /* SentencePiece's kind: U+2581 stands for a space, words begin at spaces */
};
struct front {
  enum front_kind kind;
  enum scan_kind scan;
  enum front_prefix {
    PREFIX_NEVER,
    PREFIX_UNLESS, /* a space before a piece that does not begin with one */
    PREFIX_FIRST,  /* the same at the beginning of the input only */
    PREFIX_ALWAYS  /* before each piece, even one that begins with a space */
  } prefix;
  bool normalizes;   /* the file's normalizer is part of it (Prepend and Replace) */
  uint32_t *lengths; /* FRONT_SPACES: per id, bytes of the text when U+2581 is a space there */
};
void front_clear(struct front *f);
/* Fills t->front from the file's sections, once vocabulary and merges are in: it looks at the
 * tokens. FRONT_NONE is no error. */
int front_find(struct tokenizer *t, const struct json *j, json_id normalizer, json_id pre_tokenizer,
               struct err *err);
/* Whether the fast way may take this piece of raw text, of what lies between the plain added tokens.
 * If so: added tokens of the normalized text may be cut out of it as it is (it stays as it is), and
 * what is between them goes to front_words. */
bool front_takes(const struct tokenizer *t, const char *s, size_t n);
/* The ids of a piece without added tokens; spans begin at `base`. begins: the piece's first byte is
 * the first of the whole input. With `counted` nothing is appended; their number is added to it. */
int front_words(const struct tokenizer *t, struct tokenizer_work *w, const char *s, size_t n,
                bool begins, struct tokens *out, bool spans, uint64_t base, size_t *counted,
                struct err *err);

/* ---- the whole ---- */

enum {
  SECTION_NORMALIZER,
  SECTION_PRE_TOKENIZER,
  SECTION_POST_PROCESSOR,
  SECTION_DECODER,
  SECTION_TRUNCATION,
  SECTION_PADDING
};
enum { SECTIONS = 6 };
extern const char *const section_names[SECTIONS]; /* "normalizer" … */

struct tokenizer {
  struct vocab vocab;
  struct added added;
  struct bpe bpe;
  struct front front;
  struct normalizer *normalizer;
  struct pre_tokenizer *pre_tokenizer;
  struct decoder *decoder;      /* NULL: token strings joined by spaces */
  struct tokens head, tail;     /* ids that the post-processor puts before and after */
  struct buf section[SECTIONS]; /* their JSON; empty: null */
  struct tokenizer_truncation truncation;
  struct tokenizer_padding padding;
  struct buf pad_token;
  bool truncates, pads;
  struct file_map image; /* open: vocabulary and merges lie in it, see image.c */
};
int tokenizer_new(struct tokenizer **out, struct err *err);
/* Once vocabulary, added tokens, merges and the sections' JSON are in. */
int tokenizer_finish(struct tokenizer *t, struct err *err);
/* The same when the sections stand in a parsed file (JSON_NONE: null). */
int tokenizer_finish_from(struct tokenizer *t, const struct json *j, const json_id at[SECTIONS],
                          struct err *err);
/* sections.c: makes them ready for use. */
int tokenizer_sections(struct tokenizer *t, const struct json *j, const json_id at[SECTIONS],
                       struct err *err);

/* Forgets what lies in the image, and closes it. */
void image_release(struct tokenizer *t);

/* Polling for cancellation every so many input bytes. */
#define TOKENIZER_POLL ((size_t)256 << 10)

#endif

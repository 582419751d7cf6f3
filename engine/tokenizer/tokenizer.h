/* SPDX-License-Identifier: MIT */
/* Tokenizers: text ↔ token ids, exactly as Hugging Face `tokenizers` does it.
 *
 *   text ─ added tokens cut out ─ normalizer ─ pre-tokenizer ─► words ─ model ─► ids
 *                                                  ids ─ post-processor ─► ids with BOS …
 *   ids ─► token strings ─ decoder ─► text
 *
 * Read are tokenizer.json files whose model is BPE, byte-level or of SentencePiece's kind, with
 * their normalizers, pre-tokenizers, post-processors and decoders. What is not known (another model,
 * say) is refused by name with ERR_UNSUPPORTED; nothing is silently approximated.
 *
 * An added token that the file calls `normalized` is looked for in the normalized text, with its own
 * content normalized: with the file that was published for Llama 2 "<s>" is found where the
 * normalized text has "▁<s>", at the beginning of a text or after a space; and it decodes to that,
 * so that the text comes back, which also means that skipping special tokens does not skip it
 * (tokenizers 0.23 does the same; files published since say `normalized: false`).
 *
 * A token's span is what it stands for in the input as given, before any normalization. A
 * post-processor's trim_offsets is not followed: spans keep their spaces.
 *
 * A tokenizer never changes after it was made: any number of threads may use one `const struct
 * tokenizer`. What a thread needs while encoding (word cache, merge scratch) is a struct
 * tokenizer_work, which belongs to one thread at a time; NULL is legal and means a temporary one.
 * Results never depend on the cache.
 *
 * Input bytes that are not UTF-8 are kept: each counts as one character that is neither letter,
 * digit nor space, so that with a byte-level vocabulary nothing is lost.
 *
 * Sources: the tokenizers crate 0.23 (behaviour probed, no code taken), GPT-2's published pattern.
 */
#ifndef LATHE_TOKENIZER_TOKENIZER_H
#define LATHE_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct tokenizer;
struct tokenizer_work;

#define TOKENIZER_NONE   UINT32_MAX        /* no such token */
#define TOKENIZER_MAX_ID ((1u << 22) - 1u) /* larger ids are ERR_LIMIT */

/* ---- loading and saving ---- */

/* From the bytes of a tokenizer.json; nothing of `json` is kept. The caller frees. */
int tokenizer_load(struct tokenizer **out, const char *json, size_t n, struct err *err);
/* From a file, or from the tokenizer.json of a folder. */
int tokenizer_load_file(struct tokenizer **out, const char *path, struct err *err);
void tokenizer_free(struct tokenizer *t);

/* A complete tokenizer.json, appended; the file is replaced atomically. */
int tokenizer_write(const struct tokenizer *t, struct buf *json, struct err *err);
int tokenizer_save(const struct tokenizer *t, const char *path, struct err *err);

/* A finished tokenizer as a file that is mapped in a few milliseconds: a cache for this program on
 * this machine, not a format. key: a hash of what it was made from; loading with another key, a file
 * of another version and a damaged file are ERR_FORMAT, and then it is made again. Written without
 * fsync, readable by the user only. The file must not be changed while it is loaded (tokenizer_image_
 * save replaces it, which is fine). */
int tokenizer_image_save(const struct tokenizer *t, const char *path, const uint64_t key[2],
                         struct err *err);
int tokenizer_image_load(struct tokenizer **out, const char *path, const uint64_t key[2],
                         struct err *err);

/* ---- encoding ---- */

struct token_span { /* the input bytes [start, end) that a token stands for */
  uint64_t start, end;
};

/* Token ids, growable. Plain data; init with {0}, free with tokens_clear. */
struct tokens {
  uint32_t *ids;
  struct token_span *spans; /* filled only with TOKENIZER_SPANS; then as many as ids */
  size_t count, cap, span_cap;
};
void tokens_reset(struct tokens *ts); /* empties, keeps the memory */
void tokens_clear(struct tokens *ts); /* frees; may be called twice */

enum {
  TOKENIZER_SPECIAL = 1, /* add what the post-processor adds (BOS, EOS …) */
  TOKENIZER_SPANS = 2,   /* fill spans; added ones have start == end */
  TOKENIZER_PLAIN = 4,   /* special tokens inside the text are text (for untrusted text) */
  TOKENIZER_LEFT = 8     /* tokenizer_truncate: cut off the beginning, not the end */
};

/* Appends the ids of text[0, n) to out. Added tokens inside the text are recognised, leftmost
 * first, then longest. ERR_NOMEM, ERR_CANCELLED (polled every few hundred kilobytes),
 * ERR_LIMIT (n ≥ 4 GiB). */
int tokenizer_encode(const struct tokenizer *t, struct tokenizer_work *work, const char *text,
                     size_t n, int flags, struct tokens *out, struct err *err);
/* The number of ids only. */
int tokenizer_count(const struct tokenizer *t, struct tokenizer_work *work, const char *text,
                    size_t n, int flags, size_t *count, struct err *err);

/* The last place in a text where it may be cut: the ids of s[0, *end) followed by those of what
 * begins at *next are those of the whole, whatever comes behind s[0, n), without TOKENIZER_SPECIAL
 * and TOKENIZER_PLAIN or not. Usually *next == *end; where a tokenizer puts a space before every
 * text, *next is behind the space that the second part thus gets. False: no place, or a file for
 * which none can be proven; then the text must stay whole. */
bool tokenizer_cut(const struct tokenizer *t, const char *s, size_t n, size_t *end, size_t *next);

/* At most `max` tokens, what TOKENIZER_SPECIAL adds included (fewer than that: ERR_MISUSE), with
 * their spans; *at is the byte where the text was cut: what lies before it (TOKENIZER_LEFT: behind
 * it) is what the tokens stand for; n (0) when nothing had to be cut off. A cut parts no character
 * and no added token, so there may be fewer tokens than max. They are those of the whole text. */
int tokenizer_truncate(const struct tokenizer *t, struct tokenizer_work *work, const char *text,
                       size_t n, int flags, size_t max, struct tokens *out, uint64_t *at,
                       struct err *err);

/* A work belongs to the tokenizer it was made for (with another one: ERR_MISUSE). */
int tokenizer_work_new(struct tokenizer_work **out, const struct tokenizer *t, struct err *err);
void tokenizer_work_free(struct tokenizer_work *work);

/* ---- many texts over threads ---- */

/* Threads with a work each. One call at a time; the works are kept between calls. */
struct tokenizer_team;
int tokenizer_team_new(struct tokenizer_team **out, const struct tokenizer *t, unsigned threads,
                       struct err *err); /* threads ≥ 1, the calling one included */
void tokenizer_team_free(struct tokenizer_team *team);
unsigned tokenizer_team_threads(const struct tokenizer_team *team);

struct tokenizer_text {
  const char *s;
  size_t n;
};
/* The ids of n texts, one after the other, replace what out has; those of text i end before
 * ends[i]. The same as one tokenizer_encode after the other, on any number of threads; a long text is
 * shared out too, where it can be cut. Spans are bytes of each text. Of several errors that of the
 * first text is reported. */
int tokenizer_encode_batch(struct tokenizer_team *team, const struct tokenizer_text *texts,
                           size_t n, int flags, struct tokens *out, size_t *ends, struct err *err);
/* The same, each text's ids given away as soon as those of all texts before it were: by the calling
 * thread, while the others go on encoding. They are gone when `give` returns. It returns 0, or an
 * error that ends the call. */
typedef int tokenizer_give(void *arg, size_t text, const struct tokens *ids, struct err *err);
int tokenizer_encode_each(struct tokenizer_team *team, const struct tokenizer_text *texts, size_t n,
                          int flags, tokenizer_give *give, void *arg, struct err *err);
int tokenizer_count_batch(struct tokenizer_team *team, const struct tokenizer_text *texts, size_t n,
                          int flags, size_t *counts, struct err *err);

/* ---- truncation and padding ---- */

/* What the file says about them. They are read, checked and saved again, but encoding never cuts
 * and never pads: a text that is cut silently is a mistake nobody sees. */
struct tokenizer_truncation {
  size_t max_length, stride;
  const char *strategy; /* "LongestFirst", "OnlyFirst", "OnlySecond" */
  bool left;            /* what is cut off: the beginning */
};
struct tokenizer_padding {
  size_t fixed;       /* length to pad to; 0: that of the longest of the batch */
  size_t multiple_of; /* 0: any length */
  uint32_t id, type_id;
  const char *token; /* token_n bytes, valid as long as the tokenizer */
  size_t token_n;
  bool left; /* where padding goes: the beginning */
};
/* False: the file says null. */
bool tokenizer_truncation(const struct tokenizer *t, struct tokenizer_truncation *out);
bool tokenizer_padding(const struct tokenizer *t, struct tokenizer_padding *out);

/* The JSON of a section of the file: "normalizer", "pre_tokenizer", "post_processor", "decoder",
 * "truncation", "padding"; not zero-terminated, valid as long as t. NULL: null, or no such section. */
const char *tokenizer_section(const struct tokenizer *t, const char *name, size_t *n);

/* ---- decoding ---- */

enum { TOKENIZER_SKIP_SPECIAL = 1 };

/* Appends the text of the ids. Ids without a token are left out. Bytes that are not UTF-8 become
 * U+FFFD: one per maximal malformed part with the byte level, one per byte of the whole run of byte
 * tokens with byte fallback. */
int tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n, int flags,
                     struct buf *out, struct err *err);

/* The bytes themselves, without repair. */
int tokenizer_decode_bytes(const struct tokenizer *t, const uint32_t *ids, size_t n, int flags,
                           struct buf *out, struct err *err);

/* Decoding token by token, for text that is shown while it is generated: what cannot yet be told
 * to be whole characters, or whole runs of byte tokens, waits. The concatenation of all pieces,
 * tokenizer_stream_end's included, equals tokenizer_decode of all ids. Init with {0}; after the end
 * it may be used again; clear frees. */
struct decoding;
struct tokenizer_stream {
  struct decoding *run; /* made at the first token */
};
int tokenizer_stream_add(const struct tokenizer *t, struct tokenizer_stream *s, uint32_t id,
                         int flags, struct buf *out, struct err *err);
int tokenizer_stream_end(struct tokenizer_stream *s, struct buf *out, struct err *err);
void tokenizer_stream_clear(struct tokenizer_stream *s);

/* ---- looking up ---- */

/* Ids lie below tokenizer_size; not every one of them need have a token. */
size_t tokenizer_size(const struct tokenizer *t);
size_t tokenizer_entries(const struct tokenizer *t); /* ids that have a token */

/* By the string of the file ("Ġthe", "<|endoftext|>"); TOKENIZER_NONE when there is none. */
uint32_t tokenizer_id(const struct tokenizer *t, const char *token, size_t n);
/* The string of the file, not zero-terminated, valid as long as t; NULL when there is none. */
const char *tokenizer_token(const struct tokenizer *t, uint32_t id, size_t *n);
/* The bytes the token stands for in the middle of a text; " the" for Llama's "▁the". */
const char *tokenizer_bytes(const struct tokenizer *t, uint32_t id, size_t *n);

/* Added tokens, in order of their ids. */
struct tokenizer_added {
  uint32_t id;
  const char *content; /* not zero-terminated */
  size_t n;
  bool special, single_word, lstrip, rstrip, normalized;
  bool in_vocab;  /* the model's vocabulary has it too */
  uint32_t place; /* in the file's list */
};
size_t tokenizer_added_count(const struct tokenizer *t);
void tokenizer_added_at(const struct tokenizer *t, size_t i, struct tokenizer_added *out);
bool tokenizer_is_special(const struct tokenizer *t, uint32_t id);

/* The merges, in order of rank: the ids of left and right part. For exporters. */
size_t tokenizer_merge_count(const struct tokenizer *t);
void tokenizer_merge_at(const struct tokenizer *t, size_t i, uint32_t *left, uint32_t *right);

/* "BPE, 4096 entries, byte-level, 3 special"; or "byte fallback", "characters" */
void tokenizer_describe(const struct tokenizer *t, char *out, size_t size);

/* ---- training ---- */

/* Byte-level BPE, equal to Hugging Face's BpeTrainer on the same texts. Ids: special tokens in the
 * order given, the 256 bytes in the order of their byte-level characters, merges. Deterministic:
 * neither the order of the texts nor the number of threads matters.
 *
 *   tokenizer_train_new → tokenizer_train_add … → tokenizer_train_finish → tokenizer_train_free
 */
struct tokenizer_train;
struct pool;
struct tokenizer_train_options {
  size_t vocab_size;          /* everything included; at least special + 256 */
  uint64_t min_frequency;     /* pairs rarer than this are not merged; 0 and 1: all are */
  size_t max_token_length;    /* as the reference's: tokens have fewer bytes, but two bytes are
                                 always allowed to join; 0: no limit */
  const char *const *special; /* zero-terminated strings, all different */
  size_t special_count;
  const char *pattern; /* NULL or "gpt2", "cl100k", "llama3", "qwen2", "o200k"; anything else is a
                             regular expression whose matches are words */
  const char *normalizer; /* NULL, or "nfc" */
  const char *bos, *eos;  /* what the post-processor puts before and after; NULL: nothing */
  size_t memory;       /* bytes, 0: no bound. Words beyond it go to files in `scratch` and nothing
                             changes; should their merging alone need more, the words that occur
                             least are left out, and counted in the facts. Needs about 40 MB besides,
                             and the texts it is given. */
  size_t table_memory; /* bytes for counting alone, when less; 0: the same. The result stays */
  const char *scratch; /* a folder for files that are gone afterwards; needed with memory */
  struct pool *pool;   /* threads to count with; NULL: this one */
  void (*progress)(void *arg, size_t merges, size_t of); /* while merging; may be NULL */
  void *arg;
};
struct tokenizer_train_facts {
  uint64_t bytes, texts, words;        /* words: with repetitions */
  uint64_t distinct;                   /* different words merged over */
  uint64_t forgotten_words, forgotten; /* words left out for memory's sake; with repetitions */
  uint64_t runs;                       /* files that words went to */
  uint64_t merges;
};
int tokenizer_train_new(struct tokenizer_train **out, const struct tokenizer_train_options *options,
                        struct err *err);
/* The text is not kept. ERR_CANCELLED is polled; after an error only _free is of use. */
int tokenizer_train_add(struct tokenizer_train *tr, const char *text, size_t n, struct err *err);
/* Makes the tokenizer; may be called once. ERR_CANCELLED is polled. facts may be NULL. */
int tokenizer_train_finish(struct tokenizer_train *tr, struct tokenizer **out,
                           struct tokenizer_train_facts *facts, struct err *err);
void tokenizer_train_free(struct tokenizer_train *tr);

#endif

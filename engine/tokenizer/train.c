/* SPDX-License-Identifier: MIT */
/* Training byte-level BPE: the same merges as Hugging Face's BpeTrainer finds.
 *
 *   texts ─ scanner ─► words with counts          open addressing, bytes in an arena
 *   words ─► symbols, one per byte                one array for all words
 *   pairs of neighbours ─► count, list of words   open addressing
 *   heap of (count, pair): the most frequent pair, of equals the one with smaller ids, is merged in
 *   the words of its list; the pairs that arise there get counts, lists and a place in the heap.
 *
 * Counts of pairs that shrink are not moved in the heap: an entry whose count is out of date when
 * it comes up goes back with the right one. As in the reference, the count of a merged pair is left
 * as it was, and two merges may give the same string, which then has one id.
 *
 * Memory: `memory` bounds the table of words. When it is full, words seen once are forgotten, then
 * twice, and so on until half of it is free; that is counted. It depends on the order of the texts,
 * so a bound that is reached makes the order matter.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "tokenizer/parts.h"

#define BYTES    256
#define NO_INDEX UINT32_MAX

struct word {
  uint64_t at; /* in text; after counting: its first symbol */
  uint64_t count;
  uint32_t len; /* bytes; after counting: symbols left */
};

struct pair {
  uint64_t key; /* left << 32 | right */
  int64_t count;
  uint32_t *words; /* indices; one may occur twice */
  uint32_t word_count, word_cap;
  uint32_t stamp; /* the merge that touched it last */
};

struct entry { /* of the heap; pos[from, to) of the pair's words belong to it */
  uint64_t count, key;
  uint32_t pair, *words;
  uint32_t word_count;
};

struct tokenizer_train {
  struct tokenizer_train_options options;
  struct buf special; /* the strings, zero-terminated, one after the other */
  struct tokenizer_train_facts facts;
  struct buf text; /* bytes of the words */
  struct word *words;
  size_t word_count, word_cap;
  uint32_t *slots;
  size_t slot_count;
  bool finished;
  /* while merging */
  struct tokenizer *t;
  uint32_t *symbols;
  struct pair *pairs;
  size_t pair_count, pair_cap;
  uint32_t *pair_slots;
  size_t pair_slot_count;
  struct entry *heap;
  size_t heap_count, heap_cap;
  uint32_t *touched; /* pairs that the merge in hand made more frequent */
  size_t touched_count, touched_cap;
  uint32_t stamp;
};

/* ---- counting words ---- */

int tokenizer_train_new(struct tokenizer_train **out, const struct tokenizer_train_options *options,
                        struct err *err) {
  *out = NULL;
  if (options->vocab_size < BYTES + options->special_count)
    return err_set(err, ERR_MISUSE,
                   "vocab_size %zu: at least %zu are needed (256 bytes, %zu special)",
                   options->vocab_size, BYTES + options->special_count, options->special_count);
  if (options->vocab_size > TOKENIZER_MAX_ID)
    return err_set(err, ERR_LIMIT, "vocab_size %zu is above %u", options->vocab_size,
                   TOKENIZER_MAX_ID);
  struct tokenizer_train *tr = mem_zero(sizeof *tr);
  if (!tr) return err_nomem(err, sizeof *tr, "training");
  tr->options = *options;
  tr->options.special = NULL;
  for (size_t i = 0; i < options->special_count; i++)
    buf_add(&tr->special, options->special[i], strlen(options->special[i]) + 1);
  int rc = buf_check(&tr->special, "training", err);
  if (rc)
    tokenizer_train_free(tr);
  else
    *out = tr;
  return rc;
}

static void pairs_clear(struct tokenizer_train *tr) {
  for (size_t i = 0; i < tr->pair_count; i++) mem_free(tr->pairs[i].words);
  for (size_t i = 0; i < tr->heap_count; i++) mem_free(tr->heap[i].words);
  mem_free(tr->pairs);
  mem_free(tr->pair_slots);
  mem_free(tr->heap);
  mem_free(tr->touched);
  mem_free(tr->symbols);
}

void tokenizer_train_free(struct tokenizer_train *tr) {
  if (!tr) return;
  pairs_clear(tr);
  tokenizer_free(tr->t);
  buf_clear(&tr->special);
  buf_clear(&tr->text);
  mem_free(tr->words);
  mem_free(tr->slots);
  mem_free(tr);
}

static size_t word_slot(const struct tokenizer_train *tr, const char *s, size_t n) {
  size_t mask = tr->slot_count - 1, i = (size_t)hash_xxh3(s, n, 0) & mask;
  for (; tr->slots[i] != NO_INDEX; i = (i + 1) & mask) {
    const struct word *w = &tr->words[tr->slots[i]];
    if (w->len == n && !memcmp(tr->text.data + w->at, s, n)) break;
  }
  return i;
}

static void index_words(struct tokenizer_train *tr) {
  memset(tr->slots, 0xFF, tr->slot_count * sizeof *tr->slots);
  for (size_t i = 0; i < tr->word_count; i++)
    tr->slots[word_slot(tr, tr->text.data + tr->words[i].at, tr->words[i].len)] = (uint32_t)i;
}

static int grow_words(struct tokenizer_train *tr, struct err *err) {
  if (tr->word_count == tr->word_cap) {
    size_t cap = tr->word_cap ? tr->word_cap * 2 : 4096;
    if (cap >= NO_INDEX) return err_set(err, ERR_LIMIT, "more than 2^32 different words");
    struct word *words = mem_rearray(tr->words, cap, sizeof *words);
    if (!words) return err_nomem(err, cap * sizeof *words, "words");
    tr->words = words;
    tr->word_cap = cap;
  }
  if (tr->word_count * 2 < tr->slot_count) return 0;
  size_t count = tr->slot_count ? tr->slot_count * 2 : 8192;
  uint32_t *slots = mem_rearray(tr->slots, count, sizeof *slots);
  if (!slots) return err_nomem(err, count * sizeof *slots, "words");
  tr->slots = slots;
  tr->slot_count = count;
  index_words(tr);
  return 0;
}

static size_t words_memory(const struct tokenizer_train *tr) {
  return tr->text.len + tr->word_count * (sizeof *tr->words + 2 * sizeof *tr->slots);
}

/* Keeps the words seen more than `limit` times; text and table close up in place. */
static void forget(struct tokenizer_train *tr, uint64_t limit) {
  size_t kept = 0, bytes = 0;
  for (size_t i = 0; i < tr->word_count; i++) {
    struct word w = tr->words[i];
    if (w.count <= limit) {
      tr->facts.forgotten += w.count;
      continue;
    }
    memmove(tr->text.data + bytes, tr->text.data + w.at, w.len);
    w.at = bytes;
    bytes += w.len;
    tr->words[kept++] = w;
  }
  tr->word_count = kept;
  tr->text.len = bytes;
  index_words(tr);
}

static int count_word(struct tokenizer_train *tr, const char *s, size_t n, struct err *err) {
  int rc = grow_words(tr, err);
  if (rc) return rc;
  size_t slot = word_slot(tr, s, n);
  tr->facts.words++;
  if (tr->slots[slot] != NO_INDEX) {
    tr->words[tr->slots[slot]].count++;
    return 0;
  }
  size_t at = tr->text.len;
  buf_add(&tr->text, s, n);
  if ((rc = buf_check(&tr->text, "words", err))) return rc;
  tr->words[tr->word_count] = (struct word){.at = at, .count = 1, .len = (uint32_t)n};
  tr->slots[slot] = (uint32_t)tr->word_count++;
  if (tr->options.memory && words_memory(tr) > tr->options.memory)
    for (uint64_t limit = 1; tr->word_count && words_memory(tr) > tr->options.memory / 2; limit++)
      forget(tr, limit);
  return 0;
}

int tokenizer_train_add(struct tokenizer_train *tr, const char *text, size_t n, struct err *err) {
  if (tr->finished) return err_set(err, ERR_MISUSE, "this training is finished");
  if (n >= UINT32_MAX) return err_set(err, ERR_LIMIT, "a text of %zu bytes; at most 4 GiB", n);
  size_t poll = 0;
  int rc = 0;
  for (size_t at = 0, end; at < n && !rc; at = end) {
    if (at >= poll) {
      if ((rc = cancel_check(err))) break;
      poll = at + TOKENIZER_POLL;
    }
    end = scan_gpt2(text, n, at);
    rc = count_word(tr, text + at, end - at, err);
  }
  tr->facts.texts++;
  tr->facts.bytes += n;
  return rc;
}

/* ---- the vocabulary before the first merge ---- */

static const char *const byte_level =
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}";

static int add_specials(struct tokenizer_train *tr, struct err *err) {
  struct tokenizer *t = tr->t;
  const char *s = tr->special.data;
  int rc = 0;
  for (size_t i = 0; i < tr->options.special_count && !rc; i++, s += strlen(s) + 1) {
    struct tokenizer_added token = {
        .id = (uint32_t)i, .n = strlen(s), .special = true, .in_vocab = true};
    if (!token.n) return err_set(err, ERR_MISUSE, "special token %zu is empty", i + 1);
    rc = vocab_add(&t->vocab, s, token.n, token.id, err);
    if (!rc) rc = added_add(&t->added, &token, err);
  }
  return rc;
}

/* The bytes, in the order of their characters. */
static int add_bytes(struct tokenizer_train *tr, uint32_t id_of[BYTES], struct err *err) {
  int rc = 0;
  for (uint32_t c = 0; c <= 0x143 && !rc; c++) {
    char s[2];
    int byte = char_byte(c);
    if (byte < 0) continue;
    size_t n = byte_char_put((unsigned)byte, s);
    uint32_t id = vocab_find(&tr->t->vocab, s, n);
    if (id == TOKENIZER_NONE) {
      id = (uint32_t)tr->t->vocab.size;
      rc = vocab_add(&tr->t->vocab, s, n, id, err);
    }
    id_of[byte] = id;
  }
  return rc;
}

static int new_tokenizer(struct tokenizer_train *tr, uint32_t id_of[BYTES], struct err *err) {
  static const int with[] = {SECTION_PRE_TOKENIZER, SECTION_POST_PROCESSOR, SECTION_DECODER};
  int rc = tokenizer_new(&tr->t, err);
  for (size_t i = 0; i < sizeof with / sizeof *with && !rc; i++) {
    buf_adds(&tr->t->section[with[i]], byte_level);
    rc = buf_check(&tr->t->section[with[i]], "tokenizer", err);
  }
  if (!rc) rc = add_specials(tr, err);
  return rc ? rc : add_bytes(tr, id_of, err);
}

/* Words become symbols; bytes and hash table are no longer needed. */
static int make_symbols(struct tokenizer_train *tr, const uint32_t id_of[BYTES], struct err *err) {
  tr->symbols = mem_array(tr->text.len, sizeof *tr->symbols);
  if (!tr->symbols) return err_nomem(err, tr->text.len * sizeof *tr->symbols, "symbols");
  for (size_t i = 0; i < tr->text.len; i++) tr->symbols[i] = id_of[(unsigned char)tr->text.data[i]];
  buf_clear(&tr->text);
  mem_free(tr->slots);
  tr->slots = NULL;
  return 0;
}

/* ---- pairs and the heap ---- */

static size_t pair_place(const struct tokenizer_train *tr, uint64_t key) {
  uint64_t h = key * 0x9E3779B97F4A7C15u;
  size_t mask = tr->pair_slot_count - 1, i = (size_t)(h ^ h >> 32) & mask;
  while (tr->pair_slots[i] != NO_INDEX && tr->pairs[tr->pair_slots[i]].key != key)
    i = (i + 1) & mask;
  return i;
}

static int grow_pairs(struct tokenizer_train *tr, struct err *err) {
  if (tr->pair_count == tr->pair_cap) {
    size_t cap = tr->pair_cap ? tr->pair_cap * 2 : 4096;
    struct pair *pairs = mem_rearray(tr->pairs, cap, sizeof *pairs);
    if (!pairs) return err_nomem(err, cap * sizeof *pairs, "pairs");
    tr->pairs = pairs;
    tr->pair_cap = cap;
  }
  if (tr->pair_count * 2 < tr->pair_slot_count) return 0;
  size_t count = tr->pair_slot_count ? tr->pair_slot_count * 2 : 8192;
  uint32_t *slots = mem_rearray(tr->pair_slots, count, sizeof *slots);
  if (!slots) return err_nomem(err, count * sizeof *slots, "pairs");
  tr->pair_slots = slots;
  tr->pair_slot_count = count;
  memset(slots, 0xFF, count * sizeof *slots);
  for (size_t i = 0; i < tr->pair_count; i++) slots[pair_place(tr, tr->pairs[i].key)] = (uint32_t)i;
  return 0;
}

static int pair_of(struct tokenizer_train *tr, uint32_t left, uint32_t right, struct pair **out,
                   struct err *err) {
  uint64_t key = (uint64_t)left << 32 | right;
  int rc = grow_pairs(tr, err);
  if (rc) return rc;
  size_t place = pair_place(tr, key);
  if (tr->pair_slots[place] == NO_INDEX) {
    tr->pair_slots[place] = (uint32_t)tr->pair_count;
    tr->pairs[tr->pair_count++] = (struct pair){.key = key};
  }
  *out = &tr->pairs[tr->pair_slots[place]];
  return 0;
}

static int pair_add_word(struct pair *p, uint32_t word, struct err *err) {
  if (p->word_count && p->words[p->word_count - 1] == word) return 0;
  if (p->word_count == p->word_cap) {
    uint32_t cap = p->word_cap ? p->word_cap * 2 : 4;
    uint32_t *words = mem_rearray(p->words, cap, sizeof *words);
    if (!words) return err_nomem(err, cap * sizeof *words, "pairs");
    p->words = words;
    p->word_cap = cap;
  }
  p->words[p->word_count++] = word;
  return 0;
}

static int touch(struct tokenizer_train *tr, struct pair *p, struct err *err) {
  if (p->stamp == tr->stamp) return 0;
  if (tr->touched_count == tr->touched_cap) {
    size_t cap = tr->touched_cap ? tr->touched_cap * 2 : 1024;
    uint32_t *touched = mem_rearray(tr->touched, cap, sizeof *touched);
    if (!touched) return err_nomem(err, cap * sizeof *touched, "pairs");
    tr->touched = touched;
    tr->touched_cap = cap;
  }
  p->stamp = tr->stamp;
  tr->touched[tr->touched_count++] = (uint32_t)(p - tr->pairs);
  return 0;
}

static int change(struct tokenizer_train *tr, uint32_t left, uint32_t right, int64_t by,
                  uint32_t word, struct err *err) {
  struct pair *p;
  int rc = pair_of(tr, left, right, &p, err);
  if (rc) return rc;
  p->count += by;
  if (by < 0) return 0;
  rc = pair_add_word(p, word, err);
  return rc ? rc : touch(tr, p, err);
}

static bool above(const struct entry *a, const struct entry *b) {
  return a->count != b->count ? a->count > b->count : a->key < b->key;
}

static void heap_up(struct entry *h, size_t i) {
  struct entry e = h[i];
  for (; i && above(&e, &h[(i - 1) / 2]); i = (i - 1) / 2) h[i] = h[(i - 1) / 2];
  h[i] = e;
}

static void heap_down(struct entry *h, size_t n) {
  struct entry e = h[0];
  size_t i = 0;
  for (size_t c; (c = 2 * i + 1) < n; i = c) {
    if (c + 1 < n && above(&h[c + 1], &h[c])) c++;
    if (!above(&h[c], &e)) break;
    h[i] = h[c];
  }
  h[i] = e;
}

/* The touched pairs enter the heap with the words collected for them. */
static int push_touched(struct tokenizer_train *tr, struct err *err) {
  if (tr->heap_count + tr->touched_count > tr->heap_cap) {
    size_t cap = tr->heap_cap * 2 + tr->touched_count;
    struct entry *heap = mem_rearray(tr->heap, cap, sizeof *heap);
    if (!heap) return err_nomem(err, cap * sizeof *heap, "pairs");
    tr->heap = heap;
    tr->heap_cap = cap;
  }
  for (size_t i = 0; i < tr->touched_count; i++) {
    struct pair *p = &tr->pairs[tr->touched[i]];
    if (p->count > 0) {
      tr->heap[tr->heap_count] =
          (struct entry){(uint64_t)p->count, p->key, tr->touched[i], p->words, p->word_count};
      heap_up(tr->heap, tr->heap_count++);
    } else {
      mem_free(p->words);
    }
    p->words = NULL;
    p->word_count = p->word_cap = 0;
  }
  tr->touched_count = 0;
  tr->stamp++;
  return 0;
}

static int first_pairs(struct tokenizer_train *tr, struct err *err) {
  int rc = 0;
  tr->stamp = 1;
  for (size_t w = 0; w < tr->word_count && !rc; w++) {
    const struct word *word = &tr->words[w];
    const uint32_t *s = tr->symbols + word->at;
    if (!(w & 0xFFFF) && (rc = cancel_check(err))) break;
    for (uint32_t i = 0; i + 1 < word->len && !rc; i++)
      rc = change(tr, s[i], s[i + 1], (int64_t)word->count, (uint32_t)w, err);
  }
  return rc ? rc : push_touched(tr, err);
}

/* ---- merging ---- */

/* Every `left right` in the word becomes `to`, from the left; counts follow. */
static int merge_word(struct tokenizer_train *tr, uint32_t w, uint32_t left, uint32_t right,
                      uint32_t to, struct err *err) {
  struct word *word = &tr->words[w];
  uint32_t *s = tr->symbols + word->at;
  int64_t count = (int64_t)word->count;
  uint32_t out = 0, n = word->len;
  int rc = 0;
  for (uint32_t i = 0; i < n && !rc; i++) {
    if (s[i] != left || i + 1 >= n || s[i + 1] != right) {
      s[out++] = s[i];
      continue;
    }
    if (out) {
      rc = change(tr, s[out - 1], left, -count, w, err);
      if (!rc) rc = change(tr, s[out - 1], to, count, w, err);
    }
    if (i + 2 < n && !rc) {
      rc = change(tr, right, s[i + 2], -count, w, err);
      if (!rc) rc = change(tr, to, s[i + 2], count, w, err);
    }
    s[out++] = to;
    i++;
  }
  word->len = out;
  return rc;
}

/* The id of left + right, which may exist already. */
static int merged_id(struct tokenizer_train *tr, uint32_t left, uint32_t right, uint32_t *id,
                     struct err *err) {
  struct vocab *v = &tr->t->vocab;
  struct buf joined;
  size_t an, bn;
  buf_init(&joined);
  const char *a = vocab_string(v, left, &an), *b = vocab_string(v, right, &bn);
  buf_add(&joined, a, an);
  buf_add(&joined, b, bn);
  int rc = buf_check(&joined, "a token", err);
  if (!rc) {
    *id = vocab_find(v, joined.data, joined.len);
    if (*id == TOKENIZER_NONE)
      rc = vocab_add(v, joined.data, joined.len, *id = (uint32_t)v->size, err);
  }
  buf_clear(&joined);
  return rc;
}

static int merge_entry(struct tokenizer_train *tr, struct entry *e, struct err *err) {
  uint32_t left = (uint32_t)(e->key >> 32), right = (uint32_t)e->key, to;
  int rc = merged_id(tr, left, right, &to, err);
  if (!rc) rc = bpe_add(&tr->t->bpe, left, right, to, err);
  for (uint32_t i = 0; i < e->word_count && !rc; i++)
    rc = merge_word(tr, e->words[i], left, right, to, err);
  if (!rc) tr->facts.merges++;
  return rc ? rc : push_touched(tr, err);
}

static int merge_all(struct tokenizer_train *tr, struct err *err) {
  uint64_t least = tr->options.min_frequency ? tr->options.min_frequency : 1;
  int rc = 0;
  while (tr->t->vocab.size < tr->options.vocab_size && tr->heap_count && !rc) {
    struct entry *top = &tr->heap[0];
    int64_t now = tr->pairs[top->pair].count;
    if (top->count != (uint64_t)now) {
      top->count = now > 0 ? (uint64_t)now : 0;
      if (now <= 0) tr->pairs[top->pair].count = 0;
      heap_down(tr->heap, tr->heap_count);
      continue;
    }
    if (top->count < least) break;
    struct entry e = *top;
    tr->heap[0] = tr->heap[--tr->heap_count];
    if (tr->heap_count) heap_down(tr->heap, tr->heap_count);
    if (!(rc = cancel_check(err))) rc = merge_entry(tr, &e, err);
    mem_free(e.words);
  }
  return rc;
}

int tokenizer_train_finish(struct tokenizer_train *tr, struct tokenizer **out,
                           struct tokenizer_train_facts *facts, struct err *err) {
  uint32_t id_of[BYTES];
  *out = NULL;
  if (tr->finished) return err_set(err, ERR_MISUSE, "this training is finished");
  tr->finished = true;
  tr->facts.distinct = tr->word_count;
  int rc = new_tokenizer(tr, id_of, err);
  if (!rc) rc = make_symbols(tr, id_of, err);
  if (!rc) rc = first_pairs(tr, err);
  if (!rc) rc = merge_all(tr, err);
  if (!rc) rc = tokenizer_finish(tr->t, err);
  if (rc) return rc;
  *out = tr->t;
  tr->t = NULL;
  if (facts) *facts = tr->facts;
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* Token strings and their ids.
 *
 *   id ──► at, len ──► blob: "!" "\"" … "Ġthe" …      slots: hash of a string ──► id
 *
 * Ids need not be dense (files have holes), but the arrays are as long as the largest id, which is
 * why TOKENIZER_MAX_ID bounds it: 16 bytes an id.
 * Everything is a flat array of numbers and bytes.
 */
#include "tokenizer/parts.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"

void vocab_clear(struct vocab *v) {
  buf_clear(&v->blob);
  mem_free(v->bytes_at);
  mem_free(v->bytes_len);
  mem_free(v->at);
  mem_free(v->len);
  mem_free(v->slots);
  memset(v, 0, sizeof *v);
}

static int grow_ids(struct vocab *v, size_t cap, struct err *err) {
  if (cap <= v->cap) return 0;
  uint32_t *at = mem_rearray(v->at, cap, sizeof *at);
  if (at) v->at = at;
  uint32_t *len = mem_rearray(v->len, cap, sizeof *len);
  if (len) v->len = len;
  if (!at || !len) return err_nomem(err, cap * 8, "vocabulary");
  v->cap = cap;
  return 0;
}

/* ---- by string ---- */

static uint64_t load64(const char *s) {
  uint64_t v;
  memcpy(&v, s, sizeof v);
  return v;
}

static uint32_t load32(const char *s) {
  uint32_t v;
  memcpy(&v, s, sizeof v);
  return v;
}

static uint64_t fold(uint64_t a, uint64_t b) {
  uint64_t h = (a ^ b >> 32 ^ b << 32) * 0x9E3779B97F4A7C15u;
  h = (h ^ h >> 29 ^ b) * 0xBF58476D1CE4E5B9u;
  return h ^ h >> 32;
}

/* Tokens are short: two overlapping words say all up to 16 bytes. */
uint64_t vocab_hash(const struct vocab *v, const char *s, size_t n) {
  if (n > 16) return hash_xxh3(s, n, v->seed);
  uint64_t a = v->seed + n, b = 0;
  if (n >= 8)
    a ^= load64(s), b = load64(s + n - 8);
  else if (n >= 4)
    a ^= (uint64_t)load32(s) << 32 | load32(s + n - 4);
  else if (n)
    a ^= (uint64_t)(unsigned char)s[0] << 8 | (uint64_t)(unsigned char)s[n >> 1] << 16 |
         (uint64_t)(unsigned char)s[n - 1] << 24;
  return fold(a * 0xD6E8FEB86659FD93u, b * (v->seed | 1));
}

/* memcmp for strings that are mostly shorter than a call is worth. */
static inline bool same(const char *a, const char *b, size_t n) {
  if (n > 16) return !memcmp(a, b, n);
  if (n >= 8) return load64(a) == load64(b) && load64(a + n - 8) == load64(b + n - 8);
  if (n >= 4) return load32(a) == load32(b) && load32(a + n - 4) == load32(b + n - 4);
  for (size_t i = 0; i < n; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static inline bool is_string(const struct vocab *v, uint32_t id, const char *s, size_t n) {
  return v->len[id] == n && same(v->blob.data + v->at[id], s, n);
}

bool vocab_is(const struct vocab *v, uint32_t id, const char *a, size_t an, const char *b,
              size_t bn) {
  if (id >= v->size || v->len[id] != an + bn) return false;
  const char *s = v->blob.data + v->at[id];
  return same(s, a, an) && same(s + an, b, bn);
}

#define ID_MASK TOKENIZER_MAX_ID
_Static_assert((ID_MASK & (ID_MASK + 1)) == 0, "an id and a tag share a number");

/* Bits of the hash that do not choose the slot, above those of an id; no slot looks empty by it. */
static inline uint32_t tag_of(uint64_t hash) {
  uint32_t tag = (uint32_t)(hash >> 32) & ~ID_MASK;
  return tag == ~ID_MASK ? 0 : tag;
}

/* The slot of the string, or the empty one where it would go. */
static size_t slot_of(const struct vocab *v, const char *s, size_t n, uint64_t hash) {
  size_t mask = v->slot_count - 1, i = (size_t)hash & mask;
  uint32_t tag = tag_of(hash);
  for (; v->slots[i] != TOKENIZER_NONE; i = (i + 1) & mask)
    if ((v->slots[i] & ~ID_MASK) == tag && is_string(v, v->slots[i] & ID_MASK, s, n)) break;
  return i;
}

static inline uint32_t slot_id(uint32_t slot) {
  return slot == TOKENIZER_NONE ? slot : slot & ID_MASK;
}

/* Room for so many strings at half load. */
static int grow_slots(struct vocab *v, size_t strings, struct err *err) {
  size_t old_count = v->slot_count, count = old_count ? old_count : 1024;
  while (count < strings * 2) count *= 2;
  if (count == old_count) return 0;
  uint32_t *old = v->slots, *slots = mem_array(count, sizeof *slots);
  if (!slots) return err_nomem(err, count * sizeof *slots, "vocabulary");
  mem_huge(slots, count * sizeof *slots);
  memset(slots, 0xFF, count * sizeof *slots);
  if (!v->seed) v->seed = ((uintptr_t)slots >> 4) * 0x9E3779B97F4A7C15u ^ (uintptr_t)v;
  v->slots = slots;
  v->slot_count = count;
  for (size_t i = 0; i < old_count; i++) {
    uint32_t id = slot_id(old[i]);
    if (id == TOKENIZER_NONE) continue;
    const char *s = v->blob.data + v->at[id];
    slots[slot_of(v, s, v->len[id], vocab_hash(v, s, v->len[id]))] = old[i];
  }
  mem_free(old);
  return 0;
}

int vocab_reserve(struct vocab *v, size_t tokens, size_t bytes, struct err *err) {
  int rc = grow_ids(v, tokens, err);
  if (!rc) rc = grow_slots(v, tokens, err);
  if (!rc && buf_reserve(&v->blob, bytes + 1)) rc = err_nomem(err, bytes, "vocabulary");
  return rc;
}

/* ---- adding ---- */

static int shown(size_t n) {
  return n > 60 ? 60 : (int)n;
}

static int taken(const struct vocab *v, const char *s, size_t n, uint32_t id, uint32_t other,
                 struct err *err) {
  if (other != TOKENIZER_NONE)
    return err_set(err, ERR_FORMAT, "token \"%.*s\" has two ids, %u and %u", shown(n), s, other,
                   id);
  return err_set(err, ERR_FORMAT, "id %u has two tokens, \"%.*s\" and \"%.*s\"", id,
                 shown(v->len[id]), v->blob.data + v->at[id], shown(n), s);
}

/* Ids up to this one exist. */
static int reach_id(struct vocab *v, uint32_t id, struct err *err) {
  size_t cap = v->cap ? v->cap : 512, old = v->size;
  if (id < old) return 0;
  while (cap <= id) cap *= 2;
  int rc = grow_ids(v, cap > TOKENIZER_MAX_ID ? TOKENIZER_MAX_ID + 1 : cap, err);
  if (rc) return rc;
  v->size = (size_t)id + 1;
  memset(v->at + old, 0, (v->size - old) * sizeof *v->at);
  memset(v->len + old, 0xFF, (v->size - old) * sizeof *v->len);
  return 0;
}

int vocab_add(struct vocab *v, const char *s, size_t n, uint32_t id, struct err *err) {
  int rc = grow_slots(v, v->slot_used + 1, err); /* it chooses the seed of the hash */
  return rc ? rc : vocab_add_hashed(v, s, n, id, vocab_hash(v, s, n), err);
}

int vocab_add_hashed(struct vocab *v, const char *s, size_t n, uint32_t id, uint64_t hash,
                     struct err *err) {
  if (id > TOKENIZER_MAX_ID)
    return err_set(err, ERR_LIMIT, "token \"%.*s\": id %u is above %u", shown(n), s, id,
                   TOKENIZER_MAX_ID);
  if (v->blob.len + n >= UINT32_MAX / 2)
    return err_set(err, ERR_LIMIT, "a vocabulary of more than 2 GiB");
  int rc = grow_slots(v, v->slot_used + 1, err);
  if (rc || (rc = reach_id(v, id, err))) return rc;
  if (v->len[id] != TOKENIZER_NONE) return taken(v, s, n, id, TOKENIZER_NONE, err);
  size_t slot = slot_of(v, s, n, hash), at = v->blob.len;
  if (v->slots[slot] != TOKENIZER_NONE) return taken(v, s, n, id, slot_id(v->slots[slot]), err);
  buf_add(&v->blob, s, n);
  if ((rc = buf_check(&v->blob, "vocabulary", err))) return rc;
  v->at[id] = (uint32_t)at;
  v->len[id] = (uint32_t)n;
  v->slots[slot] = tag_of(hash) | id;
  v->slot_used++;
  v->entries++;
  return 0;
}

void vocab_seal(struct vocab *v) {
  v->model_end = v->blob.len;
}

/* ---- finding ---- */

uint32_t vocab_find(const struct vocab *v, const char *s, size_t n) {
  return v->slot_count ? slot_id(v->slots[slot_of(v, s, n, vocab_hash(v, s, n))]) : TOKENIZER_NONE;
}

void vocab_prefetch(const struct vocab *v, uint64_t hash) {
  if (v->slot_count) __builtin_prefetch(&v->slots[hash & (v->slot_count - 1)], 1);
}

void vocab_find_all(const struct vocab *v, struct vocab_query *queries, size_t count) {
  struct vocab_query *end = queries + count;
  size_t mask = v->slot_count - 1;
  for (struct vocab_query *q = queries; q < end; q++) {
    q->hash = vocab_hash(v, q->s, q->n);
    q->id = TOKENIZER_NONE;
    vocab_prefetch(v, q->hash);
  }
  if (!v->slot_count) return;
  for (struct vocab_query *q = queries; q < end; q++) {
    q->id = slot_id(v->slots[q->hash & mask]);
    if (q->id == TOKENIZER_NONE) continue;
    __builtin_prefetch(&v->at[q->id]);
    __builtin_prefetch(&v->len[q->id]);
  }
  for (struct vocab_query *q = queries; q < end; q++)
    if (q->id != TOKENIZER_NONE) __builtin_prefetch(v->blob.data + v->at[q->id]);
  for (struct vocab_query *q = queries; q < end; q++)
    if (q->id != TOKENIZER_NONE) q->id = slot_id(v->slots[slot_of(v, q->s, q->n, q->hash)]);
}

uint32_t vocab_find_model(const struct vocab *v, const char *s, size_t n) {
  uint32_t id = vocab_find(v, s, n);
  return id != TOKENIZER_NONE && v->at[id] >= v->model_end ? TOKENIZER_NONE : id;
}

const char *vocab_string(const struct vocab *v, uint32_t id, size_t *n) {
  *n = 0;
  if (id >= v->size || v->len[id] == TOKENIZER_NONE) return NULL;
  *n = v->len[id];
  return v->blob.data + v->at[id];
}

int vocab_finish(struct vocab *v, bool byte_level, struct err *err) {
  size_t strings = v->blob.len;
  v->bytes_at = mem_array(v->size, sizeof *v->bytes_at);
  v->bytes_len = mem_array(v->size, sizeof *v->bytes_len);
  if (!v->bytes_at || !v->bytes_len) return err_nomem(err, v->size * 8, "vocabulary");
  if (buf_reserve(&v->blob, byte_level ? strings + 1 : 1))
    return err_nomem(err, strings, "vocabulary");
  for (size_t id = 0; id < v->size; id++) {
    v->bytes_at[id] = v->at[id];
    v->bytes_len[id] = v->len[id] == TOKENIZER_NONE ? 0 : v->len[id];
    if (!byte_level || !v->bytes_len[id]) continue;
    v->bytes_at[id] = (uint32_t)v->blob.len;
    v->bytes_len[id] =
        (uint32_t)bytes_decode(v->blob.data + v->at[id], v->len[id], v->blob.data + v->blob.len);
    v->blob.len += v->bytes_len[id];
  }
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* Token strings and their ids.
 *
 *   id ──► at, len ──► blob: "!" "\"" … "Ġthe" …      slots: hash of a string ──► id
 *
 * Ids need not be dense (files have holes), but the arrays are as long as the largest id, which is
 * why TOKENIZER_MAX_ID bounds it.
 */
#include "tokenizer/parts.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

void vocab_clear(struct vocab *v) {
  buf_clear(&v->blob);
  mem_free(v->at);
  mem_free(v->bytes_at);
  mem_free(v->len);
  mem_free(v->bytes_len);
  mem_free(v->slots);
  memset(v, 0, sizeof *v);
}

static int grow_ids(struct vocab *v, size_t need, struct err *err) {
  if (need <= v->cap) return 0;
  size_t cap = v->cap ? v->cap : 512;
  while (cap < need) cap *= 2;
  uint64_t *at = mem_rearray(v->at, cap, sizeof *at);
  if (at) v->at = at;
  uint32_t *len = mem_rearray(v->len, cap, sizeof *len);
  if (len) v->len = len;
  if (!at || !len) return err_nomem(err, cap * 12, "vocabulary");
  v->cap = cap;
  return 0;
}

static size_t slot_of(const struct vocab *v, const char *s, size_t n) {
  size_t mask = v->slot_count - 1;
  size_t i = (size_t)hash_xxh3(s, n, 0) & mask;
  for (; v->slots[i] != TOKENIZER_NONE; i = (i + 1) & mask) {
    uint32_t id = v->slots[i];
    if (v->len[id] == n && !memcmp(v->blob.data + v->at[id], s, n)) break;
  }
  return i;
}

static int grow_slots(struct vocab *v, struct err *err) {
  if (v->slot_used * 2 < v->slot_count) return 0;
  uint32_t *old = v->slots;
  size_t old_count = v->slot_count, count = old_count ? old_count * 2 : 1024;
  uint32_t *slots = mem_array(count, sizeof *slots);
  if (!slots) return err_nomem(err, count * sizeof *slots, "vocabulary");
  memset(slots, 0xFF, count * sizeof *slots);
  v->slots = slots;
  v->slot_count = count;
  for (size_t i = 0; i < old_count; i++)
    if (old[i] != TOKENIZER_NONE)
      slots[slot_of(v, v->blob.data + v->at[old[i]], v->len[old[i]])] = old[i];
  mem_free(old);
  return 0;
}

int vocab_add(struct vocab *v, const char *s, size_t n, uint32_t id, struct err *err) {
  int shown = n > 60 ? 60 : (int)n;
  if (id > TOKENIZER_MAX_ID)
    return err_set(err, ERR_LIMIT, "token \"%.*s\": id %u is above %u", shown, s, id,
                   TOKENIZER_MAX_ID);
  if (n >= TOKENIZER_NONE) return err_set(err, ERR_LIMIT, "a token of %zu bytes", n);
  int rc = grow_ids(v, (size_t)id + 1, err);
  if (rc || (rc = grow_slots(v, err))) return rc;
  for (; v->size <= id; v->size++) v->at[v->size] = 0, v->len[v->size] = TOKENIZER_NONE;
  if (v->len[id] != TOKENIZER_NONE)
    return err_set(err, ERR_FORMAT, "id %u has two tokens, \"%.*s\" and \"%.*s\"", id,
                   v->len[id] > 60 ? 60 : (int)v->len[id], v->blob.data + v->at[id], shown, s);
  size_t slot = slot_of(v, s, n);
  if (v->slots[slot] != TOKENIZER_NONE)
    return err_set(err, ERR_FORMAT, "token \"%.*s\" has two ids, %u and %u", shown, s,
                   v->slots[slot], id);
  size_t at = v->blob.len;
  buf_add(&v->blob, s, n);
  if ((rc = buf_check(&v->blob, "vocabulary", err))) return rc;
  v->at[id] = at;
  v->len[id] = (uint32_t)n;
  v->slots[slot] = id;
  v->slot_used++;
  v->entries++;
  return 0;
}

uint32_t vocab_find(const struct vocab *v, const char *s, size_t n) {
  return v->slot_count ? v->slots[slot_of(v, s, n)] : TOKENIZER_NONE;
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
  if (!v->bytes_at || !v->bytes_len) return err_nomem(err, v->size * 12, "vocabulary");
  if (buf_reserve(&v->blob, strings + 1)) return err_nomem(err, strings, "vocabulary");
  for (size_t id = 0; id < v->size; id++) {
    v->bytes_at[id] = v->at[id];
    v->bytes_len[id] = v->len[id] == TOKENIZER_NONE ? 0 : v->len[id];
    if (!byte_level || !v->bytes_len[id]) continue;
    v->bytes_at[id] = v->blob.len;
    v->bytes_len[id] =
        (uint32_t)bytes_decode(v->blob.data + v->at[id], v->len[id], v->blob.data + v->blob.len);
    v->blob.len += v->bytes_len[id];
  }
  return 0;
}

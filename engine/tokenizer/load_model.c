/* SPDX-License-Identifier: MIT */
/* The "model" of a tokenizer.json: vocabulary, merges, and how the two are used.
 *
 *   {"type": "BPE", "vocab": {token: id …}, "merges": ["a b" …] | [["a", "b"] …],
 *    "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
 *    "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false}
 */
#include <string.h>

#include "base/cancel.h"
#include "tokenizer/load.h"

#define BATCH 32 /* strings whose places in memory are asked for at once */

/* ---- vocabulary ---- */

struct entry {
  const char *s;
  size_t n;
  uint64_t hash;
  uint32_t id;
};

static int add_entries(struct vocab *v, const struct entry *list, size_t count, struct err *err) {
  int rc = 0;
  for (size_t i = 0; i < count && !rc; i++)
    rc = vocab_add_hashed(v, list[i].s, list[i].n, list[i].id, list[i].hash, err);
  return rc;
}

static int load_vocab(struct loader *l, json_id vocab) {
  struct vocab *v = &l->t->vocab;
  struct entry batch[BATCH];
  size_t count = 0, bytes;
  if (json_kind(l->j, vocab) != JSON_OBJECT)
    return err_set(l->err, ERR_FORMAT, "model.vocab: an object is expected");
  json_raw(l->j, vocab, &bytes);
  int rc = vocab_reserve(v, json_count(l->j, vocab), bytes / 2, l->err);
  for (struct json_iter it = json_iter(l->j, vocab); !rc && json_each(&it);) {
    struct entry *e = &batch[count];
    if ((rc = loader_id(l, it.value, &e->id))) break;
    e->s = json_plain_string(l->j, it.key, &e->n);
    if (e->s) {
      e->hash = vocab_hash(v, e->s, e->n);
      vocab_prefetch(v, e->hash);
      if (++count < BATCH) continue;
    }
    if ((rc = add_entries(v, batch, count, l->err))) break;
    count = 0;
    if (e->s) continue;
    const char *s = loader_text(l, it.key, &e->n, &rc); /* with escapes, in scratch */
    if (s) rc = vocab_add(v, s, e->n, e->id, l->err);
  }
  if (!rc) rc = add_entries(v, batch, count, l->err);
  return rc ? rc : cancel_check(l->err);
}

/* ---- merges ---- */

struct merges {
  struct vocab_query of[2 * BATCH]; /* left, right, left, right … */
  json_id at[BATCH];
  size_t count;
};

static int split_merge(struct loader *l, json_id v, const char *s, size_t n,
                       struct vocab_query *q) {
  const char *space = memchr(s, ' ', n);
  if (!space || memchr(space + 1, ' ', n - (size_t)(space + 1 - s)))
    return loader_wrong(l, v, "a merge is two tokens with one space between them");
  q[0].s = s;
  q[0].n = (size_t)(space - s);
  q[1].s = space + 1;
  q[1].n = n - q[0].n - 1;
  return 0;
}

/* The two parts of a merge; they point into the file, or into scratch and other: *copied. */
static int merge_parts(struct loader *l, json_id v, struct vocab_query *q, bool *copied) {
  const struct json *j = l->j;
  *copied = false;
  if (json_kind(j, v) == JSON_STRING) {
    size_t n;
    int rc = 0;
    const char *s = json_plain_string(j, v, &n);
    if (!s) {
      *copied = true;
      if (!(s = loader_text(l, v, &n, &rc))) return rc;
    }
    return split_merge(l, v, s, n, q);
  }
  if (json_kind(j, v) != JSON_ARRAY || json_count(j, v) != 2)
    return loader_wrong(l, v, "a merge is a string or an array of two");
  for (size_t i = 0; i < 2; i++, q++) {
    json_id part = json_at(j, v, i);
    q->s = json_plain_string(j, part, &q->n);
    if (q->s) continue;
    *copied = true;
    if (!(q->s = json_string(j, part, i ? &l->other : &l->scratch, &q->n)))
      return loader_wrong(l, v, "a merge is made of two strings");
  }
  return 0;
}

static int missing(struct loader *l, json_id at, const char *s, size_t n) {
  return err_set(l->err, ERR_FORMAT, "byte %zu: merge %zu: \"%.*s\" is not in the vocabulary",
                 json_offset(l->j, at), l->t->bpe.count, n > 60 ? 60 : (int)n, s);
}

/* Files have their merges in the order of what they make: it is mostly the token that the merge
 * before made, or the next one, which spares a search. */
static int find_joined(struct loader *l, json_id at, const struct vocab_query *q, uint32_t *id) {
  const struct vocab *v = &l->t->vocab;
  const struct bpe *b = &l->t->bpe;
  size_t n = q[1].n - b->prefix_len;
  const char *right = q[1].s + b->prefix_len;
  if (q[1].n < b->prefix_len)
    return loader_wrong(l, at, "a merge's right part is shorter than the prefix");
  uint32_t last = b->count ? b->merges[b->count - 1].result : 0;
  for (*id = last; *id <= last + 1; ++*id)
    if (vocab_is(v, *id, q[0].s, q[0].n, right, n)) return 0;
  struct buf *joined = &l->joined;
  buf_reset(joined);
  buf_add(joined, q[0].s, q[0].n);
  buf_add(joined, right, n);
  int rc = buf_check(joined, "a merge", l->err);
  if (rc) return rc;
  const char *s = joined->data ? joined->data : "";
  *id = vocab_find(v, s, joined->len);
  return *id == TOKENIZER_NONE ? missing(l, at, s, joined->len) : 0;
}

static int add_merges(struct loader *l, struct merges *m) {
  int rc = 0;
  vocab_find_all(&l->t->vocab, m->of, 2 * m->count);
  for (size_t i = 0; i < m->count && !rc; i++) {
    const struct vocab_query *q = &m->of[2 * i];
    uint32_t result = TOKENIZER_NONE;
    for (int k = 0; k < 2 && !rc; k++)
      if (q[k].id == TOKENIZER_NONE) rc = missing(l, m->at[i], q[k].s, q[k].n);
    if (!rc) rc = find_joined(l, m->at[i], q, &result);
    if (!rc) rc = bpe_add(&l->t->bpe, q[0].id, q[1].id, result, l->err);
  }
  m->count = 0;
  return rc;
}

static int load_merges(struct loader *l, json_id merges) {
  struct merges m;
  m.count = 0;
  if (json_kind(l->j, merges) != JSON_ARRAY)
    return err_set(l->err, ERR_FORMAT, "model.merges: an array is expected");
  int rc = bpe_reserve(&l->t->bpe, json_count(l->j, merges), l->err);
  for (struct json_iter it = json_iter(l->j, merges); !rc && json_each(&it);) {
    bool copied;
    m.at[m.count] = it.value;
    rc = merge_parts(l, it.value, &m.of[2 * m.count], &copied);
    if (rc || (++m.count < BATCH && !copied)) continue;
    rc = add_merges(l, &m);
  }
  if (!rc) rc = add_merges(l, &m);
  return rc ? rc : cancel_check(l->err);
}

/* ---- the rest ---- */

/* An unknown token that the file does not have is an error when it is needed, as in the reference. */
static int load_unk(struct loader *l, json_id v) {
  struct bpe *b = &l->t->bpe;
  size_t n;
  int rc = 0;
  if (loader_absent(l->j, v)) return 0;
  const char *s = loader_text(l, v, &n, &rc);
  if (!s) return rc;
  b->unk = vocab_find(&l->t->vocab, s, n);
  b->unk_missing = b->unk == TOKENIZER_NONE;
  return 0;
}

static int load_affix(struct loader *l, json_id model, const char *name, char *to, uint32_t *len) {
  json_id v = json_get(l->j, model, name);
  size_t n;
  int rc = 0;
  if (loader_absent(l->j, v)) return 0;
  const char *s = loader_text(l, v, &n, &rc);
  if (!s) return rc;
  if (n > BPE_AFFIX_MAX)
    return err_set(l->err, ERR_LIMIT, "model.%s of %zu bytes; at most %d are allowed", name, n,
                   BPE_AFFIX_MAX);
  memcpy(to, s, n);
  *len = (uint32_t)n;
  return 0;
}

static int load_dropout(struct loader *l, json_id v) {
  double dropout = 0;
  if (loader_absent(l->j, v)) return 0;
  if (!json_double(l->j, v, &dropout)) return loader_wrong(l, v, "dropout is a number");
  return dropout == 0 ? 0 : loader_unsupported(l, "model", "BPE with dropout");
}

static int load_flag(struct loader *l, json_id model, const char *name, bool *out) {
  json_id v = json_get(l->j, model, name);
  *out = false;
  if (loader_absent(l->j, v) || json_bool(l->j, v, out)) return 0;
  return err_set(l->err, ERR_FORMAT, "byte %zu: model.%s is true or false", json_offset(l->j, v),
                 name);
}

static int load_settings(struct loader *l, json_id model) {
  struct bpe *b = &l->t->bpe;
  int rc = load_dropout(l, json_get(l->j, model, "dropout"));
  if (!rc) rc = load_flag(l, model, "fuse_unk", &b->fuse_unk);
  if (!rc) rc = load_flag(l, model, "byte_fallback", &b->byte_fallback);
  if (!rc) rc = load_flag(l, model, "ignore_merges", &b->ignore_merges);
  if (!rc) rc = load_affix(l, model, "continuing_subword_prefix", b->prefix, &b->prefix_len);
  if (!rc) rc = load_affix(l, model, "end_of_word_suffix", b->suffix, &b->suffix_len);
  return rc;
}

int loader_model(struct loader *l, json_id model) {
  const struct json *j = l->j;
  if (json_kind(j, model) != JSON_OBJECT)
    return err_set(l->err, ERR_FORMAT, "no \"model\": this is not a tokenizer.json");
  json_id type = json_get(j, model, "type"), merges = json_get(j, model, "merges");
  if (type == JSON_NONE ? merges == JSON_NONE : !json_is(j, type, "BPE"))
    return loader_unsupported(l, "model", loader_type(l, model));
  int rc = load_settings(l, model);
  if (!rc) rc = load_vocab(l, json_get(j, model, "vocab"));
  if (!rc) rc = load_merges(l, merges);
  if (!rc) rc = load_unk(l, json_get(j, model, "unk_token"));
  vocab_seal(&l->t->vocab);
  return rc ? rc : bpe_finish(&l->t->bpe, &l->t->vocab, l->err);
}

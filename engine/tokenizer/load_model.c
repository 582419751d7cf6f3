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

/* ---- vocabulary and merges ---- */

static int load_vocab(struct loader *l, json_id vocab) {
  if (json_kind(l->j, vocab) != JSON_OBJECT)
    return err_set(l->err, ERR_FORMAT, "model.vocab: an object is expected");
  struct json_iter it = json_iter(l->j, vocab);
  int rc = 0;
  while (!rc && json_each(&it)) {
    uint32_t id;
    size_t n;
    const char *s = loader_text(l, it.key, &n, &rc);
    if (!s || (rc = loader_id(l, it.value, &id))) break;
    rc = vocab_add(&l->t->vocab, s, n, id, l->err);
  }
  return rc ? rc : cancel_check(l->err);
}

/* The two parts of a merge: in *a, *b with their lengths; they point into text or scratch. */
static int merge_parts(struct loader *l, json_id v, const char **a, size_t *an, const char **b,
                       size_t *bn) {
  int rc = 0;
  if (json_kind(l->j, v) == JSON_STRING) {
    size_t n;
    if (!(*a = loader_text(l, v, &n, &rc))) return rc;
    const char *space = memchr(*a, ' ', n);
    if (!space || memchr(space + 1, ' ', n - (size_t)(space + 1 - *a)))
      return loader_wrong(l, v, "a merge is two tokens with one space between them");
    *an = (size_t)(space - *a);
    *b = space + 1;
    *bn = n - *an - 1;
    return 0;
  }
  if (json_kind(l->j, v) != JSON_ARRAY || json_count(l->j, v) != 2)
    return loader_wrong(l, v, "a merge is a string or an array of two");
  if (!(*a = json_string(l->j, json_at(l->j, v, 0), &l->scratch, an)) ||
      !(*b = json_string(l->j, json_at(l->j, v, 1), &l->other, bn)))
    return loader_wrong(l, v, "a merge is made of two strings");
  return 0;
}

static int load_merge(struct loader *l, json_id v, struct buf *joined) {
  const struct vocab *vocab = &l->t->vocab;
  const char *a = "", *b = "";
  size_t an = 0, bn = 0;
  int rc = merge_parts(l, v, &a, &an, &b, &bn);
  if (rc) return rc;
  buf_reset(joined);
  buf_add(joined, a, an);
  if (bn < l->t->bpe.prefix_len)
    return loader_wrong(l, v, "a merge's right part is shorter than the prefix");
  buf_add(joined, b + l->t->bpe.prefix_len, bn - l->t->bpe.prefix_len);
  if ((rc = buf_check(joined, "a merge", l->err))) return rc;
  uint32_t left = vocab_find(vocab, a, an), right = vocab_find(vocab, b, bn);
  uint32_t result = vocab_find(vocab, joined->data ? joined->data : "", joined->len);
  if (left == TOKENIZER_NONE || right == TOKENIZER_NONE || result == TOKENIZER_NONE) {
    const char *s = left == TOKENIZER_NONE ? a : right == TOKENIZER_NONE ? b : joined->data;
    size_t n = left == TOKENIZER_NONE ? an : right == TOKENIZER_NONE ? bn : joined->len;
    return err_set(l->err, ERR_FORMAT, "byte %zu: merge %zu: \"%.*s\" is not in the vocabulary",
                   json_offset(l->j, v), l->t->bpe.count, n > 60 ? 60 : (int)n, s ? s : "");
  }
  return bpe_add(&l->t->bpe, left, right, result, l->err);
}

static int load_merges(struct loader *l, json_id merges) {
  if (json_kind(l->j, merges) != JSON_ARRAY)
    return err_set(l->err, ERR_FORMAT, "model.merges: an array is expected");
  struct json_iter it = json_iter(l->j, merges);
  struct buf joined;
  buf_init(&joined);
  int rc = 0;
  while (!rc && json_each(&it)) {
    rc = load_merge(l, it.value, &joined);
  }
  buf_clear(&joined);
  return rc ? rc : cancel_check(l->err);
}

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

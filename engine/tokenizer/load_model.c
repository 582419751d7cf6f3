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
  buf_add(joined, b, bn);
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

static int load_unk(struct loader *l, json_id v) {
  size_t n;
  int rc = 0;
  if (loader_absent(l->j, v)) return 0;
  const char *s = loader_text(l, v, &n, &rc);
  if (!s) return rc;
  l->t->bpe.unk = vocab_find(&l->t->vocab, s, n);
  if (l->t->bpe.unk == TOKENIZER_NONE)
    return err_set(l->err, ERR_FORMAT, "model.unk_token \"%.*s\" is not in the vocabulary",
                   n > 60 ? 60 : (int)n, s);
  return 0;
}

static bool empty(const struct json *j, json_id v) {
  return loader_absent(j, v) || json_is(j, v, "");
}

int loader_model(struct loader *l, json_id model) {
  const struct json *j = l->j;
  double dropout = 0;
  if (json_kind(j, model) != JSON_OBJECT)
    return err_set(l->err, ERR_FORMAT, "no \"model\": this is not a tokenizer.json");
  json_id type = json_get(j, model, "type"), merges = json_get(j, model, "merges");
  if (type == JSON_NONE ? merges == JSON_NONE : !json_is(j, type, "BPE"))
    return loader_unsupported(l, "model", loader_type(l, model));
  if (!empty(j, json_get(j, model, "continuing_subword_prefix")))
    return loader_unsupported(l, "model", "BPE with continuing_subword_prefix");
  if (!empty(j, json_get(j, model, "end_of_word_suffix")))
    return loader_unsupported(l, "model", "BPE with end_of_word_suffix");
  if (json_double(j, json_get(j, model, "dropout"), &dropout) && dropout != 0)
    return loader_unsupported(l, "model", "BPE with dropout");
  l->t->bpe.fuse_unk = loader_flag(j, model, "fuse_unk", false);
  l->t->bpe.byte_fallback = loader_flag(j, model, "byte_fallback", false);
  l->t->bpe.ignore_merges = loader_flag(j, model, "ignore_merges", false);
  int rc = load_vocab(l, json_get(j, model, "vocab"));
  if (!rc) rc = load_merges(l, merges);
  return rc ? rc : load_unk(l, json_get(j, model, "unk_token"));
}

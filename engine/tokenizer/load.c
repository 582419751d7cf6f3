/* SPDX-License-Identifier: MIT */
/* tokenizer.json → struct tokenizer.
 *
 *   { "version": "1.0", "truncation": …, "padding": …,        not applied: callers cut and pad
 *     "added_tokens": [ {id, content, special, single_word, lstrip, rstrip, normalized} … ],
 *     "normalizer": null,
 *     "pre_tokenizer": {"type": "ByteLevel", add_prefix_space, use_regex},
 *     "post_processor": null | ByteLevel | TemplateProcessing | Sequence of them,
 *     "decoder": {"type": "ByteLevel"} | null,
 *     "model": {"type": "BPE", "vocab": {token: id …}, "merges": ["a b" …] | [["a", "b"] …], …} }
 *
 * What is not listed is refused by name. Sections are kept as JSON, to be written back as they
 * were.
 */
#include <inttypes.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "file/file.h"
#include "json/json.h"
#include "tokenizer/parts.h"

#define FILE_MAX ((uint64_t)256 << 20)

struct loader {
  const struct json *j;
  struct tokenizer *t;
  struct buf scratch, other;
  struct err *err;
};

static bool absent(const struct json *j, json_id v) {
  return v == JSON_NONE || json_kind(j, v) == JSON_NULL;
}

static bool flag(const struct json *j, json_id object, const char *name, bool fallback) {
  bool v = fallback;
  json_bool(j, json_get(j, object, name), &v);
  return v;
}

/* The name of a section's type, for messages; "?" when it has none. */
static const char *type_of(struct loader *l, json_id section) {
  size_t n;
  const char *s = json_string(l->j, json_get(l->j, section, "type"), &l->scratch, &n);
  if (!s) return "?";
  buf_reset(&l->other);
  buf_add(&l->other, s, n);
  return l->other.data ? l->other.data : "?";
}

static int unsupported(struct loader *l, const char *section, const char *what) {
  return err_set(l->err, ERR_UNSUPPORTED, "%s %s is not supported yet", section, what);
}

static int wrong(struct loader *l, json_id at, const char *what) {
  return err_set(l->err, ERR_FORMAT, "byte %zu: %s", json_offset(l->j, at), what);
}

/* ---- vocabulary and merges ---- */

static int load_id(struct loader *l, json_id v, uint32_t *id) {
  int64_t n;
  if (json_kind(l->j, v) != JSON_INT || !json_int(l->j, v, &n) || n < 0)
    return wrong(l, v, "a token's id must be a whole number, not negative");
  if (n > TOKENIZER_MAX_ID)
    return err_set(l->err, ERR_LIMIT, "byte %zu: id %" PRId64 " is above %u", json_offset(l->j, v),
                   n, TOKENIZER_MAX_ID);
  *id = (uint32_t)n;
  return 0;
}

static const char *text(struct loader *l, json_id v, size_t *n, int *rc) {
  const char *s = json_string(l->j, v, &l->scratch, n);
  if (s) return s;
  *rc = l->scratch.failed ? err_nomem(l->err, 0, "a string") : wrong(l, v, "a string is expected");
  return NULL;
}

static int load_vocab(struct loader *l, json_id vocab) {
  if (json_kind(l->j, vocab) != JSON_OBJECT)
    return err_set(l->err, ERR_FORMAT, "model.vocab: an object is expected");
  struct json_iter it = json_iter(l->j, vocab);
  int rc = 0;
  while (!rc && json_each(&it)) {
    uint32_t id;
    size_t n;
    const char *s = text(l, it.key, &n, &rc);
    if (!s || (rc = load_id(l, it.value, &id))) break;
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
    if (!(*a = text(l, v, &n, &rc))) return rc;
    const char *space = memchr(*a, ' ', n);
    if (!space || memchr(space + 1, ' ', n - (size_t)(space + 1 - *a)))
      return wrong(l, v, "a merge is two tokens with one space between them");
    *an = (size_t)(space - *a);
    *b = space + 1;
    *bn = n - *an - 1;
    return 0;
  }
  if (json_kind(l->j, v) != JSON_ARRAY || json_count(l->j, v) != 2)
    return wrong(l, v, "a merge is a string or an array of two");
  if (!(*a = json_string(l->j, json_at(l->j, v, 0), &l->scratch, an)) ||
      !(*b = json_string(l->j, json_at(l->j, v, 1), &l->other, bn)))
    return wrong(l, v, "a merge is made of two strings");
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
  if (absent(l->j, v)) return 0;
  const char *s = text(l, v, &n, &rc);
  if (!s) return rc;
  l->t->bpe.unk = vocab_find(&l->t->vocab, s, n);
  if (l->t->bpe.unk == TOKENIZER_NONE)
    return err_set(l->err, ERR_FORMAT, "model.unk_token \"%.*s\" is not in the vocabulary",
                   n > 60 ? 60 : (int)n, s);
  return 0;
}

static bool empty(const struct json *j, json_id v) {
  return absent(j, v) || json_is(j, v, "");
}

static int load_model(struct loader *l, json_id model) {
  const struct json *j = l->j;
  double dropout = 0;
  if (json_kind(j, model) != JSON_OBJECT)
    return err_set(l->err, ERR_FORMAT, "no \"model\": this is not a tokenizer.json");
  json_id type = json_get(j, model, "type"), merges = json_get(j, model, "merges");
  if (type == JSON_NONE ? merges == JSON_NONE : !json_is(j, type, "BPE"))
    return unsupported(l, "model", type_of(l, model));
  if (!empty(j, json_get(j, model, "continuing_subword_prefix")))
    return unsupported(l, "model", "BPE with continuing_subword_prefix");
  if (!empty(j, json_get(j, model, "end_of_word_suffix")))
    return unsupported(l, "model", "BPE with end_of_word_suffix");
  if (flag(j, model, "byte_fallback", false))
    return unsupported(l, "model", "BPE with byte_fallback");
  if (json_double(j, json_get(j, model, "dropout"), &dropout) && dropout != 0)
    return unsupported(l, "model", "BPE with dropout");
  l->t->bpe.fuse_unk = flag(j, model, "fuse_unk", false);
  l->t->bpe.ignore_merges = flag(j, model, "ignore_merges", false);
  int rc = load_vocab(l, json_get(j, model, "vocab"));
  if (!rc) rc = load_merges(l, merges);
  return rc ? rc : load_unk(l, json_get(j, model, "unk_token"));
}

/* ---- added tokens ---- */

static int load_added_token(struct loader *l, json_id v) {
  const struct json *j = l->j;
  struct tokenizer_added token = {.special = flag(j, v, "special", false),
                                  .single_word = flag(j, v, "single_word", false),
                                  .lstrip = flag(j, v, "lstrip", false),
                                  .rstrip = flag(j, v, "rstrip", false)};
  token.normalized = flag(j, v, "normalized", !token.special);
  json_id id = json_get(j, v, "id"), content = json_get(j, v, "content");
  if (id == JSON_NONE || content == JSON_NONE)
    return wrong(l, v, "an added token needs \"id\" and \"content\"");
  int rc = load_id(l, id, &token.id);
  const char *s = rc ? NULL : text(l, content, &token.n, &rc);
  if (!s) return rc;
  uint32_t known = vocab_find(&l->t->vocab, s, token.n);
  token.in_vocab = known == token.id;
  if (!token.in_vocab && (rc = vocab_add(&l->t->vocab, s, token.n, token.id, l->err))) return rc;
  return added_add(&l->t->added, &token, l->err);
}

static int load_added(struct loader *l, json_id list) {
  if (absent(l->j, list)) return 0;
  if (json_kind(l->j, list) != JSON_ARRAY)
    return err_set(l->err, ERR_FORMAT, "added_tokens: an array is expected");
  struct json_iter it = json_iter(l->j, list);
  int rc = 0;
  while (!rc && json_each(&it)) rc = load_added_token(l, it.value);
  return rc ? err_prefix(l->err, "added_tokens") : 0;
}

/* ---- the other sections ---- */

static int load_normalizer(struct loader *l, json_id v) {
  return absent(l->j, v) ? 0 : unsupported(l, "normalizer", type_of(l, v));
}

/* A Sequence of one is that one. */
static json_id unwrap(const struct json *j, json_id v, const char *list) {
  for (int depth = 0; depth < 8 && json_is(j, json_get(j, v, "type"), "Sequence"); depth++) {
    json_id inner = json_get(j, v, list);
    if (json_count(j, inner) != 1) break;
    v = json_at(j, inner, 0);
  }
  return v;
}

static int load_pre_tokenizer(struct loader *l, json_id v) {
  const struct json *j = l->j;
  v = unwrap(j, v, "pretokenizers");
  if (absent(j, v)) return unsupported(l, "pre_tokenizer", "null (without the byte level)");
  if (json_is(j, json_get(j, v, "type"), "Split"))
    return unsupported(l, "pre_tokenizer", "Split with this pattern");
  if (json_is(j, json_get(j, v, "type"), "Sequence")) {
    json_id first = json_at(j, json_get(j, v, "pretokenizers"), 0);
    const char *type = type_of(l, first);
    return err_set(l->err, ERR_UNSUPPORTED, "pre_tokenizer Sequence of %s%s … is not supported yet",
                   type, strcmp(type, "Split") ? "" : " with this pattern");
  }
  if (!json_is(j, json_get(j, v, "type"), "ByteLevel"))
    return unsupported(l, "pre_tokenizer", type_of(l, v));
  l->t->add_prefix_space = flag(j, v, "add_prefix_space", true);
  l->t->scan = flag(j, v, "use_regex", true) ? scan_gpt2 : scan_all;
  return 0;
}

static int load_decoder(struct loader *l, json_id v) {
  v = unwrap(l->j, v, "decoders");
  l->t->byte_decoder = !absent(l->j, v);
  if (l->t->byte_decoder && !json_is(l->j, json_get(l->j, v, "type"), "ByteLevel"))
    return unsupported(l, "decoder", type_of(l, v));
  return 0;
}

/* One piece of a template: {"SpecialToken": {"id": name}} or {"Sequence": {"id": "A"}}. */
static int load_template_piece(struct loader *l, json_id template, json_id piece, bool *seen) {
  const struct json *j = l->j;
  json_id special = json_get(j, piece, "SpecialToken"), sequence = json_get(j, piece, "Sequence");
  if (sequence != JSON_NONE) {
    if (*seen || !json_is(j, json_get(j, sequence, "id"), "A"))
      return unsupported(l, "post_processor", "TemplateProcessing with this template");
    *seen = true;
    return 0;
  }
  size_t n;
  int rc = 0;
  const char *name = text(l, json_get(j, special, "id"), &n, &rc);
  if (!name) return rc;
  json_id ids = json_get(j, json_getn(j, json_get(j, template, "special_tokens"), name, n), "ids");
  struct json_iter it = json_iter(j, ids);
  struct tokens *to = *seen ? &l->t->tail : &l->t->head;
  if (!json_count(j, ids)) return wrong(l, piece, "the template names a token without ids");
  while (!rc && json_each(&it)) {
    uint32_t id;
    if ((rc = load_id(l, it.value, &id)) || (rc = tokens_reserve(to, 1, false, l->err))) break;
    to->ids[to->count++] = id;
  }
  return rc;
}

static int load_post_processor(struct loader *l, json_id v, int depth) {
  const struct json *j = l->j;
  json_id type = json_get(j, v, "type");
  int rc = 0;
  if (absent(j, v) || json_is(j, type, "ByteLevel")) return 0;
  if (json_is(j, type, "Sequence") && depth < 4) {
    struct json_iter it = json_iter(j, json_get(j, v, "processors"));
    while (!rc && json_each(&it)) rc = load_post_processor(l, it.value, depth + 1);
    return rc;
  }
  if (!json_is(j, type, "TemplateProcessing") || l->t->head.count || l->t->tail.count)
    return unsupported(l, "post_processor", type_of(l, v));
  bool seen = false;
  struct json_iter it = json_iter(j, json_get(j, v, "single"));
  while (!rc && json_each(&it)) rc = load_template_piece(l, v, it.value, &seen);
  if (!rc && !seen) rc = unsupported(l, "post_processor", "TemplateProcessing without a sequence");
  return rc;
}

static int keep_section(struct loader *l, int which, json_id v) {
  struct buf *b = &l->t->section[which];
  if (absent(l->j, v)) return 0;
  json_put_value(b, l->j, v, 0);
  return buf_check(b, "tokenizer", l->err);
}

/* ---- the whole ---- */

static int load_all(struct loader *l) {
  static const char *const names[SECTIONS] = {"normalizer", "pre_tokenizer", "post_processor",
                                              "decoder"};
  json_id at[SECTIONS];
  int rc = 0;
  if (json_kind(l->j, JSON_ROOT) != JSON_OBJECT)
    return err_set(l->err, ERR_FORMAT, "a tokenizer.json is an object, this is %s",
                   json_kind_name(json_kind(l->j, JSON_ROOT)));
  for (int i = 0; i < SECTIONS && !rc; i++) {
    at[i] = json_get(l->j, JSON_ROOT, names[i]);
    rc = keep_section(l, i, at[i]);
  }
  json_id model = json_get(l->j, JSON_ROOT, "model");
  if (!rc && json_kind(l->j, model) != JSON_OBJECT)
    rc = err_set(l->err, ERR_FORMAT, "no \"model\": this is not a tokenizer.json");
  if (!rc) rc = load_normalizer(l, at[SECTION_NORMALIZER]);
  if (!rc) rc = load_pre_tokenizer(l, at[SECTION_PRE_TOKENIZER]);
  if (!rc) rc = load_decoder(l, at[SECTION_DECODER]);
  if (!rc) rc = load_post_processor(l, at[SECTION_POST_PROCESSOR], 0);
  if (!rc) rc = load_model(l, model);
  if (!rc) rc = load_added(l, json_get(l->j, JSON_ROOT, "added_tokens"));
  return rc ? rc : tokenizer_finish(l->t, l->err);
}

int tokenizer_load(struct tokenizer **out, const char *json, size_t n, struct err *err) {
  struct loader l = {.err = err};
  struct json *j = NULL;
  buf_init(&l.scratch);
  buf_init(&l.other);
  *out = NULL;
  int rc = json_parse(&j, json, n, NULL, err);
  l.j = j;
  if (!rc) rc = tokenizer_new(&l.t, err);
  if (!rc) rc = load_all(&l);
  if (rc)
    tokenizer_free(l.t);
  else
    *out = l.t;
  buf_clear(&l.scratch);
  buf_clear(&l.other);
  json_free(j);
  return rc;
}

int tokenizer_load_file(struct tokenizer **out, const char *path, struct err *err) {
  struct buf bytes, name;
  struct file_info info;
  buf_init(&bytes);
  buf_init(&name);
  *out = NULL;
  int rc = file_stat(path, &info, err);
  buf_adds(&name, path);
  if (!rc && info.is_dir) buf_adds(&name, "/tokenizer.json");
  if (!rc) rc = buf_check(&name, "a path", err);
  if (!rc) rc = file_read(name.data, FILE_MAX, &bytes, err);
  if (!rc && (rc = tokenizer_load(out, bytes.data ? bytes.data : "", bytes.len, err)))
    err_prefix(err, "%s", name.data);
  buf_clear(&bytes);
  buf_clear(&name);
  return rc;
}

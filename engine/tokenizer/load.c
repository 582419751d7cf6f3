/* SPDX-License-Identifier: MIT */
/* tokenizer.json → struct tokenizer.
 *
 *   { "version": "1.0", "truncation": …, "padding": …,        read, not applied
 *     "added_tokens": [ {id, content, special, single_word, lstrip, rstrip, normalized} … ],
 *     "normalizer": …, "pre_tokenizer": …, "post_processor": …, "decoder": …,    sections.c
 *     "model": {"type": "BPE", "vocab": {token: id …}, "merges": […], …} }       load_model.c
 *
 * The sections are kept as JSON, to be written back as they were. Ids are the file's: one that
 * contradicts the vocabulary is an error, since a model would not understand it.
 */
#include <inttypes.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "file/file.h"
#include "json/json.h"
#include "tokenizer/load.h"
#include "tokenizer/parts.h"

#define FILE_MAX ((uint64_t)256 << 20)

bool loader_absent(const struct json *j, json_id v) {
  return v == JSON_NONE || json_kind(j, v) == JSON_NULL;
}

bool loader_flag(const struct json *j, json_id object, const char *name, bool fallback) {
  bool v = fallback;
  json_bool(j, json_get(j, object, name), &v);
  return v;
}

/* The name of a section's type, for messages; "?" when it has none. */
const char *loader_type(struct loader *l, json_id section) {
  size_t n;
  const char *s = json_string(l->j, json_get(l->j, section, "type"), &l->scratch, &n);
  if (!s) return "?";
  buf_reset(&l->other);
  buf_add(&l->other, s, n);
  return l->other.data ? l->other.data : "?";
}

int loader_unsupported(struct loader *l, const char *section, const char *what) {
  return err_set(l->err, ERR_UNSUPPORTED, "%s %s is not supported yet", section, what);
}

int loader_wrong(struct loader *l, json_id at, const char *what) {
  return err_set(l->err, ERR_FORMAT, "byte %zu: %s", json_offset(l->j, at), what);
}

int loader_id(struct loader *l, json_id v, uint32_t *id) {
  int64_t n;
  if (json_kind(l->j, v) != JSON_INT || !json_int(l->j, v, &n) || n < 0)
    return loader_wrong(l, v, "a token's id must be a whole number, not negative");
  if (n > TOKENIZER_MAX_ID)
    return err_set(l->err, ERR_LIMIT, "byte %zu: id %" PRId64 " is above %u", json_offset(l->j, v),
                   n, TOKENIZER_MAX_ID);
  *id = (uint32_t)n;
  return 0;
}

const char *loader_text(struct loader *l, json_id v, size_t *n, int *rc) {
  const char *s = json_string(l->j, v, &l->scratch, n);
  if (s) return s;
  *rc = l->scratch.failed ? err_nomem(l->err, 0, "a string")
                          : loader_wrong(l, v, "a string is expected");
  return NULL;
}

/* ---- added tokens ---- */

static int load_added_token(struct loader *l, json_id v) {
  const struct json *j = l->j;
  struct tokenizer_added token = {.special = loader_flag(j, v, "special", false),
                                  .single_word = loader_flag(j, v, "single_word", false),
                                  .lstrip = loader_flag(j, v, "lstrip", false),
                                  .rstrip = loader_flag(j, v, "rstrip", false)};
  token.normalized = loader_flag(j, v, "normalized", !token.special);
  json_id id = json_get(j, v, "id"), content = json_get(j, v, "content");
  if (id == JSON_NONE || content == JSON_NONE)
    return loader_wrong(l, v, "an added token needs \"id\" and \"content\"");
  int rc = loader_id(l, id, &token.id);
  const char *s = rc ? NULL : loader_text(l, content, &token.n, &rc);
  if (!s) return rc;
  uint32_t known = vocab_find(&l->t->vocab, s, token.n);
  token.in_vocab = known == token.id;
  if (!token.in_vocab && (rc = vocab_add(&l->t->vocab, s, token.n, token.id, l->err))) return rc;
  return added_add(&l->t->added, &token, l->err);
}

static int load_added(struct loader *l, json_id list) {
  if (loader_absent(l->j, list)) return 0;
  if (json_kind(l->j, list) != JSON_ARRAY)
    return err_set(l->err, ERR_FORMAT, "added_tokens: an array is expected");
  struct json_iter it = json_iter(l->j, list);
  int rc = 0;
  while (!rc && json_each(&it)) rc = load_added_token(l, it.value);
  return rc ? err_prefix(l->err, "added_tokens") : 0;
}

static int keep_section(struct loader *l, int which, json_id v) {
  struct buf *b = &l->t->section[which];
  if (loader_absent(l->j, v)) return 0;
  json_put_value(b, l->j, v, 0);
  return buf_check(b, "tokenizer", l->err);
}

/* ---- the whole ---- */

static int load_all(struct loader *l) {
  json_id at[SECTIONS];
  int rc = 0;
  if (json_kind(l->j, JSON_ROOT) != JSON_OBJECT)
    return err_set(l->err, ERR_FORMAT, "a tokenizer.json is an object, this is %s",
                   json_kind_name(json_kind(l->j, JSON_ROOT)));
  for (int i = 0; i < SECTIONS && !rc; i++) {
    at[i] = json_get(l->j, JSON_ROOT, section_names[i]);
    rc = keep_section(l, i, at[i]);
  }
  json_id model = json_get(l->j, JSON_ROOT, "model");
  if (!rc && json_kind(l->j, model) != JSON_OBJECT)
    rc = err_set(l->err, ERR_FORMAT, "no \"model\": this is not a tokenizer.json");
  if (!rc) rc = loader_model(l, model);
  if (!rc) rc = load_added(l, json_get(l->j, JSON_ROOT, "added_tokens"));
  return rc ? rc : tokenizer_finish_from(l->t, l->j, at, l->err);
}

int tokenizer_load(struct tokenizer **out, const char *json, size_t n, struct err *err) {
  struct loader l = {.err = err};
  struct json *j = NULL;
  /* the vocabulary, which is the only large object, finds what is given twice by itself */
  struct json_limits limits = {.max_indexed = 4096};
  buf_init(&l.scratch);
  buf_init(&l.other);
  buf_init(&l.joined);
  *out = NULL;
  int rc = json_parse(&j, json, n, &limits, err);
  l.j = j;
  if (!rc) rc = tokenizer_new(&l.t, err);
  if (!rc) rc = load_all(&l);
  if (rc)
    tokenizer_free(l.t);
  else
    *out = l.t;
  buf_clear(&l.scratch);
  buf_clear(&l.other);
  buf_clear(&l.joined);
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

/* SPDX-License-Identifier: MIT */
/* The sections of a tokenizer.json around the model: what they say, made ready for use.
 *
 *   "normalizer", "pre_tokenizer", "decoder"    have files of their own
 *   "post_processor": null | ByteLevel | TemplateProcessing | RobertaProcessing | BertProcessing
 *                     | Sequence of them        → ids put before and after
 *   "truncation": null | {"max_length": 512, "stride": 0, "strategy": "LongestFirst",
 *                         "direction": "Right"}
 *   "padding": null | {"strategy": "BatchLongest" | {"Fixed": 512}, "direction": "Right",
 *                      "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "…"}
 *
 * A template has two forms, for one text and for a pair; only the first is used here, the other is
 * kept for saving. What a ByteLevel post-processor trims are offsets, which we never trim.
 */
#include <string.h>

#include "base/mem.h"
#include "tokenizer/load.h"

const char *const section_names[SECTIONS] = {"normalizer", "pre_tokenizer", "post_processor",
                                             "decoder",    "truncation",    "padding"};

/* ---- the post-processor ---- */

static int add_ids(struct loader *l, struct tokens *to, json_id ids) {
  struct json_iter it = json_iter(l->j, ids);
  int rc = 0;
  while (!rc && json_each(&it)) {
    uint32_t id;
    if ((rc = loader_id(l, it.value, &id)) || (rc = tokens_reserve(to, 1, false, l->err))) break;
    to->ids[to->count++] = id;
  }
  return rc;
}

/* One piece of a template: {"SpecialToken": {"id": name}} or {"Sequence": {"id": "A"}}. */
static int load_template_piece(struct loader *l, json_id template, json_id piece,
                               struct tokens *head, struct tokens *tail, bool *seen) {
  const struct json *j = l->j;
  json_id special = json_get(j, piece, "SpecialToken"), sequence = json_get(j, piece, "Sequence");
  if (sequence != JSON_NONE) {
    if (*seen || !json_is(j, json_get(j, sequence, "id"), "A"))
      return loader_unsupported(l, "post_processor", "TemplateProcessing with this template");
    *seen = true;
    return 0;
  }
  size_t n;
  int rc = 0;
  const char *name = loader_text(l, json_get(j, special, "id"), &n, &rc);
  if (!name) return rc;
  json_id ids = json_get(j, json_getn(j, json_get(j, template, "special_tokens"), name, n), "ids");
  if (!json_count(j, ids)) return loader_wrong(l, piece, "the template names a token without ids");
  return add_ids(l, *seen ? tail : head, ids);
}

static int load_template(struct loader *l, json_id v, struct tokens *head, struct tokens *tail) {
  bool seen = false;
  int rc = 0;
  json_id single = json_get(l->j, v, "single");
  struct json_iter it = json_iter(l->j, single);
  if (json_kind(l->j, single) != JSON_ARRAY)
    return loader_wrong(l, v, "TemplateProcessing needs \"single\", an array");
  while (!rc && json_each(&it)) rc = load_template_piece(l, v, it.value, head, tail, &seen);
  if (!rc && !seen)
    rc = loader_unsupported(l, "post_processor", "TemplateProcessing without a sequence");
  return rc;
}

/* "cls": ["<s>", 0] */
static int load_pair(struct loader *l, json_id v, const char *name, struct tokens *to) {
  json_id pair = json_get(l->j, v, name), id = json_at(l->j, pair, 1);
  uint32_t n;
  if (json_kind(l->j, pair) != JSON_ARRAY || json_count(l->j, pair) != 2)
    return loader_wrong(l, v, "\"cls\" and \"sep\" are [token, id] each");
  int rc = loader_id(l, id, &n);
  if (!rc) rc = tokens_reserve(to, 1, false, l->err);
  if (!rc) to->ids[to->count++] = n;
  return rc;
}

static int append(struct tokens *to, const struct tokens *from, struct err *err) {
  int rc = tokens_reserve(to, from->count, false, err);
  for (size_t i = 0; i < from->count && !rc; i++) to->ids[to->count++] = from->ids[i];
  return rc;
}

static int load_post_processor(struct loader *l, json_id v, int depth) {
  const struct json *j = l->j;
  json_id type = json_get(j, v, "type");
  int rc = 0;
  if (loader_absent(j, v) || json_is(j, type, "ByteLevel")) return 0;
  if (json_is(j, type, "Sequence") && depth < 4) {
    struct json_iter it = json_iter(j, json_get(j, v, "processors"));
    while (!rc && json_each(&it)) rc = load_post_processor(l, it.value, depth + 1);
    return rc;
  }
  struct tokens head = {0}, tail = {0}; /* around what was put there before */
  if (json_is(j, type, "TemplateProcessing")) {
    rc = load_template(l, v, &head, &tail);
  } else if (json_is(j, type, "RobertaProcessing") || json_is(j, type, "BertProcessing")) {
    rc = load_pair(l, v, "cls", &head);
    if (!rc) rc = load_pair(l, v, "sep", &tail);
  } else {
    rc = loader_unsupported(l, "post_processor", loader_type(l, v));
  }
  if (!rc) rc = append(&head, &l->t->head, l->err);
  if (!rc) rc = append(&l->t->tail, &tail, l->err);
  struct tokens old = l->t->head;
  l->t->head = head;
  tokens_clear(&old);
  tokens_clear(&tail);
  return rc;
}

/* ---- truncation and padding: read, not applied ---- */

static int load_size(struct loader *l, json_id object, const char *name, bool needed, size_t *out) {
  json_id v = json_get(l->j, object, name);
  int64_t n;
  if (loader_absent(l->j, v) && !needed) return 0;
  if (!json_int(l->j, v, &n) || n < 0 || n > UINT32_MAX)
    return err_set(l->err, ERR_FORMAT, "byte %zu: \"%s\" must be a whole number, not negative",
                   json_offset(l->j, v == JSON_NONE ? object : v), name);
  *out = (size_t)n;
  return 0;
}

static int load_direction(struct loader *l, json_id object, bool *left) {
  json_id v = json_get(l->j, object, "direction");
  *left = json_is(l->j, v, "Left");
  if (!*left && v != JSON_NONE && !json_is(l->j, v, "Right"))
    return loader_wrong(l, v, "\"direction\" is \"Left\" or \"Right\"");
  return 0;
}

static int load_truncation(struct loader *l, json_id v) {
  static const char *const strategies[] = {"LongestFirst", "OnlyFirst", "OnlySecond"};
  struct tokenizer_truncation *t = &l->t->truncation;
  if (loader_absent(l->j, v)) return 0;
  if (json_kind(l->j, v) != JSON_OBJECT) return loader_wrong(l, v, "truncation: an object or null");
  json_id strategy = json_get(l->j, v, "strategy");
  int rc = load_size(l, v, "max_length", true, &t->max_length);
  if (!rc) rc = load_size(l, v, "stride", false, &t->stride);
  if (!rc) rc = load_direction(l, v, &t->left);
  if (!rc && t->stride && t->stride >= t->max_length)
    rc = loader_wrong(l, v, "\"stride\" must be smaller than \"max_length\"");
  if (rc) return err_prefix(l->err, "truncation");
  t->strategy = NULL;
  for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++)
    if (json_is(l->j, strategy, strategies[i]) || (!i && strategy == JSON_NONE))
      t->strategy = strategies[i];
  if (!t->strategy) return loader_wrong(l, strategy, "truncation: this strategy is not known");
  l->t->truncates = true;
  return 0;
}

static int load_padding(struct loader *l, json_id v) {
  struct tokenizer_padding *p = &l->t->padding;
  if (loader_absent(l->j, v)) return 0;
  if (json_kind(l->j, v) != JSON_OBJECT) return loader_wrong(l, v, "padding: an object or null");
  json_id strategy = json_get(l->j, v, "strategy"), id = json_get(l->j, v, "pad_id");
  size_t type_id = 0, n;
  int rc = 0;
  if (!json_is(l->j, strategy, "BatchLongest"))
    rc = load_size(l, strategy, "Fixed", true, &p->fixed);
  if (!rc) rc = load_size(l, v, "pad_to_multiple_of", false, &p->multiple_of);
  if (!rc) rc = load_size(l, v, "pad_type_id", false, &type_id);
  if (!rc) rc = load_direction(l, v, &p->left);
  if (!rc && id != JSON_NONE) rc = loader_id(l, id, &p->id);
  if (rc) return err_prefix(l->err, "padding");
  p->type_id = (uint32_t)type_id;
  const char *token = loader_text(l, json_get(l->j, v, "pad_token"), &n, &rc);
  if (!token) return err_prefix(l->err, "padding: pad_token");
  buf_add(&l->t->pad_token, token, n);
  if (!l->t->pad_token.data) buf_add(&l->t->pad_token, "", 0);
  p->token = l->t->pad_token.data;
  p->token_n = n;
  l->t->pads = true;
  return buf_check(&l->t->pad_token, "padding", l->err);
}

/* ---- the whole ---- */

int tokenizer_sections(struct tokenizer *t, const struct json *j, const json_id at[SECTIONS],
                       struct err *err) {
  struct loader l = {.j = j, .t = t, .err = err};
  buf_init(&l.scratch);
  buf_init(&l.other);
  int rc = decoder_load(&t->decoder, j, at[SECTION_DECODER], err);
  if (!rc) rc = load_post_processor(&l, at[SECTION_POST_PROCESSOR], 0);
  if (!rc) rc = load_truncation(&l, at[SECTION_TRUNCATION]);
  if (!rc) rc = load_padding(&l, at[SECTION_PADDING]);
  if (!rc) rc = normalizer_load(&t->normalizer, j, at[SECTION_NORMALIZER], err);
  if (!rc) rc = pre_tokenizer_load(&t->pre_tokenizer, j, at[SECTION_PRE_TOKENIZER], err);
  buf_clear(&l.scratch);
  buf_clear(&l.other);
  return rc;
}

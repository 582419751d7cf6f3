/* SPDX-License-Identifier: MIT */
/* What was learnt → tokenizer.json, as Hugging Face's tokenizers write it after training.
 *
 *   pattern gpt2     pre_tokenizer: ByteLevel(use_regex)
 *   any other        pre_tokenizer: Sequence [ Split(the pattern, Isolated), ByteLevel ]
 *   bos, eos         post_processor: Sequence [ ByteLevel, TemplateProcessing ], else ByteLevel
 *
 * The same text without merges is what training cuts its words by, so the words that are counted
 * are those that encoding will see. One token, one merge a line.
 */
#include <string.h>

#include "tokenizer/train.h"

static void put_byte_level(struct buf *out, bool regex) {
  buf_addf(out,
           "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
           "\"use_regex\": %s}",
           regex ? "true" : "false");
}

static void put_pre_tokenizer(const char *pattern, struct buf *out) {
  buf_adds(out, "  \"pre_tokenizer\": ");
  if (pattern) {
    buf_adds(out, "{\"type\": \"Sequence\", \"pretokenizers\": [\n    {\"type\": \"Split\", "
                  "\"pattern\": {\"Regex\": ");
    json_put_string(out, pattern, strlen(pattern));
    buf_adds(out, "}, \"behavior\": \"Isolated\", \"invert\": false},\n    ");
  }
  put_byte_level(out, !pattern);
  buf_adds(out, pattern ? "]},\n" : ",\n");
}

static void put_template(const char *bos, const char *eos, char sequence, int type,
                         struct buf *out) {
  const char *const special[] = {bos, NULL, eos};
  bool begun = false;
  for (int i = 0; i < 3; i++) {
    if (i != 1 && !special[i]) continue;
    buf_adds(out, begun ? ", " : "");
    begun = true;
    buf_adds(out, i == 1 ? "{\"Sequence\": {\"id\": " : "{\"SpecialToken\": {\"id\": ");
    json_put_string(out, i == 1 ? &sequence : special[i], i == 1 ? 1 : strlen(special[i]));
    buf_addf(out, ", \"type_id\": %d}}", type);
  }
}

static void put_special(const struct vocab *v, const char *token, bool first, struct buf *out) {
  buf_adds(out, first ? "" : ", ");
  json_put_string(out, token, strlen(token));
  buf_adds(out, ": {\"id\": ");
  json_put_string(out, token, strlen(token));
  buf_addf(out, ", \"ids\": [%u], \"tokens\": [", vocab_find(v, token, strlen(token)));
  json_put_string(out, token, strlen(token));
  buf_adds(out, "]}");
}

static void put_post_processor(const struct tokenizer_train_options *o, const struct vocab *v,
                               struct buf *out) {
  bool template = o->bos || o->eos;
  buf_adds(out, "  \"post_processor\": ");
  if (template) buf_adds(out, "{\"type\": \"Sequence\", \"processors\": [\n    ");
  put_byte_level(out, true);
  if (template) {
    buf_adds(out, ",\n    {\"type\": \"TemplateProcessing\", \"single\": [");
    put_template(o->bos, o->eos, 'A', 0, out);
    buf_adds(out, "], \"pair\": [");
    put_template(o->bos, o->eos, 'A', 0, out);
    buf_adds(out, ", ");
    put_template(o->bos, o->eos, 'B', 1, out);
    buf_adds(out, "], \"special_tokens\": {");
    if (o->bos) put_special(v, o->bos, true, out);
    if (o->eos && (!o->bos || strcmp(o->bos, o->eos))) put_special(v, o->eos, !o->bos, out);
    buf_adds(out, "}}]}");
  }
  buf_adds(out, ",\n  \"decoder\": ");
  put_byte_level(out, true);
  buf_adds(out, ",\n");
}

static void put_token(const struct vocab *v, uint32_t id, struct buf *out) {
  size_t n;
  const char *s = vocab_string(v, id, &n);
  json_put_string(out, s, n);
}

static void put_added(const struct tokenizer_train_options *o, const struct vocab *v,
                      struct buf *out) {
  buf_adds(out, "  \"added_tokens\": [");
  for (uint32_t id = 0; id < o->special_count; id++) {
    buf_addf(out, "%s\n    {\"id\": %u, \"content\": ", id ? "," : "", id);
    put_token(v, id, out);
    buf_adds(out, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                  "\"normalized\": false, \"special\": true}");
  }
  buf_adds(out, o->special_count ? "\n  ],\n" : "],\n");
}

static void put_model(const struct train_model *m, struct buf *out) {
  buf_adds(out, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n"
                "    \"unk_token\": null,\n    \"continuing_subword_prefix\": null,\n"
                "    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n"
                "    \"byte_fallback\": false,\n    \"ignore_merges\": false,\n    \"vocab\": {");
  for (uint32_t id = 0; id < m->vocab.size; id++) {
    buf_adds(out, id ? ",\n      " : "\n      ");
    put_token(&m->vocab, id, out);
    buf_addf(out, ": %u", id);
  }
  buf_adds(out, "\n    },\n    \"merges\": [");
  for (size_t i = 0; i < m->merge_count; i++) {
    buf_adds(out, i ? ",\n      [" : "\n      [");
    put_token(&m->vocab, m->merges[i].left, out);
    buf_adds(out, ", ");
    put_token(&m->vocab, m->merges[i].right, out);
    buf_addc(out, ']');
  }
  buf_adds(out, m->merge_count ? "\n    ]\n  }\n}\n" : "]\n  }\n}\n");
}

static int check_role(const struct tokenizer_train_options *o, const char *role, const char *token,
                      struct err *err) {
  for (size_t i = 0; i < o->special_count; i++)
    if (token && !strcmp(o->special[i], token)) return 0;
  return token ? err_set(err, ERR_MISUSE, "%s is %s, which is not one of the special tokens", role,
                         token)
               : 0;
}

int train_json(const struct tokenizer_train_options *o, const struct train_model *m,
               struct buf *out, struct err *err) {
  int rc = check_role(o, "bos", o->bos, err);
  if (!rc) rc = check_role(o, "eos", o->eos, err);
  if (rc) return rc;
  if (o->normalizer && strcmp(o->normalizer, "nfc"))
    return err_set(err, ERR_MISUSE, "normalizer \"%s\": \"nfc\" is known, or none", o->normalizer);
  buf_adds(out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
  put_added(o, &m->vocab, out);
  buf_adds(out, o->normalizer ? "  \"normalizer\": {\"type\": \"NFC\"},\n"
                              : "  \"normalizer\": null,\n");
  put_pre_tokenizer(cutter_pattern(o), out);
  put_post_processor(o, &m->vocab, out);
  put_model(m, out);
  return buf_check(out, "tokenizer.json", err);
}

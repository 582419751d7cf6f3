/* SPDX-License-Identifier: MIT */
/* struct tokenizer → tokenizer.json, complete, as Hugging Face tokenizers and transformers read it.
 * One token, one merge a line, so that two vocabularies can be compared with diff. */
#include "file/file.h"
#include "json/json.h"
#include "tokenizer/parts.h"

static const char *yes_no(bool v) {
  return v ? "true" : "false";
}

static void put_added(const struct tokenizer *t, struct buf *out) {
  for (size_t i = 0; i < t->added.count; i++) {
    const struct tokenizer_added *token = &t->added.list[i];
    buf_addf(out, "%s\n    {\"id\": %u, \"content\": ", i ? "," : "", token->id);
    json_put_string(out, token->content, token->n);
    buf_addf(out,
             ", \"single_word\": %s, \"lstrip\": %s, \"rstrip\": %s, \"normalized\": %s, "
             "\"special\": %s}",
             yes_no(token->single_word), yes_no(token->lstrip), yes_no(token->rstrip),
             yes_no(token->normalized), yes_no(token->special));
  }
  if (t->added.count) buf_adds(out, "\n  ");
}

static void put_section(const struct tokenizer *t, int i, struct buf *out) {
  const struct buf *b = &t->section[i];
  buf_addf(out, "  \"%s\": ", section_names[i]);
  buf_adds(out, b->len ? b->data : "null");
  buf_adds(out, ",\n");
}

static void put_token(const struct tokenizer *t, uint32_t id, struct buf *out) {
  size_t n;
  const char *s = vocab_string(&t->vocab, id, &n);
  json_put_string(out, s, n);
}

static void put_affix(const char *name, const char *s, size_t n, struct buf *out) {
  buf_addf(out, ",\n    \"%s\": ", name);
  if (n)
    json_put_string(out, s, n);
  else
    buf_adds(out, "null");
}

/* Added tokens that the model's vocabulary lacked stay out of it. */
static void put_vocab(const struct tokenizer *t, struct buf *out) {
  const struct added *added = &t->added;
  size_t next = 0; /* the first added token whose id is not below this one */
  bool begun = false;
  for (size_t id = 0; id < t->vocab.size; id++) {
    bool inside = t->vocab.len[id] != TOKENIZER_NONE;
    for (; next < added->count && added->list[next].id == id; next++)
      inside = inside && added->list[next].in_vocab;
    if (!inside) continue;
    buf_adds(out, begun ? ",\n      " : "\n      ");
    put_token(t, (uint32_t)id, out);
    buf_addf(out, ": %zu", id);
    begun = true;
  }
  if (begun) buf_adds(out, "\n    ");
}

static void put_merges(const struct tokenizer *t, struct buf *out) {
  for (size_t i = 0; i < t->bpe.count; i++) {
    buf_adds(out, i ? ",\n      [" : "\n      [");
    put_token(t, t->bpe.merges[i].left, out);
    buf_adds(out, ", ");
    put_token(t, t->bpe.merges[i].right, out);
    buf_addc(out, ']');
  }
  if (t->bpe.count) buf_adds(out, "\n    ");
}

int tokenizer_write(const struct tokenizer *t, struct buf *out, struct err *err) {
  buf_adds(out, "{\n  \"version\": \"1.0\",\n");
  put_section(t, SECTION_TRUNCATION, out);
  put_section(t, SECTION_PADDING, out);
  buf_adds(out, "  \"added_tokens\": [");
  put_added(t, out);
  buf_adds(out, "],\n");
  for (int i = SECTION_NORMALIZER; i <= SECTION_DECODER; i++) put_section(t, i, out);
  buf_adds(out, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n"
                "    \"unk_token\": ");
  if (t->bpe.unk == TOKENIZER_NONE)
    buf_adds(out, "null");
  else
    put_token(t, t->bpe.unk, out);
  put_affix("continuing_subword_prefix", t->bpe.prefix, t->bpe.prefix_len, out);
  put_affix("end_of_word_suffix", t->bpe.suffix, t->bpe.suffix_len, out);
  buf_addf(out,
           ",\n    \"fuse_unk\": %s,\n    \"byte_fallback\": %s,\n    \"ignore_merges\": %s,\n"
           "    \"vocab\": {",
           yes_no(t->bpe.fuse_unk), yes_no(t->bpe.byte_fallback), yes_no(t->bpe.ignore_merges));
  put_vocab(t, out);
  buf_adds(out, "},\n    \"merges\": [");
  put_merges(t, out);
  buf_adds(out, "]\n  }\n}\n");
  return buf_check(out, "tokenizer.json", err);
}

int tokenizer_save(const struct tokenizer *t, const char *path, struct err *err) {
  struct buf json;
  buf_init(&json);
  int rc = tokenizer_write(t, &json, err);
  if (!rc) rc = file_write(path, json.data, json.len, 0, err);
  buf_clear(&json);
  return rc;
}

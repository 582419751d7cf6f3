/* SPDX-License-Identifier: MIT */
/* The object itself: made empty, filled by load.c or train.c, finished, then never changed. */
#include "tokenizer/tokenizer.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/parts.h"

int tokenizer_new(struct tokenizer **out, struct err *err) {
  struct tokenizer *t = mem_zero(sizeof *t);
  *out = t;
  if (!t) return err_nomem(err, sizeof *t, "tokenizer");
  t->bpe.unk = TOKENIZER_NONE;
  return 0;
}

/* The model is complete; unless it was sealed before, all tokens so far are its own. */
static int finish_model(struct tokenizer *t, struct err *err) {
  if (t->bpe.slots) return 0;
  vocab_seal(&t->vocab);
  return bpe_finish(&t->bpe, &t->vocab, err);
}

/* What each token decodes to, where that is not its string. */
static int decode_each(struct tokenizer *t, struct err *err) {
  struct vocab *v = &t->vocab;
  struct decoding *run;
  struct buf out;
  buf_init(&out);
  int rc = decoding_new(&run, t->decoder, true, true, err);
  for (size_t id = 0; id < v->size && !rc; id++) {
    if (v->len[id] == TOKENIZER_NONE) continue;
    size_t n = v->len[id];
    const char *s = added_form(&t->added, (uint32_t)id, &n);
    if (!s) s = v->blob.data + v->at[id];
    buf_reset(&out);
    rc = decoding_add(run, s, n, "", 0, &out, err);
    if (!rc) rc = decoding_end(run, &out, err);
    if (rc || (out.len == v->len[id] && !memcmp(out.data, v->blob.data + v->at[id], out.len)))
      continue;
    v->bytes_at[id] = (uint32_t)v->blob.len;
    v->bytes_len[id] = (uint32_t)out.len;
    buf_add(&v->blob, out.data ? out.data : "", out.len);
  }
  decoding_free(run);
  buf_clear(&out);
  return rc ? rc : buf_check(&v->blob, "vocabulary", err);
}

/* The same for a ByteLevel, which only those added tokens need that are normalized. */
static int decode_forms(struct tokenizer *t, struct err *err) {
  const struct added *a = &t->added;
  struct vocab *v = &t->vocab;
  for (size_t i = 0; i < a->form_count; i++) {
    const struct added_form *form = &a->forms[i];
    if (buf_reserve(&v->blob, form->n + 1)) return err_nomem(err, form->n, "vocabulary");
    v->bytes_at[form->id] = (uint32_t)v->blob.len;
    v->bytes_len[form->id] =
        (uint32_t)bytes_decode(a->normal.data + form->at, form->n, v->blob.data + v->blob.len);
    v->blob.len += v->bytes_len[form->id];
  }
  return 0;
}

/* Contents of added tokens live in the vocabulary's blob, which moves while it grows. */
static void point_added(struct tokenizer *t) {
  for (size_t i = 0; i < t->added.count; i++) {
    struct tokenizer_added *token = &t->added.list[i];
    token->content = vocab_string(&t->vocab, token->id, &token->n);
  }
}

int tokenizer_finish_from(struct tokenizer *t, const struct json *j, const json_id at[SECTIONS],
                          struct err *err) {
  bool mapped = t->image.base; /* then this is in it */
  int rc = tokenizer_sections(t, j, at, err);
  if (!rc && !mapped) rc = finish_model(t, err);
  if (!rc && !mapped) rc = vocab_finish(&t->vocab, decoder_bytes(t->decoder), err);
  point_added(t);
  if (!rc) rc = added_finish(&t->added, t->normalizer, err);
  if (!rc && !mapped && t->decoder)
    rc = decoder_bytes(t->decoder) ? decode_forms(t, err) : decode_each(t, err);
  point_added(t);
  if (!rc) rc = front_find(t, j, at[SECTION_NORMALIZER], at[SECTION_PRE_TOKENIZER], err);
  return rc;
}

int tokenizer_finish(struct tokenizer *t, struct err *err) {
  struct json *j = NULL;
  json_id at[SECTIONS];
  struct buf text;
  buf_init(&text);
  for (int i = 0; i < SECTIONS; i++) {
    buf_addf(&text, "%s\"%s\":", i ? "," : "{", section_names[i]);
    buf_adds(&text, t->section[i].len ? t->section[i].data : "null");
  }
  buf_addc(&text, '}');
  int rc = buf_check(&text, "tokenizer", err);
  if (!rc) rc = json_parse(&j, text.data, text.len, NULL, err);
  for (int i = 0; i < SECTIONS && !rc; i++) at[i] = json_get(j, JSON_ROOT, section_names[i]);
  if (!rc) rc = tokenizer_finish_from(t, j, at, err);
  json_free(j);
  buf_clear(&text);
  return rc;
}

void tokenizer_free(struct tokenizer *t) {
  if (!t) return;
  image_release(t);
  vocab_clear(&t->vocab);
  added_clear(&t->added);
  bpe_clear(&t->bpe);
  front_clear(&t->front);
  tokens_clear(&t->head);
  tokens_clear(&t->tail);
  normalizer_free(t->normalizer);
  pre_tokenizer_free(t->pre_tokenizer);
  decoder_free(t->decoder);
  for (int i = 0; i < SECTIONS; i++) buf_clear(&t->section[i]);
  buf_clear(&t->pad_token);
  mem_free(t);
}

bool tokenizer_truncation(const struct tokenizer *t, struct tokenizer_truncation *out) {
  *out = t->truncation;
  return t->truncates;
}

bool tokenizer_padding(const struct tokenizer *t, struct tokenizer_padding *out) {
  *out = t->padding;
  return t->pads;
}

size_t tokenizer_size(const struct tokenizer *t) {
  return t->vocab.size;
}

size_t tokenizer_entries(const struct tokenizer *t) {
  return t->vocab.entries;
}

uint32_t tokenizer_id(const struct tokenizer *t, const char *token, size_t n) {
  return vocab_find(&t->vocab, token, n);
}

const char *tokenizer_token(const struct tokenizer *t, uint32_t id, size_t *n) {
  return vocab_string(&t->vocab, id, n);
}

size_t tokenizer_added_count(const struct tokenizer *t) {
  return t->added.count;
}

void tokenizer_added_at(const struct tokenizer *t, size_t i, struct tokenizer_added *out) {
  *out = t->added.list[i];
}

size_t tokenizer_merge_count(const struct tokenizer *t) {
  return t->bpe.count;
}

void tokenizer_merge_at(const struct tokenizer *t, size_t i, uint32_t *left, uint32_t *right) {
  *left = t->bpe.merges[i].left;
  *right = t->bpe.merges[i].right;
}

void tokenizer_describe(const struct tokenizer *t, char *out, size_t size) {
  const char *kind = "characters";
  size_t special = 0;
  for (size_t i = 0; i < t->added.count; i++) special += t->added.list[i].special;
  if (t->bpe.byte_fallback) kind = "byte fallback";
  if (decoder_bytes(t->decoder) || pre_tokenizer_byte_level(t->pre_tokenizer)) kind = "byte-level";
  snprintf(out, size, "BPE, %zu entries, %s, %zu special", t->vocab.entries, kind, special);
}

const char *tokenizer_section(const struct tokenizer *t, const char *name, size_t *n) {
  for (int i = 0; i < SECTIONS; i++) {
    if (strcmp(section_names[i], name) != 0 || !t->section[i].len) continue;
    *n = t->section[i].len;
    return t->section[i].data;
  }
  return *n = 0, NULL;
}

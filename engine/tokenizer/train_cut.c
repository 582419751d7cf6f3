/* SPDX-License-Identifier: MIT */
/* How training cuts texts into words: as encoding will.
 *
 *   text ─ normalizer (when it changes anything) ─┬─ scanner, for the published patterns
 *                                                 └─ pre_tokenizer_run, for any other
 *
 * Made from the tokenizer.json that training will write, without merges. A cutter is never changed
 * once made; what a thread needs of its own is in its scratch.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "tokenizer/train.h"

struct train_cutter {
  bool scans;
  enum scan_kind kind;
  struct normalizer *normalizer;
  struct pre_tokenizer *pre;
};

static const struct {
  const char *name;
  enum scan_kind kind;
} names[] = {{"gpt2", SCAN_GPT2},   {"cl100k", SCAN_CL100K}, {"llama3", SCAN_CL100K},
             {"qwen2", SCAN_QWEN2}, {"o200k", SCAN_O200K},   {"tekken", SCAN_TEKKEN}};

const char *cutter_pattern(const struct tokenizer_train_options *o) {
  if (!o->pattern) return NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(names[i].name, o->pattern))
      return names[i].kind == SCAN_GPT2 ? NULL : scan_pattern(names[i].kind);
  return o->pattern;
}

int cutter_new(struct train_cutter **out, const struct tokenizer_train_options *o,
               const struct buf *text, struct err *err) {
  struct train_cutter *c = mem_zero(sizeof *c);
  struct json *j = NULL;
  const char *pattern = cutter_pattern(o);
  *out = c;
  if (!c) return err_nomem(err, sizeof *c, "training");
  c->kind = SCAN_GPT2;
  c->scans = !pattern || scan_recognise(pattern, strlen(pattern), false, &c->kind);
  int rc = json_parse(&j, text->data, text->len, NULL, err);
  if (!rc) rc = normalizer_load(&c->normalizer, j, json_get(j, JSON_ROOT, "normalizer"), err);
  if (!rc && !c->scans) {
    rc = pre_tokenizer_load(&c->pre, j, json_get(j, JSON_ROOT, "pre_tokenizer"), err);
    if (rc) err_prefix(err, "pattern");
  }
  json_free(j);
  return rc;
}

void cutter_free(struct train_cutter *c) {
  if (!c) return;
  normalizer_free(c->normalizer);
  pre_tokenizer_free(c->pre);
  mem_free(c);
}

void cut_scratch_clear(struct train_scratch *s) {
  aligned_clear(&s->normal);
  pieces_clear(&s->words);
  pieces_clear(&s->spare);
}

static int scan(const struct train_cutter *c, const char *s, size_t n, struct train_words *words,
                struct err *err) {
  size_t begin = 0, at = 0, poll = 0;
  int rc = 0;
  while (at < n && !rc) {
    uint32_t ends[TRAIN_BATCH];
    size_t count = scan_words(c->kind, s, n, &at, ends, TRAIN_BATCH);
    rc = words_add(words, s, begin, ends, count, err);
    begin = at;
    if (at >= poll && !rc) {
      rc = cancel_check(err);
      poll = at + TOKENIZER_POLL;
    }
  }
  return rc;
}

/* The general way: the whole text is cut before the first word is counted. */
static int cut(const struct train_cutter *c, struct train_scratch *own, const char *s, size_t n,
               struct train_words *words, struct err *err) {
  struct pieces *p = &own->words;
  bool alphabet;
  aligned_reset(&p->a, false);
  aligned_copy(&p->a, s, n, 0);
  int rc = buf_check(&p->a.text, "training", err);
  if (!rc && !p->cap) {
    if (!(p->list = mem_array(64, sizeof *p->list))) return err_nomem(err, 0, "training");
    p->cap = 64;
  }
  if (rc) return rc;
  p->list[0] = (struct piece){0, n};
  p->count = 1;
  rc = pre_tokenizer_run(c->pre, p, &own->spare, true, &alphabet, err);
  for (size_t i = 0; i < p->count && !rc; i++) {
    uint32_t end = (uint32_t)p->list[i].end;
    rc = words_add(words, p->a.text.data, p->list[i].start, &end, 1, err);
  }
  return rc ? rc : cancel_check(err);
}

int cutter_count(const struct train_cutter *c, struct train_scratch *own, const char *s, size_t n,
                 struct train_words *words, struct err *err) {
  if (!n) return 0;
  if (c->normalizer && !normalizer_keeps(c->normalizer, s, n)) {
    own->normal.track = false;
    int rc = normalizer_run(c->normalizer, s, n, &own->normal, err);
    if (rc) return rc;
    s = own->normal.text.data;
    n = own->normal.text.len;
  }
  return c->scans ? scan(c, s, n, words, err) : cut(c, own, s, n, words, err);
}

static bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

size_t cutter_slice(const struct train_cutter *c, const char *s, size_t n, size_t least) {
  while (c->scans && least < n) {
    const char *line = memchr(s + least, '\n', n - least);
    if (!line) return n;
    least = (size_t)(line - s);
    if (letter(s[least - 1])) return least;
    least++;
  }
  return n;
}

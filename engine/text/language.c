/* SPDX-License-Identifier: MIT */
/* Language identification; see language.h. The library's own answer lists the languages within 3 % of
 * the best distance; its names are "en--utf8", "zh-CN-utf8": what stands before the first hyphen is
 * the code. A few of its models are of one kind of a language that has a shorter code. */
#include "text/language.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/chars.h"

#include <stdio.h>
#include <string.h>

#ifdef HAVE_EXTTEXTCAT

#include <libexttextcat/textcat.h>

struct language_models {
  void *handle;
  candidate_t *candidates;
  struct buf sample;
};

void language_close(struct language_models *m) {
  if (!m) return;
  if (m->candidates) textcat_ReleaseClassifyFullOutput(m->handle, m->candidates);
  if (m->handle) textcat_Done(m->handle);
  buf_clear(&m->sample);
  mem_free(m);
}

int language_open(struct language_models **out, const char *folder, struct err *err) {
  char conf[4096], prefix[4096];
  *out = NULL;
  if (strlen(folder) > sizeof conf - 16)
    return err_set(err, ERR_MISUSE, "the folder's name is too long");
  (void)snprintf(conf, sizeof conf, "%s/fpdb.conf", folder);
  (void)snprintf(prefix, sizeof prefix, "%s/", folder);
  struct language_models *m = mem_zero(sizeof *m);
  if (!m) return err_nomem(err, sizeof *m, "language models");
  buf_init(&m->sample);
  m->handle = special_textcat_Init(conf, prefix);
  if (m->handle) m->candidates = textcat_GetClassifyFullOutput(m->handle);
  if (!m->candidates) {
    language_close(m);
    return err_set(err, ERR_NOTFOUND,
                   "%s: the language models cannot be read; install the package libexttextcat-data",
                   conf);
  }
  *out = m;
  return 0;
}

static void stretch(struct buf *b, const char *s, size_t n, size_t from, size_t length) {
  from = utf8_floor(s, n, from);
  size_t to = from + length < n ? utf8_floor(s, n, from + length) : n;
  buf_add(b, s + from, to - from);
  buf_addc(b, ' ');
}

static size_t letters(const char *s, size_t n, size_t enough) {
  size_t count = 0, used;
  for (size_t i = 0; i < n && count < enough; i += used) {
    uint32_t c = utf8_decode(s + i, n - i, &used);
    count += c != UTF8_BAD && char_class(c) & CHAR_LETTER;
  }
  return count;
}

/* "gug--utf8" → "gn" */
static void code_of(const char *name, char *code, size_t size) {
  static const char *const same[][2] = {
      {"gug", "gn"}, {"plt", "mg"}, {"quz", "qu"}, {"qxa", "qu"}, {"kng", "kg"}};
  size_t n = strcspn(name, "-");
  if (n >= size) n = size - 1;
  memcpy(code, name, n);
  code[n] = 0;
  for (size_t i = 0; i < sizeof same / sizeof *same; i++)
    if (!strcmp(code, same[i][0])) (void)snprintf(code, size, "%s", same[i][1]);
}

int language_identify(struct language_models *m, const char *s, size_t n, struct language *out,
                      struct err *err) {
  *out = (struct language){.code = "unknown"};
  buf_reset(&m->sample);
  if (n <= LANGUAGE_SAMPLE) {
    stretch(&m->sample, s, n, 0, n);
  } else {
    const size_t third = LANGUAGE_SAMPLE / 3;
    stretch(&m->sample, s, n, 0, third);
    stretch(&m->sample, s, n, n / 2 - third / 2, third);
    stretch(&m->sample, s, n, n - third, third);
  }
  int rc = buf_check(&m->sample, "a sample of the text", err);
  if (rc || letters(m->sample.data, m->sample.len, LANGUAGE_LETTERS) < LANGUAGE_LETTERS) return rc;
  int count = textcat_ClassifyFull(m->handle, m->sample.data, m->sample.len, m->candidates);
  if (count <= 0) return 0;
  code_of(m->candidates[0].name, out->code, sizeof out->code);
  char other[sizeof out->code];
  double best = m->candidates[0].score, next = 2 * best;
  for (int i = 1; i < count; i++) { /* other models of the same language do not count against it */
    code_of(m->candidates[i].name, other, sizeof other);
    if (strcmp(other, out->code) != 0 && m->candidates[i].score < next)
      next = m->candidates[i].score;
  }
  double behind = best > 0 ? (next / best - 1) / 0.03 : 1;
  out->confidence = behind > 1 ? 1 : behind < 0 ? 0 : behind;
  return 0;
}

#else

void language_close(struct language_models *m) {
  (void)m;
}

int language_open(struct language_models **out, const char *folder, struct err *err) {
  (void)folder;
  *out = NULL;
  return err_set(err, ERR_UNSUPPORTED,
                 "this build cannot identify languages; install libexttextcat-dev and build again");
}

int language_identify(struct language_models *m, const char *s, size_t n, struct language *out,
                      struct err *err) {
  (void)m, (void)s, (void)n;
  *out = (struct language){.code = "unknown"};
  return err_set(err, ERR_UNSUPPORTED, "this build cannot identify languages");
}

#endif

/* SPDX-License-Identifier: MIT */
/* Regular expressions: see regex.h. One compiled pattern and one match block of two offsets; a pattern
 * belongs to one thread. The match limit of a million steps is about ten milliseconds. */
#include "text/regex.h"

#include <stdint.h>

#include "base/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define MATCH_LIMIT 1000000
#define HEAP_LIMIT  (16u << 10) /* KiB */

struct regex {
  pcre2_code *code;
  pcre2_match_data *match;
  pcre2_match_context *context;
};

static void *take(size_t n, void *unused) {
  (void)unused;
  return mem_alloc(n);
}

static void give(void *p, void *unused) {
  (void)unused;
  mem_free(p);
}

static int fail(struct err *err, int code, int number, const char *what, size_t at) {
  char text[160];
  pcre2_get_error_message(number, (PCRE2_UCHAR *)text, sizeof text);
  return err_set(err, code, "%s at byte %zu: %s", what, at, text);
}

int regex_new(struct regex **out, const char *pattern, size_t n, struct err *err) {
  int rc = 0, number;
  size_t at;
  struct regex *r = *out = mem_zero(sizeof *r);
  pcre2_general_context *general = pcre2_general_context_create(take, give, NULL);
  pcre2_compile_context *compile = general ? pcre2_compile_context_create(general) : NULL;
  if (!r || !compile) {
    rc = err_nomem(err, n, "a regular expression");
    goto done;
  }
  r->code = pcre2_compile((PCRE2_SPTR)pattern, n, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
                          &number, &at, compile);
  if (!r->code) {
    rc = number == PCRE2_ERROR_HEAP_FAILED || number == 121
             ? err_nomem(err, n, "a regular expression")
             : fail(err, ERR_FORMAT, number, "regular expression", at);
    goto done;
  }
  pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without it matching is slower and the same */
  r->match = pcre2_match_data_create(1, general);
  r->context = pcre2_match_context_create(general);
  if (!r->match || !r->context) {
    rc = err_nomem(err, n, "a regular expression");
    goto done;
  }
  pcre2_set_match_limit(r->context, MATCH_LIMIT);
  pcre2_set_heap_limit(r->context, HEAP_LIMIT);
done:
  pcre2_compile_context_free(compile);
  pcre2_general_context_free(general);
  if (rc) {
    regex_free(r);
    *out = NULL;
  }
  return rc;
}

void regex_free(struct regex *r) {
  if (!r) return;
  pcre2_match_context_free(r->context);
  pcre2_match_data_free(r->match);
  pcre2_code_free(r->code);
  mem_free(r);
}

int regex_find(const struct regex *r, const char *text, size_t n, size_t from, size_t *start,
               size_t *end, struct err *err) {
  int got = pcre2_match(r->code, (PCRE2_SPTR)text, n, from, 0, r->match, r->context);
  if (got == PCRE2_ERROR_NOMATCH) return 0;
  if (got == PCRE2_ERROR_NOMEMORY) return err_nomem(err, n, "matching"), -1;
  if (got < 0 && got >= PCRE2_ERROR_UTF8_ERR21 && got <= PCRE2_ERROR_UTF8_ERR1)
    return fail(err, ERR_FORMAT, got, "text", from), -1;
  if (got < 0) return fail(err, ERR_LIMIT, got, "match from", from), -1;
  const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(r->match);
  *start = bounds[0], *end = bounds[1];
  return 1;
}

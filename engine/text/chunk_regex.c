/* SPDX-License-Identifier: MIT */
/* Separators that are regular expressions, as the Python package has them: read by PCRE2, whose
 * syntax is Python's but for corners. \s, \d and \w mean Unicode's, and \s also U+001C–1F, as Python
 * has it; \Z is the very end. `$` matches before a last line feed, and empty matches count, as in Python's re.split: one may follow a match that is not empty,
 * but not lie where the search for it began anew.
 *
 * Not the tokenizer room's patterns: those follow another library's syntax and rules of matching.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/mem.h"
#include "text/chunk_parts.h"

#include <pcre2.h>

#define MATCH_LIMIT   10000000u
#define HEAP_LIMIT_KB (64u << 10)

struct chunk_regex {
  pcre2_code *code;
  pcre2_match_data *match;
  pcre2_match_context *limits;
};

static void *regex_alloc(size_t n, void *unused) {
  (void)unused;
  return mem_alloc(n);
}

static void regex_free(void *p, void *unused) {
  (void)unused;
  mem_free(p);
}

void chunk_regex_free(struct chunk_regex *r) {
  if (!r) return;
  pcre2_match_data_free(r->match);
  pcre2_match_context_free(r->limits);
  pcre2_code_free(r->code);
  mem_free(r);
}

/* What Python writes differently. */
static void translate(const char *regex, size_t n, struct buf *out) {
  bool class = false;
  for (size_t i = 0; i < n; i++) {
    char c = regex[i];
    if (c != '\\' || i + 1 == n) {
      if (c == '[' && !class)
        class = true;
      else if (c == ']' && class && regex[i - 1] != '[' &&
               !(regex[i - 1] == '^' && regex[i - 2] == '['))
        class = false;
      buf_addc(out, c);
      continue;
    }
    char e = regex[++i];
    if (e == 's')
      buf_adds(out, class ? "\\s\\x1c-\\x1f" : "[\\s\\x1c-\\x1f]");
    else if (e == 'S' && !class)
      buf_adds(out, "[^\\s\\x1c-\\x1f]");
    else if (e == 'Z' && !class)
      buf_adds(out, "\\z");
    else
      buf_addc(out, c), buf_addc(out, e);
  }
}

static int compile(struct chunk_regex *r, pcre2_general_context *memory, const char *regex,
                   size_t n, struct err *err) {
  int code;
  PCRE2_SIZE where;
  struct buf text;
  buf_init(&text);
  translate(regex, n, &text);
  pcre2_compile_context *context = text.failed ? NULL : pcre2_compile_context_create(memory);
  if (!context) return buf_clear(&text), err_nomem(err, n, "a separator");
  r->code = pcre2_compile((PCRE2_SPTR)text.data, text.len,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &where, context);
  pcre2_compile_context_free(context);
  buf_clear(&text);
  if (r->code) return 0;
  char message[160] = "";
  pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
  return err_set(err, ERR_FORMAT, "separator '%.*s': %s, at byte %zu", (int)(n < 80 ? n : 80),
                 regex, message, (size_t)where);
}

static int prepare(struct chunk_regex *r, const char *regex, size_t n, struct err *err) {
  uint32_t groups = 0;
  int rc;
  pcre2_general_context *memory = pcre2_general_context_create(regex_alloc, regex_free, NULL);
  if (!memory) return err_nomem(err, n, "a separator");
  if ((rc = compile(r, memory, regex, n, err))) goto done;
  pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &groups);
  if (groups) {
    rc = err_set(err, ERR_UNSUPPORTED,
                 "separator '%.*s': capturing groups are not supported; write (?:…)",
                 (int)(n < 80 ? n : 80), regex);
    goto done;
  }
  r->match = pcre2_match_data_create(1, memory);
  r->limits = pcre2_match_context_create(memory);
  if (!r->match || !r->limits) {
    rc = err_nomem(err, n, "a separator");
    goto done;
  }
  pcre2_set_match_limit(r->limits, MATCH_LIMIT);
  pcre2_set_heap_limit(r->limits, HEAP_LIMIT_KB);
  pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without it: slower */
done:
  pcre2_general_context_free(memory);
  return rc;
}

int chunk_regex_new(struct chunk_regex **out, const char *regex, size_t n, struct err *err) {
  struct chunk_regex *r = mem_zero(sizeof *r);
  *out = NULL;
  if (!r) return err_nomem(err, sizeof *r, "a separator");
  int rc = prepare(r, regex, n, err);
  if (rc)
    chunk_regex_free(r);
  else
    *out = r;
  return rc;
}

int chunk_regex_find(struct chunk_regex *r, const char *s, size_t n, size_t at, bool empty,
                     bool *found, size_t *start, size_t *end, struct err *err) {
  uint32_t flags = PCRE2_NO_UTF_CHECK | (empty ? 0 : PCRE2_NOTEMPTY_ATSTART);
  *found = false, *start = *end = 0;
  int rc = pcre2_match(r->code, (PCRE2_SPTR)s, n, at, flags, r->match, r->limits);
  if (rc == PCRE2_ERROR_NOMATCH) return 0;
  if (rc == PCRE2_ERROR_NOMEMORY) return err_nomem(err, n, "a separator");
  if (rc < 0) return err_set(err, ERR_LIMIT, "a separator backtracks without end");
  const PCRE2_SIZE *v = pcre2_get_ovector_pointer(r->match);
  if (v[0] < at || v[0] > v[1])
    return err_set(err, ERR_UNSUPPORTED, "a separator's match ends before it begins (\\K)");
  *found = true;
  *start = v[0];
  *end = v[1];
  return 0;
}

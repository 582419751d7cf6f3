/* SPDX-License-Identifier: MIT */
/* The "pre_tokenizer" of a tokenizer.json, read into steps.
 *
 *   ByteLevel {add_prefix_space, use_regex}          space?, GPT-2's pattern?, alphabet
 *   Split {pattern: {String | Regex}, behavior, invert}
 *   Metaspace {replacement, prepend_scheme, split}   spaces, cut before each
 *       older: {add_prefix_space, str_rep}; false needs "prepend_scheme": "never" beside it
 *   Digits {individual_digits}   Punctuation {behavior}   CharDelimiterSplit {delimiter}
 *   Whitespace   WhitespaceSplit   BertPreTokenizer   FixedLength {length}   UnicodeScripts
 *   Sequence {pretokenizers: […]}                    one chain, however nested
 *
 * What the reference demands but can only have one meaning when it is missing is not demanded.
 */
#include "base/mem.h"
#include "base/utf8.h"
#include "tokenizer/pretokenize.h"

#include <string.h>

#define MAX_STEPS 256
#define MAX_DEPTH 16

static const char gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

struct reading {
  const struct json *j;
  struct pre_tokenizer *p;
  struct buf scratch;
  struct err *err;
};

static bool absent(const struct json *j, json_id v) {
  return v == JSON_NONE || json_kind(j, v) == JSON_NULL;
}

static int wrong(struct reading *r, json_id v, const char *what) {
  return err_set(r->err, ERR_FORMAT, "byte %zu: pre_tokenizer %s: %s", json_offset(r->j, v),
                 r->scratch.data ? r->scratch.data : "?", what);
}

static int add_step(struct reading *r, struct pre_step step) {
  struct pre_tokenizer *p = r->p;
  if (p->count == MAX_STEPS)
    return err_set(r->err, ERR_LIMIT, "pre_tokenizer: more than %d steps", MAX_STEPS);
  if (p->count == p->cap) {
    size_t cap = p->cap ? p->cap * 2 : 8;
    struct pre_step *grown = mem_rearray(p->steps, cap, sizeof *grown);
    if (!grown) return err_nomem(r->err, cap * sizeof *grown, "a pre-tokenizer");
    p->steps = grown;
    p->cap = cap;
  }
  p->steps[p->count++] = step;
  return 0;
}

/* ---- fields ---- */

static int flag(struct reading *r, json_id v, const char *name, bool fallback, bool *out) {
  json_id f = json_get(r->j, v, name);
  *out = fallback;
  if (absent(r->j, f) || json_bool(r->j, f, out)) return 0;
  return wrong(r, f, "true or false expected");
}

/* A string of exactly one character. */
static int character(struct reading *r, json_id v, const char *name, uint32_t *c) {
  struct buf text;
  size_t n = 0, used = 0;
  json_id f = json_get(r->j, v, name);
  buf_init(&text);
  const char *s = json_string(r->j, f, &text, &n);
  int rc = 0;
  if (text.failed)
    rc = err_nomem(r->err, n, "a pre-tokenizer");
  else if (!s || !n || (*c = utf8_decode(s, n, &used)) == UTF8_BAD || used != n)
    rc = wrong(r, f == JSON_NONE ? v : f, "one character expected");
  buf_clear(&text);
  return rc;
}

static int behavior(struct reading *r, json_id v, int fallback, enum cut_behavior *out) {
  static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                      "Contiguous"};
  json_id f = json_get(r->j, v, "behavior");
  for (int i = 0; i < 5; i++)
    if (json_is(r->j, f, names[i])) {
      *out = (enum cut_behavior)i;
      return 0;
    }
  if (!absent(r->j, f) || fallback < 0)
    return wrong(r, f == JSON_NONE ? v : f,
                 "\"behavior\" is Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                 "Contiguous");
  *out = (enum cut_behavior)fallback;
  return 0;
}

/* ---- types ---- */

static int add_pattern(struct reading *r, struct pre_step step, const char *regex, size_t n,
                       bool literal) {
  struct pattern *pattern;
  int rc = literal ? pattern_literal(&pattern, regex, n, r->err)
                   : pattern_new(&pattern, regex, n, r->err);
  if (rc) return err_prefix(r->err, "pre_tokenizer %s", r->scratch.data);
  step.kind = STEP_PATTERN;
  step.pattern = pattern;
  rc = add_step(r, step);
  if (rc) pattern_free(pattern);
  return rc;
}

static int read_byte_level(struct reading *r, json_id v) {
  bool space, regex;
  int rc = flag(r, v, "add_prefix_space", true, &space);
  if (!rc) rc = flag(r, v, "use_regex", true, &regex);
  if (!rc && space) rc = add_step(r, (struct pre_step){.kind = STEP_SPACE});
  if (!rc && regex)
    rc = add_pattern(r, (struct pre_step){.behavior = CUT_ISOLATED}, gpt2, strlen(gpt2), false);
  if (!rc) rc = add_step(r, (struct pre_step){.kind = STEP_ALPHABET});
  r->p->byte_level = true;
  return rc;
}

static int read_split(struct reading *r, json_id v) {
  struct pre_step step = {0};
  struct buf text;
  size_t n = 0;
  json_id pattern = json_get(r->j, v, "pattern"), regex = json_get(r->j, pattern, "Regex"),
          literal = json_get(r->j, pattern, "String");
  int rc = behavior(r, v, -1, &step.behavior);
  if (!rc) rc = flag(r, v, "invert", false, &step.invert);
  if (rc) return rc;
  buf_init(&text);
  const char *s = json_string(r->j, regex == JSON_NONE ? literal : regex, &text, &n);
  if (text.failed)
    rc = err_nomem(r->err, n, "a pre-tokenizer");
  else if (!s)
    rc = wrong(r, pattern == JSON_NONE ? v : pattern,
               "\"pattern\" is {\"String\": …} or {\"Regex\": …}");
  if (!rc) rc = add_pattern(r, step, s, n, regex == JSON_NONE);
  buf_clear(&text);
  return rc;
}

static int read_metaspace(struct reading *r, json_id v) {
  struct pre_step step = {.kind = STEP_META, .prepend = META_ALWAYS};
  json_id scheme = json_get(r->j, v, "prepend_scheme");
  bool prefix, split;
  int rc = character(r, v, "replacement", &step.character);
  if (!rc) rc = flag(r, v, "add_prefix_space", true, &prefix);
  if (!rc) rc = flag(r, v, "split", true, &split);
  if (rc) return rc;
  if (json_is(r->j, scheme, "first"))
    step.prepend = META_FIRST;
  else if (json_is(r->j, scheme, "never"))
    step.prepend = META_NEVER;
  else if (!absent(r->j, scheme) && !json_is(r->j, scheme, "always"))
    return wrong(r, scheme, "\"prepend_scheme\" is always, first or never");
  if (!prefix && step.prepend != META_NEVER)
    return wrong(r, v, "\"add_prefix_space\": false goes with \"prepend_scheme\": \"never\" only");
  rc = add_step(r, step);
  if (rc || !split) return rc;
  return add_step(
      r, (struct pre_step){.kind = STEP_CHAR, .character = step.character, .behavior = CUT_NEXT});
}

static int read_digits(struct reading *r, json_id v) {
  bool each;
  int rc = flag(r, v, "individual_digits", false, &each);
  if (rc) return rc;
  return add_step(r, (struct pre_step){.kind = STEP_KIND,
                                       .mask = CHAR_NUMERIC,
                                       .behavior = each ? CUT_ISOLATED : CUT_CONTIGUOUS});
}

static int read_punctuation(struct reading *r, json_id v) {
  struct pre_step step = {.kind = STEP_KIND, .mask = CHAR_PUNCTUATION};
  int rc = behavior(r, v, CUT_ISOLATED, &step.behavior);
  return rc ? rc : add_step(r, step);
}

static int read_whitespace_split(struct reading *r, json_id v) {
  (void)v;
  return add_step(r,
                  (struct pre_step){.kind = STEP_KIND, .mask = CHAR_GAP, .behavior = CUT_REMOVED});
}

static int read_bert(struct reading *r, json_id v) {
  int rc = read_whitespace_split(r, v);
  if (rc) return rc;
  return add_step(
      r, (struct pre_step){.kind = STEP_KIND, .mask = CHAR_PUNCTUATION, .behavior = CUT_ISOLATED});
}

static int read_whitespace(struct reading *r, json_id v) {
  (void)v;
  return add_step(r, (struct pre_step){.kind = STEP_WORDS, .behavior = CUT_ISOLATED});
}

static int read_delimiter(struct reading *r, json_id v) {
  struct pre_step step = {.kind = STEP_CHAR, .behavior = CUT_REMOVED};
  int rc = character(r, v, "delimiter", &step.character);
  return rc ? rc : add_step(r, step);
}

static int read_length(struct reading *r, json_id v) {
  json_id f = json_get(r->j, v, "length");
  int64_t length = 5;
  if (!absent(r->j, f) && (!json_int(r->j, f, &length) || length < 1))
    return wrong(r, f, "\"length\" is a whole number, at least 1");
  return add_step(r, (struct pre_step){
                         .kind = STEP_LENGTH, .length = (size_t)length, .behavior = CUT_ISOLATED});
}

static int read_scripts(struct reading *r, json_id v) {
  (void)v;
  return add_step(r, (struct pre_step){.kind = STEP_SCRIPTS, .behavior = CUT_ISOLATED});
}

static int read_any(struct reading *r, json_id v, int depth);

static int read_sequence(struct reading *r, json_id v, int depth) {
  json_id list = json_get(r->j, v, "pretokenizers");
  if (json_kind(r->j, list) != JSON_ARRAY) return wrong(r, v, "\"pretokenizers\" is a list");
  struct json_iter it = json_iter(r->j, list);
  int rc = 0;
  while (!rc && json_each(&it)) rc = read_any(r, it.value, depth + 1);
  return rc;
}

static int read_any(struct reading *r, json_id v, int depth) {
  static const struct {
    const char *name;
    int (*read)(struct reading *r, json_id v);
  } types[] = {{"ByteLevel", read_byte_level},
               {"Split", read_split},
               {"Metaspace", read_metaspace},
               {"Digits", read_digits},
               {"Punctuation", read_punctuation},
               {"Whitespace", read_whitespace},
               {"WhitespaceSplit", read_whitespace_split},
               {"CharDelimiterSplit", read_delimiter},
               {"BertPreTokenizer", read_bert},
               {"FixedLength", read_length},
               {"UnicodeScripts", read_scripts}};
  json_id type = json_get(r->j, v, "type");
  buf_reset(&r->scratch);
  if (depth > MAX_DEPTH)
    return err_set(r->err, ERR_LIMIT, "pre_tokenizer: nested deeper than %d", MAX_DEPTH);
  if (!json_string_add(r->j, type, &r->scratch)) return wrong(r, v, "a \"type\" expected");
  if (r->scratch.failed) return err_nomem(r->err, 64, "a pre-tokenizer");
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (json_is(r->j, type, types[i].name)) return types[i].read(r, v);
  if (json_is(r->j, type, "Sequence")) return read_sequence(r, v, depth);
  return err_set(r->err, ERR_UNSUPPORTED, "pre_tokenizer %.60s is not supported", r->scratch.data);
}

int pre_tokenizer_load(struct pre_tokenizer **out, const struct json *j, json_id section,
                       struct err *err) {
  *out = NULL;
  if (absent(j, section)) return 0;
  struct pre_tokenizer *p = mem_zero(sizeof *p);
  if (!p) return err_nomem(err, sizeof *p, "a pre-tokenizer");
  struct reading r = {.j = j, .p = p, .err = err};
  int rc = read_any(&r, section, 0);
  for (uint32_t c = 0; c < 128; c++) p->of_byte[c] = (uint8_t)char_kind(c);
  if (!rc && p->count && p->steps[p->count - 1].kind == STEP_ALPHABET) {
    p->bytes_last = true;
    p->count--;
  }
  buf_clear(&r.scratch);
  if (rc)
    pre_tokenizer_free(p);
  else
    *out = p;
  return rc;
}

void pre_tokenizer_free(struct pre_tokenizer *p) {
  if (!p) return;
  for (size_t i = 0; i < p->count; i++) pattern_free(p->steps[i].pattern);
  mem_free(p->steps);
  mem_free(p);
}

/* SPDX-License-Identifier: MIT */
/* Sets of characters, and what the reference knows about each character.
 *
 * The knowledge is a table of runs, made by tests/reference/tokenizer_categories.py, which asks the
 * reference about each character:
 *
 *   category_runs[…]  first character << 11 | kind ──► category_kinds[kind]: category, script, flags
 *
 * A property is a question to a kind (one of these categories, that script, one of these flags), so
 * its set is one walk over the runs. Case folding is a list of groups, and a list of the characters
 * that stand for two or three others.
 */
#include "tokenizer/charset.h"

#include "base/mem.h"

#include <string.h>

struct category_kind {
  uint8_t category, script;
  uint32_t flags;
};
struct category_name {
  const char *name; /* lower case without '_'; ":x" is [[:x:]], "\\x" an escape */
  uint32_t categories;
  int script; /* −1: by categories and flags */
  uint32_t flags;
};

#include "tokenizer/categories.inc"

#define COUNT(a) (sizeof(a) / sizeof *(a))
enum { RUNS = COUNT(category_runs), KIND_BITS = 11 };

static uint32_t run_first(size_t i) {
  return i < RUNS ? category_runs[i] >> KIND_BITS : CHARSET_BAD;
}

static const struct category_kind *run_kind(size_t i) {
  return &category_kinds[category_runs[i] & ((1u << KIND_BITS) - 1)];
}

/* ---- sets ---- */

void charset_clear(struct charset *s) {
  mem_free(s->at);
  *s = (struct charset){0};
}

int charset_check(const struct charset *s, struct err *err) {
  return s->failed ? err_nomem(err, (s->cap + 1) * sizeof *s->at, "a character class") : 0;
}

static void push(struct charset *s, uint32_t at) {
  if (s->failed) return;
  if (s->count == s->cap) {
    size_t cap = s->cap ? s->cap * 2 : 8;
    uint32_t *grown = mem_rearray(s->at, cap, sizeof *grown);
    if (!grown) {
      s->failed = true;
      return;
    }
    s->at = grown;
    s->cap = cap;
  }
  s->at[s->count++] = at;
}

/* The places where the number of sets that hold a character goes past `need`. */
static void combine(struct charset *s, const struct charset *with, int need) {
  struct charset out = {.failed = s->failed || with->failed};
  size_t i = 0, j = 0;
  bool inside = false;
  while (i < s->count || j < with->count) {
    uint32_t a = i < s->count ? s->at[i] : CHARSET_END,
             b = j < with->count ? with->at[j] : CHARSET_END, at = a < b ? a : b;
    if (i < s->count && a == at) i++;
    if (j < with->count && b == at) j++;
    bool now = (int)(i & 1) + (int)(j & 1) >= need;
    if (now != inside) push(&out, at);
    inside = now;
  }
  charset_clear(s);
  *s = out;
}

void charset_or(struct charset *s, const struct charset *with) {
  combine(s, with, 1);
}
void charset_and(struct charset *s, const struct charset *with) {
  combine(s, with, 2);
}

void charset_add(struct charset *s, uint32_t first, uint32_t last) {
  if (!s->count || first > s->at[s->count - 1]) {
    push(s, first);
    push(s, last + 1);
  } else if (first == s->at[s->count - 1] && !(s->count & 1)) {
    s->at[s->count - 1] = last + 1;
  } else {
    uint32_t pair[2] = {first, last + 1};
    struct charset one = {.at = pair, .count = 2};
    combine(s, &one, 1);
  }
}

void charset_negate(struct charset *s) {
  struct charset out = {.failed = s->failed};
  size_t i = s->count && s->at[0] == 0;
  if (!i) push(&out, 0);
  for (; i < s->count; i++) push(&out, s->at[i]);
  if (out.count && out.at[out.count - 1] == CHARSET_END)
    out.count--;
  else
    push(&out, CHARSET_END);
  charset_clear(s);
  *s = out;
}

bool charset_has(const struct charset *s, uint32_t c) {
  size_t low = 0, high = s->count; /* how many changes stand at or before c */
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    if (s->at[mid] <= c)
      low = mid + 1;
    else
      high = mid;
  }
  return low & 1;
}

bool charset_equal(const struct charset *a, const struct charset *b) {
  return a->count == b->count && !memcmp(a->at, b->at, a->count * sizeof *a->at);
}

/* ---- properties ---- */

#define NAME_MAX_BYTES 40

static const struct category_name *name_find(const char *name) {
  for (size_t i = 0; i < COUNT(category_names); i++)
    if (!strcmp(category_names[i].name, name)) return &category_names[i];
  return NULL;
}

static bool kind_is(const struct category_kind *k, const struct category_name *which) {
  if (which->script >= 0) return k->script == which->script;
  return which->categories >> k->category & 1 || k->flags & which->flags;
}

bool charset_property(struct charset *s, const char *name, size_t n, bool bracket) {
  char plain[NAME_MAX_BYTES + 2];
  size_t len = 0;
  if (bracket) plain[len++] = ':';
  for (size_t i = 0; i < n; i++) {
    char c = name[i];
    if (!bracket && (c == ' ' || c == '_' || c == '-')) continue;
    if (len > NAME_MAX_BYTES) return false;
    plain[len++] = !bracket && c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
  }
  plain[len] = 0;
  const struct category_name *which = name_find(plain);
  if (!which || (*plain == ':' && !bracket)) return false;
  struct charset found = {0};
  for (size_t i = 0; i < RUNS; i++)
    if (kind_is(run_kind(i), which)) charset_add(&found, run_first(i), run_first(i + 1) - 1);
  charset_or(s, &found);
  charset_clear(&found);
  return true;
}

/* The run that holds c; a run's first character stands above `bits`. */
static uint32_t run_of(const uint32_t *runs, size_t count, int bits, uint32_t c) {
  size_t low = 0, high = count;
  while (high - low > 1) {
    size_t mid = low + (high - low) / 2;
    if (runs[mid] >> bits <= c)
      low = mid;
    else
      high = mid;
  }
  return runs[low] & ((1u << bits) - 1);
}

unsigned char_script(uint32_t c) {
  return c < CHARSET_BAD ? run_of(script_runs, COUNT(script_runs), 8, c) : 0;
}

unsigned char_kind(uint32_t c) {
  if (c >= CHARSET_BAD) return 0;
  uint32_t flags = category_kinds[run_of(category_runs, RUNS, KIND_BITS, c)].flags;
  return (flags & IS_DIGITS ? CHAR_NUMERIC : 0u) |
         (flags & IS_PUNCTUATION ? CHAR_PUNCTUATION : 0u) | (flags & IS_GAP ? CHAR_GAP : 0u) |
         (flags & IS_RUST_WORD ? CHAR_WORD : 0u) | (flags & IS_RUST_SPACE ? CHAR_SPACE : 0u);
}

/* ---- folding ---- */

void charset_fold(struct charset *s) {
  struct charset more = {0};
  for (size_t i = 0; i < COUNT(fold_groups); i++) {
    const uint32_t *g = fold_groups[i];
    bool any = false;
    for (int k = 0; k < 4 && g[k]; k++) any = any || charset_has(s, g[k]);
    for (int k = 0; any && k < 4 && g[k]; k++) charset_add(&more, g[k], g[k]);
  }
  charset_or(s, &more);
  charset_clear(&more);
}

bool charset_folds_wide(const struct charset *s) {
  for (size_t i = 0; i < COUNT(fold_several); i++)
    if (charset_has(s, fold_several[i][0])) return true;
  return false;
}

uint32_t fold_char(uint32_t c) {
  for (size_t i = 0; i < COUNT(fold_groups); i++)
    for (int k = 1; k < 4 && fold_groups[i][k]; k++)
      if (fold_groups[i][k] == c) return fold_groups[i][0];
  return c;
}

uint32_t fold_several_of(const uint32_t *c, size_t count) {
  for (size_t i = 0; i < COUNT(fold_several); i++) {
    size_t len = fold_several[i][3] ? 3 : 2, k = 0;
    if (count < len) continue;
    while (k < len && fold_several[i][1 + k] == c[count - len + k]) k++;
    if (k == len) return fold_several[i][0];
  }
  return 0;
}

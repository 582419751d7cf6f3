/* SPDX-License-Identifier: MIT */
/* text/chunk: LangChain's published results, properties on generated texts, attacks. */
#include "support/test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "file/file.h"
#include "json/json.h"
#include "text/chunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the conformance file ---- */

static const struct chunk_separator standard[] = {{"\n\n", 2}, {"\n", 1}, {" ", 1}, {"", 0}};

struct golden {
  struct json *j;
  struct buf text, input, scratch, got;
  struct chunk_separator separators[CHUNK_SEPARATORS_MAX];
  char *owned[CHUNK_SEPARATORS_MAX];
  struct chunk_options o;
};

static void add_separator(struct golden *g, json_id v) {
  size_t n;
  const char *s = json_string(g->j, v, &g->scratch, &n);
  size_t k = g->o.separator_count++;
  g->owned[k] = mem_dup(s, n);
  g->separators[k] = (struct chunk_separator){g->owned[k], n};
}

static void read_options(struct golden *g) {
  json_id p = json_get(g->j, JSON_ROOT, "params"), v;
  int64_t n;
  chunk_defaults(&g->o);
  g->o.size = 1000;
  g->o.overlap = 200;
  g->o.style = CHUNK_JAVASCRIPT;
  g->o.recursive = !json_is(g->j, json_get(g->j, JSON_ROOT, "splitter"), "CharacterTextSplitter");
  g->o.keep = g->o.recursive;
  if (json_int(g->j, json_get(g->j, p, "chunkSize"), &n)) g->o.size = (size_t)n;
  if (json_int(g->j, json_get(g->j, p, "chunkOverlap"), &n)) g->o.overlap = (size_t)n;
  json_bool(g->j, json_get(g->j, p, "keepSeparator"), &g->o.keep);
  if ((v = json_get(g->j, p, "separators")) != JSON_NONE) {
    g->o.separators = g->separators;
    g->o.separator_count = 0;
    struct json_iter it = json_iter(g->j, v);
    while (json_each(&it)) add_separator(g, it.value);
  } else if ((v = json_get(g->j, p, "separator")) != JSON_NONE) {
    g->o.separators = g->separators;
    g->o.separator_count = 0;
    add_separator(g, v);
  } else if (!g->o.recursive) {
    g->o.separators = standard;
    g->o.separator_count = 1;
  }
}

/* The chunk as LangChain joins it: where separators are not kept, a run of them is one. */
static void as_joined(struct golden *g, const struct chunk *c) {
  const char *s = g->input.data;
  buf_reset(&g->got);
  if (g->o.keep || c->level < 0 || !g->o.separators[c->level].n) {
    buf_add(&g->got, s + c->start, c->end - c->start);
    return;
  }
  const struct chunk_separator *sep = &g->o.separators[c->level];
  for (size_t at = c->start; at < c->end;) {
    const char *e = memmem(s + at, c->end - at, sep->s, sep->n);
    size_t end = e ? (size_t)(e - s) : c->end;
    buf_add(&g->got, s + at, end - at);
    for (at = end; at + sep->n <= c->end && !memcmp(s + at, sep->s, sep->n); at += sep->n)
      if (at == end) buf_add(&g->got, sep->s, sep->n);
  }
}

static bool same_chunks(struct golden *g, const struct chunks *chunks, json_id want) {
  struct json_iter it = json_iter(g->j, want);
  size_t k = 0, n;
  if (chunks->n != json_count(g->j, want)) return false;
  while (json_each(&it)) {
    const char *s = json_string(g->j, it.value, &g->scratch, &n);
    as_joined(g, &chunks->v[k++]);
    if (n != g->got.len || (n && memcmp(s, g->got.data, n) != 0)) return false;
  }
  return true;
}

/* Returns true when the case agrees in the given style. */
static bool golden_case(struct golden *g, const char *line, size_t line_size, bool python,
                        bool *python_too) {
  struct err err;
  struct chunks chunks = {0};
  char path[4096], name[256] = "";
  size_t n;
  bool fine = false;
  if (json_parse(&g->j, line, line_size, NULL, &err)) return false;
  read_options(g);
  if (python) g->o.style = CHUNK_PYTHON;
  json_bool(g->j, json_get(g->j, JSON_ROOT, "python_same"), python_too);
  const char *file = json_string(g->j, json_get(g->j, JSON_ROOT, "input_file"), &g->scratch, &n);
  memcpy(name, file, n);
  snprintf(path, sizeof path, "splitters/inputs/%s", name);
  buf_reset(&g->input);
  if (file_read(test_conformance(path), 1 << 20, &g->input, &err) == 0) {
    int rc = chunk_characters(g->input.data, g->input.len, &g->o, &chunks, &err);
    json_id want = json_get(g->j, JSON_ROOT, "chunks");
    fine = want == JSON_NONE ? rc == ERR_MISUSE : rc == 0 && same_chunks(g, &chunks, want);
  }
  if (!fine && getenv("VERBOSE")) printf("# differs: %.*s\n", 150, line);
  chunks_clear(&chunks);
  for (size_t i = 0; i < CHUNK_SEPARATORS_MAX; i++) mem_free(g->owned[i]), g->owned[i] = NULL;
  json_free(g->j);
  return fine;
}

static void langchain(void) {
  const char *path = test_conformance("splitters/golden.jsonl");
  struct golden g = {0};
  struct lines *lines;
  struct line line;
  struct err err;
  int cases = 0, same = 0, python_same = 0, python_cases = 0;
  if (!path) return;
  REQUIRE(lines_open(&lines, path, 0, &err) == 0);
  while (lines_next(lines, &line, &err) == 1) {
    bool python_too = false;
    cases++;
    same += golden_case(&g, line.text, line.len, false, &python_too);
    if (!python_too) continue;
    python_cases++;
    python_same += golden_case(&g, line.text, line.len, true, &python_too);
  }
  lines_close(lines);
  buf_clear(&g.input), buf_clear(&g.scratch), buf_clear(&g.got);
  CHECK_INT(cases, 84);
  CHECK_INT(same, cases);
  CHECK_INT(python_same, python_cases);
}

/* ---- properties ---- */

static void random_text(struct rng *r, struct buf *b, size_t pieces) {
  static const char *const words[] = {"a", "word", "Größe", "界", "😀",    "é",      ".",  "x-y",
                                      " ", " ",    " ",     "\n", "\n\n", "\n\n\n", "\t", "\u3000"};
  buf_reset(b);
  for (size_t i = 0; i < pieces; i++)
    buf_adds(b, words[rng_below(r, sizeof words / sizeof *words)]);
}

/* Spans in order, inside the text, at characters, not longer than the size, no visible character
 * lost between them. */
static void check_spans(const struct buf *b, const struct chunk_options *o,
                        const struct chunks *c) {
  size_t reached = 0, previous = 0;
  for (size_t i = 0; i < c->n; i++) {
    struct chunk k = c->v[i];
    CHECK(k.start < k.end && k.end <= b->len && k.start >= previous);
    CHECK_INT(utf8_floor(b->data, b->len, k.start), k.start);
    CHECK_INT(utf8_floor(b->data, b->len, k.end), k.end);
    CHECK(utf8_count(b->data + k.start, k.end - k.start) <= o->size);
    for (size_t p = reached; p < k.start; p++)
      CHECK(strchr(" \n\t\xe3\x80", b->data[p]) != NULL); /* what strip removes */
    if (k.end > reached) reached = k.end;
    previous = k.start;
  }
  for (size_t p = reached; p < b->len; p++) CHECK(strchr(" \n\t\xe3\x80", b->data[p]) != NULL);
}

static void spans_hold(void) {
  struct rng r;
  struct buf b;
  struct err err;
  rng_seed(&r, 11);
  buf_init(&b);
  for (int round = 0; round < 400; round++) {
    struct chunk_options o;
    struct chunks c = {0};
    chunk_defaults(&o);
    random_text(&r, &b, rng_below(&r, 300));
    o.size = 1 + rng_below(&r, 60);
    o.overlap = rng_below(&r, o.size);
    o.strip = rng_below(&r, 4) != 0;
    o.style = rng_below(&r, 2) ? CHUNK_PYTHON : CHUNK_JAVASCRIPT;
    CHECK_INT(chunk_characters(b.data ? b.data : "", b.len, &o, &c, &err), 0);
    check_spans(&b, &o, &c);
    chunks_clear(&c);
  }
  buf_clear(&b);
}

static void token_windows(void) {
  struct rng r;
  struct buf b;
  struct err err;
  rng_seed(&r, 12);
  buf_init(&b);
  for (int round = 0; round < 200; round++) {
    struct chunk_token tokens[2000];
    struct chunks c = {0};
    size_t count = 0, reached = 0, previous = 0;
    random_text(&r, &b, 1 + rng_below(&r, 200));
    for (size_t at = 0; at < b.len; count++) { /* tokens that cut characters */
      size_t n = 1 + rng_below(&r, 5), end = b.len - at < n ? b.len : at + n;
      tokens[count] = (struct chunk_token){at, end};
      at = end;
    }
    size_t size = 1 + rng_below(&r, 20), overlap = rng_below(&r, size);
    CHECK_INT(chunk_tokens(b.data, b.len, tokens, count, size, overlap, &c, &err), 0);
    for (size_t i = 0; i < c.n; i++) {
      CHECK(c.v[i].start <= reached && c.v[i].start >= previous && c.v[i].end > c.v[i].start);
      CHECK_INT(utf8_floor(b.data, b.len, c.v[i].start), c.v[i].start);
      CHECK_INT(utf8_floor(b.data, b.len, c.v[i].end), c.v[i].end);
      previous = c.v[i].start;
      reached = c.v[i].end;
    }
    CHECK_INT(reached, b.len);
    chunks_clear(&c);
  }
  buf_clear(&b);
}

static void misuse(void) {
  struct chunk_options o;
  struct chunks c = {0};
  struct err err;
  struct chunk_token bad[] = {{0, 9}}, back[] = {{2, 3}, {1, 2}};
  chunk_defaults(&o);
  o.size = 0;
  CHECK_INT(chunk_characters("a", 1, &o, &c, &err), ERR_MISUSE);
  o.size = 5, o.overlap = 6;
  CHECK_INT(chunk_characters("a", 1, &o, &c, &err), ERR_MISUSE);
  CHECK_INT(chunk_tokens("abc", 3, bad, 1, 2, 0, &c, &err), ERR_MISUSE);
  CHECK_INT(chunk_tokens("abc", 3, back, 2, 2, 0, &c, &err), ERR_MISUSE);
  CHECK_INT(chunk_tokens("abc", 3, back, 2, 2, 2, &c, &err), ERR_MISUSE);
}

/* ---- attacks ---- */

static void one_character_a_million_times(void) {
  size_t n = 1 << 20;
  char *s = mem_alloc(n);
  static const char *const fills = "x \n\t";
  for (const char *f = fills; *f; f++) {
    struct chunk_options o;
    struct chunks c = {0};
    struct err err;
    chunk_defaults(&o);
    o.overlap = o.size - 1; /* the worst overlap */
    memset(s, *f, n);
    CHECK_INT(chunk_characters(s, n, &o, &c, &err), 0);
    CHECK_INT(c.n, *f == 'x' ? n - o.size + 1 : 0);
    chunks_clear(&c);
  }
  mem_free(s);
}

static void not_utf8(void) {
  struct rng r;
  struct err err;
  char s[3000];
  rng_seed(&r, 13);
  for (int round = 0; round < 50; round++) {
    struct chunk_options o;
    struct chunks c = {0};
    for (size_t i = 0; i < sizeof s; i++)
      s[i] = (char)(round % 2 ? rng_u64(&r) : 0x80 | (rng_u64(&r) & 0x3f));
    chunk_defaults(&o);
    o.size = 10, o.overlap = 3;
    CHECK_INT(chunk_characters(s, sizeof s, &o, &c, &err), 0);
    for (size_t i = 0; i < c.n; i++) CHECK(c.v[i].start < c.v[i].end && c.v[i].end <= sizeof s);
    chunks_clear(&c);
  }
}

static void long_words_keep_moving(void) {
  struct buf b;
  struct chunk_options o;
  struct chunks c = {0};
  struct err err;
  buf_init(&b);
  for (int i = 0; i < 300; i++) { /* words as long as the size, and longer, between paragraphs */
    for (int k = 0; k < 100 + i; k++) buf_addc(&b, 'a');
    buf_adds(&b, i % 3 ? " " : "\n\n");
  }
  chunk_defaults(&o);
  o.size = 150, o.overlap = 20;
  CHECK_INT(chunk_characters(b.data, b.len, &o, &c, &err), 0);
  check_spans(&b, &o, &c);
  chunks_clear(&c);
  buf_clear(&b);
}

int main(void) {
  TEST(langchain);
  TEST(spans_hold);
  TEST(token_windows);
  TEST(misuse);
  TEST(one_character_a_million_times);
  TEST(not_utf8);
  TEST(long_words_keep_moving);
  return test_done();
}

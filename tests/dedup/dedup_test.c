/* SPDX-License-Identifier: MIT */
/* dedup/: shingles, kernels, the external sort, and the whole on made-up texts. */
#include "support/test.h"

#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "dedup/dedup.h"
#include "dedup/minhash.h"
#include "dedup/shingle.h"
#include "dedup/sorter.h"
#include "file/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- shingles ---- */

static bool same_words(const struct shingle_table *t, const char *a, const char *b) {
  uint64_t x[2], y[2];
  shingle_digest(t, a, strlen(a), x);
  shingle_digest(t, b, strlen(b), y);
  return x[0] == y[0] && x[1] == y[1];
}

static void simplification(void) {
  struct shingle_table *t;
  struct err err;
  REQUIRE(shingle_table_new(&t, false, &err) == 0);
  CHECK(same_words(t, "The Quick, brown\n fox!", "the quick brown fox"));
  CHECK(same_words(t, "Größe ÉTÉ naïve", "grosse ete naive") == false); /* ß is no accent */
  CHECK(same_words(t, "Große ÉTÉ naïve", "große ete nai\u0308ve"));
  CHECK(same_words(t, "in 1984, 3.14 or 7 of 12.000.000", "in 0 0 or 0 of 0 0"));
  CHECK(same_words(t, "1,5 and \u0663\u066b\u0665", "0 and 0"));
  CHECK(same_words(t, "1, 5", "0 0"));
  CHECK(same_words(t, "abc123def", "abc9def"));
  CHECK(!same_words(t, "abc def", "abcdef"));
  CHECK(same_words(t, "日本語のテキスト", "日 本 語 の テ キ ス ト"));
  CHECK(same_words(t, "\u0410\u0411\u0412", "\u0430\u0431\u0432"));
  CHECK(same_words(t, "", " ,.;!? "));
  CHECK(!same_words(t, "a b", "b a"));
  CHECK(same_words(t,
                   "a\xff"
                   "b",
                   "a b")); /* malformed: a sign */
  shingle_table_free(t);
}

static void numbers_as_they_are(void) {
  struct shingle_table *t;
  struct err err;
  REQUIRE(shingle_table_new(&t, true, &err) == 0);
  CHECK(same_words(t, "In 1984, 3.14.", "in 1984 — (3.14)"));
  CHECK(!same_words(t, "2 + 2", "2 + 3"));
  CHECK(!same_words(t, "3.14", "3 14"));
  CHECK(!same_words(t, "12", "21"));
  CHECK(!same_words(t, "abc123def", "abc124def"));
  CHECK(same_words(t, "abc123def", "ABC123def"));
  CHECK(!same_words(t, "\u0663", "\u0664"));
  CHECK(!same_words(t, "0", "00"));
  shingle_table_free(t);
}

static size_t shingle_count(const struct shingle_table *t, const char *s, unsigned k) {
  struct shingles set = {0};
  struct err err;
  CHECK_INT(shingle_text(t, s, strlen(s), k, &set, &err), 0);
  CHECK_INT(shingles_unique(&set, &err), 0);
  size_t n = set.n;
  shingles_clear(&set);
  return n;
}

static void shingles(void) {
  struct shingle_table *t;
  struct err err;
  struct shingles a = {0}, b = {0};
  REQUIRE(shingle_table_new(&t, false, &err) == 0);
  CHECK_INT(shingle_count(t, "one two three four five six", 5), 2);
  CHECK_INT(shingle_count(t, "one two three", 5), 1);
  CHECK_INT(shingle_count(t, "", 5), 0);
  CHECK_INT(shingle_count(t, "a a a a a a a a a a", 2), 1);
  CHECK_INT(shingle_text(t, "x", 1, 0, &a, &err), ERR_MISUSE);
  /* a shingle depends on its own words only, wherever it stands */
  CHECK_INT(shingle_text(t, "x y one two three", 17, 3, &a, &err), 0);
  CHECK_INT(shingle_text(t, "one two three", 13, 3, &b, &err), 0);
  CHECK_INT(a.v[2], b.v[0]);
  shingles_clear(&a), shingles_clear(&b);
  shingle_table_free(t);
}

static void jaccard(void) {
  const uint32_t a[] = {1, 2, 3, 4}, b[] = {3, 4, 5, 6, 7};
  CHECK_CLOSE(shingle_jaccard(a, 4, b, 5, 100), 2.0 / 7, 1e-12);
  CHECK_CLOSE(shingle_jaccard(a, 4, a, 4, 100), 1, 1e-12);
  CHECK_CLOSE(shingle_jaccard(a, 4, b, 0, 100), 0, 1e-12);
  /* cut sets: the estimate is near the truth, 1/3 */
  struct rng r;
  struct err err;
  struct shingles x = {0}, y = {0};
  rng_seed(&r, 5);
  size_t n = 40000;
  x.v = mem_array(n, 4), y.v = mem_array(n, 4);
  x.cap = y.cap = x.n = y.n = n;
  for (size_t i = 0; i < n; i++) {
    x.v[i] = (uint32_t)rng_u64(&r);
    y.v[i] = i < n / 2 ? x.v[i] : (uint32_t)rng_u64(&r);
  }
  CHECK_INT(shingles_unique(&x, &err), 0);
  CHECK_INT(shingles_unique(&y, &err), 0);
  for (size_t i = 1; i < x.n; i++) CHECK(x.v[i] > x.v[i - 1]);
  CHECK_CLOSE(shingle_jaccard(x.v, 4096, y.v, 4096, 4096), 1.0 / 3, 0.03);
  shingles_clear(&x), shingles_clear(&y);
}

/* ---- kernels ---- */

static void kernels_agree(void) {
  minhash_kernel *all[4];
  struct minhash m;
  struct rng r;
  uint32_t x[1000], want[MINHASH_MAX], got[MINHASH_MAX];
  size_t count = minhash_kernels(all);
  rng_seed(&r, 6);
  for (size_t i = 0; i < 1000; i++) x[i] = (uint32_t)rng_u64(&r);
  static const unsigned counts[] = {1, 16, 112, 128, 150, 450, 1024};
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
    for (size_t n = 0; n < 1000; n = n * 3 + 1) {
      minhash_init(&m, counts[c]);
      m.kernel = all[0];
      minhash_least(&m, x, n, want);
      for (size_t k = 1; k < count; k++) {
        m.kernel = all[k];
        minhash_least(&m, x, n, got);
        CHECK_MEM(got, counts[c] * sizeof *got, want, counts[c] * sizeof *want);
      }
    }
}

static void places_agree_as_often_as_jaccard(void) {
  struct minhash m;
  struct rng r;
  double sum = 0, squares = 0;
  int rounds = 300;
  minhash_init(&m, 112);
  rng_seed(&r, 7);
  for (int round = 0; round < rounds; round++) {
    uint32_t x[300], y[300], a[112], b[112];
    for (size_t i = 0; i < 300; i++) {
      x[i] = (uint32_t)rng_u64(&r);
      y[i] = i < 200 ? x[i] : (uint32_t)rng_u64(&r); /* J = 200 / 400 */
    }
    minhash_least(&m, x, 300, a);
    minhash_least(&m, y, 300, b);
    int same = 0;
    for (size_t i = 0; i < 112; i++) same += a[i] == b[i];
    double j = same / (double)112;
    sum += j;
    squares += (j - 0.5) * (j - 0.5);
  }
  CHECK_CLOSE(sum / rounds, 0.5, 0.012);
  CHECK_CLOSE(sqrt(squares / rounds), sqrt(0.25 / 112), 0.012); /* as if independent */
}

static void bands(void) {
  unsigned bands, rows;
  minhash_bands(0.8, &bands, &rows);
  CHECK_INT(bands, 14);
  CHECK_INT(rows, 8);
  CHECK_CLOSE(minhash_found(0.8, 14, 8), 0.924, 0.001);
  for (double j = 0.1; j <= 1.0; j += 0.05) {
    minhash_bands(j, &bands, &rows);
    CHECK(bands * rows <= 112 && bands > 0);
    CHECK(minhash_found(j, bands, rows) >= 0.92);
  }
}

/* ---- the external sort ---- */

static int by_key(const void *x, const void *y) {
  return memcmp(x, y, sizeof(struct entry));
}

static const char *prefix(void) {
  static char path[4200];
  snprintf(path, sizeof path, "%s/s", test_dir());
  return path;
}

static void sorts_beyond_memory(void) {
  struct sorter *s;
  struct rng r;
  struct err err;
  struct entry e;
  size_t n = 200000; /* 4.8 MB in buffers of 0.5 MB */
  struct entry *all = mem_array(n, sizeof *all);
  REQUIRE(sorter_new(&s, prefix(), 0, &err) == 0);
  rng_seed(&r, 8);
  for (size_t i = 0; i < n; i++) {
    e = (struct entry){rng_below(&r, 3) ? rng_u64(&r) : rng_below(&r, 50), rng_below(&r, 3), i};
    CHECK_INT(sorter_add(s, e, &err), 0);
    /* big-endian, so that memcmp is the order */
    all[i] =
        (struct entry){__builtin_bswap64(e.a), __builtin_bswap64(e.b), __builtin_bswap64(e.id)};
  }
  CHECK(sorter_runs(s) > 5);
  qsort(all, n, sizeof *all, by_key);
  CHECK_INT(sorter_sort(s, &err), 0);
  size_t wrong = 0;
  for (size_t i = 0; i < n; i++) {
    if (sorter_next(s, &e, &err) != 1) wrong++;
    wrong += e.a != __builtin_bswap64(all[i].a) || e.b != __builtin_bswap64(all[i].b) ||
             e.id != __builtin_bswap64(all[i].id);
  }
  CHECK_INT(wrong, 0);
  CHECK_INT(sorter_next(s, &e, &err), 0);
  sorter_free(s);
  mem_free(all);
}

static void merges_many_runs(void) {
  struct sorter *s;
  struct err err;
  struct entry e, last = {0};
  size_t n = 1500000, seen = 0; /* some 70 runs */
  REQUIRE(sorter_new(&s, prefix(), 0, &err) == 0);
  for (size_t i = 0; i < n; i++)
    CHECK_INT(sorter_add(s, (struct entry){rng_mix(i), 0, i}, &err), 0);
  CHECK(sorter_runs(s) > 64);
  CHECK_INT(sorter_sort(s, &err), 0);
  for (; sorter_next(s, &e, &err) == 1; seen++, last = e)
    if (e.a < last.a) break;
  CHECK_INT(seen, n);
  sorter_free(s);
  int left = 0;
  struct file_info info;
  char path[4300];
  for (int k = 0; k < 100; k++) {
    snprintf(path, sizeof path, "%s.run-%d", prefix(), k);
    left += file_stat(path, &info, &err) == 0 && info.exists;
  }
  CHECK_INT(left, 0);
}

/* ---- the whole ---- */

static const char *const TEXT[] = {"text", NULL};

static void sentence(struct rng *r, struct buf *b, size_t words) {
  for (size_t i = 0; i < words; i++)
    buf_addf(b, "w%c%c%c ", (int)('a' + rng_below(r, 26)), (int)('a' + rng_below(r, 26)),
             (int)('a' + rng_below(r, 26)));
}

/* Text i of a made-up collection: every third is an exact copy, or nearly, of the one two before.
 */
static void made_up(struct buf *b, uint64_t i) {
  struct rng r;
  buf_reset(b);
  uint64_t base = i % 3 == 2 ? i - 2 : i;
  rng_seed(&r, base);
  sentence(&r, b, 150);
  if (i % 3 == 2 && i % 2) { /* nearly: one word in the middle is another */
    b->data[350] = '\'';
    buf_adds(b, "END");
  }
}

static void verdicts(struct dedup *d, struct buf *out) {
  for (uint64_t i = 0; i < dedup_count(d); i++) {
    struct dedup_verdict v = dedup_verdict(d, i);
    buf_addf(out, "%d %llu %.6f\n", (int)v.kind, (unsigned long long)v.of, v.similarity);
  }
}

static void run_made_up(uint64_t n, size_t memory, unsigned threads, struct buf *out,
                        struct dedup_facts *facts) {
  struct dedup_options o;
  struct dedup *d;
  struct err err;
  struct buf b;
  buf_init(&b);
  dedup_defaults(&o);
  o.memory = memory;
  o.scratch = test_dir();
  CHECK_INT(pool_new(&o.pool, threads, &err), 0);
  REQUIRE(dedup_new(&d, &o, &err) == 0);
  for (uint64_t i = 0; i < n; i++) {
    made_up(&b, i);
    CHECK_INT(dedup_add(d, b.data, b.len, &err), 0);
  }
  CHECK_INT(dedup_finish(d, facts, &err), 0);
  CHECK_INT(dedup_add(d, "x", 1, &err), ERR_MISUSE);
  verdicts(d, out);
  dedup_free(d);
  pool_free(o.pool);
  buf_clear(&b);
}

static void finds_copies(void) {
  struct buf out;
  struct dedup_facts f;
  buf_init(&out);
  run_made_up(300, 64 << 20, 1, &out, &f);
  CHECK_INT(f.records, 300);
  CHECK_INT(f.exact, 50);
  CHECK_INT(f.near, 50);
  CHECK_INT(f.kept, 200);
  CHECK_INT(f.spilled, 0);
  const char *line = out.data;
  for (uint64_t i = 0; i < 300 && line; i++) {
    int kind = atoi(line);
    CHECK_INT(kind, i % 3 != 2 ? DEDUP_KEEP : i % 2 ? DEDUP_NEAR : DEDUP_EXACT);
    CHECK_INT(strtoull(line + 2, NULL, 10), i % 3 == 2 ? i - 2 : i);
    line = strchr(line, '\n') + 1;
  }
  buf_clear(&out);
}

static void same_with_less_memory_and_more_threads(void) {
  struct buf a, b;
  struct dedup_facts f, g;
  buf_init(&a), buf_init(&b);
  run_made_up(6000, 256 << 20, 1, &a, &f);
  run_made_up(6000, 1 << 20, 2, &b, &g);
  CHECK_MEM(a.data, a.len, b.data, b.len);
  CHECK(g.spilled > 2);
  CHECK_INT(f.shingles, g.shingles);
  buf_clear(&a), buf_clear(&b);
}

static struct dedup_facts small(const char *const *texts, size_t n, double near, bool normalise,
                                struct dedup_verdict *v) {
  struct dedup_options o;
  struct dedup_facts f = {0};
  struct dedup *d;
  struct err err;
  dedup_defaults(&o);
  o.near = near;
  o.normalise = normalise;
  if (dedup_new(&d, &o, &err)) return f;
  for (size_t i = 0; i < n; i++)
    CHECK_INT(dedup_add(d, texts[i], texts[i] ? strlen(texts[i]) : 0, &err), 0);
  CHECK_INT(dedup_finish(d, &f, &err), 0);
  for (size_t i = 0; i < n && v; i++) v[i] = dedup_verdict(d, i);
  dedup_free(d);
  return f;
}

static void edges(void) {
  static const char *const texts[] = {"", NULL, "", NULL, "Yes.", "yes", "no", "Yes."};
  struct dedup_verdict v[8];
  struct dedup_facts f = small(texts, 8, 0, false, v);
  CHECK_INT(f.exact, 2);
  CHECK(v[2].kind == DEDUP_EXACT && v[2].of == 0 && v[7].of == 4);
  f = small(texts, 8, 0, true, v);
  CHECK_INT(f.exact, 3);
  f = small(texts, 8, 0.8, false, v);
  CHECK_INT(f.near, 1); /* "yes" is all the words of "Yes." */
  CHECK(v[5].kind == DEDUP_NEAR && v[5].similarity == 1.0);
  f = small(texts, 0, 0.8, false, v);
  CHECK_INT(f.records, 0);
}

static void threshold_is_kept(void) {
  struct rng r;
  struct buf a, b;
  struct dedup_verdict v[2];
  buf_init(&a), buf_init(&b);
  rng_seed(&r, 20);
  sentence(&r, &a, 200);
  buf_add(&b, a.data, a.len / 2);
  sentence(&r, &b, 100); /* half of it new: J ≈ 1/3 */
  const char *texts[] = {a.data, b.data};
  CHECK_INT(small(texts, 2, 0.8, false, v).near, 0);
  CHECK_INT(small(texts, 2, 0.3, false, v).near, 1);
  CHECK_CLOSE(v[1].similarity, 0.33, 0.03);
  buf_clear(&a), buf_clear(&b);
}

/* Pairs just above the threshold are found as often as the banding promises; just below, none is.
 */
static void recall(void) {
  struct dedup_options o;
  struct dedup *d;
  struct err err;
  struct dedup_facts f;
  struct rng r;
  struct buf head, b;
  buf_init(&head), buf_init(&b);
  rng_seed(&r, 40);
  for (int below = 0; below < 2; below++) {
    dedup_defaults(&o);
    REQUIRE(dedup_new(&d, &o, &err) == 0);
    int tail = below ? 23 : 21, pairs = 300; /* J = (196 - tail) / (196 + tail) */
    for (int i = 0; i < pairs; i++) {
      buf_reset(&head);
      sentence(&r, &head, (size_t)(200 - tail));
      for (int twin = 0; twin < 2; twin++) {
        buf_reset(&b);
        buf_add(&b, head.data, head.len);
        sentence(&r, &b, (size_t)tail);
        CHECK_INT(dedup_add(d, b.data, b.len, &err), 0);
      }
    }
    CHECK_INT(dedup_finish(d, &f, &err), 0);
    CHECK(below ? f.near == 0 : f.near >= 262); /* 280 expected, four standard deviations less */
    dedup_free(d);
  }
  buf_clear(&head), buf_clear(&b);
}

/* What the bands alone find of pairs of each similarity is what theory says, within four standard
 * deviations: 1 − (1 − J⁸)¹⁴. tests/reference/dedup_recall.py does it at length, with brute force. */
static void bands_find_what_theory_says(void) {
  static const int tails[] = {45, 32, 20, 10}; /* of 180 shingles: J = 0.6, 0.698, 0.8, 0.895 */
  struct dedup_options o;
  struct dedup *d;
  struct err err;
  struct dedup_facts f;
  struct rng r;
  struct buf head, b;
  int pairs = 600;
  buf_init(&head), buf_init(&b);
  rng_seed(&r, 41);
  for (size_t k = 0; k < 4; k++) {
    dedup_defaults(&o);
    o.unverified = true;
    REQUIRE(dedup_new(&d, &o, &err) == 0);
    for (int i = 0; i < pairs; i++) {
      buf_reset(&head);
      sentence(&r, &head, (size_t)(184 - tails[k]));
      for (int twin = 0; twin < 2; twin++) {
        buf_reset(&b);
        buf_add(&b, head.data, head.len);
        sentence(&r, &b, (size_t)tails[k]);
        CHECK_INT(dedup_add(d, b.data, b.len, &err), 0);
      }
    }
    CHECK_INT(dedup_finish(d, &f, &err), 0);
    double j = (180.0 - tails[k]) / (180.0 + tails[k]), p = minhash_found(j, 14, 8);
    CHECK_CLOSE((double)f.near / pairs, p, 4 * sqrt(p * (1 - p) / pairs) + 1.0 / pairs);
    dedup_free(d);
  }
  buf_clear(&head), buf_clear(&b);
}

static void lines_of_json(void) {
  struct dedup_options o;
  struct dedup *d;
  struct err err;
  struct dedup_facts f;
  uint64_t n;
  char path[4200];
  const char *text = "{\"id\":1,\"text\":\"one \\u0074wo\"}\n{\"id\":2,\"text\":\"one two\"}\n"
                     "{\"id\":3}\n{\"text\":null}\n{\"text\":[1,2]}\n{\"text\":[1,2]}\n";
  snprintf(path, sizeof path, "%s/part.jsonl", test_dir());
  CHECK_INT(file_write(path, text, strlen(text), 0, &err), 0);
  dedup_defaults(&o);
  REQUIRE(dedup_new(&d, &o, &err) == 0);
  CHECK_INT(dedup_add_lines(d, path, TEXT, &n, &err), 0);
  CHECK_INT(n, 6);
  CHECK_INT(dedup_finish(d, &f, &err), 0);
  CHECK_INT(f.exact, 2);
  CHECK_INT(dedup_verdict(d, 1).of, 0);
  CHECK_INT(dedup_verdict(d, 5).of, 4);
  dedup_free(d);
  CHECK_INT(file_write(path, "{\"text\":\"a\"}\n[1]\n", 17, 0, &err), 0);
  REQUIRE(dedup_new(&d, &o, &err) == 0);
  CHECK_INT(dedup_add_lines(d, path, TEXT, &n, &err), ERR_FORMAT);
  CHECK(strstr(err.message, "part.jsonl:2") != NULL);
  CHECK_INT(dedup_add_lines(d, "/no/such", TEXT, &n, &err), ERR_NOTFOUND);
  dedup_free(d);
}

/* Lines of records in the order that `step` gives; the ids of those that stay, by number, and clusters. */
static void stay_of(const char *const *lines, size_t n, size_t step, size_t memory,
                    struct buf *out) {
  struct dedup_options o;
  struct dedup *d;
  struct err err;
  struct dedup_facts f;
  struct buf b;
  char path[4200];
  buf_init(&b);
  for (size_t i = 0, at = 0; i < n; i++, at = (at + step) % n) buf_adds(&b, lines[at]);
  snprintf(path, sizeof path, "%s/order-%zu.jsonl", test_dir(), step);
  CHECK_INT(file_write(path, b.data, b.len, 0, &err), 0);
  dedup_defaults(&o);
  o.memory = memory, o.scratch = test_dir(), o.near = 0.6;
  REQUIRE(dedup_new(&d, &o, &err) == 0);
  CHECK_INT(dedup_add_lines(d, path, TEXT, NULL, &err), 0);
  CHECK_INT(dedup_finish(d, &f, &err), 0);
  struct dedup_verdict *v = mem_array(n, sizeof *v);
  for (size_t i = 0, at = 0; i < n; i++, at = (at + step) % n) v[at] = dedup_verdict(d, i);
  for (size_t i = 0; i < n; i++)
    buf_addf(out, "%d %s %.9f %llx\n", (int)v[i].kind, dedup_id(d, v[i].of), v[i].similarity,
             (unsigned long long)v[i].cluster);
  mem_free(v);
  dedup_free(d);
  buf_clear(&b);
}

/* Chains of texts that resemble their neighbours: whom a cluster takes in, and who stays, is the same
 * for every order. */
static void any_order(void) {
  enum { N = 1201 };
  static char *lines[N];
  struct rng r;
  struct buf head, b, want, got;
  size_t steps[] = {7, 600, N - 1};
  buf_init(&head), buf_init(&b), buf_init(&want), buf_init(&got);
  rng_seed(&r, 50);
  for (int i = 0; i < N; i++) {
    buf_reset(&b);
    if (i % 12 == 0) buf_reset(&head), sentence(&r, &head, 60);
    buf_addf(&b, "{\"id\":\"r%d\",\"text\":\"", i);
    buf_add(&b, head.data + i % 12 * 20,
            head.len - (size_t)(i % 12) * 20); /* four words less each */
    sentence(&r, &b, (uint64_t)i % 12 * 4);
    buf_addf(&b, "\",\"metadata\":{\"path\":\"p%d\",\"span\":[%d,9]}}\n", i % 5, i / 5);
    lines[i] = mem_strdup(b.data);
  }
  stay_of((const char *const *)lines, N, 1, 64 << 20, &want);
  CHECK(strstr(want.data, "\n2 ") != NULL && strstr(want.data, "\n0 ") != NULL);
  for (size_t k = 0; k < 3; k++) {
    buf_reset(&got);
    stay_of((const char *const *)lines, N, steps[k], k ? 64 << 20 : 0, &got);
    CHECK_MEM(got.data, got.len, want.data, want.len);
  }
  for (int i = 0; i < N; i++) mem_free(lines[i]);
  buf_clear(&head), buf_clear(&b), buf_clear(&want), buf_clear(&got);
}

static void smallest_place_stays(void) {
  static const char *const lines[] = {
      "{\"id\":1,\"text\":\"t\",\"metadata\":{\"path\":\"b\",\"span\":[5,9]}}\n",
      "{\"id\":2,\"text\":\"t\",\"metadata\":{\"path\":\"a\",\"span\":[300,9]}}\n",
      "{\"id\":3,\"text\":\"t\",\"metadata\":{\"path\":\"a\",\"origin_span\":[20,9]}}\n",
      "{\"id\":4,\"text\":\"t\",\"metadata\":{\"path\":\"a\",\"span\":[20,9],\"chunk\":3}}\n",
      "{\"id\":5,\"text\":\"t\",\"metadata\":{\"path\":\"ab\"}}\n"};
  struct buf out;
  buf_init(&out);
  stay_of(lines, 5, 1, 1 << 20, &out);
  CHECK(strncmp(out.data, "1 3 ", 4) == 0 && strstr(out.data, "\n0 3 ") != NULL);
  buf_clear(&out);
}

static void scopes_are_apart(void) {
  struct dedup_options o;
  struct dedup *d;
  struct err err;
  struct dedup_facts f;
  char path[4200];
  const char *text = "{\"id\":1,\"text\":\"same\",\"m\":{\"d\":1}}\n"
                     "{\"id\":2,\"text\":\"same\",\"m\":{\"d\":2}}\n"
                     "{\"id\":3,\"text\":\"same\",\"m\":{\"d\":1}}\n"
                     "{\"id\":4,\"text\":\"Same\",\"m\":{\"d\":2}}\n"
                     "{\"id\":5,\"text\":\"same\"}\n";
  snprintf(path, sizeof path, "%s/scope.jsonl", test_dir());
  CHECK_INT(file_write(path, text, strlen(text), 0, &err), 0);
  dedup_defaults(&o);
  o.scope = "m.d";
  REQUIRE(dedup_new(&d, &o, &err) == 0);
  CHECK_INT(dedup_add_lines(d, path, TEXT, NULL, &err), 0);
  CHECK_INT(dedup_finish(d, &f, &err), 0);
  CHECK_INT(f.exact, 1);
  CHECK_INT(f.near, 1);
  CHECK_INT(dedup_verdict(d, 2).of, 0);
  CHECK_INT(dedup_verdict(d, 3).of, 1);
  dedup_free(d);
}

static void misuse(void) {
  struct dedup_options o;
  struct dedup *d;
  struct err err;
  dedup_defaults(&o);
  o.near = 1.5;
  CHECK_INT(dedup_new(&d, &o, &err), ERR_MISUSE);
  o.near = NAN;
  CHECK_INT(dedup_new(&d, &o, &err), ERR_MISUSE);
  o.near = 0.8, o.ngram = 0;
  CHECK_INT(dedup_new(&d, &o, &err), ERR_MISUSE);
  o.ngram = 5, o.bands = 200, o.rows = 8;
  CHECK_INT(dedup_new(&d, &o, &err), ERR_MISUSE);
  dedup_free(NULL);
}

/* ---- attacks ---- */

static void one_word_for_ever(void) {
  struct buf b;
  const char *texts[3];
  buf_init(&b);
  for (int i = 0; i < 1 << 20; i++) buf_addc(&b, 'a');
  texts[0] = texts[1] = b.data;
  texts[2] = "a a a a a";
  CHECK_INT(small(texts, 3, 0.8, false, NULL).exact, 1);
  buf_reset(&b);
  for (int i = 0; i < 300000; i++) buf_adds(&b, "ab ");
  texts[0] = b.data, texts[1] = "ab ab ab ab ab ab";
  CHECK_INT(small(texts, 2, 0.8, false, NULL).near, 1);
  buf_clear(&b);
}

/* Thousands of texts that share one bucket but not enough words stay linear. */
static void boilerplate(void) {
  struct dedup_options o;
  struct dedup *d;
  struct err err;
  struct dedup_facts f;
  struct rng r;
  struct buf b;
  buf_init(&b);
  rng_seed(&r, 30);
  dedup_defaults(&o);
  o.bands = 100, o.rows = 1; /* everything with one shingle in common is a candidate */
  REQUIRE(dedup_new(&d, &o, &err) == 0);
  for (int i = 0; i < 3000; i++) {
    buf_reset(&b);
    buf_adds(&b, "all rights reserved to the owner of this page ");
    sentence(&r, &b, 6);
    CHECK_INT(dedup_add(d, b.data, b.len, &err), 0);
  }
  CHECK_INT(dedup_finish(d, &f, &err), 0);
  CHECK(f.checked < 100ull * 3000 * 130);
  CHECK_INT(f.records, 3000);
  dedup_free(d);
  buf_clear(&b);
}

int main(void) {
  TEST(simplification);
  TEST(numbers_as_they_are);
  TEST(shingles);
  TEST(jaccard);
  TEST(kernels_agree);
  TEST(places_agree_as_often_as_jaccard);
  TEST(bands);
  TEST(sorts_beyond_memory);
  TEST(merges_many_runs);
  TEST(finds_copies);
  TEST(same_with_less_memory_and_more_threads);
  TEST(edges);
  TEST(threshold_is_kept);
  TEST(recall);
  TEST(bands_find_what_theory_says);
  TEST(lines_of_json);
  TEST(any_order);
  TEST(smallest_place_stays);
  TEST(scopes_are_apart);
  TEST(misuse);
  TEST(one_word_for_ever);
  TEST(boilerplate);
  return test_done();
}

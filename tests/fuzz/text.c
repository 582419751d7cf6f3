/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for text/: any bytes are detected, decoded to valid UTF-8 (whole and by blocks,
 * with the same result), cleaned with a map that tells the truth, and cut into spans of the text.
 */
#include "base/buf.h"
#include "base/utf8.h"
#include "text/chunk.h"
#include "text/clean.h"
#include "text/pii.h"
#include "text/quality.h"
#include "text/encoding.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void by_blocks(const char *s, size_t n, const char *name, size_t block, struct buf *out) {
  struct encoding_decoder *d;
  if (encoding_decoder_new(&d, name, NULL)) abort();
  for (size_t at = 0; at < n; at += block)
    encoding_decoder_feed(d, s + at, n - at < block ? n - at : block, false, out, NULL);
  encoding_decoder_feed(d, s, 0, true, out, NULL);
  encoding_decoder_free(d);
}

static void check_map(const struct run_map *m, const struct buf *in, const struct buf *out) {
  size_t o = 0, i = 0;
  for (size_t k = 0; k < m->n; k++) {
    const struct run *r = &m->v[k];
    if (r->out < o || r->in < i || r->out + r->len > out->len || r->in + r->len > in->len) abort();
    if (memcmp(out->data + r->out, in->data + r->in, r->len)) abort();
    o = r->out + r->len, i = r->in + r->len;
  }
}

static void chunk(const struct buf *text, unsigned seed) {
  static const char *const languages[] = {"c", "python", "lua", "html"};
  struct chunk_options o;
  struct chunk_work w = {0};
  struct chunks c = {0};
  chunk_defaults(&o);
  o.method = (enum chunk_method)(seed % 6);
  o.unit = seed & 1 || o.method == CHUNK_WINDOWS ? CHUNK_CHARACTERS : CHUNK_BYTES;
  o.size = 1 + seed / 6 % 50;
  o.overlap = seed / 300 % o.size;
  o.language = languages[seed / 6 % 4];
  if (o.method < CHUNK_WINDOWS && seed & 64) o.mode = seed & 128 ? CHUNK_PYTHON : CHUNK_JAVASCRIPT;
  if (chunk_text(&o, &w, text->data, text->len, NULL, 0, &c, NULL)) abort();
  for (size_t k = 0; k < c.n; k++) {
    const struct chunk *v = &c.v[k];
    if (v->start >= v->end || v->end > text->len) abort();
    if (k && v->start < v[-1].start) abort();
    if (utf8_floor(text->data, text->len, v->start) != v->start) abort();
    size_t units = o.unit == CHUNK_BYTES ? v->end - v->start
                                         : utf8_count(text->data + v->start, v->end - v->start);
    bool one = utf8_count(text->data + v->start, v->end - v->start) == 1;
    if (o.mode == CHUNK_NATIVE && units > o.size && !one) abort();
  }
  if (chunk_headings(text->data, text->len, &c, NULL)) abort();
  chunks_clear(&c);
  chunk_work_clear(&w);
}

static void quality(const struct buf *text) {
  static const struct c4_options o = {true, true, 3, 1000, NULL, 0};
  struct quality_work *work;
  struct quality q;
  struct c4_facts facts;
  struct buf out;
  buf_init(&out);
  if (quality_work_new(&work, NULL, 0, NULL)) abort();
  if (quality_measure(work, text->data, text->len, QUALITY_REPETITION | QUALITY_DIVERSITY, 30, &q,
                      NULL))
    abort();
  if (quality_c4(text->data ? text->data : "", text->len, &o, &out, &facts, NULL)) abort();
  if (q.words > q.pieces || q.characters > text->len || out.len > text->len) abort();
  quality_work_free(work);
  buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct encoding e;
  struct buf whole, parts, clean;
  struct run_map map = {0};
  struct clean_options o;
  if (size < 3) return 0;
  unsigned seed = data[0] | (unsigned)data[1] << 8;
  const char *s = (const char *)data + 2;
  size_t n = size - 2;
  buf_init(&whole), buf_init(&parts), buf_init(&clean);
  if (encoding_detect(s, n, &e, NULL)) abort();
  if (encoding_to_utf8(s, n, e.name, &whole, NULL, NULL)) abort();
  if (utf8_check(whole.data ? whole.data : "", whole.len) != whole.len) abort();
  by_blocks(s, n, e.name, 1 + seed % 17, &parts);
  if (whole.len != parts.len || (whole.len && memcmp(whole.data, parts.data, whole.len))) abort();
  clean_defaults(&o);
  o.dehyphenate = seed & 1;
  o.nfc = seed & 4;
  o.lower = seed & 8;
  o.repeated_lines = seed >> 4 & 3;
  o.pii = seed & 64 ? PII_ALL : 0;
  if (clean_text(whole.data, whole.len, &o, &clean, &map, NULL, NULL)) abort();
  check_map(&map, &whole, &clean);
  if (clean.len) chunk(&clean, seed);
  quality(&clean);
  run_map_clear(&map);
  buf_clear(&whole), buf_clear(&parts), buf_clear(&clean);
  return 0;
}

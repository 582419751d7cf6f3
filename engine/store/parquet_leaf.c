/* SPDX-License-Identifier: MIT */
/* Gathering one column of a row group; see parquet_leaf.h.
 *
 * A column begins with a dictionary. It gives up, for this row group and all later ones, when the
 * distinct values are more than half of 1,024 or more values, or take more than 1 MiB: then what was
 * gathered is spelled out and the rest follows plainly. Both depend on the data only, so the bytes of
 * the file do.
 *
 *   defs   [1 × 5000][0 × 1][1 × 37] …     a run is 8 bytes, so a column without nulls is one run
 */
#include "store/parquet_leaf.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/parquet_values.h"

#include <string.h>

#define DICTIONARY_BYTES  ((size_t)1 << 20)
#define DICTIONARY_VALUES 1024
#define RANGE_BYTES       64 /* longer strings have no statistics */

void pq_leaf_clear(struct pq_leaf *l) {
  struct buf *bufs[] = {&l->defs,    &l->reps, &l->plain, &l->dictionary, &l->offsets,
                        &l->indices, &l->cuts, &l->least, &l->most};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) buf_clear(bufs[i]);
  mem_free(l->slots);
  l->slots = NULL;
}

void pq_leaf_begin(struct pq_leaf *l) {
  struct buf *bufs[] = {&l->defs,    &l->reps, &l->plain, &l->dictionary, &l->offsets,
                        &l->indices, &l->cuts, &l->least, &l->most};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) buf_reset(bufs[i]);
  if (l->slots) memset(l->slots, 0, l->slot_cap * sizeof *l->slots);
  l->use_dictionary = !l->gave_up && l->node->type != SCHEMA_BOOL;
  l->entries = l->values = l->nulls = 0;
  l->dictionary_bytes_seen = 0;
  l->last = (struct pq_cut){0};
  l->has_range = l->no_range = false;
}

enum pq_type pq_leaf_type(const struct pq_leaf *l) {
  switch (l->node->type) {
  case SCHEMA_INT:
    return PQ_INT64;
  case SCHEMA_DOUBLE:
    return PQ_DOUBLE;
  case SCHEMA_BOOL:
    return PQ_BOOLEAN;
  default:
    return PQ_BYTE_ARRAY;
  }
}

static void add_run(struct buf *runs, uint32_t value) {
  struct pq_run one = {1, value};
  if (runs->len) {
    struct pq_run *last = (struct pq_run *)(void *)(runs->data + runs->len) - 1;
    if (last->value == value && last->count < UINT32_MAX) {
      last->count++;
      return;
    }
  }
  buf_add(runs, &one, sizeof one);
}

static void add_levels(struct pq_leaf *l, unsigned rep, unsigned def) {
  add_run(&l->defs, def);
  if (l->rep) add_run(&l->reps, rep);
  l->entries++;
}

void pq_leaf_null(struct pq_leaf *l, unsigned rep, unsigned def) {
  add_levels(l, rep, def);
  l->nulls++;
}

/* ---- statistics ---- */

static int64_t i64_of(const void *p) {
  int64_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

static double f64_of(const void *p) {
  double v;
  memcpy(&v, p, sizeof v);
  return v;
}

static int compare(const struct pq_leaf *l, const void *a, size_t an, const void *b, size_t bn) {
  if (l->node->type == SCHEMA_INT) return i64_of(a) < i64_of(b) ? -1 : i64_of(a) > i64_of(b);
  if (l->node->type == SCHEMA_DOUBLE) return f64_of(a) < f64_of(b) ? -1 : f64_of(a) > f64_of(b);
  int c = memcmp(a, b, an < bn ? an : bn);
  return c ? c : an < bn ? -1 : an > bn;
}

static void keep(struct buf *b, const void *bytes, size_t n) {
  buf_reset(b);
  buf_add(b, bytes, n);
}

static void add_range(struct pq_leaf *l, const void *bytes, size_t n) {
  if (l->no_range) return;
  if (n > RANGE_BYTES) {
    l->no_range = true;
    return;
  }
  if (!l->has_range || compare(l, bytes, n, l->least.data, l->least.len) < 0)
    keep(&l->least, bytes, n);
  if (!l->has_range || compare(l, bytes, n, l->most.data, l->most.len) > 0)
    keep(&l->most, bytes, n);
  l->has_range = true;
}

/* ---- values ---- */

static void put_u32(char *p, size_t v) {
  for (unsigned i = 0; i < 4; i++) p[i] = (char)(v >> 8 * i);
}

static void add_plain(struct buf *b, bool sized, const void *bytes, size_t n) {
  if (buf_reserve(b, n + 4)) return;
  char *to = b->data + b->len;
  if (sized) put_u32(to, n), to += 4;
  if (n) memcpy(to, bytes, n);
  b->len += n + (sized ? 4 : 0);
}

static const size_t *offsets_of(const struct pq_leaf *l) {
  return (const size_t *)(const void *)l->offsets.data;
}

static const char *dictionary_value(const struct pq_leaf *l, uint32_t i, size_t *n) {
  size_t count = l->offsets.len / sizeof(size_t), from = offsets_of(l)[i];
  *n = (i + 1 < count ? offsets_of(l)[i + 1] : l->dictionary.len) - from;
  return l->dictionary.data + from;
}

/* Spells out what the dictionary holds; the cuts get their bytes. */
static void give_up(struct pq_leaf *l) {
  const uint32_t *indices = (const uint32_t *)(const void *)l->indices.data;
  struct pq_cut *cuts = (struct pq_cut *)(void *)l->cuts.data;
  size_t cut = 0, cut_count = l->cuts.len / sizeof *cuts;
  for (uint64_t i = 0; i <= l->values; i++) {
    while (cut < cut_count && cuts[cut].values == i) cuts[cut++].bytes = l->plain.len;
    if (i == l->values) break;
    size_t n;
    const char *bytes = dictionary_value(l, indices[i], &n);
    buf_add(&l->plain, bytes, n);
  }
  if (cut_count) l->last.bytes = cuts[cut_count - 1].bytes;
  buf_clear(&l->indices);
  buf_clear(&l->dictionary);
  buf_clear(&l->offsets);
  mem_free(l->slots);
  l->slots = NULL, l->slot_cap = 0;
  l->use_dictionary = false, l->gave_up = true;
}

static bool grow_slots(struct pq_leaf *l) {
  size_t count = l->offsets.len / sizeof(size_t), cap = l->slot_cap ? 2 * l->slot_cap : 256;
  if (2 * (count + 1) <= l->slot_cap) return true;
  uint32_t *slots = mem_zeros(cap, sizeof *slots);
  if (!slots) return l->plain.failed = true, false;
  for (size_t i = 0; i < count; i++) {
    size_t n;
    const char *bytes = dictionary_value(l, (uint32_t)i, &n);
    size_t skip = l->node->type == SCHEMA_STRING || l->node->type == SCHEMA_JSON ? 4 : 0;
    size_t at = hash_xxh3(bytes + skip, n - skip, 0) & (cap - 1);
    while (slots[at]) at = (at + 1) & (cap - 1);
    slots[at] = (uint32_t)i + 1;
  }
  mem_free(l->slots);
  l->slots = slots, l->slot_cap = cap;
  return true;
}

/* Adds the value's index; a value never seen is added to the dictionary. */
static void add_index(struct pq_leaf *l, bool sized, const void *bytes, size_t n) {
  if (!grow_slots(l)) return;
  size_t skip = sized ? 4 : 0, at = hash_xxh3(bytes, n, 0) & (l->slot_cap - 1);
  uint32_t index;
  for (; l->slots[at]; at = (at + 1) & (l->slot_cap - 1)) {
    size_t m;
    const char *other = dictionary_value(l, l->slots[at] - 1, &m);
    if (m - skip == n && !memcmp(other + skip, bytes, n)) break;
  }
  if (l->slots[at]) {
    index = l->slots[at] - 1;
  } else {
    size_t from = l->dictionary.len;
    index = (uint32_t)(l->offsets.len / sizeof from);
    buf_add(&l->offsets, &from, sizeof from);
    add_plain(&l->dictionary, sized, bytes, n);
    l->slots[at] = index + 1;
    add_range(l, bytes, n);
  }
  buf_add(&l->indices, &index, sizeof index);
}

void pq_leaf_value(struct pq_leaf *l, unsigned rep, const void *bytes, size_t n) {
  bool sized = l->node->type == SCHEMA_STRING || l->node->type == SCHEMA_JSON;
  add_levels(l, rep, l->def);
  if (l->use_dictionary) {
    add_index(l, sized, bytes, n);
    l->values++;
    size_t count = l->offsets.len / sizeof(size_t);
    if (l->dictionary.len > DICTIONARY_BYTES ||
        (l->values >= DICTIONARY_VALUES && 2 * count > l->values))
      give_up(l);
  } else {
    add_plain(&l->plain, sized, bytes, n);
    add_range(l, bytes, n);
    l->values++;
  }
}

int pq_leaf_check(const struct pq_leaf *l, struct err *err) {
  const struct buf *bufs[] = {&l->defs,    &l->reps, &l->plain, &l->dictionary, &l->offsets,
                              &l->indices, &l->cuts, &l->least, &l->most};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) {
    int rc = buf_check(bufs[i], "a Parquet column", err);
    if (rc) return rc;
  }
  return 0;
}

size_t pq_leaf_pending(const struct pq_leaf *l) {
  if (l->use_dictionary) return (size_t)(l->values - l->last.values) * sizeof(uint32_t);
  return l->plain.len - l->last.bytes + (size_t)(l->entries - l->last.entries) / 8;
}

void pq_leaf_cut(struct pq_leaf *l) {
  struct pq_cut cut = {l->entries, l->values, l->plain.len};
  if (cut.entries == l->last.entries) return;
  buf_add(&l->cuts, &cut, sizeof cut);
  l->last = cut;
}

/* ---- the hybrid encoding ---- */

void pq_hybrid_begin(struct pq_hybrid *h, struct buf *out, unsigned width) {
  *h = (struct pq_hybrid){.out = out, .width = width, .head = SIZE_MAX};
}

/* Writes the eight pending values; up to 63 groups share a head of one byte. */
static void put_group(struct pq_hybrid *h) {
  uint64_t bits = 0;
  unsigned have = 0;
  if (h->head == SIZE_MAX || h->groups == 63) {
    h->head = h->out->len, h->groups = 0;
    buf_addc(h->out, 0);
  }
  for (unsigned i = 0; i < 8; i++) {
    bits |= (uint64_t)h->eight[i] << have;
    for (have += h->width; have >= 8; have -= 8, bits >>= 8) buf_addc(h->out, (char)bits);
  }
  h->groups++;
  if (!h->out->failed) h->out->data[h->head] = (char)(h->groups << 1 | 1);
  h->pending = 0;
}

static void put_run(struct pq_hybrid *h, uint32_t value, uint64_t count) {
  h->head = SIZE_MAX;
  uint64_t head = count << 1;
  for (; head > 0x7F; head >>= 7) buf_addc(h->out, (char)((head & 0x7F) | 0x80));
  buf_addc(h->out, (char)head);
  for (unsigned i = 0; i < (h->width + 7) / 8; i++) buf_addc(h->out, (char)(value >> 8 * i));
}

void pq_hybrid_put(struct pq_hybrid *h, uint32_t value, uint64_t count) {
  while (count) {
    if (!h->pending && count >= 8) {
      put_run(h, value, count);
      return;
    }
    for (; count && h->pending < 8; count--) h->eight[h->pending++] = value;
    if (h->pending == 8) put_group(h);
  }
}

void pq_hybrid_end(struct pq_hybrid *h) {
  if (!h->pending) return;
  while (h->pending < 8) h->eight[h->pending++] = 0;
  put_group(h);
}

/* SPDX-License-Identifier: MIT */
/* The Parquet writer; see parquet_write.h.
 *
 *   record ──walk along the schema──► leaves (levels, values) ──row group full──► pages ──► sink
 *
 * Shredding is the inverse of assembly in parquet_read.c. A value that is null at some level adds
 * one entry with that level to every leaf under it. The place of a member in the schema is
 * looked for where the one before it ended, so that records of one shape cost no look-ups.
 */
#include "store/parquet_write.h"

#include "base/cancel.h"
#include "base/mem.h"
#include "store/compress.h"
#include "store/parquet_leaf.h"
#include "store/parquet_values.h"
#include "store/thrift.h"

#include <math.h>
#include <string.h>

#define PAGE_BYTES  ((size_t)1 << 20)
#define GROUP_BYTES ((uint64_t)64 << 20)
#define GROUP_MAX   ((uint64_t)256 << 20)

struct parquet_writer {
  struct sink *sink;
  const struct schema *schema;
  struct parquet_write_options options;
  struct codec_state *codec;
  struct pq_leaf *leaves;
  size_t leaf_count;
  struct buf slots;   /* json_id: a stack of the members of the objects being walked */
  struct buf scratch; /* a string or JSON text */
  struct buf levels, page, header;
  struct buf groups; /* the row groups' entries of the footer */
  size_t group_count;
  uint64_t at, rows, group_rows, group_bytes; /* bytes written; rows in all, in this group … */
  bool cut_due;
};

static int put_bytes(struct parquet_writer *w, const void *bytes, size_t n, struct err *err) {
  w->at += n;
  return sink_write(w->sink, bytes, n, err);
}

/* The leaves' nodes, in order. */
static void collect(struct parquet_writer *w, const struct schema_node *n) {
  if (n->type == SCHEMA_STRUCT) {
    for (size_t i = 0; i < n->count; i++) collect(w, n->members[i]);
  } else if (n->type == SCHEMA_LIST) {
    collect(w, n->element);
  } else {
    struct pq_leaf *l = &w->leaves[w->leaf_count++];
    l->node = n, l->def = n->def, l->rep = n->rep;
    pq_leaf_begin(l);
  }
}

int parquet_writer_new(struct parquet_writer **out, struct sink *sink, const struct schema *schema,
                       const struct parquet_write_options *options, struct err *err) {
  *out = NULL;
  struct parquet_writer *w = mem_zero(sizeof *w);
  if (!w) return err_nomem(err, sizeof *w, "a Parquet writer");
  w->sink = sink, w->schema = schema, w->options = *options;
  if (!w->options.group_bytes) w->options.group_bytes = GROUP_BYTES;
  if (w->options.group_bytes > GROUP_MAX) w->options.group_bytes = GROUP_MAX;
  w->leaves = mem_zeros(schema->leaves, sizeof *w->leaves);
  int rc = w->leaves ? 0 : err_nomem(err, schema->leaves * sizeof *w->leaves, "a Parquet writer");
  if (!rc) {
    collect(w, &schema->root);
    rc = put_bytes(w, "PAR1", 4, err);
  }
  if (rc)
    parquet_writer_free(w);
  else
    *out = w;
  return rc;
}

void parquet_writer_free(struct parquet_writer *w) {
  if (!w) return;
  for (size_t i = 0; i < w->leaf_count; i++) pq_leaf_clear(&w->leaves[i]);
  mem_free(w->leaves);
  codec_free(w->codec);
  buf_clear(&w->slots);
  buf_clear(&w->scratch);
  buf_clear(&w->levels);
  buf_clear(&w->page);
  buf_clear(&w->header);
  buf_clear(&w->groups);
  mem_free(w);
}

/* ---- records to leaves ---- */

static int put_value(struct parquet_writer *w, const struct schema_node *n, const struct json *j,
                     json_id v, unsigned rep, unsigned def, struct err *err);

static void put_null(struct parquet_writer *w, const struct schema_node *n, unsigned rep,
                     unsigned def) {
  for (size_t i = n->leaf_from; i < n->leaf_to; i++) pq_leaf_null(&w->leaves[i], rep, def);
}

static int misfit(const struct schema_node *n, const struct json *j, json_id v, struct err *err) {
  static const char *const names[] = {"string", "int64", "double", "bool",
                                      "json",   "list",  "struct"};
  return err_set(err, ERR_MISMATCH, "%.*s is of kind %s, its column's type is %s",
                 n->name_n < 100 ? (int)n->name_n : 100, n->name ? n->name : "an element",
                 json_kind_name(json_kind(j, v)), names[n->type]);
}

static int put_struct(struct parquet_writer *w, const struct schema_node *n, const struct json *j,
                      json_id v, unsigned rep, struct err *err) {
  size_t base = w->slots.len, expect = 0;
  if (buf_reserve(&w->slots, n->count * sizeof(json_id)))
    return err_nomem(err, n->count, "a record");
  memset(w->slots.data + base, 0xFF, n->count * sizeof(json_id)); /* JSON_NONE */
  w->slots.len += n->count * sizeof(json_id);
  struct json_iter it = json_iter(j, v);
  while (json_each(&it)) {
    size_t len;
    const char *name = json_string(j, it.key, &w->scratch, &len);
    size_t i = name ? schema_find(n, name, len, expect) : SIZE_MAX;
    if (i == SIZE_MAX) return err_set(err, ERR_MISMATCH, "a member that is not in the schema");
    memcpy(w->slots.data + base + i * sizeof(json_id), &it.value, sizeof(json_id));
    expect = i + 1;
  }
  int rc = 0;
  for (size_t i = 0; !rc && i < n->count; i++) {
    json_id value;
    memcpy(&value, w->slots.data + base + i * sizeof value, sizeof value);
    rc = put_value(w, n->members[i], j, value, rep, n->def, err);
  }
  w->slots.len = base;
  return rc;
}

static int put_list(struct parquet_writer *w, const struct schema_node *n, const struct json *j,
                    json_id v, unsigned rep, struct err *err) {
  struct json_iter it = json_iter(j, v);
  int rc = 0;
  if (!json_count(j, v)) put_null(w, n, rep, n->def);
  for (unsigned r = rep; !rc && json_each(&it); r = n->rep)
    rc = put_value(w, n->element, j, it.value, r, n->def + 1, err);
  return rc;
}

static int put_text(struct parquet_writer *w, const struct schema_node *n, const struct json *j,
                    json_id v, unsigned rep, struct err *err) {
  size_t len;
  if (json_kind(j, v) != JSON_STRING) return misfit(n, j, v, err);
  const char *s = json_plain_string(j, v, &len);
  if (!s) {
    s = json_string(j, v, &w->scratch, &len);
    if (!s) return err_nomem(err, len, "a string");
  }
  pq_leaf_value(&w->leaves[n->leaf_from], rep, s, len);
  w->group_bytes += len + 4;
  return 0;
}

static int put_json(struct parquet_writer *w, const struct schema_node *n, const struct json *j,
                    json_id v, unsigned rep, struct err *err) {
  if (json_kind(j, v) == JSON_OBJECT && json_count(j, v) && schema_is_memberless(n))
    return misfit(n, j, v, err);
  buf_reset(&w->scratch);
  json_put_value(&w->scratch, j, v, 0);
  pq_leaf_value(&w->leaves[n->leaf_from], rep, w->scratch.data, w->scratch.len);
  w->group_bytes += w->scratch.len + 4;
  return buf_check(&w->scratch, "a JSON value", err);
}

static int put_number(struct parquet_writer *w, const struct schema_node *n, const struct json *j,
                      json_id v, unsigned rep, struct err *err) {
  int64_t i;
  double d;
  bool b;
  const void *bytes;
  size_t size = 8;
  unsigned char one;
  if (n->type == SCHEMA_INT && json_int(j, v, &i)) {
    bytes = &i;
  } else if (n->type == SCHEMA_DOUBLE && json_double(j, v, &d)) {
    bool exact = !json_int(j, v, &i) || (i <= SCHEMA_EXACT && i >= -SCHEMA_EXACT);
    if (!exact || !isfinite(d))
      return err_set(err, ERR_MISMATCH, "%.*s: a number that no double holds",
                     n->name_n < 100 ? (int)n->name_n : 100, n->name ? n->name : "an element");
    bytes = &d;
  } else if (n->type == SCHEMA_BOOL && json_bool(j, v, &b)) {
    one = b, bytes = &one, size = 1;
  } else {
    return misfit(n, j, v, err);
  }
  pq_leaf_value(&w->leaves[n->leaf_from], rep, bytes, size);
  w->group_bytes += size;
  return 0;
}

/* def: the level of what is around the value. */
static int put_value(struct parquet_writer *w, const struct schema_node *n, const struct json *j,
                     json_id v, unsigned rep, unsigned def, struct err *err) {
  if (v == JSON_NONE || json_kind(j, v) == JSON_NULL) return put_null(w, n, rep, def), 0;
  switch (n->type) {
  case SCHEMA_STRING:
    return put_text(w, n, j, v, rep, err);
  case SCHEMA_JSON:
    return put_json(w, n, j, v, rep, err);
  case SCHEMA_STRUCT:
    if (json_kind(j, v) != JSON_OBJECT) return misfit(n, j, v, err);
    return put_struct(w, n, j, v, rep, err);
  case SCHEMA_LIST:
    if (json_kind(j, v) != JSON_ARRAY) return misfit(n, j, v, err);
    return put_list(w, n, j, v, rep, err);
  default:
    return put_number(w, n, j, v, rep, err);
  }
}

/* ---- leaves to pages ---- */

/* A place in a list of runs. */
struct cursor {
  const struct pq_run *run;
  uint32_t used;
};

static void put_levels(struct parquet_writer *w, struct cursor *c, uint64_t count, unsigned most) {
  struct pq_hybrid h;
  size_t at = w->levels.len;
  buf_add(&w->levels, "\0\0\0\0", 4);
  pq_hybrid_begin(&h, &w->levels, pq_bits(most));
  while (count) {
    uint64_t n = c->run->count - c->used < count ? c->run->count - c->used : count;
    pq_hybrid_put(&h, c->run->value, n);
    count -= n, c->used += (uint32_t)n;
    if (c->used == c->run->count) c->run++, c->used = 0;
  }
  pq_hybrid_end(&h);
  if (w->levels.failed) return;
  size_t size = w->levels.len - at - 4;
  for (unsigned i = 0; i < 4; i++) w->levels.data[at + i] = (char)(size >> 8 * i);
}

/* Writes one page: its header, then first and rest, packed together. */
static int put_page(struct parquet_writer *w, enum pq_page type, uint64_t values, int encoding,
                    const void *rest, size_t rest_n, uint64_t *unpacked, struct err *err) {
  size_t size = w->levels.len + rest_n;
  int last = 0, inner = 0, rc = 0;
  bool plain = w->options.codec == PQ_UNCOMPRESSED;
  if (size > INT32_MAX)
    return err_set(err, ERR_LIMIT, "a page of %zu bytes: one record is too large for Parquet",
                   size);
  buf_reset(&w->page);
  if (!plain) {
    const void *bytes = rest;
    if (w->levels.len) {
      buf_add(&w->levels, rest, rest_n);
      bytes = w->levels.data;
    }
    rc = buf_check(&w->levels, "a page", err);
    if (!rc)
      rc = codec_pack(&w->codec, w->options.codec, w->options.level, bytes, size, &w->page, err);
  }
  if (rc) return rc;
  buf_reset(&w->header);
  thrift_put_int(&w->header, &last, 1, THRIFT_I32, type);
  thrift_put_int(&w->header, &last, 2, THRIFT_I32, (int64_t)size);
  thrift_put_int(&w->header, &last, 3, THRIFT_I32, (int64_t)(plain ? size : w->page.len));
  thrift_put_struct(&w->header, &last, type == PQ_DICTIONARY_PAGE ? 7 : 5);
  thrift_put_int(&w->header, &inner, 1, THRIFT_I32, (int64_t)values);
  thrift_put_int(&w->header, &inner, 2, THRIFT_I32, encoding);
  if (type == PQ_DATA_PAGE) {
    thrift_put_int(&w->header, &inner, 3, THRIFT_I32, PQ_RLE);
    thrift_put_int(&w->header, &inner, 4, THRIFT_I32, PQ_RLE);
  }
  thrift_put_stop(&w->header);
  thrift_put_stop(&w->header);
  rc = buf_check(&w->header, "a page header", err);
  *unpacked += w->header.len + size;
  if (!rc) rc = put_bytes(w, w->header.data, w->header.len, err);
  if (!rc && plain) rc = put_bytes(w, w->levels.data, w->levels.len, err);
  if (!rc && plain) rc = put_bytes(w, rest, rest_n, err);
  if (!rc && !plain) rc = put_bytes(w, w->page.data, w->page.len, err);
  buf_reset(&w->levels);
  return rc;
}

static void put_indices(struct parquet_writer *w, const struct pq_leaf *l, uint64_t from,
                        uint64_t to) {
  const uint32_t *indices = (const uint32_t *)(const void *)l->indices.data;
  size_t count = l->offsets.len / sizeof(size_t);
  unsigned width = count > 1 ? pq_bits((uint32_t)count - 1) : 1;
  struct pq_hybrid h;
  buf_addc(&w->levels, (char)width);
  pq_hybrid_begin(&h, &w->levels, width);
  while (from < to) {
    uint64_t end = from + 1;
    while (end < to && indices[end] == indices[from]) end++;
    pq_hybrid_put(&h, indices[from], end - from);
    from = end;
  }
  pq_hybrid_end(&h);
}

static void put_bits(struct parquet_writer *w, const char *bytes, uint64_t count) {
  unsigned bits = 0;
  for (uint64_t i = 0; i < count; i++) {
    bits |= (unsigned)bytes[i] << (i & 7);
    if ((i & 7) == 7 || i + 1 == count) buf_addc(&w->levels, (char)bits), bits = 0;
  }
}

static int put_data_page(struct parquet_writer *w, const struct pq_leaf *l, const struct pq_cut *a,
                         const struct pq_cut *b, struct cursor *reps, struct cursor *defs,
                         uint64_t *unpacked, struct err *err) {
  uint64_t entries = b->entries - a->entries;
  buf_reset(&w->levels);
  if (l->rep) put_levels(w, reps, entries, l->rep);
  put_levels(w, defs, entries, l->def);
  const char *rest = "";
  size_t rest_n = 0;
  if (l->use_dictionary)
    put_indices(w, l, a->values, b->values);
  else if (l->node->type == SCHEMA_BOOL)
    put_bits(w, l->plain.data + a->bytes, b->values - a->values);
  else if (b->bytes > a->bytes)
    rest = l->plain.data + a->bytes, rest_n = b->bytes - a->bytes;
  int rc = buf_check(&w->levels, "a page", err);
  return rc ? rc
            : put_page(w, PQ_DATA_PAGE, entries, l->use_dictionary ? PQ_RLE_DICTIONARY : PQ_PLAIN,
                       rest, rest_n, unpacked, err);
}

struct chunk {
  uint64_t dictionary_at, data_at, unpacked, packed;
};

static int put_chunk(struct parquet_writer *w, struct pq_leaf *l, struct chunk *c,
                     struct err *err) {
  struct cursor reps = {(const struct pq_run *)(const void *)l->reps.data, 0};
  struct cursor defs = {(const struct pq_run *)(const void *)l->defs.data, 0};
  struct pq_cut from = {0};
  uint64_t begin = w->at;
  int rc = cancel_check(err);
  pq_leaf_cut(l);
  if (!l->values) l->use_dictionary = false; /* nulls only */
  if (!rc) rc = pq_leaf_check(l, err);
  if (!rc && l->use_dictionary) {
    c->dictionary_at = w->at;
    buf_reset(&w->levels);
    rc = put_page(w, PQ_DICTIONARY_PAGE, l->offsets.len / sizeof(size_t), PQ_PLAIN,
                  l->dictionary.data ? l->dictionary.data : "", l->dictionary.len, &c->unpacked,
                  err);
  }
  c->data_at = w->at;
  const struct pq_cut *cuts = (const struct pq_cut *)(const void *)l->cuts.data;
  for (size_t i = 0; !rc && i < l->cuts.len / sizeof *cuts; i++) {
    rc = put_data_page(w, l, &from, &cuts[i], &reps, &defs, &c->unpacked, err);
    from = cuts[i];
  }
  c->packed = w->at - begin;
  return rc;
}

/* ---- the footer ---- */

/* path_in_schema: names from the root down to leaf `index`. */
static void put_path(struct buf *b, int *last, const struct schema_node *root, size_t index) {
  struct buf names;
  size_t count = 0;
  const struct schema_node *n = root;
  buf_init(&names);
  while (n->type == SCHEMA_STRUCT || n->type == SCHEMA_LIST) {
    if (n->type == SCHEMA_LIST) {
      thrift_put_text(&names, "list", 4);
      thrift_put_text(&names, "element", 7);
      n = n->element, count += 2;
      continue;
    }
    size_t i = 0;
    while (n->members[i]->leaf_to <= index) i++;
    n = n->members[i], count++;
    thrift_put_text(&names, n->name, n->name_n);
  }
  thrift_put_list(b, last, 3, THRIFT_BYTES, count);
  buf_add(b, names.data, names.len);
  if (names.failed) b->failed = true;
  buf_clear(&names);
}

static void put_statistics(struct buf *b, int *last, const struct pq_leaf *l) {
  int inner = 0;
  double least, most;
  const char *a = l->least.data, *z = l->most.data;
  bool range = l->has_range && !l->no_range;
  if (range && l->node->type == SCHEMA_DOUBLE) { /* zeros of both signs are in the range */
    memcpy(&least, a, 8), memcpy(&most, z, 8);
    if (least == 0) least = -0.0;
    if (most == 0) most = 0.0;
    a = (const char *)&least, z = (const char *)&most;
  }
  thrift_put_struct(b, last, 12);
  thrift_put_int(b, &inner, 3, THRIFT_I64, (int64_t)l->nulls);
  if (range) {
    thrift_put_bytes(b, &inner, 5, z, l->node->type == SCHEMA_DOUBLE ? 8 : l->most.len);
    thrift_put_bytes(b, &inner, 6, a, l->node->type == SCHEMA_DOUBLE ? 8 : l->least.len);
  }
  thrift_put_stop(b);
}

static void put_column(struct parquet_writer *w, size_t index, const struct chunk *c) {
  const struct pq_leaf *l = &w->leaves[index];
  struct buf *b = &w->groups;
  int chunk = 0, meta = 0;
  thrift_put_int(b, &chunk, 2, THRIFT_I64,
                 (int64_t)(c->dictionary_at ? c->dictionary_at : c->data_at));
  thrift_put_struct(b, &chunk, 3);
  thrift_put_int(b, &meta, 1, THRIFT_I32, pq_leaf_type(l));
  thrift_put_list(b, &meta, 2, THRIFT_I32, l->use_dictionary ? 3 : 2);
  thrift_put_zigzag(b, PQ_PLAIN);
  thrift_put_zigzag(b, PQ_RLE);
  if (l->use_dictionary) thrift_put_zigzag(b, PQ_RLE_DICTIONARY);
  put_path(b, &meta, &w->schema->root, index);
  thrift_put_int(b, &meta, 4, THRIFT_I32, w->options.codec);
  thrift_put_int(b, &meta, 5, THRIFT_I64, (int64_t)l->entries);
  thrift_put_int(b, &meta, 6, THRIFT_I64, (int64_t)c->unpacked);
  thrift_put_int(b, &meta, 7, THRIFT_I64, (int64_t)c->packed);
  thrift_put_int(b, &meta, 9, THRIFT_I64, (int64_t)c->data_at);
  if (c->dictionary_at) thrift_put_int(b, &meta, 11, THRIFT_I64, (int64_t)c->dictionary_at);
  put_statistics(b, &meta, l);
  thrift_put_stop(b);
  thrift_put_stop(b);
}

static int put_group(struct parquet_writer *w, struct err *err) {
  uint64_t unpacked = 0, packed = 0;
  int last = 0, rc = 0;
  if (!w->group_rows) return 0;
  uint64_t begin = w->at;
  thrift_put_list(&w->groups, &last, 1, THRIFT_STRUCT, w->leaf_count);
  for (size_t i = 0; !rc && i < w->leaf_count; i++) {
    struct chunk c = {0};
    rc = put_chunk(w, &w->leaves[i], &c, err);
    put_column(w, i, &c);
    unpacked += c.unpacked, packed += c.packed;
    pq_leaf_begin(&w->leaves[i]);
  }
  thrift_put_int(&w->groups, &last, 2, THRIFT_I64, (int64_t)unpacked);
  thrift_put_int(&w->groups, &last, 3, THRIFT_I64, (int64_t)w->group_rows);
  thrift_put_int(&w->groups, &last, 5, THRIFT_I64, (int64_t)begin);
  thrift_put_int(&w->groups, &last, 6, THRIFT_I64, (int64_t)packed);
  thrift_put_stop(&w->groups);
  w->group_count++;
  w->group_rows = w->group_bytes = 0;
  return rc ? rc : buf_check(&w->groups, "a Parquet footer", err);
}

int parquet_writer_put(struct parquet_writer *w, const struct json *j, struct err *err) {
  w->slots.len = 0;
  int rc = put_struct(w, &w->schema->root, j, JSON_ROOT, 0, err);
  if (rc) return rc;
  w->rows++, w->group_rows++;
  w->group_bytes += w->leaf_count; /* so that rows without values end a group too */
  if (w->group_bytes >= w->options.group_bytes) return put_group(w, err);
  if (w->group_rows % 16 == 0)
    for (size_t i = 0; i < w->leaf_count; i++)
      if (pq_leaf_pending(&w->leaves[i]) >= PAGE_BYTES) pq_leaf_cut(&w->leaves[i]);
  return 0;
}

static void put_element(struct buf *b, int type, int repetition, const char *name, size_t n,
                        size_t children, int converted, int logical) {
  int last = 0, inner = 0;
  if (type >= 0) thrift_put_int(b, &last, 1, THRIFT_I32, type);
  if (repetition >= 0) thrift_put_int(b, &last, 3, THRIFT_I32, repetition);
  thrift_put_bytes(b, &last, 4, name, n);
  if (type < 0) thrift_put_int(b, &last, 5, THRIFT_I32, (int64_t)children);
  if (converted >= 0) thrift_put_int(b, &last, 6, THRIFT_I32, converted);
  if (logical > 0) {
    thrift_put_struct(b, &last, 10);
    thrift_put_struct(b, &inner, logical); /* STRING 1, LIST 3, JSON 12: without fields */
    thrift_put_stop(b);
    thrift_put_stop(b);
  }
  thrift_put_stop(b);
}

/* Appends the elements of a node, depth first; returns how many. */
static size_t put_schema(struct buf *b, const struct schema_node *n, const char *name, size_t len) {
  static const int types[] = {PQ_BYTE_ARRAY, PQ_INT64, PQ_DOUBLE, PQ_BOOLEAN, PQ_BYTE_ARRAY};
  size_t count = 1;
  if (n->type == SCHEMA_LIST) {
    put_element(b, -1, PQ_OPTIONAL, name, len, 1, PQ_LIST, 3);
    put_element(b, -1, PQ_REPEATED, "list", 4, 1, -1, 0);
    return 2 + put_schema(b, n->element, "element", 7);
  }
  if (n->type != SCHEMA_STRUCT) {
    bool text = n->type == SCHEMA_STRING, json = n->type == SCHEMA_JSON;
    put_element(b, types[n->type], PQ_OPTIONAL, name, len, 0,
                text   ? PQ_UTF8
                : json ? PQ_CONVERTED_JSON
                       : -1,
                text   ? 1
                : json ? 12
                       : 0);
    return 1;
  }
  put_element(b, -1, name ? PQ_OPTIONAL : -1, name ? name : "schema", name ? len : 6, n->count, -1,
              0);
  for (size_t i = 0; i < n->count; i++)
    count += put_schema(b, n->members[i], n->members[i]->name, n->members[i]->name_n);
  return count;
}

static void put_pairs(struct buf *b, int *last, const struct parquet_write_options *o) {
  if (o->metadata_count < 2) return;
  thrift_put_list(b, last, 5, THRIFT_STRUCT, o->metadata_count / 2);
  for (size_t i = 0; i + 1 < o->metadata_count; i += 2) {
    int inner = 0;
    thrift_put_bytes(b, &inner, 1, o->metadata[i], strlen(o->metadata[i]));
    thrift_put_bytes(b, &inner, 2, o->metadata[i + 1], strlen(o->metadata[i + 1]));
    thrift_put_stop(b);
  }
}

static void put_footer(struct parquet_writer *w, struct buf *b) {
  static const char maker[] = "lathe version " LATHE_VERSION;
  struct buf elements;
  int last = 0;
  buf_init(&elements);
  size_t count = put_schema(&elements, &w->schema->root, NULL, 0);
  thrift_put_int(b, &last, 1, THRIFT_I32, 1);
  thrift_put_list(b, &last, 2, THRIFT_STRUCT, count);
  buf_add(b, elements.data, elements.len);
  thrift_put_int(b, &last, 3, THRIFT_I64, (int64_t)w->rows);
  thrift_put_list(b, &last, 4, THRIFT_STRUCT, w->group_count);
  buf_add(b, w->groups.data, w->groups.len);
  put_pairs(b, &last, &w->options);
  thrift_put_bytes(b, &last, 6, maker, sizeof maker - 1);
  thrift_put_list(b, &last, 7, THRIFT_STRUCT, w->leaf_count); /* column orders: by type */
  for (size_t i = 0; i < w->leaf_count; i++) {
    int inner = 0;
    thrift_put_struct(b, &inner, 1);
    thrift_put_stop(b);
    thrift_put_stop(b);
  }
  thrift_put_stop(b);
  if (elements.failed) b->failed = true;
  buf_clear(&elements);
}

int parquet_writer_finish(struct parquet_writer *w, struct err *err) {
  struct buf footer;
  int rc = put_group(w, err);
  if (rc) return rc;
  buf_init(&footer);
  put_footer(w, &footer);
  size_t n = footer.len;
  buf_add_u32le(&footer, (uint32_t)n);
  buf_adds(&footer, "PAR1");
  rc = buf_check(&footer, "a Parquet footer", err);
  if (!rc) rc = put_bytes(w, footer.data, footer.len, err);
  buf_clear(&footer);
  return rc;
}

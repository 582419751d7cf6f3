/* SPDX-License-Identifier: MIT */
/* Parquet's footer, from compact Thrift to tables.
 *
 *   FileMetaData { 1 version 2 schema[] 3 rows 4 row_groups[] 5 key_value[] 6 created_by
 *                  8 encryption }
 *   schema       the tree, depth first: { 1 type 2 length 3 repetition 4 name 5 children
 *                  6 converted 7 scale 8 precision 10 logical }
 *   row_group    { 1 columns[] { 1 file 3 meta_data { 1 type 4 codec 5 values 7 bytes
 *                  9 data_page 11 dictionary_page } 8 encryption } 3 rows }
 *
 * What a file says is checked once here: children that are there, levels that fit, as many chunks
 * as leaves, chunks inside the file. Everything later may rely on it. The memory of the tables is
 * in proportion to the footer's bytes (at most 64 MiB).
 */
#include "store/parquet_footer.h"

#include "base/checked.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "json/json.h"
#include "store/thrift.h"

#include <string.h>

#define SAME_NAME_MAX 100
#define TABLE_LIMIT   ((size_t)1 << 30) /* bytes of tables made from one footer */

void pq_footer_clear(struct pq_footer *f) {
  buf_clear(&f->bytes);
  buf_clear(&f->keys);
  mem_free(f->nodes);
  mem_free(f->leaves);
  mem_free(f->groups);
  mem_free(f->chunks);
  mem_free(f->pairs);
  memset(f, 0, sizeof *f);
}

/* Makes room for `more` items behind `count`. */
static int grow(void *array, size_t count, size_t more, size_t size, struct err *err) {
  void **p = array, *bigger;
  if (count + more > TABLE_LIMIT / size)
    return err_set(err, ERR_LIMIT, "the footer's tables would take more than 1 GiB");
  size_t cap = 16;
  while (cap < count + more) cap *= 2;
  if (*p && cap / 2 >= count + more && count) return 0;
  bigger = mem_rearray(*p, cap, size);
  if (!bigger) return err_nomem(err, cap * size, "a Parquet footer");
  *p = bigger;
  return 0;
}

/* ---- the schema ---- */

/* Annotations of both kinds, as read; -1 where there is none. */
struct annotation {
  int converted, logical, unit, bits;
  bool utc, is_signed, has_repetition, has_type, has_children;
};

static void read_unit(struct reader *r, struct annotation *a) {
  struct thrift_field f = {0, 0};
  while (thrift_next(r, &f)) {
    a->unit = f.id;
    thrift_skip(r, &f);
  }
}

/* The struct inside LogicalType: DECIMAL {1 scale 2 precision}, TIME and TIMESTAMP {1 utc 2 unit},
 * INTEGER {1 bits 2 signed}. */
static void read_logical_value(struct reader *r, struct annotation *a, struct pq_node *n) {
  struct thrift_field f = {0, 0};
  while (thrift_next(r, &f)) {
    bool time = a->logical == 7 || a->logical == 8;
    if (time && f.id == 1)
      a->utc = thrift_bool(r, &f);
    else if (time && f.id == 2 && thrift_is_struct(r, &f))
      read_unit(r, a);
    else if (a->logical == 5 && f.id == 1)
      n->scale = (int32_t)thrift_int(r, &f);
    else if (a->logical == 5 && f.id == 2)
      n->precision = (int32_t)thrift_int(r, &f);
    else if (a->logical == 10 && f.id == 1)
      a->bits = (int)thrift_int(r, &f);
    else if (a->logical == 10 && f.id == 2)
      a->is_signed = thrift_bool(r, &f);
    else
      thrift_skip(r, &f);
  }
}

static void read_logical(struct reader *r, struct annotation *a, struct pq_node *n) {
  struct thrift_field f = {0, 0};
  while (thrift_next(r, &f)) {
    a->logical = f.id;
    if (thrift_is_struct(r, &f)) read_logical_value(r, a, n);
  }
}

static void read_element(struct reader *r, struct pq_node *n, struct annotation *a) {
  struct thrift_field f = {0, 0};
  int64_t type = 0, repetition = 0;
  while (thrift_next(r, &f)) {
    switch (f.id) {
    case 1:
      type = thrift_int(r, &f), a->has_type = true;
      break;
    case 2:
      n->length = (int32_t)thrift_int(r, &f);
      break;
    case 3:
      repetition = thrift_int(r, &f), a->has_repetition = true;
      break;
    case 4:
      n->name = thrift_bytes(r, &f, &n->name_n);
      break;
    case 5:
      n->children = (uint32_t)thrift_int(r, &f), a->has_children = true;
      break;
    case 6:
      a->converted = (int)thrift_int(r, &f);
      break;
    case 7:
      n->scale = (int32_t)thrift_int(r, &f);
      break;
    case 8:
      n->precision = (int32_t)thrift_int(r, &f);
      break;
    case 10:
      if (thrift_is_struct(r, &f)) read_logical(r, a, n);
      break;
    default:
      thrift_skip(r, &f);
    }
  }
  if (type < PQ_BOOLEAN || type > PQ_FIXED || repetition < 0 || repetition > PQ_REPEATED)
    r->bad = true;
  n->type = (enum pq_type)type, n->repetition = (enum pq_repetition)repetition;
  n->leaf = a->has_type && !n->children;
}

static void time_of(struct pq_node *n, enum pq_meaning meaning, int unit, bool utc) {
  n->meaning = meaning;
  n->utc = utc;
  n->digits = unit == 1 ? 3 : unit == 2 ? 6 : 9;
}

static void meaning_of_logical(struct pq_node *n, const struct annotation *a) {
  switch (a->logical) {
  case 1:
  case 4:
    n->meaning = PQ_IS_TEXT;
    break;
  case 2:
    n->meaning = PQ_IS_MAP;
    break;
  case 3:
    n->meaning = PQ_IS_LIST;
    break;
  case 5:
    n->meaning = PQ_IS_DECIMAL;
    break;
  case 6:
    n->meaning = PQ_IS_DATE;
    break;
  case 7:
    time_of(n, PQ_IS_TIME, a->unit, a->utc);
    break;
  case 8:
    time_of(n, PQ_IS_TIMESTAMP, a->unit, a->utc);
    break;
  case 10:
    n->meaning = a->is_signed ? PQ_IS_SIGNED : PQ_IS_UNSIGNED;
    break;
  case 11:
    n->meaning = PQ_IS_NULL;
    break;
  case 12:
    n->meaning = PQ_IS_JSON;
    break;
  case 14:
    n->meaning = PQ_IS_UUID;
    break;
  case 15:
    n->meaning = PQ_IS_FLOAT16;
    break;
  default:
    n->meaning = PQ_IS_PLAIN;
  }
}

static void meaning_of_converted(struct pq_node *n, int converted) {
  switch (converted) {
  case PQ_UTF8:
  case PQ_ENUM:
    n->meaning = PQ_IS_TEXT;
    break;
  case PQ_MAP:
  case PQ_MAP_KEY_VALUE:
    n->meaning = PQ_IS_MAP;
    break;
  case PQ_LIST:
    n->meaning = PQ_IS_LIST;
    break;
  case PQ_CONVERTED_DECIMAL:
    n->meaning = PQ_IS_DECIMAL;
    break;
  case PQ_CONVERTED_DATE:
    n->meaning = PQ_IS_DATE;
    break;
  case PQ_TIME_MILLIS:
    time_of(n, PQ_IS_TIME, 1, true);
    break;
  case PQ_TIME_MICROS:
    time_of(n, PQ_IS_TIME, 2, true);
    break;
  case PQ_TIMESTAMP_MILLIS:
    time_of(n, PQ_IS_TIMESTAMP, 1, true);
    break;
  case PQ_TIMESTAMP_MICROS:
    time_of(n, PQ_IS_TIMESTAMP, 2, true);
    break;
  case PQ_CONVERTED_JSON:
    n->meaning = PQ_IS_JSON;
    break;
  case PQ_CONVERTED_INTERVAL:
    n->meaning = PQ_IS_INTERVAL;
    break;
  default:
    if (converted >= PQ_UINT_8 && converted < PQ_UINT_8 + 4)
      n->meaning = PQ_IS_UNSIGNED;
    else if (converted >= PQ_UINT_8 + 4 && converted <= PQ_INT_64)
      n->meaning = PQ_IS_SIGNED;
  }
}

/* Whether values of this physical type can mean that; what cannot is an error, not a guess. */
static bool meaning_fits(const struct pq_node *n) {
  bool bytes = n->type == PQ_BYTE_ARRAY || n->type == PQ_FIXED;
  bool integer = n->type == PQ_INT32 || n->type == PQ_INT64;
  switch (n->meaning) {
  case PQ_IS_TEXT:
  case PQ_IS_JSON:
    return bytes;
  case PQ_IS_DECIMAL:
    return (bytes || integer) && n->scale >= 0 && n->scale <= 1000 && n->precision >= 0;
  case PQ_IS_DATE:
    return n->type == PQ_INT32;
  case PQ_IS_TIME:
  case PQ_IS_TIMESTAMP:
  case PQ_IS_SIGNED:
  case PQ_IS_UNSIGNED:
    return integer;
  case PQ_IS_FLOAT16:
    return n->type == PQ_FIXED && n->length == 2;
  case PQ_IS_UUID:
    return n->type == PQ_FIXED && n->length == 16;
  case PQ_IS_INTERVAL:
    return n->type == PQ_FIXED && n->length == 12;
  case PQ_IS_LIST:
  case PQ_IS_MAP:
    return false;
  default:
    return true;
  }
}

static int check_node(struct pq_node *n, const struct annotation *a, struct err *err) {
  if (a->logical > 0) meaning_of_logical(n, a);
  if (n->meaning == PQ_IS_PLAIN) meaning_of_converted(n, a->converted);
  if (!n->name) return err_set(err, ERR_FORMAT, "a schema element has no name");
  int shown = n->name_n < 100 ? (int)n->name_n : 100;
  if (!n->leaf) return 0;
  if (n->type == PQ_FIXED && (n->length < 0 || n->length > 1 << 24))
    return err_set(err, ERR_FORMAT, "column %.*s: a fixed length of %d bytes", shown, n->name,
                   n->length);
  if (!meaning_fits(n))
    return err_set(err, ERR_FORMAT, "column %.*s: its logical type does not fit its physical type",
                   shown, n->name);
  if (n->meaning == PQ_IS_PLAIN && (n->type == PQ_BYTE_ARRAY || n->type == PQ_FIXED))
    n->meaning = PQ_IS_BINARY;
  return 0;
}

static int read_nodes(struct pq_footer *f, struct reader *r, const struct thrift_field *field,
                      struct err *err) {
  struct thrift_field element;
  size_t count = thrift_list(r, field, &element);
  if (f->nodes) return err_set(err, ERR_FORMAT, "there are two schemas");
  if (count > PQ_COLUMNS_MAX)
    return err_set(err, ERR_LIMIT, "a schema of %zu elements; at most %u are read", count,
                   PQ_COLUMNS_MAX);
  if (!(f->nodes = mem_zeros(count + 1, sizeof *f->nodes)))
    return err_nomem(err, count * sizeof *f->nodes, "a Parquet schema");
  for (; f->node_count < count && thrift_is_struct(r, &element); f->node_count++) {
    struct pq_node *n = &f->nodes[f->node_count];
    struct annotation a = {.converted = PQ_CONVERTED_NONE, .logical = -1};
    read_element(r, n, &a);
    if (r->bad) break;
    int rc = check_node(n, &a, err);
    if (rc) return rc;
  }
  return 0;
}

/* Gives node i its place: levels from its parent's. */
static int place_node(struct pq_footer *f, uint32_t i, uint32_t parent, struct err *err) {
  struct pq_node *n = &f->nodes[i];
  n->parent = parent, n->first = n->next = n->probe = PQ_NONE;
  n->leaf_from = (uint32_t)f->leaf_count;
  if (i == 0) {
    n->repetition = PQ_REQUIRED, n->leaf = false, n->meaning = PQ_IS_PLAIN;
    return 0;
  }
  const struct pq_node *p = &f->nodes[parent];
  n->def = (uint16_t)(p->def + (n->repetition != PQ_REQUIRED));
  n->rep = (uint16_t)(p->rep + (n->repetition == PQ_REPEATED));
  if (n->leaf)
    f->leaves[f->leaf_count++] = i;
  else if (n->repetition != PQ_REQUIRED && !n->children)
    return err_set(err, ERR_FORMAT, "group %.*s has no columns",
                   n->name_n < 100 ? (int)n->name_n : 100, n->name);
  return 0;
}

/* Links the list of elements into a tree without recursion: `open` is the chain of groups that
 * still want children. */
static int link_nodes(struct pq_footer *f, struct err *err) {
  uint32_t open[PQ_DEPTH_MAX], wanted[PQ_DEPTH_MAX], last[PQ_DEPTH_MAX];
  size_t depth = 0;
  if (!f->node_count) return err_set(err, ERR_FORMAT, "there is no schema");
  if (!(f->leaves = mem_array(f->node_count, sizeof *f->leaves)))
    return err_nomem(err, f->node_count * sizeof *f->leaves, "a Parquet schema");
  for (uint32_t i = 0; i < f->node_count; i++) {
    struct pq_node *n = &f->nodes[i];
    if (i && !depth) return err_set(err, ERR_FORMAT, "the schema has elements that are nobody's");
    uint32_t parent = depth ? open[depth - 1] : PQ_NONE;
    int rc = place_node(f, i, parent, err);
    if (rc) return rc;
    if (depth) {
      if (last[depth - 1] == PQ_NONE)
        f->nodes[parent].first = i;
      else
        f->nodes[last[depth - 1]].next = i;
      last[depth - 1] = i, wanted[depth - 1]--;
    }
    if (n->children) {
      if (depth == PQ_DEPTH_MAX)
        return err_set(err, ERR_LIMIT, "the schema is nested deeper than %d", PQ_DEPTH_MAX);
      open[depth] = i, wanted[depth] = n->children, last[depth++] = PQ_NONE;
    } else {
      n->leaf_to = (uint32_t)f->leaf_count;
    }
    while (depth && !wanted[depth - 1]) f->nodes[open[--depth]].leaf_to = (uint32_t)f->leaf_count;
  }
  if (depth) return err_set(err, ERR_FORMAT, "the schema lacks elements that it promises");
  return 0;
}

static bool name_is(const struct pq_node *n, const char *s, size_t len) {
  return n->name_n == len && !memcmp(n->name, s, len);
}

/* The rules of "Nested Types" for lists of old writers: whether the repeated group is the element
 * itself or only holds it. */
static void settle_list(struct pq_footer *f, struct pq_node *list) {
  struct pq_node *group = list->children == 1 ? &f->nodes[list->first] : NULL;
  if (!group || group->repetition != PQ_REPEATED) {
    list->meaning = PQ_IS_PLAIN;
    return;
  }
  if (group->leaf || group->children != 1 || f->nodes[group->first].repetition == PQ_REPEATED)
    return;
  bool tuple = group->name_n == list->name_n + 6 &&
               !memcmp(group->name, list->name, list->name_n) &&
               !memcmp(group->name + list->name_n, "_tuple", 6);
  if (group->meaning == PQ_IS_LIST || group->meaning == PQ_IS_MAP) return;
  group->element_inside = !name_is(group, "array", 5) && !tuple;
}

static void settle_map(struct pq_footer *f, struct pq_node *map) {
  struct pq_node *pair = map->children == 1 ? &f->nodes[map->first] : NULL;
  bool fine = pair && pair->repetition == PQ_REPEATED && !pair->leaf && pair->children <= 2 &&
              pair->children && f->nodes[pair->first].repetition != PQ_REPEATED;
  if (!fine)
    map->meaning = PQ_IS_PLAIN;
  else
    pair->meaning = PQ_IS_PLAIN; /* MAP_KEY_VALUE stands here in some files */
}

/* ---- names ---- */

static bool same_name(const struct pq_node *a, const struct pq_node *b) {
  return a->name_n == b->name_n && !memcmp(a->name, b->name, a->name_n);
}

static void put_key(struct pq_footer *f, struct pq_node *n, unsigned number) {
  struct buf name;
  buf_init(&name);
  utf8_lossy(n->name, n->name_n, &name);
  for (size_t i = 0; i < name.len; i++)
    if (!name.data[i]) name.data[i] = '?'; /* U+0000 may not be in a key */
  if (number > 1) buf_addf(&name, "_%u", number);
  n->key_at = f->keys.len;
  json_put_string(&f->keys, name.len ? name.data : "", name.len);
  n->key_n = f->keys.len - n->key_at;
  if (name.failed) f->keys.failed = true;
  buf_clear(&name);
}

/* Names as JSON keys. A second column of the same name in the same group becomes name_2; wide groups
 * are searched with a table of hashes. */
static int put_keys_of(struct pq_footer *f, const struct pq_node *group, uint32_t *slots,
                       size_t cap) {
  memset(slots, 0xFF, cap * sizeof *slots);
  for (uint32_t c = group->first; c != PQ_NONE; c = f->nodes[c].next) {
    struct pq_node *n = &f->nodes[c];
    unsigned number = 1;
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n->name_n; i++) h = (h ^ (unsigned char)n->name[i]) * 16777619u;
    size_t at = h & (cap - 1);
    for (; slots[at] != PQ_NONE; at = (at + 1) & (cap - 1))
      if (same_name(&f->nodes[slots[at]], n) && ++number > SAME_NAME_MAX) return ERR_LIMIT;
    slots[at] = c;
    put_key(f, n, number);
  }
  return 0;
}

static int put_keys(struct pq_footer *f, struct err *err) {
  size_t widest = 1, cap = 4;
  int rc = 0;
  for (size_t i = 0; i < f->node_count; i++)
    if (f->nodes[i].children > widest) widest = f->nodes[i].children;
  while (cap < 2 * widest) cap *= 2;
  uint32_t *slots = mem_array(cap, sizeof *slots);
  if (!slots) return err_nomem(err, cap * sizeof *slots, "a Parquet schema");
  for (size_t i = 0; i < f->node_count; i++) {
    size_t small = 4;
    while (small < 2 * (size_t)f->nodes[i].children) small *= 2;
    if (f->nodes[i].children && !rc) rc = put_keys_of(f, &f->nodes[i], slots, small);
  }
  mem_free(slots);
  if (rc)
    return err_set(err, rc, "more than %d columns of one group have the same name", SAME_NAME_MAX);
  return buf_check(&f->keys, "a Parquet schema", err);
}

/* ---- row groups ---- */

struct offsets {
  int64_t data, dictionary, bytes;
  bool has_dictionary, has_meta;
};

static void read_meta(struct reader *r, struct pq_chunk *c, struct offsets *o) {
  struct thrift_field f = {0, 0};
  o->has_meta = true;
  while (thrift_next(r, &f)) {
    switch (f.id) {
    case 1:
      c->type = (int)thrift_int(r, &f);
      break;
    case 4:
      c->codec = (int)thrift_int(r, &f);
      break;
    case 5:
      c->values = thrift_int(r, &f);
      break;
    case 7:
      o->bytes = thrift_int(r, &f);
      break;
    case 9:
      o->data = thrift_int(r, &f);
      break;
    case 11:
      o->dictionary = thrift_int(r, &f), o->has_dictionary = true;
      break;
    default:
      thrift_skip(r, &f);
    }
  }
}

static int read_chunk(struct pq_footer *f, struct reader *r, uint64_t file_size, struct err *err) {
  struct thrift_field field = {0, 0};
  struct offsets o = {0};
  int rc = grow(&f->chunks, f->chunk_count, 1, sizeof *f->chunks, err);
  if (rc) return rc;
  struct pq_chunk *c = &f->chunks[f->chunk_count++];
  memset(c, 0, sizeof *c);
  while (thrift_next(r, &field)) {
    size_t n;
    if (field.id == 1)
      thrift_bytes(r, &field, &n), c->elsewhere = true;
    else if (field.id == 3 && thrift_is_struct(r, &field))
      read_meta(r, c, &o);
    else if (field.id == 8)
      thrift_skip(r, &field), c->encrypted = true;
    else
      thrift_skip(r, &field);
  }
  if (r->bad || c->encrypted || c->elsewhere) return 0;
  if (!o.has_meta) return err_set(err, ERR_FORMAT, "a column chunk has no meta_data");
  /* some writers put 0 there for "none" */
  int64_t at =
      o.has_dictionary && o.dictionary > 0 && o.dictionary < o.data ? o.dictionary : o.data;
  if (at < 4 || o.bytes < 0 || c->values < 0 || (uint64_t)at > file_size ||
      (uint64_t)o.bytes > file_size - (uint64_t)at)
    return err_set(err, ERR_FORMAT, "a column chunk lies outside the file (byte %lld, %lld bytes)",
                   (long long)at, (long long)o.bytes);
  c->at = (uint64_t)at, c->bytes = (uint64_t)o.bytes;
  return 0;
}

static int read_group(struct pq_footer *f, struct reader *r, uint64_t file_size, struct err *err) {
  struct thrift_field field = {0, 0}, element;
  int rc = grow(&f->groups, f->group_count, 1, sizeof *f->groups, err);
  if (rc) return rc;
  struct pq_group *g = &f->groups[f->group_count++];
  memset(g, 0, sizeof *g);
  g->first = f->chunk_count;
  while (!rc && thrift_next(r, &field)) {
    if (field.id == 1) {
      size_t n = thrift_list(r, &field, &element);
      for (; n && !rc && thrift_is_struct(r, &element); n--) rc = read_chunk(f, r, file_size, err);
    } else if (field.id == 3) {
      g->rows = thrift_int(r, &field);
    } else {
      thrift_skip(r, &field);
    }
  }
  return rc;
}

static int read_pair(struct pq_footer *f, struct reader *r, struct err *err) {
  struct thrift_field field = {0, 0};
  int rc = grow(&f->pairs, f->pair_count, 1, sizeof *f->pairs, err);
  if (rc) return rc;
  struct pq_pair *p = &f->pairs[f->pair_count++];
  memset(p, 0, sizeof *p);
  while (thrift_next(r, &field)) {
    if (field.id == 1)
      p->key = thrift_bytes(r, &field, &p->key_n);
    else if (field.id == 2)
      p->value = thrift_bytes(r, &field, &p->value_n);
    else
      thrift_skip(r, &field);
  }
  return 0;
}

typedef int read_one(struct pq_footer *f, struct reader *r, uint64_t file_size, struct err *err);

static int read_pair_(struct pq_footer *f, struct reader *r, uint64_t file_size, struct err *err) {
  (void)file_size;
  return read_pair(f, r, err);
}

static int read_list(struct pq_footer *f, struct reader *r, const struct thrift_field *field,
                     uint64_t file_size, read_one *one, struct err *err) {
  struct thrift_field element;
  int rc = 0;
  for (size_t n = thrift_list(r, field, &element); n && !rc && thrift_is_struct(r, &element); n--)
    rc = one(f, r, file_size, err);
  return rc;
}

static int read_fields(struct pq_footer *f, struct reader *r, uint64_t file_size, struct err *err) {
  struct thrift_field field = {0, 0};
  int rc = 0;
  while (!rc && thrift_next(r, &field)) {
    switch (field.id) {
    case 2:
      rc = read_nodes(f, r, &field, err);
      break;
    case 4:
      rc = read_list(f, r, &field, file_size, read_group, err);
      break;
    case 5:
      rc = read_list(f, r, &field, file_size, read_pair_, err);
      break;
    case 6:
      f->created_by = thrift_bytes(r, &field, &f->created_n);
      break;
    case 8:
      return err_set(err, ERR_UNSUPPORTED,
                     "encrypted (columns under a plain footer); decrypt it first");
    default:
      thrift_skip(r, &field); /* the number of rows is taken from the row groups */
    }
  }
  return rc ? rc : reader_check(r, "footer", err);
}

static int check_groups(struct pq_footer *f, struct err *err) {
  for (size_t i = 0; i < f->group_count; i++) {
    struct pq_group *g = &f->groups[i];
    size_t end = i + 1 < f->group_count ? f->groups[i + 1].first : f->chunk_count;
    if (end - g->first != f->leaf_count)
      return err_set(err, ERR_FORMAT, "row group %zu has %zu columns, the schema %zu", i,
                     end - g->first, f->leaf_count);
    if (g->rows < 0 || !checked_add64(f->rows, (uint64_t)g->rows, &f->rows) || f->rows > INT64_MAX)
      return err_set(err, ERR_FORMAT, "row group %zu has %lld rows", i, (long long)g->rows);
    for (size_t c = 0; c < f->leaf_count; c++) {
      const struct pq_chunk *k = &f->chunks[g->first + c];
      const struct pq_node *n = &f->nodes[f->leaves[c]];
      if (!k->encrypted && !k->elsewhere && k->type != (int)n->type)
        return err_set(err, ERR_FORMAT,
                       "row group %zu, column %.*s: another type than the schema's", i,
                       n->name_n < 100 ? (int)n->name_n : 100, n->name);
    }
  }
  return 0;
}

int pq_footer_parse(struct pq_footer *f, uint64_t file_size, struct err *err) {
  struct reader r;
  reader_init(&r, f->bytes.data, f->bytes.len);
  int rc = read_fields(f, &r, file_size, err);
  if (!rc) rc = link_nodes(f, err);
  for (size_t i = 0; !rc && i < f->node_count; i++) {
    if (f->nodes[i].leaf) continue;
    if (f->nodes[i].meaning == PQ_IS_LIST)
      settle_list(f, &f->nodes[i]);
    else if (f->nodes[i].meaning == PQ_IS_MAP)
      settle_map(f, &f->nodes[i]);
    else
      f->nodes[i].meaning = PQ_IS_PLAIN;
  }
  if (!rc) rc = put_keys(f, err);
  return rc ? rc : check_groups(f, err);
}

/* SPDX-License-Identifier: MIT */
/* Parquet records put together (Dremel's assembly). Each column is a stream of values with two
 * levels; the schema is walked for each record, and each leaf takes its next value:
 *
 *   definition < the node's     an optional node is null, a repeated one is empty: all columns under
 *                               it give up the one entry that says so
 *   repetition = the node's     the value at hand is one more element of that list
 *
 * The first selected column under a node decides; the others are checked against it, so that columns
 * that disagree are an error and never a wrong record.
 */
#include "store/parquet.h"

#include "base/cancel.h"
#include "base/checked.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "file/file.h"
#include "json/json.h"
#include "store/parquet_column.h"
#include "store/parquet_footer.h"
#include "store/parquet_json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOOTER_MAX ((uint64_t)64 << 20)
#define RECORD_MAX ((size_t)64 << 20)
#define GROWTH_MAX 1024
#define GROWTH_MIN ((uint64_t)1 << 30) /* bytes, and values */

struct parquet {
  char *path;
  int fd;
  uint64_t size;
  struct pq_footer footer;
  struct pq_column *columns; /* one for each leaf; those not selected stay empty */
  struct pq_notes notes;
  size_t max_record;
  bool text, drop_nulls;
  size_t group;        /* the next row group */
  uint64_t rows_left;  /* of the one at hand */
  uint64_t row, bytes; /* rows and bytes of JSON given */
  bool too_long;
  struct buf out;
};

/* ---- opening ---- */

static int read_at(int fd, uint64_t at, void *to, size_t n, struct err *err) {
  for (size_t got = 0; got < n;) {
    ssize_t k = pread(fd, (char *)to + got, n - got, (off_t)(at + got));
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return err_errno(err, "reading");
    if (k == 0) return err_set(err, ERR_FORMAT, "the file ends early");
    got += (size_t)k;
  }
  return 0;
}

static int read_footer(struct parquet *p, struct err *err) {
  unsigned char head[4], tail[8];
  if (p->size < 12)
    return err_set(err, ERR_FORMAT, "not a Parquet file (%llu bytes)", (unsigned long long)p->size);
  int rc = read_at(p->fd, 0, head, 4, err);
  if (!rc) rc = read_at(p->fd, p->size - 8, tail, 8, err);
  if (rc) return rc;
  if (!memcmp(tail + 4, "PARE", 4))
    return err_set(err, ERR_UNSUPPORTED, "encrypted (its footer too); decrypt it first");
  if (memcmp(head, "PAR1", 4)) return err_set(err, ERR_FORMAT, "not a Parquet file");
  if (memcmp(tail + 4, "PAR1", 4))
    return err_set(err, ERR_FORMAT, "the end of the Parquet file is missing: it was cut short");
  uint64_t n = (uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 |
               (uint32_t)tail[3] << 24;
  if (n > p->size - 12)
    return err_set(err, ERR_FORMAT, "a footer of %llu bytes in a file of %llu",
                   (unsigned long long)n, (unsigned long long)p->size);
  if (n > FOOTER_MAX)
    return err_set(err, ERR_LIMIT, "a footer of %llu bytes; at most %llu are read",
                   (unsigned long long)n, (unsigned long long)FOOTER_MAX);
  if (buf_reserve(&p->footer.bytes, (size_t)n)) return err_nomem(err, n, "a Parquet footer");
  rc = read_at(p->fd, p->size - 8 - n, p->footer.bytes.data, (size_t)n, err);
  p->footer.bytes.len = (size_t)n;
  return rc ? rc : pq_footer_parse(&p->footer, p->size, err);
}

static int open_file(struct parquet *p, const char *path, struct err *err) {
  struct stat st;
  p->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (p->fd < 0 || fstat(p->fd, &st)) return err_errno(err, "opening");
  if (!S_ISREG(st.st_mode))
    return err_set(err, ERR_UNSUPPORTED,
                   "a Parquet file is read from its end: it cannot be a pipe or a folder");
  p->size = (uint64_t)st.st_size;
  return read_footer(p, err);
}

static void select_all(struct pq_footer *f, uint32_t node) {
  for (uint32_t i = f->nodes[node].leaf_from; i < f->nodes[node].leaf_to; i++)
    f->nodes[f->leaves[i]].selected = true;
}

/* The node of a path "a.b.c" below the root; names with points in them are tried first. */
static uint32_t find_node(const struct pq_footer *f, uint32_t under, const char *path) {
  size_t n = strlen(path);
  for (uint32_t c = f->nodes[under].first; c != PQ_NONE; c = f->nodes[c].next) {
    const struct pq_node *k = &f->nodes[c];
    if (k->name_n == n && !memcmp(k->name, path, n)) return c;
  }
  for (uint32_t c = f->nodes[under].first; c != PQ_NONE; c = f->nodes[c].next) {
    const struct pq_node *k = &f->nodes[c];
    if (k->name_n >= n || path[k->name_n] != '.' || memcmp(k->name, path, k->name_n)) continue;
    uint32_t found = find_node(f, c, path + k->name_n + 1);
    if (found != PQ_NONE) return found;
  }
  return PQ_NONE;
}

static int no_column(const struct pq_footer *f, const char *name, struct err *err) {
  struct buf names;
  buf_init(&names);
  for (uint32_t c = f->nodes[0].first; c != PQ_NONE && names.len < 400; c = f->nodes[c].next) {
    if (names.len) buf_adds(&names, ", ");
    utf8_lossy(f->nodes[c].name, f->nodes[c].name_n, &names);
  }
  int rc = err_set(err, ERR_MISUSE, "there is no column '%s' (there are: %s)", name,
                   names.data ? names.data : "none");
  buf_clear(&names);
  return rc;
}

static int select_columns(struct parquet *p, const struct parquet_options *o, struct err *err) {
  struct pq_footer *f = &p->footer;
  if (!o || !o->columns) select_all(f, 0);
  for (size_t i = 0; o && o->columns && i < o->column_count; i++) {
    uint32_t node = find_node(f, 0, o->columns[i]);
    if (node == PQ_NONE) return no_column(f, o->columns[i], err);
    select_all(f, node);
  }
  for (size_t i = 0; i < f->node_count; i++) {
    struct pq_node *n = &f->nodes[i];
    for (uint32_t l = n->leaf_from; l < n->leaf_to && n->probe == PQ_NONE; l++)
      if (f->nodes[f->leaves[l]].selected) n->probe = l;
    n->selected = n->probe != PQ_NONE || (!o || !o->columns);
  }
  return 0;
}

/* A few bytes can promise any number of nulls, which would take as many steps. */
static int check_promises(const struct parquet *p, struct err *err) {
  const struct pq_footer *f = &p->footer;
  uint64_t values = 0;
  for (size_t i = 0; i < f->chunk_count; i++)
    if (f->nodes[f->leaves[i % f->leaf_count]].selected)
      if (!checked_add64(values, (uint64_t)f->chunks[i].values, &values)) values = UINT64_MAX;
  if (values <= GROWTH_MIN || values / GROWTH_MAX <= p->size) return 0;
  return err_set(err, ERR_LIMIT, "%llu values in a file of %llu bytes: a bomb",
                 (unsigned long long)values, (unsigned long long)p->size);
}

int parquet_open(struct parquet **out, const char *path, const struct parquet_options *options,
                 struct err *err) {
  int rc = 0;
  *out = NULL;
  struct parquet *p = mem_zero(sizeof *p);
  if (!p) return err_nomem(err, sizeof *p, path);
  p->fd = -1;
  p->max_record = options && options->max_record ? options->max_record : RECORD_MAX;
  p->text = options && options->binary_is_text;
  p->drop_nulls = options && options->drop_nulls;
  if (!(p->path = mem_strdup(path))) {
    rc = err_nomem(err, strlen(path), path);
  } else {
    rc = open_file(p, path, err);
    if (!rc) rc = select_columns(p, options, err);
    if (!rc) rc = check_promises(p, err);
    if (rc) rc = err_prefix(err, "%s", path);
  }
  if (!rc && !(p->columns = mem_zeros(p->footer.leaf_count, sizeof *p->columns)))
    rc = err_nomem(err, p->footer.leaf_count * sizeof *p->columns, path);
  if (rc)
    parquet_close(p);
  else
    *out = p;
  return rc;
}

void parquet_close(struct parquet *p) {
  if (!p) return;
  for (size_t i = 0; p->columns && i < p->footer.leaf_count; i++) pq_column_clear(&p->columns[i]);
  mem_free(p->columns);
  pq_footer_clear(&p->footer);
  buf_clear(&p->out);
  if (p->fd >= 0) close(p->fd);
  mem_free(p->path);
  mem_free(p);
}

/* ---- what there is ---- */

uint64_t parquet_rows(const struct parquet *p) {
  return p->footer.rows;
}

static void put_columns(const struct pq_footer *f, uint32_t node, struct buf *out) {
  buf_addc(out, '[');
  for (uint32_t c = f->nodes[node].first; c != PQ_NONE; c = f->nodes[c].next) {
    const struct pq_node *n = &f->nodes[c];
    if (c != f->nodes[node].first) buf_addc(out, ',');
    buf_adds(out, "{\"name\":");
    buf_add(out, f->keys.data + n->key_at, n->key_n);
    buf_adds(out, ",\"type\":\"");
    pq_type_name(n, out);
    buf_addf(out, "\",\"nullable\":%s", n->repetition == PQ_OPTIONAL ? "true" : "false");
    if (n->repetition == PQ_REPEATED) buf_adds(out, ",\"repeated\":true");
    if (!n->leaf) {
      buf_adds(out, ",\"columns\":");
      put_columns(f, c, out);
    }
    buf_addc(out, '}');
  }
  buf_addc(out, ']');
}

void parquet_schema(const struct parquet *p, struct buf *out) {
  put_columns(&p->footer, 0, out);
}

static void put_lossy(struct buf *out, const char *s, size_t n) {
  struct buf text;
  buf_init(&text);
  if (s) utf8_lossy(s, n, &text);
  json_put_string(out, text.data ? text.data : "", text.len);
  buf_clear(&text);
}

void parquet_facts(const struct parquet *p, struct buf *out) {
  const struct pq_footer *f = &p->footer;
  buf_addf(out, "{\"rows\":%llu,\"row_groups\":%zu,\"columns\":%zu,\"bytes\":%llu,\"created_by\":",
           (unsigned long long)f->rows, f->group_count, f->leaf_count, (unsigned long long)p->size);
  put_lossy(out, f->created_by, f->created_n);
  buf_adds(out, ",\"metadata\":[");
  for (size_t i = 0; i < f->pair_count; i++) {
    buf_adds(out, i ? ",[" : "[");
    put_lossy(out, f->pairs[i].key, f->pairs[i].key_n);
    buf_addc(out, ',');
    put_lossy(out, f->pairs[i].value, f->pairs[i].value_n);
    buf_addc(out, ']');
  }
  buf_addf(out, "],\"not_finite\":%llu,\"bad_utf8\":%llu,\"bad_json\":%llu}",
           (unsigned long long)p->notes.not_finite, (unsigned long long)p->notes.bad_utf8,
           (unsigned long long)p->notes.bad_json);
}

/* ---- records ---- */

static int emit(struct parquet *p, uint32_t node, unsigned r, unsigned least, struct err *err);

static int disagree(struct parquet *p, uint32_t leaf, struct err *err) {
  const struct pq_node *n = &p->footer.nodes[p->footer.leaves[leaf]];
  return err_set(err, ERR_FORMAT, "column %.*s disagrees with the others about where it is",
                 n->name_n < 100 ? (int)n->name_n : 100, n->name);
}

/* The entry at hand of a leaf, which must be there and continue at level r with at least `least`. */
static int look(struct parquet *p, uint32_t leaf, unsigned r, unsigned least, struct err *err) {
  struct pq_column *c = &p->columns[leaf];
  int got = pq_column_peek(c, err);
  if (got < 0) return err ? err->code : ERR_FORMAT;
  if (!got || c->r != r || c->d < least) return disagree(p, leaf, err);
  return 0;
}

/* Keeps the record below max_record: what is beyond is read and forgotten. */
static void shorten(struct parquet *p) {
  if (p->out.len <= p->max_record) return;
  p->too_long = true;
  p->out.len = 0;
}

/* A node that is not there: each column under it has one entry that says so. */
static int emit_nothing(struct parquet *p, const struct pq_node *n, unsigned r, unsigned least,
                        const char *text, struct err *err) {
  for (uint32_t l = n->leaf_from; l < n->leaf_to; l++) {
    struct pq_value v;
    if (!p->footer.nodes[p->footer.leaves[l]].selected) continue;
    int rc = look(p, l, r, least, err);
    if (!rc && p->columns[l].d >= n->def) rc = disagree(p, l, err);
    if (!rc) rc = pq_column_take(&p->columns[l], &v, err);
    if (rc) return rc;
  }
  buf_adds(&p->out, text);
  shorten(p);
  return 0;
}

static int emit_leaf(struct parquet *p, const struct pq_node *n, unsigned r, struct err *err) {
  struct pq_value v;
  int rc = look(p, n->leaf_from, r, n->def, err);
  if (!rc) rc = pq_column_take(&p->columns[n->leaf_from], &v, err);
  if (rc || p->too_long) return rc;
  rc = pq_json_value(n, &v, p->text, &p->notes, &p->out, err);
  shorten(p);
  return rc;
}

static int emit_present(struct parquet *p, uint32_t node, unsigned r, struct err *err);

/* The elements of a repeated node. each() writes one, with the level at which it begins. */
typedef int element(struct parquet *p, uint32_t node, unsigned r, struct err *err);

static int emit_elements(struct parquet *p, uint32_t node, unsigned r, element *each,
                         struct err *err) {
  const struct pq_node *n = &p->footer.nodes[node];
  struct pq_column *probe = &p->columns[n->probe];
  for (bool first = true;; first = false) {
    if (!first) buf_addc(&p->out, ',');
    int rc = each(p, node, r, err);
    if (rc) return rc;
    int got = pq_column_peek(probe, err);
    if (got < 0) return err ? err->code : ERR_FORMAT;
    if (!got || probe->r != n->rep) return 0;
    r = n->rep;
  }
}

static int emit_element(struct parquet *p, uint32_t node, unsigned r, struct err *err) {
  const struct pq_node *n = &p->footer.nodes[node];
  if (n->element_inside) return emit(p, n->first, r, n->def, err);
  return emit_present(p, node, r, err);
}

/* Whether the repeated node has elements: 1, 0 (and then all its columns have said so), −1. */
static int begin_list(struct parquet *p, const struct pq_node *n, unsigned r, unsigned least,
                      const char *empty, struct err *err) {
  if (look(p, n->probe, r, least, err)) return -1;
  if (p->columns[n->probe].d >= n->def) return 1;
  return emit_nothing(p, n, r, least, empty, err) ? -1 : 0;
}

static int emit_list(struct parquet *p, uint32_t node, unsigned r, unsigned least,
                     struct err *err) {
  int has = begin_list(p, &p->footer.nodes[node], r, least, "[]", err);
  if (has <= 0) return has < 0 ? (err ? err->code : ERR_FORMAT) : 0;
  buf_addc(&p->out, '[');
  int rc = emit_elements(p, node, r, emit_element, err);
  buf_addc(&p->out, ']');
  return rc;
}

/* ---- maps: objects whose keys are texts; of equal keys the last counts, at the first's place ---- */

struct entry {
  size_t at, value, end; /* "key":value lies at out[at, end), the value at out[value, end) */
};

static bool key_is_text(const struct pq_node *key) {
  return key->leaf && key->repetition != PQ_REPEATED;
}

/* U+0000 may not be in a key: U+FFFD takes its place. */
static void clean_key(char *s, const char *end) {
  for (; s < end; s++) {
    if (*s != '\\') continue;
    if (end - s > 6 && !memcmp(s, "\\u0000", 6)) memcpy(s, "\\ufffd", 6);
    s++;
  }
}

/* A key as a JSON string, whatever its type: what is not quoted gets quotes, and so does a JSON text,
 * of which there are many for one string. */
static int emit_key(struct parquet *p, uint32_t node, unsigned r, struct err *err) {
  const struct pq_node *n = &p->footer.nodes[node];
  size_t at = p->out.len;
  int rc = emit(p, node, r, p->footer.nodes[n->parent].def, err);
  if (rc || p->too_long || p->out.len <= at) return rc;
  if (p->out.data[at] != '"' || n->meaning == PQ_IS_JSON) {
    struct buf text;
    buf_init(&text);
    json_put_string(&text, p->out.data + at, p->out.len - at);
    p->out.len = at;
    buf_add(&p->out, text.data, text.len);
    if (text.failed) p->out.failed = true;
    buf_clear(&text);
  }
  clean_key(p->out.data + at, p->out.data + p->out.len);
  return 0;
}

static int emit_entry(struct parquet *p, uint32_t node, unsigned r, struct buf *entries,
                      struct err *err) {
  const struct pq_node *n = &p->footer.nodes[node];
  uint32_t value = p->footer.nodes[n->first].next;
  struct entry e = {.at = p->out.len};
  int rc = emit_key(p, n->first, r, err);
  buf_addc(&p->out, ':');
  e.value = p->out.len;
  if (!rc && value != PQ_NONE && p->footer.nodes[value].selected)
    rc = emit(p, value, r, n->def, err);
  else
    buf_adds(&p->out, "null");
  e.end = p->out.len;
  if (!p->too_long) buf_add(entries, &e, sizeof e);
  return rc;
}

static uint64_t key_hash(const char *s, size_t n) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 1099511628211u;
  return h ^ h >> 29;
}

/* Writes the entries again without those that a later one of the same key replaces. */
static int settle_entries(struct parquet *p, size_t from, struct entry *e, size_t count,
                          struct err *err) {
  size_t cap = 4, doubles = 0;
  while (cap < 2 * count) cap *= 2;
  uint32_t *slots = mem_array(cap, sizeof *slots);
  if (!slots) return err_nomem(err, cap * sizeof *slots, "a map");
  memset(slots, 0xFF, cap * sizeof *slots);
  for (size_t i = 0; i < count; i++) {
    const char *key = p->out.data + e[i].at;
    size_t n = e[i].value - e[i].at, s = key_hash(key, n) & (cap - 1);
    for (; slots[s] != UINT32_MAX; s = (s + 1) & (cap - 1)) {
      struct entry *other = &e[slots[s]];
      if (other->value - other->at == n && !memcmp(p->out.data + other->at, key, n)) break;
    }
    if (slots[s] == UINT32_MAX) {
      slots[s] = (uint32_t)i;
    } else { /* the earlier one takes this value; this one goes */
      struct entry *other = &e[slots[s]];
      other->at = e[i].at, other->value = e[i].value, other->end = e[i].end;
      e[i].at = SIZE_MAX, doubles++;
    }
  }
  mem_free(slots);
  if (!doubles) return 0;
  struct buf again;
  buf_init(&again);
  for (size_t i = 0; i < count; i++) {
    if (e[i].at == SIZE_MAX) continue;
    if (again.len) buf_addc(&again, ',');
    buf_add(&again, p->out.data + e[i].at, e[i].end - e[i].at);
  }
  p->out.len = from;
  buf_add(&p->out, again.data, again.len);
  int rc = buf_check(&again, "a map", err);
  buf_clear(&again);
  return rc;
}

static int emit_object(struct parquet *p, uint32_t pair, unsigned r, struct err *err) {
  const struct pq_node *n = &p->footer.nodes[pair];
  struct pq_column *probe = &p->columns[n->probe];
  struct buf entries;
  size_t from = p->out.len;
  int rc = 0;
  buf_init(&entries);
  for (bool first = true; !rc; first = false, r = n->rep) {
    if (!first) buf_addc(&p->out, ',');
    rc = emit_entry(p, pair, r, &entries, err);
    if (rc) break;
    int got = pq_column_peek(probe, err);
    if (got < 0) rc = err ? err->code : ERR_FORMAT;
    if (got <= 0 || probe->r != n->rep) break;
  }
  if (!rc) rc = buf_check(&entries, "a map", err);
  if (!rc && !p->too_long)
    rc = settle_entries(p, from, (struct entry *)(void *)entries.data,
                        entries.len / sizeof(struct entry), err);
  buf_clear(&entries);
  return rc;
}

static int emit_map(struct parquet *p, uint32_t node, unsigned r, struct err *err) {
  const struct pq_node *map = &p->footer.nodes[node], *pair = &p->footer.nodes[map->first];
  const struct pq_node *key = &p->footer.nodes[pair->first];
  if (!key_is_text(key) || !key->selected) return emit_list(p, map->first, r, map->def, err);
  int has = begin_list(p, pair, r, map->def, "{}", err);
  if (has <= 0) return has < 0 ? (err ? err->code : ERR_FORMAT) : 0;
  buf_addc(&p->out, '{');
  int rc = emit_object(p, map->first, r, err);
  buf_addc(&p->out, '}');
  return rc;
}

/* ---- structs ---- */

static int emit_struct(struct parquet *p, const struct pq_node *n, unsigned r, struct err *err) {
  bool any = false;
  buf_addc(&p->out, '{');
  for (uint32_t c = n->first; c != PQ_NONE; c = p->footer.nodes[c].next) {
    const struct pq_node *child = &p->footer.nodes[c];
    if (!child->selected) continue;
    size_t at = p->out.len;
    if (any) buf_addc(&p->out, ',');
    buf_add(&p->out, p->footer.keys.data + child->key_at, child->key_n);
    buf_addc(&p->out, ':');
    size_t value = p->out.len;
    int rc = emit(p, c, r, n->def, err);
    if (rc) return rc;
    if (p->drop_nulls && !p->too_long && p->out.len == value + 4 &&
        !memcmp(p->out.data + value, "null", 4))
      p->out.len = at;
    else
      any = true;
  }
  buf_addc(&p->out, '}');
  return 0;
}

/* A node whose presence is settled. */
static int emit_present(struct parquet *p, uint32_t node, unsigned r, struct err *err) {
  const struct pq_node *n = &p->footer.nodes[node];
  shorten(p);
  if (n->leaf) return emit_leaf(p, n, r, err);
  if (n->meaning == PQ_IS_LIST) return emit_list(p, n->first, r, n->def, err);
  if (n->meaning == PQ_IS_MAP) return emit_map(p, node, r, err);
  return emit_struct(p, n, r, err);
}

/* A node of a record whose ancestors are there, up to definition level `least`. */
static int emit(struct parquet *p, uint32_t node, unsigned r, unsigned least, struct err *err) {
  const struct pq_node *n = &p->footer.nodes[node];
  if (n->probe == PQ_NONE || n->repetition == PQ_REQUIRED) return emit_present(p, node, r, err);
  if (n->repetition == PQ_REPEATED) return emit_list(p, node, r, least, err);
  int rc = look(p, n->probe, r, least, err);
  if (rc) return rc;
  if (p->columns[n->probe].d < n->def) return emit_nothing(p, n, r, least, "null", err);
  return emit_present(p, node, r, err);
}

static int begin_group(struct parquet *p, struct err *err) {
  const struct pq_footer *f = &p->footer;
  const struct pq_group *g = &f->groups[p->group++];
  p->rows_left = (uint64_t)g->rows;
  for (size_t i = 0; i < f->leaf_count; i++) {
    const struct pq_node *n = &f->nodes[f->leaves[i]];
    if (!n->selected) continue;
    int rc = pq_column_open(&p->columns[i], p->fd, n, &f->chunks[g->first + i], err);
    if (rc) return rc;
  }
  return 0;
}

static int next_record(struct parquet *p, struct err *err) {
  buf_reset(&p->out);
  p->too_long = false;
  p->rows_left--, p->row++;
  if (p->row % 4096 == 0) {
    int rc = cancel_check(err);
    if (rc) return rc;
  }
  int rc = emit_struct(p, &p->footer.nodes[0], 0, err);
  shorten(p);
  if (!rc) rc = buf_check(&p->out, "a Parquet record", err);
  if (rc) return rc;
  p->bytes += p->out.len + 1;
  if (p->bytes > GROWTH_MIN && p->bytes / GROWTH_MAX > p->size)
    return err_set(err, ERR_LIMIT, "the records are more than %d times the file's bytes: a bomb",
                   GROWTH_MAX);
  return 0;
}

void parquet_rewind(struct parquet *p) {
  p->group = 0;
  p->rows_left = p->row = p->bytes = 0;
}

int parquet_next(struct parquet *p, struct parquet_line *line, struct err *err) {
  int rc = 0;
  while (!rc && !p->rows_left && p->group < p->footer.group_count) rc = begin_group(p, err);
  if (!rc && !p->rows_left) return 0;
  if (!rc) rc = next_record(p, err);
  if (rc) {
    err_prefix(err, "%s: row %llu", p->path, (unsigned long long)p->row);
    return -1;
  }
  line->text = p->too_long ? NULL : p->out.data;
  line->n = p->too_long ? 0 : p->out.len;
  line->number = p->row;
  return 1;
}

/* SPDX-License-Identifier: MIT */
/* Records; see record.h for the picture.
 *
 * A source is a text with its tape: the record's own line first, then one for each value assigned.
 * A node whose `members` is NULL is exactly the tape's value. Members taken from the tape stand
 * first and in tape order, so that a key found on the tape is found among them by bisection; new
 * keys follow. A removed member stays in its slot, marked, so that a walk survives removals.
 */
#include "json/record.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "json/tape.h"

#include <string.h>

#define DEPTH 512
#define SPARE 512 /* bytes a record in a block has for nodes and members, before it takes memory */
#define KIDS  8   /* containers found in an object before its members are taken */

struct source {
  struct source *next;
  struct json *j;
  size_t size;
  char text[];
};

struct member {
  const struct json *key_j; /* of the key; NULL in arrays */
  json_id key;
  const struct json *j;
  json_id v;
  struct source *own; /* what was assigned, while no node was made from it; freed when replaced */
  struct source *own_key;
  struct record_node *node;
  bool removed;
};

struct record_node {
  struct record *record;
  struct record_node *next; /* all nodes of the record */
  struct record_node *parent;
  struct record_node *kids, *sibling; /* found on the tape while the members are not taken */
  const struct json *j;
  json_id v;
  struct member *members;
  size_t count, cap, taken; /* slots; slots that came from the tape */
  size_t live;              /* slots not removed */
  unsigned depth;
  uint8_t kid_count;
  bool array, dirty;
  bool inside, members_inside; /* in the record's own block */
};

struct record {
  struct source *sources; /* kept until the end */
  struct record_node *nodes;
  struct record_node *root;
  size_t memory;
  char *spare; /* of the block, for nodes and members; aligned to 8 */
  size_t room;
};

/* ---- life ---- */

static int new_source(struct source **out, const char *text, size_t n,
                      const struct json_limits *limits, struct err *err) {
  struct source *s = mem_alloc(sizeof *s + n);
  if (!s) return err_nomem(err, n, "a record");
  s->next = NULL;
  s->size = n;
  if (n) memcpy(s->text, text, n);
  int rc = json_parse(&s->j, s->text, n, limits, err);
  if (rc) {
    mem_free(s);
    return rc;
  }
  *out = s;
  return 0;
}

static void free_source(struct source *s) {
  if (!s) return;
  json_free(s->j);
  mem_free(s);
}

static size_t source_memory(const struct source *s) {
  return s ? sizeof *s + s->size + json_memory(s->j) : 0;
}

static void keep_source(struct record *r, struct source *s) {
  if (!s) return;
  s->next = r->sources;
  r->sources = s;
}

/* Cleared memory from the record's block, or NULL when it has no more. */
static void *take_spare(struct record *r, size_t size) {
  size = (size + 7) & ~(size_t)7;
  if (size > r->room) return NULL;
  void *p = r->spare;
  r->spare += size;
  r->room -= size;
  return memset(p, 0, size);
}

static void init_node(struct record_node *node, struct record *r, struct record_node *parent,
                      const struct json *j, json_id v) {
  node->record = r;
  node->parent = parent;
  node->depth = parent ? parent->depth + 1 : 0;
  node->j = j;
  node->v = v;
  node->array = json_kind(j, v) == JSON_ARRAY;
  node->live = json_count(j, v);
  node->next = r->nodes;
  r->nodes = node;
}

static struct record_node *new_node(struct record *r, struct record_node *parent,
                                    const struct json *j, json_id v, struct err *err) {
  struct record_node *node = take_spare(r, sizeof *node);
  bool inside = node != NULL;
  if (!inside) node = mem_zero(sizeof *node);
  if (!node) {
    err_nomem(err, sizeof *node, "a record");
    return NULL;
  }
  node->inside = inside;
  if (!inside) r->memory += sizeof *node;
  init_node(node, r, parent, j, v);
  return node;
}

int record_parse(struct record **out, const char *text, size_t n, const struct json_limits *limits,
                 struct err *err) {
  struct json_limits given = limits ? *limits : (struct json_limits){0};
  if (!given.max_depth || given.max_depth > DEPTH) given.max_depth = DEPTH;
  struct source *s = NULL;
  struct record *r = NULL;
  *out = NULL;
  int rc = new_source(&s, text, n, &given, err);
  if (rc) return rc;
  if (json_kind(s->j, JSON_ROOT) != JSON_OBJECT) {
    rc = err_set(err, ERR_FORMAT, "byte %zu: expected a record { … }, got %s",
                 json_offset(s->j, JSON_ROOT), json_kind_name(json_kind(s->j, JSON_ROOT)));
    goto done;
  }
  r = mem_zero(sizeof *r);
  if (!r) {
    rc = err_nomem(err, sizeof *r, "a record");
    goto done;
  }
  r->memory = sizeof *r + source_memory(s);
  keep_source(r, s);
  r->root = new_node(r, NULL, s->j, JSON_ROOT, err);
  s = NULL;
  if (!r->root) rc = ERR_NOMEM;
done:
  free_source(s);
  if (rc)
    record_free(r);
  else
    *out = r;
  return rc;
}

static void release(struct record *r) {
  for (struct record_node *node = r->nodes, *next; node; node = next) {
    next = node->next;
    for (size_t i = 0; i < node->count; i++) {
      free_source(node->members[i].own);
      free_source(node->members[i].own_key);
    }
    if (!node->members_inside) mem_free(node->members);
    if (!node->inside) mem_free(node);
  }
  for (struct source *s = r->sources, *next; s; s = next) {
    next = s->next;
    free_source(s);
  }
}

void record_free(struct record *r) {
  if (!r) return;
  release(r);
  mem_free(r);
}

/* ---- records in one block ---- record, root, spare bytes, tape */

_Static_assert(sizeof(struct record) % 8 == 0 && sizeof(struct record_node) % 8 == 0, "aligned");

size_t record_block_size(const struct json *tape) {
  return sizeof(struct record) + sizeof(struct record_node) + SPARE + json_packed_size(tape);
}

int record_place(struct record **out, void *block, const struct json *tape, struct err *err) {
  if (json_kind(tape, JSON_ROOT) != JSON_OBJECT)
    return err_set(err, ERR_FORMAT, "byte %zu: expected a record { … }, got %s",
                   json_offset(tape, JSON_ROOT), json_kind_name(json_kind(tape, JSON_ROOT)));
  struct record *r = block;
  struct record_node *root = (struct record_node *)(r + 1);
  char *spare = (char *)(root + 1);
  *r = (struct record){.root = root, .spare = spare, .room = SPARE};
  *root = (struct record_node){.inside = true};
  init_node(root, r, NULL, json_pack(spare + SPARE, tape), JSON_ROOT);
  *out = r;
  return 0;
}

void record_release(struct record *r) {
  release(r);
  r->nodes = NULL;
  r->sources = NULL;
  r->room = 0;
}

static size_t capacity(size_t want) {
  return want < 4 ? 4 : want + want / 4;
}

bool record_reads_inside(const struct record_node *node, bool all) {
  size_t need = 0, n = json_count(node->j, node->v);
  if (!node->members && (all || node->array || node->kid_count >= KIDS)) {
    if (n > SPARE / sizeof(struct member)) return false;
    need = capacity(n + 1) * sizeof(struct member);
  }
  return need + sizeof *node <= node->record->room;
}

const char *record_raw(const struct record_node *node, size_t *n) {
  return node->dirty ? NULL : json_raw(node->j, node->v, n);
}

struct record_node *record_root(struct record *r) {
  return r->root;
}
size_t record_memory(const struct record *r) {
  return r->memory;
}
bool record_is_array(const struct record_node *node) {
  return node->array;
}
size_t record_count(const struct record_node *node) {
  return node->live;
}

/* ---- members ---- */

static int reserve(struct record_node *node, size_t want, struct err *err) {
  if (want <= node->cap && node->members) return 0;
  size_t cap = capacity(want);
  struct member *m = NULL, *old = node->members;
  if (!old && cap <= SPARE / sizeof *m) m = take_spare(node->record, cap * sizeof *m);
  bool inside = m != NULL;
  if (!m) {
    m = mem_rearray(node->members_inside ? NULL : old, cap, sizeof *m);
    if (!m) return err_nomem(err, (unsigned long long)cap * sizeof *m, "a record");
    if (node->members_inside && old) memcpy(m, old, node->count * sizeof *m);
    node->record->memory += (cap - node->cap) * sizeof *m;
  }
  node->members_inside = inside;
  node->members = m;
  node->cap = cap;
  return 0;
}

static struct member *bisect(const struct record_node *node, json_id v) {
  size_t low = 0, high = node->taken;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    /* a changed slot keeps its key's place on the tape */
    if (node->members[mid].key + 1 < v)
      low = mid + 1;
    else
      high = mid;
  }
  return &node->members[low];
}

/* Takes the members from the tape into slots; once. */
static int take_members(struct record_node *node, struct err *err) {
  if (node->members) return 0;
  if (reserve(node, json_count(node->j, node->v) + 1, err)) return ERR_NOMEM;
  struct json_iter it = json_iter(node->j, node->v);
  while (json_each(&it))
    node->members[node->count++] = (struct member){
        .key_j = node->array ? NULL : node->j, .key = it.key, .j = node->j, .v = it.value};
  node->taken = node->count;
  for (struct record_node *kid = node->kids; kid; kid = kid->sibling)
    bisect(node, kid->v)->node = kid;
  node->kids = NULL;
  return 0;
}

/* Of the node and all that it is part of: before a change, which marks them. */
static int take_upwards(struct record_node *node, struct err *err) {
  int rc = 0;
  for (; node && !rc; node = node->parent) rc = take_members(node, err);
  return rc;
}

/* The node of the container v of an object whose members are not taken. */
static struct record_node *find_kid(struct record_node *node, json_id v, struct err *err) {
  struct record_node *kid = node->kids;
  while (kid && kid->v != v) kid = kid->sibling;
  if (kid) return kid;
  kid = new_node(node->record, node, node->j, v, err);
  if (!kid) return NULL;
  kid->sibling = node->kids;
  node->kids = kid;
  node->kid_count++;
  return kid;
}

/* The slot of a key in a node with members, or NULL. */
static struct member *find_slot(const struct record_node *node, const char *key, size_t n) {
  json_id v = json_getn(node->j, node->v, key, n);
  if (v != JSON_NONE && !bisect(node, v)->removed) return bisect(node, v);
  for (size_t i = node->taken; i < node->count; i++) {
    struct member *m = &node->members[i];
    if (!m->removed && tape_key_is(m->key_j, m->key, key, n)) return m;
  }
  return NULL;
}

static bool is_container(enum json_kind kind) {
  return kind == JSON_ARRAY || kind == JSON_OBJECT;
}

static int slot_value(struct record_node *node, struct member *m, struct record_value *out,
                      struct err *err) {
  enum json_kind kind = json_kind(m->j, m->v);
  if (is_container(kind) && !m->node) {
    m->node = new_node(node->record, node, m->j, m->v, err);
    if (!m->node) return -1;
    keep_source(node->record, m->own);
    m->own = NULL;
  }
  *out = (struct record_value){.kind = kind, .node = m->node, .j = m->j, .v = m->v};
  return 1;
}

int record_get(struct record_node *node, const char *key, size_t n, struct record_value *out,
               struct err *err) {
  if (node->array) return 0;
  if (!node->members) {
    json_id v = json_getn(node->j, node->v, key, n);
    if (v == JSON_NONE) return 0;
    *out = (struct record_value){.kind = json_kind(node->j, v), .j = node->j, .v = v};
    if (!is_container(out->kind)) return 1;
    if (node->kid_count < KIDS) return (out->node = find_kid(node, v, err)) ? 1 : -1;
    if (take_members(node, err)) return -1;
  }
  struct member *m = find_slot(node, key, n);
  return m ? slot_value(node, m, out, err) : 0;
}

int record_at(struct record_node *node, size_t i, struct record_value *out, struct err *err) {
  if (!node->array || i >= node->live) return 0;
  if (take_members(node, err)) return -1;
  return slot_value(node, &node->members[i], out, err);
}

static bool position(const char *s, size_t n, size_t *out) {
  size_t v = 0;
  if (n == 0 || n > 9) return false;
  for (size_t i = 0; i < n; i++) {
    if (s[i] < '0' || s[i] > '9') return false;
    v = v * 10 + (size_t)(s[i] - '0');
  }
  *out = v - 1;
  return v > 0;
}

int record_find(struct record_node *node, const char *path, size_t n, struct record_value *out,
                struct err *err) {
  for (;;) {
    const char *point = memchr(path, '.', n);
    size_t len = point ? (size_t)(point - path) : n, i;
    int rc = node->array ? position(path, len, &i) ? record_at(node, i, out, err) : 0
                         : record_get(node, path, len, out, err);
    if (rc <= 0 || !point) return rc;
    if (!out->node) return 0;
    node = out->node;
    path += len + 1;
    n -= len + 1;
  }
}

int record_next(struct record_node *node, size_t *at, const struct json **key_j, json_id *key,
                struct record_value *out, struct err *err) {
  if (take_members(node, err)) return -1;
  while (*at < node->count && node->members[*at].removed) ++*at;
  if (*at >= node->count) return 0;
  struct member *m = &node->members[(*at)++];
  *key_j = m->key_j;
  *key = m->key_j ? m->key : JSON_NONE;
  return slot_value(node, m, out, err);
}

/* ---- changes ---- */

static void mark_dirty(struct record_node *node) {
  for (; node && !node->dirty; node = node->parent) node->dirty = true;
}

static void drop_value(struct record *r, struct member *m) {
  if (m->node) m->node->parent = NULL;
  m->node = NULL;
  r->memory -= source_memory(m->own);
  free_source(m->own);
  m->own = NULL;
}

static int value_source(struct record_node *node, const char *json, size_t n, struct source **out,
                        struct err *err) {
  struct json_limits limits = {.max_depth = DEPTH - 1 - node->depth};
  if (node->depth + 2 > DEPTH) return err_set(err, ERR_LIMIT, "nested deeper than %d", DEPTH);
  return new_source(out, json, n, &limits, err);
}

static void put_value(struct record_node *node, struct member *m, struct source *s) {
  drop_value(node->record, m);
  node->record->memory += source_memory(s);
  m->own = s;
  m->j = s->j;
  m->v = JSON_ROOT;
  mark_dirty(node);
}

static int key_source(const char *key, size_t n, struct source **out, struct err *err) {
  struct buf quoted;
  if (utf8_check(key, n) < n) return err_set(err, ERR_FORMAT, "a key is not UTF-8");
  if (memchr(key, 0, n)) return err_set(err, ERR_FORMAT, "U+0000 in a key");
  buf_init(&quoted);
  json_put_string(&quoted, key, n);
  int rc = buf_check(&quoted, "a record", err);
  if (!rc) rc = new_source(out, quoted.data, quoted.len, NULL, err);
  buf_clear(&quoted);
  return rc;
}

static void remove_slot(struct record_node *node, struct member *m) {
  drop_value(node->record, m);
  m->removed = true;
  node->live--;
  mark_dirty(node);
}

int record_set(struct record_node *node, const char *key, size_t key_n, const char *json, size_t n,
               struct err *err) {
  struct source *value = NULL, *new_key = NULL;
  int rc;
  if (node->array) return err_set(err, ERR_MISUSE, "an array has no field names");
  if ((rc = take_upwards(node, err))) return rc;
  struct member *m = find_slot(node, key, key_n);
  if (!json) {
    if (m) remove_slot(node, m);
    return 0;
  }
  if ((rc = value_source(node, json, n, &value, err))) return rc;
  if (!m) {
    if ((rc = reserve(node, node->count + 1, err))) goto done;
    if ((rc = key_source(key, key_n, &new_key, err))) goto done;
    m = &node->members[node->count++];
    *m = (struct member){.key_j = new_key->j, .key = JSON_ROOT, .own_key = new_key};
    node->record->memory += source_memory(new_key);
    node->live++;
  }
  put_value(node, m, value);
  value = NULL;
done:
  free_source(value);
  return rc;
}

int record_set_at(struct record_node *node, size_t i, const char *json, size_t n, struct err *err) {
  struct source *value = NULL;
  int rc;
  if (!node->array) return err_set(err, ERR_MISUSE, "an object has no positions");
  if (i > node->live || (!json && i + 1 < node->live))
    return err_set(err, ERR_MISUSE, "position %zu of an array of %zu: only the end can move", i + 1,
                   node->live);
  if ((rc = take_upwards(node, err))) return rc;
  if (!json) {
    if (i < node->live) {
      remove_slot(node, &node->members[i]);
      node->count--; /* the last slot: nothing behind it can be at hand */
    }
    return 0;
  }
  if ((rc = value_source(node, json, n, &value, err))) return rc;
  if (i == node->live) {
    if ((rc = reserve(node, node->count + 1, err))) {
      free_source(value);
      return rc;
    }
    node->members[node->count++] = (struct member){0};
    node->live++;
  }
  put_value(node, &node->members[i], value);
  return 0;
}

/* ---- writing ---- */

struct style {
  bool space_after_colon, space_after_comma;
};

/* The spacing of the node's own text, where it shows. */
static struct style own_style(const struct record_node *node, struct style style) {
  struct json_iter it = json_iter(node->j, node->v);
  if (!json_each(&it)) return style;
  size_t n;
  const char *first = json_raw(node->j, it.value, &n), *after = first + n;
  bool colon = it.object && first[-1] == ' ';
  if (it.object) style = (struct style){colon, colon};
  if (json_each(&it)) {
    const char *second = json_raw(node->j, it.object ? it.key : it.value, &n);
    style.space_after_comma = second[-1] == ' ' && second > after;
  }
  return style;
}

/* Depth is bounded: values assigned are parsed with what is left of it. */
static void encode(const struct record_node *node, struct style style, struct buf *out) {
  size_t n;
  if (!node->dirty) {
    const char *raw = json_raw(node->j, node->v, &n);
    buf_add(out, raw, n);
    return;
  }
  bool first = true;
  style = own_style(node, style);
  buf_addc(out, node->array ? '[' : '{');
  for (size_t i = 0; i < node->count; i++) {
    const struct member *m = &node->members[i];
    if (m->removed) continue;
    if (!first) buf_adds(out, style.space_after_comma ? ", " : ",");
    first = false;
    if (!node->array) {
      const char *key = json_raw(m->key_j, m->key, &n);
      buf_add(out, key, n);
      buf_adds(out, style.space_after_colon ? ": " : ":");
    }
    if (m->node) {
      encode(m->node, style, out);
    } else {
      const char *raw = json_raw(m->j, m->v, &n);
      buf_add(out, raw, n);
    }
  }
  buf_addc(out, node->array ? ']' : '}');
}

void record_encode(const struct record_node *node, struct buf *out) {
  encode(node, (struct style){false, false}, out);
}

/* ---- showing ---- */

#define SHOW_BYTES   72
#define SHOW_MEMBERS 40

static void show_scalar(const struct json *j, json_id v, struct buf *out) {
  size_t n;
  const char *raw = json_raw(j, v, &n);
  if (n <= SHOW_BYTES) {
    buf_add(out, raw, n);
    return;
  }
  buf_add(out, raw, utf8_floor(raw, n, SHOW_BYTES));
  buf_addf(out, "…\" (%zu bytes)", n - 2);
}

static int show_node(struct record_node *node, struct buf *out, struct err *err) {
  const struct json *key_j;
  struct record_value value;
  json_id key;
  size_t at = 0, n;
  int rc, shown = 0;
  if (node->array) {
    buf_addf(out, "[ %zu ]", record_count(node));
    return 0;
  }
  buf_addc(out, '{');
  while ((rc = record_next(node, &at, &key_j, &key, &value, err)) > 0 && shown++ < 12) {
    const char *name = json_raw(key_j, key, &n);
    buf_addf(out, "%s%.*s", shown > 1 ? ", " : " ", (int)(n - 2), name + 1);
  }
  buf_adds(out, rc > 0 ? ", … }" : " }");
  return rc < 0 ? ERR_NOMEM : 0;
}

static int show_value(const struct record_value *value, struct buf *out, struct err *err) {
  if (value->node) return show_node(value->node, out, err);
  show_scalar(value->j, value->v, out);
  return 0;
}

int record_show(struct record_node *node, struct buf *out, struct err *err) {
  const struct json *key_j;
  struct record_value value;
  json_id key;
  size_t at = 0, n, shown = 0;
  int rc;
  buf_addf(out, "%s of %zu %s", node->array ? "array" : "record", record_count(node),
           node->array ? "elements" : "fields");
  while ((rc = record_next(node, &at, &key_j, &key, &value, err)) > 0) {
    if (shown++ == SHOW_MEMBERS) {
      buf_addf(out, "\n  … and %zu more", record_count(node) - SHOW_MEMBERS);
      break;
    }
    if (key_j) {
      const char *name = json_raw(key_j, key, &n);
      buf_addf(out, "\n  %-12.*s ", (int)(n - 2), name + 1);
    } else {
      buf_addf(out, "\n  [%zu] ", shown);
    }
    if (show_value(&value, out, err)) return ERR_NOMEM;
  }
  return rc < 0 ? ERR_NOMEM : buf_check(out, "a record", err);
}

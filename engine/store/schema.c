/* SPDX-License-Identifier: MIT */
/* Learning columns from records; see schema.h for the rules. A record's members mostly come in the
 * same order, so the place where the last one was found is tried first. */
#include "store/schema.h"

#include "base/hash.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

#define FORCED     (1u << 20) /* the type was given: what is seen does not matter */
#define INDEX_FROM 16         /* members from which a table is kept */

void schema_init(struct schema *s) {
  memset(s, 0, sizeof *s);
}

static void node_clear(struct schema_node *n) {
  for (size_t i = 0; i < n->count; i++) {
    node_clear(n->members[i]);
    mem_free(n->members[i]);
  }
  if (n->element) node_clear(n->element);
  mem_free(n->element);
  mem_free(n->members);
  mem_free(n->slots);
  mem_free(n->name);
}

void schema_clear(struct schema *s) {
  node_clear(&s->root);
  schema_init(s);
}

static bool name_is(const struct schema_node *n, const char *name, size_t len) {
  return n->name_n == len && !memcmp(n->name, name, len);
}

size_t schema_find(const struct schema_node *n, const char *name, size_t len, size_t expect) {
  if (expect < n->count && name_is(n->members[expect], name, len)) return expect;
  if (n->slot_cap) {
    size_t at = hash_xxh3(name, len, 0) & (n->slot_cap - 1);
    for (; n->slots[at] != UINT32_MAX; at = (at + 1) & (n->slot_cap - 1))
      if (name_is(n->members[n->slots[at]], name, len)) return n->slots[at];
    return SIZE_MAX;
  }
  for (size_t i = 0; i < n->count; i++)
    if (name_is(n->members[i], name, len)) return i;
  return SIZE_MAX;
}

static void index_member(struct schema_node *n, size_t i) {
  size_t at = hash_xxh3(n->members[i]->name, n->members[i]->name_n, 0) & (n->slot_cap - 1);
  while (n->slots[at] != UINT32_MAX) at = (at + 1) & (n->slot_cap - 1);
  n->slots[at] = (uint32_t)i;
}

static int grow_index(struct schema_node *n, struct err *err) {
  if (n->count < INDEX_FROM || 2 * n->count <= n->slot_cap) return 0;
  size_t cap = n->slot_cap ? 2 * n->slot_cap : 4 * INDEX_FROM;
  uint32_t *slots = mem_array(cap, sizeof *slots);
  if (!slots) return err_nomem(err, cap * sizeof *slots, "a schema");
  memset(slots, 0xFF, cap * sizeof *slots);
  mem_free(n->slots);
  n->slots = slots, n->slot_cap = cap;
  for (size_t i = 0; i + 1 < n->count; i++) index_member(n, i);
  return 0;
}

static int add_member(struct schema *s, struct schema_node *n, const char *name, size_t len,
                      struct err *err) {
  if (n->count == n->cap) {
    size_t cap = n->cap ? 2 * n->cap : 8;
    struct schema_node **bigger = mem_rearray(n->members, cap, sizeof *bigger);
    if (!bigger) return err_nomem(err, cap * sizeof *bigger, "a schema");
    n->members = bigger, n->cap = cap;
  }
  struct schema_node *m = mem_zero(sizeof *m);
  if (m) m->name = mem_dup(name, len);
  if (!m || !m->name) {
    mem_free(m);
    return err_nomem(err, len, "a schema");
  }
  m->name_n = len;
  n->members[n->count++] = m;
  s->nodes++;
  int rc = grow_index(n, err);
  if (!rc && n->slot_cap) index_member(n, n->count - 1);
  return rc;
}

/* ---- observing ---- */

static int observe(struct schema *s, struct schema_node *n, const struct json *j, json_id v,
                   unsigned depth, struct err *err);

static int observe_object(struct schema *s, struct schema_node *n, const struct json *j, json_id v,
                          unsigned depth, struct err *err) {
  struct json_iter it = json_iter(j, v);
  struct buf scratch;
  size_t expect = 0;
  int rc = 0;
  buf_init(&scratch);
  while (!rc && json_each(&it)) {
    size_t len;
    const char *name = json_string(j, it.key, &scratch, &len);
    if (!name) {
      rc = err_nomem(err, len, "a name");
      break;
    }
    size_t i = schema_find(n, name, len, expect);
    if (i == SIZE_MAX) {
      if (n->count > SCHEMA_MEMBERS_MAX && depth) break; /* JSON already */
      rc = add_member(s, n, name, len, err);
      i = n->count - 1;
    }
    if (!rc) rc = observe(s, n->members[i], j, it.value, depth + 1, err);
    expect = i + 1;
  }
  buf_clear(&scratch);
  return rc;
}

static int observe(struct schema *s, struct schema_node *n, const struct json *j, json_id v,
                   unsigned depth, struct err *err) {
  enum json_kind kind = json_kind(j, v);
  int64_t i;
  double d;
  if (kind == JSON_FALSE) kind = JSON_TRUE;
  n->seen |= 1u << kind;
  if (n->seen & FORCED) return 0;
  if (kind == JSON_INT && json_int(j, v, &i) && (i > SCHEMA_EXACT || i < -SCHEMA_EXACT))
    n->seen |= SCHEMA_BIG;
  if (kind == JSON_REAL && json_double(j, v, &d) && !isfinite(d))
    n->seen |= SCHEMA_BIG | 1u << JSON_INT; /* as a mixture that no double holds */
  if (depth >= SCHEMA_DEPTH_MAX) return 0;
  if (kind == JSON_OBJECT) return observe_object(s, n, j, v, depth, err);
  if (kind != JSON_ARRAY) return 0;
  if (!n->element) {
    if (!(n->element = mem_zero(sizeof *n->element))) return err_nomem(err, sizeof *n, "a schema");
    s->nodes++;
  }
  struct json_iter it = json_iter(j, v);
  int rc = 0;
  while (!rc && json_each(&it)) rc = observe(s, n->element, j, it.value, depth + 1, err);
  return rc;
}

int schema_observe(struct schema *s, const struct json *j, struct err *err) {
  return observe(s, &s->root, j, JSON_ROOT, 0, err);
}

/* ---- settling ---- */

static enum schema_type type_of(const struct schema_node *n, unsigned depth) {
  const unsigned number = 1u << JSON_INT | 1u << JSON_REAL;
  unsigned seen = n->seen & ~(1u << JSON_NULL | SCHEMA_BIG);
  if (!seen || seen == 1u << JSON_STRING) return SCHEMA_STRING;
  if (seen == 1u << JSON_TRUE) return SCHEMA_BOOL;
  if (seen == 1u << JSON_INT) return SCHEMA_INT;
  if (!(seen & ~number))
    return seen == number && n->seen & SCHEMA_BIG ? SCHEMA_JSON : SCHEMA_DOUBLE;
  if (depth >= SCHEMA_DEPTH_MAX) return SCHEMA_JSON;
  if (seen == 1u << JSON_ARRAY) return SCHEMA_LIST;
  if (seen == 1u << JSON_OBJECT && n->count && n->count <= SCHEMA_MEMBERS_MAX) return SCHEMA_STRUCT;
  return SCHEMA_JSON;
}

/* def, rep: of the node around it. */
static void settle(struct schema *s, struct schema_node *n, unsigned depth, unsigned def,
                   unsigned rep) {
  if (!(n->seen & FORCED)) n->type = depth ? type_of(n, depth) : SCHEMA_STRUCT;
  n->def = depth ? def + 1 : 0;
  n->rep = rep + (n->type == SCHEMA_LIST);
  n->leaf_from = s->leaves;
  if (n->type == SCHEMA_STRUCT)
    for (size_t i = 0; i < n->count; i++) settle(s, n->members[i], depth + 1, n->def, n->rep);
  else if (n->type == SCHEMA_LIST)
    settle(s, n->element, depth + 1, n->def + 1, n->rep);
  else
    s->leaves++;
  n->leaf_to = s->leaves;
}

void schema_settle(struct schema *s) {
  s->leaves = 0;
  settle(s, &s->root, 0, 0, 0);
}

bool schema_is_memberless(const struct schema_node *n) {
  return (n->seen & ~(1u << JSON_NULL)) == 1u << JSON_OBJECT && !n->count;
}

/* ---- given schemas ---- */

static const char *const names[] = {"string", "int64", "double", "bool", "json"};

bool schema_type_named(const char *name, enum schema_type *out) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(names[i], name)) return *out = (enum schema_type)i, true;
  return false;
}

int schema_force(struct schema *s, const char *name, enum schema_type type, struct err *err) {
  size_t n = strlen(name), i = schema_find(&s->root, name, n, 0);
  int rc = 0;
  if (i == SIZE_MAX) {
    rc = add_member(s, &s->root, name, n, err);
    i = s->root.count - 1;
  }
  if (rc) return rc;
  s->root.members[i]->seen |= FORCED;
  s->root.members[i]->type = type;
  return 0;
}

void schema_show(const struct schema_node *n, struct buf *out) {
  if (n->type == SCHEMA_LIST) {
    buf_addc(out, '[');
    if (n->element) schema_show(n->element, out);
    buf_addc(out, ']');
  } else if (n->type == SCHEMA_STRUCT) {
    for (size_t i = 0; i < n->count; i++) {
      buf_addc(out, i ? ',' : '{');
      json_put_string(out, n->members[i]->name, n->members[i]->name_n);
      buf_addc(out, ':');
      schema_show(n->members[i], out);
    }
    buf_adds(out, n->count ? "}" : "{}");
  } else {
    buf_addf(out, "\"%s\"", names[n->type]);
  }
}

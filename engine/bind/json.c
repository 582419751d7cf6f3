/* SPDX-License-Identifier: MIT */
/* require "engine.json": JSON text to Lua values and back, and records.
 *
 *   json.decode(text)    tables that remember the order of their keys; json.null; [] and {}
 * distinct json.encode(value)   the reverse; plain tables with sorted keys, so that the bytes are
 * fixed json.record(line)    a record: fields decoded when read, untouched bytes kept
 * (json/record.h)
 *
 * A decoded object is a table with the metatable json.object, an array one with json.array. The
 * order of an object's keys is kept beside it, in a table with weak keys: what the table holds is
 * the user's alone. `pairs` on such an object follows that order; keys added later come last,
 * sorted.
 *
 * Loops make millions of records, so one is a single block of Lua's own memory: no finalizer, the
 * collector knows its true size, and the line is not copied but kept alive.
 *
 *   root userdata  [ box │ record, its first nodes, tape ]  ──1──► the line (a Lua string)
 *          ▲                                                ──2──► keeper, if there is one
 *          └───1── userdata of a node inside [ box ]
 *
 * What needs memory beyond the block (a change, a walk over a large object) first makes the keeper:
 * a userdata with a finalizer, which frees that memory and marks the root dead.
 */
#include "base/utf8.h"
#include "bind/bind.h"
#include "json/json.h"
#include "json/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TAPE_NAME    "lathe.json"
#define RECORD_NAME  "record"
#define ARRAY_NAME   "json.array"
#define OBJECT_NAME  "json.object"
#define NULL_NAME    "json.null"
#define SCRATCH_NAME "json.scratch"
#define KEEPER_NAME  "json.keeper"
#define DEPTH        512
#define KEEP_BYTES   ((size_t)1 << 20) /* of a buffer that is used again */
#define FEW_NAMES    32

struct tape {
  struct json *j;
};

static const char record_key, scratch_key, null_key, orders_key; /* places of the registry */

struct box {
  const char
      *magic; /* &record_key: known quicker than by the metatable, in every read of a field */
  struct record_node *node;
  struct box *root; /* itself in the root's userdata, whose the rest is */
  struct record *record;
  size_t bytes; /* outside the block, told to the collector */
  bool kept, dead;
};

struct keeper {
  struct box *root;
};

/* One per Lua state: memory that every call would otherwise take afresh. A finalizer may come in
 * between and call json functions: it finds `busy`, or leaves another number of `parses`. */
struct scratch {
  struct json *tape;
  size_t parses;
  struct buf out;
  bool busy; /* out is in use */
};

static struct scratch *get_scratch(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &scratch_key);
  struct scratch *s = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return s;
}

static int scratch_gc(lua_State *L) {
  struct scratch *s = lua_touserdata(L, 1);
  json_free(s->tape);
  buf_clear(&s->out);
  *s = (struct scratch){.busy = true};
  return 0;
}

/* ---- JSON → Lua ---- */

static void push_string(lua_State *L, const struct json *j, json_id v) {
  size_t n;
  const char *plain = json_plain_string(j, v, &n);
  if (plain) {
    lua_pushlstring(L, plain, n);
    return;
  }
  luaL_Buffer b;
  json_raw(j, v, &n);
  char *to = luaL_buffinitsize(L, &b, n);
  luaL_pushresultsize(&b, json_unescape(j, v, to));
}

static void push_null(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key);
}

static void push_scalar(lua_State *L, const struct json *j, json_id v) {
  int64_t i;
  double d;
  switch (json_kind(j, v)) {
  case JSON_FALSE:
  case JSON_TRUE:
    lua_pushboolean(L, json_kind(j, v) == JSON_TRUE);
    break;
  case JSON_INT:
    json_int(j, v, &i), lua_pushinteger(L, i);
    break;
  case JSON_REAL:
    json_double(j, v, &d), lua_pushnumber(L, d);
    break;
  case JSON_STRING:
    push_string(L, j, v);
    break;
  default:
    push_null(L);
  }
}

/* Remembers the list at the top of the stack (popped) as the order of the object at `object`. */
static void set_order(lua_State *L, int object) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &orders_key);
  lua_pushvalue(L, object);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

static int size_hint(size_t n) {
  return n < 1 << 20 ? (int)n : 1 << 20;
}

static void push_value(lua_State *L, const struct json *j, json_id v);

static void push_array(lua_State *L, const struct json *j, json_id v) {
  struct json_iter it = json_iter(j, v);
  lua_createtable(L, size_hint(json_count(j, v)), 0);
  luaL_setmetatable(L, ARRAY_NAME);
  for (lua_Integer i = 1; json_each(&it); i++) {
    push_value(L, j, it.value);
    lua_rawseti(L, -2, i);
  }
}

static void push_object(lua_State *L, const struct json *j, json_id v) {
  size_t n = json_count(j, v);
  struct json_iter it = json_iter(j, v);
  lua_createtable(L, 0, size_hint(n));
  luaL_setmetatable(L, OBJECT_NAME);
  int object = lua_gettop(L);
  if (n > 1) lua_createtable(L, size_hint(n), 0);
  for (lua_Integer i = 1; json_each(&it); i++) {
    push_string(L, j, it.key);
    if (n > 1) {
      lua_pushvalue(L, -1);
      lua_rawseti(L, object + 1, i);
    }
    push_value(L, j, it.value);
    lua_rawset(L, object);
  }
  if (n > 1) set_order(L, object);
}

/* The depth of a tape is bounded, so the recursion is. */
static void push_value(lua_State *L, const struct json *j, json_id v) {
  luaL_checkstack(L, 10, "JSON nested too deeply");
  switch (json_kind(j, v)) {
  case JSON_ARRAY:
    push_array(L, j, v);
    break;
  case JSON_OBJECT:
    push_object(L, j, v);
    break;
  default:
    push_scalar(L, j, v);
  }
}

/* Puts "line N: " or "WHERE: " before the message; arg is what the caller gave, or nothing. */
static int fail_where(lua_State *L, int arg, struct err *err) {
  if (lua_isinteger(L, arg))
    err_prefix(err, "line %lld", (long long)lua_tointeger(L, arg));
  else if (lua_isstring(L, arg))
    err_prefix(err, "%s", lua_tostring(L, arg));
  return bind_fail(L, err);
}

static int tape_gc(lua_State *L) {
  struct tape *t = lua_touserdata(L, 1);
  json_free(t->j);
  t->j = NULL;
  return 0;
}

/*** A JSON text as Lua values.
-- Objects become tables that remember the order of their keys (for pairs and encode), arrays become
-- tables marked as arrays, so that [] and {} stay distinct; null becomes json.null; whole numbers
-- become integers where they fit 64 bits.
-- @function engine.json.decode
-- @param text string: the JSON text
-- @param where string|integer: optional; put before an error message (an integer is a line number)
-- @return any: the value
-- @error format (not JSON, with the byte offset; two equal keys), limit (deeper than 512)
-- @example require("engine.json").decode('{"a": [1, 2.5, null]}').a[1] */
static int l_decode(lua_State *L) {
  size_t n;
  struct err err;
  const char *text = luaL_checklstring(L, 1, &n);
  lua_settop(L, 2);
  struct tape *t = bind_new(L, sizeof *t, TAPE_NAME);
  if (json_parse(&t->j, text, n, NULL, &err)) return fail_where(L, 2, &err);
  push_value(L, t->j, JSON_ROOT);
  json_free(t->j);
  t->j = NULL;
  return 1;
}

/* ---- Lua → JSON ---- */

struct encoder {
  lua_State *L;
  struct scratch *scratch; /* whose buffer out is, or NULL */
  struct buf *out;
  unsigned indent;
  bool sort;
};

/* Where an error is, as a chain on the C stack. */
struct place {
  const struct place *up;
  const char *key;
  lua_Integer index;
  unsigned depth;
};

static void push_place(lua_State *L, const struct place *p) {
  if (!p->up) {
    lua_pushliteral(L, "value");
    return;
  }
  push_place(L, p->up);
  if (p->key)
    lua_pushfstring(L, "%s.%s", lua_tostring(L, -1), p->key);
  else
    lua_pushfstring(L, "%s[%I]", lua_tostring(L, -1), p->index);
  lua_remove(L, -2);
}

static int cannot(struct encoder *e, const struct place *at, const char *what) {
  if (e->scratch) e->scratch->busy = false;
  luaL_checkstack(e->L, 10, NULL);
  push_place(e->L, at);
  return luaL_error(e->L, "cannot write JSON: %s: %s", lua_tostring(e->L, -1), what);
}

static void put_string(struct encoder *e, const char *s, size_t n, const struct place *at) {
  if (utf8_check(s, n) < n) cannot(e, at, "the string is not UTF-8");
  json_put_string(e->out, s, n);
}

static void put_number(struct encoder *e, int index, const struct place *at) {
  if (lua_isinteger(e->L, index)) {
    json_put_int(e->out, lua_tointeger(e->L, index));
    return;
  }
  lua_Number v = lua_tonumber(e->L, index);
  if (!isfinite(v)) cannot(e, at, "JSON has no infinity and no NaN");
  json_put_double(e->out, v);
}

static void new_line(struct encoder *e, unsigned depth) {
  if (!e->indent) return;
  buf_addc(e->out, '\n');
  for (unsigned i = 0; i < depth * e->indent; i++) buf_addc(e->out, ' ');
}

static bool has_metatable(lua_State *L, int index, const char *name) {
  if (!lua_getmetatable(L, index)) return false;
  luaL_getmetatable(L, name);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

struct name {
  const char *s;
  size_t n;
  int index; /* on the stack, where the string is held there */
};

static int by_bytes(const void *a, const void *b) {
  const struct name *x = a, *y = b;
  size_t n = x->n < y->n ? x->n : y->n;
  int order = memcmp(x->s, y->s, n);
  return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* Pushes the list of the object's keys: first those of its remembered order that it still has
 * (unless sort), then the others by their bytes. The object is at absolute index t. */
static void push_keys(lua_State *L, int t, bool sort, struct encoder *e, const struct place *at) {
  size_t count = 0, others = 0;
  lua_Integer n = 0;
  lua_newtable(L); /* the list */
  int list = lua_gettop(L);
  lua_newtable(L); /* what is in it already */
  int seen = list + 1;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &orders_key);
  lua_pushvalue(L, t);
  if (!sort && lua_rawget(L, -2) == LUA_TTABLE) {
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
      lua_pushvalue(L, -1);
      if (lua_rawget(L, t) != LUA_TNIL) {
        lua_pushvalue(L, -2);
        lua_pushboolean(L, 1);
        lua_rawset(L, seen);
        lua_pushvalue(L, -2);
        lua_rawseti(L, list, ++n);
      }
      lua_pop(L, 2);
    }
  }
  lua_settop(L, seen);
  for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      if (e) cannot(e, at, "a key that is not a string");
      luaL_error(L, "an object has a key that is not a string");
    }
    count++;
  }
  struct name *names = lua_newuserdatauv(L, (count + 1) * sizeof *names, 0);
  for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    bool is_new = lua_rawget(L, seen) == LUA_TNIL;
    lua_pop(L, 1);
    if (is_new) names[others].s = lua_tolstring(L, -2, &names[others].n), others++;
  }
  qsort(names, others, sizeof *names, by_bytes);
  for (size_t i = 0; i < others; i++) {
    lua_pushlstring(L, names[i].s, names[i].n); /* the object holds the same string */
    lua_rawseti(L, list, ++n);
  }
  lua_settop(L, list);
}

static void put_value(struct encoder *e, int index, const struct place *at);

static void put_array(struct encoder *e, int t, size_t n, const struct place *at) {
  buf_addc(e->out, '[');
  for (size_t i = 1; i <= n; i++) {
    struct place inner = {at, NULL, (lua_Integer)i, at->depth + 1};
    if (i > 1) buf_addc(e->out, ',');
    new_line(e, inner.depth);
    if (lua_rawgeti(e->L, t, (lua_Integer)i) == LUA_TNIL)
      cannot(e, &inner, "a hole in an array (write json.null)");
    put_value(e, lua_gettop(e->L), &inner);
    lua_pop(e->L, 1);
  }
  if (n) new_line(e, at->depth);
  buf_addc(e->out, ']');
}

/* Writes one member, whose key is on top of the stack. */
static void put_member(struct encoder *e, int t, bool first, const struct place *at) {
  lua_State *L = e->L;
  struct place inner = {at, NULL, 0, at->depth + 1};
  size_t n;
  inner.key = lua_tolstring(L, -1, &n);
  if (!first) buf_addc(e->out, ',');
  new_line(e, inner.depth);
  put_string(e, inner.key, n, at);
  buf_adds(e->out, e->indent ? ": " : ":");
  lua_pushvalue(L, -1);
  lua_rawget(L, t);
  put_value(e, lua_gettop(L), &inner);
  lua_pop(L, 1);
}

/* Pushes the object's keys when they are strings and few. */
static bool push_few(lua_State *L, int t, int *count) {
  *count = 0;
  luaL_checkstack(L, FEW_NAMES + 8, "nested too deeply");
  for (lua_pushnil(L); lua_next(L, t);) {
    if (*count == FEW_NAMES || lua_type(L, -2) != LUA_TSTRING) {
      lua_pop(L, *count + 2);
      return false;
    }
    ++*count;
    lua_pop(L, 1);
    lua_pushvalue(L, -1); /* one stays, one finds the next */
  }
  return true;
}

/* Whether the object's remembered order, at the index, is of exactly `count` keys that it has. */
static bool order_is_all(lua_State *L, int t, int order, int count) {
  int n = 0;
  for (lua_Integer i = 1; lua_rawgeti(L, order, i) == LUA_TSTRING; i++) {
    n += lua_rawget(L, t) != LUA_TNIL;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return n == count;
}

/* The common objects, without making tables of keys: those with few keys, either all of them in the
 * remembered order or none. False: not such a one, nothing was done. */
static bool put_small(struct encoder *e, int t, const struct place *at) {
  lua_State *L = e->L;
  struct name names[FEW_NAMES];
  int top = lua_gettop(L), count;
  bool ordered = false, first = true;
  if (!e->sort) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &orders_key);
    lua_pushvalue(L, t);
    ordered = lua_rawget(L, -2) == LUA_TTABLE;
    lua_remove(L, -2);
  } else {
    lua_pushnil(L);
  }
  int order = top + 1;
  if (!push_few(L, t, &count) || (ordered && !order_is_all(L, t, order, count))) {
    lua_settop(L, top);
    return false;
  }
  buf_addc(e->out, '{');
  if (ordered) {
    lua_settop(L, order);
    for (lua_Integer i = 1; lua_rawgeti(L, order, i) == LUA_TSTRING; i++) {
      lua_pushvalue(L, -1);
      bool has = lua_rawget(L, t) != LUA_TNIL;
      lua_pop(L, 1);
      if (has) put_member(e, t, first, at), first = false;
      lua_pop(L, 1);
    }
  } else {
    for (int i = 0; i < count; i++) {
      names[i].index = order + 1 + i;
      names[i].s = lua_tolstring(L, names[i].index, &names[i].n);
    }
    qsort(names, (size_t)count, sizeof *names, by_bytes);
    for (int i = 0; i < count; i++) {
      lua_pushvalue(L, names[i].index);
      put_member(e, t, i == 0, at);
      lua_pop(L, 1);
    }
  }
  lua_settop(L, top);
  if (count) new_line(e, at->depth);
  buf_addc(e->out, '}');
  return true;
}

static void put_object(struct encoder *e, int t, const struct place *at) {
  lua_State *L = e->L;
  bool first = true;
  if (put_small(e, t, at)) return;
  push_keys(L, t, e->sort, e, at);
  int list = lua_gettop(L);
  buf_addc(e->out, '{');
  for (lua_Integer i = 1; lua_rawgeti(L, list, i) == LUA_TSTRING; i++, first = false) {
    put_member(e, t, first, at);
    lua_pop(L, 1);
  }
  lua_settop(L, list - 1);
  if (!first) new_line(e, at->depth);
  buf_addc(e->out, '}');
}

/* Elements of the table when it is an array: by its metatable, or because its keys are 1 … n. */
static bool is_array(struct encoder *e, int t, size_t *n, const struct place *at) {
  lua_State *L = e->L;
  size_t keys = 0;
  *n = lua_rawlen(L, t);
  if (has_metatable(L, t, OBJECT_NAME)) return false;
  bool marked = has_metatable(L, t, ARRAY_NAME);
  if (!marked && *n == 0) return false;
  for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1), keys++)
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || (size_t)lua_tointeger(L, -2) > *n)
      cannot(e, at, "a table that is both a list and an object, or a list with holes");
  if (keys != *n) cannot(e, at, "a list with holes (write json.null)");
  return true;
}

static struct box *test_box(lua_State *L, int index) {
  if (lua_rawlen(L, index) < sizeof(struct box)) return NULL;
  struct box *box = lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;
  if (!box || box->magic != &record_key) return NULL;
  if (box->root->dead) luaL_error(L, "this record was collected");
  return box;
}

static void need_keeper(lua_State *L, int index, struct box *box);

static void push_node(lua_State *L, struct record_node *node);

static void put_record(struct encoder *e, struct box *box, int index, const struct place *at) {
  if (!e->sort && !e->indent) {
    record_encode(box->node, e->out);
    return;
  }
  need_keeper(e->L, index, box);
  push_node(e->L, box->node);
  put_value(e, lua_gettop(e->L), at);
  lua_pop(e->L, 1);
}

static void put_table(struct encoder *e, int t, const struct place *at) {
  size_t n;
  if (at->depth >= DEPTH) cannot(e, at, "nested deeper than 512 (a table inside itself?)");
  if (is_array(e, t, &n, at))
    put_array(e, t, n, at);
  else
    put_object(e, t, at);
}

static void put_value(struct encoder *e, int index, const struct place *at) {
  lua_State *L = e->L;
  size_t n;
  const char *s;
  luaL_checkstack(L, 24, "nested too deeply");
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    buf_adds(e->out, "null");
    break;
  case LUA_TBOOLEAN:
    buf_adds(e->out, lua_toboolean(L, index) ? "true" : "false");
    break;
  case LUA_TNUMBER:
    put_number(e, index, at);
    break;
  case LUA_TSTRING:
    s = lua_tolstring(L, index, &n), put_string(e, s, n, at);
    break;
  case LUA_TTABLE:
    put_table(e, index, at);
    break;
  case LUA_TUSERDATA:
    if (test_box(L, index)) {
      put_record(e, test_box(L, index), index, at);
      break;
    }
    if (luaL_testudata(L, index, NULL_NAME)) {
      buf_adds(e->out, "null");
      break;
    } /* fall through */
  default:
    cannot(e, at, lua_pushfstring(L, "a %s", luaL_typename(L, index)));
  }
}

/* Encodes the value at index into a buffer; done_encoding follows its use. */
static void encode_value(struct encoder *e, int index) {
  const struct place root = {0};
  lua_State *L = e->L;
  struct scratch *scratch = get_scratch(L);
  index = lua_absindex(L, index);
  if (scratch->busy) {
    e->out = bind_buf(L);
  } else {
    e->scratch = scratch;
    e->out = &scratch->out;
    scratch->busy = true;
    buf_reset(e->out);
  }
  put_value(e, index, &root);
  if (!e->out->failed) return;
  if (e->scratch) scratch->busy = false;
  luaL_error(L, "out of memory");
}

static void done_encoding(struct encoder *e) {
  if (e->out->cap > KEEP_BYTES || !e->scratch) buf_clear(e->out);
  if (e->scratch) e->scratch->busy = false;
}

static void push_encoded(struct encoder *e) {
  if (e->scratch)
    e->scratch->busy = false; /* pushing copies before a finalizer can run, or raises */
  lua_pushlstring(e->L, e->out->data ? e->out->data : "", e->out->len);
  if (!e->scratch || (!e->scratch->busy && e->out->cap > KEEP_BYTES)) buf_clear(e->out);
}

/* Pushes the text of a record that was not changed: its own line, where it is all of it. */
static bool push_untouched(lua_State *L, int index) {
  struct box *box = test_box(L, index);
  size_t n, line_n = 0;
  const char *raw = box ? record_raw(box->node, &n) : NULL;
  if (!raw) return false;
  if (box->root == box && lua_getiuservalue(L, index, 1) == LUA_TSTRING) {
    lua_tolstring(L, -1, &line_n);
    if (line_n == n) return true;
  }
  lua_pushlstring(L, raw, n);
  return true;
}

/*** A Lua value as JSON text.
-- Tables are arrays when marked by json.array or when their keys are 1 … n; otherwise objects ({}
is an
-- object; write json.array {} for []). Keys of decoded objects keep their order; other keys are
sorted
-- by their bytes. Records are copied byte for byte unless indent or sort is given.
-- @function engine.json.encode
-- @param value any: nil, boolean, number, string, table, json.null or a record
-- @param options table: optional { indent = spaces a level, sort = true to sort all keys }
-- @return string: the text
-- @error misuse raises: functions, NaN, strings that are not UTF-8, tables inside themselves
-- @example require("engine.json").encode({ b = 1, a = { 1, 2 } }) */
static int l_encode(lua_State *L) {
  static const char *const known[] = {"indent", "sort", NULL};
  luaL_checkany(L, 1);
  lua_settop(L, 2);
  bind_options(L, 2, known);
  if (lua_isnil(L, 2) && push_untouched(L, 1)) return 1;
  struct encoder e = {.L = L};
  e.indent = (unsigned)bind_opt_integer(L, 2, "indent", 0, 0, 16);
  e.sort = bind_opt_boolean(L, 2, "sort", false);
  encode_value(&e, 1);
  push_encoded(&e);
  return 1;
}

static int mark(lua_State *L, const char *name) {
  if (lua_isnoneornil(L, 1))
    lua_newtable(L);
  else
    luaL_checktype(L, 1, LUA_TTABLE), lua_settop(L, 1);
  luaL_setmetatable(L, name);
  return 1;
}

/*** Marks a table as a JSON array, so that an empty one is written as [].
-- @function engine.json.array
-- @param list table: optional; marked and returned
-- @return table: the same table
-- @example require("engine.json").encode(require("engine.json").array {}) */
static int l_array(lua_State *L) {
  return mark(L, ARRAY_NAME);
}

/*** Marks a table as a JSON object.
-- @function engine.json.object
-- @param fields table: optional; marked and returned
-- @return table: the same table
-- @example require("engine.json").object { a = 1 } */
static int l_object(lua_State *L) {
  return mark(L, OBJECT_NAME);
}

/*** What a value is in JSON: "object", "array", "string", "integer", "number", "boolean", "null".
-- @function engine.json.kind
-- @param value any: a Lua value, a record or json.null
-- @return string|nil: the kind; nil for what JSON cannot hold
-- @example require("engine.json").kind(require("engine.json").null) */
static int l_kind(lua_State *L) {
  const char *kind = NULL;
  luaL_checkany(L, 1);
  switch (lua_type(L, 1)) {
  case LUA_TNIL:
    kind = "null";
    break;
  case LUA_TBOOLEAN:
    kind = "boolean";
    break;
  case LUA_TNUMBER:
    kind = lua_isinteger(L, 1) ? "integer" : "number";
    break;
  case LUA_TSTRING:
    kind = "string";
    break;
  case LUA_TTABLE:
    kind = has_metatable(L, 1, ARRAY_NAME)                             ? "array"
           : !has_metatable(L, 1, OBJECT_NAME) && lua_rawlen(L, 1) > 0 ? "array"
                                                                       : "object";
    break;
  default:
    if (test_box(L, 1)) kind = record_is_array(test_box(L, 1)->node) ? "array" : "object";
    if (luaL_testudata(L, 1, NULL_NAME)) kind = "null";
  }
  lua_pushstring(L, kind);
  return 1;
}

/* Closure over the object, its list of keys, and the position in it. */
static int next_key(lua_State *L) {
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(3)) + 1;
  for (;; i++) {
    if (lua_rawgeti(L, lua_upvalueindex(2), i) == LUA_TNIL) return 1;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) break;
    lua_pop(L, 2);
  }
  lua_pushinteger(L, i);
  lua_copy(L, -1, lua_upvalueindex(3));
  lua_pop(L, 1);
  return 2;
}

static int object_pairs(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  push_keys(L, 1, false, NULL, NULL);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_key, 3);
  return 1;
}

static int null_tostring(lua_State *L) {
  lua_pushliteral(L, "null");
  return 1;
}

/* ---- records ---- */

static struct box *check_box(lua_State *L, int index) {
  struct box *box = test_box(L, index);
  if (!box) luaL_typeerror(L, index, RECORD_NAME);
  return box;
}

/*** A record over one line of JSON: fields are decoded when they are read, what is not changed is
-- written back byte for byte.
-- r.name, r.metadata.path read; assigning changes (a changed key keeps its place, a new one goes
last,
-- nil removes); the value assigned is copied. Nested objects and arrays are records too:
r.messages[1],
-- #r.messages, ipairs, pairs (in order). null reads as json.null. When no field of that name
exists,
-- r:encode(), r:table(), r:get("a.b.1") and r:kind() are methods; json.encode(r), json.table(r) and
-- json.get(r, path) work whatever the fields are called.
-- @function engine.json.record
-- @param text string: a JSON object; or a table of fields
-- @param where string|integer: optional; put before an error message (an integer is a line number)
-- @return record: the record
-- @error format (not a JSON object, with the byte offset), limit (deeper than 512)
-- @example require("engine.json").record('{"text": "hello", "n": 1}').text */
static int l_record(lua_State *L) {
  size_t n;
  struct err err;
  lua_settop(L, 2);
  if (lua_istable(L, 1) || test_box(L, 1)) {
    struct encoder e = {.L = L};
    encode_value(&e, 1);
    push_encoded(&e);
    lua_replace(L, 1);
  }
  const char *text = luaL_checklstring(L, 1, &n);
  struct scratch *s = get_scratch(L);
  if (json_parse_again(&s->tape, text, n, NULL, &err)) return fail_where(L, 2, &err);
  size_t parse = ++s->parses;
  struct box *box = lua_newuserdatauv(L, sizeof *box + record_block_size(s->tape), 2);
  memset(box, 0, sizeof *box);
  if (parse != s->parses && json_parse_again(&s->tape, text, n, NULL, &err))
    return fail_where(L, 2, &err);
  if (record_place(&box->record, box + 1, s->tape, &err)) return fail_where(L, 2, &err);
  box->magic = &record_key;
  box->root = box;
  box->node = record_root(box->record);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &record_key);
  lua_setmetatable(L, -2);
  return 1;
}

static int keeper_gc(lua_State *L) {
  struct keeper *k = lua_touserdata(L, 1);
  struct box *root = k->root;
  k->root = NULL;
  if (!root) return 0;
  root->dead = true;
  record_release(root->record);
  bind_outside(L, -(ptrdiff_t)root->bytes);
  return 0;
}

static void push_root(lua_State *L, int index, const struct box *box) {
  if (box->root == box)
    lua_pushvalue(L, index);
  else
    lua_getiuservalue(L, index, 1);
}

/* Before anything that may take memory outside the block of the record at index. */
static void need_keeper(lua_State *L, int index, struct box *box) {
  if (box->root->kept) return;
  luaL_checkstack(L, 8, NULL);
  push_root(L, index, box);
  struct keeper *k = bind_new(L, sizeof *k, KEEPER_NAME);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, 1);
  lua_setiuservalue(L, -2, 2);
  lua_pop(L, 1);
  if (box->root->kept) return; /* a finalizer was here meanwhile */
  k->root = box->root;
  box->root->kept = true;
}

/* Tells the collector what a record's changes took. */
static void account(lua_State *L, struct box *box) {
  size_t now = record_memory(box->root->record), before = box->root->bytes;
  box->root->bytes = now;
  bind_outside(L, (ptrdiff_t)now - (ptrdiff_t)before);
}

/* Pushes a value found in the record whose userdata (root or node) is at index `from`. */
static void push_found(lua_State *L, int from, const struct record_value *value) {
  if (!value->node) {
    push_scalar(L, value->j, value->v);
    return;
  }
  struct box *root = ((struct box *)lua_touserdata(L, from))->root;
  struct box *box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = (struct box){.magic = &record_key, .node = value->node, .root = root};
  push_root(L, from, lua_touserdata(L, from));
  lua_setiuservalue(L, -2, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &record_key);
  lua_setmetatable(L, -2);
}

static int raise(lua_State *L, const struct err *err) {
  return luaL_error(L, "%s", err->message);
}

/* Pushes what is at the key (at stack index 2), or nothing and returns false. */
static bool push_field(lua_State *L, struct box *box) {
  struct record_value value;
  struct err err;
  size_t n;
  int rc = 0;
  if (!record_reads_inside(box->node, false)) need_keeper(L, 1, box);
  if (lua_type(L, 2) == LUA_TSTRING) {
    const char *key = lua_tolstring(L, 2, &n);
    rc = record_get(box->node, key, n, &value, &err);
  } else if (lua_isinteger(L, 2)) {
    rc = record_at(box->node, (size_t)lua_tointeger(L, 2) - 1, &value, &err);
  }
  if (rc < 0) raise(L, &err);
  if (rc > 0) push_found(L, 1, &value);
  return rc > 0;
}

static int record_index(lua_State *L) {
  struct box *box = check_box(L, 1);
  if (push_field(L, box)) return 1;
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1)); /* the methods */
  return 1;
}

static int record_newindex(lua_State *L) {
  struct box *box = check_box(L, 1);
  struct encoder e = {.L = L};
  struct err err;
  size_t n = 0;
  lua_settop(L, 3);
  int type = lua_type(L, 2);
  if (type != LUA_TSTRING && !lua_isinteger(L, 2))
    return luaL_error(L, "a field's name must be a string, not a %s", luaL_typename(L, 2));
  const char *key = type == LUA_TSTRING ? lua_tolstring(L, 2, &n) : NULL;
  bool remove = lua_isnil(L, 3);
  need_keeper(L, 1, box);
  if (!remove) encode_value(&e, 3);
  const char *json = remove ? NULL : e.out->data;
  size_t json_n = remove ? 0 : e.out->len;
  int rc = key ? record_set(box->node, key, n, json, json_n, &err)
               : record_set_at(box->node, (size_t)lua_tointeger(L, 2) - 1, json, json_n, &err);
  if (!remove) done_encoding(&e);
  account(L, box);
  return rc ? raise(L, &err) : 0;
}

static int record_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)record_count(check_box(L, 1)->node));
  return 1;
}

/* Closure over the record and the position of its walk. */
static int next_member(lua_State *L) {
  struct box *box = lua_touserdata(L, lua_upvalueindex(1));
  size_t at = (size_t)lua_tointeger(L, lua_upvalueindex(2));
  const struct json *key_j;
  struct record_value value;
  struct err err;
  json_id key;
  if (!record_reads_inside(box->node, true)) need_keeper(L, lua_upvalueindex(1), box);
  int rc = record_next(box->node, &at, &key_j, &key, &value, &err);
  if (rc < 0) return raise(L, &err);
  if (rc == 0) return 0;
  lua_pushinteger(L, (lua_Integer)at);
  lua_copy(L, -1, lua_upvalueindex(2));
  if (key_j) push_string(L, key_j, key);
  int name = lua_gettop(L); /* the key, or the position */
  push_found(L, lua_upvalueindex(1), &value);
  lua_pushvalue(L, name);
  lua_insert(L, -2);
  return 2;
}

static int record_pairs(lua_State *L) {
  check_box(L, 1);
  lua_settop(L, 1);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_member, 2);
  return 1;
}

static int record_eq(lua_State *L) {
  struct box *a = test_box(L, 1), *b = test_box(L, 2);
  lua_pushboolean(L, a && b && a->node == b->node);
  return 1;
}

static int record_tostring(lua_State *L) {
  struct box *box = check_box(L, 1);
  struct err err;
  struct buf *b = bind_buf(L);
  need_keeper(L, 1, box);
  if (record_show(box->node, b, &err)) return raise(L, &err);
  bind_push_buf(L, b);
  return 1;
}

static void push_member(lua_State *L, const struct record_value *value) {
  if (value->node)
    push_node(L, value->node);
  else
    push_scalar(L, value->j, value->v);
}

/* The node as plain tables. */
static void push_node(lua_State *L, struct record_node *node) {
  bool array = record_is_array(node);
  const struct json *key_j;
  struct record_value value;
  struct err err;
  json_id key;
  size_t at = 0;
  int rc;
  luaL_checkstack(L, 10, "a record nested too deeply");
  lua_newtable(L);
  luaL_setmetatable(L, array ? ARRAY_NAME : OBJECT_NAME);
  int table = lua_gettop(L);
  lua_newtable(L); /* the order of the keys */
  for (lua_Integer i = 1; (rc = record_next(node, &at, &key_j, &key, &value, &err)) > 0; i++) {
    if (array) {
      push_member(L, &value);
      lua_rawseti(L, table, i);
      continue;
    }
    push_string(L, key_j, key);
    lua_pushvalue(L, -1);
    lua_rawseti(L, table + 1, i);
    push_member(L, &value);
    lua_rawset(L, table);
  }
  if (rc < 0) raise(L, &err);
  if (array)
    lua_pop(L, 1);
  else
    set_order(L, table);
}

/*** A record (or a part of one) copied to plain Lua tables, as json.decode makes them.
-- @function engine.json.table
-- @param record record: what to copy
-- @return table: the copy
-- @example require("engine.json").record('{"a": [1]}'):table().a[1] */
static int l_table(lua_State *L) {
  struct box *box = check_box(L, 1);
  need_keeper(L, 1, box);
  push_node(L, box->node);
  return 1;
}

/*** The value at a path of names and positions joined by points, or nil.
-- @function engine.json.get
-- @param record record: where to look
-- @param path string: such as "metadata.span.1"
-- @return any: the value; nil when a step is missing
-- @example require("engine.json").record('{"a": {"b": [7]}}'):get("a.b.1") */
static int l_get(lua_State *L) {
  struct box *box = check_box(L, 1);
  struct record_value value;
  struct err err;
  size_t n;
  const char *path = luaL_checklstring(L, 2, &n);
  need_keeper(L, 1, box);
  int rc = record_find(box->node, path, n, &value, &err);
  if (rc < 0) return raise(L, &err);
  if (rc == 0) return 0;
  push_found(L, 1, &value);
  return 1;
}

static int record_encode_(lua_State *L) {
  check_box(L, 1);
  return l_encode(L);
}

static void record_metatable(lua_State *L) {
  static const luaL_Reg methods[] = {{"encode", record_encode_},
                                     {"table", l_table},
                                     {"get", l_get},
                                     {"kind", l_kind},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__newindex", record_newindex}, {"__len", record_len},
                                  {"__pairs", record_pairs},       {"__eq", record_eq},
                                  {"__tostring", record_tostring}, {NULL, NULL}};
  if (luaL_newmetatable(L, RECORD_NAME)) {
    luaL_setfuncs(L, meta, 0);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_pushcclosure(L, record_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, RECORD_NAME); /* the metamethods are not to be reached from Lua */
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &record_key);
  }
  lua_pop(L, 1);
}

static void table_metatable(lua_State *L, const char *name, lua_CFunction pairs) {
  if (luaL_newmetatable(L, name) && pairs) {
    lua_pushcfunction(L, pairs);
    lua_setfield(L, -2, "__pairs");
  }
  lua_pop(L, 1);
}

static void make_orders(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &orders_key);
}

int luaopen_engine_json(lua_State *L);
int luaopen_engine_json(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg tape_meta[] = {{"__gc", tape_gc}, {NULL, NULL}};
  static const luaL_Reg scratch_meta[] = {{"__gc", scratch_gc}, {NULL, NULL}};
  static const luaL_Reg keeper_meta[] = {{"__gc", keeper_gc}, {NULL, NULL}};
  static const luaL_Reg null_meta[] = {{"__tostring", null_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"decode", l_decode}, {"encode", l_encode}, {"record", l_record},
      {"array", l_array},   {"object", l_object}, {"kind", l_kind},
      {"table", l_table},   {"get", l_get},       {NULL, NULL}};
  bind_metatable(L, TAPE_NAME, none, tape_meta);
  bind_metatable(L, NULL_NAME, none, null_meta);
  bind_metatable(L, SCRATCH_NAME, none, scratch_meta);
  bind_metatable(L, KEEPER_NAME, none, keeper_meta);
  record_metatable(L);
  table_metatable(L, ARRAY_NAME, NULL);
  table_metatable(L, OBJECT_NAME, object_pairs);
  make_orders(L);
  bind_new(L, 1, NULL_NAME);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
  bind_new(L, sizeof(struct scratch), SCRATCH_NAME);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &scratch_key);
  luaL_newlib(L, functions);
  push_null(L);
  lua_setfield(L, -2, "null");
  return 1;
}

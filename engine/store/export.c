/* SPDX-License-Identifier: MIT */
/* The exporter; see export.h. A route is looked up by the raw JSON of its values, so that a record
 * costs one parse and one hash, however many targets there are.
 */
#include "store/export.h"

#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "file/file.h"

#include <string.h>

#define TARGETS_MAX 500 /* each has a file open */
#define ROUTES_MAX  100000

struct route {
  char *key;
  size_t n, target;
};

#define TALLY_VALUES 1000
#define TALLY_BYTES  200

/* Values counted by their raw JSON. */
struct tally {
  struct route *values; /* `target` is the count */
  size_t count;
  uint32_t slots[4 * TALLY_VALUES]; /* index + 1 */
  uint64_t none, more;
};

struct export {
  struct export_options options;
  struct schema schema;
  struct lines *lines; /* of the file at hand */
  char *path;
  struct line line;
  bool held;                  /* the line at hand waits for its route */
  bool guessed;               /* the columns are those of some of the records */
  struct json *tape, *chosen; /* of the line; of what is made of it */
  struct buf route, made, scratch;
  struct route *routes;
  size_t route_count, route_cap, last;
  uint32_t *slots;
  size_t slot_cap;
  struct writer **targets;
  size_t target_count;
  uint64_t *lacking, records;
  struct tally *tallies;
};

int export_new(struct export **out, const struct export_options *options, struct err *err) {
  *out = NULL;
  struct export *e = mem_zero(sizeof *e);
  if (!e) return err_nomem(err, sizeof *e, "an exporter");
  e->options = *options;
  schema_init(&e->schema);
  e->lacking = mem_zeros(options->field_count / 2 + 1, sizeof *e->lacking);
  if (options->tally_count) e->tallies = mem_zeros(options->tally_count, sizeof *e->tallies);
  if (!e->lacking || (options->tally_count && !e->tallies)) {
    export_free(e);
    return err_nomem(err, options->field_count, "an exporter");
  }
  *out = e;
  return 0;
}

void export_free(struct export *e) {
  if (!e) return;
  for (size_t i = 0; i < e->target_count; i++) writer_close(e->targets[i]);
  for (size_t i = 0; i < e->route_count; i++) mem_free(e->routes[i].key);
  mem_free(e->targets);
  mem_free(e->routes);
  mem_free(e->slots);
  mem_free(e->lacking);
  for (size_t i = 0; e->tallies && i < e->options.tally_count; i++) {
    for (size_t k = 0; k < e->tallies[i].count; k++) mem_free(e->tallies[i].values[k].key);
    mem_free(e->tallies[i].values);
  }
  mem_free(e->tallies);
  mem_free(e->path);
  lines_close(e->lines);
  json_free(e->tape);
  json_free(e->chosen);
  schema_clear(&e->schema);
  buf_clear(&e->route);
  buf_clear(&e->made);
  buf_clear(&e->scratch);
  mem_free(e);
}

int export_force(struct export *e, const char *column, enum schema_type type, struct err *err) {
  return schema_force(&e->schema, column, type, err);
}

/* ---- routes ---- */

static json_id find_path(const struct json *j, const char *path) {
  json_id v = JSON_ROOT;
  for (;;) {
    const char *dot = strchr(path, '.');
    size_t n = dot ? (size_t)(dot - path) : strlen(path);
    json_id whole = json_get(j, v, path); /* a name with points in it */
    if (whole != JSON_NONE) return whole;
    v = json_getn(j, v, path, n);
    if (v == JSON_NONE || !dot) return v;
    path = dot + 1;
  }
}

/* The route of a record into e->route; false when it lacks a value, which is null then. */
static bool find_route(struct export *e, const struct json *j) {
  bool all = true;
  buf_reset(&e->route);
  for (size_t i = 0; i < e->options.route_count; i++) {
    size_t n = 0;
    json_id v = find_path(j, e->options.route[i]);
    enum json_kind kind = json_kind(j, v);
    bool fit = v != JSON_NONE && kind != JSON_NULL && kind < JSON_ARRAY;
    const char *raw = fit ? json_raw(j, v, &n) : NULL;
    buf_addc(&e->route, i ? ',' : '[');
    if (raw)
      buf_add(&e->route, raw, n);
    else
      buf_adds(&e->route, "null"), all = false;
  }
  buf_adds(&e->route, e->options.route_count ? "]" : "[]");
  return all;
}

static bool route_is(const struct route *r, const struct buf *key) {
  return r->n == key->len && !memcmp(r->key, key->data, key->len);
}

/* The number of the route in e->route, or SIZE_MAX. */
static size_t look_up(struct export *e) {
  if (e->last < e->route_count && route_is(&e->routes[e->last], &e->route)) return e->last;
  if (!e->slot_cap) return SIZE_MAX;
  size_t at = hash_xxh3(e->route.data, e->route.len, 0) & (e->slot_cap - 1);
  for (; e->slots[at]; at = (at + 1) & (e->slot_cap - 1))
    if (route_is(&e->routes[e->slots[at] - 1], &e->route)) return e->last = e->slots[at] - 1;
  return SIZE_MAX;
}

static void place_route(struct export *e, size_t i) {
  size_t at = hash_xxh3(e->routes[i].key, e->routes[i].n, 0) & (e->slot_cap - 1);
  while (e->slots[at]) at = (at + 1) & (e->slot_cap - 1);
  e->slots[at] = (uint32_t)i + 1;
}

static int add_route(struct export *e, size_t target, struct err *err) {
  if (e->route_count == ROUTES_MAX)
    return err_set(err, ERR_LIMIT, "more than %d different values name the files", ROUTES_MAX);
  if (2 * (e->route_count + 1) > e->slot_cap) {
    size_t cap = e->slot_cap ? 2 * e->slot_cap : 64;
    uint32_t *slots = mem_zeros(cap, sizeof *slots);
    struct route *routes = slots ? mem_rearray(e->routes, cap / 2, sizeof *routes) : NULL;
    if (routes) e->routes = routes;
    if (!routes) {
      mem_free(slots);
      return err_nomem(err, cap, "routes");
    }
    mem_free(e->slots);
    e->slots = slots, e->slot_cap = cap;
    for (size_t i = 0; i < e->route_count; i++) place_route(e, i);
  }
  struct route *r = &e->routes[e->route_count];
  if (!(r->key = mem_dup(e->route.data, e->route.len)))
    return err_nomem(err, e->route.len, "a route");
  r->n = e->route.len, r->target = target;
  place_route(e, e->route_count++);
  return 0;
}

int export_share(struct export *e, size_t number, struct err *err) {
  if (number >= e->target_count) return err_set(err, ERR_MISUSE, "there is no target %zu", number);
  return add_route(e, number, err);
}

int export_target(struct export *e, const char *path, const struct writer_options *options,
                  size_t *number, struct err *err) {
  struct writer_options o = *options;
  if (e->target_count == TARGETS_MAX)
    return err_set(
        err, ERR_LIMIT,
        "more than %d files would be written at once; name them by a field of fewer values",
        TARGETS_MAX);
  struct writer **targets = mem_rearray(e->targets, e->target_count + 1, sizeof *targets);
  if (!targets) return err_nomem(err, 0, path);
  e->targets = targets;
  o.schema = &e->schema;
  int rc = writer_open(&e->targets[e->target_count], path, &o, err);
  if (rc) return rc;
  *number = e->target_count++;
  return add_route(e, *number, err);
}

/* ---- records ---- */

/* The chosen fields as a new record in e->made. */
static int choose(struct export *e, const struct json *j, struct err *err) {
  const struct export_options *o = &e->options;
  size_t n;
  buf_reset(&e->made);
  buf_addc(&e->made, '{');
  for (size_t i = 0; i + 1 < o->field_count; i += 2) {
    json_id v = find_path(j, o->fields[i]);
    if (v == JSON_NONE) {
      e->lacking[i / 2]++;
      continue;
    }
    if (e->made.len > 1) buf_addc(&e->made, ',');
    json_put_string(&e->made, o->fields[i + 1], strlen(o->fields[i + 1]));
    buf_addc(&e->made, ':');
    const char *raw = json_raw(j, v, &n);
    buf_add(&e->made, raw, n);
  }
  buf_addc(&e->made, '}');
  return buf_check(&e->made, "a record", err);
}

static int drop_metadata(struct export *e, const struct json *j, struct err *err) {
  struct json_iter it = json_iter(j, JSON_ROOT);
  buf_reset(&e->made);
  buf_addc(&e->made, '{');
  while (json_each(&it)) {
    size_t n;
    if (json_is(j, it.key, "metadata")) continue;
    if (e->made.len > 1) buf_addc(&e->made, ',');
    const char *raw = json_raw(j, it.key, &n);
    buf_add(&e->made, raw, n);
    buf_addc(&e->made, ':');
    raw = json_raw(j, it.value, &n);
    buf_add(&e->made, raw, n);
  }
  buf_addc(&e->made, '}');
  return buf_check(&e->made, "a record", err);
}

/* What is written of the line: itself, or what was chosen of it. */
static int transform(struct export *e, const struct json **j, const char **text, size_t *n,
                     struct err *err) {
  *j = e->tape, *text = e->line.text, *n = e->line.len;
  if (!e->options.fields && !e->options.drop_metadata) return 0;
  int rc = e->options.fields ? choose(e, e->tape, err) : drop_metadata(e, e->tape, err);
  if (!rc) rc = json_parse_again(&e->chosen, e->made.data, e->made.len, NULL, err);
  *j = e->chosen, *text = e->made.data, *n = e->made.len;
  return rc;
}

/* ---- tallies ---- */

static int count_value(struct tally *t, const char *raw, size_t n, struct err *err) {
  const size_t cap = sizeof t->slots / sizeof *t->slots;
  size_t at = hash_xxh3(raw, n, 0) % cap;
  for (; t->slots[at]; at = (at + 1) % cap) {
    struct route *v = &t->values[t->slots[at] - 1];
    if (v->n == n && !memcmp(v->key, raw, n)) return v->target++, 0;
  }
  if (t->count == TALLY_VALUES || n > TALLY_BYTES) return t->more++, 0;
  if (!t->values && !(t->values = mem_array(TALLY_VALUES, sizeof *t->values)))
    return err_nomem(err, TALLY_VALUES * sizeof *t->values, "a tally");
  struct route *v = &t->values[t->count];
  if (!(v->key = mem_dup(raw, n))) return err_nomem(err, n, "a tally");
  v->n = n, v->target = 1;
  t->slots[at] = (uint32_t)++t->count;
  return 0;
}

static int count_values(struct export *e, struct err *err) {
  int rc = 0;
  for (size_t i = 0; !rc && i < e->options.tally_count; i++) {
    size_t n;
    json_id v = find_path(e->tape, e->options.tallies[i]);
    enum json_kind kind = json_kind(e->tape, v);
    if (v == JSON_NONE || kind == JSON_NULL || kind >= JSON_ARRAY) {
      e->tallies[i].none++;
    } else {
      const char *raw = json_raw(e->tape, v, &n);
      rc = count_value(&e->tallies[i], raw, n, err);
    }
  }
  return rc;
}

size_t export_tallies(const struct export *e) {
  return e->options.tally_count;
}

void export_tally(const struct export *e, size_t i, struct buf *out) {
  const struct tally *t = &e->tallies[i];
  buf_adds(out, "{\"values\":[");
  for (size_t k = 0; k < t->count; k++) {
    if (k) buf_addc(out, ',');
    buf_addc(out, '[');
    buf_add(out, t->values[k].key, t->values[k].n);
    buf_addf(out, ",%zu]", t->values[k].target);
  }
  buf_addf(out, "],\"more\":%llu,\"none\":%llu}", (unsigned long long)t->more,
           (unsigned long long)t->none);
}

static int take(struct export *e, size_t route, enum export_pass pass, struct err *err) {
  const struct json *j;
  const char *text;
  size_t n;
  int rc = transform(e, &j, &text, &n, err);
  if (rc) return rc;
  if (pass == EXPORT_OBSERVE) return schema_observe(&e->schema, j, err);
  e->records++;
  rc = count_values(e, err);
  if (rc) return rc;
  return writer_put(e->targets[e->routes[route].target], j, text, n, err);
}

static int parse_line(struct export *e, struct err *err) {
  if (e->line.too_long)
    return err_set(err, ERR_LIMIT, "the line is longer than %zu bytes", LINES_MAX_DEFAULT);
  int rc = json_parse_again(&e->tape, e->line.text, e->line.len, NULL, err);
  if (!rc && json_kind(e->tape, JSON_ROOT) != JSON_OBJECT)
    rc = err_set(err, ERR_FORMAT, "not a record: an object was expected, this is of kind %s",
                 json_kind_name(json_kind(e->tape, JSON_ROOT)));
  return rc;
}

/* The next record: 1, 0 at the end, −1. */
static int next_line(struct export *e, struct err *err) {
  int got = lines_next_record(e->lines, &e->line, err);
  if (got <= 0) return got;
  if (!parse_line(e, err)) return 1;
  err_prefix(err, "%s:%llu", e->path, (unsigned long long)e->line.number);
  return -1;
}

static void end_file(struct export *e) {
  lines_close(e->lines);
  mem_free(e->path);
  e->lines = NULL, e->path = NULL, e->held = false;
}

static int begin_file(struct export *e, const char *path, struct err *err) {
  if (e->lines && !strcmp(e->path, path)) return 0;
  end_file(e);
  int rc = lines_open(&e->lines, path, LINES_MAX_DEFAULT, err);
  if (!rc && !(e->path = mem_strdup(path))) rc = err_nomem(err, strlen(path), path);
  return rc;
}

enum export_state export_feed(struct export *e, const char *path, enum export_pass pass,
                              uint64_t piece, struct err *err) {
  uint64_t until = 0;
  if (begin_file(e, path, err)) return EXPORT_FAILED;
  for (;;) {
    if (!e->held) {
      int got = next_line(e, err);
      if (got < 0) return EXPORT_FAILED;
      if (got == 0) return end_file(e), EXPORT_DONE;
      e->held = true;
    }
    if (!find_route(e, e->tape)) {
      if (look_up(e) == SIZE_MAX) return e->guessed ? EXPORT_MISFIT : EXPORT_NO_ROUTE;
    }
    size_t route = look_up(e);
    if (route == SIZE_MAX) return e->guessed ? EXPORT_MISFIT : EXPORT_ROUTE;
    e->held = false;
    int rc = take(e, route, pass, err);
    if (rc == ERR_MISMATCH && e->guessed) return EXPORT_MISFIT;
    if (rc) {
      err_prefix(err, "%s:%llu", e->path, (unsigned long long)e->line.number);
      return EXPORT_FAILED;
    }
    if (!until) until = e->line.offset + piece;
    if (e->line.offset >= until) {
      if (cancel_check(err)) return EXPORT_FAILED;
      return EXPORT_MORE;
    }
  }
}

const char *export_route(const struct export *e, size_t *n) {
  *n = e->route.len;
  return e->route.data ? e->route.data : "";
}

uint64_t export_line(const struct export *e) {
  return e->line.number;
}

void export_rewind(struct export *e) {
  end_file(e);
}

void export_settle(struct export *e, bool guessed) {
  e->guessed = guessed;
  schema_settle(&e->schema);
  for (size_t i = 0; i < e->target_count; i++) writer_divide(e->targets[i], e->target_count);
}

const struct schema *export_schema(const struct export *e) {
  return &e->schema;
}

int export_finish(struct export *e, struct err *err) {
  int rc = 0;
  for (size_t i = 0; !rc && i < e->target_count; i++) rc = writer_finish(e->targets[i], err);
  return rc;
}

size_t export_targets(const struct export *e) {
  return e->target_count;
}

struct writer *export_writer(struct export *e, size_t i) {
  return e->targets[i];
}

int export_commit(struct export *e, struct err *err) {
  int rc = 0;
  for (size_t i = 0; !rc && i < e->target_count; i++) rc = writer_commit(e->targets[i], err);
  return rc;
}

uint64_t export_lacking(const struct export *e, size_t i) {
  return e->lacking[i];
}

uint64_t export_records(const struct export *e) {
  return e->records;
}

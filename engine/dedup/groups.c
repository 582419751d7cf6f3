/* SPDX-License-Identifier: MIT */
/* Groups and sides; see groups.h.
 *
 *   lines ─► rows (spill): own group's hash, stratum's hash, side if decided
 *        └─► ties: a forest over the hashes that some record ties to others
 *   rows ─► sorter, by place ─► list (spill): place and stratum of each group, in order of places
 *                            └─► sorter, by (stratum, place) ─► for each stratum the places at which
 *                                                               sides begin
 */
#include "dedup/groups.h"
#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "dedup/member.h"
#include "dedup/sorter.h"
#include "dedup/spill.h"
#include "file/file.h"
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POLL       4096
#define FIELDS_MAX 16
#define NONE       3 /* no side is decided */

struct row {
  uint64_t own, stratum; /* the side is in the stratum's two low bits */
};
struct tie { /* a node of the forest */
  uint64_t name;
  uint32_t parent, chosen; /* of a root: the node whose name gives the place */
  bool own, unsettled;     /* of a root: unsettled */
};
struct group {
  uint64_t place, stratum;
};
struct stratum {
  uint64_t name, begin[GROUPS_SIDES]; /* the least place of each side; UINT64_MAX: none */
};
struct decision {
  char *value;
  int side;
};

struct groups {
  char *fields[FIELDS_MAX + 1], *stratify, *by, *scratch;
  uint64_t seed;
  size_t memory;
  struct decision *decisions;
  size_t decision_n;
  struct json *tape;
  struct buf text, name;
  struct spill *rows, *list;
  uint64_t n, group_n;
  struct tie *ties;
  uint32_t tie_n, tie_cap;
  uint32_t *slots; /* of the hash table: tie + 1; 0 is empty */
  uint32_t slot_n;
  struct stratum *strata;
  size_t stratum_n, stratum_cap;
  double share[GROUPS_SIDES];
  struct groups_facts facts;
  bool finished;
};

static int copy(char **out, const char *s, struct err *err) {
  if (!s) return 0;
  *out = mem_strdup(s);
  return *out ? 0 : err_nomem(err, strlen(s), "groups");
}

static int make_store(struct spill **out, const struct groups *g, const char *name,
                      struct err *err) {
  char path[4300];
  snprintf(path, sizeof path, "%s/groups-%ld-%p.%s", g->scratch, (long)getpid(), (const void *)g,
           name);
  return spill_new(out, path, g->memory / 8, err);
}

static int make_sorter(struct sorter **out, const struct groups *g, const char *name,
                       struct err *err) {
  char path[4300];
  snprintf(path, sizeof path, "%s/groups-%ld-%p.%s", g->scratch, (long)getpid(), (const void *)g,
           name);
  return sorter_new(out, path, g->memory / 4, err);
}

int groups_new(struct groups **out, const struct groups_options *o, struct err *err) {
  struct groups *g = mem_zero(sizeof *g);
  *out = NULL;
  if (!g) return err_nomem(err, sizeof *g, "groups");
  int rc = 0;
  g->seed = o->seed;
  g->memory = o->memory;
  for (size_t i = 0; !rc && o->fields && o->fields[i]; i++)
    rc = i == FIELDS_MAX ? err_set(err, ERR_MISUSE, "group: at most %d fields", FIELDS_MAX)
                         : copy(&g->fields[i], o->fields[i], err);
  if (!rc) rc = copy(&g->stratify, o->stratify, err);
  if (!rc) rc = copy(&g->by, o->by, err);
  if (!rc) rc = copy(&g->scratch, o->scratch ? o->scratch : "/tmp", err);
  if (!rc && strlen(g->scratch) > 4000) rc = err_set(err, ERR_LIMIT, "scratch: too long a path");
  if (!rc) rc = make_store(&g->rows, g, "rows", err);
  if (!rc) rc = make_store(&g->list, g, "list", err);
  if (rc)
    groups_free(g);
  else
    *out = g;
  return rc;
}

void groups_free(struct groups *g) {
  if (!g) return;
  for (size_t i = 0; i < FIELDS_MAX; i++) mem_free(g->fields[i]);
  for (size_t i = 0; i < g->decision_n; i++) mem_free(g->decisions[i].value);
  mem_free(g->decisions);
  mem_free(g->stratify);
  mem_free(g->by);
  mem_free(g->scratch);
  json_free(g->tape);
  buf_clear(&g->text);
  buf_clear(&g->name);
  spill_free(g->rows);
  spill_free(g->list);
  mem_free(g->ties);
  mem_free(g->slots);
  mem_free(g->strata);
  mem_free(g);
}

uint64_t groups_count(const struct groups *g) {
  return g->n;
}

int groups_decide(struct groups *g, const char *value, int side, struct err *err) {
  struct decision *all = mem_rearray(g->decisions, g->decision_n + 1, sizeof *all);
  if (!all) return err_nomem(err, sizeof *all, "groups");
  g->decisions = all;
  all[g->decision_n] = (struct decision){mem_strdup(value), side};
  if (!all[g->decision_n].value) return err_nomem(err, strlen(value), "groups");
  g->decision_n++;
  return 0;
}

/* ---- ties ---- */

static uint32_t *slot_of(const struct groups *g, uint64_t name) {
  uint32_t at = (uint32_t)rng_mix(name) & (g->slot_n - 1);
  while (g->slots[at] && g->ties[g->slots[at] - 1].name != name) at = (at + 1) & (g->slot_n - 1);
  return &g->slots[at];
}

static int grow_ties(struct groups *g, struct err *err) {
  if (g->tie_n < g->tie_cap) return 0;
  uint32_t cap = g->tie_cap ? g->tie_cap * 2 : 256;
  size_t bytes = cap * (sizeof *g->ties + 2 * sizeof *g->slots);
  if (bytes > (g->memory > (1u << 20) ? g->memory : 1u << 20) || cap > (1u << 30))
    return err_set(err, ERR_LIMIT,
                   "more than %u groups are tied to others: they do not fit the memory", g->tie_n);
  struct tie *ties = mem_rearray(g->ties, cap, sizeof *ties);
  if (!ties) return err_nomem(err, bytes, "groups");
  g->ties = ties;
  uint32_t *slots = mem_zeros((size_t)cap * 2, sizeof *slots);
  if (!slots) return err_nomem(err, bytes, "groups");
  mem_free(g->slots);
  g->slots = slots;
  g->slot_n = cap * 2;
  g->tie_cap = cap;
  for (uint32_t i = 0; i < g->tie_n; i++) *slot_of(g, ties[i].name) = i + 1;
  return 0;
}

static int tie_at(struct groups *g, uint64_t name, bool own, uint32_t *out, struct err *err) {
  int rc = grow_ties(g, err);
  if (rc) return rc;
  uint32_t *slot = slot_of(g, name);
  if (!*slot) {
    g->ties[g->tie_n] = (struct tie){name, g->tie_n, g->tie_n, own, false};
    *slot = ++g->tie_n;
  }
  *out = *slot - 1;
  g->ties[*out].own |= own;
  return 0;
}

static uint32_t root(const struct groups *g, uint32_t i) {
  while (g->ties[i].parent != i) {
    g->ties[i].parent = g->ties[g->ties[i].parent].parent;
    i = g->ties[i].parent;
  }
  return i;
}

static int tie(struct groups *g, uint64_t own, uint64_t other, struct err *err) {
  uint32_t a, b;
  int rc = tie_at(g, own, true, &a, err);
  if (!rc) rc = tie_at(g, other, false, &b, err);
  if (rc) return rc;
  a = root(g, a), b = root(g, b);
  g->ties[b].parent = a;
  return 0;
}

/* The name that a group's place comes from. */
static uint64_t name_of(const struct groups *g, uint64_t own) {
  if (!g->tie_n) return own;
  uint32_t slot = *slot_of(g, own);
  return slot ? g->ties[g->ties[root(g, slot - 1)].chosen].name : own;
}

static uint64_t draw(uint64_t name) {
  return rng_at(UINT64_C(0x67726f757073), name, 1);
}

/* Each root gets the own group that names it. */
static void choose_names(struct groups *g) {
  struct tie *t = g->ties;
  for (uint32_t i = 0; i < g->tie_n; i++) {
    uint32_t top = root(g, i), now = t[top].chosen;
    if (!t[i].own) continue;
    g->facts.merged++;
    if (!t[now].own || draw(t[i].name) < draw(t[now].name)) t[top].chosen = i;
  }
  for (uint32_t i = 0; i < g->tie_n; i++) g->facts.merged -= t[i].parent == i;
}

/* ---- rows ---- */

/* A scalar's characters, of strings without quotes; NULL for none and null. */
static const char *value_of(struct groups *g, json_id v, size_t *n) {
  enum json_kind kind = json_kind(g->tape, v);
  *n = 0;
  if (kind == JSON_NULL) return NULL;
  return kind == JSON_STRING ? json_string(g->tape, v, &g->text, n) : json_raw(g->tape, v, n);
}

static bool name_at(struct groups *g, const char *path, uint64_t seed, uint64_t *out) {
  size_t n;
  const char *s = value_of(g, member_at(g->tape, JSON_ROOT, path), &n);
  if (s) *out = hash_xxh3(s, n, seed);
  return s != NULL;
}

/* An own group's name, which is its place too: the first 60 bits of SHA-256(seed, kind, name). */
static int own_name(struct groups *g, const char *kind, const char *s, size_t n, uint64_t *out,
                    struct err *err) {
  unsigned char digest[SHA256_BYTES];
  buf_reset(&g->name);
  buf_addf(&g->name, "%lld", (long long)g->seed);
  buf_addc(&g->name, 0);
  buf_adds(&g->name, kind);
  buf_addc(&g->name, 0);
  buf_add(&g->name, s, n);
  int rc = buf_check(&g->name, "a group's name", err);
  if (!rc) rc = sha256(g->name.data, g->name.len, digest, err);
  *out = 0;
  for (int i = 0; i < 8 && !rc; i++) *out = *out << 8 | digest[i];
  *out &= ~UINT64_C(15);
  return rc;
}

/* By the first field; a record without it by its id, or else by its line. */
static int find_own(struct groups *g, const struct line *line, uint64_t *out, bool *named,
                    struct err *err) {
  size_t n;
  const char *s =
      g->fields[0] ? value_of(g, member_at(g->tape, JSON_ROOT, g->fields[0]), &n) : NULL;
  *named = s != NULL;
  if (s) return own_name(g, "value", s, n, out, err);
  s = value_of(g, json_get(g->tape, JSON_ROOT, "id"), &n);
  return s ? own_name(g, "id", s, n, out, err) : own_name(g, "id", line->text, line->len, out, err);
}

static int decided(struct groups *g) {
  size_t n;
  if (!g->by) return NONE;
  const char *s = value_of(g, member_at(g->tape, JSON_ROOT, g->by), &n);
  for (size_t i = 0; s && i < g->decision_n; i++)
    if (strlen(g->decisions[i].value) == n && memcmp(g->decisions[i].value, s, n) == 0)
      return g->decisions[i].side;
  return NONE;
}

static int add_line(struct groups *g, const struct line *line, struct err *err) {
  struct row row = {0};
  uint64_t other;
  int rc = json_parse_again(&g->tape, line->text, line->len, NULL, err);
  if (!rc && json_kind(g->tape, JSON_ROOT) != JSON_OBJECT)
    rc = err_set(err, ERR_FORMAT, "a JSON object expected");
  if (rc) return rc;
  int side = decided(g);
  bool named = false;
  rc = find_own(g, line, &row.own, &named, err);
  if (rc) return rc;
  if (g->stratify) name_at(g, g->stratify, 103, &row.stratum);
  row.stratum = (row.stratum & ~UINT64_C(3)) | (uint64_t)side;
  for (size_t i = 1; !rc && side == NONE && g->fields[0] && g->fields[i]; i++)
    if (name_at(g, g->fields[i], 1 + i, &other)) rc = tie(g, row.own, other, err);
  g->facts.decided += side != NONE;
  g->facts.lonely += side == NONE && !named && g->fields[0];
  if (!rc) rc = buf_check(&g->text, "a record", err);
  if (!rc) rc = spill_add(g->rows, &row, sizeof row, err);
  g->n++;
  return rc;
}

int groups_add_lines(struct groups *g, const char *path, uint64_t *records, struct err *err) {
  struct lines *r = NULL;
  struct line line;
  uint64_t before = g->n;
  int got = 0;
  if (g->finished) return err_set(err, ERR_MISUSE, "groups: nothing can be added after finish");
  int rc = lines_open(&r, path, 0, err);
  while (!rc && (got = lines_next_record(r, &line, err)) == 1) {
    if (line.too_long)
      rc = err_set(err, ERR_LIMIT, "the line has %zu bytes, more than %zu", line.len,
                   LINES_MAX_DEFAULT);
    else
      rc = add_line(g, &line, err);
    if (rc) err_prefix(err, "%s:%llu", path, (unsigned long long)line.number);
    if (!rc && g->n % POLL == 0) rc = cancel_check(err);
  }
  if (got < 0) rc = err ? err->code : ERR_IO;
  lines_close(r);
  if (records) *records = g->n - before;
  return rc;
}

static struct row row_at(const struct groups *g, uint64_t i) {
  struct row row;
  memcpy(&row, spill_at(g->rows, i * sizeof row), sizeof row);
  return row;
}

/* ---- places ---- */

static int by_hash(const struct groups *g, uint64_t place) {
  double u = (double)(place >> 11) * 0x1p-53, sum = 0.0;
  int last = GROUPS_TRAIN;
  for (int side = 0; side < GROUPS_SIDES; side++) {
    if (g->share[side] <= 0.0) continue;
    last = side;
    sum += g->share[side];
    if (u < sum) return side;
  }
  return last;
}

static struct group group_at(const struct groups *g, uint64_t i) {
  struct group one;
  memcpy(&one, spill_at(g->list, i * sizeof one), sizeof one);
  return one;
}

static uint64_t stratum_name(const struct groups *g, uint64_t place) {
  uint64_t low = 0, high = g->group_n;
  if (!g->stratify) return 0;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    if (group_at(g, middle).place < place)
      low = middle + 1;
    else
      high = middle;
  }
  return group_at(g, low).stratum;
}

static int by_order(const struct groups *g, uint64_t place) {
  uint64_t name = stratum_name(g, place);
  size_t low = 0, high = g->stratum_n;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (g->strata[middle].name < name)
      low = middle + 1;
    else
      high = middle;
  }
  const struct stratum *s = &g->strata[low];
  int side = GROUPS_SIDES - 1;
  while (side > 0 && place < s->begin[side]) side--;
  return side;
}

static int side_of(const struct groups *g, uint64_t place) {
  return g->facts.method == GROUPS_HASH ? by_hash(g, place) : by_order(g, place);
}

/* The list of groups, each once, in order of places; of several strata the least is the group's. */
static int list_groups(struct groups *g, struct err *err) {
  struct sorter *s = NULL;
  struct entry e, last = {0};
  int got = 0, rc = make_sorter(&s, g, "places", err);
  for (uint64_t i = 0; i < g->n && !rc; i++) {
    struct row row = row_at(g, i);
    if ((row.stratum & 3) != NONE) continue;
    e = (struct entry){name_of(g, row.own), row.stratum, 0};
    if (i && e.a == last.a && e.b == last.b) continue; /* a document's records come together */
    last = e;
    rc = sorter_add(s, e, err);
    if (!rc && i % POLL == 0) rc = cancel_check(err);
  }
  if (!rc) rc = sorter_sort(s, err);
  while (!rc && (got = sorter_next(s, &e, err)) == 1) {
    if (g->group_n && e.a == last.a) continue;
    last = e;
    g->group_n++;
    rc = spill_add(g->list, &(struct group){e.a, e.b}, sizeof(struct group), err);
  }
  if (got < 0) rc = err ? err->code : ERR_IO;
  sorter_free(s);
  return rc ? rc : spill_seal(g->list, err);
}

/* ---- the exact way ---- */

/* How many of the first n groups belong to the sides up to this one. */
static uint64_t upto(const struct groups *g, int side, uint64_t n) {
  double sum = 0.0, rest = 0.0;
  for (int k = 0; k < GROUPS_SIDES; k++) *(k <= side ? &sum : &rest) += g->share[k];
  return rest <= 0.0 ? n : (uint64_t)floor((double)n * (sum < 1.0 ? sum : 1.0) + 0.5);
}

static int new_stratum(struct groups *g, uint64_t name, struct err *err) {
  if (g->stratum_n == g->stratum_cap) {
    size_t cap = g->stratum_cap ? g->stratum_cap * 2 : 16;
    struct stratum *all = mem_rearray(g->strata, cap, sizeof *all);
    if (!all) return err_nomem(err, cap * sizeof *all, "groups");
    g->strata = all;
    g->stratum_cap = cap;
  }
  g->strata[g->stratum_n++] =
      (struct stratum){name, {0, UINT64_MAX, UINT64_MAX}}; /* places at which sides begin */
  return 0;
}

/* A stratum's groups are from…n in the order of all; place is the one at `at`. */
static void begin_sides(struct groups *g, uint64_t from, uint64_t n, uint64_t at, uint64_t place) {
  struct stratum *s = &g->strata[g->stratum_n - 1];
  uint64_t begin = from;
  for (int side = 1; side < GROUPS_SIDES; side++) {
    uint64_t next = from + upto(g, side - 1, n) - upto(g, side - 1, from);
    begin = next > begin ? next : begin; /* rounding may have a side end before it begins */
    if (at >= begin && s->begin[side] == UINT64_MAX) s->begin[side] = place;
  }
}

/* Strata one after the other, each in order of places: first how many there are, then where sides
 * begin. */
static int order_strata(struct groups *g, struct err *err) {
  struct sorter *s = NULL;
  struct spill *ordered = NULL;
  struct entry e;
  int got = 0, rc = make_sorter(&s, g, "strata", err);
  if (!rc) rc = make_store(&ordered, g, "ordered", err);
  for (uint64_t i = 0; i < g->group_n && !rc; i++) {
    struct group one = group_at(g, i);
    rc = sorter_add(s, (struct entry){one.stratum, one.place, 0}, err);
  }
  if (!rc) rc = sorter_sort(s, err);
  while (!rc && (got = sorter_next(s, &e, err)) == 1) rc = spill_add(ordered, &e, sizeof e, err);
  if (got < 0) rc = err ? err->code : ERR_IO;
  if (!rc) rc = spill_seal(ordered, err);
  for (uint64_t from = 0, n; from < g->group_n && !rc; from = n) {
    const struct entry *all = spill_at(ordered, 0);
    for (n = from + 1; n < g->group_n && all[n].a == all[from].a;) n++;
    rc = new_stratum(g, all[from].a, err);
    for (uint64_t at = from; at < n && !rc; at++) begin_sides(g, from, n, at, all[at].b);
  }
  spill_free(ordered);
  sorter_free(s);
  return rc;
}

/* ---- sides ---- */

/* Merged groups whose own groups would, alone, not all go to one side. */
static void find_unsettled(struct groups *g) {
  for (uint32_t i = 0; i < g->tie_n; i++) {
    uint32_t top = root(g, i);
    if (!g->ties[i].own || g->facts.method != GROUPS_HASH) continue;
    uint64_t chosen = g->ties[g->ties[top].chosen].name;
    if (by_hash(g, g->ties[i].name) != by_hash(g, chosen)) g->ties[top].unsettled = true;
  }
}

bool groups_unsettled(const struct groups *g, uint64_t i) {
  struct row row = row_at(g, i);
  if ((row.stratum & 3) != NONE || !g->tie_n) return false;
  uint32_t slot = *slot_of(g, row.own);
  return slot && g->ties[root(g, slot - 1)].unsettled;
}

int groups_side(const struct groups *g, uint64_t i) {
  struct row row = row_at(g, i);
  int side = (int)(row.stratum & 3);
  return side != NONE ? side : side_of(g, name_of(g, row.own));
}

int groups_finish(struct groups *g, enum groups_method method, const double share[GROUPS_SIDES],
                  struct groups_facts *facts, struct err *err) {
  if (g->finished) return err_set(err, ERR_MISUSE, "groups: finished already");
  g->finished = true;
  memcpy(g->share, share, sizeof g->share);
  int rc = spill_seal(g->rows, err);
  choose_names(g);
  if (!rc) rc = list_groups(g, err);
  if (rc) return rc;
  if (method == GROUPS_AUTO)
    method = g->group_n < GROUPS_AUTO_LIMIT || g->stratify ? GROUPS_EXACT : GROUPS_HASH;
  g->facts.method = method;
  if (method == GROUPS_EXACT) rc = order_strata(g, err);
  find_unsettled(g);
  for (uint64_t i = 0; i < g->group_n && !rc; i++)
    g->facts.groups_of[side_of(g, group_at(g, i).place)]++;
  for (uint64_t i = 0; i < g->n && !rc; i++) {
    g->facts.records_of[groups_side(g, i)]++;
    g->facts.unsettled += groups_unsettled(g, i);
    if (i % POLL == 0) rc = cancel_check(err);
  }
  g->facts.records = g->n;
  g->facts.groups = g->group_n;
  if (facts) *facts = g->facts;
  return rc;
}

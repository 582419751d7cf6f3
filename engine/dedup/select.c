/* SPDX-License-Identifier: MIT */
/* Selection to a budget; see select.h. */
#include "dedup/select.h"
#include "base/cancel.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct group {
  double score; /* sum, then mean */
  uint64_t draw, tokens;
  uint32_t records;
  bool kept;
};
struct slot {
  uint64_t hash;
  uint32_t group; /* 1 + number; 0: free */
};
struct selection {
  struct group *groups;
  size_t group_count, group_cap;
  uint32_t *of; /* the group of each record; NULL while every record is a group by itself */
  size_t records, of_cap;
  struct slot *slots;
  size_t slot_cap, slots_used;
  size_t memory;
};

int selection_new(struct selection **out, size_t memory, struct err *err) {
  *out = mem_zero(sizeof **out);
  if (!*out) return err_nomem(err, sizeof **out, "a selection");
  (*out)->memory = memory;
  return 0;
}

void selection_free(struct selection *s) {
  if (!s) return;
  mem_free(s->groups);
  mem_free(s->of);
  mem_free(s->slots);
  mem_free(s);
}

/* Is there memory for `more` bytes besides what is there? Sorting will take 4 a group. */
static int afford(const struct selection *s, size_t more, struct err *err) {
  size_t now = s->group_cap * (sizeof *s->groups + 4) + s->of_cap * sizeof *s->of +
               s->slot_cap * sizeof *s->slots;
  if (now + more <= s->memory) return 0;
  return err_set(
      err, ERR_LIMIT,
      "the selection of %zu records needs more than the %zu MiB it may use; give it more "
      "with --memory",
      s->records, s->memory >> 20);
}

static int new_group(struct selection *s, uint32_t *number, struct err *err) {
  if (s->group_count == s->group_cap) {
    size_t cap = s->group_cap ? s->group_cap + s->group_cap / 2 : 1024;
    int rc = cap >= UINT32_MAX ? err_set(err, ERR_LIMIT, "more than 4 billion groups")
                               : afford(s, (cap - s->group_cap) * (sizeof *s->groups + 4), err);
    if (rc) return rc;
    struct group *v = mem_rearray(s->groups, cap, sizeof *v);
    if (!v) return err_nomem(err, cap * sizeof *v, "a selection");
    s->groups = v;
    s->group_cap = cap;
  }
  *number = (uint32_t)s->group_count++;
  s->groups[*number] = (struct group){0};
  return 0;
}

static struct slot *slot_of(struct slot *v, size_t cap, uint64_t hash) {
  size_t i = (size_t)hash & (cap - 1);
  while (v[i].group && v[i].hash != hash) i = (i + 1) & (cap - 1);
  return &v[i];
}

static int grow_slots(struct selection *s, struct err *err) {
  size_t cap = s->slot_cap ? 2 * s->slot_cap : 1024;
  int rc = afford(s, cap * sizeof *s->slots, err);
  if (rc) return rc;
  struct slot *v = mem_zeros(cap, sizeof *v);
  if (!v) return err_nomem(err, cap * sizeof *v, "a selection");
  for (size_t i = 0; i < s->slot_cap; i++)
    if (s->slots[i].group) *slot_of(v, cap, s->slots[i].hash) = s->slots[i];
  mem_free(s->slots);
  s->slots = v;
  s->slot_cap = cap;
  return 0;
}

/* The number of the group with this hash, made when it is new. */
static int group_of(struct selection *s, uint64_t hash, uint32_t *number, struct err *err) {
  int rc = 2 * (s->slots_used + 1) > s->slot_cap ? grow_slots(s, err) : 0;
  if (rc) return rc;
  struct slot *slot = slot_of(s->slots, s->slot_cap, hash);
  if (slot->group) return *number = slot->group - 1, 0;
  rc = new_group(s, number, err);
  if (rc) return rc;
  *slot = (struct slot){hash, *number + 1};
  s->slots_used++;
  return 0;
}

static int remember(struct selection *s, uint32_t number, struct err *err) {
  if (s->records == s->of_cap) {
    size_t cap = s->of_cap ? s->of_cap + s->of_cap / 2 : 1024;
    int rc = afford(s, (cap - s->of_cap) * sizeof *s->of, err);
    if (rc) return rc;
    uint32_t *v = mem_rearray(s->of, cap, sizeof *v);
    if (!v) return err_nomem(err, cap * sizeof *v, "a selection");
    s->of = v;
    s->of_cap = cap;
  }
  s->of[s->records] = number;
  return 0;
}

int selection_add(struct selection *s, const uint64_t *group, double score, uint64_t draw,
                  uint64_t tokens, struct err *err) {
  uint32_t number;
  int rc = group ? group_of(s, *group, &number, err) : new_group(s, &number, err);
  if (!rc && group) rc = remember(s, number, err);
  if (rc) return rc;
  struct group *g = &s->groups[number];
  if (!g->records++) g->draw = draw;
  g->score += isnan(score) ? -INFINITY : score;
  g->tokens = g->tokens + tokens < tokens ? UINT64_MAX : g->tokens + tokens;
  s->records++;
  return 0;
}

static int by_worth(const void *a, const void *b, void *context) {
  const struct group *groups = context;
  uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
  const struct group *x = &groups[i], *y = &groups[j];
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  if (x->draw != y->draw) return x->draw < y->draw ? -1 : 1;
  return i < j ? -1 : 1;
}

int selection_choose(struct selection *s, uint64_t groups, uint64_t tokens,
                     struct selection_facts *facts, struct err *err) {
  *facts = (struct selection_facts){.groups = s->group_count, .records = s->records};
  uint32_t *order = mem_array(s->group_count, sizeof *order);
  if (!order) return err_nomem(err, s->group_count * sizeof *order, "a selection");
  for (size_t i = 0; i < s->group_count; i++) {
    order[i] = (uint32_t)i;
    s->groups[i].score /= s->groups[i].records;
    facts->tokens += s->groups[i].tokens;
  }
  qsort_r(order, s->group_count, sizeof *order, by_worth, s->groups);
  for (size_t i = 0; i < s->group_count && facts->kept_groups < groups; i++) {
    struct group *g = &s->groups[order[i]];
    if (g->tokens > tokens - facts->kept_tokens) continue;
    g->kept = true;
    facts->kept_tokens += g->tokens;
    facts->kept_groups++;
    facts->kept_records += g->records;
  }
  mem_free(order);
  return cancel_check(err);
}

bool selection_kept(const struct selection *s, size_t i) {
  return i < s->records && s->groups[s->of ? s->of[i] : i].kept;
}

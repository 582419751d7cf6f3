/* SPDX-License-Identifier: MIT */
/* From places where a text may be cut to chunks.
 *
 *   strength    0                    1        0            2     1
 *   text     ───│────────────────────┼────────│────────────┊─────┼──────────
 *
 * What fits is one chunk. What does not is cut at its strongest borders; pieces between these are put
 * together while they fit, and one that does not fit alone is cut at its next weaker borders, at last
 * at lines, words and clusters (chunk.c). The overlap begins at a border of any strength, the first
 * that it reaches back to. At a wall a chunk ends in any case, and no overlap reaches over it.
 */
#include "base/mem.h"
#include "text/chunk_parts.h"

int chunk_border_add(struct chunk_work *w, size_t *count, size_t at, int strength,
                     struct err *err) {
  struct chunk_border *v = w->borders;
  if (*count && v[*count - 1].at == at) { /* found twice: the stronger one counts */
    if (strength < v[*count - 1].strength) v[*count - 1].strength = strength;
    return 0;
  }
  if (*count == w->borders_cap) {
    size_t cap = w->borders_cap ? w->borders_cap * 2 : 256;
    v = mem_rearray(w->borders, cap, sizeof *v);
    if (!v) return err_nomem(err, cap * sizeof *v, "chunks");
    w->borders = v;
    w->borders_cap = cap;
  }
  v[(*count)++] = (struct chunk_border){at, strength};
  return 0;
}

/* The first border of b[low, high) at or behind `at`. */
static size_t border_at(const struct chunk_border *b, size_t low, size_t high, size_t at) {
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (b[middle].at >= at)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* The next border of that strength in b[i, high), or high. */
static size_t next_of(const struct chunk_border *b, size_t i, size_t high, int strength) {
  while (i < high && b[i].strength != strength) i++;
  return i;
}

static int strongest(const struct chunk_border *b, size_t low, size_t high) {
  int best = CHUNK_STRENGTHS;
  for (size_t i = low; i < high; i++)
    if (b[i].strength < best) best = b[i].strength;
  return best;
}

struct segment {
  size_t from, to;  /* bytes */
  size_t low, high; /* borders inside */
};

static int split(struct chunk_job *j, struct segment g);

/* Where the chunk behind the cut at `e` begins, of which the next piece ends at `end`. */
static size_t overlap_from(const struct chunk_job *j, const struct chunk_border *b, size_t low,
                           size_t high, size_t a, size_t e, size_t end) {
  if (!j->o->overlap) return e;
  size_t x = chunk_index_back(&j->x, e, j->o->overlap),
         fit = chunk_index_back(&j->x, end, j->o->size);
  if (fit > x) x = fit;
  if (x <= a) x = a + 1;
  size_t i = border_at(b, low, high, x);
  return i < high && b[i].at < e ? b[i].at : e;
}

static int split_at(struct chunk_job *j, struct segment g, int strength) {
  const struct chunk_border *b = j->w->borders;
  size_t i = next_of(b, g.low, g.high, strength); /* the first border behind a */
  int rc = 0;
  for (size_t a = g.from; a < g.to && !rc;) {
    size_t reach = chunk_index_reach(&j->x, a, j->o->size), cut = g.high;
    if (reach >= g.to) return chunk_give(j, a, g.to);
    while (i < g.high && b[i].at <= a) i = next_of(b, i + 1, g.high, strength);
    while (i < g.high && b[i].at <= reach) cut = i, i = next_of(b, i + 1, g.high, strength);
    size_t end = i < g.high ? b[i].at : g.to;
    if (cut == g.high) { /* the first piece alone is too long */
      size_t low = border_at(b, g.low, g.high, a + 1);
      rc = split(j, (struct segment){a, end, low, i});
      a = end;
      continue;
    }
    size_t e = b[cut].at;
    if ((rc = chunk_give(j, a, e))) break;
    if (chunk_index_length(&j->x, e, end) > j->o->size) {
      rc = split(j, (struct segment){e, end, cut + 1, i});
      a = end;
    } else {
      a = overlap_from(j, b, g.low, cut, a, e, end);
    }
  }
  return rc;
}

static int split(struct chunk_job *j, struct segment g) {
  if (g.from >= g.to) return 0;
  if (chunk_index_reach(&j->x, g.from, j->o->size) >= g.to) return chunk_give(j, g.from, g.to);
  if (g.low == g.high) return chunk_plain(j, g.from, g.to);
  return split_at(j, g, strongest(j->w->borders, g.low, g.high));
}

int chunk_borders(struct chunk_job *j, size_t count) {
  const struct chunk_border *b = j->w->borders;
  struct segment g = {0, 0, 0, 0};
  int rc = 0;
  for (size_t i = 0; i <= count && !rc; i++) {
    if (i < count && b[i].strength != CHUNK_WALL) continue;
    g.to = i < count ? b[i].at : j->n;
    g.high = i;
    rc = split(j, g);
    g.from = g.to;
    g.low = i + 1;
  }
  return rc;
}

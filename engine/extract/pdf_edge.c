/* SPDX-License-Identifier: MIT */
/* Running headers, footers and page numbers.
 *
 *   page 11   4.2 Installing            11       row at y = 48: "4.2 installing" without digits
 *   page 12   Handbook                  12
 *   page 13   4.2 Installing            13       the same at the same height: a running header
 *
 * Of each page the rows in the upper and lower ZONE are looked at, from outside: those that go must
 * stand apart from what stays. A row goes when a row with the
 * same text (digits and Roman numbers left out) stands at the same height on two other pages of the
 * window around it, one when there are no more than three pages; a row of nothing but a number when
 * one other does, or when it is the outermost. Type larger than the body's must repeat letter for
 * letter and not count, or the titles of chapters would go ("Chapter 1", "Chapter 2"). Where most pages have a
 * running row at a height, one that stands apart at that height goes too, whatever it says: the
 * header of a chapter with one page; and so does one whose number counts pages with those at its
 * height on others.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "extract/pdf_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ZONE  0.14f /* of the page's height */
#define SAME  2.5f  /* points: the same height */
#define SIDE  (PDF_EDGES / 2)
#define LARGE 1.15f
#define ROWS  64 /* pieces of one row that are looked at */

/* ---- what stands there ---- */

static bool is_roman(const char *s, size_t n) {
  if (n == 0 || n > 7) return false;
  for (size_t i = 0; i < n; i++)
    if (!strchr("ivxlc", s[i])) return false;
  return true;
}

/* The row's text without digits, small, single words; a Roman number at its
 * ends is left out. */
static uint64_t text_hash(const char *s, size_t n) {
  struct buf b;
  size_t at = 0;
  buf_init(&b);
  while (at < n) {
    size_t from = b.len;
    while (at < n && s[at] != ' ') {
      char c = s[at++];
      if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
      if ((c >= '0' && c <= '9') || strchr("-.,/[]()|", c)) continue;
      buf_addc(&b, c);
    }
    bool end = from == 0 || at >= n;
    if (end && b.len > from && is_roman(b.data + from, b.len - from)) b.len = from;
    if (b.len > from) buf_addc(&b, ' ');
    while (at < n && s[at] == ' ') at++;
  }
  uint64_t h = b.len ? hash_xxh3(b.data, b.len, 0) : 0;
  buf_clear(&b);
  return h;
}

static int32_t number_of(const char *s, size_t n) {
  int32_t v = 0;
  if (n == 0 || n > 5) return -1;
  for (size_t i = 0; i < n; i++) {
    if (s[i] < '0' || s[i] > '9') return -1;
    v = v * 10 + (s[i] - '0');
  }
  return v;
}

/* The numbers at both ends of a row. */
static void find_numbers(const char *s, size_t n, struct pdf_edge *e) {
  size_t first = 0, last = n;
  while (first < n && s[first] != ' ') first++;
  while (last > 0 && s[last - 1] != ' ') last--;
  e->head = number_of(s, first);
  e->tail = number_of(s + last, n - last);
}

struct found {
  float y, size, top, bottom;
  struct pdf_piece *pieces[ROWS];
  size_t n;
};

static int by_left(const void *a, const void *b) {
  const struct pdf_piece *x = *(struct pdf_piece *const *)a, *y = *(struct pdf_piece *const *)b;
  return (x->left > y->left) - (x->left < y->left);
}

/* The outermost row at or inside `limit`; false when there is none. Above: below = false. */
static bool outer_row(struct pdf_page *p, float limit, bool below, struct found *f) {
  struct pdf_piece *best = NULL;
  for (size_t i = 0; i < p->piece_count; i++) {
    struct pdf_piece *l = &p->pieces[i];
    float y = (l->top + l->bottom) / 2;
    if (l->rotated || l->gone || (below ? y >= limit : y <= limit)) continue;
    if (!best || (below ? y > (best->top + best->bottom) / 2 : y < (best->top + best->bottom) / 2))
      best = l;
  }
  if (!best) return false;
  *f =
      (struct found){.y = (best->top + best->bottom) / 2, .top = best->top, .bottom = best->bottom};
  for (size_t i = 0; i < p->piece_count && f->n < ROWS; i++) {
    struct pdf_piece *l = &p->pieces[i];
    float y = (l->top + l->bottom) / 2;
    if (l->rotated || l->gone || fabsf(y - f->y) > 0.4f * (best->bottom - best->top)) continue;
    f->pieces[f->n++] = l;
    f->size = fmaxf(f->size, l->size);
  }
  qsort(f->pieces, f->n, sizeof *f->pieces, by_left);
  return true;
}

static void describe(const struct pdf_page *p, const struct found *f, struct pdf_edge *e) {
  struct buf b;
  buf_init(&b);
  for (size_t i = 0; i < f->n; i++) {
    if (i) buf_addc(&b, ' ');
    pdf_plain(p, f->pieces[i], &b);
  }
  e->y = f->y;
  e->size = f->size;
  e->exact = b.data ? hash_xxh3(b.data, b.len, 0) : 0;
  e->text = b.data ? text_hash(b.data, b.len) : 0;
  find_numbers(b.data ? b.data : "", b.len, e);
  buf_clear(&b);
}

void pdf_edges(struct pdf_page *p) {
  p->edge_count = 0;
  for (int below = 0; below < 2; below++) {
    float limit = below ? INFINITY : -INFINITY;
    struct found f, inner;
    for (int i = 0; i < SIDE && outer_row(p, limit, below, &f); i++) {
      bool zone = below ? f.y > p->height * (1 - ZONE) : f.y < p->height * ZONE;
      if (!zone) break;
      struct pdf_edge *e = &p->edges[p->edge_count++];
      *e = (struct pdf_edge){.below = below};
      describe(p, &f, e);
      limit = f.y + (below ? -1.0f : 1.0f) * 0.4f * (f.bottom - f.top);
      e->apart = true;
      if (outer_row(p, limit, below, &inner))
        e->apart =
            (below ? f.top - inner.bottom : inner.top - f.bottom) > 0.7f * (f.bottom - f.top);
    }
  }
}

/* ---- which of it runs ---- */

static bool same_place(const struct pdf_edge *a, const struct pdf_edge *b) {
  return a->below == b->below && fabsf(a->y - b->y) <= SAME && fabsf(a->size - b->size) < 1;
}

static bool repeats(struct pdf_page *const *window, size_t n, size_t at, const struct pdf_edge *e,
                    const struct pdf_style *s) {
  size_t found = 0, pages = 0;
  bool large = s->body > 0 && e->size >= s->body * LARGE && e->text;
  for (size_t i = 0; i < n; i++) {
    const struct pdf_page *p = window[i];
    pages += p->number != 0;
    if (i == at || !p->number) continue;
    for (size_t k = 0; k < p->edge_count; k++) {
      const struct pdf_edge *o = &p->edges[k];
      if (!same_place(e, o) || (large ? o->exact != e->exact : o->text != e->text)) continue;
      found++;
      break;
    }
  }
  return found >= (pages > 3 && e->text ? 2u : 1u);
}

/* Does the row's number count the pages, with those at its height on two others? */
static bool counts(struct pdf_page *const *window, size_t n, size_t at, const struct pdf_edge *e) {
  size_t found = 0;
  if (e->head < 0 && e->tail < 0) return false;
  for (size_t i = 0; i < n; i++) {
    const struct pdf_page *p = window[i];
    if (i == at || !p->number) continue;
    int32_t away = (int32_t)p->number - (int32_t)window[at]->number;
    for (size_t k = 0; k < p->edge_count; k++) {
      const struct pdf_edge *o = &p->edges[k];
      if (!same_place(e, o)) continue;
      bool fits = (e->head >= 0 && (o->head == e->head + away || o->tail == e->head + away)) ||
                  (e->tail >= 0 && (o->head == e->tail + away || o->tail == e->tail + away));
      found += fits;
      if (fits) break;
    }
  }
  return found >= 2;
}

/* On how many pages does a running row stand at this one's height? */
static bool runs_here(struct pdf_page *const *window, size_t n, const struct pdf_edge *e,
                      const struct pdf_style *s) {
  size_t found = 0, pages = 0;
  for (size_t i = 0; i < n; i++) {
    const struct pdf_page *p = window[i];
    if (!p->number) continue;
    pages++;
    for (size_t k = 0; k < p->edge_count; k++)
      if (same_place(e, &p->edges[k]) && p->edges[k].text &&
          repeats(window, n, i, &p->edges[k], s)) {
        found++;
        break;
      }
  }
  return pages >= 6 && found * 10 >= pages * 6;
}

static void drop_row(struct pdf_page *p, const struct pdf_edge *e) {
  for (size_t i = 0; i < p->piece_count; i++) {
    struct pdf_piece *l = &p->pieces[i];
    if (!l->rotated && fabsf((l->top + l->bottom) / 2 - e->y) <= 0.4f * (l->bottom - l->top))
      l->gone = true;
  }
  p->left_out++;
}

void pdf_drop_running(struct pdf_page *const *window, size_t n, size_t at,
                      const struct pdf_style *s) {
  struct pdf_page *p = window[at];
  size_t kept = 0;
  for (size_t k = 0; k < p->edge_count;) {
    size_t from = k, end = k; /* the rows from .. end − 1 go */
    bool below = p->edges[k].below, going = true;
    for (; k < p->edge_count && p->edges[k].below == below; k++) {
      const struct pdf_edge *e = &p->edges[k];
      bool large = s->body > 0 && e->size >= s->body * LARGE;
      going = going && (repeats(window, n, at, e, s) || (!large && counts(window, n, at, e)) ||
                        (!e->text && !large && p->piece_count > 1) ||
                        (e->apart && !large && runs_here(window, n, e, s)));
      if (going && (e->apart || !e->text)) end = k + 1;
    }
    for (size_t i = from; i < end; i++) drop_row(p, &p->edges[i]);
  }
  for (size_t i = 0; i < p->piece_count; i++)
    if (!p->pieces[i].gone) p->pieces[kept++] = p->pieces[i];
  p->piece_count = kept;
}

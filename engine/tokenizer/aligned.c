/* SPDX-License-Identifier: MIT */
/* A text made from another, with the range of source bytes that each of its bytes stands for.
 *
 *   text   '"'    'b'          source  a ` ` b       '"' was put in for the second `
 *   start   2      3                   0 1 2 3
 *   end     3      4
 *
 * The three arrays grow together; whoever does not track pays for the text only. A failure is the
 * text's: appends after it do nothing.
 */
#include <string.h>

#include "base/mem.h"
#include "tokenizer/normal.h"

void aligned_clear(struct aligned *a) {
  buf_clear(&a->text);
  mem_free(a->start);
  mem_free(a->end);
  a->start = a->end = NULL;
  a->cap = 0;
}

void aligned_reset(struct aligned *a, bool track) {
  buf_reset(&a->text);
  a->track = track;
}

static bool grow(uint32_t **array, size_t cap) {
  uint32_t *p = mem_rearray(*array, cap, sizeof *p);
  if (p) *array = p;
  return p != NULL;
}

/* Room for n more positions. */
static bool room(struct aligned *a, size_t n) {
  size_t need = a->text.len + n;
  if (a->text.failed) return false;
  if (need <= a->cap) return true;
  size_t cap = a->cap + a->cap / 2 + 64;
  if (cap < need) cap = need;
  if (!grow(&a->start, cap) || !grow(&a->end, cap)) {
    a->text.failed = true;
    return false;
  }
  a->cap = cap;
  return true;
}

bool aligned_room(struct aligned *a, size_t n) {
  return (!a->track || room(a, n)) && !buf_reserve(&a->text, n);
}

void aligned_add(struct aligned *a, const char *s, size_t n, uint32_t start, uint32_t end) {
  if (a->track) {
    if (!room(a, n)) return;
    for (size_t i = a->text.len, stop = i + n; i < stop; i++) {
      a->start[i] = start;
      a->end[i] = end;
    }
  }
  buf_add(&a->text, s, n);
}

void aligned_copy(struct aligned *a, const char *s, size_t n, uint32_t start) {
  if (a->track) {
    if (!room(a, n)) return;
    uint32_t *from = a->start + a->text.len, *to = a->end + a->text.len;
    for (size_t i = 0; i < n; i++) {
      from[i] = start + (uint32_t)i;
      to[i] = start + (uint32_t)i + 1;
    }
  }
  buf_add(&a->text, s, n);
}

void aligned_append(struct aligned *a, const struct aligned *other, size_t from, size_t to) {
  if (from == to || !room(a, to - from)) return;
  memcpy(a->start + a->text.len, other->start + from, (to - from) * sizeof *a->start);
  memcpy(a->end + a->text.len, other->end + from, (to - from) * sizeof *a->end);
  buf_add(&a->text, other->text.data + from, to - from);
}

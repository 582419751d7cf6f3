/* SPDX-License-Identifier: MIT */
/* Three walks over the elements that are shown: how large they are, how wide they become, writing.
 * One way of writing numbers for the whole tensor: whole numbers when all are, four decimals when
 * that shows something, exponents otherwise. */
#include "tensor/show.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WHOLE_MOST 8 /* longest dimension that is shown in full */
#define EDGE       3

struct shower {
  const struct tensor *t;
  struct buf *out;                               /* NULL in the first walk */
  enum { SURVEY, WHOLE, FIXED, EXPONENT } style; /* of floats */
  int width;
  bool all_whole;
  double largest; /* magnitude of the finite elements */
};

static int format_number(const struct shower *s, size_t i, char text[40]) {
  if (!dtype_info(s->t->dtype)->is_float)
    return snprintf(text, 40, "%lld", (long long)tensor_get_integer(s->t, i));
  double v = tensor_get(s->t, i);
  if (!isfinite(v)) return snprintf(text, 40, "%s", isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
  return snprintf(text, 40, s->style == EXPONENT ? "%.4e" : s->style == WHOLE ? "%.0f" : "%.4f", v);
}

static void survey(struct shower *s, size_t i) {
  double v = fabs(tensor_get(s->t, i));
  if (!isfinite(v) || v == 0) return;
  if (v != floor(v)) s->all_whole = false;
  if (v > s->largest) s->largest = v;
}

static void one(struct shower *s, size_t i) {
  char text[40];
  if (s->style == SURVEY) {
    survey(s, i);
    return;
  }
  int n = format_number(s, i, text);
  if (s->out)
    buf_addf(s->out, "%*s", s->width, text);
  else if (n > s->width)
    s->width = n;
}

static void separate(struct shower *s, int depth, bool last_dimension) {
  if (!s->out) return;
  buf_addc(s->out, ',');
  if (last_dimension) {
    buf_addc(s->out, ' ');
    return;
  }
  for (int i = depth + 1; i < s->t->rank; i++) buf_addc(s->out, '\n');
  for (int i = 0; i <= depth; i++) buf_addc(s->out, ' ');
}

/* Dimension `depth`, its elements beginning at `at`; depth is at most TENSOR_RANK. */
static void walk(struct shower *s, int depth, size_t at) {
  if (depth == s->t->rank) {
    one(s, at);
    return;
  }
  size_t n = s->t->shape[depth], step = 1;
  for (int i = depth + 1; i < s->t->rank; i++) step *= s->t->shape[i];
  bool last = depth + 1 == s->t->rank;
  if (s->out) buf_addc(s->out, '[');
  for (size_t i = 0; i < n; i++) {
    if (i) separate(s, depth, last);
    if (n > WHOLE_MOST && i == EDGE) {
      i = n - EDGE;
      if (s->out) buf_adds(s->out, "...");
      separate(s, depth, last);
    }
    walk(s, depth + 1, at + i * step);
  }
  if (s->out) buf_addc(s->out, ']');
}

void tensor_show(const struct tensor *t, struct buf *out) {
  char head[96];
  buf_adds(out, tensor_describe(t, head));
  buf_addc(out, '\n');
  struct shower s = {.t = t, .all_whole = true};
  walk(&s, 0, 0);
  bool plain = s.largest < 1e5 && (s.largest == 0 || s.largest >= 1e-3);
  s.style = s.all_whole && s.largest < 1e8 ? WHOLE : plain ? FIXED : EXPONENT;
  walk(&s, 0, 0);
  s.out = out;
  walk(&s, 0, 0);
}

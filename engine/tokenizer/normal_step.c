/* SPDX-License-Identifier: MIT */
/* How a step of the normalizer writes. Positions are composed on the way: a step speaks of the text
 * it reads, what is written speaks of the source.
 *
 *   source ──start, end──► text a step reads ──from, to──► what it writes
 */
#include <string.h>

#include "base/mem.h"
#include "tokenizer/normal.h"

void step_keep(struct step_io *io, size_t at, size_t n) {
  struct aligned *out = io->out;
  if (!n) return;
  if (!out->track || !io->start) {
    aligned_copy(out, io->s + at, n, (uint32_t)at);
    return;
  }
  size_t was = out->text.len;
  aligned_add(out, io->s + at, n, 0, 0);
  if (out->text.failed) return;
  memcpy(out->start + was, io->start + at, n * sizeof *io->start);
  memcpy(out->end + was, io->end + at, n * sizeof *io->end);
}

void step_put(struct step_io *io, const char *bytes, size_t n, size_t from, size_t to) {
  size_t start = from, end = to;
  if (io->out->track && io->start) {
    start = from < io->n ? io->start[from] : io->n ? io->end[io->n - 1] : 0;
    end = to > from ? io->end[to - 1] : start;
  }
  aligned_add(io->out, bytes, n, (uint32_t)start, (uint32_t)end);
}

void step_put_char(struct step_io *io, uint32_t c, size_t from, size_t to) {
  char bytes[4];
  step_put(io, bytes, utf8_encode(c, bytes), from, to);
}

size_t step_back(const char *s, size_t lo, size_t at) {
  size_t q = at - 1, used;
  while (q > lo && at - q < 4 && ((unsigned char)s[q] & 0xC0) == 0x80) q--;
  return utf8_decode(s + q, at - q, &used) != UTF8_BAD && used == at - q ? q : at - 1;
}

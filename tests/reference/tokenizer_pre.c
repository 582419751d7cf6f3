/* SPDX-License-Identifier: MIT */
/* The pre-tokenizers behind two plain functions, for tests/reference/tokenizer_pre.py. */
#include "base/mem.h"
#include "tokenizer/pretokenize.h"

#include <string.h>

struct driver {
  struct json *j;
  char *text;
  struct pre_tokenizer *p;
  struct pieces io, spare;
  struct buf out;
};
struct driver *driver_new(const char *json, size_t n, char *message);
void driver_free(struct driver *d);
long driver_run(struct driver *d, const char *s, size_t n, int track, char *message);
const char *driver_word(struct driver *d, size_t i, size_t *n, size_t *start, size_t *end);

void driver_free(struct driver *d) {
  pre_tokenizer_free(d->p);
  json_free(d->j);
  mem_free(d->text);
  pieces_clear(&d->io);
  pieces_clear(&d->spare);
  buf_clear(&d->out);
  mem_free(d);
}

struct driver *driver_new(const char *json, size_t n, char *message) {
  struct err err = {0};
  struct driver *d = mem_zero(sizeof *d);
  d->text = mem_dup(json, n);
  if (json_parse(&d->j, d->text, n, NULL, &err) ||
      pre_tokenizer_load(&d->p, d->j, JSON_ROOT, &err)) {
    strcpy(message, err.message);
    driver_free(d);
    return NULL;
  }
  return d;
}

/* The number of words, or −1. */
long driver_run(struct driver *d, const char *s, size_t n, int track, char *message) {
  struct err err = {0};
  bool alphabet;
  aligned_reset(&d->io.a, track);
  aligned_copy(&d->io.a, s, n, 0);
  if (!d->io.cap) {
    d->io.list = mem_array(4, sizeof *d->io.list);
    d->io.cap = 4;
  }
  d->io.list[0] = (struct piece){0, n};
  d->io.count = 1;
  if (pre_tokenizer_run(d->p, &d->io, &d->spare, true, &alphabet, &err)) {
    strcpy(message, err.message);
    return -1;
  }
  return (long)d->io.count;
}

/* Word i as the reference gives it, and the bytes it stands for (when tracked). */
const char *driver_word(struct driver *d, size_t i, size_t *n, size_t *start, size_t *end) {
  struct piece piece = d->io.list[i];
  const struct aligned *a = &d->io.a;
  char pair[2];
  buf_reset(&d->out);
  for (size_t k = piece.start; k < piece.end; k++)
    if (d->p && d->p->bytes_last)
      buf_add(&d->out, pair, byte_char_put((unsigned char)a->text.data[k], pair));
    else
      buf_addc(&d->out, a->text.data[k]);
  *n = d->out.len;
  *start = a->track && piece.end > piece.start ? a->start[piece.start] : 0;
  *end = a->track && piece.end > piece.start ? a->end[piece.end - 1] : 0;
  return d->out.data;
}

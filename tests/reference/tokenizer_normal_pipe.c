/* SPDX-License-Identifier: MIT */
/* Our normalizer at the end of a pipe, for tokenizer_normal_check.py, which builds it.
 *
 *   stdin:   u32 n, n bytes: the normalizer as JSON; then u32 n, n bytes of text, again and again
 *   stdout:  u8 whether normalizer_keeps, u32 n, n bytes, n × u32 start, n × u32 end
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/parts.h"

/* To the byte, so that reading beyond is seen. */
static char *block(uint32_t *n) {
  if (fread(n, 4, 1, stdin) != 1) return NULL;
  char *s = mem_alloc(*n);
  if (s && fread(s, 1, *n, stdin) == *n) return s;
  mem_free(s);
  return NULL;
}

int main(void) {
  static char big[1 << 16];
  struct json *j = NULL;
  struct normalizer *z = NULL;
  struct err err = {0};
  struct aligned a = {.track = true};
  uint32_t n = 0;
  char *spec = block(&n), *text;
  if (!spec || json_parse(&j, spec, n, NULL, &err) || normalizer_load(&z, j, JSON_ROOT, &err)) {
    fprintf(stderr, "%s\n", err.message);
    return 1;
  }
  setvbuf(stdout, big, _IOFBF, sizeof big);
  while ((text = block(&n))) {
    if (normalizer_run(z, text, n, &a, &err)) {
      fprintf(stderr, "%s\n", err.message);
      return 1;
    }
    uint32_t len = (uint32_t)a.text.len;
    putchar(normalizer_keeps(z, text, n));
    fwrite(&len, 4, 1, stdout);
    fwrite(a.text.data, 1, len, stdout);
    fwrite(a.start, 4, len, stdout);
    fwrite(a.end, 4, len, stdout);
    mem_free(text);
  }
  aligned_clear(&a);
  normalizer_free(z);
  json_free(j);
  mem_free(spec);
  return 0;
}

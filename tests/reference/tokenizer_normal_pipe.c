/* SPDX-License-Identifier: MIT */
/* Our normalizer at the end of a pipe, for tokenizer_normal_check.py, which builds it.
 *
 *   argv[1]: the normalizer as JSON
 *   stdin:   u32 n, n bytes of text, again and again
 *   stdout:  u8 whether normalizer_keeps, u32 n, n bytes, n × u32 start, n × u32 end
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/parts.h"

int main(int argc, char **argv) {
  static char big[1 << 16];
  struct json *j = NULL;
  struct normalizer *z = NULL;
  struct err err = {0};
  struct aligned a = {.track = true};
  char *text = NULL;
  uint32_t n;
  if (argc < 2 || json_parse(&j, argv[1], strlen(argv[1]), NULL, &err) ||
      normalizer_load(&z, j, JSON_ROOT, &err)) {
    fprintf(stderr, "%s\n", err.message);
    return 1;
  }
  setvbuf(stdout, big, _IOFBF, sizeof big);
  while (fread(&n, 4, 1, stdin) == 1) {
    mem_free(text);
    text = mem_alloc(n); /* to the byte, so that reading beyond is seen */
    if (!text || fread(text, 1, n, stdin) != n) return 1;
    a.track = true;
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
  }
  mem_free(text);
  aligned_clear(&a);
  normalizer_free(z);
  json_free(j);
  return 0;
}

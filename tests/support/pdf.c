/* SPDX-License-Identifier: MIT */
#include "support/pdf.h"

#include <string.h>

void pdf_begin(struct pdf *p) {
  *p = (struct pdf){0};
  buf_init(&p->b);
  buf_adds(&p->b, "%PDF-1.4\n");
}

int pdf_object(struct pdf *p, const char *body) {
  p->offset[++p->count] = p->b.len;
  buf_addf(&p->b, "%d 0 obj\n%s\nendobj\n", p->count, body);
  return p->count;
}

int pdf_stream(struct pdf *p, const char *dictionary, const char *content) {
  p->offset[++p->count] = p->b.len;
  buf_addf(&p->b, "%d 0 obj\n<<%s /Length %zu>>\nstream\n%s\nendstream\nendobj\n", p->count,
           dictionary, strlen(content), content);
  return p->count;
}

void pdf_end(struct pdf *p) {
  size_t at = p->b.len;
  buf_addf(&p->b, "xref\n0 %d\n0000000000 65535 f \n", p->count + 1);
  for (int i = 1; i <= p->count; i++) buf_addf(&p->b, "%010zu 00000 n \n", p->offset[i]);
  buf_addf(&p->b, "trailer\n<</Size %d /Root 1 0 R>>\nstartxref\n%zu\n%%%%EOF\n", p->count + 1, at);
}

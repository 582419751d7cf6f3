/* SPDX-License-Identifier: MIT */
/* A small PDF writer for tests: objects in order, then the table of offsets. Object 1 must be the
 * catalogue. The caller clears p.b. */
#ifndef LATHE_TEST_PDF_H
#define LATHE_TEST_PDF_H

#include "base/buf.h"

struct pdf {
  struct buf b;
  size_t offset[64];
  int count; /* the number of the last object */
};

void pdf_begin(struct pdf *p);
/* Each returns the object's number. */
int pdf_object(struct pdf *p, const char *body);
int pdf_stream(struct pdf *p, const char *dictionary, const char *content);
void pdf_end(struct pdf *p);

#endif

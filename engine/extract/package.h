/* SPDX-License-Identifier: MIT */
/* Documents that are ZIP archives: DOCX, PPTX, ODT, EPUB. The members that a reader wants are
 * unpacked into memory, the others are passed over:
 *
 *   struct package p;
 *   package_open(&p, job, "PPTX", wanted, err)      wanted(name) says which
 *   const struct part *x = package_part(&p, "ppt/presentation.xml");
 *   package_close(&p);
 *
 * Nothing is unpacked to disk, so that names and links in the archive mean nothing. Limits: members
 * in number, unpacked bytes in total and relative to the file (a bomb is small). */
#ifndef LATHE_EXTRACT_PACKAGE_H
#define LATHE_EXTRACT_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "extract/worker.h"

enum package_kind {
  PACKAGE_ZIP, /* none of the following */
  PACKAGE_DOCX,
  PACKAGE_PPTX,
  PACKAGE_XLSX,
  PACKAGE_ODT,
  PACKAGE_ODF, /* a spreadsheet, a drawing … of OpenDocument */
  PACKAGE_EPUB
};

/* What the ZIP at job->fd is: by its mimetype member, by [Content_Types].xml, by its parts' names.
 * What is damaged is what was seen of it until then. */
int package_kind(struct job *job, enum package_kind *kind, struct err *err);
const char *package_describe(enum package_kind kind); /* "an Excel workbook (XLSX)" */

struct part {
  char *name;
  struct buf bytes;
};

struct package {
  struct job *job;
  const char *what; /* "DOCX": for messages */
  struct part *parts;
  size_t count, cap;
  uint64_t unpacked;
};

/* ERR_FORMAT (damaged, encrypted), ERR_LIMIT, ERR_NOMEM, ERR_IO. package_close in any case. */
int package_open(struct package *p, struct job *job, const char *what,
                 bool (*wanted)(const char *name), struct err *err);
void package_close(struct package *p);

/* The part of that name, upper and lower case alike; NULL when there is none. */
const struct part *package_part(const struct package *p, const char *name);

/* The name that `target` means inside the part `from` ("ppt/slides/slide1.xml",
 * "../notes/n.xml#x" → "ppt/notes/n.xml"), percent signs decoded. False when it is outside the
 * package or longer than cap. */
bool package_resolve(const char *from, const char *target, char *out, size_t cap);

#endif

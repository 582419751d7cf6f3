/* SPDX-License-Identifier: MIT */
/* What runs in the child, one process per document: decide the type, read it, write frames.
 *
 *   job.fd ─► sniff_type ─► text | html | docx | odt … ─► struct out ─► data socket
 *
 * Readers return 0 or an error code with a message for a person, as everywhere; they need not care
 * for what they leave allocated when they fail, since the process ends, but they do.
 */
#ifndef LATHE_EXTRACT_WORKER_H
#define LATHE_EXTRACT_WORKER_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "extract/out.h"
#include "extract/protocol.h"

/* Shared with the server, which kills the child when one page takes too long. The child may lie in
 * it; then only its own pages suffer. */
struct progress {
  _Atomic uint32_t page; /* at work on it; 0: on none, or sending one; PROGRESS_KILLED: too late */
  _Atomic uint32_t pages;
  _Atomic uint32_t done; /* the last page that was sent */
};
#define PROGRESS_KILLED UINT32_MAX

struct job {
  int fd; /* the document; position 0 */
  uint64_t bytes;
  struct extract_request request;
  struct progress *progress;
  uint32_t first_page; /* of a PDF: where to go on after a page was killed */
  uint32_t last_page;  /* … and where to stop; 0: at the end */
  uint32_t skips[EXTRACT_SKIPS];
  uint32_t skip_count; /* pages that were killed */
  struct out out;
};

enum doc_type {
  DOC_UNKNOWN,
  DOC_TXT,
  DOC_MD,
  DOC_HTML,
  DOC_DOCX,
  DOC_PDF,
  DOC_ODT,
  DOC_PPTX,
  DOC_EPUB,
  DOC_IPYNB,
  DOC_ARCHIVE, /* its members are read one by one, by another request */
  DOC_TYPES
};

/* Decides by content, then by the name's extension. ERR_UNSUPPORTED says what it seems to be. */
int sniff_type(struct job *job, enum doc_type *type, struct err *err);
const char *sniff_name(enum doc_type type); /* "txt" … */

int text_read(struct job *job, bool markdown, struct err *err);
int html_read(struct job *job, struct err *err);

/* How a page in memory is read. */
struct html_options {
  bool whole; /* all of its text (a chapter of a book); else the main text, not the navigation */
  bool quiet; /* its encoding, title and language are not told to the engine */
};

/* Reads one HTML or XHTML page that lies in memory, in whatever encoding it declares, and writes
 * its text behind what was written before: blocks are separated by a blank line, and the last one
 * is left open (end the document with out_block(…, 0, "") and a newline). *has_text (may be NULL)
 * says whether anything was written. ERR_NOMEM, ERR_LIMIT. */
int html_read_bytes(struct job *job, const char *bytes, size_t n, const struct html_options *o,
                    bool *has_text, struct err *err);
int docx_read(struct job *job, struct err *err);
int odt_read(struct job *job, struct err *err);
int pptx_read(struct job *job, struct err *err);
int epub_read(struct job *job, struct err *err);
int ipynb_read(struct job *job, struct err *err);
/* Not a document: an archive's members, as frames of their own. */
int unpack_run(struct job *job, struct err *err);
int pdf_read(struct job *job, struct err *err);
int probe_run(struct job *job, struct err *err);
uint32_t pdf_version(void); /* of poppler, as in struct extract_hello */

/* Reads up to n bytes at an offset of the document; short only at its end. −1 with err. */
long long job_read(struct job *job, uint64_t at, void *bytes, size_t n, struct err *err);

#endif

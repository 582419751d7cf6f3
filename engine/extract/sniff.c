/* SPDX-License-Identifier: MIT */
/* What kind of document is this? Its first bytes decide; the name's extension only chooses between
 * the kinds that are text. A file whose name promises a format that its bytes are not is damaged or
 * misnamed, and is reported as that. */
#include "base/mem.h"
#include "extract/worker.h"
#include "text/encoding.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HEAD ((size_t)64 << 10)

static const struct {
  const char *name;
  enum doc_type type;
} extensions[] = {{"txt", DOC_TXT},   {"text", DOC_TXT},    {"log", DOC_TXT},    {"rst", DOC_TXT},
                  {"adoc", DOC_TXT},  {"org", DOC_TXT},     {"tex", DOC_TXT},    {"", DOC_TXT},
                  {"md", DOC_MD},     {"markdown", DOC_MD}, {"mdown", DOC_MD},   {"mkd", DOC_MD},
                  {"html", DOC_HTML}, {"htm", DOC_HTML},    {"xhtml", DOC_HTML}, {"docx", DOC_DOCX},
                  {"docm", DOC_DOCX}, {"pdf", DOC_PDF}};

/* Formats that are known well enough to be named when refused. */
static const struct {
  const char *bytes;
  size_t n;
  const char *what;
} foreign[] = {{"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8,
                "an old Word, Excel or PowerPoint file, or an encrypted one"},
               {"{\\rtf", 5, "an RTF file"},
               {"\x1F\x8B", 2, "a gzip file"},
               {"\x28\xB5\x2F\xFD", 4, "a zstd file"},
               {"7z\xBC\xAF\x27\x1C", 6, "a 7z archive"},
               {"Rar!\x1A\x07", 6, "a RAR archive"},
               {"\x89PNG", 4, "a PNG image"},
               {"\xFF\xD8\xFF", 3, "a JPEG image"},
               {"GIF8", 4, "a GIF image"},
               {"%!PS", 4, "a PostScript file"},
               {"\x7F"
                "ELF",
                4, "a program"},
               {"SQLite format 3", 16, "an SQLite database"}};

const char *sniff_name(enum doc_type type) {
  static const char *const names[] = {"", "txt", "md", "html", "docx", "pdf"};
  return names[type];
}

static enum doc_type by_extension(const char *extension) {
  for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
    if (!strcmp(extension, extensions[i].name)) return extensions[i].type;
  return DOC_UNKNOWN;
}

static bool begins(const char *s, const char *end, const char *word) {
  size_t n = strlen(word);
  return (size_t)(end - s) >= n && !strncasecmp(s, word, n);
}

/* Behind white space, comments and an XML declaration: does an HTML document begin here? */
static bool begins_html(const char *s, size_t n) {
  const char *end = s + n;
  if (begins(s, end, "\xEF\xBB\xBF")) s += 3;
  for (;;) {
    const char *close = NULL;
    while (s < end && (unsigned char)*s <= ' ') s++;
    if (begins(s, end, "<!--")) {
      close = memmem(s, (size_t)(end - s), "-->", 3);
      if (close) close += 2;
    } else if (begins(s, end, "<?xml")) {
      close = memchr(s, '>', (size_t)(end - s));
    }
    if (!close) return begins(s, end, "<!doctype html") || begins(s, end, "<html");
    s = close + 1;
  }
}

/* Text has no zero bytes outside UTF-16 and UTF-32, and few control characters. */
static bool is_binary(const char *s, size_t n) {
  struct encoding e;
  size_t odd = 0;
  if (encoding_detect(s, n, &e, NULL) == 0 && !strncmp(e.name, "UTF-", 4) &&
      strcmp(e.name, "UTF-8") != 0)
    return false;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == 0) return true;
    odd += c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\x1B';
  }
  return odd > n / 20;
}

static enum doc_type by_content(const char *s, size_t n, const char **what) {
  size_t look = n < 1024 ? n : 1024;
  *what = NULL;
  if (memmem(s, look, "%PDF-", 5)) return DOC_PDF;
  if (n >= 4 && !memcmp(s, "PK\3\4", 4)) return DOC_DOCX;
  if (begins_html(s, n)) return DOC_HTML;
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    if (n >= foreign[i].n && !memcmp(s, foreign[i].bytes, foreign[i].n)) *what = foreign[i].what;
  if (!*what && is_binary(s, n)) *what = "binary data";
  return DOC_UNKNOWN;
}

static int decide(const char *s, size_t n, const char *extension, enum doc_type *type,
                  struct err *err) {
  const char *what;
  enum doc_type named = by_extension(extension), found = by_content(s, n, &what);
  bool textual = named == DOC_TXT || named == DOC_MD || named == DOC_HTML;
  *type = found;
  if (found == DOC_HTML && named == DOC_MD) *type = DOC_MD; /* Markdown may begin with HTML */
  if (found != DOC_UNKNOWN) return 0;
  *type = named;
  if (n == 0) return err_set(err, ERR_FORMAT, "the file is empty");
  if (what && (named == DOC_UNKNOWN || textual))
    return err_set(err, ERR_UNSUPPORTED,
                   "unsupported type: it is %s; read takes pdf, docx, html, md "
                   "and txt",
                   what);
  if (named == DOC_UNKNOWN)
    return err_set(err, ERR_UNSUPPORTED,
                   "unsupported type .%s; read takes pdf, docx, html, md and txt, or set type = "
                   "\"txt\"",
                   extension);
  if (named == DOC_PDF)
    return err_set(err, ERR_FORMAT, "unreadable PDF: it does not begin like one (%%PDF-)%s%s",
                   what ? "; it is " : "", what ? what : "");
  if (named == DOC_DOCX)
    return err_set(err, ERR_FORMAT, "unreadable DOCX: it is not a ZIP archive%s%s",
                   what ? "; it is " : "", what ? what : "");
  return 0;
}

int sniff_type(struct job *job, enum doc_type *type, struct err *err) {
  int rc = 0;
  if (job->request.type[0]) {
    for (enum doc_type t = DOC_TXT; t <= DOC_PDF; t++)
      if (!strcmp(job->request.type, sniff_name(t))) return *type = t, 0;
    return err_set(err, ERR_UNSUPPORTED, "unsupported type %s", job->request.type);
  }
  char *head = mem_alloc(HEAD);
  if (!head) return err_nomem(err, HEAD, "a document's head");
  long long n = job_read(job, 0, head, HEAD, err);
  rc = n < 0 ? ERR_IO : decide(head, (size_t)n, job->request.extension, type, err);
  mem_free(head);
  return rc;
}

long long job_read(struct job *job, uint64_t at, void *bytes, size_t n, struct err *err) {
  size_t have = 0;
  while (have < n) {
    ssize_t got = pread(job->fd, (char *)bytes + have, n - have, (off_t)(at + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return err_errno(err, "cannot read"), -1;
    if (got == 0) break;
    have += (size_t)got;
  }
  return (long long)have;
}

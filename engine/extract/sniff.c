/* SPDX-License-Identifier: MIT */
/* What kind of document is this? Its first bytes decide; the name's extension only chooses between
 * the kinds that are text. A file whose name promises a format that its bytes are not is damaged or
 * misnamed, and is reported as that. */
#include "base/mem.h"
#include "extract/package.h"
#include "extract/worker.h"
#include "text/encoding.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HEAD     ((size_t)64 << 10)
#define CFB_SCAN ((uint64_t)64 << 20) /* of an old container, looked at for the word Encrypted */

#define KNOWN "read takes pdf, docx, odt, pptx, epub, ipynb, html, md and txt"

static const struct {
  const char *name;
  enum doc_type type;
} extensions[] = {
    {"txt", DOC_TXT},      {"text", DOC_TXT},    {"log", DOC_TXT},     {"rst", DOC_TXT},
    {"adoc", DOC_TXT},     {"org", DOC_TXT},     {"tex", DOC_TXT},     {"", DOC_TXT},
    {"md", DOC_MD},        {"markdown", DOC_MD}, {"mdown", DOC_MD},    {"mkd", DOC_MD},
    {"html", DOC_HTML},    {"htm", DOC_HTML},    {"xhtml", DOC_HTML},  {"docx", DOC_DOCX},
    {"docm", DOC_DOCX},    {"dotx", DOC_DOCX},   {"pdf", DOC_PDF},     {"odt", DOC_ODT},
    {"ott", DOC_ODT},      {"fodt", DOC_ODT},    {"pptx", DOC_PPTX},   {"pptm", DOC_PPTX},
    {"ppsx", DOC_PPTX},    {"potx", DOC_PPTX},   {"epub", DOC_EPUB},   {"ipynb", DOC_IPYNB},
    {"zip", DOC_ARCHIVE},  {"tar", DOC_ARCHIVE}, {"tgz", DOC_ARCHIVE}, {"txz", DOC_ARCHIVE},
    {"tzst", DOC_ARCHIVE}, {"tbz2", DOC_ARCHIVE}};

/* Formats that are known well enough to be named when refused. */
static const struct {
  const char *bytes;
  size_t n;
  const char *what;
} foreign[] = {{"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8, "an old Word, Excel or PowerPoint file"},
               {"{\\rtf", 5, "an RTF file"},
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

/* Archives, and single files that were compressed. */
static const struct {
  size_t at, n;
  const char *bytes;
} packed[] = {{0, 4, "PK\5\6"},
              {257, 5, "ustar"},
              {0, 2, "\x1F\x8B"},
              {0, 4, "\x28\xB5\x2F\xFD"},
              {0, 6,
               "\xFD"
               "7zXZ"},
              {0, 3, "BZh"}};

const char *sniff_name(enum doc_type type) {
  static const char *const names[DOC_TYPES] = {"",    "txt",  "md",   "html",  "docx",   "pdf",
                                               "odt", "pptx", "epub", "ipynb", "archive"};
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

/* A Jupyter notebook: a JSON object with cells. */
static bool begins_notebook(const char *s, size_t n) {
  const char *end = s + n;
  while (s < end && (unsigned char)*s <= ' ') s++;
  if (s == end || *s != '{') return false;
  n = (size_t)(end - s);
  return memmem(s, n, "\"cells\"", 7) && memmem(s, n, "\"cell_type\"", 11);
}

/* A flat OpenDocument text: XML that says so in its first element. */
static bool begins_flat_text(const char *s, size_t n) {
  const char *end = s + n;
  if (begins(s, end, "\xEF\xBB\xBF")) s += 3;
  return begins(s, end, "<?xml") && memmem(s, (size_t)(end - s), "<office:document", 16) &&
         memmem(s, (size_t)(end - s), "vnd.oasis.opendocument.text", 27);
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
  if (begins_html(s, n)) return DOC_HTML;
  if (begins_notebook(s, n)) return DOC_IPYNB;
  if (begins_flat_text(s, n)) return DOC_ODT;
  for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
    if (n >= packed[i].at + packed[i].n && !memcmp(s + packed[i].at, packed[i].bytes, packed[i].n))
      return DOC_ARCHIVE;
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    if (n >= foreign[i].n && !memcmp(s, foreign[i].bytes, foreign[i].n)) *what = foreign[i].what;
  if (!*what && is_binary(s, n)) *what = "binary data";
  return DOC_UNKNOWN;
}

static bool is_package(enum doc_type type) {
  return type == DOC_DOCX || type == DOC_ODT || type == DOC_PPTX || type == DOC_EPUB;
}

/* A ZIP: a document, an archive, or what its name says it should be (whose reader then finds out
 * what is missing). */
static int decide_zip(struct job *job, enum doc_type named, enum doc_type *type, struct err *err) {
  static const enum doc_type types[] = {
      [PACKAGE_ZIP] = DOC_ARCHIVE,  [PACKAGE_DOCX] = DOC_DOCX, [PACKAGE_PPTX] = DOC_PPTX,
      [PACKAGE_XLSX] = DOC_UNKNOWN, [PACKAGE_ODT] = DOC_ODT,   [PACKAGE_ODF] = DOC_UNKNOWN,
      [PACKAGE_EPUB] = DOC_EPUB};
  enum package_kind kind;
  int rc = package_kind(job, &kind, err);
  *type = rc ? DOC_UNKNOWN : types[kind];
  if (!rc && kind == PACKAGE_ZIP && is_package(named)) *type = named;
  if (!rc && *type == DOC_UNKNOWN)
    rc =
        err_set(err, ERR_UNSUPPORTED, "unsupported type: it is %s; " KNOWN, package_describe(kind));
  return rc;
}

/* An OOXML file with a password is an old container with the real one, encrypted, in it. */
static bool is_encrypted_office(struct job *job, const char *head, size_t n) {
  static const char word[] = "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e";
  bool found = false;
  if (n < 8 || memcmp(head, foreign[0].bytes, 8) != 0) return false;
  char *block = mem_alloc(HEAD);
  for (uint64_t at = 0; block && !found && at < CFB_SCAN; at += HEAD - sizeof word) {
    long long got = job_read(job, at, block, HEAD, NULL);
    if (got <= 0) break;
    found = memmem(block, (size_t)got, word, sizeof word - 1) != NULL;
    if ((size_t)got < HEAD) break;
  }
  mem_free(block);
  return found;
}

static int decide(struct job *job, const char *s, size_t n, enum doc_type *type, struct err *err) {
  const char *what, *extension = job->request.extension;
  enum doc_type named = by_extension(extension);
  if (n >= 4 && !memcmp(s, "PK\3\4", 4)) return decide_zip(job, named, type, err);
  enum doc_type found = by_content(s, n, &what);
  bool textual = named == DOC_TXT || named == DOC_MD || named == DOC_HTML;
  *type = found;
  if (found == DOC_HTML && named == DOC_MD) *type = DOC_MD; /* Markdown may begin with HTML */
  if (found != DOC_UNKNOWN && !(found == DOC_ARCHIVE && is_package(named))) return 0;
  *type = named;
  if (n == 0) return err_set(err, ERR_FORMAT, "the file is empty");
  if (is_encrypted_office(job, s, n))
    return err_set(err, ERR_FORMAT, "unreadable: it is encrypted; save it without a password");
  if (what && (named == DOC_UNKNOWN || textual))
    return err_set(err, ERR_UNSUPPORTED, "unsupported type: it is %s; " KNOWN, what);
  if (named == DOC_UNKNOWN)
    return err_set(err, ERR_UNSUPPORTED, "unsupported type .%s; " KNOWN ", or set type = \"txt\"",
                   extension);
  if (named == DOC_PDF)
    return err_set(err, ERR_FORMAT, "unreadable PDF: it does not begin like one (%%PDF-)%s%s",
                   what ? "; it is " : "", what ? what : "");
  if (is_package(named))
    return err_set(err, ERR_FORMAT, "unreadable %s: it is not a ZIP archive%s%s",
                   named == DOC_DOCX   ? "DOCX"
                   : named == DOC_ODT  ? "ODT"
                   : named == DOC_PPTX ? "PPTX"
                                       : "EPUB",
                   what ? "; it is " : "", what ? what : "");
  if (named == DOC_ARCHIVE)
    return err_set(err, ERR_FORMAT, "unreadable archive: it does not begin like one%s%s",
                   what ? "; it is " : "", what ? what : "");
  return 0;
}

int sniff_type(struct job *job, enum doc_type *type, struct err *err) {
  int rc = 0;
  if (job->request.type[0]) {
    for (enum doc_type t = DOC_TXT; t < DOC_ARCHIVE; t++)
      if (!strcmp(job->request.type, sniff_name(t))) return *type = t, 0;
    return err_set(err, ERR_UNSUPPORTED, "unsupported type %s", job->request.type);
  }
  char *head = mem_alloc(HEAD);
  if (!head) return err_nomem(err, HEAD, "a document's head");
  long long n = job_read(job, 0, head, HEAD, err);
  rc = n < 0 ? ERR_IO : decide(job, head, (size_t)n, type, err);
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

/* SPDX-License-Identifier: MIT */
/* Documents that are ZIP archives; see package.h. libarchive reads the archive by its directory
 * when that is there, else from the front, so that a document whose end is missing is known by its
 * kind and reported as damaged, not as unknown. */
#include "extract/package.h"

#include "base/mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MEMBERS_MAX 10000
#define KIND_LOOK   4096                /* members looked at to tell the kind */
#define RATIO_MAX   200                 /* unpacked : packed; text compresses 3 to 20 times */
#define RATIO_FREE  ((uint64_t)4 << 20) /* small documents are not held to it */
#define BLOCK       ((size_t)64 << 10)
#define TYPES_MAX   ((size_t)1 << 20) /* bytes of [Content_Types].xml that are looked at */

/* ---- reading a ZIP ---- */

static int open_zip(struct job *job, struct archive **out, const char *what, struct err *err) {
  struct archive *a = archive_read_new();
  *out = NULL;
  if (!a) return err_nomem(err, 0, "the archive reader");
  archive_read_support_format_zip(a);
  if (lseek(job->fd, 0, SEEK_SET) < 0) {
    archive_read_free(a);
    return err_errno(err, "cannot read");
  }
  if (archive_read_open_fd(a, job->fd, BLOCK) != ARCHIVE_OK) {
    const char *why = archive_error_string(a);
    err_set(err, ERR_FORMAT, "unreadable %s: %s", what, why ? why : "a damaged ZIP archive");
    archive_read_free(a);
    return ERR_FORMAT;
  }
  *out = a;
  return 0;
}

static const char *name_of(struct archive_entry *entry) {
  const char *name = archive_entry_pathname_utf8(entry);
  return name ? name : archive_entry_pathname(entry);
}

/* ---- which kind ---- */

static const struct {
  const char *member;
  enum package_kind kind;
} by_name[] = {{"word/document.xml", PACKAGE_DOCX},    {"word/document2.xml", PACKAGE_DOCX},
               {"ppt/presentation.xml", PACKAGE_PPTX}, {"xl/workbook.xml", PACKAGE_XLSX},
               {"xl/workbook.bin", PACKAGE_XLSX},      {"META-INF/container.xml", PACKAGE_EPUB}};

static const struct {
  const char *type;
  enum package_kind kind;
} by_type[] = {{"wordprocessingml.document.main+xml", PACKAGE_DOCX},
               {"wordprocessingml.template.main+xml", PACKAGE_DOCX},
               {"ms-word.document.macroEnabled", PACKAGE_DOCX},
               {"ms-word.template.macroEnabled", PACKAGE_DOCX},
               {"presentationml.presentation.main+xml", PACKAGE_PPTX},
               {"presentationml.slideshow.main+xml", PACKAGE_PPTX},
               {"presentationml.template.main+xml", PACKAGE_PPTX},
               {"ms-powerpoint.presentation.macroEnabled", PACKAGE_PPTX},
               {"ms-powerpoint.slideshow.macroEnabled", PACKAGE_PPTX},
               {"spreadsheetml.sheet.main+xml", PACKAGE_XLSX},
               {"spreadsheetml.template.main+xml", PACKAGE_XLSX},
               {"ms-excel.sheet", PACKAGE_XLSX}};

#define ODF "application/vnd.oasis.opendocument."

static enum package_kind kind_of_mimetype(const char *s, size_t n) {
  size_t odf = sizeof ODF - 1;
  if (n >= 20 && !memcmp(s, "application/epub+zip", 20)) return PACKAGE_EPUB;
  if (n < odf || memcmp(s, ODF, odf) != 0) return PACKAGE_ZIP;
  return n >= odf + 4 && !memcmp(s + odf, "text", 4) ? PACKAGE_ODT : PACKAGE_ODF;
}

static enum package_kind kind_of_types(const char *s, size_t n) {
  for (size_t i = 0; i < sizeof by_type / sizeof *by_type; i++)
    if (memmem(s, n, by_type[i].type, strlen(by_type[i].type))) return by_type[i].kind;
  return PACKAGE_ZIP;
}

/* The first bytes of a member; fewer when it is damaged. */
static size_t peek(struct archive *a, char *out, size_t cap) {
  size_t have = 0;
  while (have < cap) {
    la_ssize_t n = archive_read_data(a, out + have, cap - have);
    if (n <= 0) break;
    have += (size_t)n;
  }
  return have;
}

static enum package_kind kind_of_member(struct archive *a, struct archive_entry *entry,
                                        char *scratch) {
  const char *name = name_of(entry);
  if (!name || archive_entry_is_encrypted(entry)) return PACKAGE_ZIP;
  if (!strcmp(name, "mimetype")) return kind_of_mimetype(scratch, peek(a, scratch, 256));
  if (!strcmp(name, "[Content_Types].xml"))
    return kind_of_types(scratch, peek(a, scratch, TYPES_MAX));
  for (size_t i = 0; i < sizeof by_name / sizeof *by_name; i++)
    if (!strcmp(name, by_name[i].member)) return by_name[i].kind;
  return PACKAGE_ZIP;
}

int package_kind(struct job *job, enum package_kind *kind, struct err *err) {
  struct archive_entry *entry;
  struct archive *a;
  *kind = PACKAGE_ZIP;
  char *scratch = mem_alloc(TYPES_MAX);
  if (!scratch) return err_nomem(err, TYPES_MAX, "a document's types");
  int rc = open_zip(job, &a, "document", err);
  if (rc == ERR_FORMAT) rc = 0; /* whoever reads it says so */
  for (int n = 0; a && *kind == PACKAGE_ZIP && n < KIND_LOOK; n++) {
    if (archive_read_next_header(a, &entry) < ARCHIVE_WARN) break;
    *kind = kind_of_member(a, entry, scratch);
    if (archive_read_data_skip(a) < ARCHIVE_WARN) break;
  }
  if (a) archive_read_free(a);
  mem_free(scratch);
  return rc;
}

const char *package_describe(enum package_kind kind) {
  static const char *const what[] = {"a ZIP archive",
                                     "a Word document (DOCX)",
                                     "a PowerPoint presentation (PPTX)",
                                     "an Excel workbook (XLSX)",
                                     "an OpenDocument text (ODT)",
                                     "an OpenDocument spreadsheet, presentation or drawing",
                                     "an EPUB book"};
  return what[kind];
}

/* ---- its parts ---- */

static int damaged(struct package *p, struct archive *a, struct err *err) {
  const char *why = archive_error_string(a);
  return err_set(err, ERR_FORMAT, "unreadable %s: %s", p->what,
                 why ? why : "a damaged ZIP archive");
}

static int count_unpacked(struct package *p, size_t n, struct err *err) {
  p->unpacked += n;
  if (p->unpacked > p->job->request.unpacked_max)
    return err_set(err, ERR_LIMIT, "limit: it unpacks to more than %llu bytes",
                   (unsigned long long)p->job->request.unpacked_max);
  if (p->unpacked > RATIO_FREE && p->unpacked / RATIO_MAX > p->job->bytes)
    return err_set(err, ERR_LIMIT, "limit: it unpacks to more than %d times its size (a zip bomb?)",
                   RATIO_MAX);
  return 0;
}

/* Makes room for what the directory promises, so that large parts are not copied as they grow;
 * promises are believed up to a point. */
static void expect(struct package *p, struct archive_entry *entry, struct buf *bytes) {
  uint64_t promised = archive_entry_size_is_set(entry) ? (uint64_t)archive_entry_size(entry) : 0;
  uint64_t believed = p->job->bytes > UINT64_MAX / RATIO_MAX ? 0 : p->job->bytes * RATIO_MAX;
  if (promised <= believed && promised <= p->job->request.unpacked_max)
    buf_reserve(bytes, (size_t)promised + 1);
  buf_reset(bytes);
}

static int unpack(struct package *p, struct archive *a, struct archive_entry *entry,
                  struct part *part, struct err *err) {
  char *block = mem_alloc(BLOCK);
  int rc = block ? 0 : err_nomem(err, BLOCK, part->name);
  expect(p, entry, &part->bytes);
  while (!rc) {
    la_ssize_t n = archive_read_data(a, block, BLOCK);
    if (n < 0) rc = damaged(p, a, err);
    if (n <= 0) break;
    rc = count_unpacked(p, (size_t)n, err);
    if (!rc) buf_add(&part->bytes, block, (size_t)n);
    if (!rc) rc = buf_check(&part->bytes, part->name, err);
  }
  mem_free(block);
  return rc;
}

static int add_part(struct package *p, const char *name, struct part **out, struct err *err) {
  if (p->count == p->cap) {
    size_t cap = p->cap ? p->cap * 2 : 64;
    struct part *parts = mem_rearray(p->parts, cap, sizeof *parts);
    if (!parts) return err_nomem(err, cap * sizeof *parts, "a document's parts");
    p->parts = parts;
    p->cap = cap;
  }
  struct part *part = &p->parts[p->count];
  buf_init(&part->bytes);
  if (!(part->name = mem_strdup(name))) return err_nomem(err, strlen(name), "a document's parts");
  p->count++;
  *out = part;
  return 0;
}

static int visit(struct package *p, struct archive *a, struct archive_entry *entry,
                 bool (*wanted)(const char *), struct err *err) {
  struct part *part = NULL;
  const char *name = name_of(entry);
  if (!name || archive_entry_filetype(entry) != AE_IFREG) return 0;
  if (*name == '/') name++;
  if (!wanted(name) || package_part(p, name)) return 0; /* of two, the first */
  if (archive_entry_is_encrypted(entry))
    return err_set(err, ERR_FORMAT, "unreadable %s: it is encrypted; save it without a password",
                   p->what);
  int rc = add_part(p, name, &part, err);
  return rc ? rc : unpack(p, a, entry, part, err);
}

int package_open(struct package *p, struct job *job, const char *what,
                 bool (*wanted)(const char *name), struct err *err) {
  struct archive_entry *entry;
  struct archive *a;
  *p = (struct package){.job = job, .what = what};
  int rc = open_zip(job, &a, what, err);
  for (unsigned n = 0; !rc; n++) {
    int e = archive_read_next_header(a, &entry);
    if (e == ARCHIVE_EOF) break;
    if (e < ARCHIVE_WARN)
      rc = damaged(p, a, err);
    else if (n == MEMBERS_MAX)
      rc = err_set(err, ERR_LIMIT, "limit: more than %d members", MEMBERS_MAX);
    else
      rc = visit(p, a, entry, wanted, err);
  }
  if (a) archive_read_free(a);
  return rc;
}

void package_close(struct package *p) {
  for (size_t i = 0; i < p->count; i++) {
    mem_free(p->parts[i].name);
    buf_clear(&p->parts[i].bytes);
  }
  mem_free(p->parts);
  *p = (struct package){0};
}

const struct part *package_part(const struct package *p, const char *name) {
  if (*name == '/') name++;
  for (size_t i = 0; i < p->count; i++)
    if (!strcasecmp(p->parts[i].name, name)) return &p->parts[i];
  return NULL;
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = (char)(c | 32);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool package_resolve(const char *from, const char *target, char *out, size_t cap) {
  const char *slash = strrchr(from, '/');
  size_t n = slash && *target != '/' ? (size_t)(slash - from) + 1 : 0;
  if (n + 1 >= cap) return false;
  memcpy(out, from, n);
  if (*target == '/') target++;
  while (*target && *target != '#' && *target != '?') {
    size_t len = strcspn(target, "/#?");
    if (len == 2 && !memcmp(target, "..", 2)) {
      if (n == 0) return false;
      for (n--; n > 0 && out[n - 1] != '/';) n--;
    } else if (len != 0 && !(len == 1 && *target == '.')) {
      if (n + len + 2 >= cap) return false;
      for (size_t i = 0; i < len; i++) {
        int high = -1, low = -1;
        if (target[i] == '%' && i + 2 < len) high = hex(target[i + 1]), low = hex(target[i + 2]);
        out[n++] = high >= 0 && low >= 0 ? (char)(high * 16 + low) : target[i];
        if (high >= 0 && low >= 0) i += 2;
      }
      if (target[len] == '/') out[n++] = '/';
    }
    target += len;
    if (*target == '/') target++;
  }
  out[n] = 0;
  return n > 0;
}

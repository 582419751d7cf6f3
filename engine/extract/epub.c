/* SPDX-License-Identifier: MIT */
/* EPUB to text (EPUB 2.0.1 and 3.3). What leads to the chapters:
 *
 *   META-INF/encryption.xml   whether chapters are encrypted (fonts that are scrambled do not matter)
 *   META-INF/container.xml    where the OPF is
 *   the OPF  metadata         title, author, language
 *            manifest         id → file, and which of them is the navigation
 *            spine            the chapters' ids, in reading order
 *            guide            (EPUB 2) which of them is a table of contents
 *
 * Chapters are XHTML and go through the HTML reader, whole: a book's page has no navigation around
 * its text. Left out: the navigation document and tables of contents, which repeat the headings;
 * pictures; chapters that are nothing but SVG.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "extract/package.h"
#include "extract/worker.h"
#include "extract/xml.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ITEMS_MAX 10000
#define META_MAX  512
#define PATH_CAP  1024

enum token {
  T_OTHER,
  T_ROOTFILE,
  T_TITLE,
  T_CREATOR,
  T_LANGUAGE,
  T_ITEM,
  T_ITEMREF,
  T_REFERENCE,
  T_METHOD,
  T_CIPHER
};

static const struct xml_name names[] = {{"rootfile", "", T_ROOTFILE},
                                        {"title", "dc/elements", T_TITLE},
                                        {"creator", "dc/elements", T_CREATOR},
                                        {"language", "dc/elements", T_LANGUAGE},
                                        {"item", "", T_ITEM},
                                        {"itemref", "", T_ITEMREF},
                                        {"reference", "", T_REFERENCE},
                                        {"EncryptionMethod", "", T_METHOD},
                                        {"CipherReference", "", T_CIPHER},
                                        {NULL, NULL, 0}};

struct item {
  char *id, *part;
  bool page, navigation;
};

struct epub {
  struct job *job;
  struct err *err;
  struct package package;
  struct xml xml;

  char opf[PATH_CAP];
  struct item *items;
  size_t item_count;
  uint32_t *spine; /* indices of items */
  size_t spine_count, missing;

  struct buf meta;
  const char *key;
  bool scrambled_font, encrypted;
};

typedef void on_start(void *arg, int token, const struct xml_attributes *a);
typedef void on_end(void *arg, int token);
typedef void on_text(void *arg, const char *s, size_t n);

static int parse_part(struct epub *d, const char *name, on_start *start, on_end *end,
                      on_text *text) {
  const struct part *part = package_part(&d->package, name);
  if (!part) return 0;
  d->xml = (struct xml){
      .what = "EPUB", .names = names, .start = start, .end = end, .text = text, .arg = d};
  return xml_parse(&d->xml, name, part->bytes.data ? part->bytes.data : "", part->bytes.len,
                   d->err);
}

static void nothing_ends(void *arg, int token) {
  (void)arg, (void)token;
}

static bool ends(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && !strcasecmp(s + n - m, end);
}

static bool is_page_name(const char *name) {
  return ends(name, ".xhtml") || ends(name, ".html") || ends(name, ".htm") || ends(name, ".xht") ||
         ends(name, ".xml");
}

/* ---- container and encryption ---- */

static void container_start(void *arg, int token, const struct xml_attributes *a) {
  struct epub *d = arg;
  char path[PATH_CAP];
  if (token != T_ROOTFILE || d->opf[0]) return;
  xml_attribute(a, "full-path", path, sizeof path);
  if (!package_resolve("", path, d->opf, sizeof d->opf)) d->opf[0] = 0;
}

static void encryption_start(void *arg, int token, const struct xml_attributes *a) {
  struct epub *d = arg;
  char value[PATH_CAP];
  if (token == T_METHOD) {
    xml_attribute(a, "Algorithm", value, sizeof value);
    d->scrambled_font =
        strstr(value, "idpf.org/2008/embedding") || strstr(value, "adobe.com/pdf/enc");
  }
  if (token == T_CIPHER && !d->scrambled_font) {
    xml_attribute(a, "URI", value, sizeof value);
    d->encrypted = d->encrypted || is_page_name(value) || ends(value, ".opf");
  }
}

/* ---- the OPF ---- */

static bool has_word(const char *list, const char *word) {
  size_t n = strlen(word);
  for (const char *p = list; (p = strstr(p, word)); p += n)
    if ((p == list || p[-1] == ' ') && (p[n] == 0 || p[n] == ' ')) return true;
  return false;
}

static void add_item(struct epub *d, const struct xml_attributes *a) {
  char id[256], href[PATH_CAP], path[PATH_CAP], type[64], properties[128];
  if (d->item_count == ITEMS_MAX) return;
  xml_attribute(a, "id", id, sizeof id);
  xml_attribute(a, "href", href, sizeof href);
  xml_attribute(a, "media-type", type, sizeof type);
  xml_attribute(a, "properties", properties, sizeof properties);
  if (!package_resolve(d->opf, href, path, sizeof path)) return;
  struct item *item = &d->items[d->item_count];
  *item = (struct item){.id = mem_strdup(id), .part = mem_strdup(path)};
  d->item_count++;
  if (!item->id || !item->part) xml_stop(&d->xml, err_nomem(d->err, 0, "a book's manifest"));
  item->page = !strcmp(type, "application/xhtml+xml") || !strcmp(type, "text/html") ||
               !strcmp(type, "text/x-oeb1-document") || !strcmp(type, "application/xml");
  item->navigation = has_word(properties, "nav");
}

static void add_to_spine(struct epub *d, const struct xml_attributes *a) {
  char id[256];
  if (d->spine_count == ITEMS_MAX) return;
  xml_attribute(a, "idref", id, sizeof id);
  for (size_t i = 0; i < d->item_count; i++) {
    if (strcmp(d->items[i].id, id)) continue;
    d->spine[d->spine_count++] = (uint32_t)i;
    return;
  }
  d->missing++;
}

static void refer(struct epub *d, const struct xml_attributes *a) {
  char type[32], href[PATH_CAP], path[PATH_CAP];
  xml_attribute(a, "type", type, sizeof type);
  xml_attribute(a, "href", href, sizeof href);
  if (strcmp(type, "toc") || strchr(href, '#') || !package_resolve(d->opf, href, path, sizeof path))
    return;
  for (size_t i = 0; i < d->item_count; i++)
    if (!strcmp(d->items[i].part, path)) d->items[i].navigation = true;
}

static void opf_start(void *arg, int token, const struct xml_attributes *a) {
  struct epub *d = arg;
  d->key = token == T_TITLE      ? "title"
           : token == T_CREATOR  ? "author"
           : token == T_LANGUAGE ? "language"
                                 : NULL;
  buf_reset(&d->meta);
  if (token == T_ITEM) add_item(d, a);
  if (token == T_ITEMREF) add_to_spine(d, a);
  if (token == T_REFERENCE) refer(d, a);
}

static void opf_end(void *arg, int token) {
  struct epub *d = arg;
  (void)token;
  if (d->key && d->meta.len) out_meta(&d->job->out, d->key, d->meta.data, d->meta.len);
  d->key = NULL;
}

static void opf_text(void *arg, const char *s, size_t n) {
  struct epub *d = arg;
  if (d->key && d->meta.len + n <= META_MAX) buf_add(&d->meta, s, n);
}

/* ---- chapters ---- */

/* Reads the chapters, or with `contents` also what the book calls its contents; counts them. */
static int read_chapters(struct epub *d, bool contents, unsigned *done) {
  static const struct html_options whole = {.whole = true, .quiet = true};
  int rc = 0;
  for (size_t i = 0; !rc && i < d->spine_count && !d->job->out.gone; i++) {
    const struct item *item = &d->items[d->spine[i]];
    const struct part *part = package_part(&d->package, item->part);
    if ((item->navigation && !contents) || !(item->page || is_page_name(item->part))) continue;
    if (!part) {
      d->missing++;
      continue;
    }
    out_block(&d->job->out, 2, "");
    rc = html_read_bytes(d->job, part->bytes.data ? part->bytes.data : "", part->bytes.len, &whole,
                         NULL, d->err);
    ++*done;
  }
  return rc;
}

/* A book of which nothing but its contents would be left is read whole: it is mislabelled. */
static int read_book(struct epub *d) {
  unsigned done = 0;
  int rc = read_chapters(d, false, &done);
  if (!rc && !done) {
    d->missing = 0;
    rc = read_chapters(d, true, &done);
  }
  if (!rc && d->missing) out_note(&d->job->out, "chapters missing from the book: %zu", d->missing);
  if (!rc && !done)
    rc = err_set(d->err, ERR_FORMAT, "unreadable EPUB: its spine names no chapter that is there");
  return rc;
}

/* ---- the package ---- */

static bool wanted(const char *name) {
  if (!strcmp(name, "mimetype") || ends(name, ".opf")) return true;
  return is_page_name(name);
}

static int read_parts(struct epub *d) {
  int rc = parse_part(d, "META-INF/encryption.xml", encryption_start, nothing_ends, NULL);
  if (!rc && d->encrypted)
    rc = err_set(d->err, ERR_FORMAT, "unreadable EPUB: it is encrypted (copy protection)");
  if (!rc) rc = parse_part(d, "META-INF/container.xml", container_start, nothing_ends, NULL);
  if (!rc && !package_part(&d->package, d->opf))
    rc = err_set(d->err, ERR_FORMAT,
                 "unreadable EPUB: META-INF/container.xml names no package file that is there");
  if (!rc) rc = parse_part(d, d->opf, opf_start, opf_end, opf_text);
  return rc ? rc : read_book(d);
}

static void clear(struct epub *d) {
  for (size_t i = 0; d->items && i < d->item_count; i++) {
    mem_free(d->items[i].id);
    mem_free(d->items[i].part);
  }
  mem_free(d->items);
  mem_free(d->spine);
  buf_clear(&d->meta);
  package_close(&d->package);
  mem_free(d);
}

int epub_read(struct job *job, struct err *err) {
  struct epub *d = mem_zero(sizeof *d);
  if (!d) return err_nomem(err, sizeof *d, "an EPUB");
  d->job = job;
  d->err = err;
  d->items = mem_array(ITEMS_MAX, sizeof *d->items);
  d->spine = mem_array(ITEMS_MAX, sizeof *d->spine);
  int rc = d->items && d->spine ? 0 : err_nomem(err, 0, "a book's manifest");
  if (!rc) rc = package_open(&d->package, job, "EPUB", wanted, err);
  if (!rc) rc = read_parts(d);
  out_block(&job->out, 0, "");
  if (!rc && job->out.began) out_raw(&job->out, "\n", 1);
  clear(d);
  return rc;
}

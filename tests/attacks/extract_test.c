/* SPDX-License-Identifier: MIT */
/* Hostile documents. Each costs one clear rejection, and the next document is read as if nothing
 * had happened. */
#include "support/pdf.h"
#include "support/test.h"
#include "support/zip.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "extract/client.h"
#include "file/file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define W    "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\""
#define HEAD "<w:document " W "><w:body><w:p><w:r><w:t>"
#define TAIL "</w:t></w:r></w:p></w:body></w:document>"

static struct extract *client;
static char path[8192];

static const char *in_dir(const char *name) {
  snprintf(path, sizeof path, "%s/%s", test_dir(), name);
  return path;
}

struct outcome {
  int code; /* 0: all is well */
  char reason[32], message[1024];
  struct buf text, notes;
  size_t segments, longest, pages;
};

static struct outcome read_file(const char *file, const struct extract_options *options) {
  struct outcome o = {0};
  struct extract_segment s;
  struct err err = {0};
  int got = -1;
  buf_init(&o.text);
  buf_init(&o.notes);
  if (extract_begin(client, file, options, &err) == 0) {
    while ((got = extract_next(client, &s, &err)) == 1) {
      o.segments++;
      o.pages += s.page_count;
      if (s.len > o.longest) o.longest = s.len;
      if (o.text.len < 1 << 20) buf_add(&o.text, s.text, s.len);
      for (size_t i = 0; i < s.note_count; i++) buf_addf(&o.notes, "%s\n", s.notes[i]);
    }
  }
  if (got < 0) {
    o.code = err.code;
    snprintf(o.reason, sizeof o.reason, "%s", extract_reason(client));
    snprintf(o.message, sizeof o.message, "%s", err.message);
  }
  buf_addc(&o.text, 0);
  buf_addc(&o.notes, 0);
  return o;
}

static void forget(struct outcome *o) {
  buf_clear(&o->text);
  buf_clear(&o->notes);
}

static struct outcome read_bytes(const char *name, const void *bytes, size_t n,
                                 const struct extract_options *options) {
  CHECK_INT(file_write(in_dir(name), bytes, n, FILE_NO_SYNC, NULL), 0);
  return read_file(path, options);
}

/* The extractor still works. */
static void check_alive(void) {
  struct outcome o = read_bytes("alive.txt", "alive", 5, NULL);
  CHECK_INT(o.code, 0);
  CHECK_STR(o.text.data, "alive");
  forget(&o);
}

#define REFUSED(o, the_reason, part)                                                               \
  do {                                                                                             \
    CHECK_STR((o).reason, the_reason);                                                             \
    if (!strstr((o).message, part))                                                                \
      test_fail(__FILE__, __LINE__, "'%s' lacks '%s'", (o).message, part);                         \
    forget(&(o));                                                                                  \
  } while (0)

/* ---- archives ---- */

static void zip_bomb(void) {
  static char spaces[1 << 16];
  struct zip z = {0};
  memset(spaces, 'a', sizeof spaces);
  zip_add(&z, "word/document.xml", spaces, sizeof spaces, 1 << 10, ZIP_DEFLATE); /* 64 MiB */
  REQUIRE(zip_write(&z, in_dir("bomb.docx")));
  struct outcome o = read_file(path, NULL);
  /* its XML is wrong from the first byte, but it never comes to that */
  REFUSED(o, "limit", "limit: it unpacks to more than 200 times its size");
  struct zip y = {0};
  struct buf xml;
  buf_init(&xml);
  buf_adds(&xml, HEAD);
  for (int i = 0; i < 1 << 14; i++) buf_adds(&xml, "<w:t> </w:t>          ");
  memset(spaces, ' ', sizeof spaces);
  char *whole = mem_alloc(xml.len + ((size_t)64 << 20));
  REQUIRE(whole);
  memcpy(whole, xml.data, xml.len);
  memset(whole + xml.len, ' ', (size_t)64 << 20);
  zip_add(&y, "word/document.xml", whole, xml.len + ((size_t)64 << 20), 1, ZIP_DEFLATE);
  mem_free(whole);
  buf_clear(&xml);
  REQUIRE(zip_write(&y, in_dir("bomb2.docx")));
  o = read_file(path, NULL);
  CHECK_INT(o.code, ERR_LIMIT);
  REFUSED(o, "limit", "limit: it unpacks to more than 200 times its size");
  struct extract_options options = {.unpacked_max = 1000000};
  o = read_file(path, &options);
  REFUSED(o, "limit", "limit: it unpacks to more than 1000000 bytes");
  check_alive();
}

static void zip_names_links_and_lies(void) {
  static const char good[] = HEAD "fine" TAIL;
  struct zip z = {0};
  zip_add(&z, "../../../tmp/evil", "x", 1, 1, ZIP_STORE);
  zip_add(&z, "/etc/evil", "x", 1, 1, ZIP_STORE);
  zip_add(&z, "word/styles.xml", "/etc/passwd", 11, 1, ZIP_STORE | ZIP_SYMLINK);
  zip_add(&z, "word/document.xml", good, strlen(good), 1, ZIP_DEFLATE);
  zip_add(&z, "word/document.xml", good, strlen(good), 1, ZIP_DEFLATE);
  REQUIRE(zip_write(&z, in_dir("names.docx")));
  struct outcome o = read_file(path, NULL);
  CHECK_INT(o.code, 0);
  CHECK_STR(o.text.data, "fine\n");
  forget(&o);
  zip_add(&z, "word/document.xml", "/etc/passwd", 11, 1, ZIP_STORE | ZIP_SYMLINK);
  REQUIRE(zip_write(&z, in_dir("link.docx")));
  o = read_file(path, NULL);
  REFUSED(o, "unreadable", "there is no word/document.xml in it");
  zip_add(&z, "word/document.xml", good, strlen(good), 1, ZIP_DEFLATE | ZIP_ENCRYPTED);
  REQUIRE(zip_write(&z, in_dir("secret.docx")));
  o = read_file(path, NULL);
  REFUSED(o, "unreadable", "encrypted");
  zip_add(&z, "xl/workbook.xml", "x", 1, 1, ZIP_STORE);
  REQUIRE(zip_write(&z, in_dir("sheet.docx")));
  o = read_file(path, NULL);
  REFUSED(o, "unsupported", "an Excel workbook");
  o = read_bytes("text.docx", "not a zip", 9, NULL);
  REFUSED(o, "unreadable", "not a ZIP archive");
  o = read_bytes("cut.docx", "PK\3\4\24\0\0\0\10\0", 10, NULL);
  REFUSED(o, "unreadable", "unreadable DOCX");
  check_alive();
}

static void many_members(void) {
  struct zip z = {0};
  char name[32];
  for (int i = 0; i < 10001; i++) {
    snprintf(name, sizeof name, "m%d", i);
    zip_add(&z, name, "", 0, 1, ZIP_STORE);
  }
  REQUIRE(zip_write(&z, in_dir("many.docx")));
  struct outcome o = read_file(path, NULL);
  REFUSED(o, "limit", "limit: more than 10000 members");
}

/* What walking the archive at `path` gives: members given, the last reason for one left out. */
struct walked {
  unsigned given, left;
  uint64_t bytes;
  char reason[32], message[1024];
};

static struct walked walk(const struct extract_members_options *options) {
  struct walked w = {0};
  struct extract_members *m;
  struct extract_member member;
  struct err err;
  if (extract_members_open(&m, client, path, options, &err)) {
    snprintf(w.reason, sizeof w.reason, "%s", extract_reason(client));
    snprintf(w.message, sizeof w.message, "%s", err.message);
    return w;
  }
  while (extract_members_next(m, &member, &err) == 1) {
    w.given += member.file != NULL;
    w.left += member.file == NULL;
    w.bytes += member.bytes;
    if (member.file) continue;
    snprintf(w.reason, sizeof w.reason, "%s", member.reason);
    snprintf(w.message, sizeof w.message, "%s", member.message);
  }
  extract_members_close(m, client);
  return w;
}

#define STOPPED(w, the_reason, part)                                                               \
  do {                                                                                             \
    CHECK_STR((w).reason, the_reason);                                                             \
    if (!strstr((w).message, part))                                                                \
      test_fail(__FILE__, __LINE__, "'%s' lacks '%s'", (w).message, part);                         \
  } while (0)

/* Of many small members, of one large one, of an archive in an archive: each ends at its limit. */
static void archive_bombs(void) {
  static char a[1 << 16];
  char name[32];
  struct zip z = {0};
  memset(a, 'a', sizeof a);
  for (int i = 0; i < 80; i++) {
    snprintf(name, sizeof name, "%d.txt", i);
    zip_add(&z, name, a, sizeof a, 16, ZIP_DEFLATE); /* 1 MiB */
  }
  REQUIRE(zip_write(&z, in_dir("many.zip")));
  struct walked w = walk(NULL);
  STOPPED(w, "limit", "more than 200 times its size");
  CHECK(w.given >= 15 && w.given < 80);
  struct extract_members_options more = {.ratio_max = 100000, .members_max = 50};
  w = walk(&more);
  STOPPED(w, "limit", "more than 50 members");
  CHECK_INT(w.given, 50);
  more = (struct extract_members_options){.ratio_max = 100000, .unpacked_max = 10 << 20};
  w = walk(&more);
  STOPPED(w, "limit", "unpacked_max (10485760 bytes)");
  CHECK_INT(w.given, 10);

  zip_add(&z, "large", a, sizeof a, 1 << 10, ZIP_DEFLATE); /* 64 MiB */
  REQUIRE(zip_write(&z, in_dir("large.zip")));
  w = walk(NULL);
  STOPPED(w, "limit", "more than 200 times its size");
  CHECK_INT(w.given, 0);
  more = (struct extract_members_options){.member_max = 1 << 20};
  w = walk(&more);
  STOPPED(w, "limit", "member_max (1048576 bytes)");

  struct file_map inner;
  REQUIRE(file_map_open(&inner, path, NULL) == 0);
  for (int i = 0; i < 8; i++) {
    snprintf(name, sizeof name, "%d.zip", i);
    zip_add(&z, name, inner.data, inner.size, 1, ZIP_DEFLATE);
  }
  file_map_close(&inner);
  REQUIRE(zip_write(&z, in_dir("nested.zip")));
  w = walk(NULL);
  STOPPED(w, "limit", "more than 200 times its size");
  check_alive();
}

/* A member's name can name nothing outside, its link nothing at all. */
static void archive_names_and_links(void) {
  struct zip z = {0};
  zip_add(&z, "../../../etc/cron.d/evil", "x", 1, 1, ZIP_STORE);
  zip_add(&z, "/etc/evil", "x", 1, 1, ZIP_STORE);
  zip_add(&z, "passwd", "/etc/passwd", 11, 1, ZIP_STORE | ZIP_SYMLINK);
  zip_add(&z, "secret", "x", 1, 1, ZIP_STORE | ZIP_ENCRYPTED);
  REQUIRE(zip_write(&z, in_dir("names.zip")));
  struct extract_members *m;
  struct extract_member member;
  REQUIRE(extract_members_open(&m, client, path, NULL, NULL) == 0);
  static const char *const names[] = {"etc/cron.d/evil", "etc/evil", "passwd", "secret"};
  static const char *const reasons[] = {"", "", "link", "encrypted"};
  for (int i = 0; i < 4; i++) {
    REQUIRE(extract_members_next(m, &member, NULL) == 1);
    CHECK_STR(member.name, names[i]);
    CHECK_STR(member.reason, reasons[i]);
    CHECK_INT(member.note[0] != 0, i < 2);
  }
  CHECK_INT(extract_members_next(m, &member, NULL), 0);
  extract_members_close(m, client);
  CHECK(access("/etc/cron.d/evil", F_OK) != 0 && access("/etc/evil", F_OK) != 0);
}

/* The unpacking child is killed in the middle: what came is kept, the next archive works. */
static void archive_killed_in_the_middle(void) {
  static char noise[1 << 16];
  struct zip z = {0};
  for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)(i * 2654435761u >> 13);
  zip_add(&z, "first", "x", 1, 1, ZIP_STORE);
  zip_add(&z, "second", noise, sizeof noise, 256, ZIP_STORE);
  REQUIRE(zip_write(&z, in_dir("killed.zip")));
  struct extract_members *m;
  struct extract_member member;
  REQUIRE(extract_members_open(&m, client, path, NULL, NULL) == 0);
  REQUIRE(extract_members_next(m, &member, NULL) == 1);
  CHECK_STR(member.name, "first");
  kill(extract_members_pid(m), SIGKILL);
  REQUIRE(extract_members_next(m, &member, NULL) == 1);
  CHECK_STR(member.name, "");
  CHECK_STR(member.reason, "crashed");
  CHECK_INT(extract_members_next(m, &member, NULL), 0);
  extract_members_close(m, client);
  struct walked w = walk(NULL);
  CHECK_INT(w.given, 2);
}

/* ---- XML ---- */

static void refuse_xml(const char *xml, const char *reason, const char *part) {
  struct zip z = {0};
  zip_add(&z, "word/document.xml", xml, strlen(xml), 1, ZIP_DEFLATE);
  REQUIRE(zip_write(&z, in_dir("x.docx")));
  struct outcome o = read_file(path, NULL);
  REFUSED(o, reason, part);
}

static void xml_with_a_dtd(void) {
  refuse_xml("<!DOCTYPE w:document [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]>" HEAD
             "&b;" TAIL,
             "unreadable", "DTD");
  refuse_xml("<!DOCTYPE w:document SYSTEM \"file:///etc/passwd\">" HEAD TAIL, "unreadable", "DTD");
  refuse_xml("<!DOCTYPE w:document [<!ENTITY x SYSTEM \"/etc/passwd\">]>" HEAD "&x;" TAIL,
             "unreadable", "DTD");
  refuse_xml(HEAD "&nothing;" TAIL, "unreadable", "not well-formed");
  refuse_xml(HEAD "never closed", "unreadable", "unreadable DOCX");
  check_alive();
}

static void deep_xml(void) {
  struct buf b;
  buf_init(&b);
  buf_adds(&b, HEAD "x</w:t></w:r></w:p>");
  for (int i = 0; i < 100000; i++) buf_adds(&b, "<w:p>");
  buf_addc(&b, 0);
  struct zip z = {0};
  zip_add(&z, "word/document.xml", b.data, b.len - 1, 1, ZIP_DEFLATE);
  buf_clear(&b);
  REQUIRE(zip_write(&z, in_dir("deep.docx")));
  struct outcome o = read_file(path, NULL);
  CHECK(o.code == ERR_FORMAT || o.code == ERR_LIMIT);
  forget(&o);
  check_alive();
}

/* ---- HTML ---- */

static void nested_html(void) {
  struct buf b;
  buf_init(&b);
  buf_adds(&b, "<!doctype html>");
  for (int i = 0; i < 100000; i++) buf_adds(&b, "<div>");
  buf_adds(&b, "inside");
  struct outcome o = read_bytes("nested.html", b.data, b.len, NULL);
  CHECK_INT(o.code, 0);
  CHECK_STR(o.text.data, "inside\n");
  forget(&o);
  buf_reset(&b);
  buf_adds(&b, "<!doctype html>");
  for (int i = 0; i < 100000; i++) buf_adds(&b, "<ul><li><b><table><tr><td>");
  o = read_bytes("lists.html", b.data, b.len, NULL);
  CHECK(o.code == ERR_LIMIT || o.code == ERR_FORMAT); /* too deep, or no text */
  forget(&o);
  buf_clear(&b);
  check_alive();
}

static void html_that_asks_for_files(void) {
  static const char page[] = "<!DOCTYPE html SYSTEM \"file:///etc/passwd\" [<!ENTITY x SYSTEM "
                             "\"/etc/passwd\">]><p>a&x;b<iframe src=/etc/passwd>no</iframe>";
  struct outcome o = read_bytes("ask.html", page, strlen(page), NULL);
  CHECK(!strstr(o.text.data, "root:"));
  forget(&o);
}

/* ---- text ---- */

static void a_long_line(void) {
  struct extract_options options = {.segment = 64 << 10};
  size_t n = (size_t)8 << 20;
  char *line = mem_alloc(n);
  REQUIRE(line);
  memset(line, 'x', n);
  struct outcome o = read_bytes("line.txt", line, n, &options);
  CHECK_INT(o.code, 0);
  CHECK_INT(o.segments, 128);
  CHECK_INT(o.longest, 64 << 10);
  forget(&o);
  options.text_max = 1 << 20;
  o = read_file(path, &options);
  REFUSED(o, "limit", "limit: more than 1048576 bytes of text");
  mem_free(line);
  check_alive();
}

static void a_200_MB_line(void) { /* sparse: 200 MiB of zero bytes */
  int fd = open(in_dir("sparse.txt"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  CHECK_INT(ftruncate(fd, (off_t)200 << 20), 0);
  close(fd);
  struct outcome o = read_file(path, NULL);
  REFUSED(o, "unsupported", "binary data");
}

static void invalid_utf8(void) {
  char bytes[4096];
  size_t n = 0;
  while (n < 4000) n += (size_t)snprintf(bytes + n, sizeof bytes - n, "Straße und Übung, ");
  memcpy(bytes + 1000, "\xC0\xAF\xED\xA0\x80\xFF", 6);
  struct outcome o = read_bytes("bad.txt", bytes, n, NULL);
  CHECK_INT(o.code, 0);
  CHECK_INT(utf8_check(o.text.data, o.text.len), o.text.len);
  CHECK(strstr(o.text.data, "\xEF\xBF\xBD"));
  CHECK(strstr(o.notes.data, "malformed"));
  forget(&o);
}

/* ---- PDF ---- */

#ifdef HAVE_POPPLER

#define SAYING(text) "BT /F1 12 Tf 72 700 Td (" text ") Tj ET"

/* Three pages: "first", one that is `middle`, "third". Objects 1–6 are fixed, 10… are forms. */
static void pdf_three(struct pdf *p, const char *middle, const char *resources) {
  char page[512];
  pdf_begin(p);
  pdf_object(p, "<</Type/Catalog/Pages 2 0 R>>");
  pdf_object(p, "<</Type/Pages/Count 3/Kids[4 0 R 6 0 R 8 0 R]>>");
  pdf_object(p, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>");
  for (int i = 0; i < 3; i++) {
    snprintf(page, sizeof page,
             "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents %d 0 R"
             "/Resources<</Font<</F1 3 0 R>>%s>>>>",
             5 + 2 * i, resources);
    pdf_object(p, page);
    pdf_stream(p, "", i == 0 ? SAYING("first.") : i == 2 ? SAYING("third.") : middle);
  }
}

static void a_good_pdf(void) {
  struct pdf p;
  pdf_three(&p, SAYING("second \\(2\\)."), "");
  pdf_end(&p);
  struct outcome o = read_bytes("good.pdf", p.b.data, p.b.len, NULL);
  CHECK_STR(o.message, "");
  CHECK_STR(o.text.data, "first.\n\nsecond (2).\n\nthird.\n\n");
  CHECK_INT(o.pages, 3);
  forget(&o);
  buf_clear(&p.b);
}

/* Each form draws the next one twenty times: 20^6 texts. */
static void a_page_that_never_ends(void) {
  struct extract_options options = {.page_seconds = 1};
  struct pdf p;
  char body[512], dictionary[128];
  pdf_three(&p, "/X0 Do", "/XObject<</X0 10 0 R>>");
  for (int i = 0; i < 8; i++) {
    size_t n = 0;
    for (int k = 0; k < 20; k++) n += (size_t)snprintf(body + n, sizeof body - n, "/X0 Do ");
    snprintf(dictionary, sizeof dictionary,
             "/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>"
             "/XObject<</X0 %d 0 R>>>>",
             11 + i);
    pdf_stream(&p, dictionary, i == 7 ? SAYING("x") : body);
  }
  pdf_end(&p);
  struct outcome o = read_bytes("stuck.pdf", p.b.data, p.b.len, &options);
  CHECK_STR(o.message, "");
  CHECK_STR(o.text.data, "first.\n\nthird.\n\n");
  if (!strstr(o.notes.data, "page 2 skipped: more than 1 s of CPU time"))
    test_fail(__FILE__, __LINE__, "notes: %s", o.notes.data);
  forget(&o);
  buf_clear(&p.b);
  check_alive();
}

static void damaged_pdfs(void) {
  struct pdf p;
  char noise[4096];
  pdf_three(&p, SAYING("second"), "");
  pdf_end(&p);
  for (size_t n = 9; n < p.b.len; n += p.b.len / 16) { /* cut short: an error or some text */
    struct outcome o = read_bytes("cut.pdf", p.b.data, n, NULL);
    CHECK(o.code == 0 || !strcmp(o.reason, "unreadable"));
    forget(&o);
  }
  uint32_t seed = 1;
  for (size_t i = 0; i < sizeof noise; i++)
    noise[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
  memcpy(noise, "%PDF-1.7\n", 9);
  struct outcome o = read_bytes("noise.pdf", noise, sizeof noise, NULL);
  REFUSED(o, "unreadable", "unreadable PDF");
  o = read_bytes("words.pdf", "just words", 10, NULL);
  REFUSED(o, "unreadable", "does not begin like one");
  buf_clear(&p.b);
  pdf_three(&p, "", "");
  pdf_end(&p);
  for (char *s = p.b.data; (s = strstr(s, "Tj")); s++) memcpy(s, "n ", 2); /* nothing is drawn */
  o = read_bytes("scan.pdf", p.b.data, p.b.len, NULL);
  REFUSED(o, "unreadable", "no text on its 3 pages");
  buf_clear(&p.b);
  check_alive();
}

/* A document uses up its CPU time as a whole. */
static void cpu_of_the_document(void) {
  struct extract_options options = {.cpu_seconds = 1, .page_seconds = 100};
  if (file_stat(in_dir("stuck.pdf"), &(struct file_info){0}, NULL)) return;
  struct outcome o = read_file(path, &options);
  REFUSED(o, "limit", "limit: more than 1 seconds of CPU time");
  check_alive();
}

/* Kills the child, then the server, in the middle of a document. */
static void killed_in_the_middle(void) {
  struct extract_segment s;
  struct extract_info info;
  struct err err;
  REQUIRE(extract_begin(client, in_dir("stuck.pdf"), NULL, &err) == 0);
  usleep(100000);
  kill(extract_pid(client), SIGKILL);
  CHECK_INT(extract_next(client, &s, &err), -1);
  CHECK_STR(extract_reason(client), "crashed");
  check_alive();
  struct extract_options options = {.idle_seconds = 1};
  REQUIRE(extract_info(client, &info, &err) == 0);
  REQUIRE(extract_begin(client, in_dir("stuck.pdf"), &options, &err) == 0);
  kill(extract_pid(client), SIGSTOP);
  CHECK_INT(extract_next(client, &s, &err), -1);
  CHECK_STR(extract_reason(client), "transient");
  CHECK_INT(err.code, ERR_TRANSIENT);
  check_alive();
  REQUIRE(extract_begin(client, in_dir("stuck.pdf"), NULL, &err) == 0); /* and left in the middle */
  check_alive();
}

#endif

/* ---- the cage ---- */

static void the_cage_holds(void) {
  struct extract_options options = {.type = "probe"};
  struct extract_info info;
  struct err err;
  REQUIRE(extract_info(client, &info, &err) == 0);
  CHECK(info.seccomp);
  struct outcome o = read_bytes("probe.txt", "x", 1, &options);
  CHECK_STR(o.message, "");
  CHECK(strstr(o.text.data, "open /etc/passwd: denied"));
  CHECK(strstr(o.text.data, "raise its limits: denied"));
  char *allowed = strstr(o.text.data, "ALLOWED");
  if (allowed && info.landlock) test_fail(__FILE__, __LINE__, "%s", o.text.data);
  forget(&o);
}

/* ---- files ---- */

static void what_is_not_a_file(void) {
  CHECK_INT(mkfifo(in_dir("pipe.txt"), 0600), 0);
  struct outcome o = read_file(path, NULL);
  REFUSED(o, "io", "not a regular file");
  o = read_file(test_dir(), NULL);
  REFUSED(o, "io", "not a regular file");
  o = read_file(in_dir("none.txt"), NULL);
  CHECK_INT(o.code, ERR_NOTFOUND);
  forget(&o);
  struct extract *none;
  struct err err;
  CHECK_INT(extract_open(&none, "/no/such/program", &err), ERR_NOTFOUND);
  CHECK_INT(extract_open(&none, "/bin/true", &err), 0);
  CHECK(extract_begin(none, "/dev/null", NULL, &err) != 0);
  extract_close(none);
}

int main(void) {
  char program[4096];
  struct err err;
  snprintf(program, sizeof program, "%s/lathe-extract",
           getenv("LATHE_BUILD") ? getenv("LATHE_BUILD") : "build");
  if (extract_open(&client, program, &err)) return 1;
  TEST(zip_bomb);
  TEST(zip_names_links_and_lies);
  TEST(many_members);
  TEST(archive_bombs);
  TEST(archive_names_and_links);
  TEST(archive_killed_in_the_middle);
  TEST(xml_with_a_dtd);
  TEST(deep_xml);
  TEST(nested_html);
  TEST(html_that_asks_for_files);
  TEST(a_long_line);
  TEST(a_200_MB_line);
  TEST(invalid_utf8);
#ifdef HAVE_POPPLER
  TEST(a_good_pdf);
  TEST(a_page_that_never_ends);
  TEST(damaged_pdfs);
  TEST(cpu_of_the_document);
  TEST(killed_in_the_middle);
#endif
  TEST(the_cage_holds);
  TEST(what_is_not_a_file);
  extract_close(client);
  return test_done();
}

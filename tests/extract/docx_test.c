/* SPDX-License-Identifier: MIT */
/* DOCX: what its paragraphs, styles, lists, tables and runs become. */
#include "support/test.h"
#include "support/zip.h"

#include "base/buf.h"
#include "extract/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define W "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\""
#define DOCUMENT(body)                                                                             \
  "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document " W "><w:body>" body                      \
  "</w:body></w:document>"
#define RUN(text)           "<w:r><w:t xml:space=\"preserve\">" text "</w:t></w:r>"
#define BOLD(text)          "<w:r><w:rPr><w:b/></w:rPr><w:t xml:space=\"preserve\">" text "</w:t></w:r>"
#define P(runs)             "<w:p>" runs "</w:p>"
#define STYLED(style, runs) "<w:p><w:pPr><w:pStyle w:val=\"" style "\"/></w:pPr>" runs "</w:p>"
#define ITEM(level, text)                                                                          \
  "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"" level                                                    \
  "\"/><w:numId w:val=\"1\"/></w:numPr></w:pPr>" RUN(text) "</w:p>"
#define CELL(text) "<w:tc>" P(RUN(text)) "</w:tc>"

static const char styles[] =
    "<w:styles " W "><w:style w:type=\"paragraph\" w:styleId=\"Kop1\"><w:name w:val=\"heading 1\"/>"
    "</w:style><w:style w:type=\"paragraph\" w:styleId=\"Mine\"><w:name w:val=\"Mine\"/>"
    "<w:basedOn w:val=\"Kop2\"/></w:style><w:style w:type=\"paragraph\" w:styleId=\"Kop2\">"
    "<w:name w:val=\"heading 2\"/></w:style></w:styles>";
static const char core[] =
    "<cp:coreProperties xmlns:cp=\"x\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">"
    "<dc:title>The &lt;title&gt;</dc:title></cp:coreProperties>";

static struct extract *client;

static void write_docx(const char *path, const char *document, bool with_styles) {
  struct zip z = {0};
  zip_add(&z, "word/document.xml", document, strlen(document), 1, ZIP_DEFLATE);
  if (with_styles) zip_add(&z, "word/styles.xml", styles, strlen(styles), 1, ZIP_DEFLATE);
  if (with_styles) zip_add(&z, "docProps/core.xml", core, strlen(core), 1, ZIP_STORE);
  CHECK(zip_write(&z, path));
}

/* The whole text; the caller frees. */
static char *text_of(const char *document, bool with_styles) {
  char path[4096];
  struct extract_segment s;
  struct err err;
  struct buf out;
  size_t n;
  int got;
  buf_init(&out);
  snprintf(path, sizeof path, "%s/a.docx", test_dir());
  write_docx(path, document, with_styles);
  err.message[0] = 0;
  if (extract_begin(client, path, NULL, &err) == 0) {
    while ((got = extract_next(client, &s, &err)) == 1) buf_add(&out, s.text, s.len);
    if (got < 0) buf_adds(&out, err.message);
  }
  buf_addc(&out, 0);
  return buf_take(&out, &n);
}

#define GIVES(document, with_styles, want)                                                         \
  do {                                                                                             \
    char *got = text_of(document, with_styles);                                                    \
    CHECK_STR(got, want);                                                                          \
    free(got);                                                                                     \
  } while (0)

static void paragraphs_and_headings(void) {
  GIVES(DOCUMENT(STYLED("Kop1", BOLD("Top")) P(RUN("One ") RUN("two\n   three.")) P("")
                     STYLED("Mine", RUN("Sub")) P(RUN("&amp; more"))),
        true, "# Top\n\nOne two three.\n\n## Sub\n\n& more\n");
  CHECK_STR(extract_document(client)->title, "The <title>");
  CHECK_STR(extract_document(client)->type, "docx");
  GIVES(DOCUMENT(STYLED("Heading3", RUN("Sub"))), false, "### Sub\n");
  CHECK_STR(extract_document(client)->title, "Sub");
}

static void bold_runs_are_joined(void) {
  GIVES(DOCUMENT(P(BOLD("A te") BOLD("rm ") RUN("is it") BOLD("self") RUN(". ") BOLD("End"))), true,
        "**A term** is it**self**. **End**\n");
}

static void lists(void) {
  GIVES(DOCUMENT(P(RUN("x")) ITEM("0", "one") ITEM("1", "inner") ITEM("0", "two") P(RUN("y"))),
        false, "x\n\n- one\n  - inner\n- two\n\ny\n");
}

static void tables(void) {
  GIVES(DOCUMENT(P(RUN("x")) "<w:tbl><w:tr>" CELL("a") CELL("b") "</w:tr><w:tr>" CELL(
            "1") "<w:tc>" P(RUN("2")) P(RUN("3")) "</w:tc></w:tr></w:tbl>" P(RUN("y"))),
        false, "x\n\n| a | b |\n|---|---|\n| 1 | 2 3 |\n\ny\n");
}

static void what_is_left_out(void) {
  GIVES(DOCUMENT("<w:p>" RUN(
            "a") "<w:del><w:r><w:delText>no</w:delText></w:r></w:del>"
                 "<w:moveFrom>" RUN(
                     "no") "</w:moveFrom><w:r><w:rPr><w:vanish/></w:rPr><w:t>no</w:t>"
                           "</w:r><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:br/></w:r>" RUN(
                               "b") "<w:r><w:tab/></w:r>" RUN("c") "</w:p>"),
        false, "a\nb c\n");
}

int main(void) {
  char program[4096];
  struct err err;
  snprintf(program, sizeof program, "%s/lathe-extract",
           getenv("LATHE_BUILD") ? getenv("LATHE_BUILD") : "build");
  if (extract_open(&client, program, &err)) return 1;
  TEST(paragraphs_and_headings);
  TEST(bold_runs_are_joined);
  TEST(lists);
  TEST(tables);
  TEST(what_is_left_out);
  extract_close(client);
  return test_done();
}

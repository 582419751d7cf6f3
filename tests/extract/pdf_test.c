/* SPDX-License-Identifier: MIT */
/* PDF: what positions and fonts become: paragraphs, headings, bold words, lists, tables, pages. */
#include "support/pdf.h"
#include "support/test.h"

#include "extract/client.h"
#include "file/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(font, size, x, y, text) "BT /" font " " size " Tf " x " " y " Td (" text ") Tj ET\n"
#define TEXT(y, text)              AT("F", "11", "72", y, text)
#define LONG1                      "These words are here to fill the line up to its end, as a paragraph's do,"
#define LONG2                      "and then to go on with the next line and to end it there, full of words."

static struct extract *client;
static struct extract_page pages[8];
static size_t page_count;

/* The text of a document of n pages; the caller frees. */
static char *text_of(const char *const *contents, int n) {
  char path[4096], object[512];
  struct pdf p;
  struct extract_segment s;
  struct err err = {0};
  struct buf out;
  size_t len, used = 0;
  pdf_begin(&p);
  pdf_object(&p, "<</Type/Catalog/Pages 2 0 R>>");
  for (int i = 0; i < n; i++)
    used += (size_t)snprintf(object + used, sizeof object - used, "%d 0 R ", 5 + 2 * i);
  char kids[600];
  snprintf(kids, sizeof kids, "<</Type/Pages/Count %d/Kids[%s]>>", n, object);
  pdf_object(&p, kids);
  pdf_object(&p, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>");
  pdf_object(&p, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold>>");
  for (int i = 0; i < n; i++) {
    snprintf(object, sizeof object,
             "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents %d 0 R"
             "/Resources<</Font<</F 3 0 R/B 4 0 R>>>>>>",
             6 + 2 * i);
    pdf_object(&p, object);
    pdf_stream(&p, "", contents[i]);
  }
  pdf_end(&p);
  snprintf(path, sizeof path, "%s/a.pdf", test_dir());
  CHECK_INT(file_write(path, p.b.data, p.b.len, FILE_NO_SYNC, &err), 0);
  buf_clear(&p.b);
  buf_init(&out);
  if (extract_begin(client, path, NULL, &err) == 0) {
    int got;
    while ((got = extract_next(client, &s, &err)) == 1) {
      buf_add(&out, s.text, s.len);
      for (page_count = 0; page_count < s.page_count && page_count < 8; page_count++)
        pages[page_count] = s.pages[page_count];
    }
  }
  buf_adds(&out, err.message);
  buf_addc(&out, 0);
  return buf_take(&out, &len);
}

static void gives(const char *content, const char *want) {
  char *got = text_of(&content, 1);
  CHECK_STR(got, want);
  free(got);
}

static void paragraphs(void) {
  gives(TEXT("700", LONG1) TEXT("686", LONG2) TEXT("664", LONG1) TEXT("650", LONG2),
        LONG1 " " LONG2 "\n\n" LONG1 " " LONG2 "\n\n");
  gives(TEXT("700", LONG1) TEXT("686", LONG2) AT("F", "11", "90", "672", LONG1) TEXT("658", LONG2),
        LONG1 " " LONG2 "\n\n" LONG1 " " LONG2 "\n\n"); /* an indented line begins one */
}

static void headings_and_bold(void) {
  gives(AT("B", "18", "72", "740", "Title") TEXT("710", LONG1) TEXT("696", LONG2)
            AT("B", "11", "72", "672", "Section") TEXT("650", LONG1) TEXT("636", LONG2),
        "# Title\n\n" LONG1 " " LONG2 "\n\n## Section\n\n" LONG1 " " LONG2 "\n\n");
  gives("BT /F 11 Tf 72 700 Td (A ) Tj /B 11 Tf (bold term) Tj /F 11 Tf ( is so.) Tj ET",
        "A **bold term** is so.\n\n");
}

static void lists_and_tables(void) {
  gives(TEXT("700", LONG1) TEXT("686", LONG2) TEXT("664", "\\225 one") TEXT("650", "\\225 two")
            TEXT("628", LONG1) TEXT("614", LONG2),
        LONG1 " " LONG2 "\n\n- one\n- two\n\n" LONG1 " " LONG2 "\n\n");
}

static void pages_and_their_numbers(void) {
  const char *const three[] = {TEXT("700", LONG1) AT("F", "11", "300", "40", "1"),
                               TEXT("700", LONG2) AT("F", "11", "300", "40", "2"),
                               TEXT("700", "End.") AT("F", "11", "300", "40", "3")};
  char *got = text_of(three, 3);
  CHECK_STR(got, LONG1 " " LONG2 "\n\nEnd.\n\n");
  free(got);
  REQUIRE(page_count == 3);
  CHECK_INT(pages[0].page, 1);
  CHECK_INT(pages[0].offset, 0);
  CHECK_INT(pages[1].offset, strlen(LONG1) + 1);
  CHECK_INT(pages[2].page, 3);
  CHECK_INT(pages[2].offset, strlen(LONG1) + strlen(LONG2) + 3);
}

int main(void) {
  char program[4096];
  struct extract_info info;
  struct err err;
  snprintf(program, sizeof program, "%s/lathe-extract",
           getenv("LATHE_BUILD") ? getenv("LATHE_BUILD") : "build");
  if (extract_open(&client, program, &err) || extract_info(client, &info, &err)) return 1;
  if (!info.poppler[0]) {
    test_begin(__FILE__, "everything");
    test_skip("built without poppler");
    test_end();
  } else {
    TEST(paragraphs);
    TEST(headings_and_bold);
    TEST(lists_and_tables);
    TEST(pages_and_their_numbers);
  }
  extract_close(client);
  return test_done();
}

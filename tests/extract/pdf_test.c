/* SPDX-License-Identifier: MIT */
/* PDF: what positions and fonts become: paragraphs, headings, bold words, lists, tables, code, notes,
 * columns, pages; and what happens to pages that take too long. */
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

#define LEFT(y, text)    AT("F", "11", "72", y, text)
#define RIGHT(y, text)   AT("F", "11", "320", y, text)
#define CODE(x, y, text) AT("C", "10", x, y, text)
#define PAGES_MAX        16
#define FIRST_PAGE       10 /* the object of the first page */

static struct extract *client;
static struct extract_page pages[PAGES_MAX];
static size_t page_count;
static char notes[2048]; /* a line each */
static struct extract_options options;

/* The text of a document of n pages; the caller frees. */
static char *text_of(const char *const *contents, int n) {
  char again[10000 * 5 + 1];
  for (int i = 0; i < 10000; i++) strcpy(again + 5 * i, "/X Do");
  char path[4096], object[512];
  struct pdf p;
  struct extract_segment s;
  struct err err = {0};
  struct buf out;
  size_t len, used = 0;
  pdf_begin(&p);
  pdf_object(&p, "<</Type/Catalog/Pages 2 0 R>>");
  for (int i = 0; i < n; i++)
    used += (size_t)snprintf(object + used, sizeof object - used, "%d 0 R ", FIRST_PAGE + 2 * i);
  char kids[600];
  snprintf(kids, sizeof kids, "<</Type/Pages/Count %d/Kids[%s]>>", n, object);
  pdf_object(&p, kids);
  pdf_object(&p, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>");
  pdf_object(&p, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold>>");
  pdf_object(&p, "<</Type/Font/Subtype/Type1/BaseFont/Courier>>");
  pdf_object(&p, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica"
                 "/Encoding<</Type/Encoding/Differences[1/fi/fl]>>>>");
  /* a form that draws another ten thousand times, which draws a third ten thousand times */
  for (int i = 0; i < 2; i++) {
    snprintf(object, sizeof object,
             "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X %d 0 R>>>>", 8 + i);
    pdf_stream(&p, object, again);
  }
  pdf_stream(&p, "/Type/XObject/Subtype/Form/BBox[0 0 9 9]", "0 0 m 9 9 l S");
  for (int i = 0; i < n; i++) {
    snprintf(object, sizeof object,
             "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents %d 0 R"
             "/Resources<</Font<</F 3 0 R/B 4 0 R/C 5 0 R/L 6 0 R>>/XObject<</X 7 0 R>>>>>>",
             FIRST_PAGE + 1 + 2 * i);
    pdf_object(&p, object);
    pdf_stream(&p, "", contents[i]);
  }
  pdf_end(&p);
  snprintf(path, sizeof path, "%s/a.pdf", test_dir());
  CHECK_INT(file_write(path, p.b.data, p.b.len, FILE_NO_SYNC, &err), 0);
  buf_clear(&p.b);
  buf_init(&out);
  notes[0] = 0;
  if (extract_begin(client, path, &options, &err) == 0) {
    int got;
    while ((got = extract_next(client, &s, &err)) == 1) {
      buf_add(&out, s.text, s.len);
      for (page_count = 0; page_count < s.page_count && page_count < PAGES_MAX; page_count++)
        pages[page_count] = s.pages[page_count];
      for (size_t i = 0; i < s.note_count; i++) {
        strncat(notes, s.notes[i], sizeof notes - strlen(notes) - 2);
        strcat(notes, "\n");
      }
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

static void gives_pages(const char *const *contents, int n, const char *want) {
  char *got = text_of(contents, n);
  CHECK_STR(got, want);
  free(got);
}

static void tables(void) {
  gives(TEXT("700", LONG1) TEXT("686", LONG2) LEFT("650", "Name")
            AT("F", "11", "200", "650", "Type") RIGHT("650", "Default") LEFT("636", "size")
                AT("F", "11", "200", "636", "int") RIGHT("636", "4000") LEFT("622", "over|lap")
                    AT("F", "11", "200", "622", "int"),
        LONG1 " " LONG2 "\n\n| Name | Type | Default |\n|---|---|---|\n| size | int | 4000 |\n"
              "| over\\|lap | int | |\n\n");
  /* a cell of two lines: the rows are farther apart than its lines, and a word is cut in it */
  gives(LEFT("700", "-a") AT("F", "11", "160", "700", "all of them") LEFT("680", "-b")
            AT("F", "11", "160", "680", "binary, which is far lon-")
                AT("F", "11", "160", "667", "ger than the others") LEFT("647", "-c")
                    AT("F", "11", "160", "647", "copy"),
        "| -a | all of them |\n|---|---|\n| -b | binary, which is far longer than the others |\n"
        "| -c | copy |\n\n");
  /* numbers before items are no column */
  gives(LEFT("700", "1.") AT("F", "11", "100", "700", "one") LEFT("686", "2.")
            AT("F", "11", "100", "686", "two") LEFT("672", "3.")
                AT("F", "11", "100", "672", "three"),
        "1. one\n2. two\n3. three\n\n");
}

#define ROW(y, a, b, c) LEFT(y, a) AT("F", "11", "200", y, b) RIGHT(y, c)

static void tables_go_on_overleaf(void) {
  const char *const three[] = {TEXT("600", "Words.") ROW("126", "Name", "Type", "Default")
                                   ROW("112", "one", "int", "1") ROW("98", "two", "int", "2"),
                               ROW("680", "Name", "Type", "Default") ROW("666", "three", "int", "3")
                                   ROW("652", "four", "int", "4"),
                               ROW("680", "five", "int", "5") TEXT("640", "More words.")};
  gives_pages(
      three, 3,
      "Words.\n\n| Name | Type | Default |\n|---|---|---|\n| one | int | 1 |\n| two | int | 2 "
      "|\n| three | int | 3 |\n| four | int | 4 |\n| five | int | 5 |\n\nMore words.\n\n");
  CHECK_INT(page_count, 3);
  /* numbers that count are a list */
  gives(LEFT("700", "1") AT("F", "11", "100", "700", "one") LEFT("686", "2")
            AT("F", "11", "100", "686", "two") LEFT("672", "3")
                AT("F", "11", "100", "672", "three"),
        "1. one\n2. two\n3. three\n\n");
}

static void columns(void) {
  /* drawn row by row, as some programs do; a title spans both columns */
#define HALF1 "A column of a page is half as wide as"
#define HALF2 "the page, and its lines are read down"
#define HALF3 "to its end before the other one begins."
#define HALF4 "Here is the other one, which goes on to"
#define HALF5 "say that it is read second, and that"
#define HALF6 "this sentence is at the end of all."
  gives(AT("B", "18", "180", "750", "A title over both columns") LEFT("700", HALF1)
            RIGHT("700", HALF4) LEFT("686", HALF2) RIGHT("686", HALF5) LEFT("672", HALF3)
                RIGHT("672", HALF6),
        "# A title over both columns\n\n" HALF1 " " HALF2 " " HALF3 "\n\n" HALF4 " " HALF5 " " HALF6
        "\n\n");
  /* a sentence goes on in the second column */
  gives(LEFT("700", HALF1) RIGHT("700", HALF3) LEFT("686", HALF2) RIGHT("686", HALF4)
            LEFT("672", HALF2) RIGHT("672", HALF5) LEFT("658", HALF2) RIGHT("658", HALF6),
        HALF1 " " HALF2 " " HALF2 " " HALF2 " " HALF3 " " HALF4 " " HALF5 " " HALF6 "\n\n");
}

static void cut_words(void) {
  gives(TEXT("700", "Words are put together when an exam-")
            TEXT("686", "ple of them was cut here.") "",
        "Words are put together when an example of them was cut here.\n\n");
  gives(
      TEXT("700", "A well-known fact, so it keeps what is well-")
          TEXT("686", "known to all who read it, as X-") TEXT("672", "Rays and 2010-")
              TEXT("658", "2011 do, and Ein- or two-") TEXT("644", "and threefold things."),
      "A well-known fact, so it keeps what is well-known to all who read it, as X-Rays and 2010-2011 "
      "do, and Ein- or two- and threefold things.\n\n");
  gives(AT("L", "11", "72", "700", "\001nd the \002ow of it"), "find the flow of it\n\n");
}

static void code(void) {
  gives(TEXT("700", LONG1) TEXT("686", LONG2) CODE("90", "664", "int main\\(void\\) {")
            CODE("102", "652", "return 0;") CODE("90", "640", "}") TEXT("618", LONG1)
                TEXT("604", LONG2),
        LONG1 " " LONG2 "\n\n```\nint main(void) {\n  return 0;\n}\n```\n\n" LONG1 " " LONG2
              "\n\n");
  gives(
      "BT /F 11 Tf 72 700 Td (Call ) Tj /C 11 Tf (make) Tj /F 11 Tf ( now, and then it is made.) Tj "
      "ET",
      "Call `make` now, and then it is made.\n\n");
}

static void lists(void) {
  gives(TEXT("714", LONG1)
            TEXT("700", "\225 one, whose text goes on to the line below this one, as is")
                AT("F", "11", "79", "686", "usual in lists")
                    AT("F", "11", "90", "672", "\225 inner") TEXT("658", "\225 two"),
        LONG1 "\n\n- one, whose text goes on to the line below this one, as is usual in lists\n"
              "  - inner\n- two\n\n");
}

static void footnotes(void) {
  const char *const two[] = {
      TEXT("700", LONG2) TEXT("686", LONG1) AT("F", "6", "72", "83", "1")
          AT("F", "8", "76", "80", "A note at the foot of the page, in small type."),
      TEXT("700", LONG2) TEXT("686", "End of it.")};
  gives_pages(two, 2,
              "1 A note at the foot of the page, in small type.\n\n" LONG2 " " LONG1 " " LONG2
              " End of it.\n\n");
  CHECK_INT(page_count, 2);
}

#define BODY(word) word " " LONG2 "\n\n"
#define HEADED(n, title, text)                                                                     \
  AT("F", "9", "72", "760", title)                                                                 \
  AT("F", "9", "500", "760", n) TEXT("700", text) AT("F", "9", "300", "30", "The handbook, page " n)

static void running_headers(void) {
  const char *const six[] = {
      HEADED("11", "One thing", "Alpha " LONG2),    HEADED("12", "Manual", "Beta " LONG2),
      HEADED("13", "One thing", "Gamma " LONG2),    HEADED("14", "Manual", "Delta " LONG2),
      HEADED("15", "Two things", "Epsilon " LONG2), HEADED("16", "Manual", "Zeta " LONG2)};
  gives_pages(six, 6,
              BODY("Alpha") BODY("Beta") BODY("Gamma") BODY("Delta") BODY("Epsilon") BODY("Zeta"));
  CHECK_STR(notes, "running headers, footers and page numbers left out: 12 lines\n");
  CHECK_INT(page_count, 6);
  CHECK_INT(pages[5].offset,
            strlen(BODY("Alpha") BODY("Beta") BODY("Gamma") BODY("Delta") BODY("Epsilon")));
  /* titles of chapters stand at one place too, but in large type and with words of their own */
  const char *const chapters[] = {
      AT("B", "20", "72", "740", "Chapter 1") TEXT("700", LONG1) TEXT("686", LONG2),
      AT("B", "20", "72", "740", "Chapter 2") TEXT("700", LONG1) TEXT("686", LONG2),
      AT("B", "20", "72", "740", "Chapter 3") TEXT("700", LONG1) TEXT("686", LONG2)};
#define CHAPTER(n) "# Chapter " n "\n\n" LONG1 " " LONG2 "\n\n"
  gives_pages(chapters, 3, CHAPTER("1") CHAPTER("2") CHAPTER("3"));
}

static void stuck_pages_are_left_out(void) {
  const char *contents[12];
  char want[256] = "";
  static char texts[12][64];
  for (int i = 0; i < 12; i++) {
    snprintf(texts[i], sizeof texts[i], TEXT("700", "Page %c is here."), 'A' + i);
    contents[i] = i == 4 ? "/X Do" : texts[i];
    if (i != 4)
      snprintf(want + strlen(want), sizeof want - strlen(want), "Page %c is here.\n\n", 'A' + i);
  }
  options = (struct extract_options){.page_seconds = 1};
  gives_pages(contents, 12, want);
  CHECK_STR(notes, "page 5 skipped: more than 1 s of CPU time\n");
  CHECK_INT(page_count, 11);
  CHECK_INT(pages[4].page, 6);
  CHECK_INT(pages[10].page, 12);
  options = (struct extract_options){0};
}

static void no_text(void) {
  const char *empty = "0 0 m 9 9 l S";
  char *got = text_of(&empty, 1);
  CHECK(strstr(got, "no text on its 1 page (scanned images need OCR first)") != NULL);
  free(got);
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
    TEST(tables);
    TEST(tables_go_on_overleaf);
    TEST(columns);
    TEST(cut_words);
    TEST(code);
    TEST(lists);
    TEST(footnotes);
    TEST(running_headers);
    TEST(stuck_pages_are_left_out);
    TEST(no_text);
    TEST(pages_and_their_numbers);
  }
  extract_close(client);
  return test_done();
}

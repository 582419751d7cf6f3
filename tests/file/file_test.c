/* SPDX-License-Identifier: MIT */
/* file/: atomic replacement, lines, compressed streams, folders. */
#include "support/test.h"

#include "file/file.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

static char path[8192];

static const char *in_dir(const char *name) {
  snprintf(path, sizeof path, "%s/%s", test_dir(), name);
  return path;
}

static void replace_is_all_or_nothing(void) {
  struct file_replace *w;
  struct file_info info;
  struct err err;
  struct buf b;
  buf_init(&b);
  CHECK_INT(file_write(in_dir("a"), "old", 3, 0, &err), 0);
  REQUIRE(file_replace_open(&w, path, 0, &err) == 0);
  CHECK_INT(file_replace_write(w, "new!", 4, &err), 0);
  file_replace_close(w); /* not committed */
  CHECK_INT(file_read(path, 100, &b, &err), 0);
  CHECK_STR(b.data, "old");
  REQUIRE(file_replace_open(&w, path, 0, &err) == 0);
  CHECK_INT(file_replace_write(w, "0000new", 7, &err), 0);
  CHECK_INT(file_replace_patch(w, 0, "head", 4, &err), 0);
  CHECK_INT(file_replace_patch(w, 5, "xxxx", 4, &err), ERR_MISUSE);
  CHECK_INT(file_replace_commit(w, &err), 0);
  file_replace_close(w);
  buf_reset(&b);
  CHECK_INT(file_read(path, 100, &b, &err), 0);
  CHECK_STR(b.data, "headnew");
  CHECK_INT(file_read(path, 6, &b, &err), ERR_LIMIT);
  CHECK_INT(file_stat(in_dir("none"), &info, &err), 0);
  CHECK(!info.exists);
  CHECK_INT(file_write(in_dir("no/such/folder"), "x", 1, 0, &err), ERR_NOTFOUND);
  buf_clear(&b);
}

static void lines_with_limits(void) {
  struct lines *r;
  struct line line;
  struct err err;
  static char text[3 << 20];
  memset(text, 'x', sizeof text);
  memcpy(text, "one\n\ntwo\r\n", 10);
  memcpy(text + sizeof text - 6, "\nlast", 5);
  CHECK_INT(file_write(in_dir("l"), text, sizeof text - 1, 0, &err), 0);
  REQUIRE(lines_open(&r, path, 1000, &err) == 0);
  CHECK_INT(lines_next(r, &line, &err), 1);
  CHECK_MEM(line.text, line.len, "one", 3);
  CHECK_INT(lines_next(r, &line, &err), 1);
  CHECK_INT(line.len, 0);
  CHECK_INT(lines_next(r, &line, &err), 1);
  CHECK_MEM(line.text, line.len, "two\r", 4);
  CHECK_INT(lines_next(r, &line, &err), 1);
  CHECK(line.too_long && line.text == NULL);
  CHECK_INT(line.number, 4);
  CHECK_INT(line.len, sizeof text - 6 - 10);
  CHECK_INT(lines_next(r, &line, &err), 1);
  CHECK_MEM(line.text, line.len, "last", 4);
  CHECK(!line.ended);
  CHECK_INT(line.offset, sizeof text - 5);
  CHECK_INT(lines_next(r, &line, &err), 0);
  lines_close(r);
  REQUIRE(lines_open_range(&r, path, 4, 10, 0, &err) == 0);
  CHECK_INT(lines_next(r, &line, &err), 1);
  CHECK_INT(line.len, 0);
  CHECK_INT(lines_next(r, &line, &err), 1);
  CHECK_MEM(line.text, line.len, "two\r", 4);
  CHECK_INT(lines_next(r, &line, &err), 0);
  lines_close(r);
}

struct ends {
  uint64_t offset[8], line[8];
  size_t n;
};

static int note_end(void *arg, uint64_t offset, uint64_t line, struct err *err) {
  struct ends *e = arg;
  (void)err;
  if (e->n == 8) return ERR_LIMIT;
  e->offset[e->n] = offset;
  e->line[e->n++] = line;
  return 0;
}

/* Lines of blanks have numbers and bytes, but are no records. */
static void blank_lines_are_no_records(void) {
  static const char text[] = "\n{1}\n \t\r\n{2}\n\n{3}\n{4}\n  ";
  static const int numbers[] = {2, 4, 6, 7};
  struct lines *r;
  struct line line;
  struct err err;
  CHECK_INT(file_write(in_dir("blank"), text, sizeof text - 1, 0, &err), 0);
  REQUIRE(lines_open(&r, path, 0, &err) == 0);
  for (int i = 0; i < 4; i++) {
    REQUIRE(lines_next_record(r, &line, &err) == 1);
    CHECK_INT(line.text[1], '1' + i);
    CHECK_INT(line.number, numbers[i]);
  }
  CHECK_INT(lines_next_record(r, &line, &err), 0);
  lines_close(r);
  struct file_cut cut = {.records = 1, .bytes = 100};
  struct ends ends = {.n = 0};
  REQUIRE(file_cut(path, 2, 1000, &cut, note_end, &ends, &err) == 0);
  CHECK_INT(cut.total, 4);
  CHECK_INT(cut.lines, 8);
  CHECK_INT(cut.size, sizeof text - 1);
  REQUIRE(ends.n == 2);
  CHECK_INT(ends.line[0], 2);
  CHECK_INT(ends.offset[0], 5);
  CHECK_INT(ends.line[1], 6);
  CHECK_INT(cut.records, 1);
  CHECK_INT(cut.bytes, sizeof text - 1 - ends.offset[1]);
}

static void gzip_members_and_damage(void) {
  struct lines *r;
  struct line line;
  struct err err;
  gzFile z;
  for (int member = 0; member < 2; member++) {
    REQUIRE((z = gzopen(in_dir("z.gz"), member ? "ab" : "wb")) != NULL);
    gzputs(z, member ? "c\nd" : "a\nb\n");
    gzclose(z);
  }
  REQUIRE(lines_open(&r, path, 0, &err) == 0);
  char all[8] = "";
  while (lines_next(r, &line, &err) == 1) strncat(all, line.text, line.len);
  CHECK_STR(all, "abcd");
  lines_close(r);
  struct buf b;
  buf_init(&b);
  CHECK_INT(file_read(path, 1000, &b, &err), 0);
  CHECK_INT(file_write(in_dir("cut.gz"), b.data, b.len - 9, 0, &err), 0);
  REQUIRE(lines_open(&r, path, 0, &err) == 0);
  int rc;
  while ((rc = lines_next(r, &line, &err)) == 1) continue;
  CHECK_INT(rc, -1);
  CHECK(strstr(err.message, "ends early") != NULL);
  lines_close(r);
  buf_clear(&b);
}

static int collect(void *arg, const char *name, bool is_dir, struct err *err) {
  (void)err;
  strcat(arg, name);
  strcat(arg, is_dir ? "/ " : " ");
  return 0;
}

static void folders(void) {
  struct err err;
  char names[256] = "";
  CHECK_INT(file_mkdirs(in_dir("d/e/f"), &err), 0);
  CHECK_INT(file_mkdirs(path, &err), 0);
  CHECK_INT(file_write(in_dir("d/b"), "", 0, 0, &err), 0);
  CHECK_INT(file_write(in_dir("d/a"), "", 0, 0, &err), 0);
  CHECK_INT(file_list(in_dir("d"), collect, names, &err), 0);
  CHECK_STR(names, "a b e/ ");
  CHECK_INT(file_remove_tree(path, &err), 0);
  CHECK_INT(file_remove_tree(path, &err), 0);
  CHECK_INT(file_list(path, collect, names, &err), ERR_NOTFOUND);
}

int main(void) {
  TEST(replace_is_all_or_nothing);
  TEST(lines_with_limits);
  TEST(blank_lines_are_no_records);
  TEST(gzip_members_and_damage);
  TEST(folders);
  return test_done();
}

/* SPDX-License-Identifier: MIT */
/* A table on its way to Markdown: cells are collected row by row and written when the table is
 * whole, as a pipe table whose first row is the head:
 *
 *   | Option | Meaning |
 *   |---|---|
 *   | -a | all of them |
 *
 * A cell is one line: white space of any kind becomes one space, "|" becomes "\|". Rows may differ
 * in length; short ones are filled up with empty cells. A row without text is dropped. What is left
 * with fewer than two columns is no table and is written as lines. Memory is bounded: past
 * TABLE_MAX bytes or cells a table counts as full and asks to be written.
 */
#ifndef LATHE_EXTRACT_TABLE_H
#define LATHE_EXTRACT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define TABLE_MAX ((size_t)4 << 20)

struct table {
  struct buf text; /* of all cells, tidied */
  size_t *ends;    /* of each cell in text; SIZE_MAX ends a row */
  size_t count, cap;
  bool in_row, failed;
};

void table_init(struct table *t);
void table_clear(struct table *t); /* may be called twice */

void table_row(struct table *t); /* begins a row */
/* A cell of that row; `span` (1 for most) columns wide, the text stands in the first of them. */
void table_cell(struct table *t, const char *s, size_t n, unsigned span);
bool table_full(const struct table *t);
bool table_empty(const struct table *t); /* no cell holds text */

/* Appends the table to out, each line behind `indent`, with a newline behind every line but the
 * last, and empties it. ERR_NOMEM. */
int table_write(struct table *t, const char *indent, struct buf *out, struct err *err);

#endif

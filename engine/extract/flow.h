/* SPDX-License-Identifier: MIT */
/* From an office document's paragraphs to Markdown-like text: what DOCX, ODT and PPTX share.
 *
 *   flow_open(f, &style)  flow_text …  flow_close(f)       a paragraph
 *
 *   heading            "# " … "###### "          list item   "- ", "3. ", "b. ", indented by level
 *   bold, code runs    "**…**", "`…`"            table       a pipe table
 *   preformatted       lines between "```"       footnote    "[^1]" in the text, "[^1]: …" at the end
 *
 * A paragraph is collected and written when it closes. One that opens inside another (a text box)
 * is so written before it. Inside a table's cell or a note paragraphs become running text. A table
 * inside a table becomes text of the outer one's cell.
 */
#ifndef LATHE_EXTRACT_FLOW_H
#define LATHE_EXTRACT_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "extract/out.h"
#include "extract/table.h"

enum flow_kind { FLOW_TEXT, FLOW_HEADING, FLOW_ITEM, FLOW_CODE };

struct flow_style {
  enum flow_kind kind;
  unsigned level; /* of a heading, from 1; of a list's item, from 0; lists around code */
  char label[24]; /* of an item: "" a bullet, else "3." */
  bool more;      /* of an item: its second paragraph, without a mark */
};

#define FLOW_DEPTH  8  /* paragraphs inside paragraphs */
#define FLOW_LEVELS 10 /* of lists */

struct flow_paragraph {
  struct flow_style style;
  struct buf text;
  bool bold, code, space; /* wanted; white space since the last word */
  const char *mark;       /* open: "**" or "`"; NULL: none */
};

struct flow {
  struct out *out;
  struct flow_paragraph open[FLOW_DEPTH]; /* the innermost last */
  size_t depth, beyond;                   /* beyond: opened past FLOW_DEPTH */
  struct buf first_heading;               /* for the title */

  unsigned widths[FLOW_LEVELS]; /* of the marks of the list's levels */
  bool was_item, was_numbered, in_code;
  unsigned code_indent;

  struct table table;
  struct buf cell;
  unsigned tables;      /* open ones that are tables and do not only place text */
  unsigned table_depth; /* open ones of both kinds */
  uint32_t placing;     /* a bit for each of these: it only places */
  unsigned columns;     /* of the innermost, as declared so far */
  bool judged;          /* the innermost has rows */
  bool in_cell;
  unsigned span, repeat;

  struct buf notes; /* the text of all notes, each with its mark */
  struct buf note;
  bool in_note;
  unsigned note_count;

  int rc;
  struct err *err;
};

void flow_init(struct flow *f, struct out *out, struct err *err);
/* Writes the notes and ends the document's last line. 0, or the first error. */
int flow_finish(struct flow *f);
void flow_clear(struct flow *f); /* may be called twice */

void flow_open(struct flow *f, const struct flow_style *style);
void flow_restyle(struct flow *f, const struct flow_style *style); /* of the open paragraph */
void flow_close(struct flow *f);
void flow_discard(struct flow *f);        /* the text of the open paragraph */
bool flow_has_text(const struct flow *f); /* the open paragraph */

void flow_text(struct flow *f, const char *s, size_t n); /* white space collapses */
void flow_space(struct flow *f, unsigned count); /* collapses but where it is preformatted */
void flow_tab(struct flow *f);
void flow_break(struct flow *f); /* a line end inside the paragraph */
void flow_bold(struct flow *f, bool on);
void flow_code(struct flow *f, bool on); /* names and the like inside a sentence */

void flow_list_end(struct flow *f); /* the next item belongs to another list */

/* A table that declares one column is no table: it puts a box around paragraphs. */
void flow_table(struct flow *f);
void flow_columns(struct flow *f, unsigned n); /* declared, before the first row; adds up */
void flow_row(struct flow *f);
void flow_cell(struct flow *f, unsigned columns, unsigned repeat); /* begins one */
void flow_cell_span(struct flow *f, unsigned columns);             /* of the one begun */
void flow_cell_end(struct flow *f);
void flow_table_end(struct flow *f);

/* A note at this place of the open paragraph; what comes until flow_note_end is its text. */
void flow_note(struct flow *f);
void flow_note_end(struct flow *f);

/* By its name, is this a font in which code is set? */
bool flow_is_monospace(const char *font);

/* "3." "c." "C." "iii." "III." for a number from 1. */
enum flow_number {
  NUMBER_BULLET,
  NUMBER_DECIMAL,
  NUMBER_LOWER,
  NUMBER_UPPER,
  NUMBER_ROMAN,
  NUMBER_ROMAN_UPPER
};
void flow_label(enum flow_number kind, unsigned n, char *out, size_t cap);

#endif

/* SPDX-License-Identifier: MIT */
/* A PDF page on its way from drawn characters to text.
 *
 *   glyphs   what poppler gives: characters with a rectangle, a size and a font each
 *   pieces   stretches of a line without a hole in them            pdf_pieces    (pdf_page.c)
 *   edges    what stands at the page's top and bottom, by place     pdf_edges     (pdf_edge.c)
 *   blocks   paragraphs, headings, items, tables, code, in reading order
 *                                                                   pdf_layout    (pdf_layout.c)
 *   text     Markdown; lines of a paragraph joined, words put together again
 *                                                                   pdf_blocks    (pdf_text.c)
 *
 * Nothing here knows poppler, so that it can be tested with glyphs made by hand. Lengths are in
 * points, y grows downwards.
 */
#ifndef LATHE_EXTRACT_PDF_PAGE_H
#define LATHE_EXTRACT_PDF_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define PDF_SIZES   512 /* half points: sizes up to 256 pt are told apart */
#define PDF_COLUMNS 24  /* of a table */
#define PDF_EDGES   8   /* rows looked at per page, four above and four below */

struct pdf_glyph {
  uint32_t c; /* U+000A ends a line */
  float x1, y1, x2, y2;
  float size;
  bool bold, mono;
};

struct pdf_piece {
  size_t from, to;                      /* glyphs */
  float left, right, top, bottom, size; /* size: of most of its glyphs */
  bool bold, mono;                      /* all of it */
  bool rotated;
  bool item;    /* a bullet stands before it */
  float item_x; /* where the bullet stands */
  bool gone;    /* a running header or the like */
};

/* A row at the top or bottom of a page. */
struct pdf_edge {
  float y, size;
  uint64_t text;      /* hash, digits left out; 0: nothing but digits */
  uint64_t exact;     /* hash of all of it */
  int32_t head, tail; /* the number that the row begins or ends with; −1: none */
  bool below;         /* at the bottom */
  bool apart;         /* a gap divides it from the rest */
};

enum pdf_kind { PDF_PARAGRAPH, PDF_HEADING, PDF_ITEM, PDF_LINES, PDF_TABLE, PDF_CODE, PDF_NOTE };

struct pdf_block {
  enum pdf_kind kind;
  int level;         /* of a heading 1–6, of an item from 0 */
  size_t from, to;   /* in the page's text */
  bool open;         /* no sentence ends here: it may go on in the next block */
  bool full;         /* … and its last line is full */
  bool goes_on;      /* it begins in the middle of a sentence */
  bool may_go_on;    /* it does not look like a beginning */
  bool first, last;  /* of its region: only there text goes on in another one */
  int columns;       /* of a table … */
  float left, right; /* … and where its first and last column begin */
  enum {
    PDF_WHOLE,
    PDF_NO_HEAD,
    PDF_NO_RULE
  } part; /* of a table that goes on from the page before */
};

struct pdf_page {
  uint32_t number; /* from 1; 0: not loaded */
  float width, height;
  struct pdf_glyph *glyphs;
  size_t count;
  struct pdf_piece *pieces;
  size_t piece_count;
  struct pdf_edge edges[PDF_EDGES];
  size_t edge_count;
  struct pdf_block *blocks;
  size_t block_count, block_cap;
  struct buf text;
  uint32_t left_out; /* running headers, footers and numbers */
};

/* An entry of the document's outline. */
struct pdf_entry {
  uint32_t page;
  int depth;      /* from 1 */
  uint64_t title; /* hash of its letters and digits */
};

/* Stretches of x that hold pieces: the columns of a table. */
struct pdf_spans {
  float left[PDF_COLUMNS], right[PDF_COLUMNS];
  size_t n;
};

/* What is known of the document so far. */
struct pdf_style {
  uint64_t sizes[PDF_SIZES]; /* characters of that size */
  uint32_t pages[PDF_SIZES]; /* pages on which it is used, at most one count a page */
  uint64_t mono, total;      /* characters */
  float body;                /* the size of most of them */
  float shift;               /* how much lower poppler sees typewriter type, in sizes … */
  uint32_t shifts;           /* … the mean of so many */
  bool mono_body;            /* the whole document is typewritten: nothing in it is code */
  float gutter;              /* where columns were divided last; 0: nowhere */
  struct pdf_spans table;    /* with which page `table_page` ended; it may go on overleaf */
  uint32_t table_page;
  int levels[PDF_SIZES];     /* headings: level by size; 0: not known */
  int deepest;               /* the level of headings that are only bold */
  bool settled;              /* levels are fixed */
  struct pdf_entry *entries; /* by page */
  size_t entry_count;
  int last_level;  /* of the last heading that the outline names */
  uint64_t *words; /* hashes of words seen, for hyphens; open addressing */
  size_t word_count, word_cap;
};

void pdf_page_clear(struct pdf_page *p);
void pdf_style_clear(struct pdf_style *s);

/* Glyphs to pieces; counts sizes and words into style. */
int pdf_pieces(struct pdf_page *p, struct pdf_style *style, struct err *err);
/* Looks at the page's top and bottom. */
void pdf_edges(struct pdf_page *p);
/* Marks the pieces of page[at] that are running headers or footers; pages of the window that are
 * not loaded have number 0. */
void pdf_drop_running(struct pdf_page *const *window, size_t n, size_t at,
                      const struct pdf_style *s);
/* Pieces to blocks. */
int pdf_layout(struct pdf_page *p, struct pdf_style *style, struct err *err);
/* Does a table go on from page p to the next? Then it is one: its head is not written again. */
void pdf_link(const struct pdf_page *p, struct pdf_page *next);
/* Appends the page's text; `next` (may be NULL) is the page behind it, on which a sentence may go
 * on. */
int pdf_write(const struct pdf_page *p, const struct pdf_page *next, const struct pdf_style *s,
              struct buf *out, struct err *err);
/* Fixes the levels of headings by what has been seen, and the body's size. */
void pdf_settle(struct pdf_style *s);

/* ---- shared by pdf_layout.c and pdf_text.c ---- */

/* A row of pieces side by side, as a line of text. */
struct pdf_line {
  struct pdf_piece **pieces;
  size_t n;
  float left, right, top, bottom, size;
  bool bold, mono, item;
  float item_x;
  size_t chars;
  uint32_t first, last; /* characters */
  float word;           /* width of the first word */
  bool heading, note, code;
  bool leader; /* dots lead to a page's number */
  bool number; /* … or only blanks */
  int level;   /* of a heading */
};

struct pdf_block *pdf_add_block(struct pdf_page *p, enum pdf_kind kind);
/* Makes the lines of one region blocks. */
int pdf_blocks(struct pdf_page *p, struct pdf_line *lines, size_t n, struct pdf_style *s,
               struct err *err);
/* Appends the text of a piece without marks. */
void pdf_plain(const struct pdf_page *p, const struct pdf_piece *piece, struct buf *out);
/* … behind what is in out, as a line goes on with the next. */
void pdf_add_plain(const struct pdf_page *p, const struct pdf_style *s,
                   const struct pdf_piece *piece, struct buf *out);
void pdf_measure_line(const struct pdf_page *p, struct pdf_line *l);

bool pdf_is_space(uint32_t c);
uint64_t pdf_title_hash(const char *s, size_t n); /* letters and digits only, small */
/* Do the words of a cut word belong together without the hyphen? */
bool pdf_word_known(const struct pdf_style *s, uint64_t hash);
void pdf_word_add(struct pdf_style *s, uint64_t hash);

#endif

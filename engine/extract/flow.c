/* SPDX-License-Identifier: MIT */
/* Paragraphs, lists, tables and notes as text; see flow.h. */
#include "extract/flow.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

void flow_init(struct flow *f, struct out *out, struct err *err) {
  memset(f, 0, sizeof *f);
  f->out = out;
  f->err = err;
  table_init(&f->table);
}

void flow_clear(struct flow *f) {
  for (size_t i = 0; i < FLOW_DEPTH; i++) buf_clear(&f->open[i].text);
  buf_clear(&f->first_heading);
  buf_clear(&f->cell);
  buf_clear(&f->notes);
  buf_clear(&f->note);
  table_clear(&f->table);
}

static void check(struct flow *f, const struct buf *b) {
  if (!f->rc) f->rc = buf_check(b, "a paragraph", f->err);
}

static struct flow_paragraph *top(struct flow *f) {
  return f->depth ? &f->open[f->depth - 1] : NULL;
}

/* ---- a paragraph's text ---- */

static void close_mark(struct flow_paragraph *p) {
  if (p->mark) buf_adds(&p->text, p->mark);
  p->mark = NULL;
}

/* What the next word stands between. */
static const char *mark_for(const struct flow_paragraph *p) {
  if (p->style.kind == FLOW_HEADING || p->style.kind == FLOW_CODE) return NULL;
  return p->code ? "`" : p->bold ? "**" : NULL;
}

/* Visible characters: marks always touch a word. */
static void word(struct flow_paragraph *p, const char *s, size_t n) {
  const char *mark = mark_for(p);
  if (p->mark && p->mark != mark) close_mark(p);
  if (p->space && p->text.len && p->text.data[p->text.len - 1] != '\n') buf_addc(&p->text, ' ');
  p->space = false;
  if (mark && !p->mark) buf_adds(&p->text, mark);
  p->mark = mark;
  buf_add(&p->text, s, n);
}

static size_t space_at(const char *s, size_t n) { /* bytes of white space here; 0: none */
  unsigned char c = (unsigned char)*s;
  if (c == 0xC2 && n > 1 && (unsigned char)s[1] == 0xA0) return 2; /* U+00A0 */
  return c <= ' ' || c == 0x7F;
}

void flow_text(struct flow *f, const char *s, size_t n) {
  struct flow_paragraph *p = top(f);
  if (!p) return;
  if (p->style.kind == FLOW_CODE) {
    buf_add(&p->text, s, n);
    return;
  }
  for (size_t i = 0; i < n;) {
    size_t from = i, used = 0;
    while (i < n && !(used = space_at(s + i, n - i))) i++;
    if (i > from) word(p, s + from, i - from);
    if (i < n) p->space = true;
    i += used;
  }
}

void flow_space(struct flow *f, unsigned count) {
  struct flow_paragraph *p = top(f);
  if (!p) return;
  if (p->style.kind != FLOW_CODE)
    p->space = true;
  else
    for (unsigned i = 0; i < count && i < 256; i++) buf_addc(&p->text, ' ');
}

void flow_tab(struct flow *f) {
  struct flow_paragraph *p = top(f);
  if (p && p->style.kind == FLOW_CODE)
    buf_addc(&p->text, '\t');
  else
    flow_space(f, 1);
}

void flow_break(struct flow *f) {
  struct flow_paragraph *p = top(f);
  if (!p) return;
  if (p->style.kind == FLOW_HEADING || f->in_cell || f->in_note) {
    p->space = true;
  } else if (p->text.len || p->style.kind == FLOW_CODE) {
    close_mark(p);
    buf_addc(&p->text, '\n');
    p->space = false;
  }
}

void flow_bold(struct flow *f, bool on) {
  if (top(f)) top(f)->bold = on;
}

void flow_code(struct flow *f, bool on) {
  if (top(f)) top(f)->code = on;
}

void flow_discard(struct flow *f) {
  struct flow_paragraph *p = top(f);
  if (p) buf_reset(&p->text), p->mark = NULL, p->space = false;
}

bool flow_has_text(const struct flow *f) {
  return f->depth && f->open[f->depth - 1].text.len > 0;
}

/* ---- paragraphs ---- */

void flow_open(struct flow *f, const struct flow_style *style) {
  if (f->depth == FLOW_DEPTH) {
    f->beyond++;
    return;
  }
  struct flow_paragraph *p = &f->open[f->depth++];
  buf_reset(&p->text);
  p->style = *style;
  p->bold = p->code = p->space = false;
  p->mark = NULL;
}

void flow_restyle(struct flow *f, const struct flow_style *style) {
  if (f->depth && !f->beyond) top(f)->style = *style;
}

static void code_line(struct flow *f, const char *s, size_t n) {
  for (unsigned i = 0; i < f->code_indent; i++) out_verbatim(f->out, " ", 1);
  out_verbatim(f->out, s, n);
}

static void end_code(struct flow *f) {
  if (!f->in_code) return;
  out_verbatim(f->out, "\n", 1);
  code_line(f, "```", 3);
  f->in_code = false;
}

/* Writes text whose lines are indented by `indent` spaces behind the first one. */
static void write_lines(struct flow *f, const struct buf *text, unsigned indent) {
  char spaces[2 * FLOW_LEVELS * 12 + 1];
  size_t at = 0;
  memset(spaces, ' ', sizeof spaces);
  if (indent > sizeof spaces) indent = sizeof spaces;
  while (at < text->len) {
    const char *s = text->data + at, *line = memchr(s, '\n', text->len - at);
    size_t n = line ? (size_t)(line - s) + 1 : text->len - at;
    if (at && *s != '\n') out_verbatim(f->out, spaces, indent);
    out_verbatim(f->out, s, n);
    at += n;
  }
}

static unsigned indent_of(const struct flow *f, unsigned level) {
  unsigned indent = 0;
  for (unsigned i = 0; i < level && i < FLOW_LEVELS; i++) indent += f->widths[i] ? f->widths[i] : 2;
  return indent;
}

static void write_item(struct flow *f, const struct flow_paragraph *p) {
  const struct flow_style *s = &p->style;
  char prefix[96];
  unsigned level = s->level < FLOW_LEVELS ? s->level : FLOW_LEVELS - 1;
  unsigned indent = indent_of(f, level);
  const char *mark = s->label[0] ? s->label : "-";
  if (indent > 60) indent = 60;
  if (s->more) {
    unsigned inside = indent + f->widths[level]; /* 0: the list begins without a mark */
    snprintf(prefix, sizeof prefix, "%*s", (int)inside, "");
    out_block(f->out, 2, prefix);
    write_lines(f, &p->text, inside);
    return;
  }
  if (level == 0 && f->was_numbered != (s->label[0] != 0)) flow_list_end(f);
  if (level == 0) f->was_numbered = s->label[0] != 0;
  f->widths[level] = (unsigned)strlen(mark) + 1;
  for (unsigned i = level + 1; i < FLOW_LEVELS; i++) f->widths[i] = 0;
  snprintf(prefix, sizeof prefix, "%*s%s ", (int)indent, "", mark);
  out_block(f->out, f->was_item ? 1 : 2, prefix);
  write_lines(f, &p->text, indent + f->widths[level]);
}

static void write_code(struct flow *f, const struct flow_paragraph *p) {
  unsigned indent = indent_of(f, p->style.level);
  if (f->in_code && indent != f->code_indent) end_code(f);
  if (!f->in_code) {
    f->code_indent = indent;
    out_block(f->out, 2, "");
    code_line(f, "```", 3);
  }
  f->in_code = true;
  for (size_t at = 0; at <= p->text.len;) {
    const char *s = p->text.data ? p->text.data + at : "", *end = s;
    while (end < s + (p->text.len - at) && *end != '\n') end++;
    out_verbatim(f->out, "\n", 1);
    code_line(f, s, (size_t)(end - s));
    at += (size_t)(end - s) + 1;
  }
}

static void write_paragraph(struct flow *f, const struct flow_paragraph *p) {
  if (p->style.kind == FLOW_CODE && (p->text.len || f->in_code)) {
    write_code(f, p);
    f->was_item = f->was_item && p->style.level > 0;
    return;
  }
  if (!p->text.len) return;
  end_code(f);
  if (p->style.kind == FLOW_ITEM) {
    write_item(f, p);
  } else {
    unsigned level = p->style.level > 6 ? 6 : p->style.level;
    bool heading = p->style.kind == FLOW_HEADING && level > 0;
    out_block(f->out, 2, heading ? &"###### "[6 - level] : "");
    out_verbatim(f->out, p->text.data, p->text.len);
  }
  f->was_item = p->style.kind == FLOW_ITEM;
  out_block(f->out, f->was_item ? 1 : 2, "");
}

void flow_list_end(struct flow *f) {
  if (f->in_cell || f->in_note || !f->was_item) return;
  out_block(f->out, 2, "");
  f->was_item = false;
}

/* Running text, one space before it. */
static void append(struct buf *to, const struct flow_paragraph *p) {
  if (!p->text.len) return;
  if (to->len && to->data[to->len - 1] != ' ') buf_addc(to, ' ');
  if (p->style.kind == FLOW_ITEM && !p->style.more) {
    buf_adds(to, p->style.label[0] ? p->style.label : "-");
    buf_addc(to, ' ');
  }
  buf_add(to, p->text.data, p->text.len);
}

void flow_close(struct flow *f) {
  if (f->beyond) {
    f->beyond--;
    return;
  }
  struct flow_paragraph *p = top(f);
  if (!p) return;
  close_mark(p);
  while (p->text.len && p->style.kind != FLOW_CODE && p->text.data[p->text.len - 1] == '\n')
    p->text.data[--p->text.len] = 0;
  check(f, &p->text);
  f->depth--;
  if (f->in_note)
    append(&f->note, p);
  else if (f->in_cell)
    append(&f->cell, p);
  else
    write_paragraph(f, p);
  if (p->style.kind == FLOW_HEADING && !f->first_heading.len)
    buf_add(&f->first_heading, p->text.data ? p->text.data : "", p->text.len);
}

/* ---- tables ---- */

static void write_table(struct flow *f) {
  struct buf text;
  if (table_empty(&f->table)) return;
  buf_init(&text);
  if (!f->rc) f->rc = table_write(&f->table, "", &text, f->err);
  if (!f->rc && text.len) {
    end_code(f);
    out_block(f->out, 2, "");
    out_verbatim(f->out, text.data, text.len);
    out_block(f->out, 2, "");
    f->was_item = false;
  }
  buf_clear(&text);
}

/* A table of one column only places text: its paragraphs stay what they are. */
static bool only_places(const struct flow *f) {
  return f->table_depth && f->table_depth <= 32 && f->placing >> (f->table_depth - 1) & 1;
}

void flow_table(struct flow *f) {
  f->table_depth++;
  f->columns = 0;
  f->judged = false;
  if (f->table_depth <= 32) f->placing &= ~(1u << (f->table_depth - 1));
}

void flow_columns(struct flow *f, unsigned n) {
  if (!f->judged) f->columns += n;
}

void flow_row(struct flow *f) {
  if (!f->table_depth) return;
  if (!f->judged) {
    if (f->columns == 1 && f->table_depth <= 32)
      f->placing |= 1u << (f->table_depth - 1);
    else
      f->tables++;
  }
  f->judged = true;
  if (f->tables == 1 && !f->in_note && !only_places(f)) table_row(&f->table);
}

void flow_cell(struct flow *f, unsigned columns, unsigned repeat) {
  if (f->tables != 1 || f->in_note || only_places(f)) return;
  f->in_cell = true;
  f->span = columns;
  f->repeat = repeat;
  buf_reset(&f->cell);
}

void flow_cell_span(struct flow *f, unsigned columns) {
  if (f->tables == 1 && f->in_cell && !only_places(f)) f->span = columns;
}

void flow_cell_end(struct flow *f) {
  if (f->tables != 1 || f->in_note || !f->in_cell || only_places(f)) return;
  check(f, &f->cell);
  for (unsigned i = 0; i < f->repeat || i == 0; i++)
    table_cell(&f->table, f->cell.data ? f->cell.data : "", f->cell.len, f->span ? f->span : 1);
  f->in_cell = false;
  if (table_full(&f->table)) write_table(f);
}

void flow_table_end(struct flow *f) {
  if (!f->table_depth) return;
  bool real = f->judged && !only_places(f);
  if (real && f->tables == 1 && !f->in_note) {
    flow_cell_end(f);
    write_table(f);
  }
  if (real) f->tables -= f->tables > 0;
  f->table_depth--;
  f->judged = true; /* the outer one has begun its rows */
}

/* ---- notes ---- */

void flow_note(struct flow *f) {
  char mark[24];
  struct flow_paragraph *p = top(f);
  if (f->in_note) return;
  int n = snprintf(mark, sizeof mark, "[^%u]", ++f->note_count);
  if (p) {
    bool bold = p->bold, code = p->code;
    p->bold = p->code = false;
    p->space = false;
    word(p, mark, (size_t)n);
    p->bold = bold;
    p->code = code;
  }
  f->in_note = true;
  buf_reset(&f->note);
}

void flow_note_end(struct flow *f) {
  if (!f->in_note) return;
  f->in_note = false;
  check(f, &f->note);
  if (f->notes.len) buf_addc(&f->notes, '\n');
  buf_addf(&f->notes, "[^%u]: ", f->note_count);
  buf_add(&f->notes, f->note.data ? f->note.data : "", f->note.len);
  check(f, &f->notes);
}

int flow_finish(struct flow *f) {
  while (f->depth) flow_close(f);
  if (f->tables) {
    f->tables = f->table_depth = 1;
    f->placing = 0;
    f->judged = true;
    flow_table_end(f);
  }
  end_code(f);
  out_block(f->out, 2, "");
  if (!f->rc && f->notes.len) out_verbatim(f->out, f->notes.data, f->notes.len);
  out_block(f->out, 0, "");
  if (!f->rc && f->out->began) out_raw(f->out, "\n", 1);
  return f->rc;
}

bool flow_is_monospace(const char *font) {
  static const char *const names[] = {"courier", "mono",   "consolas",  "menlo",
                                      "fixed",   "monaco", "typewriter"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcasestr(font, names[i])) return true;
  return false;
}

/* ---- numbers ---- */

static void roman(unsigned n, bool upper, char *out, size_t cap) {
  static const struct {
    unsigned value;
    const char *text;
  } parts[] = {{1000, "m"}, {900, "cm"}, {500, "d"}, {400, "cd"}, {100, "c"}, {90, "xc"}, {50, "l"},
               {40, "xl"},  {10, "x"},   {9, "ix"},  {5, "v"},    {4, "iv"},  {1, "i"}};
  size_t used = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    for (; n >= parts[i].value && used + 4 < cap; n -= parts[i].value)
      for (const char *p = parts[i].text; *p; p++) out[used++] = upper ? (char)(*p - 32) : *p;
  out[used] = 0;
}

void flow_label(enum flow_number kind, unsigned n, char *out, size_t cap) {
  char digits[16] = "";
  if (kind == NUMBER_ROMAN || kind == NUMBER_ROMAN_UPPER)
    roman(n > 0 && n < 400 ? n : 0, kind == NUMBER_ROMAN_UPPER, digits, sizeof digits);
  if ((kind == NUMBER_LOWER || kind == NUMBER_UPPER) && n > 0 && n <= 26)
    snprintf(digits, sizeof digits, "%c", (kind == NUMBER_UPPER ? 'A' : 'a') + (int)n - 1);
  if (kind == NUMBER_BULLET)
    out[0] = 0;
  else if (digits[0])
    snprintf(out, cap, "%s.", digits);
  else
    snprintf(out, cap, "%u.", n);
}

/* SPDX-License-Identifier: MIT */
/* Source code: chunks that begin where functions, classes and statements do.
 *
 * A language is described by its comments, its strings and whether braces or indentation show what
 * lies inside what; no grammar. The text is read once; for every line we know whether it begins inside
 * a comment, a string or parentheses, and how deep it lies:
 *
 *   def a():            depth 0  ─ a unit begins: after a blank line, a decorator, an end of something
 *       x = 1           depth 1
 *                                 strength = 4 · depth + 0  a unit begins
 *       if x:           depth 1                          + 1  behind a blank line
 *           f(x)        depth 2                          + 2  a line
 *
 *   # about b           the comment, the decorator, the attribute before a unit belong to it
 *   def b():            depth 0
 *
 * Depths from 9 on count as 9. Lines inside parentheses are weaker than all of these, lines inside comments
 * and strings weaker still, so those are cut only when they alone are longer than the size. Closing
 * lines (`}`, `end`, `)`) and `else` belong to what is before. Limits: here-documents, nested comments,
 * regular expressions of JavaScript and Perl are not known, so a quote in one may hide borders until
 * the line ends (a string of one line ends there at the latest).
 */
#include "base/utf8.h"
#include "text/chunk_parts.h"

#include <string.h>
#include <strings.h>

#define DEPTHS      10
#define INSIDE      (4 * DEPTHS)     /* parentheses */
#define INSIDE_TEXT (4 * DEPTHS + 1) /* comments, strings */

enum { BRACES, INDENT };

/* Marks are separated by blanks. block: openers and closers in turn. strings: of one line; long ones:
 * openers that may hold line feeds, closed by the same. raw: no backslash inside. */
struct language {
  const char *names, *line, *block, *strings, *long_strings;
  int shape;
};
static const struct language languages[] = {
    {"c cpp c++ objc objective-c cuda opencl glsl hlsl", "//", "/* */", "\" '", "", BRACES},
    {"java kotlin scala groovy", "//", "/* */", "\" '", "\"\"\"", BRACES},
    {"javascript js typescript ts jsx tsx vue svelte", "//", "/* */", "\" '", "`", BRACES},
    {"go", "//", "/* */", "\" '", "`", BRACES},
    {"rust", "//", "/* */", "", "\"", BRACES},
    {"csharp c# fsharp f# swift dart zig d solidity sol protobuf proto thrift verilog systemverilog",
     "//", "/* */", "\"", "\"\"\"", BRACES},
    {"php", "// #", "/* */", "", "\" '", BRACES},
    {"css scss less", "//", "/* */", "\" '", "", BRACES},
    {"json jsonc hcl terraform", "// #", "/* */", "\"", "", BRACES},
    {"r", "#", "", "", "\" '", BRACES},
    {"perl raku", "#", "\n= \n=cut", "", "\" '", BRACES},
    {"tcl awk", "#", "", "\"", "", BRACES},
    {"shell bash sh zsh fish powershell makefile dockerfile cmake", "#", "<# #>", "", "\" '",
     INDENT},
    {"python py cython starlark gdscript", "#", "", "\" '", "\"\"\" '''", INDENT},
    {"ruby crystal elixir", "#", "\n=begin \n=end", "\" '", "\"\"\"", INDENT},
    {"julia", "#", "#= =#", "\"", "\"\"\"", INDENT},
    {"nim", "#", "#[ ]#", "\"", "\"\"\"", INDENT},
    {"coffeescript yaml toml ini", "#", "", "\" '", "\"\"\" '''", INDENT},
    {"lua", "--", "--[[ ]] [[ ]]", "\" '", "", INDENT},
    {"haskell elm purescript", "--", "{- -}", "\"", "", INDENT},
    {"sql plsql", "--", "/* */", "", "' \"", INDENT},
    {"ada vhdl", "--", "", "\"", "", INDENT},
    {"ocaml sml", "", "(* *)", "\"", "", INDENT},
    {"pascal delphi", "//", "{ } (* *)", "'", "", INDENT},
    {"erlang prolog latex tex matlab octave", "%", "", "\"", "", INDENT},
    {"lisp scheme clojure elisp emacs-lisp racket common-lisp", ";", "#| |#", "", "\"", INDENT},
    {"fortran", "!", "", "\" '", "", INDENT},
    {"vb vb6 visualbasic basic vba", "'", "", "\"", "", INDENT},
    {"assembly asm", "; #", "/* */", "\"", "", INDENT},
    {"html xml svg xhtml", "", "<!-- -->", "", "", INDENT},
};
static const struct language unknown = {"", "", "", "", "", INDENT};

/* Whether one of the words of `list` is s[0, n), without case. */
static bool listed(const char *list, const char *s, size_t n) {
  while (*list) {
    size_t k = strcspn(list, " ");
    if (k == n && !strncasecmp(list, s, n)) return true;
    list += k + (list[k] == ' ');
  }
  return false;
}

static const struct language *find_language(const char *name) {
  for (size_t i = 0; name && i < sizeof languages / sizeof *languages; i++)
    if (listed(languages[i].names, name, strlen(name))) return &languages[i];
  return &unknown;
}

/* The mark of `list` that stands at s[0, n), the longest; its length, and its place in the list. */
static size_t mark_at(const char *list, const char *s, size_t n, size_t step, size_t *index) {
  size_t best = 0, i = 0;
  for (; *list; i++) {
    size_t k = strcspn(list, " ");
    if (i % step == 0 && k <= n && k > best && !memcmp(list, s, k)) best = k, *index = i;
    list += k + (list[k] == ' ');
  }
  return best;
}

static const char *mark_number(const char *list, size_t index, size_t *n) {
  while (index--) list += strcspn(list, " ") + 1;
  *n = strcspn(list, " ");
  return list;
}

/* ---- reading ---- */

struct reading {
  const char *s;
  size_t n;
  const struct language *l;
  unsigned char starts[256]; /* bytes at which something may begin */
  size_t braces, others;     /* how deep in { } and in ( ) [ ] */
  const char *closer;        /* inside a comment or a string: what ends it */
  size_t closer_size;
  bool one_line; /* it ends with the line at the latest */
  bool escapes;
  bool fresh; /* a comment begins with the line to come (=begin) */
};

static void note_starts(struct reading *r, const char *list) {
  for (bool begins = true; *list; begins = *list++ == ' ')
    if (begins && *list != ' ') r->starts[(unsigned char)*list] = 1;
}

static void reading_begin(struct reading *r, const char *s, size_t n, const struct language *l) {
  *r = (struct reading){.s = s, .n = n, .l = l};
  note_starts(r, l->line);
  note_starts(r, l->block);
  note_starts(r, l->strings);
  note_starts(r, l->long_strings);
  memset(r->starts + '(', 1, 2);
  r->starts['['] = r->starts[']'] = r->starts['{'] = r->starts['}'] = r->starts['\n'] = 1;
}

/* A quote in front of which a word ends is a string's; 'a (Rust, ML), don't are not. */
static bool quote_begins(const struct reading *r, size_t at) {
  if (r->s[at] != '\'' || at == 0) return true;
  unsigned char c = (unsigned char)r->s[at - 1];
  return !((c | 32) >= 'a' && (c | 32) <= 'z') && !(c >= '0' && c <= '9');
}

static void open_text(struct reading *r, const char *closer, size_t n, bool one_line,
                      bool escapes) {
  r->closer = closer, r->closer_size = n, r->one_line = one_line, r->escapes = escapes;
}

static void bracket(struct reading *r, char c) {
  if (c == '{') r->braces++;
  if (c == '}' && r->braces) r->braces--;
  if (c == '(' || c == '[') r->others++;
  if ((c == ')' || c == ']') && r->others) r->others--;
}

/* Outside text: what begins at `at`; how far to go on. */
static size_t outside(struct reading *r, size_t at) {
  const char *p = r->s + at;
  size_t left = r->n - at, index = 0, n, k;
  if ((k = mark_at(r->l->block, p, left, 2, &index))) {
    const char *closer = mark_number(r->l->block, index + 1, &n);
    open_text(r, closer, n, false, false);
    return k;
  }
  if (mark_at(r->l->line, p, left, 1, &index)) {
    const char *end = memchr(p, '\n', left);
    return end ? (size_t)(end - p) : left;
  }
  if ((k = mark_at(r->l->long_strings, p, left, 1, &index)) && quote_begins(r, at)) {
    const char *closer = mark_number(r->l->long_strings, index, &n);
    open_text(r, closer, n, false, *p != '`' && r->l->shape != INDENT);
    return k;
  }
  if ((k = mark_at(r->l->strings, p, left, 1, &index)) && quote_begins(r, at)) {
    const char *closer = mark_number(r->l->strings, index, &n);
    open_text(r, closer, n, true, true);
    return k;
  }
  bracket(r, *p);
  return 1;
}

/* Reads to the end of the line at `at`; returns where the next one begins. */
static size_t read_line(struct reading *r, size_t at) {
  r->fresh = false;
  while (at < r->n) {
    char c = r->s[at];
    if (c == '\n' && !(r->closer && r->closer[0] == '\n')) {
      if (r->closer && r->one_line) r->closer = NULL;
      if (!r->closer && r->l->block[0] == '\n') r->fresh = outside(r, at) > 1;
      return at + 1;
    }
    if (!r->closer) {
      at += r->starts[(unsigned char)c] ? outside(r, at) : 1;
    } else if (c == '\\' && r->escapes) {
      at += at + 1 < r->n && r->s[at + 1] != '\n' ? 2 : 1;
    } else if (r->n - at >= r->closer_size && !memcmp(r->s + at, r->closer, r->closer_size)) {
      at += r->closer_size;
      r->closer = NULL;
    } else if (c == '\n') {
      return at + 1;
    } else {
      at++;
    }
  }
  return r->n;
}

/* ---- lines ---- */

struct seen {
  size_t begin, end; /* without white space */
  size_t indent;
};

static struct seen look_at(const char *s, size_t from, size_t to) {
  struct seen l = {from, to, 0};
  while (l.begin < to && (s[l.begin] == ' ' || s[l.begin] == '\t'))
    l.indent = s[l.begin++] == '\t' ? (l.indent / 8 + 1) * 8 : l.indent + 1;
  while (l.end > l.begin && (s[l.end - 1] == ' ' || s[l.end - 1] == '\t' || s[l.end - 1] == '\r' ||
                             s[l.end - 1] == '\n'))
    l.end--;
  return l;
}

/* Lines that end or continue something. */
static bool continues(const char *s, const struct seen *l) {
  static const char words[] =
      "end else elif elsif elseif except finally catch rescue ensure then do begin "
      "fi done esac until default of in";
  char c = s[l->begin];
  if (c == '}' || c == ')' || c == ']' || c == '{') return true;
  size_t k = l->begin;
  while (k < l->end && s[k] >= 'a' && s[k] <= 'z') k++;
  return listed(words, s + l->begin, k - l->begin);
}

/* Lines that belong to what follows: comments, decorators, attributes, template heads. */
static bool leads(const struct language *g, const char *s, const struct seen *l) {
  size_t index, left = l->end - l->begin;
  const char *p = s + l->begin;
  if (mark_at(g->line, p, left, 1, &index) || mark_at(g->block, p, left, 2, &index)) return true;
  if (*p == '@' || (left > 1 && p[0] == '#' && p[1] == '[') ||
      (left > 1 && p[0] == '*' && g->shape == BRACES))
    return true;
  return g->shape == BRACES && *p == '[' && p[left - 1] == ']';
}

/* Words that begin a unit without a blank line before it. */
static bool defines(const char *s, const struct seen *l) {
  static const char words[] =
      "def class function func fn struct enum interface trait impl module namespace package public private "
      "protected static abstract type data instance sub procedure local export async macro template union "
      "record defmodule defp defmacro object final override internal open pub extern program unit library "
      "contract service message create";
  size_t k = l->begin;
  while (k < l->end && s[k] >= 'a' && s[k] <= 'z') k++;
  if (k < l->end && s[k] != ' ' && s[k] != '(' && s[k] != '<') return false;
  return k > l->begin && listed(words, s + l->begin, k - l->begin);
}

/* How many of the indentations before this one are smaller: depth by indentation. */
struct levels {
  size_t indent[64];
  size_t n;
};

static size_t level_of(struct levels *v, size_t indent) {
  while (v->n && v->indent[v->n - 1] > indent) v->n--;
  if (!v->n || v->indent[v->n - 1] < indent) {
    if (v->n < sizeof v->indent / sizeof *v->indent) v->indent[v->n++] = indent;
  }
  return v->n - 1;
}

struct lines {
  struct chunk_job *j;
  struct reading r;
  struct levels levels;
  size_t count;
  size_t lead;   /* where the comment or decorator before began, or CHUNK_SPAN */
  int lead_rest; /* its 0 unit, 1 blank line, 2 line */
  size_t lead_depth;
  bool blank;  /* the line before was blank */
  bool closed; /* the line before was a closing one */
};

/* Depth: braces tell where a function begins that is not indented, indentation tells that what stands
 * in a namespace or in extern "C" is no deeper than outside. */
static size_t depth_of(struct lines *x, const struct seen *l) {
  size_t by_indent = level_of(&x->levels, l->indent);
  if (x->r.l->shape == INDENT) return by_indent;
  if (x->j->s[l->begin] == '#') return x->r.braces;
  return by_indent < x->r.braces ? by_indent : x->r.braces;
}

static int add_line(struct lines *x, size_t at, size_t depth, int rest) {
  if (depth >= DEPTHS) depth = DEPTHS - 1;
  return at ? chunk_border_add(x->j->w, &x->count, at, 4 * (int)depth + rest, x->j->err) : 0;
}

/* One line outside strings and comments that is not blank. */
static int one_line(struct lines *x, size_t at, const struct seen *l) {
  const char *s = x->j->s;
  bool leading = x->r.fresh || leads(x->r.l, s, l), ends = continues(s, l);
  size_t depth = depth_of(x, l);
  int rc = 0;
  bool unit = !ends && (x->blank || x->closed || defines(s, l));
  int rest = unit && (defines(s, l) || depth == 0 || x->closed) ? 0 : x->blank ? 1 : 2;
  bool led = x->lead != CHUNK_SPAN && !x->blank && x->lead_depth == depth;
  if (led) {
    struct chunk_border *b = x->j->w->borders;
    if (!leading && x->count && b[x->count - 1].at == x->lead && rest < x->lead_rest)
      b[x->count - 1].strength = b[x->count - 1].strength - x->lead_rest + rest;
    rc = leading ? 0 : add_line(x, at, DEPTHS - 1, 3); /* not between a unit and its comment */
  } else if (!ends) {
    rc = add_line(x, at, depth, rest);
  } else {
    rc = add_line(x, at, DEPTHS - 1, 3);
  }
  if (leading && !led) x->lead = at, x->lead_rest = rest, x->lead_depth = depth;
  if (!leading) x->lead = CHUNK_SPAN;
  x->closed =
      ends && (s[l->begin] == '}' ||
               !strncmp(s + l->begin, "end", l->end - l->begin < 3 ? l->end - l->begin : 3));
  return rc;
}

int chunk_code(struct chunk_job *j) {
  struct lines x = {.j = j, .lead = CHUNK_SPAN, .blank = true};
  int rc = 0;
  reading_begin(&x.r, j->s, j->n, find_language(j->o->language));
  for (size_t at = 0; at < j->n && !rc;) {
    bool text = x.r.closer && !x.r.fresh, inside = x.r.others > 0;
    const char *feed = memchr(j->s + at, '\n', j->n - at);
    struct seen l = look_at(j->s, at, feed ? (size_t)(feed - j->s) : j->n);
    bool blank = l.begin == l.end;
    if (text || inside) {
      if (at && !blank)
        rc = chunk_border_add(j->w, &x.count, at, text ? INSIDE_TEXT : INSIDE, j->err);
      if (!text) x.closed = false;
    } else if (!blank) {
      rc = one_line(&x, at, &l);
    }
    if (!text) x.blank = blank || (x.blank && inside);
    at = read_line(&x.r, at);
    if (!rc) rc = chunk_poll(j);
  }
  return rc ? rc : chunk_borders(j, x.count);
}

/* SPDX-License-Identifier: MIT */
/* Choosing the main text of a page; see html_plan.h.
 *
 * The walk keeps one small node for every element that can hold a part of a page (a box, a list, a
 * table, a cell), up to NODES_MAX, with the sums over all that is in it:
 *
 *   text   characters that are not white space      link   those of them inside <a>
 *
 * "Own words" are text − link. Navigation is mostly links, or is called navigation by its element,
 * its role or its class; a name alone is not believed of a box that holds a large part of the
 * page's own words. The core is the innermost box with CORE of the own words: what is linky outside
 * the core is left out, inside it (a bibliography, an index) it stays.
 *
 * Limits: a page with more than NODES_MAX boxes is taken whole.
 */
#include "extract/html_plan.h"

#include "base/mem.h"
#include "extract/html_walk.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NODES_MAX  ((size_t)1 << 20)
#define NONE       UINT32_MAX
#define CORE       0.7 /* share of the page's own words that the core holds */
#define MAIN_LEAST 0.3 /* … that <main> must hold to be believed */
#define NAME_MOST  0.4 /* … that something called navigation may hold */
#define KEEP_LEAST 0.4 /* … that must be left of a page */
#define LINKY      0.5 /* share of links from which on text is navigation */
#define CELL_LONG  300 /* characters: cells of tables that only place things are longer */

enum name { NO_NAME, MAYBE_CHROME, CHROME };

struct node {
  uint32_t number, parent;
  unsigned char kind;       /* enum element_kind */
  unsigned char name;       /* enum name: what its role and class say */
  bool main, in_main;       /* role="main" or <main>; inside <main> or <article> */
  bool heading, h1, nested; /* holds a heading; an h1; a table within a table */
  bool presentation, head;  /* a table that says so; with <th> */
  bool admonition;          /* a box for a note or a warning */
  bool drop;
  uint32_t items; /* of lists */
  uint32_t links, rows, columns, long_cells, row_cells;
  uint64_t text, link;
};

struct scan {
  struct node *nodes;
  size_t count, cap;
  uint32_t top; /* the innermost open node */
  unsigned in_link, in_title;
  uint64_t pre, pre_most, pre_start; /* characters in <pre>; in the longest one */
  unsigned in_pre;
  uint64_t seen; /* characters so far */
  bool full, failed;
  bool (*stop)(void *);
  void *arg;
};

/* ---- names ---- */

static bool among(const char *word, const char *const *list) {
  for (; *list; list++)
    if (!strcmp(word, *list)) return true;
  return false;
}

static enum name name_of_role(const char *role) {
  static const char *const chrome[] = {"navigation",  "banner",        "contentinfo", "search",
                                       "menu",        "menubar",       "toolbar",     "dialog",
                                       "alertdialog", "complementary", "tablist",     NULL};
  char word[32];
  while (html_word(&role, word, sizeof word))
    if (among(word, chrome)) return CHROME;
  return NO_NAME;
}

static enum name name_of_word(char *word) {
  static const char *const chrome[] = {"sphinxsidebar",
                                       "sphinxsidebarwrapper",
                                       "navheader",
                                       "navfooter",
                                       "navbar",
                                       "navigation",
                                       "navigation-bar",
                                       "breadcrumb",
                                       "breadcrumbs",
                                       "sidebar",
                                       "site-header",
                                       "site-footer",
                                       "page-footer",
                                       "global-header",
                                       "global-footer",
                                       "printfooter",
                                       "catlinks",
                                       "pagination",
                                       "advert",
                                       "advertisement",
                                       "ads",
                                       "social",
                                       "share",
                                       "sharing",
                                       "newsletter",
                                       "popup",
                                       "modal",
                                       "searchbox",
                                       "wy-nav-side",
                                       "wy-side-nav-search",
                                       "wy-breadcrumbs",
                                       "rst-versions",
                                       "rst-footer-buttons",
                                       "md-header",
                                       "md-footer",
                                       "md-sidebar",
                                       "theme-doc-sidebar-container",
                                       "cookie",
                                       "cookies",
                                       "gdpr",
                                       "consent",
                                       NULL};
  static const char *const maybe[] = {
      "nav",   "navi",     "navbar",      "navigation", "sidebar", "footer",     "menu",
      "toc",   "contents", "breadcrumb",  "banner",     "social",  "pagination", "related",
      "skip",  "cookie",   "consent",     "header",     "toolbar", "topbar",     "masthead",
      "links", "comments", "breadcrumbs", NULL};
  static const char *const not_so[] = {"has", "with", "no", "is", "without", NULL};
  enum name found = NO_NAME;
  char *rest = word, *part;
  size_t n = strlen(word);
  if (among(word, chrome)) return CHROME;
  if (n > 3 && n < 12 && !strcmp(word + n - 3, "nav")) return CHROME; /* docnav, left-nav … */
  if (!strncmp(word, "cookie", 6)) return CHROME;
  for (int i = 0; i < 4 && (part = strsep(&rest, "-_")); i++) {
    if (i == 0 && among(part, not_so)) return NO_NAME;
    if (among(part, maybe)) found = MAYBE_CHROME;
  }
  return found;
}

static bool is_admonition(const char **attributes) {
  static const char *const words[] = {"note",    "tip",    "warning",    "important",
                                      "caution", "notice", "admonition", "admonitionblock",
                                      NULL};
  const char *class = html_attribute(attributes, "class");
  char word[64];
  while (class && html_word(&class, word, sizeof word))
    if (among(word, words)) return true;
  return false;
}

static enum name name_of(const char **attributes) {
  enum name best = NO_NAME;
  const char *role = html_attribute(attributes, "role");
  const char *lists[] = {html_attribute(attributes, "class"), html_attribute(attributes, "id")};
  char word[64];
  if (role) best = name_of_role(role);
  for (int i = 0; i < 2; i++)
    for (const char *at = lists[i]; at && html_word(&at, word, sizeof word);) {
      enum name n = name_of_word(word);
      if (n > best) best = n;
    }
  return best;
}

/* ---- the walk ---- */

static bool is_box(enum element_kind k) {
  switch (k) {
  case BLOCK:
  case PARAGRAPH:
  case UL:
  case OL:
  case DL:
  case TABLE:
  case CELL:
  case NAV:
  case ASIDE:
  case PAGE_HEADER:
  case PAGE_FOOTER:
  case FORM:
  case MAIN:
  case ARTICLE:
  case BODY:
    return true;
  default:
    return false;
  }
}

static struct node *add_node(struct scan *s, enum element_kind kind, uint32_t number) {
  if (s->count >= NODES_MAX) {
    s->full = true;
    return NULL;
  }
  if (!s->nodes || s->count == s->cap) {
    size_t cap = s->cap ? s->cap * 2 : 256;
    struct node *p = mem_rearray(s->nodes, cap, sizeof *p);
    s->failed = s->failed || !p;
    if (!p) return NULL;
    s->nodes = p;
    s->cap = cap;
  }
  struct node *n = &s->nodes[s->count];
  *n = (struct node){.number = number, .parent = s->top, .kind = (unsigned char)kind};
  s->top = (uint32_t)s->count++;
  return n;
}

static struct node *enclosing(struct scan *s, enum element_kind kind) {
  for (uint32_t i = s->top; i != NONE; i = s->nodes[i].parent)
    if (s->nodes[i].kind == kind) return &s->nodes[i];
  return NULL;
}

static void note_table_part(struct scan *s, const struct element *e) {
  struct node *t = s->top == NONE ? NULL : enclosing(s, TABLE);
  if (!t) return;
  if (e->kind == TR) t->rows++, t->row_cells = 0;
  if (e->kind == CELL && ++t->row_cells > t->columns) t->columns = t->row_cells;
  if (e->kind == CELL && e->level) t->head = true;
  if (e->kind == TABLE) t->nested = true;
  if (e->kind == HEADING || e->kind == PRE) t->heading = true;
}

static bool scan_begin(void *arg, const struct element *e, const char **attributes,
                       uint32_t number) {
  struct scan *s = arg;
  if (s->full || s->failed) return true;
  if (e->kind == LINK) s->in_link++;
  if (e->kind == LINK && s->top != NONE) s->nodes[s->top].links++;
  if (e->kind == TITLE) s->in_title++;
  if (e->kind == LI && s->top != NONE) s->nodes[s->top].items++;
  if (e->kind == PRE && s->in_pre++ == 0) s->pre_start = s->seen;
  if (e->kind == TR || e->kind == CELL || e->kind == TABLE || e->kind == HEADING || e->kind == PRE)
    note_table_part(s, e);
  if (e->kind == HEADING && s->top != NONE) {
    s->nodes[s->top].heading = true;
    s->nodes[s->top].h1 = s->nodes[s->top].h1 || e->level == 1;
  }
  if (!is_box(e->kind)) return true;
  const struct node *up = s->top == NONE ? NULL : &s->nodes[s->top];
  bool in_main = up && (up->in_main || up->main || up->kind == ARTICLE);
  struct node *n = add_node(s, e->kind, number);
  if (!n) return true;
  const char *role = html_attribute(attributes, "role");
  n->in_main = in_main;
  n->main = e->kind == MAIN || (role && !strcasecmp(role, "main"));
  n->presentation = role && (!strcasecmp(role, "presentation") || !strcasecmp(role, "none"));
  n->admonition = (e->kind == BLOCK || e->kind == TABLE) && is_admonition(attributes);
  if (e->kind == TABLE && n->parent != NONE && s->nodes[n->parent].admonition) n->admonition = true;
  if (!n->main && e->kind != BODY && e->kind != ARTICLE && e->kind != PARAGRAPH)
    n->name = (unsigned char)name_of(attributes);
  return true;
}

static void close_node(struct scan *s) {
  struct node *n = &s->nodes[s->top];
  s->top = n->parent;
  if (s->top == NONE) return;
  struct node *up = &s->nodes[s->top];
  up->text += n->text, up->link += n->link, up->links += n->links, up->items += n->items;
  up->h1 = up->h1 || n->h1;
  up->heading = up->heading || n->heading;
  if (n->kind == CELL && n->text > CELL_LONG) {
    struct node *t = enclosing(s, TABLE);
    if (t) t->long_cells++;
  }
}

static void scan_end(void *arg, const struct element *e, uint32_t number) {
  struct scan *s = arg;
  if (s->full || s->failed) return;
  if (e->kind == LINK) s->in_link -= s->in_link > 0;
  if (e->kind == TITLE) s->in_title -= s->in_title > 0;
  if (e->kind == PRE && s->in_pre > 0 && --s->in_pre == 0) {
    uint64_t n = s->seen - s->pre_start;
    if (n > s->pre_most) s->pre_most = n;
  }
  if (s->top != NONE && s->nodes[s->top].number == number) close_node(s);
}

static void scan_text(void *arg, const char *text, size_t n) {
  struct scan *s = arg;
  uint64_t solid = 0;
  if (s->top == NONE || s->in_title || s->full) return;
  for (size_t i = 0; i < n; i++)
    solid += (unsigned char)text[i] > ' ' && ((unsigned char)text[i] & 0xC0) != 0x80;
  s->nodes[s->top].text += solid;
  if (s->in_link) s->nodes[s->top].link += solid;
  s->seen += solid;
}

static bool scan_stop(void *arg) {
  const struct scan *s = arg;
  return s->full || s->failed || s->stop(s->arg);
}

/* ---- the choice ---- */

static uint64_t own(const struct node *n) {
  return n->text - n->link;
}

static double linkiness(const struct node *n) {
  return n->text ? (double)n->link / (double)n->text : 0;
}

/* <main>, or the only <article>: the one with the most words of its own. */
static uint32_t find_main(const struct scan *s, uint64_t total) {
  uint32_t best = NONE, article = NONE, articles = 0;
  for (uint32_t i = 0; i < s->count; i++) {
    const struct node *n = &s->nodes[i];
    if (n->main && (best == NONE || own(n) > own(&s->nodes[best]))) best = i;
    if (n->kind == ARTICLE && !n->in_main) article = i, articles++;
  }
  if (best == NONE && articles == 1) best = article;
  if (best == NONE || (double)own(&s->nodes[best]) < MAIN_LEAST * (double)total) return NONE;
  return best;
}

static uint32_t find_core(const struct scan *s, uint64_t total) {
  uint32_t core = NONE;
  for (uint32_t i = 0; i < s->count; i++) /* outer ones come first */
    if (s->nodes[i].kind != PARAGRAPH && (double)own(&s->nodes[i]) >= CORE * (double)total)
      core = i;
  return core;
}

static bool is_inside(const struct scan *s, uint32_t i, uint32_t outer) {
  for (; i != NONE && i >= outer; i = s->nodes[i].parent)
    if (i == outer) return true;
  return false;
}

/* Many short items, a good part of them links: a menu, also where some of it is no link. */
static bool is_menu(const struct node *n) {
  return n->items >= 5 && own(n) < (uint64_t)n->items * 25 && linkiness(n) >= 0.3;
}

/* Does the node hold no more of the page's own words than navigation may? */
static bool is_small(const struct node *n, uint64_t total) {
  return (double)own(n) <= NAME_MOST * (double)total || is_menu(n);
}

static bool is_chrome(const struct scan *s, uint32_t i, uint32_t core, uint64_t total) {
  const struct node *n = &s->nodes[i];
  bool inside = core != NONE && is_inside(s, i, core), linky = linkiness(n) >= LINKY;
  if (n->main || n->kind == BODY || n->kind == ARTICLE) return false;
  if (n->kind == NAV) return is_small(n, total);
  if (core != NONE && is_inside(s, core, i)) return false; /* it holds the core */
  if (n->kind == PAGE_HEADER) return !n->in_main && !n->h1 && is_small(n, total);
  if (n->kind == PAGE_FOOTER) return !n->in_main && is_small(n, total);
  if (n->kind == ASIDE) return (linky || !n->in_main) && is_small(n, total) && n->name == NO_NAME;
  if (n->kind == FORM && !inside) return n->text < CELL_LONG && !n->heading;
  if (n->name == CHROME) return is_small(n, total);
  if (n->name == MAYBE_CHROME && linky) return n->links > 1;
  if (n->name == MAYBE_CHROME && !inside && !n->h1) return n->text < CELL_LONG;
  return !inside && linky && n->links >= 4 && !n->h1;
}

static int keep_number(uint32_t **list, size_t *count, uint32_t number, struct err *err) {
  if ((*count & (*count - 1)) == 0) { /* powers of two: full */
    size_t cap = *count ? *count * 2 : 1;
    uint32_t *p = mem_rearray(*list, cap, sizeof *p);
    if (!p) return err_nomem(err, cap * sizeof *p, "a page's parts");
    *list = p;
  }
  (*list)[(*count)++] = number;
  return 0;
}

/* Marks what is left out; returns how much text stays, and of it how many own words. */
static void mark(struct scan *s, uint32_t main, uint64_t total, uint64_t *kept, uint64_t *words,
                 uint64_t *menus) {
  uint32_t core = main != NONE ? main : find_core(s, total);
  uint64_t all = 0, dropped = 0, dropped_own = 0;
  for (uint32_t i = 0; i < s->count; i++) {
    struct node *n = &s->nodes[i];
    bool up = n->parent != NONE && s->nodes[n->parent].drop;
    if (n->parent == NONE) all += n->text;
    if (main != NONE && !is_inside(s, i, main)) continue;
    n->drop = up || is_chrome(s, i, core, total);
    if (n->drop && !up) dropped += n->text, dropped_own += own(n);
    if (n->drop && !up && is_menu(n)) *menus += own(n);
  }
  if (main != NONE) {
    *kept = s->nodes[main].text - dropped;
    *words = own(&s->nodes[main]) - dropped_own;
  } else {
    *kept = all - dropped;
    *words = total - dropped_own;
  }
}

static bool is_layout(const struct node *n) {
  if (n->presentation || n->nested || n->heading || n->admonition) return true;
  if (n->columns < 2 || (n->rows < 2 && !n->head)) return true;
  return n->long_cells > 0 && n->rows <= 3;
}

static int choose(struct scan *s, struct html_plan *p, bool whole, struct err *err) {
  uint64_t total = 0, all = 0, kept, words, menus = 0;
  int rc = 0;
  for (uint32_t i = 0; i < s->count; i++)
    if (s->nodes[i].parent == NONE) total += own(&s->nodes[i]), all += s->nodes[i].text;
  p->plain_pre = (double)s->pre_most > 0.6 * (double)all && s->pre_most > 300;
  for (uint32_t i = 0; !rc && i < s->count; i++)
    if (s->nodes[i].kind == TABLE && is_layout(&s->nodes[i]))
      rc = keep_number(&p->layout, &p->layout_count, s->nodes[i].number, err);
  if (rc || whole || s->full) return rc;
  uint32_t main = find_main(s, total);
  mark(s, main, total, &kept, &words, &menus);
  if ((double)words < KEEP_LEAST * (double)(total - menus) || (kept < 100 && kept * 5 < all))
    return 0;
  p->main = main == NONE ? 0 : s->nodes[main].number;
  p->dropped = all - kept;
  for (uint32_t i = 0; !rc && i < s->count; i++) {
    const struct node *n = &s->nodes[i];
    if (n->drop && !(n->parent != NONE && s->nodes[n->parent].drop))
      rc = keep_number(&p->left_out, &p->count, n->number, err);
  }
  return rc;
}

int html_plan_make(struct html_plan *p, const char *text, size_t n, bool whole,
                   bool (*stop)(void *), void *arg, struct err *err) {
  struct scan s = {.top = NONE, .stop = stop, .arg = arg};
  struct html_walker w = {&s, scan_begin, scan_end, scan_text, scan_stop};
  *p = (struct html_plan){0};
  int rc = html_walk(&w, text, n, err);
  if (!rc && s.failed) rc = err_nomem(err, s.count * sizeof *s.nodes, "a page's parts");
  if (!rc) rc = choose(&s, p, whole, err);
  mem_free(s.nodes);
  if (rc) html_plan_clear(p);
  return rc;
}

void html_plan_clear(struct html_plan *p) {
  mem_free(p->left_out);
  mem_free(p->layout);
  *p = (struct html_plan){0};
}

static bool is_next(const uint32_t *list, size_t count, size_t *next, uint32_t number) {
  while (*next < count && list[*next] < number) ++*next;
  return *next < count && list[*next] == number;
}

bool html_plan_leaves_out(struct html_plan *p, uint32_t number) {
  return is_next(p->left_out, p->count, &p->next, number);
}

bool html_plan_is_layout(struct html_plan *p, uint32_t table) {
  return is_next(p->layout, p->layout_count, &p->layout_next, table);
}

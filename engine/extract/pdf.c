/* SPDX-License-Identifier: MIT */
/* PDF to text, by poppler: what drawing lost (reading order, paragraphs, headings, tables, lists,
 * code) is found again from the places and fonts of the characters; pdf_page.h draws the way.
 *
 * Some of it needs more than one page: a running header is one because it repeats, a sentence goes
 * on overleaf, a heading is large beside the body's type. So a window of pages is held:
 *
 *        edges only          text not written yet
 *   ┌─┬─┬─┬─┬─┬─┬─┬─┐ ┌─┬───┬─┬─┬─┬─┬─┬─┬─┬─┬─┐
 *   │ │ │ │ │ │ │ │ │ │p│p+1│ │ │ │ │ │ │ │ │ │       BEHIND pages before, AHEAD after
 *   └─┴─┴─┴─┴─┴─┴─┴─┘ └─┴───┴─┴─┴─┴─┴─┴─┴─┴─┴─┘
 *
 * page p is written when p + 1 is laid out and all of the window is loaded; nothing is read twice,
 * and memory does not grow with the document. A window of more than GLYPHS_MAX characters is not
 * filled further.
 *
 * progress->page tells the server which page is at work; when that page uses too much CPU time this
 * process is killed and another one starts behind the last page that was written (progress->done),
 * with the killed page on its list of pages to leave out. While a page's text is sent, page is 0:
 * the server may not kill then, so that nothing is sent twice.
 * Without poppler this file only says which package is missing.
 */
#include "extract/worker.h"

#ifndef HAVE_POPPLER

uint32_t pdf_version(void) {
  return 0;
}

int pdf_read(struct job *job, struct err *err) {
  (void)job;
  return err_set(err, ERR_UNSUPPORTED,
                 "this lathe was built without PDF support: install libpoppler-glib-dev and run "
                 "make again");
}

#else

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "extract/pdf_page.h"

#include <poppler.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PAGES_MAX   100000
#define AHEAD       16
#define BEHIND      8
#define WINDOW      (BEHIND + AHEAD + 1)
#define GLYPHS_MAX  ((size_t)2 << 20) /* 64 MiB */
#define ENTRIES_MAX ((size_t)100000)  /* of the outline */
#define OUTLINE_MAX 32                /* depth */

uint32_t pdf_version(void) {
  return POPPLER_MAJOR_VERSION << 16 | POPPLER_MINOR_VERSION << 8 | POPPLER_MICRO_VERSION;
}

struct pdf {
  struct job *job;
  PopplerDocument *document;
  uint32_t pages;
  uint32_t loaded;              /* pages 1 … loaded are loaded, or left out */
  uint32_t laid;                /* … are laid out */
  struct pdf_page ring[WINDOW]; /* page n at n % WINDOW; number 0: free, or left out */
  struct pdf_style style;
  struct buf text;
  uint64_t characters, unknown; /* of them without a meaning: U+FFFD, private use */
  uint64_t left_out;            /* running headers and footers */
  bool has_text;
};

/* ---- the server's watch ---- */

static void at_work(struct pdf *d, uint32_t page) {
  atomic_store(&d->job->progress->page, page);
}

/* From here on the server may not kill us for that page; if it has decided to already, wait for
 * it. */
static void off_work(struct pdf *d, uint32_t page) {
  uint32_t expected = page;
  while (!atomic_compare_exchange_strong(&d->job->progress->page, &expected, 0)) {
    if (expected != PROGRESS_KILLED) break;
    pause();
    expected = page;
  }
}

static bool is_skipped(const struct job *job, uint32_t page) {
  for (uint32_t i = 0; i < job->skip_count; i++)
    if (job->skips[i] == page) return true;
  return false;
}

/* ---- a page in ---- */

static bool holds(const char *font, const char *const *words) {
  for (; font && *words; words++)
    if (strcasestr(font, *words)) return true;
  return false;
}

static bool is_bold(const char *font) {
  static const char *const words[] = {"bold",   "black", "heavy", "semib", "demi", "cmbx",
                                      "cmssbx", "sfbx",  "ecbx",  "-medi", NULL};
  return holds(font, words);
}

static bool is_mono(const char *font) {
  static const char *const words[] = {"mono",  "courier",      "consol", "menlo",    "monaco",
                                      "cmtt",  "sftt",         "ectt",   "typewri",  "txtt",
                                      "code",  "cmsltt",       "fixed",  "inconsol", "nimbusmon",
                                      "cmvtt", "lettergothic", NULL};
  return holds(font, words);
}

static void set_fonts(PopplerPage *source, struct pdf_page *p) {
  GList *list = poppler_page_get_text_attributes(source);
  for (GList *l = list; l; l = l->next) {
    const PopplerTextAttributes *a = l->data;
    bool bold = is_bold(a->font_name), mono = is_mono(a->font_name);
    for (gint i = a->start_index; i <= a->end_index && i >= 0 && (size_t)i < p->count; i++) {
      p->glyphs[i].bold = bold;
      p->glyphs[i].mono = mono;
      p->glyphs[i].size = (float)a->font_size;
    }
  }
  poppler_page_free_text_attributes(list);
}

/* Control characters have no place in text; U+FFFD would only make noise of them. */
static uint32_t plain_character(uint32_t c) {
  if (c == '\n') return c;
  if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return ' ';
  return c;
}

static void set_box(struct pdf_glyph *g, const PopplerRectangle *r) {
  g->x1 = (float)r->x1, g->y1 = (float)r->y1;
  g->x2 = (float)r->x2, g->y2 = (float)r->y2;
  if (!(g->x1 > -1e6f && g->x2 < 1e6f && g->y1 > -1e6f && g->y2 < 1e6f)) /* also NaN */
    g->x1 = g->x2 = g->y1 = g->y2 = 0;
}

static int load_glyphs(PopplerPage *source, struct pdf *d, struct pdf_page *p, struct err *err) {
  PopplerRectangle *boxes = NULL;
  guint n = 0;
  int rc = 0;
  char *text = poppler_page_get_text(source);
  size_t bytes = text ? strlen(text) : 0, used;
  poppler_page_get_text_layout(source, &boxes, &n);
  p->glyphs = mem_zeros(bytes + 1, sizeof *p->glyphs);
  if (!p->glyphs) rc = err_nomem(err, bytes * sizeof *p->glyphs, "a page");
  for (size_t i = 0; !rc && i < bytes; i += used) {
    uint32_t c = utf8_decode(text + i, bytes - i, &used);
    struct pdf_glyph *g = &p->glyphs[p->count];
    g->c = c == UTF8_BAD ? 0xFFFD : plain_character(c);
    if (p->count < n) set_box(g, &boxes[p->count]);
    d->characters++;
    d->unknown += g->c == 0xFFFD || (g->c >= 0xE000 && g->c < 0xF000);
    p->count++;
  }
  if (!rc) set_fonts(source, p);
  g_free(boxes);
  g_free(text);
  return rc;
}

static struct pdf_page *slot(struct pdf *d, uint32_t page) {
  return &d->ring[page % WINDOW];
}

static int load_page(struct pdf *d, uint32_t number, struct err *err) {
  struct pdf_page *p = slot(d, number);
  double width = 0, height = 0;
  pdf_page_clear(p);
  if (is_skipped(d->job, number)) return 0;
  at_work(d, number);
  PopplerPage *source = poppler_document_get_page(d->document, (int)number - 1);
  p->number = number;
  int rc = 0;
  if (source) { /* else a damaged page: it has no text */
    poppler_page_get_size(source, &width, &height);
    p->width = (float)width;
    p->height = (float)height;
    rc = load_glyphs(source, d, p, err);
    g_object_unref(source);
  }
  if (!rc) rc = pdf_pieces(p, &d->style, err);
  if (!rc) pdf_edges(p);
  off_work(d, number);
  return rc;
}

static size_t glyphs_held(struct pdf *d, uint32_t from) {
  size_t n = 0;
  for (uint32_t i = from; i <= d->loaded; i++) n += slot(d, i)->count;
  return n;
}

/* Loads pages until the window behind `page` is full. */
static int fill_window(struct pdf *d, uint32_t page, struct err *err) {
  int rc = 0;
  while (!rc && d->loaded < d->pages && d->loaded < page + AHEAD && !d->job->out.gone) {
    if (d->loaded > page && glyphs_held(d, page) > GLYPHS_MAX) break;
    rc = load_page(d, ++d->loaded, err);
  }
  pdf_settle(&d->style);
  return rc;
}

/* ---- a page out ---- */

static int lay_out(struct pdf *d, uint32_t number, struct err *err) {
  struct pdf_page *p = slot(d, number), *window[WINDOW];
  size_t n = 0, at = 0;
  if (d->laid >= number) return 0;
  d->laid = number;
  if (p->number != number) return 0;
  uint32_t from = number > BEHIND ? number - BEHIND : 1;
  for (uint32_t i = from; i <= d->loaded && n < WINDOW; i++) {
    if (i == number) at = n;
    if (slot(d, i)->number == i) window[n++] = slot(d, i);
  }
  at_work(d, number);
  pdf_drop_running(window, n, at, &d->style);
  d->left_out += p->left_out;
  int rc = pdf_layout(p, &d->style, err);
  off_work(d, number);
  return rc;
}

/* Keeps of a written page only what later ones are compared with. */
static void keep_edges(struct pdf_page *p) {
  mem_free(p->glyphs);
  mem_free(p->pieces);
  mem_free(p->blocks);
  buf_clear(&p->text);
  p->glyphs = NULL;
  p->pieces = NULL;
  p->blocks = NULL;
  p->count = p->piece_count = p->block_count = p->block_cap = 0;
}

static int give_page(struct pdf *d, uint32_t number, struct err *err) {
  struct job *job = d->job;
  struct pdf_page *p = slot(d, number), *next = NULL;
  int rc = fill_window(d, number + 1 < d->pages ? number + 1 : number, err);
  if (!rc) rc = lay_out(d, number, err);
  if (!rc && number < d->pages) rc = lay_out(d, number + 1, err);
  if (rc) return rc;
  if (number < d->pages && slot(d, number + 1)->number == number + 1) next = slot(d, number + 1);
  if (p->number != number) return 0; /* left out: the server has said so */
  buf_reset(&d->text);
  if (next) pdf_link(p, next);
  rc = pdf_write(p, next, &d->style, &d->text, err);
  if (rc) return rc;
  d->has_text = d->has_text || p->block_count > 0;
  out_page(&job->out, number);
  if (p->block_count) out_raw(&job->out, d->text.data, d->text.len);
  out_flush(&job->out);
  atomic_store(&job->progress->done, number);
  keep_edges(p);
  return 0;
}

/* ---- the document ---- */

static int open_document(struct job *job, PopplerDocument **out, struct err *err) {
  GError *why = NULL;
  int fd = dup(job->fd), rc = 0; /* poppler closes it */
  *out = NULL;
  if (fd < 0) return err_errno(err, "cannot read");
  *out = poppler_document_new_from_fd(fd, NULL, &why);
  if (*out) return 0;
  if (g_error_matches(why, POPPLER_ERROR, POPPLER_ERROR_ENCRYPTED))
    rc = err_set(err, ERR_FORMAT, "unreadable PDF: it is encrypted; save it without a password");
  else
    rc = err_set(err, ERR_FORMAT, "unreadable PDF: %s",
                 why && why->message ? why->message : "it is damaged");
  g_clear_error(&why);
  return rc;
}

/* Titles that programs put in by themselves. */
static bool is_no_title(const char *title) {
  static const char *const ends[] = {".doc",  ".docx", ".dvi", ".tex",
                                     ".indd", ".qxd",  ".rtf", ".odt"};
  size_t n = strlen(title);
  if (!n || !strcasecmp(title, "untitled") || !strcasecmp(title, "(anonymous)") ||
      !strncasecmp(title, "Microsoft Word - ", 17))
    return true;
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    if (n > strlen(ends[i]) && !strcasecmp(title + n - strlen(ends[i]), ends[i])) return true;
  return false;
}

static void give_title(struct pdf *d) {
  char *title = poppler_document_get_title(d->document);
  if (title && !is_no_title(title)) out_meta(&d->job->out, "title", title, strlen(title));
  g_free(title);
  char *author = poppler_document_get_author(d->document);
  if (author && *author && strcasecmp(author, "(anonymous)") != 0)
    out_meta(&d->job->out, "author", author, strlen(author));
  g_free(author);
}

static uint32_t page_of(struct pdf *d, const PopplerDest *dest) {
  uint32_t page = 0;
  if (!dest) return 0;
  if (dest->type == POPPLER_DEST_NAMED && dest->named_dest) {
    PopplerDest *found = poppler_document_find_dest(d->document, dest->named_dest);
    if (found)
      page = (uint32_t)(found->page_num > 0 ? found->page_num : 0), poppler_dest_free(found);
    return page;
  }
  return (uint32_t)(dest->page_num > 0 ? dest->page_num : 0);
}

static bool add_entry(struct pdf *d, const PopplerAction *action, int depth) {
  struct pdf_style *s = &d->style;
  if (action->type != POPPLER_ACTION_GOTO_DEST || !action->any.title) return true;
  uint32_t page = page_of(d, action->goto_dest.dest);
  if (!page || s->entry_count >= ENTRIES_MAX) return s->entry_count < ENTRIES_MAX;
  if ((s->entry_count & (s->entry_count - 1)) == 0) {
    size_t cap = s->entry_count ? s->entry_count * 2 : 1;
    struct pdf_entry *e = mem_rearray(s->entries, cap, sizeof *e);
    if (!e) return false;
    s->entries = e;
  }
  const char *title = action->any.title;
  s->entries[s->entry_count++] =
      (struct pdf_entry){page, depth, pdf_title_hash(title, strlen(title))};
  return true;
}

/* The outline names headings and says how deep they are. A damaged one may be endless: it is
 * bounded in entries and depth. */
static bool read_outline(struct pdf *d, PopplerIndexIter *iter, int depth) {
  bool more = iter != NULL && depth <= OUTLINE_MAX;
  while (more) {
    PopplerAction *action = poppler_index_iter_get_action(iter);
    if (action) {
      more = add_entry(d, action, depth);
      poppler_action_free(action);
    }
    PopplerIndexIter *child = more ? poppler_index_iter_get_child(iter) : NULL;
    if (child) {
      more = read_outline(d, child, depth + 1);
      poppler_index_iter_free(child);
    }
    more = more && poppler_index_iter_next(iter);
    if (!more) break;
  }
  return d->style.entry_count < ENTRIES_MAX;
}

static int by_page(const void *a, const void *b) {
  const struct pdf_entry *x = a, *y = b;
  return (x->page > y->page) - (x->page < y->page);
}

static void load_outline(struct pdf *d) {
  PopplerIndexIter *iter = poppler_index_iter_new(d->document);
  if (!iter) return;
  read_outline(d, iter, 1);
  poppler_index_iter_free(iter);
  if (d->style.entries)
    qsort(d->style.entries, d->style.entry_count, sizeof *d->style.entries, by_page);
}

static void give_notes(struct pdf *d) {
  if (d->left_out)
    out_note(&d->job->out, "running headers, footers and page numbers left out: %llu lines",
             (unsigned long long)d->left_out);
  if (d->unknown * 50 > d->characters)
    out_note(&d->job->out,
             "%llu of %llu characters have no meaning: a font does not say what it draws",
             (unsigned long long)d->unknown, (unsigned long long)d->characters);
}

static int read_pages(struct pdf *d, struct err *err) {
  struct job *job = d->job;
  int rc = 0;
  d->loaded = d->laid = job->first_page - 1;
  for (uint32_t i = job->first_page; !rc && i <= d->pages && !job->out.gone; i++)
    rc = give_page(d, i, err);
  if (!rc) give_notes(d);
  if (!rc && !d->has_text && job->first_page <= 1 && !job->skip_count)
    rc = err_set(err, ERR_FORMAT,
                 "unreadable PDF: no text on its %u page%s (scanned images need "
                 "OCR first)",
                 d->pages, d->pages == 1 ? "" : "s");
  return rc;
}

int pdf_read(struct job *job, struct err *err) {
  struct pdf *d = mem_zero(sizeof *d);
  if (!d) return err_nomem(err, sizeof *d, "a PDF");
  d->job = job;
  buf_init(&d->text);
  int rc = open_document(job, &d->document, err);
  int n = rc ? 0 : poppler_document_get_n_pages(d->document);
  if (!rc && n > PAGES_MAX)
    rc = err_set(err, ERR_LIMIT, "limit: %d pages, more than %d", n, PAGES_MAX);
  if (!rc && n <= 0) rc = err_set(err, ERR_FORMAT, "unreadable PDF: it has no pages");
  if (!rc) {
    d->pages = job->last_page && job->last_page < (uint32_t)n ? job->last_page : (uint32_t)n;
    atomic_store(&job->progress->pages, (uint32_t)n);
    if (job->first_page <= 1) give_title(d);
    load_outline(d);
    rc = read_pages(d, err);
  }
  for (size_t i = 0; i < WINDOW; i++) pdf_page_clear(&d->ring[i]);
  pdf_style_clear(&d->style);
  buf_clear(&d->text);
  if (d->document) g_object_unref(d->document);
  mem_free(d);
  return rc;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Plain text and Markdown: decoded to UTF-8 in blocks, so that memory does not grow with the file.
 *
 *   first 4 MiB ─► encoding detector ─► encoding     whole file ─► decoder ─► frames
 *
 * The text is otherwise left as it is, line ends included: offsets in it are offsets in the file
 * when that is UTF-8 without a mark. Markdown stays Markdown; a front matter block ("---" lines
 * around "key: value" lines at the very start) is taken off, its title kept; without one the first
 * "# " heading of the first block is the title.
 */
#include "base/mem.h"
#include "base/utf8.h"
#include "extract/worker.h"
#include "text/encoding.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>

#define BLOCK  ((size_t)256 << 10)
#define DETECT ((size_t)4 << 20) /* bytes looked at to find the encoding */
#define DROP   ((uint64_t)8 << 20)

static int detect(struct job *job, char *block, struct encoding *out, struct err *err) {
  struct encoding_detector *d = NULL;
  int rc = encoding_detector_new(&d, err);
  for (uint64_t at = 0; !rc && at < DETECT; at += BLOCK) {
    long long n = job_read(job, at, block, BLOCK, err);
    if (n < 0) rc = ERR_IO;
    if (n <= 0) break;
    rc = encoding_detector_feed(d, block, (size_t)n, err);
  }
  if (!rc) rc = encoding_detector_finish(d, out, err);
  encoding_detector_free(d);
  return rc;
}

/* ---- Markdown's head ---- */

struct line {
  const char *s;
  size_t n, next; /* without its end; offset of the next line */
};

static bool line_at(const char *s, size_t n, size_t at, struct line *out) {
  if (at >= n) return false;
  const char *end = memchr(s + at, '\n', n - at);
  size_t stop = end ? (size_t)(end - s) : n;
  out->s = s + at;
  out->next = end ? stop + 1 : n;
  out->n = stop - at;
  while (out->n > 0 && (unsigned char)out->s[out->n - 1] <= ' ') out->n--;
  return true;
}

static void trim(const char **s, size_t *n) {
  while (*n > 0 && (unsigned char)**s <= ' ') ++*s, --*n;
  while (*n > 0 && (unsigned char)(*s)[*n - 1] <= ' ') --*n;
}

static void title_of(struct job *job, const char *s, size_t n) {
  trim(&s, &n);
  if (n >= 2 && (*s == '"' || *s == '\'') && s[n - 1] == *s) s++, n -= 2;
  out_meta(&job->out, "title", s, n);
}

/* Bytes of the front matter at the start of s, 0 when there is none. */
static size_t front_matter(struct job *job, const char *s, size_t n, bool *titled) {
  struct line l;
  const char *title = NULL;
  size_t title_n = 0, at, after = 0;
  if (!line_at(s, n, 0, &l) || l.n != 3 || memcmp(l.s, "---", 3)) return 0;
  for (at = l.next; !after && line_at(s, n, at, &l); at = l.next) {
    if (l.n == 3 && (!memcmp(l.s, "---", 3) || !memcmp(l.s, "...", 3))) after = l.next;
    if (l.n > 6 && !strncasecmp(l.s, "title:", 6)) title = l.s + 6, title_n = l.n - 6;
  }
  if (!after) return 0; /* a horizontal rule */
  if (title) title_of(job, title, title_n);
  *titled = title != NULL;
  while (line_at(s, n, after, &l) && l.n == 0) after = l.next;
  return after;
}

static void heading_title(struct job *job, const char *s, size_t n) {
  struct line l;
  for (size_t at = 0; line_at(s, n, at, &l); at = l.next)
    if (l.n > 2 && l.s[0] == '#' && (l.s[1] == ' ' || l.s[1] == '\t')) {
      title_of(job, l.s + 2, l.n - 2);
      return;
    }
}

/* ---- the whole ---- */

struct reading {
  struct encoding_decoder *decoder;
  struct buf text;
  char *block;
};

static void give(struct job *job, struct buf *text, bool markdown) {
  size_t skip = 0;
  bool titled = false;
  if (markdown) {
    skip = front_matter(job, text->data, text->len, &titled);
    if (!titled) heading_title(job, text->data + skip, text->len - skip);
  }
  out_raw(&job->out, text->data + skip, text->len - skip);
  buf_reset(text);
}

static int stream(struct job *job, struct reading *r, bool markdown, struct err *err) {
  uint64_t at = 0, dropped = 0;
  bool head = markdown, final = false;
  int rc = 0;
  while (!rc && !final && !job->out.gone) {
    long long n = job_read(job, at, r->block, BLOCK, err);
    if (n < 0) return ERR_IO;
    at += (uint64_t)n;
    final = (size_t)n < BLOCK;
    rc = encoding_decoder_feed(r->decoder, r->block, (size_t)n, final, &r->text, err);
    if (!rc) rc = buf_check(&r->text, "decoded text", err);
    if (rc || r->text.len == 0) continue;
    give(job, &r->text, head);
    head = false;
    if (at - dropped >= DROP) {
      posix_fadvise(job->fd, (off_t)dropped, (off_t)(at - dropped), POSIX_FADV_DONTNEED);
      dropped = at;
    }
  }
  return rc;
}

int text_read(struct job *job, bool markdown, struct err *err) {
  struct encoding e;
  struct reading r = {0};
  buf_init(&r.text);
  r.block = mem_alloc(BLOCK);
  int rc = r.block ? detect(job, r.block, &e, err) : err_nomem(err, BLOCK, "a block");
  if (rc) goto done;
  out_meta(&job->out, "encoding", e.name, strlen(e.name));
  rc = encoding_decoder_new(&r.decoder, e.name, err);
  if (!rc) rc = stream(job, &r, markdown, err);
  if (!rc && encoding_decoder_replaced(r.decoder) > 0)
    out_note(&job->out, "%zu malformed %s sequences replaced by U+FFFD",
             encoding_decoder_replaced(r.decoder), e.name);
done:
  encoding_decoder_free(r.decoder);
  buf_clear(&r.text);
  mem_free(r.block);
  return rc;
}

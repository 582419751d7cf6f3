/* SPDX-License-Identifier: MIT */
/* Plain text and Markdown: decoded to UTF-8 in blocks, so that memory does not grow with the file.
 *
 *   first 4 MiB ─► encoding detector ─► encoding     whole file ─► decoder ─► frames
 *
 * The text is otherwise left as it is, line ends included: offsets in it are offsets in the file
 * when that is UTF-8 without a mark. Markdown stays Markdown; a front matter block (YAML between
 * "---" lines or TOML between "+++" lines at the very start) is taken off, its title, author and
 * language are kept; without a title there, the first heading of the first block is the title. What
 * stands between two rules but is no list of keys is text.
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

static void unquote(const char **s, size_t *n) {
  trim(s, n);
  if (*n >= 2 && (**s == '"' || **s == '\'') && (*s)[*n - 1] == **s) ++*s, *n -= 2;
}

static void give_meta(struct job *job, const char *key, const char *s, size_t n) {
  unquote(&s, &n);
  if (n > 0 && *s != '[' && *s != '{' && *s != '|' && *s != '>') out_meta(&job->out, key, s, n);
}

static bool is_letter(char c) {
  return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* "key: value" (mark ':') or "key = value": length of the key, 0 for another line. */
static size_t key_of(const struct line *l, char mark) {
  size_t n = 0;
  while (n < l->n && (l->s[n] == '_' || l->s[n] == '-' || l->s[n] == '.' || is_letter(l->s[n]) ||
                      (n && l->s[n] == ' ') || (l->s[n] >= '0' && l->s[n] <= '9') ||
                      (unsigned char)l->s[n] >= 0x80))
    n++;
  if (n == 0 || n == l->n || l->s[n] != mark) return 0;
  if (mark == ':' && n + 1 < l->n && l->s[n + 1] != ' ' && l->s[n + 1] != '\t') return 0;
  return n;
}

/* A line that may stand in a front matter beside those with a key. */
static bool goes_with_keys(const struct line *l) {
  return l->n == 0 || l->s[0] == ' ' || l->s[0] == '\t' || l->s[0] == '#' || l->s[0] == '-' ||
         l->s[0] == '[' || l->s[0] == ']' || l->s[0] == '}';
}

static bool is_fence(const struct line *l, char mark) {
  return l->n == 3 && l->s[0] == mark && l->s[1] == mark && l->s[2] == mark;
}

struct front {
  const char *value[3];
  size_t n[3];
};

static const char *const front_keys[3][3] = {
    {"title", NULL, NULL}, {"author", "authors", NULL}, {"language", "lang", "locale"}};

static void note_key(struct front *f, const struct line *l, size_t key) {
  const char *s = l->s;
  size_t n = key;
  trim(&s, &n);
  for (int k = 0; k < 3; k++)
    for (int i = 0; i < 3 && front_keys[k][i]; i++)
      if (!f->value[k] && strlen(front_keys[k][i]) == n && !strncasecmp(s, front_keys[k][i], n))
        f->value[k] = l->s + key + 1, f->n[k] = l->n - key - 1;
}

/* Bytes of the front matter at the start of s, 0 when there is none. */
static size_t front_matter(struct job *job, const char *s, size_t n, bool *titled) {
  struct line l;
  struct front f = {0};
  size_t at, after = 0, keys = 0;
  if (!line_at(s, n, 0, &l) || (!is_fence(&l, '-') && !is_fence(&l, '+'))) return 0;
  char mark = l.s[0];
  for (at = l.next; !after && line_at(s, n, at, &l); at = l.next) {
    size_t key = key_of(&l, mark == '-' ? ':' : '=');
    if (is_fence(&l, mark) || (mark == '-' && is_fence(&l, '.')))
      after = l.next;
    else if (key)
      keys++, note_key(&f, &l, key);
    else if (!goes_with_keys(&l) || (keys == 0 && l.n > 0 && l.s[0] != '#'))
      return 0; /* text between two rules */
  }
  if (!after || keys == 0) return 0;
  for (int k = 0; k < 3; k++)
    if (f.value[k]) give_meta(job, front_keys[k][0], f.value[k], f.n[k]);
  *titled = f.value[0] != NULL;
  while (line_at(s, n, after, &l) && l.n == 0) after = l.next;
  return after;
}

/* Is the line all of one mark ("====")? */
static bool underlines(const struct line *l) {
  for (size_t i = 0; i < l->n; i++)
    if (l->s[i] != '=') return false;
  return l->n >= 3;
}

/* The first heading: "# Title", or a line underlined with "=", not within code. */
static void heading_title(struct job *job, const char *s, size_t n) {
  struct line l, above = {0};
  bool code = false;
  for (size_t at = 0; line_at(s, n, at, &l); at = l.next) {
    if (l.n >= 3 && (!memcmp(l.s, "```", 3) || !memcmp(l.s, "~~~", 3))) code = !code;
    if (!code && l.n > 2 && l.s[0] == '#' && (l.s[1] == ' ' || l.s[1] == '\t')) {
      size_t len = l.n - 2;
      while (len > 0 && (l.s[1 + len] == '#' || l.s[1 + len] == ' ')) len--;
      give_meta(job, "title", l.s + 2, len);
      return;
    }
    if (!code && underlines(&l) && above.n > 0) {
      give_meta(job, "title", above.s, above.n);
      return;
    }
    above = l;
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
  if (e.how == ENCODING_GUESS || e.how == ENCODING_FALLBACK)
    out_note(&job->out, "encoding %s: %s", e.name,
             e.how == ENCODING_GUESS ? "a guess from its letters" : "nothing better was found");
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

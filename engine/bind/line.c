/* SPDX-License-Identifier: MIT */
/* require "engine.line": one line typed at a terminal, with editing, history and completion
 * (libedit).
 *
 *   line:read("> ")                 text          Enter
 *                                   nil           Ctrl-D on an empty line
 *                                   nil, "interrupted", "cancelled"    Ctrl-C
 *   complete(text before the cursor) → what to insert or nil, what to list below the line or nil
 *
 * libedit keeps the terminal raw only while it reads, so a running evaluation sees Ctrl-C as the
 * signal that it is. While it reads, the signal must end the read: libedit gets its characters from
 * get_char below, which sleeps on the terminal and on the cancel flag's descriptor together.
 *
 * libedit decides by the locale what a character is. The program otherwise stays in the "C" locale
 * (numbers must not depend on it); while an editor is open, characters are UTF-8.
 */
#include "base/cancel.h"
#include "base/utf8.h"
#include "bind/bind.h"

#include <sys/ioctl.h>
#include <unistd.h>

#ifdef HAVE_LIBEDIT

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define LINE_NAME    "lathe.line"
#define HISTORY_SIZE 2000
#define COMPLETE     1 /* user value: the completion function */

struct line {
  EditLine *editor;
  History *history;
  lua_State *L; /* whoever is in read; callbacks run there */
  const char *prompt;
  bool broken; /* the last read was ended by Ctrl-C */
};

static struct line *of(EditLine *editor) {
  void *p = NULL;
  el_get(editor, EL_CLIENTDATA, &p);
  return p;
}

static char *prompt(EditLine *editor) {
  return (char *)(uintptr_t)of(editor)->prompt;
}

/* One byte, or −1 when the read is to end. */
static int get_byte(struct line *line) {
  struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                          {.fd = cancel_fd(), .events = POLLIN}};
  unsigned char c;
  for (;;) {
    if (cancel_requested()) return line->broken = true, -1;
    if (poll(fds, fds[1].fd >= 0 ? 2 : 1, -1) < 0 && errno != EINTR) return -1;
    if (!(fds[0].revents & (POLLIN | POLLHUP))) continue;
    ssize_t n = read(STDIN_FILENO, &c, 1);
    if (n == 1) return c;
    if (n == 0 || errno != EINTR) return -1;
  }
}

/* libedit's source of characters: 1, 0 at the end, −1 on failure. */
static int get_char(EditLine *editor, wchar_t *out) {
  struct line *line = of(editor);
  char bytes[4];
  size_t n = 0, used, want = 1;
  while (n < want) {
    int c = get_byte(line);
    if (c < 0) return line->broken ? -1 : 0;
    bytes[n++] = (char)c;
    if (n == 1) want = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
  }
  uint32_t c = utf8_decode(bytes, n, &used);
  *out = c == UTF8_BAD ? L'?' : (wchar_t)c;
  return 1;
}

/* Tab: asks Lua what to insert and what to show. */
static unsigned char complete(EditLine *editor, int key) {
  struct line *line = of(editor);
  lua_State *L = line->L;
  const LineInfo *info = el_line(editor);
  unsigned char result = CC_REFRESH_BEEP;
  (void)key;
  int top = lua_gettop(L);
  if (lua_getiuservalue(L, 1, COMPLETE) != LUA_TFUNCTION) {
    lua_settop(L, top);
    return CC_REFRESH_BEEP;
  }
  lua_pushlstring(L, info->buffer, (size_t)(info->cursor - info->buffer));
  if (lua_pcall(L, 1, 2, 0) == LUA_OK) {
    if (lua_isstring(L, -1)) {
      printf("\n%s\n", lua_tostring(L, -1));
      fflush(stdout);
      result = CC_REDISPLAY;
    }
    if (lua_isstring(L, -2) && lua_rawlen(L, -2) > 0)
      if (el_insertstr(editor, lua_tostring(L, -2)) == 0 && result != CC_REDISPLAY)
        result = CC_REFRESH;
  }
  lua_settop(L, top);
  return result;
}

static void close_line(struct line *line) {
  if (line->editor) el_end(line->editor), setlocale(LC_CTYPE, "C");
  if (line->history) history_end(line->history);
  line->editor = NULL;
  line->history = NULL;
}

static int line_gc(lua_State *L) {
  close_line(luaL_checkudata(L, 1, LINE_NAME));
  return 0;
}

static struct line *check(lua_State *L) {
  struct line *line = luaL_checkudata(L, 1, LINE_NAME);
  if (!line->editor) luaL_error(L, "this line editor is closed");
  return line;
}

static int open_editor(struct line *line) {
  HistEvent event;
  setlocale(LC_CTYPE, "C.UTF-8");
  line->editor = el_init("lathe", stdin, stdout, stderr);
  line->history = history_init();
  if (!line->editor || !line->history) return -1;
  history(line->history, &event, H_SETSIZE, HISTORY_SIZE);
  history(line->history, &event, H_SETUNIQUE, 1);
  el_set(line->editor, EL_CLIENTDATA, line);
  el_set(line->editor, EL_PROMPT, prompt);
  el_set(line->editor, EL_EDITOR, "emacs");
  el_set(line->editor, EL_HIST, history, line->history);
  el_set(line->editor, EL_GETCFN, get_char);
  el_set(line->editor, EL_ADDFN, "lathe-complete", "complete a name", complete);
  el_set(line->editor, EL_BIND, "^I", "lathe-complete", NULL);
  el_set(line->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
  el_set(line->editor, EL_BIND, "\\e[3~", "ed-delete-next-char", NULL);
  el_set(line->editor, EL_BIND, "\\e[H", "ed-move-to-beg", NULL);
  el_set(line->editor, EL_BIND, "\\e[F", "ed-move-to-end", NULL);
  el_set(line->editor, EL_BIND, "\\e[1;5C", "em-next-word", NULL);
  el_set(line->editor, EL_BIND, "\\e[1;5D", "ed-prev-word", NULL);
  el_source(line->editor, NULL); /* the user's own ~/.editrc */
  return 0;
}

/*** Opens a line editor on the terminal.
-- @function engine.line.open
-- @param complete function: optional; gets the text before the cursor, gives what to insert (or
--   nil) and what to show below the line (or nil)
-- @return line: line:read(prompt) gives the text, nil at Ctrl-D, or nil, message, "cancelled" at
--   Ctrl-C; line:add(text) puts it into the history; line:close()
-- @error unsupported (no terminal, or built without libedit) */
static int l_open(lua_State *L) {
  struct err err;
  lua_settop(L, 1);
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
    err_set(&err, ERR_UNSUPPORTED, "standard input and output are not a terminal");
    return bind_fail(L, &err);
  }
  struct line *line = bind_new(L, sizeof *line, LINE_NAME);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, COMPLETE);
  if (open_editor(line)) {
    close_line(line);
    err_set(&err, ERR_NOMEM, "the line editor cannot be opened");
    return bind_fail(L, &err);
  }
  return 1;
}

static int line_read(lua_State *L) {
  struct line *line = check(L);
  struct err err;
  int n = 0;
  line->prompt = luaL_optstring(L, 2, "> ");
  line->L = L;
  line->broken = false;
  el_resize(line->editor);
  const char *text = el_gets(line->editor, &n);
  if (line->broken) {
    el_reset(line->editor);
    printf("^C\n");
    err_set(&err, ERR_CANCELLED, "interrupted");
    return bind_fail(L, &err);
  }
  if (!text || n <= 0) return lua_pushnil(L), 1;
  size_t len = strlen(text);
  lua_pushlstring(L, text, len && text[len - 1] == '\n' ? len - 1 : len);
  return 1;
}

static int line_add(lua_State *L) {
  struct line *line = check(L);
  HistEvent event;
  history(line->history, &event, H_ENTER, luaL_checkstring(L, 2));
  return 0;
}

static int line_tostring(lua_State *L) {
  struct line *line = luaL_checkudata(L, 1, LINE_NAME);
  lua_pushstring(L, line->editor ? "line editor" : "line editor (closed)");
  return 1;
}

static void metatable(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"read", line_read}, {"add", line_add}, {"close", line_gc}, {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__gc", line_gc}, {"__close", line_gc}, {"__tostring", line_tostring}, {NULL, NULL}};
  bind_metatable(L, LINE_NAME, methods, meta);
}

#else

static int l_open(lua_State *L) {
  struct err err;
  err_set(&err, ERR_UNSUPPORTED,
          "built without libedit: no line editing, history or completion (package libedit-dev)");
  return bind_fail(L, &err);
}

static void metatable(lua_State *L) {
  (void)L;
}

#endif

/*** How many columns the terminal has.
-- @function engine.line.width
-- @return integer: 80 when standard output is no terminal */
static int l_width(lua_State *L) {
  struct winsize size;
  bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  lua_pushinteger(L, known ? size.ws_col : 80);
  return 1;
}

int luaopen_engine_line(lua_State *L);
int luaopen_engine_line(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", l_open}, {"width", l_width}, {NULL, NULL}};
  metatable(L);
  luaL_newlib(L, functions);
  return 1;
}

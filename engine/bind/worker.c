/* SPDX-License-Identifier: MIT */
/* require "engine.worker": threads with a Lua state each, fed with strings.
 *
 *   main state ──submit(id, bytes)──► [ jobs ] ──► thread: handler(bytes) ──► [ replies ]
 * ──wait()──► main
 *
 * Only bytes cross: each thread opens its own state, calls require(MODULE).open(setup) once, which
 * returns the handler, and then runs handler(payload) → reply for each job. What a handler raises
 * comes back as a failed reply; a state that could not be opened fails every job with the reason.
 *
 * Each state's allocator enforces the thread's share of memory: beyond it Lua raises "not enough
 * memory", which a handler may catch and turn into a rejected record.
 *
 * Threads block signals. close() lets jobs in hand end (they poll the cancel flag), drops queued
 * ones.
 */
#include "base/cancel.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "bind/bind.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WORKERS_NAME "lathe.workers"
#define STACK_BYTES                                                                                \
  ((size_t)4 << 20) /* deep C recursion (patterns, JSON) within Lua's own limits */

struct message {
  struct message *next;
  lua_Integer id;
  bool ok;
  size_t len;
  char bytes[];
};

struct queue {
  struct message *first, **last;
};

struct workers {
  bool open;
  pthread_mutex_t lock;
  pthread_cond_t more;
  struct queue jobs, replies;
  int replied_fd; /* eventfd: counts replies not yet taken */
  bool stop;
  unsigned threads, started;
  pthread_t *ids;
  char *root, *module, *setup;
  size_t setup_len, memory; /* bytes a state may hold; 0: no limit */
};

static struct message *message_new(lua_Integer id, bool ok, const char *bytes, size_t len) {
  struct message *m = mem_alloc(sizeof *m + len);
  if (!m) return NULL;
  *m = (struct message){.id = id, .ok = ok, .len = len};
  if (len) memcpy(m->bytes, bytes, len);
  return m;
}

static void queue_put(struct queue *q, struct message *m) {
  m->next = NULL;
  *q->last = m;
  q->last = &m->next;
}

static struct message *queue_take(struct queue *q) {
  struct message *m = q->first;
  if (!m) return NULL;
  q->first = m->next;
  if (!q->first) q->last = &q->first;
  return m;
}

static void queue_drop(struct queue *q) {
  for (struct message *m; (m = queue_take(q));) mem_free(m);
}

static void reply(struct workers *w, struct message *m) {
  uint64_t one = 1;
  pthread_mutex_lock(&w->lock);
  queue_put(&w->replies, m);
  pthread_mutex_unlock(&w->lock);
  while (write(w->replied_fd, &one, sizeof one) < 0 && errno == EINTR) continue;
}

/* Turns the job it was given into its reply; when even that has no memory, the job itself goes back
 * empty and failed, so that a reply always comes. */
static void answer(struct workers *w, struct message *job, bool ok, const char *bytes, size_t len) {
  struct message *m = message_new(job->id, ok, bytes, len);
  if (!m) {
    job->ok = false;
    job->len = 0;
    reply(w, job);
    return;
  }
  mem_free(job);
  reply(w, m);
}

static struct message *next_job(struct workers *w) {
  pthread_mutex_lock(&w->lock);
  while (!w->stop && !w->jobs.first) pthread_cond_wait(&w->more, &w->lock);
  struct message *m = w->stop ? NULL : queue_take(&w->jobs);
  pthread_mutex_unlock(&w->lock);
  return m;
}

/* Protected: leaves the handler on the stack. */
static int open_handler(lua_State *L) {
  const struct workers *w = lua_touserdata(L, 1);
  lua_getglobal(L, "require");
  lua_pushstring(L, w->module);
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "open");
  lua_pushlstring(L, w->setup, w->setup_len);
  lua_call(L, 1, 1);
  return 1;
}

/* Protected: handler, job → reply string. */
static int run_job(lua_State *L) {
  const struct message *job = lua_touserdata(L, 2);
  lua_pushvalue(L, 1);
  lua_pushlstring(L, job->bytes, job->len);
  lua_call(L, 1, 1);
  luaL_tolstring(L, -1, NULL);
  return 1;
}

static int with_trace(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

static void serve(struct workers *w, lua_State *L) {
  for (struct message *job; (job = next_job(w));) {
    size_t len = 0;
    lua_settop(L, 2); /* message handler, handler */
    lua_pushcfunction(L, run_job);
    lua_pushvalue(L, 2);
    lua_pushlightuserdata(L, job);
    bool ok = lua_pcall(L, 2, 1, 1) == LUA_OK;
    const char *bytes = lua_tolstring(L, -1, &len);
    answer(w, job, ok, bytes ? bytes : "", len);
  }
}

static void fail_all(struct workers *w, const char *why) {
  for (struct message *job; (job = next_job(w));) answer(w, job, false, why, strlen(why));
}

static void *worker_main(void *arg) {
  struct workers *w = arg;
  struct bind_share share = {0, w->memory};
  struct err err = {0};
  cancel_block_signals();
  lua_State *L = bind_state(&share);
  if (!L || bind_open(L, w->root, 1, true, &err)) {
    fail_all(w, L ? err.message : "out of memory for a worker's Lua state");
    if (L) lua_close(L);
    return NULL;
  }
  lua_pushcfunction(L, with_trace);
  lua_pushcfunction(L, open_handler);
  lua_pushlightuserdata(L, w);
  if (lua_pcall(L, 1, 1, 1) == LUA_OK)
    serve(w, L);
  else
    fail_all(w, lua_isstring(L, -1) ? lua_tostring(L, -1) : "a worker's Lua state failed");
  lua_close(L);
  return NULL;
}

/* ---- the main state's side ---- */

static void workers_close(struct workers *w) {
  if (!w->open) return;
  pthread_mutex_lock(&w->lock);
  w->stop = true;
  pthread_cond_broadcast(&w->more);
  pthread_mutex_unlock(&w->lock);
  for (unsigned i = 0; i < w->started; i++) pthread_join(w->ids[i], NULL);
  queue_drop(&w->jobs);
  queue_drop(&w->replies);
  if (w->replied_fd >= 0) close(w->replied_fd);
  pthread_cond_destroy(&w->more);
  pthread_mutex_destroy(&w->lock);
  mem_free(w->ids);
  mem_free(w->root);
  mem_free(w->module);
  mem_free(w->setup);
  w->open = false;
}

static struct workers *check(lua_State *L) {
  struct workers *w = luaL_checkudata(L, 1, WORKERS_NAME);
  if (!w->open) luaL_error(L, "these workers are closed");
  return w;
}

static int workers_gc(lua_State *L) {
  workers_close(luaL_checkudata(L, 1, WORKERS_NAME));
  return 0;
}

static int start(struct workers *w, const char *root, const char *module, const char *setup,
                 struct err *err) {
  pthread_attr_t attributes;
  w->jobs.last = &w->jobs.first;
  w->replies.last = &w->replies.first;
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->more, NULL);
  w->open = true;
  w->replied_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
  if (w->replied_fd < 0) return err_errno(err, "eventfd");
  w->ids = mem_zeros(w->threads, sizeof *w->ids);
  w->root = mem_strdup(root);
  w->module = mem_strdup(module);
  w->setup = mem_dup(setup, w->setup_len);
  if (!w->ids || !w->root || !w->module || !w->setup)
    return err_nomem(err, w->setup_len, "workers");
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  int rc = 0;
  for (; w->started < w->threads && !rc; w->started += !rc)
    rc = pthread_create(&w->ids[w->started], &attributes, worker_main, w);
  pthread_attr_destroy(&attributes);
  return rc ? err_set(err, ERR_IO, "cannot start worker thread %u: %s", w->started + 1,
                      strerror(rc))
            : 0;
}

/*** Starts worker threads with a Lua state each.
-- @function engine.worker.open
-- @param options table: { threads = n, module = name, setup = string, memory = bytes per state }
-- @return workers: w:submit(id, payload), w:wait(seconds) → id, ok, reply; w:close()
-- @error io, memory */
static int l_open(lua_State *L) {
  static const char *const known[] = {"threads", "module", "setup", "memory", NULL};
  struct err err;
  size_t len = 0;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  bind_options(L, 1, known);
  lua_getfield(L, LUA_REGISTRYINDEX, "lathe.root");
  const char *root = luaL_checkstring(L, 2);
  const char *module = bind_opt_string(L, 1, "module", NULL);
  if (!module) return luaL_argerror(L, 1, "option 'module' is missing");
  lua_getfield(L, 1, "setup");
  const char *setup = luaL_optlstring(L, 3, "", &len);
  lua_Integer threads = bind_opt_integer(L, 1, "threads", 1, 1, 1024);
  lua_Integer memory = bind_opt_integer(L, 1, "memory", 0, 0, LUA_MAXINTEGER);
  struct workers *w = bind_new(L, sizeof *w, WORKERS_NAME);
  w->replied_fd = -1;
  w->threads = (unsigned)threads;
  w->memory = (size_t)memory;
  w->setup_len = len;
  if (start(w, root, module, setup, &err)) {
    workers_close(w);
    return bind_fail(L, &err);
  }
  return 1;
}

static int l_submit(lua_State *L) {
  struct workers *w = check(L);
  size_t len;
  lua_Integer id = luaL_checkinteger(L, 2);
  const char *bytes = luaL_checklstring(L, 3, &len);
  struct message *m = message_new(id, true, bytes, len);
  if (!m) return luaL_error(L, "out of memory");
  pthread_mutex_lock(&w->lock);
  queue_put(&w->jobs, m);
  pthread_cond_signal(&w->more);
  pthread_mutex_unlock(&w->lock);
  return 0;
}

static struct message *take_reply(struct workers *w) {
  uint64_t count;
  if (read(w->replied_fd, &count, sizeof count) < 0) return NULL;
  pthread_mutex_lock(&w->lock);
  struct message *m = queue_take(&w->replies);
  pthread_mutex_unlock(&w->lock);
  return m;
}

/* id, ok, reply; or nil when the time is up or the run is cancelled. */
static int l_wait(lua_State *L) {
  struct workers *w = check(L);
  double seconds = luaL_optnumber(L, 2, 3600);
  struct pollfd fds[2] = {{.fd = w->replied_fd, .events = POLLIN},
                          {.fd = cancel_fd(), .events = POLLIN}};
  lua_settop(L, 1);
  poll(fds, cancel_fd() >= 0 ? 2 : 1, (int)(seconds * 1000));
  struct buf *held = bind_buf(L); /* before the reply is taken: making it may raise */
  struct message *m = take_reply(w);
  if (!m) return lua_pushnil(L), 1;
  buf_add(held, m->bytes, m->len);
  lua_Integer id = m->id;
  bool ok = m->ok;
  mem_free(m);
  lua_pushinteger(L, id);
  lua_pushboolean(L, ok);
  bind_push_buf(L, held);
  return 3;
}

static int workers_tostring(lua_State *L) {
  struct workers *w = luaL_checkudata(L, 1, WORKERS_NAME);
  lua_pushfstring(L, "workers: %d threads%s", (int)w->threads, w->open ? "" : ", closed");
  return 1;
}

/*** Whether Ctrl-C was pressed and the work should end.
-- @function engine.worker.cancelled
-- @return boolean: the cancel flag */
static int l_cancelled(lua_State *L) {
  lua_pushboolean(L, cancel_requested());
  return 1;
}

/*** Clears the cancel flag (the REPL does, at its prompt).
-- @function engine.worker.clear_cancel */
static int l_clear_cancel(lua_State *L) {
  (void)L;
  cancel_clear();
  return 0;
}

/*** Sets how many threads kernels of this state may use. Once they are at work (models hold on to
-- them) the number stays; results do not depend on it.
-- @function engine.worker.set_threads
-- @param n integer: at least 1
-- @return boolean: whether the number is now n */
static int l_set_threads(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 1 && n <= 1024, 1, "from 1 to 1024");
  struct engine *e = bind_engine(L);
  if (!e->pool) e->threads = (unsigned)n;
  lua_pushboolean(L, e->threads == (unsigned)n);
  return 1;
}

/*** How many processors this process may use.
-- @function engine.worker.processors
-- @return integer */
static int l_processors(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)cpu_count());
  return 1;
}

/*** This program's version.
-- @function engine.worker.version
-- @return string: such as "0.1.0" */
static int l_version(lua_State *L) {
  lua_pushliteral(L, LATHE_VERSION);
  return 1;
}

int luaopen_engine_worker(lua_State *L);
int luaopen_engine_worker(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"submit", l_submit}, {"wait", l_wait}, {"close", workers_gc}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", workers_gc},
                                  {"__close", workers_gc},
                                  {"__tostring", workers_tostring},
                                  {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open},
                                       {"cancelled", l_cancelled},
                                       {"clear_cancel", l_clear_cancel},
                                       {"set_threads", l_set_threads},
                                       {"processors", l_processors},
                                       {"version", l_version},
                                       {NULL, NULL}};
  bind_metatable(L, WORKERS_NAME, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}

/* SPDX-License-Identifier: MIT */
/* Folders, names and what is known of a file; see file.h. Trees are walked with openat-style calls,
 * never following a symbolic link, to a fixed depth. */
#include "base/mem.h"
#include "file/file.h"
#include "file/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 64

int file_stat(const char *path, struct file_info *out, struct err *err) {
  struct stat st, target;
  *out = (struct file_info){0};
  if (lstat(path, &st)) {
    if (errno == ENOENT || errno == ENOTDIR) return 0;
    return err_errno(err, "%s", path);
  }
  out->is_link = S_ISLNK(st.st_mode);
  if (out->is_link && stat(path, &target) == 0) st = target;
  out->exists = !S_ISLNK(st.st_mode);
  out->is_dir = S_ISDIR(st.st_mode);
  out->is_file = S_ISREG(st.st_mode);
  out->size = (uint64_t)st.st_size;
  out->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
  return 0;
}

static int make_one(const char *path, struct err *err) {
  struct file_info info;
  if (sys_mkdir(path, 0777) == 0) return 0;
  if (errno != EEXIST) return err_errno(err, "cannot make the folder %s", path);
  int rc = file_stat(path, &info, err);
  if (!rc && !info.is_dir) rc = err_set(err, ERR_IO, "%s: exists and is not a folder", path);
  return rc;
}

int file_mkdirs(const char *path, struct err *err) {
  char *p = mem_strdup(path);
  int rc = p ? 0 : err_nomem(err, strlen(path), path);
  for (char *s = p; !rc && s && *s; s++) {
    if (*s != '/' || s == p) continue;
    *s = 0;
    rc = make_one(p, err);
    *s = '/';
  }
  if (!rc && *path) rc = make_one(path, err);
  mem_free(p);
  return rc;
}

int file_sync_dir(const char *path, struct err *err) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return err_errno(err, "%s", path);
  int bad = sys_fsync(fd);
  int kept = errno;
  close(fd);
  errno = kept;
  return bad ? err_errno(err, "%s", path) : 0;
}

int file_unlink(const char *path, struct err *err) {
  return sys_unlink(path) && errno != ENOENT ? err_errno(err, "cannot remove %s", path) : 0;
}

struct entry {
  char *name;
  bool is_dir;
};

static int by_name(const void *a, const void *b) {
  return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static bool entry_is_dir(DIR *dir, const struct dirent *d) {
  struct stat st;
  if (d->d_type != DT_UNKNOWN && d->d_type != DT_LNK) return d->d_type == DT_DIR;
  return fstatat(dirfd(dir), d->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static int gather(DIR *dir, struct entry **list, size_t *count, const char *path, struct err *err) {
  size_t cap = 0;
  struct dirent *d;
  for (errno = 0; (d = readdir(dir)); errno = 0) {
    if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..")) continue;
    if (*count == cap) {
      cap = cap ? cap * 2 : 32;
      struct entry *more = mem_rearray(*list, cap, sizeof *more);
      if (!more) return err_nomem(err, cap * sizeof *more, path);
      *list = more;
    }
    char *name = mem_strdup(d->d_name);
    if (!name) return err_nomem(err, strlen(d->d_name), path);
    (*list)[(*count)++] = (struct entry){name, entry_is_dir(dir, d)};
  }
  return errno ? err_errno(err, "%s", path) : 0;
}

int file_list(const char *path, file_entry *each, void *arg, struct err *err) {
  struct entry *list = NULL;
  size_t count = 0;
  DIR *dir = opendir(path);
  if (!dir) return err_errno(err, "%s", path);
  int rc = gather(dir, &list, &count, path, err);
  closedir(dir);
  if (!rc && count) qsort(list, count, sizeof *list, by_name);
  for (size_t i = 0; i < count && !rc; i++) rc = each(arg, list[i].name, list[i].is_dir, err);
  for (size_t i = 0; i < count; i++) mem_free(list[i].name);
  mem_free(list);
  return rc;
}

static int remove_at(int parent, const char *name, int depth, struct err *err) {
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
  if (errno != EISDIR && errno != EPERM) return err_errno(err, "cannot remove %s", name);
  if (depth == 0) return err_set(err, ERR_LIMIT, "%s: folders nested too deep", name);
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc = 0;
  if (fd < 0) return err_errno(err, "cannot remove %s", name);
  DIR *dir = fdopendir(fd);
  if (!dir) {
    close(fd);
    return err_errno(err, "cannot remove %s", name);
  }
  for (struct dirent *d; !rc && (d = readdir(dir));)
    if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
      rc = remove_at(fd, d->d_name, depth - 1, err);
  closedir(dir);
  if (!rc && unlinkat(parent, name, AT_REMOVEDIR)) rc = err_errno(err, "cannot remove %s", name);
  return rc;
}

int file_remove_tree(const char *path, struct err *err) {
  return remove_at(AT_FDCWD, path, MAX_DEPTH, err);
}

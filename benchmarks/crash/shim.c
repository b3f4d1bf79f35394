/* Counts the calls that change files below a folder, and kills the process at the n-th: loaded with LD_PRELOAD.
 *
 * crash_arm(prefix, at, torn): from now on count; at call number `at` (1, 2, ...; 0: never) die by SIGKILL just before
 * the call happens, or, if `torn` and the call writes bytes, after half of its bytes were written.
 * crash_seen(op): calls so far of one kind (see `ops`), of all with op < 0.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum ops { OP_OPEN, OP_WRITE, OP_SYNC, OP_RENAME, OP_MKDIR, OP_REMOVE, OP_COPY, OP_TRUNCATE, N_OPS };

static char prefix[PATH_MAX];
static size_t prefix_length;
static long kill_at;
static int torn_mode;
static atomic_long seen, by_op[N_OPS];

void crash_arm(const char *folder, long at, int torn) {
    snprintf(prefix, sizeof prefix, "%s", folder);
    prefix_length = strlen(prefix);
    kill_at = at;
    torn_mode = torn;
    seen = 0;
    for (int i = 0; i < N_OPS; i++) by_op[i] = 0;
}

long crash_seen(int op) { return op < 0 ? seen : by_op[op]; }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int inside(const char *path) { return prefix_length && strncmp(path, prefix, prefix_length) == 0; }

static int fd_inside(int fd) {
    char link[64], path[PATH_MAX];
    if (!prefix_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return inside(path);
}

static int at_inside(int dir, const char *path) {
    return path[0] == '/' || dir == AT_FDCWD ? inside(path) : fd_inside(dir);
}

/* 1 if this is the call to die in. */
static int due(int op) {
    by_op[op]++;
    return ++seen == kill_at;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define BEFORE(condition, op) if ((condition) && due(op)) die()

ssize_t write(int fd, const void *data, size_t n) {
    REAL(write);
    if (fd_inside(fd) && due(OP_WRITE)) {
        if (torn_mode && n > 1) real(fd, data, n / 2);
        die();
    }
    return real(fd, data, n);
}
ssize_t writev(int fd, const struct iovec *parts, int n) {
    REAL(writev);
    BEFORE(fd_inside(fd), OP_WRITE);
    return real(fd, parts, n);
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
    REAL(pwrite);
    BEFORE(fd_inside(fd), OP_WRITE);
    return real(fd, data, n, at);
}
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
    REAL(pwrite64);
    BEFORE(fd_inside(fd), OP_WRITE);
    return real(fd, data, n, at);
}

#define CHANGES(flags) ((flags) & (O_CREAT | O_TRUNC))
#define MODE(last) mode_t mode = 0; if (flags & O_CREAT) { va_list a; va_start(a, last); mode = va_arg(a, mode_t); va_end(a); }
int open(const char *path, int flags, ...) {
    REAL(open);
    MODE(flags)
    BEFORE(CHANGES(flags) && inside(path), OP_OPEN);
    return real(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    REAL(open64);
    MODE(flags)
    BEFORE(CHANGES(flags) && inside(path), OP_OPEN);
    return real(path, flags, mode);
}
int openat(int dir, const char *path, int flags, ...) {
    REAL(openat);
    MODE(flags)
    BEFORE(CHANGES(flags) && at_inside(dir, path), OP_OPEN);
    return real(dir, path, flags, mode);
}
int openat64(int dir, const char *path, int flags, ...) {
    REAL(openat64);
    MODE(flags)
    BEFORE(CHANGES(flags) && at_inside(dir, path), OP_OPEN);
    return real(dir, path, flags, mode);
}

int fsync(int fd) { REAL(fsync); BEFORE(fd_inside(fd), OP_SYNC); return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); BEFORE(fd_inside(fd), OP_SYNC); return real(fd); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); BEFORE(fd_inside(fd), OP_TRUNCATE); return real(fd, n); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); BEFORE(fd_inside(fd), OP_TRUNCATE); return real(fd, n); }
int rename(const char *a, const char *b) { REAL(rename); BEFORE(inside(b), OP_RENAME); return real(a, b); }
int renameat(int da, const char *a, int db, const char *b) {
    REAL(renameat);
    BEFORE(at_inside(db, b), OP_RENAME);
    return real(da, a, db, b);
}
int renameat2(int da, const char *a, int db, const char *b, unsigned flags) {
    REAL(renameat2);
    BEFORE(at_inside(db, b), OP_RENAME);
    return real(da, a, db, b, flags);
}
int mkdir(const char *path, mode_t mode) { REAL(mkdir); BEFORE(inside(path), OP_MKDIR); return real(path, mode); }
int mkdirat(int dir, const char *path, mode_t mode) {
    REAL(mkdirat);
    BEFORE(at_inside(dir, path), OP_MKDIR);
    return real(dir, path, mode);
}
int unlink(const char *path) { REAL(unlink); BEFORE(inside(path), OP_REMOVE); return real(path); }
int unlinkat(int dir, const char *path, int flags) {
    REAL(unlinkat);
    BEFORE(at_inside(dir, path), OP_REMOVE);
    return real(dir, path, flags);
}
int rmdir(const char *path) { REAL(rmdir); BEFORE(inside(path), OP_REMOVE); return real(path); }
ssize_t sendfile(int to, int from, off_t *at, size_t n) {
    extern ssize_t sendfile(int, int, off_t *, size_t);
    REAL(sendfile);
    BEFORE(fd_inside(to), OP_COPY);
    return real(to, from, at, n);
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t n) {
    extern ssize_t sendfile64(int, int, off64_t *, size_t);
    REAL(sendfile64);
    BEFORE(fd_inside(to), OP_COPY);
    return real(to, from, at, n);
}
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t n, unsigned flags) {
    REAL(copy_file_range);
    BEFORE(fd_inside(to), OP_COPY);
    return real(from, a, to, b, n, flags);
}

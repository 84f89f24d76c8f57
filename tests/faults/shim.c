/* Preloaded before libc: counts what a process does to the files below a folder, and at the n-th
 * such operation kills the process, or makes that one (or all from there on) fail.
 *
 * Only system calls that change something count, and openings of files for that. The kernel is
 * asked which file a descriptor is of, so copies and renamed files need no bookkeeping.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { OFF, COUNT, KILL_BEFORE, KILL_WITHIN, FAIL_FROM, FAIL_ONCE, FAIL_SHORT };
enum kind { OPENS, WRITES, NAMES, REMOVES, CUTS, SYNCS };
#define GO 0
#define HALF (-1)

static char below[PATH_MAX], denied[PATH_MAX];
static long at;
static enum mode mode;
static int error, denied_error, trace = -1;
static atomic_long count;

/* From now on operations below `folder` count, and are told to the descriptor `told`, by lines. */
void faults_arm(const char *folder, int how, long number, int code, int told) {
    snprintf(below, sizeof below, "%s", folder);
    at = number, error = code, trace = told, mode = how;
    atomic_store(&count, 0);
}

/* From now on nobody can open, list or read what is at `path`. */
void faults_deny(const char *path, int code) {
    denied_error = code;
    snprintf(denied, sizeof denied, "%s", path);
}

/* libc's own function of a name, looked up once. */
#define TRUE(name)                                                  \
    ({                                                              \
        static __typeof__(&name) true_;                             \
        if (!true_) true_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
        true_;                                                      \
    })

static int is_under(const char *path, const char *folder) {
    size_t length = strlen(folder);
    return length && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

static void path_of(int fd, char *out) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    out[length > 0 ? length : 0] = 0;
}

static void full(int folder, const char *path, char *out) {
    out[0] = 0;
    if (path[0] != '/') {
        if (folder != AT_FDCWD) path_of(folder, out);
        else if (!getcwd(out, PATH_MAX)) out[0] = 0;
        strncat(out, "/", PATH_MAX - 1 - strlen(out));
    }
    while (path[0] == '.' && path[1] == '/') path += 2;
    strncat(out, path, PATH_MAX - 1 - strlen(out));
}

/* A disk that is full can still forget; a read-only one can't do anything. */
static int fails(enum kind kind) {
    switch (error) {
        case ENOSPC: case EDQUOT: return kind != REMOVES && kind != CUTS;
        case EMFILE: case ENFILE: return kind == OPENS;
        case EROFS: return kind != SYNCS;
        default: return 1;
    }
}

/* Counts an operation: GO, HALF of it, or the error that it fails with. */
static int strike(const char *name, enum kind kind, const char *path, size_t size) {
    if (mode == OFF || !is_under(path, below)) return GO;
    long now = atomic_fetch_add(&count, 1) + 1;
    if (trace >= 0) {
        char line[PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%s %s %zu\n", name, path + strlen(below), size);
        syscall(SYS_write, trace, line, length);
    }
    if (now == at && mode == KILL_BEFORE) kill(getpid(), SIGKILL);
    if (now == at && mode == KILL_WITHIN) return HALF;
    int here = mode == FAIL_ONCE ? now == at : mode >= FAIL_FROM && now >= at;
    if (!here || !fails(kind)) return GO;
    return mode == FAIL_SHORT && now == at && kind == WRITES && size > 1 ? HALF : error;
}

static int strike_at(const char *name, enum kind kind, int folder, const char *path) {
    char whole[PATH_MAX];
    if (mode == OFF || !path) return GO;
    full(folder, path, whole);
    return strike(name, kind, whole, 0);
}

static int strike_fd(const char *name, enum kind kind, int fd, size_t size) {
    char whole[PATH_MAX];
    if (mode == OFF) return GO;
    path_of(fd, whole);
    return strike(name, kind, whole, size);
}

static int is_denied(int folder, const char *path) {
    char whole[PATH_MAX];
    if (!denied[0] || !path) return 0;
    full(folder, path, whole);
    return !strcmp(whole, denied);
}

static int is_denied_fd(int fd) {
    char whole[PATH_MAX];
    if (!denied[0]) return 0;
    path_of(fd, whole);
    return !strcmp(whole, denied);
}

static void end_if_killed(void) {
    if (mode == KILL_WITHIN) kill(getpid(), SIGKILL);
}

/* Does a call with no half: killed within it means after it. */
#define WHOLE(struck, call)                               \
    do {                                                  \
        int struck_ = (struck);                           \
        if (struck_ > 0) { errno = struck_; return -1; }  \
        __typeof__(call) result_ = (call);                \
        if (struck_ == HALF) end_if_killed();             \
        return result_;                                   \
    } while (0)

/* Does a transfer of `size` bytes, or half of it. */
#define TRANSFER(struck, size, call)                      \
    do {                                                  \
        int struck_ = (struck);                           \
        if (struck_ > 0) { errno = struck_; return -1; }  \
        if (struck_ == HALF) size /= 2;                   \
        ssize_t result_ = (call);                         \
        if (struck_ == HALF) end_if_killed();             \
        return result_;                                   \
    } while (0)

static int open_at(int folder, const char *path, int flags, mode_t bits) {
    int changes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
    if (is_denied(folder, path)) { errno = denied_error; return -1; }
    WHOLE(changes ? strike_at("open", OPENS, folder, path) : GO,
          TRUE(openat)(folder, path, flags, bits));
}

#define BITS(flags)                                       \
    mode_t bits = 0;                                      \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                \
        va_list more;                                     \
        va_start(more, flags);                            \
        bits = va_arg(more, mode_t);                      \
        va_end(more);                                     \
    }

int open(const char *path, int flags, ...) { BITS(flags) return open_at(AT_FDCWD, path, flags, bits); }
int open64(const char *path, int flags, ...) { BITS(flags) return open_at(AT_FDCWD, path, flags, bits); }
int openat(int dir, const char *path, int flags, ...) { BITS(flags) return open_at(dir, path, flags, bits); }
int openat64(int dir, const char *path, int flags, ...) { BITS(flags) return open_at(dir, path, flags, bits); }
int creat(const char *path, mode_t bits) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, bits); }

static FILE *open_stream(const char *path, const char *how) {
    int struck = strpbrk(how, "wa+") ? strike_at("fopen", OPENS, AT_FDCWD, path) : GO;
    if (is_denied(AT_FDCWD, path)) struck = denied_error;
    if (struck > 0) { errno = struck; return NULL; }
    return TRUE(fopen64)(path, how);
}
FILE *fopen(const char *path, const char *how) { return open_stream(path, how); }
FILE *fopen64(const char *path, const char *how) { return open_stream(path, how); }

DIR *opendir(const char *path) {
    if (is_denied(AT_FDCWD, path)) { errno = denied_error; return NULL; }
    return TRUE(opendir)(path);
}

ssize_t read(int fd, void *to, size_t size) {
    if (is_denied_fd(fd)) { errno = denied_error; return -1; }
    return TRUE(read)(fd, to, size);
}

ssize_t write(int fd, const void *from, size_t size) {
    TRANSFER(strike_fd("write", WRITES, fd, size), size, TRUE(write)(fd, from, size));
}
ssize_t pwrite(int fd, const void *from, size_t size, off_t offset) {
    TRANSFER(strike_fd("pwrite", WRITES, fd, size), size, TRUE(pwrite)(fd, from, size, offset));
}
ssize_t pwrite64(int fd, const void *from, size_t size, off64_t offset) {
    TRANSFER(strike_fd("pwrite", WRITES, fd, size), size, TRUE(pwrite64)(fd, from, size, offset));
}
ssize_t writev(int fd, const struct iovec *parts, int number) {
    TRANSFER(strike_fd("writev", WRITES, fd, number), number, TRUE(writev)(fd, parts, number));
}
ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
    TRANSFER(strike_fd("sendfile", WRITES, to, size), size, TRUE(sendfile)(to, from, offset, size));
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) {
    TRANSFER(strike_fd("sendfile", WRITES, to, size), size, TRUE(sendfile64)(to, from, offset, size));
}
ssize_t copy_file_range(int from, off64_t *there, int to, off64_t *here, size_t size, unsigned flags) {
    TRANSFER(strike_fd("copy_file_range", WRITES, to, size), size,
             TRUE(copy_file_range)(from, there, to, here, size, flags));
}

int rename(const char *old, const char *new) {
    WHOLE(strike_at("rename", NAMES, AT_FDCWD, new), TRUE(rename)(old, new));
}
int renameat(int from, const char *old, int to, const char *new) {
    WHOLE(strike_at("rename", NAMES, to, new), TRUE(renameat)(from, old, to, new));
}
int mkdir(const char *path, mode_t bits) {
    WHOLE(strike_at("mkdir", NAMES, AT_FDCWD, path), TRUE(mkdir)(path, bits));
}
int mkdirat(int dir, const char *path, mode_t bits) {
    WHOLE(strike_at("mkdir", NAMES, dir, path), TRUE(mkdirat)(dir, path, bits));
}
int link(const char *old, const char *new) {
    WHOLE(strike_at("link", NAMES, AT_FDCWD, new), TRUE(link)(old, new));
}
int linkat(int from, const char *old, int to, const char *new, int flags) {
    WHOLE(strike_at("link", NAMES, to, new), TRUE(linkat)(from, old, to, new, flags));
}
int symlink(const char *target, const char *path) {
    WHOLE(strike_at("symlink", NAMES, AT_FDCWD, path), TRUE(symlink)(target, path));
}
int symlinkat(const char *target, int dir, const char *path) {
    WHOLE(strike_at("symlink", NAMES, dir, path), TRUE(symlinkat)(target, dir, path));
}
int unlink(const char *path) {
    WHOLE(strike_at("unlink", REMOVES, AT_FDCWD, path), TRUE(unlink)(path));
}
int unlinkat(int dir, const char *path, int flags) {
    WHOLE(strike_at("unlink", REMOVES, dir, path), TRUE(unlinkat)(dir, path, flags));
}
int rmdir(const char *path) {
    WHOLE(strike_at("rmdir", REMOVES, AT_FDCWD, path), TRUE(rmdir)(path));
}
int truncate(const char *path, off_t size) {
    WHOLE(strike_at("truncate", CUTS, AT_FDCWD, path), TRUE(truncate)(path, size));
}
int truncate64(const char *path, off64_t size) {
    WHOLE(strike_at("truncate", CUTS, AT_FDCWD, path), TRUE(truncate64)(path, size));
}
int ftruncate(int fd, off_t size) { WHOLE(strike_fd("truncate", CUTS, fd, 0), TRUE(ftruncate)(fd, size)); }
int ftruncate64(int fd, off64_t size) { WHOLE(strike_fd("truncate", CUTS, fd, 0), TRUE(ftruncate64)(fd, size)); }
int fsync(int fd) { WHOLE(strike_fd("fsync", SYNCS, fd, 0), TRUE(fsync)(fd)); }
int fdatasync(int fd) { WHOLE(strike_fd("fdatasync", SYNCS, fd, 0), TRUE(fdatasync)(fd)); }

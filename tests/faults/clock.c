/* Preloaded before libc: once the file that CLOCK_FILE names is there, it is an hour earlier. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define TRUE(name)                                                  \
    ({                                                              \
        static __typeof__(&name) true_;                             \
        if (!true_) true_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
        true_;                                                      \
    })

static long behind(void) {
    const char *file = getenv("CLOCK_FILE");
    return file && !access(file, F_OK) ? 3600 : 0;
}

int clock_gettime(clockid_t which, struct timespec *now) {
    int failed = TRUE(clock_gettime)(which, now);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec -= behind();
    return failed;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = TRUE(gettimeofday)(now, zone);
    if (!failed) now->tv_sec -= behind();
    return failed;
}

/* The kernel, which has not heard of it, is given its own time. */
int sem_timedwait(sem_t *restrict of, const struct timespec *restrict until) {
    struct timespec theirs = *until;
    theirs.tv_sec += behind();
    return TRUE(sem_timedwait)(of, &theirs);
}

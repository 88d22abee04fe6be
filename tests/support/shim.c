/* Preloaded into a server: the disk's fsync and the clock as a test wants them. Two small files say how.

   OPENBELL_SHIM names a folder. "fsync" in it holds one word: "eio" (every flush fails), "slow" (it takes two
   seconds); "clock" holds a number of seconds by which the time of day is off. No file: as the machine says. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int told(const char *name, char *text, int size) {
    char path[512];
    const char *folder = getenv("OPENBELL_SHIM");
    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = read(file, text, size - 1);
    close(file);
    text[length > 0 ? length : 0] = 0;
    return length > 0;
}

static int flush_fails(void) {
    char text[16];
    if (!told("fsync", text, sizeof text)) return 0;
    if (!strncmp(text, "slow", 4)) { sleep(2); return 0; }
    errno = EIO;
    return 1;
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    return flush_fails() ? -1 : real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    return flush_fails() ? -1 : real(file);
}

static long seconds_off(void) {
    char text[32];
    return told("clock", text, sizeof text) ? atol(text) : 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int result = real(now, zone);
    if (!result && now) now->tv_sec += seconds_off();
    return result;
}

int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(which, now);
    if (!result && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec += seconds_off();
    return result;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

/* Preloaded: the FAULT_AT-th write, sync or truncate of a file whose path begins with FAULT_PATH fails with
   FAULT_ERRNO; with FAULT_EVER=1 every later one too. The shared-memory index beside a log is left alone: it is no
   storage. Without FAULT_AT the calls are only counted, and their number is left in FAULT_COUNT. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long at, passed;
static int error, ever;
static const char *path, *count;

__attribute__((constructor)) static void begin(void) {
    path = getenv("FAULT_PATH");
    count = getenv("FAULT_COUNT");
    at = atol(getenv("FAULT_AT") ? getenv("FAULT_AT") : "0");
    error = atoi(getenv("FAULT_ERRNO") ? getenv("FAULT_ERRNO") : "5");
    ever = getenv("FAULT_EVER") != NULL;
}

__attribute__((destructor)) static void end(void) {
    FILE *file = count ? fopen(count, "w") : NULL;
    if (file) {
        fprintf(file, "%ld", passed);
        fclose(file);
    }
}

static int fails(int fd) {
    char link[64], name[PATH_MAX];
    if (!path)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length <= 0)
        return 0;
    name[length] = 0;
    if (strncmp(name, path, strlen(path)) || strstr(name, "-shm") || strstr(name, ".lock"))
        return 0;
    long now = __sync_add_and_fetch(&passed, 1);
    if (!at || (now != at && !(ever && now > at)))
        return 0;
    errno = error;
    return 1;
}

#define REAL(name, type) \
    static __typeof__(type) *real; \
    if (!real) \
    real = (__typeof__(real))dlsym(RTLD_NEXT, name)

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
    REAL("pwrite64", ssize_t(int, const void *, size_t, off64_t));
    return fails(fd) ? -1 : real(fd, bytes, size, offset);
}

int fsync(int fd) {
    REAL("fsync", int(int));
    return fails(fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
    REAL("fdatasync", int(int));
    return fails(fd) ? -1 : real(fd);
}

int ftruncate64(int fd, off64_t size) {
    REAL("ftruncate64", int(int, off64_t));
    return fails(fd) ? -1 : real(fd, size);
}

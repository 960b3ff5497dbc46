/* gate MOUNTS SECONDS IMAGE PROGRAM [ARGUMENT...]: waits until the pod's volumes are there, then becomes PROGRAM.
 *
 * It is the entrypoint of the user's container where volumes are live: they are moved into the container's mount
 * namespace once that exists, and the program must not run before. It waits until the namespace has MOUNTS sshfs
 * mounts, SECONDS at most. IMAGE is for the error that says what could not be started.
 *
 * Exit code: 125 when the mounts do not come, 127 when there is no PROGRAM, 126 when it cannot be executed: docker's.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { USAGE = 2, FAILED = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127, POLL_MS = 100, PATH_LENGTH = 4096 };

/* The file system type stands behind the separator: proc_pid_mountinfo(5). */
static const char SSHFS[] = " - fuse.sshfs ";

/* Returns the number of sshfs mounts, read from the beginning of `mountinfo`. */
static long count_mounts(FILE *mountinfo) {
    char *line = NULL;
    size_t size = 0;
    long found = 0;
    rewind(mountinfo);
    while (getline(&line, &size, mountinfo) > 0)
        found += strstr(line, SSHFS) != NULL;
    free(line);
    return found;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Returns whether `wanted` mounts were there within `seconds`. */
static int wait_mounts(long wanted, double seconds) {
    FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
    double deadline = now() + seconds;
    int there = 0;
    while (mountinfo && !(there = count_mounts(mountinfo) >= wanted) && now() < deadline) {
        /* The kernel tells of every change of the mounts: proc_pid_mounts(5). */
        struct pollfd changed = {.fd = fileno(mountinfo), .events = POLLPRI};
        poll(&changed, 1, POLL_MS);
    }
    if (mountinfo)
        fclose(mountinfo);
    return there;
}

/* Tries `program` in each directory of PATH; returns why none of them could be executed. Unlike execvp(3) it does not
 * hand a file without an interpreter line to a shell: Docker does not either. */
static int execute(const char *program, char **argv, char **environment) {
    const char *folder = getenv("PATH");
    int reason = ENOENT;
    if (strchr(program, '/')) {
        execve(program, argv, environment);
        return errno;
    }
    while (folder) {
        char path[PATH_LENGTH];
        size_t length = strcspn(folder, ":");
        int written = snprintf(path, sizeof path, "%.*s/%s", length ? (int)length : 1, length ? folder : ".", program);
        if (written > 0 && (size_t)written < sizeof path) {
            execve(path, argv, environment);
            if (errno != ENOENT && errno != ENOTDIR)
                reason = errno;
        }
        folder = folder[length] ? folder + length + 1 : NULL;
    }
    return reason;
}

int main(int argc, char **argv, char **environment) {
    if (argc < 5) {
        fprintf(stderr, "usage: gate MOUNTS SECONDS IMAGE PROGRAM [ARGUMENT...]\n");
        return USAGE;
    }
    const char *image = argv[3], *program = argv[4];
    if (!wait_mounts(strtol(argv[1], NULL, 10), strtod(argv[2], NULL))) {
        fprintf(stderr, "tpbox: error: the pod's volumes were not mounted within %s s\n", argv[2]);
        return FAILED;
    }
    int reason = execute(program, argv + 4, environment);
    int missing = reason == ENOENT && !strchr(program, '/');
    fprintf(stderr, "tpbox: error: the command could not be started in image %s\n", image);
    fprintf(stderr, "tpbox:   exec: \"%s\": %s\n", program,
            missing            ? "executable file not found in $PATH"
            : reason == EACCES ? "permission denied"
                               : strerror(reason));
    return reason == ENOENT || reason == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE;
}

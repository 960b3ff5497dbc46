/* fetch-musl HOST [PORT [PATH]]: resolves HOST with musl's resolver, gets the page, prints the body.
 *
 * Exit code: 0 for status 200, 1 when the name does not resolve, 2 when there is no answer, 3 for another status. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { UNRESOLVED = 1, UNANSWERED = 2, OTHER_STATUS = 3, USAGE = 64, LIMIT_SECONDS = 5 };

static int dial(const struct addrinfo *address) {
    const struct timeval limit = {.tv_sec = LIMIT_SECONDS};
    for (; address; address = address->ai_next) {
        int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
            return fd;
        close(fd);
    }
    return -1;
}

/* Prints what follows the empty line. Returns the status of the answer, 0 when there is none. */
static int print_body(FILE *answer) {
    char line[4096];
    int status = 0;
    size_t length;
    if (!fgets(line, sizeof line, answer) || sscanf(line, "HTTP/%*s %d", &status) != 1)
        return 0;
    while (fgets(line, sizeof line, answer) && strcmp(line, "\r\n") != 0)
        ;
    while ((length = fread(line, 1, sizeof line, answer)) > 0)
        fwrite(line, 1, length, stdout);
    return ferror(answer) ? 0 : status;
}

int main(int argc, char **argv) {
    const char *host = argc > 1 ? argv[1] : "", *port = argc > 2 ? argv[2] : "80", *path = argc > 3 ? argv[3] : "/";
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses;
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: fetch-musl HOST [PORT [PATH]]\n");
        return USAGE;
    }
    int problem = getaddrinfo(host, port, &hints, &addresses);
    if (problem != 0) {
        fprintf(stderr, "%s: %s\n", host, gai_strerror(problem));
        return UNRESOLVED;
    }
    int fd = dial(addresses);
    freeaddrinfo(addresses);
    FILE *answer = fd < 0 ? NULL : fdopen(fd, "r");
    if (!answer) {
        perror(host);
        return UNANSWERED;
    }
    dprintf(fd, "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);
    int status = print_body(answer);
    fclose(answer);
    if (status == 0) {
        fprintf(stderr, "%s: no answer\n", host);
        return UNANSWERED;
    }
    return status == 200 ? 0 : OTHER_STATUS;
}

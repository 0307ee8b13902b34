/* The limit of the machine and of the generator: a server that does nothing but answer each line with ANSWER.
 *
 *   echo PORT ANSWER [CERTIFICATE KEY]     one thread, epoll, OpenSSL; prints "ready"
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 65536
#define OUT_SIZE (1024 * 1024)
#define BACKLOG 1024
#define EVENTS 1024

typedef struct {
    int fd, up;
    SSL *tls;
} client;

static SSL_CTX *context;
static char in[READ_SIZE], out[OUT_SIZE];

static void drop(client *c) {
    if (c->tls) SSL_free(c->tls);
    close(c->fd);
    free(c);
}

static void serve(client *c, const char *answer, size_t length) {
    if (c->tls && !c->up) {
        int n = SSL_accept(c->tls);
        if (n != 1) {
            int why = SSL_get_error(c->tls, n);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) drop(c);
            return;
        }
        c->up = 1;
    }
    for (;;) {
        long n = c->tls ? SSL_read(c->tls, in, READ_SIZE) : recv(c->fd, in, READ_SIZE, 0);
        if (n <= 0) {
            if (c->tls ? SSL_get_error(c->tls, (int)n) != SSL_ERROR_WANT_READ : !n || errno != EAGAIN)
                drop(c);
            return;
        }
        size_t filled = 0;
        for (char *at = in; (at = memchr(at, '\n', (size_t)(in + n - at))); at++) {
            if (filled + length > OUT_SIZE) break;
            memcpy(out + filled, answer, length);
            filled += length;
        }
        if (!filled) continue;
        long sent = c->tls ? SSL_write(c->tls, out, (int)filled) : send(c->fd, out, filled, MSG_NOSIGNAL);
        if (sent != (long)filled) {
            drop(c);
            return;
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 5) return 2;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
    struct epoll_event events[EVENTS], listening = {.events = EPOLLIN};
    int one = 1, epoll_fd = epoll_create1(0), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    size_t length = strlen(argv[2]) + 1;
    char *answer = malloc(length);
    memcpy(answer, argv[2], length - 1);
    answer[length - 1] = '\n';
    signal(SIGPIPE, SIG_IGN);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, BACKLOG)) return 1;
    if (argc == 5) {
        context = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
        if (SSL_CTX_use_certificate_file(context, argv[3], SSL_FILETYPE_PEM) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, argv[4], SSL_FILETYPE_PEM) != 1)
            return 1;
    }
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &listening);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                serve(events[i].data.ptr, answer, length);
                continue;
            }
            for (int accepted; (accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
                client *c = calloc(1, sizeof *c);
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
                setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                c->fd = accepted;
                if (context) {
                    c->tls = SSL_new(context);
                    SSL_set_fd(c->tls, accepted);
                }
                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, accepted, &event);
            }
        }
    }
}

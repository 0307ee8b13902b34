/* Load generator of the benches: one thread, epoll, OpenSSL.
 *
 *   load PORT TLS CONNECTIONS AT_ONCE PER_ADDRESS SCRIPTS REQUESTS DONE [cycle SECONDS]
 *
 * It opens CONNECTIONS to 127.0.0.1:PORT, AT_ONCE of them at a time and PER_ADDRESS from one loopback address,
 * and plays a script on each: what to send and what to wait for, in turns. SCRIPTS has one script for each
 * connection (0x1e ends a script, 0x1f each part). REQUESTS has requests (each ended by 0x1e), one of which is
 * picked at random each time. DONE is the text that each answer has exactly once; an answer without it is never
 * counted, so a refusal stops the run instead of flattering it.
 *
 * When all scripts are played it prints a line of JSON, then obeys lines on stdin, and answers each so:
 *   ask ACTIVE IN_FLIGHT SECONDS   ACTIVE connections keep IN_FLIGHT requests on their way
 *   pace ACTIVE RATE SECONDS       RATE requests a second over ACTIVE connections, whatever comes back
 *   fan TIMES                      connection 0 sends request 0, 1, 0 ... till all others have DONE each time
 *   storm                          waits until all were lost and are back, however often each must try
 * With `cycle` each connection plays its script, closes and begins again with the next script, for SECONDS.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_IN_FLIGHT 64
#define MAX_MARK 64                   /* bytes of a text that is waited for */
#define READ_SIZE (256 * 1024)
#define EVENTS 1024
#define RETRY_NS 50000000ULL          /* after a refused connection */
#define PATIENCE_NS 60000000000ULL    /* without any progress: the run failed */
#define SECOND_NS 1000000000ULL

enum state { IDLE, CONNECTING, HANDSHAKE, SCRIPT, READY };

typedef struct {
    const char *text;
    size_t length;
} part;

typedef struct {
    enum state state;
    int fd, wants_write, lost;
    SSL *tls;
    const part *script;               /* its current part, a text to wait for at odd places */
    const part *script_end;
    uint64_t retry_at, began_at;
    char *out;
    size_t out_length, out_room;
    char carry[MAX_MARK];             /* the end of what was read before, where a mark may have begun */
    size_t carried;
    uint64_t sent_at[MAX_IN_FLIGHT];
    unsigned sent_head, in_flight;
} connection;

static int port, use_tls, count, at_once, epoll_fd, unready;
static connection *connections;
static part *scripts, *requests;
static size_t *script_starts;
static size_t script_count, request_count, next_script;
static part done_mark;
static SSL_CTX *context;
static char read_buffer[MAX_MARK + READ_SIZE];

/* What the current command does with a read of a connection that is READY. */
static void (*on_done)(connection *, unsigned, uint64_t);
static unsigned want_in_flight, active;
static int sending, cycling, storming;
static size_t per_address; /* connections from one loopback address */
static uint64_t completed, progress_at;
static uint32_t *samples;             /* nanoseconds / 100 */
static size_t sample_count, sample_room;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static void fail(const char *what) {
    printf("{\"failed\":\"%s\",\"ready\":%d,\"completed\":%llu}\n", what, count - unready,
           (unsigned long long)completed);
    fflush(stdout);
    exit(1);
}

static void sample(uint64_t ns) {
    if (sample_count == sample_room) {
        sample_room = sample_room ? sample_room * 2 : 1 << 20;
        samples = realloc(samples, sample_room * sizeof *samples);
    }
    samples[sample_count++] = (uint32_t)(ns / 100);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double busy_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static double share(double fraction) {
    return sample_count ? samples[(size_t)(fraction * (double)(sample_count - 1))] / 10.0 : 0.0;
}

static void report(double seconds, double busy) {
    qsort(samples, sample_count, sizeof *samples, by_size);
    printf("{\"completed\":%llu,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,"
           "\"busy\":%.3f}\n",
           (unsigned long long)completed, seconds, share(0.5), share(0.99), share(1.0), busy / seconds);
    fflush(stdout);
}

/* --- one connection ------------------------------------------------------------------------------------- */

static void interest(connection *c) {
    struct epoll_event event = {.events = EPOLLIN | (c->wants_write ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void forget(connection *c) {
    if (c->tls) SSL_free(c->tls);
    if (c->fd >= 0) close(c->fd);
    c->tls = NULL;
    c->fd = -1;
    if (c->state == READY) unready++;
    c->state = IDLE;
    c->out_length = c->carried = 0;
    c->in_flight = c->sent_head = 0;
    c->wants_write = 0;
}

static void lose(connection *c) {
    if (!storming && !cycling && c->state == READY) fail("the server ended a connection");
    if (c->state == READY) c->lost = 1;
    forget(c);
    c->retry_at = now_ns() + RETRY_NS;
}

static void dial(connection *c) {
    size_t index = (size_t)(c - connections);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index / per_address));
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) fail("no more sockets: raise the limit of open files");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (index >= per_address) bind(c->fd, (struct sockaddr *)&from, sizeof from);
    c->state = CONNECTING;
    c->began_at = now_ns();
    c->wants_write = 1;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) lose(c);
}

static void flush_out(connection *c) {
    size_t at = 0;
    int wants_write = 0;
    while (at < c->out_length) {
        long n;
        if (c->tls) {
            n = SSL_write(c->tls, c->out + at, (int)(c->out_length - at));
            if (n <= 0) {
                int why = SSL_get_error(c->tls, (int)n);
                if (why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ) { lose(c); return; }
                wants_write = why == SSL_ERROR_WANT_WRITE;
                break;
            }
        } else {
            n = send(c->fd, c->out + at, c->out_length - at, MSG_NOSIGNAL);
            if (n < 0) {
                if (errno != EAGAIN) { lose(c); return; }
                wants_write = 1;
                break;
            }
        }
        at += (size_t)n;
    }
    memmove(c->out, c->out + at, c->out_length - at);
    c->out_length -= at;
    if (wants_write != c->wants_write) {
        c->wants_write = wants_write;
        interest(c);
    }
}

static void put(connection *c, const part *what) {
    if (c->out_length + what->length > c->out_room) {
        c->out_room = (c->out_length + what->length) * 2;
        c->out = realloc(c->out, c->out_room);
    }
    memcpy(c->out + c->out_length, what->text, what->length);
    c->out_length += what->length;
}

static void play(connection *c) {
    if (c->script == c->script_end) {
        c->state = READY;
        unready--;
        progress_at = now_ns();
        if (cycling) {
            completed++;
            sample(progress_at - c->began_at);
            forget(c);
            c->retry_at = 0;
        }
        return;
    }
    put(c, c->script++);
    flush_out(c);
}

static void begin_script(connection *c) {
    size_t which = cycling ? next_script++ % script_count : (size_t)(c - connections) % script_count;
    c->state = SCRIPT;
    c->script = scripts + script_starts[which];
    c->script_end = scripts + script_starts[which + 1];
    play(c);
}

static void handshake(connection *c) {
    int n = SSL_do_handshake(c->tls);
    if (n == 1) {
        c->wants_write = 0;
        interest(c);
        begin_script(c);
        return;
    }
    int why = SSL_get_error(c->tls, n);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        if (!storming)
            fail(why == SSL_ERROR_SSL ? ERR_reason_error_string(ERR_get_error()) : "lost in the handshake");
        lose(c);
        return;
    }
    c->wants_write = why == SSL_ERROR_WANT_WRITE;
    interest(c);
}

static void connected(connection *c) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) {
        if (!storming) fail("the connection was refused");
        lose(c);
        return;
    }
    if (use_tls) {
        c->tls = SSL_new(context);
        SSL_set_fd(c->tls, c->fd);
        SSL_set_connect_state(c->tls);
        c->state = HANDSHAKE;
        handshake(c);
    } else {
        c->wants_write = 0;
        interest(c);
        begin_script(c);
    }
}

/* How often the mark is in what was read, and in it together with the end of the read before. */
static unsigned marks(connection *c, const part *mark, size_t n) {
    char *from = read_buffer + MAX_MARK - c->carried, *end = read_buffer + MAX_MARK + n;
    unsigned found = 0;
    memcpy(from, c->carry, c->carried);
    for (char *at; (at = memmem(from, (size_t)(end - from), mark->text, mark->length)); found++)
        from = at + mark->length;
    c->carried = mark->length - 1;
    if ((size_t)(end - from) < c->carried) c->carried = (size_t)(end - from);
    memcpy(c->carry, end - c->carried, c->carried);
    return found;
}

static void readable(connection *c) {
    for (;;) {
        long n;
        if (c->tls) {
            n = SSL_read(c->tls, read_buffer + MAX_MARK, READ_SIZE);
            if (n <= 0) {
                int why = SSL_get_error(c->tls, (int)n);
                if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) lose(c);
                return;
            }
        } else {
            n = recv(c->fd, read_buffer + MAX_MARK, READ_SIZE, 0);
            if (n < 0 && errno == EAGAIN) return;
            if (n <= 0) { lose(c); return; }
        }
        if (c->state == SCRIPT) {
            if (marks(c, c->script, (size_t)n)) {
                c->script++;
                c->carried = 0;
                play(c);
                if (c->state == IDLE) return;
            }
        } else if (on_done) {
            unsigned found = marks(c, &done_mark, (size_t)n);
            if (found) {
                progress_at = now_ns();
                on_done(c, found, progress_at);
                if (c->state == IDLE) return;
            }
        }
    }
}

static void turn(int patience_ms) {
    static struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll_fd, events, EVENTS, patience_ms);
    for (int i = 0; i < n; i++) {
        connection *c = events[i].data.ptr;
        if (c->fd < 0) continue;
        if (c->state == CONNECTING) {
            if (events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) connected(c);
        } else if (c->state == HANDSHAKE) {
            handshake(c);
        } else {
            if (c->wants_write && events[i].events & EPOLLOUT) flush_out(c);
            if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) readable(c);
        }
    }
    if (now_ns() - progress_at > PATIENCE_NS) fail("no answer");
}

static void dial_idle(void) {
    int dialing = 0;
    uint64_t now = now_ns();
    for (int i = 0; i < count; i++) dialing += connections[i].state != IDLE && connections[i].state != READY;
    for (int i = 0; i < count && dialing < at_once; i++)
        if (connections[i].state == IDLE && now >= connections[i].retry_at) {
            dial(&connections[i]);
            dialing++;
        }
}

/* --- commands ------------------------------------------------------------------------------------------- */

static void send_request(connection *c, const part *request, uint64_t now) {
    c->sent_at[(c->sent_head + c->in_flight++) % MAX_IN_FLIGHT] = now;
    put(c, request);
}

static void answered(connection *c, unsigned found, uint64_t now) {
    while (found-- && c->in_flight) {
        sample(now - c->sent_at[c->sent_head++ % MAX_IN_FLIGHT]);
        c->in_flight--;
        completed++;
    }
    if (!sending || !want_in_flight) return;
    while (c->in_flight < want_in_flight) send_request(c, &requests[(size_t)random() % request_count], now);
    flush_out(c);
}

static int any_in_flight(void) {
    for (unsigned i = 0; i < active; i++)
        if (connections[i].in_flight) return 1;
    return 0;
}

static void start_run(void) {
    completed = sample_count = 0;
    progress_at = now_ns();
    on_done = answered;
    sending = 1;
}

static void finish_run(uint64_t began, double busy) {
    /* Counted until the last request left; what is on its way then only has to arrive. */
    uint64_t ended = now_ns(), counted = completed;
    double used = busy_seconds() - busy;
    sending = 0;
    while (any_in_flight()) turn(100);
    on_done = NULL;
    completed = counted;
    report((double)(ended - began) / 1e9, used);
}

static void ask(unsigned in_flight, double seconds) {
    uint64_t began = now_ns(), until = began + (uint64_t)(seconds * 1e9);
    double busy = busy_seconds();
    want_in_flight = in_flight;
    start_run();
    for (unsigned i = 0; i < active; i++) answered(&connections[i], 0, began);
    while (now_ns() < until) turn(1);
    finish_run(began, busy);
}

/* Sleeps until something arrives or the time has come: others may need this core. */
static void wait_until(uint64_t due) {
    struct pollfd waits = {.fd = epoll_fd, .events = POLLIN};
    uint64_t now = now_ns(), left = due > now ? due - now : 0;
    struct timespec patience = {.tv_sec = (time_t)(left / SECOND_NS), .tv_nsec = (long)(left % SECOND_NS)};
    ppoll(&waits, 1, &patience, NULL);
}

static void pace(double rate, double seconds) {
    uint64_t began = now_ns(), until = began + (uint64_t)(seconds * 1e9), due = began;
    uint64_t gap = (uint64_t)(1e9 / rate);
    unsigned next = 0;
    double busy = busy_seconds();
    want_in_flight = 0;
    start_run();
    for (uint64_t now = began; now < until; now = now_ns()) {
        for (; due <= now; due += gap, next++) {
            connection *c = &connections[next % active];
            if (c->in_flight == MAX_IN_FLIGHT) fail("the server does not keep up with the pace");
            /* Timed from when it was due: a server that stalls does not slow the questions down. */
            send_request(c, &requests[(size_t)random() % request_count], due);
            flush_out(c);
        }
        wait_until(due);
        turn(0);
    }
    finish_run(began, busy);
}

static unsigned fan_left;
static void fanned(connection *c, unsigned found, uint64_t now) {
    (void)now;
    if (c != connections) fan_left -= found;
}

static void fan(unsigned times) {
    uint64_t began = now_ns();
    double busy = busy_seconds();
    start_run();
    on_done = fanned;
    for (unsigned i = 0; i < times; i++) {
        uint64_t sent = now_ns();
        fan_left = (unsigned)count - 1;
        put(connections, &requests[i % request_count]);
        flush_out(connections);
        while (fan_left) turn(100);
        completed++;
        sample(now_ns() - sent);
    }
    on_done = NULL;
    report((double)(now_ns() - began) / 1e9, busy_seconds() - busy);
}

static void storm(void) {
    uint64_t first_lost = 0, back = 0, began = now_ns();
    double busy = busy_seconds();
    int lost = 0;
    completed = sample_count = 0;
    progress_at = began;
    at_once = count;
    storming = 1;
    for (int i = 0; i < count; i++) connections[i].lost = 0;
    printf("{\"armed\":true}\n");
    fflush(stdout);
    while (lost < count || unready) {
        turn(5);
        lost = 0;
        for (int i = 0; i < count; i++) lost += connections[i].lost;
        if (lost && !first_lost) first_lost = now_ns();
        if (lost == count) dial_idle();
        if (lost < count && now_ns() - began > PATIENCE_NS) fail("the connections were not lost");
    }
    back = now_ns();
    storming = 0;
    completed = (uint64_t)count;
    report((double)(back - first_lost) / 1e9, busy_seconds() - busy);
}

static void cycle(double seconds) {
    uint64_t began = now_ns();
    double busy = busy_seconds();
    progress_at = began;
    while (now_ns() - began < (uint64_t)(seconds * 1e9)) {
        dial_idle();
        turn(1);
    }
    report((double)(now_ns() - began) / 1e9, busy_seconds() - busy);
}

static void open_all(void) {
    uint64_t began = now_ns();
    double busy = busy_seconds();
    progress_at = began;
    while (unready) {
        dial_idle();
        turn(5);
    }
    completed = (uint64_t)count;
    report((double)(now_ns() - began) / 1e9, busy_seconds() - busy);
}

static void obey(void) {
    char line[256];
    unsigned in_flight;
    double seconds, rate;
    for (;;) {
        struct pollfd waits[2] = {{.fd = 0, .events = POLLIN}, {.fd = epoll_fd, .events = POLLIN}};
        poll(waits, 2, -1);
        progress_at = now_ns();
        if (waits[1].revents) turn(0);
        if (!waits[0].revents) continue;
        if (!fgets(line, sizeof line, stdin)) return;
        if (sscanf(line, "ask %u %u %lf", &active, &in_flight, &seconds) == 3 && in_flight <= MAX_IN_FLIGHT)
            ask(in_flight, seconds);
        else if (sscanf(line, "pace %u %lf %lf", &active, &rate, &seconds) == 3)
            pace(rate, seconds);
        else if (sscanf(line, "fan %u", &in_flight) == 1)
            fan(in_flight);
        else if (!strcmp(line, "storm\n"))
            storm();
        else
            fail("no such command");
    }
}

/* --- files ---------------------------------------------------------------------------------------------- */

static char *whole(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) fail("a file cannot be read");
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*length + 1);
    if (fread(text, 1, *length, file) != *length) fail("a file cannot be read");
    fclose(file);
    return text;
}

static part *parts_of(char *text, size_t length, size_t *found) {
    part *parts = malloc((length + 1) * sizeof *parts);
    char *from = text;
    *found = 0;
    for (char *at = text; at < text + length; at++)
        if (*at == '\x1f' || *at == '\x1e') {
            if (at > from) parts[(*found)++] = (part){from, (size_t)(at - from)};
            from = at + 1;
        }
    return parts;
}

static void read_scripts(const char *path) {
    size_t length, found = 0;
    char *text = whole(path, &length), *from = text;
    scripts = parts_of(text, length, &found);
    script_starts = calloc(length + 2, sizeof *script_starts);
    size_t at = 0;
    for (char *end; (end = memchr(from, '\x1e', length - (size_t)(from - text))); from = end + 1) {
        for (char *p = from; p < end; p++) at += *p == '\x1f';
        script_starts[++script_count] = at;
    }
}

int main(int argc, char **argv) {
    size_t length;
    if (argc != 9 && argc != 11) {
        fprintf(stderr, "load PORT TLS CONNECTIONS AT_ONCE PER_ADDRESS SCRIPTS REQUESTS DONE [cycle SECONDS]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdin, NULL, _IONBF, 0);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    port = atoi(argv[1]);
    use_tls = atoi(argv[2]);
    count = unready = atoi(argv[3]);
    at_once = atoi(argv[4]);
    per_address = (size_t)atoi(argv[5]);
    read_scripts(argv[6]);
    char *text = whole(argv[7], &length);
    requests = parts_of(text, length, &request_count);
    done_mark = (part){argv[8], strlen(argv[8])};
    epoll_fd = epoll_create1(0);
    connections = calloc((size_t)count, sizeof *connections);
    for (int i = 0; i < count; i++) connections[i].fd = -1;
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    if (argc == 11) {
        cycling = 1;
        cycle(atof(argv[10]));
        return 0;
    }
    open_all();
    obey();
    return 0;
}

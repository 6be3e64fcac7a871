/* An open-loop HTTP client: requests are due at times of their own, whatever the server does, and latency counts from
 * the time at which a request was due. Usage: open_loop PORT RATE SECONDS CONNECTIONS SEED < request
 *
 * Gaps between requests are exponential (a Poisson process). A request goes to a connection that waits for no answer;
 * where there is none it waits, and its latency grows. Prints one line of JSON, times in milliseconds. `late` is how long
 * after its time a request was sent that found a connection free: the client's own delay. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 4096       /* connections, and bytes of a request and of an answer */
#define WARM_S 0.5      /* not counted */
#define LAST_S 2.0      /* how long the last answers are waited for */

struct connection { int fd; int busy; double due; size_t have; char answer[MOST]; };

static struct connection *connections;
static int *unused, n_unused; /* connections that wait for nothing, last one first */
static double *waiting;       /* times of requests that found no connection, a queue */
static long first, last;
static double *latencies, *lates;
static long answered, bad, n_late, delayed;
static char request[MOST];
static size_t request_bytes;
static double started;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fail(const char *what) { perror(what); exit(1); }

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *sorted, long n, double q) {
    return n ? 1e3 * sorted[(long)fmin((double)n - 1, floor(q * (double)n))] : 0;
}

static void send_request(struct connection *c, double due) {
    c->busy = 1, c->due = due, c->have = 0;
    if (write(c->fd, request, request_bytes) != (ssize_t)request_bytes) fail("write");
}

/* Where the answer ends, 0 as long as that is not known. Answers with a Content-Length only. */
static size_t end_of_answer(struct connection *c) {
    char *head = memmem(c->answer, c->have, "\r\n\r\n", 4), *length;
    if (!head) return 0;
    c->answer[c->have] = 0;
    length = strcasestr(c->answer, "\r\ncontent-length:");
    if (!length || length > head) { fprintf(stderr, "an answer without Content-Length\n"); exit(1); }
    return (size_t)(head + 4 - c->answer) + (size_t)atol(length + 17);
}

static void take(struct connection *c) {
    ssize_t n = read(c->fd, c->answer + c->have, MOST - 1 - c->have);
    size_t end;
    double t = now();
    if (n <= 0) { fprintf(stderr, "the server closed a connection\n"); exit(1); }
    c->have += (size_t)n;
    end = end_of_answer(c);
    if (!end || c->have < end) return;
    if (c->due >= started + WARM_S) {
        if (strncmp(c->answer, "HTTP/1.1 200", 12)) bad++;
        latencies[answered++] = t - c->due;
    }
    c->busy = 0;
    if (first < last) send_request(c, waiting[first++]);
    else unused[n_unused++] = (int)(c - connections);
}

static void start(double due, double t) {
    int counts = due >= started + WARM_S;
    if (!n_unused) { waiting[last++] = due, delayed += counts; return; }
    if (counts) lates[n_late++] = t - due;
    send_request(&connections[unused[--n_unused]], due);
}

static void open_connections(int port, int count, int poller) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        connections[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(connections[i].fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
        setsockopt(connections[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (epoll_ctl(poller, EPOLL_CTL_ADD, connections[i].fd, &event)) fail("epoll_ctl");
        unused[n_unused++] = i;
    }
}

static void run(int poller, double rate, double seconds) {
    struct epoll_event events[256];
    double due, end, t;
    started = now(), due = started, end = started + WARM_S + seconds;
    while ((t = now()) < end + LAST_S) {
        double until;
        struct timespec wait = {0, 0};
        int n;
        for (; due <= t && due < end; due -= log1p(-drand48()) / rate) start(due, t);
        until = due < end ? due : end + LAST_S;
        if (due >= end && first == last) {
            int busy = 0;
            for (long i = 0; connections[i].fd; i++) busy |= connections[i].busy;
            if (!busy) return;
        }
        if (until > (t = now())) wait.tv_sec = (time_t)(until - t), wait.tv_nsec = (long)(fmod(until - t, 1.0) * 1e9);
        n = epoll_pwait2(poller, events, 256, &wait, NULL);
        if (n < 0 && errno != EINTR) fail("epoll_pwait2");
        for (int i = 0; i < n; i++) take(events[i].data.ptr);
    }
}

int main(int argc, char **argv) {
    if (argc != 6) { fprintf(stderr, "open_loop PORT RATE SECONDS CONNECTIONS SEED < request\n"); return 2; }
    double rate = atof(argv[2]), seconds = atof(argv[3]);
    int count = atoi(argv[4]), poller = epoll_create1(0);
    long most = (long)(rate * (seconds + WARM_S) * 1.5) + 1000, sent;
    srand48(atol(argv[5]));
    prctl(PR_SET_TIMERSLACK, 1UL);
    request_bytes = fread(request, 1, MOST, stdin);
    connections = calloc((size_t)count + 1, sizeof *connections), unused = calloc((size_t)count, sizeof *unused);
    waiting = calloc((size_t)most, sizeof *waiting);
    latencies = calloc((size_t)most, sizeof *latencies), lates = calloc((size_t)most, sizeof *lates);
    open_connections(atoi(argv[1]), count, poller);
    run(poller, rate, seconds);
    sent = n_late + delayed;
    qsort(latencies, (size_t)answered, sizeof *latencies, ascending);
    qsort(lates, (size_t)n_late, sizeof *lates, ascending);
    printf("{\"sent\": %ld, \"unanswered\": %ld, \"refused\": %ld, \"found_none_free\": %ld, \"p50\": %.4f, \"p99\": %.4f, "
           "\"p999\": %.4f, \"highest\": %.4f, \"late_p50\": %.4f, \"late_p99\": %.4f, \"late_highest\": %.4f}\n",
           sent, sent - answered, bad, delayed, quantile(latencies, answered, 0.5), quantile(latencies, answered, 0.99),
           quantile(latencies, answered, 0.999), quantile(latencies, answered, 1), quantile(lates, n_late, 0.5),
           quantile(lates, n_late, 0.99), quantile(lates, n_late, 1));
    return 0;
}

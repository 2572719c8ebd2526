/* What each kind of load does next, and the loop that all of them share. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* How many handshakes may be under way at once while connections are held open for a measurement:
 * a listening queue must not overflow. */
#define HANDSHAKES_AT_ONCE 64
#define QUEUE 4096

int poller;

static struct connection *connections;
static bool started;        /* somebody said go, and it is measured */
static bool ending;
static int resting;         /* connections that hold what they should */
static int next_to_open;
static long requests_begun;

/* RATE: connections with nothing to do, and requests that found none. */
static struct connection **idle;
static int idle_count;
static uint64_t waiting[QUEUE];
static unsigned waiting_first, waiting_last;

static char timer_marker, input_marker;

static void open_next(void)
{
    if (next_to_open < options.connections)
        connection_open(&connections[next_to_open++]);
}

static void hold(void)
{
    resting++;
    open_next();
}

void opened(struct connection *c)
{
    if (options.mode == CONNECT) {
        connection_send(c, c->began);
        return;
    }
    /* One request on each before it counts, so that each is a connection that was used. */
    if (options.mode == TRANSFER)
        hold();
    else
        connection_send(c, now_ns());
}

static void begin(struct connection *c)
{
    if (options.mode == TRANSFER) {
        if (requests_begun < options.count) {
            requests_begun++;
            connection_send(c, now_ns());
        } else if (figures.requests + figures.errors >= options.count) {
            ending = true;
        }
        return;
    }
    connection_send(c, now_ns());
}

void answered(struct connection *c)
{
    figures.requests++;
    if (options.mode == CONNECT) {
        record_latency(now_ns() - c->began);
        connection_close(c);
        uint64_t began = now_ns();
        connection_open(c);
        c->began = began;
        return;
    }
    if (!started) {
        hold();
        if (options.mode == RATE)
            idle[idle_count++] = c;
        return;
    }
    record_latency(now_ns() - c->began);
    if (options.mode == GET || options.mode == TRANSFER) {
        begin(c);
    } else if (options.mode == RATE) {
        if (waiting_first != waiting_last)
            connection_send(c, waiting[waiting_first++ % QUEUE]);
        else
            idle[idle_count++] = c;
    }
}

void broken(struct connection *c, const char *why)
{
    if (ending)
        return;
    fail(why);
    connection_close(c);
    if (figures.errors > 100 + 2L * options.connections) {
        fprintf(stderr, "load client: too many errors, the first one: %s\n", figures.first_error);
        exit(1);
    }
    if (options.mode == CONNECT || options.mode == GET || options.mode == RATE) {
        uint64_t began = now_ns();
        connection_open(c);
        c->began = began;
    } else if (!started) {
        hold();  /* one less; the figures tell */
    } else if (options.mode == TRANSFER && figures.requests + figures.errors >= options.count) {
        ending = true;
    }
}

bool wants_body(struct connection *c)
{
    if (options.mode != SLOW)
        return true;
    if (c->left >= 0) {
        c->left = -2;  /* counted once */
        hold();
    }
    return false;
}

/* Lines hold `t=` and the nanoseconds at which they were written.  Whatever frames the pieces of
 * a stream is between lines, so it can be passed over. */
void stream_bytes(struct connection *c, const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (data[i] != '\n') {
            if (c->head_length < sizeof c->head - 1)
                c->head[c->head_length++] = data[i];
            continue;
        }
        c->head[c->head_length] = 0;
        c->head_length = 0;
        char *stamp = strstr(c->head, "t=");
        if (!stamp)
            continue;
        uint64_t written = strtoull(stamp + 2, NULL, 10);
        if (started) {
            figures.requests++;
            record_latency(now_ns() - written);
        } else if (c->state == BODY && c->left == -1) {
            c->left = -2;
            hold();
        }
    }
}

static int start_timer(void)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    long step = 1000000000L / options.rate;
    struct itimerspec spec = {.it_value.tv_nsec = step, .it_interval.tv_nsec = step};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &timer_marker};
    timerfd_settime(timer, 0, &spec, NULL);
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    return timer;
}

static void on_timer(int timer)
{
    uint64_t times = 0, now = now_ns();
    if (read(timer, &times, sizeof times) != sizeof times)
        return;
    while (times--) {
        if (idle_count)
            connection_send(idle[--idle_count], now);
        else if (waiting_last - waiting_first < QUEUE)
            waiting[waiting_last++ % QUEUE] = now;
        else
            fail("the queue of requests is full");
    }
}

/* Handle what happens until `ending`, the deadline, or, before the start, until all is held. */
static bool turn(uint64_t deadline, int timer)
{
    struct epoll_event events[256];
    uint64_t now = now_ns();
    if (deadline && now >= deadline)
        return false;
    int timeout = deadline ? (int)((deadline - now) / 1000000u) + 1 : -1;
    int count = epoll_wait(poller, events, 256, timeout);
    for (int i = 0; i < count && !ending; i++) {
        void *what = events[i].data.ptr;
        if (what == &timer_marker) {
            on_timer(timer);
        } else if (what == &input_marker) {
            char line[64];
            if (read(0, line, sizeof line) <= 0)
                exit(1);  /* whoever started us is gone */
            ending = !deadline && started;
            if (!started)
                return false;
        } else {
            connection_ready(what, events[i].events);
        }
    }
    return !ending;
}

static void watch_input(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &input_marker};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event) && errno != EPERM)
        perror("load client: standard input");
}

static void wait_for_go(void)
{
    char line[64];
    print_event("ready", 0, 0);
    if (options.mode == IDLE || options.mode == SLOW || options.mode == STREAMS) {
        watch_input();
        while (turn(0, -1))
            ;
        epoll_ctl(poller, EPOLL_CTL_DEL, 0, NULL);
    } else if (read(0, line, sizeof line) <= 0) {
        exit(1);
    }
}

int run(void)
{
    poller = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)options.connections, sizeof *connections);
    idle = calloc((size_t)options.connections, sizeof *idle);
    for (int i = 0; i < options.connections; i++)
        connections[i].fd = -1;
    if (options.mode != CONNECT) {
        for (int i = 0; i < HANDSHAKES_AT_ONCE && i < options.connections; i++)
            open_next();
        while (resting < options.connections)
            turn(0, -1);
    }
    wait_for_go();
    if (options.mode == IDLE || options.mode == SLOW) {
        print_event("done", 0, own_cpu_seconds());
        return 0;
    }

    forget_figures();
    double cpu = own_cpu_seconds();
    uint64_t start = now_ns();
    uint64_t deadline = options.mode == TRANSFER ? 0 : start + (uint64_t)(options.seconds * 1e9);
    int timer = -1;
    started = true;
    if (options.mode == CONNECT) {
        for (int i = 0; i < options.connections; i++) {
            connection_open(&connections[i]);
            connections[i].began = start;
        }
    } else if (options.mode == RATE) {
        timer = start_timer();
    } else if (options.mode != STREAMS) {
        for (int i = 0; i < options.connections; i++)
            begin(&connections[i]);
    }
    while (turn(deadline, timer))
        ;
    print_event("done", (double)(now_ns() - start) / 1e9, own_cpu_seconds() - cpu);
    return 0;
}

/* The load client: one thread, one epoll, OpenSSL straight on non-blocking sockets.
 *
 * connection.c brings requests and answers over one TLS connection, modes.c decides what
 * happens next on each, report.c keeps figures, main.c reads the command line.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mode { GET, CONNECT, RATE, TRANSFER, IDLE, SLOW, STREAMS };

struct options {
    enum mode mode;
    const char *host, *server_name, *path, *ca, *certificate, *key;
    int port, connections;
    long rate;    /* RATE: requests a second over all connections */
    long count;   /* TRANSFER: requests in all */
    long upload;  /* bytes of each request's body; 0: a GET */
    long vary;    /* 1: NUMBER in the path is another one in each request */
    double seconds;
};

#define NUMBER "00000000"

enum state { CLOSED, CONNECTING, HANDSHAKE, SENDING, HEAD, BODY, RESTING };

struct connection {
    int fd;
    SSL *ssl;
    enum state state;
    uint32_t events;       /* what epoll was asked for */
    uint64_t began;        /* ns: when the request should have gone out */
    size_t sent;           /* bytes of the request head */
    long upload_left;      /* bytes of the request body */
    long left;             /* bytes of the answer's body; -1: until the end of the connection */
    size_t head_length;
    char head[8192];       /* the answer's head, or the unfinished line of a stream */
};

struct figures {
    long requests, handshakes, errors;
    uint64_t bytes;
    uint32_t *latencies;   /* ns */
    size_t recorded, room;
    char first_error[256];
    char tls[128];
};

extern struct options options;
extern struct figures figures;
extern int poller;

/* report.c */
uint64_t now_ns(void);
double own_cpu_seconds(void);
void record_latency(uint64_t ns);
void forget_figures(void);
void fail(const char *what);  /* counts an error and keeps the first one's words */
void print_event(const char *event, double seconds, double cpu);

/* connection.c */
void prepare_connections(void);  /* reads the certificates; ends the process when it cannot */
void connection_open(struct connection *c);
void connection_close(struct connection *c);
void connection_send(struct connection *c, uint64_t began);
void connection_ready(struct connection *c, uint32_t events);

/* modes.c: what happens next */
void answered(struct connection *c);               /* the whole answer is there */
void opened(struct connection *c);                 /* the handshake is over */
void broken(struct connection *c, const char *why);
bool wants_body(struct connection *c);             /* false: leave the body where it is */
void stream_bytes(struct connection *c, const char *data, size_t length);
int run(void);

#endif

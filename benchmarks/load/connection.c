/* One TLS connection: the handshake, requests out, answers in. */
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *context;
static struct sockaddr_in address;
static char request[4096];
static size_t request_length;
static char *number;         /* where in the request it differs from all others, or NULL */
static char scratch[65536];  /* bodies are read into here, and sent from here */

static void read_or_end(int done, const char *what)
{
    if (done == 1)
        return;
    fprintf(stderr, "load client: cannot use %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

void prepare_connections(void)
{
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    read_or_end(SSL_CTX_load_verify_locations(context, options.ca, NULL), options.ca);
    read_or_end(SSL_CTX_use_certificate_chain_file(context, options.certificate), "certificate");
    read_or_end(SSL_CTX_use_PrivateKey_file(context, options.key, SSL_FILETYPE_PEM), "key");
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Each connection is a new one, as from a new process of a command line. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1);
    if (options.mode == TRANSFER && !options.upload)
        SSL_CTX_set_default_read_buffer_len(context, 131072);

    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)options.port);
    read_or_end(inet_pton(AF_INET, options.host, &address.sin_addr), options.host);

    int length = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: %s\r\n"
        "User-Agent: toolforge-gateway-benchmark\r\nAccept: application/json\r\n",
        options.upload ? "POST" : "GET", options.path, options.server_name);
    if (options.upload)
        length += snprintf(request + length, sizeof request - (size_t)length,
            "Content-Type: application/octet-stream\r\nContent-Length: %ld\r\n", options.upload);
    length += snprintf(request + length, sizeof request - (size_t)length, "\r\n");
    request_length = (size_t)length;
    number = options.vary ? strstr(request, NUMBER) : NULL;
}

static void watch(struct connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (c->events != events)
        epoll_ctl(poller, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event);
    c->events = events;
}

void connection_open(struct connection *c)
{
    int on = 1, small = 16384;
    memset(c, 0, offsetof(struct connection, head));
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        perror("load client: socket");
        exit(1);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (options.mode == SLOW)  /* what the kernel would take is no memory of the proxy's */
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    c->state = CONNECTING;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
        broken(c, strerror(errno));
        return;
    }
    watch(c, EPOLLOUT);
}

void connection_close(struct connection *c)
{
    if (c->ssl) {
        if (c->state > HANDSHAKE)
            SSL_shutdown(c->ssl);  /* sends our close_notify and does not wait for theirs */
        SSL_free(c->ssl);
    }
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->ssl = NULL;
    c->state = CLOSED;
    c->events = 0;
    ERR_clear_error();
}

/* What OpenSSL waits for, or false: the connection is of no more use. */
static bool blocked(struct connection *c, int result, const char *what)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        if (c->state != SENDING)  /* then reading was only on the way */
            watch(c, EPOLLIN);
        return true;
    case SSL_ERROR_WANT_WRITE:
        watch(c, EPOLLIN | EPOLLOUT);
        return true;
    default: {
        unsigned long error = ERR_get_error();
        char words[256];
        snprintf(words, sizeof words, "%s: %s", what,
                 error ? ERR_reason_error_string(error) : "the connection ended");
        broken(c, words);
        return false;
    }
    }
}

static void shake_hands(struct connection *c)
{
    if (!c->ssl) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            broken(c, strerror(error));
            return;
        }
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_tlsext_host_name(c->ssl, options.server_name);
        SSL_set1_host(c->ssl, options.server_name);
        c->state = HANDSHAKE;
    }
    int result = SSL_connect(c->ssl);
    if (result != 1) {
        blocked(c, result, "handshake");
        return;
    }
    if (!figures.tls[0])
        snprintf(figures.tls, sizeof figures.tls, "%s %s", SSL_get_version(c->ssl),
                 SSL_get_cipher_name(c->ssl));
    figures.handshakes++;
    c->state = RESTING;
    watch(c, EPOLLIN);
    opened(c);
}

static void push(struct connection *c)
{
    while (c->sent < request_length || c->upload_left) {
        int result;
        if (c->sent < request_length) {
            result = SSL_write(c->ssl, request + c->sent, (int)(request_length - c->sent));
            if (result > 0)
                c->sent += (size_t)result;
        } else {
            long piece = c->upload_left < 65536 ? c->upload_left : 65536;
            result = SSL_write(c->ssl, scratch, (int)piece);
            if (result > 0) {
                c->upload_left -= result;
                figures.bytes += (uint64_t)result;
            }
        }
        if (result <= 0) {
            blocked(c, result, "sending");
            return;
        }
    }
    c->state = HEAD;
    watch(c, EPOLLIN);
}

static void next_number(void)
{
    static unsigned long count;
    unsigned long rest = ++count;
    for (int at = (int)strlen(NUMBER) - 1; at >= 0; at--, rest /= 10)
        number[at] = (char)('0' + rest % 10);
}

void connection_send(struct connection *c, uint64_t began)
{
    if (number)
        next_number();
    c->began = began;
    c->sent = c->head_length = 0;
    c->upload_left = options.upload;
    c->state = SENDING;
    push(c);
}

/* A field's value, or NULL; the head ends with a NUL. */
static const char *field(const char *head, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (!strncasecmp(line, name, length) && line[length] == ':')
            return line + length + 1;
    }
    return NULL;
}

/* Take bytes of the head; what follows it in the buffer is of the body. */
static size_t take_head(struct connection *c, const char *data, size_t length)
{
    size_t room = sizeof c->head - 1 - c->head_length, before = c->head_length;
    size_t taken = length < room ? length : room;
    memcpy(c->head + before, data, taken);
    c->head_length += taken;
    c->head[c->head_length] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) {
        if (taken == room)
            broken(c, "the head of an answer is too long");
        return taken;
    }
    end[2] = 0;
    if (strncmp(c->head, "HTTP/1.1 200 ", 13)) {
        c->head[strcspn(c->head, "\r")] = 0;
        broken(c, c->head);
        return taken;
    }
    const char *declared = field(c->head, "content-length");
    c->left = declared ? strtol(declared, NULL, 10) : -1;
    if (!declared && options.mode != STREAMS)
        broken(c, "an answer without Content-Length");
    else
        c->state = BODY;
    return (size_t)(end + 4 - c->head) - before;
}

static void take(struct connection *c, const char *data, size_t length)
{
    if (c->state == SENDING) {
        broken(c, "an answer came before the whole request was sent");
        return;
    }
    if (c->state == HEAD) {
        size_t used = take_head(c, data, length);
        data += used;
        length -= used;
        c->head_length = c->state == BODY ? 0 : c->head_length;
    }
    if (c->state != BODY)
        return;
    if (c->left < 0) {
        stream_bytes(c, data, length);
        return;
    }
    if (!options.upload)
        figures.bytes += length;
    c->left -= (long)length;
    if (c->left <= 0) {
        c->state = RESTING;
        answered(c);
    }
}

static void pull(struct connection *c)
{
    do {
        if (c->state == BODY && !wants_body(c)) {
            watch(c, EPOLLRDHUP);
            return;
        }
        int result = SSL_read(c->ssl, scratch, sizeof scratch);
        if (result <= 0) {
            blocked(c, result, c->state == RESTING ? "between requests" : "reading");
            return;
        }
        take(c, scratch, (size_t)result);
        /* Level-triggered: what is in the socket is told again, what OpenSSL has taken is not. */
    } while (c->ssl && SSL_has_pending(c->ssl) && c->state > SENDING);
}

void connection_ready(struct connection *c, uint32_t events)
{
    if (c->state == CONNECTING || c->state == HANDSHAKE) {
        shake_hands(c);
        return;
    }
    if (c->state == SENDING && events & EPOLLOUT)
        push(c);
    if (c->ssl && events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        pull(c);
}

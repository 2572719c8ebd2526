/* client MODE name=value ...: see the table below; every value has one meaning in every mode. */
#include "client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct options options = {
    .host = "127.0.0.1", .server_name = "localhost", .path = "/", .connections = 1, .count = 1,
    .rate = 300, .seconds = 1,
};

static const char *const MODES[] = {
    [GET] = "get", [CONNECT] = "connect", [RATE] = "rate", [TRANSFER] = "transfer",
    [IDLE] = "idle", [SLOW] = "slow", [STREAMS] = "streams",
};

static void usage(const char *what)
{
    fprintf(stderr, "load client: what is %s?\n", what);
    exit(2);
}

static void set(const char *name, const char *value)
{
    const struct { const char *name; const char **text; } texts[] = {
        {"host", &options.host}, {"server_name", &options.server_name}, {"path", &options.path},
        {"ca", &options.ca}, {"certificate", &options.certificate}, {"key", &options.key},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(name, texts[i].name)) {
            *texts[i].text = value;
            return;
        }
    if (!strcmp(name, "port"))
        options.port = atoi(value);
    else if (!strcmp(name, "connections"))
        options.connections = atoi(value);
    else if (!strcmp(name, "rate"))
        options.rate = atol(value);
    else if (!strcmp(name, "count"))
        options.count = atol(value);
    else if (!strcmp(name, "upload"))
        options.upload = atol(value);
    else if (!strcmp(name, "vary"))
        options.vary = atol(value);
    else if (!strcmp(name, "seconds"))
        options.seconds = atof(value);
    else
        usage(name);
}

int main(int argc, char **argv)
{
    int mode = -1;
    for (size_t i = 0; argc > 1 && i < sizeof MODES / sizeof *MODES; i++)
        if (!strcmp(argv[1], MODES[i]))
            mode = (int)i;
    if (mode < 0)
        usage(argc > 1 ? argv[1] : "the mode");
    options.mode = (enum mode)mode;
    for (int i = 2; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals)
            usage(argv[i]);
        *equals = 0;
        set(argv[i], equals + 1);
    }
    if (!options.port || !options.ca || !options.certificate || !options.key)
        usage("port, ca, certificate and key");
    if (options.connections < 1 || options.rate < 1)
        usage("the number of connections, or the rate");
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    alarm(300);  /* whatever happens, it ends */
    prepare_connections();
    return run();
}

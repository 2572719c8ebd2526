/* Figures, and the one line of JSON that each event is reported in. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct figures figures;

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double own_cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec)
        + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

void record_latency(uint64_t ns)
{
    if (figures.recorded == figures.room) {
        figures.room = figures.room ? figures.room * 2 : 65536;
        figures.latencies = realloc(figures.latencies, figures.room * sizeof *figures.latencies);
        if (!figures.latencies) {
            fputs("out of memory\n", stderr);
            exit(1);
        }
    }
    figures.latencies[figures.recorded++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

void forget_figures(void)
{
    figures.requests = figures.handshakes = figures.errors = 0;
    figures.bytes = figures.recorded = 0;
    figures.first_error[0] = 0;
}

void fail(const char *what)
{
    if (!figures.errors++)
        snprintf(figures.first_error, sizeof figures.first_error, "%s", what);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_text(const char *text)
{
    putchar('"');
    for (; *text; text++)
        putchar(*text < ' ' || *text == '"' || *text == '\\' || *text > '~' ? '?' : *text);
    putchar('"');
}

static double microseconds_at(double share)
{
    size_t last = figures.recorded - 1;
    return figures.latencies[(size_t)(share * (double)last + 0.5)] / 1e3;
}

void print_event(const char *event, double seconds, double cpu)
{
    printf("{\"event\":\"%s\",\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"requests\":%ld,"
           "\"handshakes\":%ld,\"bytes\":%llu,\"errors\":%ld,\"error\":",
           event, seconds, cpu, figures.requests, figures.handshakes,
           (unsigned long long)figures.bytes, figures.errors);
    print_text(figures.first_error);
    fputs(",\"tls\":", stdout);
    print_text(figures.tls);
    printf(",\"samples\":%zu", figures.recorded);
    if (figures.recorded) {
        qsort(figures.latencies, figures.recorded, sizeof *figures.latencies, ascending);
        printf(",\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f",
               microseconds_at(0.5), microseconds_at(0.9), microseconds_at(0.99));
    }
    puts("}");
    fflush(stdout);
}

"""Everything that is measured: one row for each measure.

The one place where a measure gets its name, its labels, its sentence, and the rule by which those
of several processes become one.  Whoever measures something new adds a row here, puts the number
into the `Figures` of its process, and explains it in `docs/operations.md`; the sum over workers,
the way between processes and /metrics know of it by this row alone.

Some measures are not told by any process but worked out of what all of them tell: `derived`.

Names are those of Prometheus: base units, `_total` for what only grows.  No label may have values
that a client can invent.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

import attrs

PREFIX = "toolforge_gateway_"


class Kind(enum.Enum):
    """What sort of number it is."""

    COUNTER = "counter"
    """Only grows while its process lives; what a process has counted stays in the sum when it has
    ended."""
    GAUGE = "gauge"
    """How it is now; of a process that has ended nothing stays."""
    HISTOGRAM = "histogram"
    """A `Spread` of durations; a counter in this respect."""


class Together(enum.Enum):
    """What the numbers of several processes make."""

    SUM = "sum"
    GREATEST = "greatest"
    LEAST = "least"


@attrs.frozen
class Measure:
    """One thing that is measured."""

    name: str
    kind: Kind
    help: str
    """One sentence for who reads /metrics."""
    labels: tuple[str, ...] = ()
    together: Together = Together.SUM


def _counter(name: str, text: str, *labels: str, together: Together = Together.SUM) -> Measure:
    return Measure(PREFIX + name + "_total", Kind.COUNTER, text, labels, together)


def _gauge(name: str, text: str, *labels: str, together: Together = Together.SUM) -> Measure:
    return Measure(PREFIX + name, Kind.GAUGE, text, labels, together)


def _spread(name: str, text: str, *labels: str) -> Measure:
    return Measure(PREFIX + name + "_seconds", Kind.HISTOGRAM, text, labels)


REQUESTS = _counter(
    "requests",
    "Requests that are over; status_class is 2xx and so on, or none where the client left before"
    " an answer began.",
    "backend",
    "method",
    "status_class",
)
HEAD_SECONDS = _spread(
    "response_head",
    "Time from a request's head to its answer's head; what follows a log for hours is as quick as"
    " it began.",
    "backend",
    "method",
    "status_class",
)
DECISIONS = _counter(
    "decisions",
    "Requests that are over by their reason word in the access log; result is allowed, refused (by"
    " us), failed (by the backend) or left (by the client).",
    "backend",
    "reason",
    "result",
)
ERRORS = _counter(
    "request_errors",
    "Requests that failed by the fault of the gateway or a backend: 5xx, or the backend broke its"
    " answer off.",
    "backend",
)
INCOMPLETE = _counter(
    "answers_incomplete", "Answers that did not reach their end, whoever ended them.", "backend"
)
BYTES_IN = _counter("request_body_bytes", "Bytes of request bodies.", "backend")
BYTES_OUT = _counter("answer_body_bytes", "Bytes of answers' bodies.", "backend")

CONNECTIONS = _gauge("connections", "Connections of clients that are open.")
CONNECTIONS_LIMIT = _gauge("connections_limit", "How many connections of clients may be open.")
CONNECTIONS_REFUSED = _counter(
    "connections_refused",
    "Connections that were closed at once because of a limit: connections or"
    " connections_per_address.",
    "limit",
)
HANDSHAKES_FAILED = _counter(
    "handshakes_failed",
    "TLS handshakes that broke off: OpenSSL refused the client's certificate, the client sent an"
    " alert (it refuses ours, mostly), or what it spoke is no TLS of ours (protocol).",
    "cause",
)
UNDER_WAY = _gauge("requests_under_way", "Requests that are not over.")
UNDER_WAY_LIMIT = _gauge("requests_under_way_limit", "How many requests may be under way.")
STREAMS = _gauge("streams", "Requests that have been under way for more than ten seconds.")
DRAINING = _gauge("draining", "Processes that end, and take no new requests.")

BACKEND_FAILING = _gauge(
    "backend_failing",
    "1 while a backend does not answer: the last requests for it failed by its fault.",
    "backend",
)
BACKEND_ANSWERED_AT = _gauge(
    "backend_last_answer_timestamp_seconds",
    "When a backend last gave an answer, whatever its status.",
    "backend",
)
UPSTREAM_CONNECTIONS = _gauge(
    "upstream_connections",
    "Connections to a backend: busy ones serve a request or are being made, idle ones are kept for"
    " the next.",
    "backend",
    "state",
)
UPSTREAM_LIMIT = _gauge(
    "upstream_requests_limit", "How many requests may be at a backend at once.", "backend"
)
UPSTREAM_QUEUE = _gauge(
    "upstream_queue_length", "Requests that wait for a place at a backend.", "backend"
)
UPSTREAM_QUEUE_LIMIT = _gauge(
    "upstream_queue_limit", "How many requests may wait for a place at a backend.", "backend"
)
UPSTREAM_TURNED_AWAY = _counter(
    "upstream_turned_away",
    "Requests that got no place at a backend: the queue was full, or they waited too long.",
    "backend",
    "cause",
)
UPSTREAM_ADDRESSES = _gauge(
    "upstream_addresses",
    "Addresses of a backend by state: up, ejected (spared after failures) or failing-checks; of"
    " several processes, as the one that finds most.",
    "backend",
    "state",
    together=Together.GREATEST,
)
UPSTREAM_DIALS = _counter(
    "upstream_dials", "Connections to a backend that were begun to be made.", "backend"
)
UPSTREAM_FAILURES = _counter(
    "upstream_failures",
    "Connections and requests that an address of a backend failed.",
    "backend",
)
UPSTREAM_EJECTIONS = _counter(
    "upstream_ejections",
    "How often an address of a backend was spared after failures.",
    "backend",
)
UPSTREAM_LOOKUP_FAILURES = _gauge(
    "upstream_lookup_failures",
    "How often in a row, up to now, a backend's name could not be looked up.",
    "backend",
    together=Together.GREATEST,
)

RELOADS = _counter(
    "configuration_reloads",
    "Attempts to load the configuration again, good or bad.",
    "outcome",
    together=Together.GREATEST,
)
RELOAD_GOOD = _gauge(
    "configuration_last_reload_successful",
    "1 when what was loaded last is what runs; 0 when it was refused, and the state before it goes"
    " on.",
)
RELOAD_AT = _gauge(
    "configuration_last_reload_timestamp_seconds",
    "When the configuration was last tried to be loaded, well or not.",
)
LOADED_AT = _gauge(
    "configuration_loaded_timestamp_seconds",
    "When the configuration that runs was loaded.",
    together=Together.LEAST,
)
CONFIGURATION = _gauge(
    "configuration_info",
    "Processes that run each version of the configuration, which is the beginning of the file's"
    " SHA-256.",
    "version",
)

EXPIRY = _gauge(
    "certificate_expiry_timestamp_seconds",
    "When a certificate (to the first end in its chain), a CA or a revocation list runs out; 0"
    " where a list is missing. Of one group it is enough that one is in date.",
    "name",
    "kind",
    "group",
)
FILES_REFUSED = _gauge(
    "certificate_refused",
    "1 while files of TLS hold something that is not good, and what was read before stays in"
    " force.",
    "place",
    "name",
)
FILES_SINCE = _gauge(
    "certificate_read_timestamp_seconds",
    "When what is in force was read from files of TLS.",
    "place",
    "name",
)
FILES_LOOKED_AT = _gauge(
    "certificate_files_looked_at_timestamp_seconds",
    "When it was last looked whether files of TLS were replaced.",
    together=Together.LEAST,
)

API_DOCUMENT_STALE = _gauge(
    "api_document_stale",
    "1 while a backend's OpenAPI document cannot be had, and the last good one, if any, is shown.",
    "backend",
    together=Together.GREATEST,
)
LINES_LOST = _counter("access_log_lines_lost", "Lines of the access log that nobody took.")

LAG = _spread("reactor_lag", "How late a timer was, looked at four times a second.")

WORKERS = _gauge("workers", "Processes that serve.")
WORKERS_WANTED = _gauge("workers_wanted", "Processes that are to serve, by the configuration.")
WORKER_DEATHS = _counter("worker_deaths", "Processes that ended without being asked to.")
GENERATION = _gauge(
    "generation",
    "How often all processes have been replaced by new ones, plus one.",
    together=Together.GREATEST,
)
CPU = _counter("worker_cpu_seconds", "Processor time of each process.", "worker")
SERVED = _counter("worker_requests", "Requests that each process has served.", "worker")
WORKER_CONNECTIONS = _gauge("worker_connections", "Connections of clients by process.", "worker")
MEMORY = _gauge("worker_resident_memory_bytes", "Memory of each process.", "worker")
DESCRIPTORS = _gauge("worker_open_fds", "File descriptors that each process has open.", "worker")
DESCRIPTORS_LIMIT = _gauge(
    "worker_max_fds",
    "File descriptors that each process may have open.",
    "worker",
    together=Together.LEAST,
)
STARTED_AT = _gauge(
    "worker_start_time_seconds",
    "When each process began.",
    "worker",
    together=Together.GREATEST,
)

BUILD = _gauge(
    "build_info",
    "Processes by what they are made of.",
    "version",
    "python",
    "twisted",
    "pyopenssl",
    "openssl",
)

# By the names that every Prometheus client library gives them; over all processes.
PROCESS_CPU = Measure(
    "process_cpu_seconds_total", Kind.COUNTER, "Processor time, user and system, of all processes."
)
PROCESS_MEMORY = Measure(
    "process_resident_memory_bytes", Kind.GAUGE, "Resident memory of all processes."
)
PROCESS_DESCRIPTORS = Measure(
    "process_open_fds", Kind.GAUGE, "File descriptors that all processes have open."
)
PROCESS_DESCRIPTORS_LIMIT = Measure(
    "process_max_fds", Kind.GAUGE, "File descriptors that all processes may have open together."
)
PROCESS_STARTED_AT = Measure(
    "process_start_time_seconds", Kind.GAUGE, "When the first of the processes began."
)

MEASURES: Mapping[str, Measure] = MappingProxyType(
    {each.name: each for each in list(globals().values()) if isinstance(each, Measure)}
)
"""All of them by name, in the order of this file."""

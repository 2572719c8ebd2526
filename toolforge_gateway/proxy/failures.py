"""What went wrong with a backend, in words for the caller.

The sentences name the backend as the configuration does, never its address:
a tool's maintainer cannot use that, and it is not theirs to know.
"""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet import error
from twisted.python.failure import Failure

from toolforge_gateway.errors import BackendFailure

_RETRY = "please retry in a minute, and tell the Toolforge admins if it lasts"


def dial_failed(backend: str, failure: Failure) -> BackendFailure:
    """No TCP connection came about."""
    if failure.check(error.ConnectionRefusedError):
        return BackendFailure(
            502, "backend-refused", f"{backend} seems to be down (it refuses connections): {_RETRY}"
        )
    if failure.check(error.TimeoutError, error.TCPTimedOutError):
        return connect_timed_out(backend)
    return BackendFailure(502, "backend-unreachable", f"{backend} cannot be reached: {_RETRY}")


def handshake_failed(backend: str) -> BackendFailure:
    """TCP was there and TLS did not come about: wrong name, expired
    certificate, no common version, or no TLS at all."""
    return BackendFailure(
        502, "backend-tls", f"the gateway and {backend} cannot agree on TLS: {_RETRY}"
    )


def lost(backend: str, failure: Failure) -> BackendFailure:
    """The connection ended after the request was sent, before a whole head.

    In TLS 1.3 a backend that refuses our certificate says so only then, by an
    alert (RFC 8446 section 2).
    """
    if failure.check(SSL.Error):
        return handshake_failed(backend)
    return BackendFailure(
        502,
        "backend-closed",
        f"{backend} closed the connection without an answer; it may have acted on the request: "
        "check before you repeat it, and tell the Toolforge admins if it lasts",
    )


def busy(backend: str) -> BackendFailure:
    """All its places are taken and the queue before them is full."""
    return BackendFailure(
        503,
        "backend-busy",
        f"{backend} has as many requests as it may have, and too many wait: nothing was done; "
        "please retry in a few seconds",
    )


def queued_too_long(backend: str) -> BackendFailure:
    """No place within `timeouts.queue`."""
    return BackendFailure(
        503,
        "backend-queue-timeout",
        f"{backend} has as many requests as it may have, and none of them has ended in time: "
        "nothing was done; please retry in a few seconds",
    )


def connect_timed_out(backend: str) -> BackendFailure:
    """No connection within `timeouts.connect`."""
    return BackendFailure(
        504, "backend-connect-timeout", f"{backend} cannot be reached in time: {_RETRY}"
    )


def answer_timed_out(backend: str) -> BackendFailure:
    """No head within `timeouts.response_head`."""
    return BackendFailure(
        504,
        "backend-timeout",
        f"{backend} did not answer in time; it may still act on the request: "
        "check before you repeat it, and tell the Toolforge admins if it lasts",
    )


def broken_answer(backend: str) -> BackendFailure:
    """What came is not an HTTP answer with one meaning."""
    return BackendFailure(
        502,
        "backend-broken-answer",
        f"{backend} sent an answer that the gateway cannot read: please tell the Toolforge admins",
    )

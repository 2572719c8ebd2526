"""OpenSSL's read and write without pyOpenSSL's detours.

pyOpenSSL allocates a buffer for each read, and looks for the exceptions of
three kinds of callbacks after each call that went well: 3 to 6 microseconds,
twice in each direction of each request.  Here its own handles are used, and
its own treatment of errors where there is one to treat.

The only module that touches private attributes of pyOpenSSL: `_ssl`,
`_raise_ssl_error`, and `OpenSSL._util`.
"""

from __future__ import annotations

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

RECORD = 16384
"""Bytes of payload in the largest TLS record (RFC 8446 section 5.1)."""
SHORT = 4096
"""A record with fewer bytes was the last for now, nearly always; what sends
much fills its records to the half at least (8 kB is a usual write)."""

# One for all connections: what was read is copied out before the next read.
_buffer = ffi.new("char[]", RECORD)
_view = ffi.buffer(_buffer)
_read, _write = lib.SSL_read, lib.SSL_write


def receive(connection: SSL.Connection) -> bytes:
    """`Connection.recv` of at most one record.

    :raise SSL.Error: what `recv` raises, `WantReadError` among it.
    """
    ssl = connection._ssl
    count = _read(ssl, _buffer, RECORD)
    if count <= 0:
        connection._raise_ssl_error(ssl, count)
    data: bytes = _view[:count]
    return data


def send(connection: SSL.Connection, data: bytes) -> int:
    """`Connection.send`.

    :return: how many bytes were taken, at least one.
    :raise SSL.Error: what `send` raises.
    """
    ssl = connection._ssl
    count: int = _write(ssl, data, len(data))
    if count <= 0:
        connection._raise_ssl_error(ssl, count)
    return count


def relay(
    source: SSL.Connection, into: SSL.Connection, records: int
) -> tuple[int, int, SSL.Error | None]:
    """Move records from one connection to another, without a `bytes` of any.

    :param records: how many at most; a short one is the last.
    :return: how many bytes were read; how many of them, the last ones, `into`
        has not taken (they are in `kept`); and what stopped it, if anything
        did: `into` said it if there are such bytes, else `source` did.
    """
    reading, writing = source._ssl, into._ssl
    moved = 0
    for _ in range(records):
        count = _read(reading, _buffer, RECORD)
        if count <= 0:
            return moved, 0, _error(source, count)
        moved += count
        sent = _write(writing, _buffer, count)
        if sent <= 0:
            return moved, count, _error(into, sent)
        if count < SHORT:
            break
    return moved, 0, None


def kept(count: int) -> bytes:
    """What `relay` could not write, to be sent later by `send`: OpenSSL wants
    to see it again.  To be fetched before anything else is received."""
    data: bytes = _view[:count]
    return data


def _error(connection: SSL.Connection, result: int) -> SSL.Error:
    """What pyOpenSSL would raise."""
    try:
        connection._raise_ssl_error(connection._ssl, result)
    except SSL.Error as error:
        # Its traceback would hold on to the frames of all callers, and those
        # to the error: garbage that only the collector finds.
        return error.with_traceback(None)
    raise AssertionError("it raises whenever OpenSSL says no")

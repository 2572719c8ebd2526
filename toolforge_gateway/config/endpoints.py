"""Checks of a Twisted server endpoint description, without listening.

`twisted.internet.endpoints.serverFromString` builds an endpoint object and
leaves the reactor alone until `listen`, so it is the parser here, with None
for a reactor.  Whether the address can be bound is known only at start.
"""

from __future__ import annotations

import re

from twisted.internet.endpoints import serverFromString

_REFUSED = {
    "ssl": ("does TLS itself", "write tcp:PORT; TLS is what the key tls is for"),
    "tls": ("does TLS itself", "write tcp:PORT; TLS is what the key tls is for"),
    "haproxy": (
        "believes everybody's PROXY header",
        "write tcp:PORT and list the trusted peers under proxy_protocol",
    ),
    "stdio": ("is a single connection", "write tcp:PORT"),
}
_EXAMPLE = "write for example tcp:8443 or tcp:8443:interface=127.0.0.1"
_PORT = re.compile(r"tcp6?:(?:port=)?([0-9]+)(?::|\Z)")


def fault_of_endpoint(description: str) -> tuple[str, str] | None:
    """What is wrong with a description, and what to do; None: nothing.

    Endpoints of plug-ins are asked as well.  An endpoint whose socket is not
    there now (`systemd:` outside systemd) is no fault.
    """
    kind = description.partition(":")[0].lower()
    if kind in _REFUSED:
        what, remedy = _REFUSED[kind]
        return f"the endpoint type {kind} {what}", remedy
    port = _PORT.match(description)
    if port and int(port[1][:6]) > 65535:
        return f"{port[1][:20]} is no port", "write one from 1 to 65535"
    try:
        serverFromString(None, description)
    except (LookupError, OSError):
        return None
    except RuntimeError:
        # The tokenizer runs out of text after an escape (PEP 479).
        return "is no server endpoint description: it ends in a backslash", _EXAMPLE
    except Exception as error:
        # Twisted lets TypeError and ValueError out for mistakes in the text,
        # and a plug-in whatever it likes.
        return f"is no server endpoint description: {str(error)[:120]}", _EXAMPLE
    return None

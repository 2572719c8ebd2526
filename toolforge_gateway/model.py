"""The values that travel along the line.

accept -> verify -> identify -> route -> authorize -> forward -> observe

Layer 0: attrs only.  Everything here but `Exchange` is frozen.  Times are
POSIX seconds (float), durations seconds, sizes bytes.
"""

from __future__ import annotations

import enum
import math
import re
from ipaddress import IPv4Address, IPv6Address

import attrs


class Kind(enum.Enum):
    """What an identity is."""

    TOOL = "tool"
    SERVICE = "service"
    ADMIN = "admin"
    UNVERIFIED_TOKEN = "unverified-token"
    ANONYMOUS = "anonymous"


class DependsOn(enum.Enum):
    """How long an authenticator's answer holds."""

    CONNECTION = "connection"
    """Kept until the certificate expires or the configuration changes."""
    REQUEST = "request"
    """Asked anew for each request."""


@attrs.frozen
class DistinguishedName:
    """A subject DN, flattened: `(("O", "toolforge"), ("CN", "mytool"))`.

    Types are the short names of RFC 4514 section 3 where there is one, else
    the dotted OID.  Multi-valued RDNs are laid out one after another.
    """

    attributes: tuple[tuple[str, str], ...]

    def values(self, kind: str) -> tuple[str, ...]:
        """All values of one attribute type, in the certificate's order."""
        return tuple(value for name, value in self.attributes if name == kind)


@attrs.frozen
class Certificate:
    """Facts of a client certificate that has passed verification."""

    subject: DistinguishedName
    client_ca: str
    """Name of the configured CA that anchors the verified chain."""
    identifies: frozenset[Kind]
    """What that CA is allowed to vouch for."""
    not_before: float
    not_after: float
    fingerprint: str
    """SHA-256 of the DER form, lower-case hex."""
    list_until: float = math.inf
    """When the revocation list that it was looked up in runs out; from then on
    nobody knows whether it is still good."""


@attrs.frozen
class Identity:
    """Who calls, once evidence has been checked."""

    name: str
    kind: Kind
    authenticator: str
    """`name` of the authenticator that decided; "" for anonymous."""
    paths: tuple[re.Pattern[str], ...] | None = None
    """External paths (no query) that this identity may use, each matched in
    full.  None: the identity's own tool paths and the open paths only."""
    asserted: bool = True
    """Whether the backend is told this identity.  False where the backend
    checks the evidence itself (a deploy token without a store here)."""


ANONYMOUS = Identity(name="", kind=Kind.ANONYMOUS, authenticator="", asserted=False)


@attrs.frozen
class Evidence:
    """What an authenticator gets to see of a request, unchecked.

    For an authenticator that depends on the connection only `certificate`
    and `address` are filled in; the rest is as the defaults say.
    """

    certificate: Certificate | None
    address: IPv4Address | IPv6Address | None = None
    """The connecting client, after PROXY protocol, before X-Forwarded-For."""
    method: str = ""
    path: str = ""
    """The external path as received: ASCII, escapes kept, no query."""
    query: str | None = attrs.field(default=None, repr=False)
    """What follows the first `?`, as received; None when there is none."""
    backend: str | None = None
    """Name of the backend the path belongs to; None for our own pages."""
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    """The request's fields whose lower-case name the authenticator's
    `headers` lists, in order; values are latin-1 text."""


@attrs.frozen(slots=False)  # twice as quick to make
class Decision:
    """The outcome of authorization; a denial is raised as `Refusal`."""

    reason: str
    """Why it is allowed, a stable word: `own-tool`, `superuser`, ..."""
    tool: str | None = None
    """X-Toolforge-Tool to the backend; None: absent."""
    user: str | None = None
    """X-Toolforge-User to the backend; None: absent."""


class Exchange:
    """One request and its answer; every log line and metric comes from it.

    The only mutable value of the model.  `edge` begins it, each step of the
    line fills in its part, `observe` reads it once the answer has ended.  One
    is made for every request, so that what is as usual is said once, here on
    the class, and the rest where it becomes known.

    :ivar request_id: its name in the log, to the backend and to the client.
    :ivar client: the caller's address as text, after PROXY and trusted
        X-Forwarded-For.
    :ivar started: POSIX time at which the head was complete.
    """

    tls_version = ""
    method = ""
    path = ""
    """Without the query: that may carry a token."""
    identity = ANONYMOUS
    backend = ""
    reason = ""
    status = 0
    """0: the client left before an answer began."""
    bytes_in = 0
    """Request body, payload bytes."""
    bytes_out = 0
    """Answer body, payload bytes."""
    head_after: float | None = None
    """Seconds from `started` to the answer's head."""
    ended_after: float | None = None
    trace_id = ""
    """The trace it belongs to (W3C Trace Context), 32 hex digits; "": one that begins here and
    has the request id for its name."""
    asked_by = ""
    """Name of the proxy that only asks, at `/auth`, what would become of this."""
    complete = False
    """Whether the answer reached its end rather than being cut."""
    remarks: dict[object, str] | None = None
    """What observers have written of client, identity, backend, method, path
    and TLS version, for exchanges that have all of these in common to share."""

    def __init__(self, request_id: str, client: str, started: float):
        self.request_id = request_id
        self.client = client
        self.started = started

"""Which header fields go on, in both directions.

Two kinds stay behind: those that concern one connection only (RFC 9110 section
7.6.1), and those that a caller could use to be taken for somebody else.  What
the gateway itself has to say under such a name is added by whoever calls this.
"""

from __future__ import annotations

from .http.message import Field, RequestHead, ResponseHead
from .http.names import Remembered, fold
from .http.write import lines

_HOP_BY_HOP = frozenset(
    [
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy",  # CGI programs take it for their proxy setting
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ]
)
_HOP_BY_HOP_FAMILIES = (b"proxy-",)

# Written anew for each hop.
_OURS = frozenset(
    [b"content-length", b"expect", b"host", b"traceparent", b"tracestate", b"x-request-id"]
)

# Who the caller is and where it is, and which path or method is "really" meant:
# names that gateways, application servers and frameworks are known to believe.
_CLAIMS = frozenset(
    [
        b"client-cert",  # RFC 9440
        b"client-cert-chain",
        b"forwarded",
        b"path-info",
        b"remote-addr",
        b"remote-user",
        b"script-name",
        b"true-client-ip",
        b"x-client-cert",
        b"x-client-ip",
        b"x-forwarded",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-real-ip",
        b"x-toolforge-tool",
        b"x-toolforge-user",
    ]
)
_CLAIM_FAMILIES = (
    b"impersonate-",
    b"ssl-client-",
    b"x-forwarded-",
    b"x-original-",
    b"x-remote-",
    b"x-rewrite-",
    b"x-ssl-",
)
_CREDENTIALS = frozenset([b"authorization", b"cookie"])

# A sender must not name these in Connection, and nobody gets them removed by it.
_MEANT_FOR_ALL = frozenset(
    [
        b"allow",
        b"authorization",
        b"cache-control",
        b"cookie",
        b"date",
        b"etag",
        b"expires",
        b"last-modified",
        b"location",
        b"origin",
        b"range",
        b"referer",
        b"retry-after",
        b"set-cookie",
        b"user-agent",
        b"vary",
        b"www-authenticate",
    ]
)
_FAMILIES_MEANT_FOR_ALL = (b"accept", b"content-", b"if-", b"x-toolforge-")

_PLAIN_OPTIONS = frozenset([b"close", b"keep-alive"])


def _is_hop_by_hop(folded: bytes) -> bool:
    return folded in _HOP_BY_HOP or folded.startswith(_HOP_BY_HOP_FAMILIES)


def _passes_with_credentials(name: bytes) -> bool:
    folded = fold(name)
    return not (
        _is_hop_by_hop(folded)
        or folded in _OURS
        or folded in _CLAIMS
        or folded.startswith(_CLAIM_FAMILIES)
    )


def _passes_without_credentials(name: bytes) -> bool:
    return _passes_with_credentials(name) and fold(name) not in _CREDENTIALS


def _answer_passes(name: bytes) -> bool:
    folded = fold(name)
    return not _is_hop_by_hop(folded) and folded != b"content-length"


_WITH_CREDENTIALS = Remembered(_passes_with_credentials)
_WITHOUT_CREDENTIALS = Remembered(_passes_without_credentials)
_ANSWER = Remembered(_answer_passes)


def request_field_passes(name: bytes, *, forward_credentials: bool) -> bool:
    """Whether a client's field of this name gets to the backend, in any spelling."""
    return (_WITH_CREDENTIALS if forward_credentials else _WITHOUT_CREDENTIALS)[name]


def request_fields(head: RequestHead, *, forward_credentials: bool) -> list[Field]:
    """The client's fields for the backend, in the client's order and spelling.

    Dropped under every alias (`http.names.fold`): what concerns the connection,
    claims about who the caller is, Host, Content-Length, X-Request-ID, traceparent
    and tracestate, and Authorization and Cookie unless they are asked for.  `Expect: 100-continue`
    is there exactly when the body is to wait for it.
    """
    passes = _WITH_CREDENTIALS if forward_credentials else _WITHOUT_CREDENTIALS
    fields = [field for field in head.fields if passes[field[0]]]
    if not head.connection <= _PLAIN_OPTIONS:
        fields = _without_named(fields, head.connection)
    if head.expects_continue:
        fields.append((b"Expect", b"100-continue"))
    return fields


def response_fields(head: ResponseHead) -> list[Field]:
    """The backend's fields for the client, in its order and spelling.

    What concerns the connection is dropped.  Content-Length is there exactly
    when `head.length` is: for a body of that length, and where HEAD or 304
    announce what the body would have been.
    """
    fields = [field for field in head.fields if _ANSWER[field[0]]]
    if not head.connection <= _PLAIN_OPTIONS:
        fields = _without_named(fields, head.connection)
    if head.length is not None:
        fields.append((b"Content-Length", b"%d" % head.length))
    return fields


def request_lines(head: RequestHead, *, forward_credentials: bool) -> bytes:
    """`request_fields` as lines, worked out once for all heads with these fields."""
    known = head.derived.get(forward_credentials)
    if known is None:
        fields = request_fields(head, forward_credentials=forward_credentials)
        known = head.derived[forward_credentials] = lines(fields)
    return known


def _without_named(fields: list[Field], options: frozenset[bytes]) -> list[Field]:
    removable = {
        option
        for option in options
        if option not in _MEANT_FOR_ALL and not option.startswith(_FAMILIES_MEANT_FOR_ALL)
    }
    return [field for field in fields if field[0].lower() not in removable]

"""How a page or one of its files is sent."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.web.resource import Resource

from toolforge_gateway.errors import Refusal

Refuse = Callable[[Any, Refusal], Any]
"""Answers a request with a refusal, and gives what a Resource's `render` is to return."""

READ_ONLY = Refusal(405, "read-only-page", "this page can only be read: ask for it by GET")

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""One policy for all pages (W3C Content Security Policy Level 3): nothing from another host,
and no script or style that is not a file of ours."""

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What every page and every file of one says."""

NO_STORE = "no-store"
"""For what depends on who asks."""
REVALIDATE = "no-cache"
"""For what is the same for all, but may be another tomorrow."""

_WORTH_IT = 256
"""Bytes; what is shorter is not compressed."""


@attrs.frozen
class Content:
    """Bytes to send, with their tag."""

    body: bytes = attrs.field(repr=False)
    kind: str
    """The media type, with its charset."""
    etag: str
    """An entity tag, strong (RFC 9110 section 8.8.3)."""
    compressed: bytes | None = attrs.field(repr=False)
    """The body by gzip; None where that gains nothing."""


def content(body: bytes, kind: str) -> Content:
    """Compress and tag a body: once for what stays, per request for what does not.

    :param kind: media type.
    """
    compressed = None
    if len(body) >= _WORTH_IT and not kind.startswith("image/png"):
        # Without a time of day in it, the same body is always the same bytes.
        compressed = gzip.compress(body, compresslevel=6, mtime=0)
        if len(compressed) >= len(body):
            compressed = None
    return Content(body, kind, hashlib.sha256(body).hexdigest()[:20], compressed)


def send(request: Any, what: Content, caching: str, negotiated: bool = False) -> bytes:
    """Set status and headers, and say what a Resource's `render` is to return.

    :param request: `twisted.web.iweb.IRequest`, of method GET or HEAD.
    :param caching: the value of Cache-Control (RFC 9111 section 5.2.2).
    :param negotiated: whether Accept has decided what is sent.
    """
    for name, value in SECURITY_HEADERS.items():
        request.setHeader(name.encode(), value.encode())
    request.setHeader(b"cache-control", caching.encode())
    encoded = what.compressed is not None and accepts_gzip(_whole(request, b"accept-encoding"))
    vary = [b"Accept"] if negotiated else []
    if what.compressed is not None:
        vary.append(b"Accept-Encoding")
    if vary:
        request.setHeader(b"vary", b", ".join(vary))
    if caching != NO_STORE:
        # Each encoding is a representation of its own, and so has a tag of its own.
        tag = b'"%s%s"' % (what.etag.encode(), b"-gzip" if encoded else b"")
        request.setHeader(b"etag", tag)
        if _is_known(_whole(request, b"if-none-match"), tag):
            request.setResponseCode(304)
            return b""
    request.setHeader(b"content-type", what.kind.encode())
    body = what.body
    if encoded and what.compressed is not None:
        request.setHeader(b"content-encoding", b"gzip")
        body = what.compressed
    if request.method == b"HEAD":
        request.setHeader(b"content-length", b"%d" % len(body))
        return b""
    return body


def finish(request: Any, body: bytes) -> None:
    """End an answer that had to wait.

    :param body: what `send`, or a refusal, gave.
    """
    if request.method != b"HEAD":  # That has the length of what is not sent.
        request.setHeader(b"content-length", b"%d" % len(body))
    request.write(body)
    request.finish()


def refuse_to_change(request: Any, refuse: Refuse) -> Any:
    """Answer a method that a page does not have (RFC 9110 section 15.5.6)."""
    request.setHeader(b"allow", b"GET, HEAD")
    return refuse(request, READ_ONLY)


NO_SUCH_PAGE = Refusal(404, "no-such-path", "there is no page here; / leads to all there are")


class Page(Resource):
    """A page that is the same for everyone.

    :param what: called for each request.
    :param refuse: answers what is no GET or HEAD, and what lies below and is not there.
    """

    def __init__(self, what: Callable[[], Content], refuse: Refuse):
        super().__init__()
        self._what = what
        self._refuse = refuse

    def getChild(self, path: bytes, request: Any) -> Resource:
        """See `Resource`."""
        return Nothing(self._refuse)

    def render(self, request: Any) -> Any:
        """See `Resource`."""
        if request.method not in (b"GET", b"HEAD"):
            return refuse_to_change(request, self._refuse)
        return send(request, self._what(), REVALIDATE)


class Nothing(Resource):
    """What is not there."""

    isLeaf = True

    def __init__(self, refuse: Refuse):
        super().__init__()
        self._refuse = refuse

    def render(self, request: Any) -> Any:
        return self._refuse(request, NO_SUCH_PAGE)


def _whole(request: Any, name: bytes) -> bytes | None:
    """A list's value, from however many lines (RFC 9110 section 5.3)."""
    values = request.requestHeaders.getRawHeaders(name)
    return None if values is None else b", ".join(values)


def accepts_gzip(header: bytes | None) -> bool:
    """Whether Accept-Encoding names gzip, or anything, with a weight above 0.

    :param header: its value, or None; see RFC 9110 section 12.5.3.
    """
    weights: dict[str, float] = {}
    for item in (header or b"").decode("latin-1").lower().split(","):
        name, _, parameters = item.partition(";")
        weight = 1.0
        for parameter in parameters.split(";"):
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        weights[name.strip()] = weight
    found = [weights[name] for name in ("gzip", "x-gzip") if name in weights]
    return max(found, default=weights.get("*", 0.0)) > 0


def _is_known(header: bytes | None, tag: bytes) -> bool:
    """Whether If-None-Match names the tag (RFC 9110 section 13.1.2: compared weakly)."""
    if header is None:
        return False
    if header.strip() == b"*":
        return True
    return tag in {each.strip().removeprefix(b"W/") for each in header.split(b",")}

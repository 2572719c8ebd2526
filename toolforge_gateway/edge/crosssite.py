"""Requests that some other site's page has a browser send.

A browser shows its client certificate with every request to us, whoever's page
asked for it: that certificate is ambient authority.  So a request that could
change anything is refused when the browser says that it comes from elsewhere.
Only browsers say so, and a page cannot make them say otherwise; the command
line clients send neither field and are not concerned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from toolforge_gateway.errors import Refusal
from toolforge_gateway.http.message import Field, RequestHead
from toolforge_gateway.http.names import Remembered
from toolforge_gateway.http.origin import web_origin

CROSS_SITE = Refusal(
    403,
    "cross-site",
    "your browser says that a page of another site sent this request with your certificate; "
    "open the gateway's own pages, or use a command line client",
)

_READING = frozenset([b"GET", b"HEAD"])
_OWN_SITE = frozenset([b"same-origin", b"none"])
"""Of Sec-Fetch-Site (Fetch Metadata section 2.3): from our own page, or from the person."""

_NAMES = frozenset([b"origin", b"sec-fetch-site"])


def _says_where_from(name: bytes) -> bytes | None:
    lower = name.lower()
    return lower if lower in _NAMES else None


_SAYS_WHERE_FROM = Remembered(_says_where_from)
_OWN, _FOREIGN = b"", b"foreign"


class SiteRule:
    """Whether a request comes from a page of ours, or from no page at all.

    :param allowed: origins of the configuration, as `web_origin` writes them.
    :param names_host: whether our own certificate covers a Host value: then
        `https://` and that Host is an origin of ours.
    """

    def __init__(self, allowed: Collection[bytes], names_host: Callable[[bytes], bool]):
        self._allowed = frozenset(allowed)
        self._names_host = names_host

    def refuses(self, head: RequestHead) -> bool:
        """Whether this request is not to be served to whom a certificate names.

        Worked out once for all requests with the same header lines.
        """
        if head.method in _READING:
            return False
        known = head.derived.get(self)
        if known is None:
            host = head.host if head.host is not None and self._names_host(head.host) else None
            foreign = self._is_foreign(head.fields, host)
            known = head.derived[self] = _FOREIGN if foreign else _OWN
        return known == _FOREIGN

    def refuses_asked(self, method: bytes, fields: Iterable[Field], host: bytes | None) -> bool:
        """The same for a request that a proxy asks about.

        :param host: as the proxy says; since it has taken the request there,
            and over TLS, that is an origin of its pages.
        """
        return method not in _READING and self._is_foreign(fields, host)

    def _is_foreign(self, fields: Iterable[Field], host: bytes | None) -> bool:
        """:param host: ours, or the proxy's; None: neither."""
        for name, value in fields:
            said = _SAYS_WHERE_FROM[name]
            if said is None:
                continue
            if said == b"sec-fetch-site":
                if value not in _OWN_SITE:
                    return True
            elif not self._is_ours(value, host):
                return True
        return False

    def _is_ours(self, value: bytes, host: bytes | None) -> bool:
        origin = web_origin(value)
        if origin is None:
            return False
        if origin in self._allowed:
            return True
        return host is not None and origin == web_origin(b"https://%b" % host)

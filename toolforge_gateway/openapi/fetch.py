"""Reads one backend's document, over its mutual TLS.

A backend is believed to be itself and nothing else: what it sends is bounded in bytes and in time
while it comes, unpacked by us, followed nowhere, and no answer leaves anything behind for the
next one.  No identity goes along: the document is the one that anybody gets.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from email.message import Message
from typing import Any

import attrs
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet import error
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IResponse
from zope.interface import implementer

from toolforge_gateway._version import __version__
from toolforge_gateway.config.backend import UpstreamAddress, UpstreamURL

DEADLINE = 10.0
"""Seconds for a whole fetch, from the first look-up of the name to the last byte."""
LARGEST = 4 * 1024 * 1024
"""Bytes of a document, unpacked; what is left of memory after that is for requests."""
_HEAD = 64 * 1024
"""Bytes that may come besides: the answer's head, and the framing of its body."""

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')
"""RFC 9110 section 8.8.3, without what few send: others are not sent back."""
_ACCEPT = "application/json, application/yaml;q=0.9, */*;q=0.5"
_CODECS = {
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "latin-1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
_ALREADY = frozenset(["", "utf-8", "utf8", "us-ascii", "ascii"])


class CannotFetch(Exception):
    """There is no document to be had just now.

    The sentence is for everybody: it goes on from the API's name and has no address, no name of a
    machine and no text of a library in it.

    :ivar detail: for the log: what went wrong in its own words.
    """

    def __init__(self, sentence: str, detail: object = None):
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


@attrs.frozen
class Source:
    """Where the document of one API is."""

    api: str
    prefix: str
    """The external path, `/builds`."""
    url: UpstreamURL
    path: str
    """Of the document, below the URL's base path."""
    creator: IOpenSSLClientConnectionCreator
    """Mutual TLS with the name to verify built in."""
    places: tuple[UpstreamAddress, ...] = ()
    """Where it is dialled, one after the other until one takes the connection; empty: where the URL
    says."""

    def beginning_elsewhere(self) -> Source:
        """The same with the first place last: one that takes connections and gives no document
        would otherwise keep all others from being asked."""
        return attrs.evolve(self, places=self.places[1:] + self.places[:1])


@attrs.frozen
class Fetched:
    """A document as it came, not yet looked at."""

    data: bytes
    """UTF-8 if the backend's word for it is good."""
    media_type: str
    """In lower case, without parameters; "" when the backend did not say."""
    etag: str | None
    """To ask with the next time."""


def fetch(reactor: Any, source: Source, etag: str | None = None) -> Deferred[Fetched | None]:
    """Fetch a document.

    :param reactor: what dialling needs, and the clock.
    :param etag: of the document as it was fetched last.
    :return: None when it is still that one.  Fails with `CannotFetch`, also after it was
        cancelled; once it has fired no connection is left.
    """
    attempt = ensureDeferred(_fetch(reactor, source, etag))
    late = False

    def give_up() -> None:
        nonlocal late
        late = True
        attempt.cancel()

    patience = reactor.callLater(DEADLINE, give_up)

    def over(result: Any) -> Any:
        if patience.active():
            patience.cancel()
        if late and isinstance(result, Failure):
            raise CannotFetch(f"did not answer within {DEADLINE:.0f} s")
        return result

    return attempt.addBoth(over).addErrback(_explained)


async def _fetch(reactor: Any, source: Source, etag: str | None) -> Fetched | None:
    places = source.places or (UpstreamAddress(source.url.host, source.url.port),)
    line = _Line(wrapClientTLS(source.creator, _InTurn(reactor, places)))
    agent = Agent.usingEndpointFactory(reactor, line, HTTPConnectionPool(reactor, persistent=False))
    still_packed = _StillPacked(agent)
    headers: dict[bytes | str, bytes | str] = {
        "Host": source.url.authority,
        "Accept": _ACCEPT,
        "User-Agent": f"toolforge-gateway/{__version__}",
    }
    if etag is not None:
        headers["If-None-Match"] = etag
    url = f"https://{source.url.authority}{source.url.base_path}{source.path}"
    try:
        # A client for each fetch, so that no cookie outlives it.
        response: IResponse = await HTTPClient(still_packed).get(
            url, headers=headers, allow_redirects=False, unbuffered=True, reactor=reactor
        )
        if response.code == 304 and etag is not None:
            return None
        if response.code != 200:
            raise CannotFetch(_refused(response.code), response.phrase)
        body = _Body(_unpacker(still_packed.encoding))
        response.deliverBody(body)
        data = await body.whole
    finally:
        await line.close()
    media_type, charset = _content_type(_field(response, "content-type"))
    tag = _field(response, "etag")
    return Fetched(
        _in_utf8(data, charset), media_type, tag if tag and _ETAG.fullmatch(tag) else None
    )


def _field(response: IResponse, name: str) -> str:
    values = response.headers.getRawHeaders(name.encode("ascii"), [b""])
    return bytes(values[-1]).decode("latin-1").strip()


def _refused(code: int) -> str:
    if 300 <= code < 400 and code != 304:
        return f"answers {code}: it sends us elsewhere, and we do not follow"
    return f"answers {code} where its document should be"


def _content_type(text: str) -> tuple[str, str]:
    """The media type and the charset, both in lower case, "" for what is not said."""
    if not text:
        return "", ""
    message = Message()
    message["content-type"] = text
    charset = message.get_content_charset("")
    return text.partition(";")[0].strip().lower(), charset or ""


def _in_utf8(data: bytes, charset: str) -> bytes:
    if charset in _ALREADY:
        return data
    codec = _CODECS.get(charset)
    if codec is None:
        raise CannotFetch("answers in a character set that is not known here", charset)
    if not codec.startswith("utf-16"):
        # Many a server says that all it has is Latin-1.
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return data
    try:
        return data.decode(codec).encode("utf-8")
    except UnicodeError as wrong:
        raise CannotFetch("answers in another character set than it says", wrong) from None


@implementer(IAgent)
class _StillPacked:
    """Hides from treq that an answer is packed.

    It would unpack each piece whole, and a few kilobytes can become many megabytes.
    """

    def __init__(self, agent: Agent):
        self._agent = agent
        self.encoding = ""

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        return self._agent.request(method, uri, headers, bodyProducer).addCallback(self._hide)

    def _hide(self, response: Any) -> Any:
        values = response.headers.getRawHeaders(b"content-encoding", [])
        self.encoding = b",".join(values).decode("latin-1").strip().lower()
        response.headers.removeHeader(b"content-encoding")
        return response


def _unpacker(encoding: str) -> Any:
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    raise CannotFetch("answers in a content coding that was not asked for", encoding)


class _Body(Protocol):
    """Collects a body that does not grow beyond `LARGEST`.

    :param unpacker: of zlib; None when there is nothing to unpack.
    :ivar whole: fires with the body.
    """

    def __init__(self, unpacker: Any):
        self.whole: Deferred[bytes] = Deferred()
        self._unpacker = unpacker
        self._data = bytearray()
        self._over = False

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        if self._unpacker is not None:
            try:
                data = self._unpacker.decompress(data, LARGEST - len(self._data) + 1)
            except zlib.error as wrong:
                self._fail(CannotFetch("answers with a body that cannot be unpacked", wrong))
                return
        self._data += data
        if len(self._data) > LARGEST:
            self._fail(too_large())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._over:
            return
        packed = self._unpacker is not None
        # A body that ends with its connection could as well have been cut: only what says how
        # long it is counts as whole.
        if not reason.check(ResponseDone) or (packed and not self._unpacker.eof):
            self._fail(CannotFetch("breaks its answer off", reason.value))
        else:
            self._over = True
            self.whole.callback(bytes(self._data))

    def _fail(self, why: CannotFetch) -> None:
        self._over = True
        self._data.clear()
        self.whole.errback(why)


def too_large() -> CannotFetch:
    """It is over `LARGEST`."""
    return CannotFetch(f"has a document of more than {LARGEST} bytes")


@implementer(IStreamClientEndpoint)
class _InTurn:
    """The first of several places that takes a connection."""

    def __init__(self, reactor: Any, places: Sequence[UpstreamAddress]):
        patience = DEADLINE / (len(places) + 1)
        self._endpoints = [
            HostnameEndpoint(reactor, place.host.encode("ascii"), place.port, patience)
            for place in places
        ]

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        return ensureDeferred(self._connect(factory))

    async def _connect(self, factory: IProtocolFactory) -> Any:
        *others, last = self._endpoints
        for endpoint in others:
            try:
                return await endpoint.connect(factory)
            except (error.ConnectError, error.DNSLookupError):
                continue
        return await last.connect(factory)


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class _Line:
    """The one connection of a fetch: counts what comes, and can be cut whenever.

    :param endpoint: where it goes, TLS included.
    """

    def __init__(self, endpoint: IStreamClientEndpoint):
        self._endpoint = endpoint
        self._counted: _Counted | None = None

    def endpointForURI(self, uri: object) -> _Line:
        """There is but one place to go."""
        return self

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        wrapping = WrappingFactory(factory)
        wrapping.noisy = False
        # Or the log has two lines of each fetch, and among them nobody finds what matters.
        quiet: Any = factory
        quiet.noisy = False
        wrapping.protocol = _Counted
        connecting: Deferred[Any] = self._endpoint.connect(wrapping)
        return connecting.addCallback(self._connected)

    def _connected(self, counted: _Counted) -> Any:
        self._counted = counted
        return counted.wrappedProtocol

    def close(self) -> Deferred[None]:
        """Cut what is there; fires when it is gone."""
        if self._counted is None or self._counted.gone.called:
            return succeed(None)
        self._counted.abort()
        return self._counted.gone


class _Counted(ProtocolWrapper):
    """Ends a connection on which more comes than any answer may have."""

    def __init__(self, factory: Any, wrapped: Any):
        super().__init__(factory, wrapped)
        self.gone: Deferred[None] = Deferred()
        self._received = 0

    def dataReceived(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > LARGEST + _HEAD:
            self.abort()
        else:
            super().dataReceived(data)

    def abort(self) -> None:
        """Cut it."""
        transport: Any = self.transport
        transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.gone.callback(None)


def _explained(failure: Failure) -> Failure:
    """Any failure as a `CannotFetch`."""
    wrong: Any = failure.value
    if isinstance(wrong, CannotFetch):
        return failure
    reasons: list[Any] = [wrong]
    if isinstance(wrong, ResponseNeverReceived | ResponseFailed):
        reasons = [reason.value for reason in wrong.reasons]
    return Failure(CannotFetch(_sentence(reasons), reasons))


def _sentence(reasons: list[BaseException]) -> str:
    def any_is(*kinds: type[BaseException]) -> bool:
        return any(isinstance(reason, kinds) for reason in reasons)

    if any_is(SSL.Error):
        return "cannot be talked to: TLS failed"
    if any_is(error.ConnectError, error.DNSLookupError, error.UnknownHostError):
        return "cannot be reached"
    if any_is(error.ConnectionDone, error.ConnectionLost, error.ConnectionAborted):
        return "closes the connection instead of an answer"
    return "does not answer in HTTP that can be read"

"""What a configuration file says, as frozen values.

Nothing here reads a file or checks anything: `loader` does, and every value
it hands out has been checked.  Times are seconds, sizes bytes, paths absolute
or relative to the working directory (already joined with the folder of the
configuration file).
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import attrs

from toolforge_gateway.errors import Complaint
from toolforge_gateway.model import Kind

if TYPE_CHECKING:
    from toolforge_gateway.config.backend import Backend
    from toolforge_gateway.config.options import Options

Network = IPv4Network | IPv6Network
ClientCertificate = Literal["optional", "required", "none"]


@attrs.frozen
class Origin:
    """The place in a file that a value was read from."""

    file: str
    line: int | None
    """1-based; None for the file as a whole."""
    path: str
    """Dotted, `backends[2].timeouts.connect`; "" for the file as a whole."""

    def complaint(self, what: str, remedy: str = "") -> Complaint:
        """A complaint that points here."""
        return Complaint(self.file, self.line, self.path, what, remedy)


@attrs.frozen
class SettingFile:
    """A file that the configuration names; it may not exist."""

    path: Path
    origin: Origin = attrs.field(eq=False)


@attrs.frozen
class Timeouts:
    """Deadlines, in seconds; each is a float > 0, `lame_duck` >= 0."""

    handshake: float = 10
    """TLS handshake (and PROXY header) of a client."""
    request_head: float = 10
    """From the first byte of a request to the end of its head."""
    request_idle: float = 30
    """Silence within a request body."""
    keep_alive: float = 65
    """Silence between two requests of one client connection."""
    connect: float = 5
    """TCP and TLS to a backend, over all addresses that are tried."""
    response_head: float = 60
    """From the end of the request to the backend's response head."""
    response_idle: float = 60
    """Silence within a response body."""
    drain: float = 30
    """What running exchanges are given once the listeners are closed."""
    lame_duck: float = 0
    """From SIGTERM until then: load balancers see that they should ask others, and everything is
    still served."""
    queue: float = 5
    """Waiting for a place at a backend that has as many requests as it may have."""


@attrs.frozen
class Limits:
    """Bounds; bytes unless said otherwise; each is an int > 0."""

    request_line: int = 8192
    header_block: int = 32768
    headers: int = 100
    """Number of fields of one message."""
    request_body: int = 128 * 1024 * 1024
    connections: int = 10000
    """Open client connections, over all listeners."""
    requests: int = 4096
    """Requests to backends under way at once, over all listeners."""
    connections_per_address: int | None = None
    """The same for one client address, after PROXY; None: no such bound."""


@attrs.frozen
class ClientCA:
    """One authority whose client certificates are accepted."""

    name: str
    ca: SettingFile
    identifies: frozenset[Kind]
    """Of TOOL, ADMIN, SERVICE; never empty."""
    crl: SettingFile | None
    origin: Origin = attrs.field(eq=False)


@attrs.frozen
class ServerTLS:
    """The server side of TLS of one listener."""

    certificate: SettingFile
    private_key: SettingFile
    client_certificate: ClientCertificate
    client_cas: tuple[ClientCA, ...]
    """Names are unique; empty only when `client_certificate` is "none"."""
    origin: Origin = attrs.field(eq=False)


@attrs.frozen
class Forwarded:
    """Whose X-Forwarded-* and X-Request-ID count; empty: nobody's."""

    networks: tuple[Network, ...] = ()
    certificates: tuple[tuple[str, str], ...] = ()
    """(name of a client CA of this listener, CN) pairs, compared exactly."""


@attrs.frozen
class Listener:
    """One entry of `listen`."""

    endpoint: str
    """A Twisted server endpoint description."""
    tls: ServerTLS
    proxy_protocol: tuple[Network, ...] | None
    """Peers that must send the PROXY header; None: off."""
    forwarded: Forwarded
    external_url: str | None
    """`https://authority`, no path, no trailing slash."""
    origin: Origin = attrs.field(eq=False)

    @property
    def is_unix(self) -> bool:
        """Whether it is on a Unix socket, and peers say nothing of others."""
        kind, _, rest = self.endpoint.partition(":")
        unix = kind == "unix" or (kind == "systemd" and "domain=UNIX" in rest.split(":"))
        return unix and self.proxy_protocol is None


@attrs.frozen
class TrustedProxy:
    """One proxy that may ask `/auth`."""

    name: str
    client: tuple[str, str] | None
    """Name of a client CA and CN of the proxy's own certificate; None: whoever
    comes over a Unix socket."""
    dialect: str
    """A key of `forwardauth.dialects.DIALECTS`."""
    certificate_from: str | None
    """The header, in lower case, that shows its client's certificate."""
    identifies: frozenset[Kind]
    """Of TOOL, ADMIN, SERVICE: what certificates that it shows may name."""
    origin: Origin = attrs.field(eq=False)


@attrs.frozen
class Operations:
    """The read-only port without TLS."""

    endpoint: str
    origin: Origin = attrs.field(eq=False)


@attrs.frozen
class Control:
    """The Unix socket over which the gateway is led."""

    socket: Path
    origin: Origin = attrs.field(eq=False)


@attrs.frozen
class Workers:
    """That a supervisor leads so many processes."""

    number: int | Literal["auto"]
    origin: Origin = attrs.field(eq=False)


@attrs.frozen
class UpstreamTLS:
    """The client side of TLS, the same towards every backend."""

    ca: SettingFile
    certificate: SettingFile
    private_key: SettingFile
    origin: Origin = attrs.field(eq=False)


@attrs.frozen
class AuthenticatorSection:
    """One entry of `authenticators`, not yet understood."""

    kind: str
    options: Options
    """Provides `IOptions`; whoever builds the authenticator calls `finish`."""
    origin: Origin = attrs.field(eq=False)


LogFormat = Literal["auto", "json", "human"]
LogTarget = Literal["stdout", "file", "syslog", "journald"]
LOG_FORMATS: tuple[str, ...] = get_args(LogFormat)
LOG_TARGETS: tuple[str, ...] = get_args(LogTarget)
LOG_FACILITIES = ("user", "daemon", *(f"local{number}" for number in range(8)))
"""Those of syslog that an access log may have."""


@attrs.frozen
class AccessLog:
    """Where the line per request goes, and what it looks like."""

    format: LogFormat = "auto"
    """auto: for people on a terminal, else JSON."""
    file: Path | Literal["-"] = "-"
    """"-" unless the lines go to a file."""
    to: LogTarget = attrs.field()
    socket: Path | None = None
    """Of syslog or journald; None: where it usually is."""
    facility: str = "daemon"
    """For syslog."""
    origin: Origin | None = attrs.field(default=None, eq=False)
    """Of the key that says where to."""

    @to.default
    def _to(self) -> LogTarget:
        return "stdout" if self.file == "-" else "file"


@attrs.frozen
class ExternalServer:
    """An address of the gateway, as OpenAPI's `servers` has it."""

    url: str
    """`https://authority` with a base path or none, no trailing slash."""
    description: str | None = None


@attrs.frozen
class OpenAPIDocs:
    """The aggregated OpenAPI document."""

    title: str = "Toolforge API"
    external_servers: tuple[ExternalServer, ...] = ()
    refresh: float = 60
    """Seconds between two looks at the backends' documents."""


@attrs.frozen
class Configuration:
    """A whole configuration file."""

    file: Path
    listen: tuple[Listener, ...]
    """Never empty."""
    operations: Operations | None
    upstream_tls: UpstreamTLS | None
    """Never None when there are backends."""
    backends: tuple[Backend, ...]
    authenticators: tuple[AuthenticatorSection, ...]
    """In the order in which they are asked."""
    timeouts: Timeouts
    limits: Limits
    access_log: AccessLog
    openapi_docs: OpenAPIDocs = OpenAPIDocs()
    trusted_proxies: tuple[TrustedProxy, ...] = ()
    """Who may ask `/auth`; names are unique."""
    allowed_origins: frozenset[bytes] = frozenset()
    """As `http.origin.web_origin` writes them."""
    control: Control | None = None
    workers: Workers | None = None
    """None: one process by itself, without a supervisor."""
    version: str = attrs.field(default="", eq=False)
    """Tells one content of the file from another: the beginning of its SHA-256."""
    text: str = attrs.field(default="", eq=False, repr=False)
    """All that stands in the file."""
    loading_warnings: tuple[Complaint, ...] = ()
    """What the loader found odd but not wrong."""

    @property
    def warnings(self) -> tuple[Complaint, ...]:
        """The loader's warnings and, once they have read their options, those
        of the authenticators."""
        return self.loading_warnings + tuple(
            warning for section in self.authenticators for warning in section.options.warnings
        )

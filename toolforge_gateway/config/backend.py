"""One backend as a configuration file describes it: frozen values, like those of `values`."""

from __future__ import annotations

import re
from typing import Literal

import attrs

from toolforge_gateway.config.values import Origin, Timeouts
from toolforge_gateway.routing import PathTemplate, Route

Anonymous = Literal["forward", "refuse"]


@attrs.frozen
class UpstreamURL:
    """Where a backend is dialled; always https."""

    host: str
    """A lower-case DNS name, or an IP address (IPv6 without brackets)."""
    port: int
    base_path: str
    """"" or `/base`: put before the path, no trailing slash."""

    @property
    def authority(self) -> str:
        """`host:port` as a Host field says it (RFC 9110 section 7.2): IPv6 in
        brackets, without the port when it is 443."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


@attrs.frozen
class UpstreamAddress:
    """Where connections to a backend go."""

    host: str
    """A lower-case DNS name, or an IP address (IPv6 without brackets)."""
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@attrs.frozen
class BackendLimits:
    """Bounds of one backend."""

    requests: int = 2048
    """Under way at once, and connections to it with them."""
    queue: int = 512
    """Requests that may wait when there are as many; 0: none."""


@attrs.frozen
class Checks:
    """Questions to each address of a backend, apart from requests."""

    path: str
    """What to GET, below the base path."""
    interval: float = 10
    """Seconds from one check to the next."""
    timeout: float = 2
    """Seconds for one check, connecting included."""
    good: int = 2
    """In a row, until an address is used again."""
    bad: int = 3
    """In a row, until it is not used any more."""


@attrs.frozen
class SlowPath:
    """Paths of one backend that are given other deadlines."""

    pattern: re.Pattern[str]
    """Searched (not matched in full) in the path as the backend's clients
    write it below the prefix: prefix stripped, no query."""
    timeouts: Timeouts
    """The backend's own, with the overrides of this entry."""


@attrs.frozen
class Backend:
    """One product behind a path."""

    name: str
    path: str
    """External prefix, `/jobs`: whole segments, no trailing slash."""
    url: UpstreamURL
    server_name: str
    """The name to verify and to send as SNI; the URL's host by default."""
    anonymous: Anonymous
    anonymous_paths: tuple[PathTemplate, ...]
    tool_path: PathTemplate | None
    """None: the backend is not tool-scoped."""
    open_paths: tuple[PathTemplate, ...]
    forward_credentials: bool
    """Whether Authorization and Cookie go to the backend."""
    timeouts: Timeouts
    """The general ones with this backend's overrides."""
    slow_paths: tuple[SlowPath, ...]
    """The first one whose pattern is found counts."""
    api: str
    """What its API is called: the last segment of `path` unless said otherwise;
    "" when that is no name and no document needs one."""
    openapi: str | None
    """The path of its OpenAPI document below the base path; None: none to show."""
    origin: Origin = attrs.field(eq=False)
    addresses: tuple[UpstreamAddress, ...] = ()
    """Where it is dialled; empty: where `url` says."""
    dns_refresh: float = 30
    """Seconds between two look-ups of its names."""
    limits: BackendLimits = BackendLimits()
    checks: Checks | None = None
    """None: its addresses are judged by what becomes of requests alone."""

    @property
    def places(self) -> tuple[UpstreamAddress, ...]:
        """Where it is dialled, never empty; a name may stand for several addresses."""
        return self.addresses or (UpstreamAddress(self.url.host, self.url.port),)

    @property
    def route(self) -> Route:
        """What deciding needs to know of it."""
        return Route(
            name=self.name,
            prefix=self.path,
            tool_path=self.tool_path,
            open_paths=self.open_paths,
            anonymous=self.anonymous,
            anonymous_paths=self.anonymous_paths,
        )

    def timeouts_for(self, path: str) -> Timeouts:
        """The deadlines for a path below the prefix, without its query."""
        for slow in self.slow_paths:
            if slow.pattern.search(path):
                return slow.timeouts
        return self.timeouts

"""What goes into a merge, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

Anonymous = Literal["open", "backend", "refused"]


@attrs.frozen
class Part:
    """What one backend says of itself."""

    api: str
    """The API's name, `builds`; unique, whatever the case.  Names in the result begin with it."""
    prefix: str
    """The external path that is the backend's, `/builds`: no trailing slash."""
    document: Mapping[str, Any]
    """Its document, as `read` gives it; nothing is believed of what is in it.  Never changed."""
    base_path: str = ""
    """What the gateway puts before a path towards this backend: `UpstreamURL.base_path`."""


@attrs.frozen
class Access:
    """What the gateway asks of those who use one operation."""

    anonymous: Anonymous = "backend"
    """Callers without credentials: let through to an open path, let through for the backend to
    judge, or refused."""
    tool: bool = False
    """Whether the path names a tool."""
    token: bool = False
    """Whether a deploy token is taken there."""
    forward_credentials: bool = False
    """Whether Authorization and Cookie go to the backend."""


Permit = Callable[[str, str, str], Access | None]
"""Called with the API's name, the method (`GET`) and the external path as OpenAPI writes it,
`/builds/v1/tool/{toolname}/build`.  None: nobody may use it through the gateway."""


def let_backends_judge(api: str, method: str, path: str) -> Access:
    """A `Permit` that knows nothing of the gateway."""
    return Access()


@attrs.frozen
class Settings:
    """What the gateway adds."""

    title: str
    version: str
    """Of the document, not of OpenAPI."""
    description: str = ""
    """Markdown (CommonMark)."""
    servers: tuple[tuple[str, str], ...] = ()
    """(URL, description) of the addresses that clients use; none: the document's own."""
    permit: Permit = let_backends_judge
    token_parameter: str = "token"
    """The query parameter that carries a deploy token."""


@attrs.frozen
class Finding:
    """Something about a backend's document that its developers should know."""

    api: str
    location: str
    """JSON pointer (RFC 6901) into the backend's own document, `/paths/~1v1~1x/get`; "": all."""
    level: Literal["error", "warning"]
    """An error keeps the API out of the merged document; a warning says what was changed."""
    what: str
    """A phrase that goes on from the location: `is not text`."""
    remedy: str

    @property
    def place(self) -> str:
        """The location, for people."""
        return _printable(self.location) or "(document)"

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.level}: {self.api} {self.place}: {self.what}{remedy}"


def _printable(text: str) -> str:
    """The text in a form that is safe to show on a terminal."""
    return text if text.isprintable() else ascii(text)[1:-1]


@attrs.frozen
class Merged:
    """One document for all."""

    document: dict[str, Any]
    """OpenAPI 3.1, made of dict, list, str, int, float, bool and None; shares nothing that the
    parts could change.  `x-toolforge-gateway` has an object for each API that is in it; who
    fetched the parts may add to that what is known of the fetch."""
    findings: tuple[Finding, ...]
    """In the order of the parts."""
    left_out: frozenset[str]
    """APIs that an error keeps out."""

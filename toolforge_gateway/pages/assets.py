"""The files that pages are made of: style sheets, scripts, and the vendored viewer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from twisted.web.resource import Resource

from toolforge_gateway.errors import Refusal
from toolforge_gateway.pages.answers import (
    REVALIDATE,
    Content,
    Page,
    Refuse,
    content,
    refuse_to_change,
    send,
)

FOR_EVER = "public, max-age=31536000, immutable"
"""A URL with the digest of what it leads to never leads to anything else (RFC 8246)."""

KINDS: Mapping[str, str] = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "md": "text/plain; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
"""Media types by the end of a file's name; a file of another kind is not served."""

NO_SUCH_FILE = Refusal(404, "no-such-path", "no page has a file of this name; see /docs")

_DIGEST = re.compile(r"[0-9a-f]{16}")


class Assets(Resource):
    """Serves files by URLs of the form `MOUNT/DIGEST/NAME`.

    The digest is that of all files together, so a file can name its neighbours by relative
    URLs, and a page and its scripts always are of one version.  With another digest (two
    gateways of different versions behind one address) the file is what there is, and is not kept.

    :param mount: the path that this Resource is put at, like `/docs/assets`.
    :param refuse: answers a request with a refusal; gives what `render` may.
    :param found: the files by name, which may have `/` in it; default: those of this package.
    """

    isLeaf = True

    def __init__(self, mount: str, refuse: Refuse, found: Mapping[str, bytes] | None = None):
        super().__init__()
        self._mount = mount
        self._refuse = refuse
        self._files = dict(read_static() if found is None else found)
        self._contents: dict[str, Content] = {}
        digest = hashlib.sha256()
        for name in sorted(self._files):
            digest.update(f"{name}\0{len(self._files[name])}\0".encode() + self._files[name])
        self._digest = digest.hexdigest()[:16]

    def url(self, name: str) -> str:
        """Where a page finds a file.

        :raise KeyError: there is no such file.
        """
        if name not in self._files:
            raise KeyError(name)
        return f"{self._mount}/{self._digest}/{name}"

    def page(self, name: str) -> Page:
        """One of the files, to be put at a path that never changes."""
        return Page(lambda: self._content(name), self._refuse)

    def render(self, request: Any) -> Any:
        """See `Resource`."""
        digest, *rest = [part.decode("latin-1") for part in request.postpath] or [""]
        name = "/".join(rest)
        if name not in self._files or not _DIGEST.fullmatch(digest):
            return self._refuse(request, NO_SUCH_FILE)
        if request.method not in (b"GET", b"HEAD"):
            return refuse_to_change(request, self._refuse)
        caching = FOR_EVER if digest == self._digest else REVALIDATE
        return send(request, self._content(name), caching)

    def _content(self, name: str) -> Content:
        """Made when it is first asked for: compressing all of them would delay the start."""
        if name not in self._contents:
            kind = KINDS[name.rpartition(".")[2]]
            self._contents[name] = content(self._files[name], kind)
        return self._contents[name]


def read_static() -> dict[str, bytes]:
    """The files of `static/`, by their names below it."""
    return dict(_below(files("toolforge_gateway.pages").joinpath("static"), ""))


def _below(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found += _below(entry, f"{name}/")
        elif entry.name.rpartition(".")[2] in KINDS:
            found.append((name, entry.read_bytes()))
    return found

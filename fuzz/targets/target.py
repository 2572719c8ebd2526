"""Request targets: what passes means one path, however a backend reads it."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

from fuzz import words
from fuzz.phrase import Draw
from toolforge_gateway.errors import BadMessage
from toolforge_gateway.http.target import check_target
from toolforge_gateway.routing import PathTemplate

TOOL_PATH = PathTemplate("/jobs/v{n}/tool/{tool}")


def _decoded(path: str) -> str:
    return unquote(path, errors="strict")


def _without_parameters(path: str) -> str:
    return re.sub(";[^/]*", "", path)


READINGS: tuple[Callable[[str], str], ...] = (
    _decoded,
    lambda path: _decoded(_decoded(path)),
    lambda path: re.sub("/+", "/", _decoded(path)),
    lambda path: unicodedata.normalize("NFKC", _decoded(path)),
    lambda path: _decoded(path).replace("\\", "/"),
    lambda path: _normalized(_decoded(path)),
    lambda path: _normalized(_without_parameters(_decoded(path))),
    lambda path: _normalized(unicodedata.normalize("NFKC", _decoded(_decoded(path)))),
    _without_parameters,
)
"""What servers are known to do before they route."""


def check(data: bytes) -> None:
    """A target, and the same below a tool's path."""
    draw = Draw.of(data, words.TARGET)
    for prefix in (b"", b"/jobs/v1/tool/tf-test/"):
        _check(prefix + draw.message)


def _check(raw: bytes) -> None:
    try:
        target = check_target(raw)
    except BadMessage as refusal:
        assert refusal.status == 400
        return
    text = raw.decode("ascii")
    assert text == target.path + ("" if target.query is None else f"?{target.query}")
    assert target.path.startswith("/") and "?" not in target.path and "#" not in text
    assert all(0x21 <= byte <= 0x7E for byte in raw)
    tool = _tool(target.path)
    for reading in READINGS:
        read = reading(target.path)
        assert _segments(read) == _segments(target.path), (target.path, read)
        # Where the path names no tool nothing is allowed by it.
        assert tool is None or _tool(read) == tool, (target.path, read)
    assert not any(ord(c) < 32 or ord(c) == 127 for c in _decoded(target.path)), target.path


def _normalized(path: str) -> str:
    """As most servers do; the slash at the end stays."""
    end = "/" if path.endswith("/") and path.strip("/") else ""
    return "/" + posixpath.normpath(path).strip("/") + end


def _segments(path: str) -> int:
    return path.count("/")


def _tool(path: str) -> str | None:
    found = TOOL_PATH.prefixmatch(path)
    return found["tool"] if found else None

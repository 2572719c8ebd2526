"""From the paths of a backend's document to those that clients of the gateway use."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from toolforge_gateway.openapi.part import Part

_VARIABLE = re.compile(r"\{([^{}]*)\}")


class Unusable(Exception):
    """A server's URL that says nothing."""


def base_of(servers: Any) -> str:
    """The path that a list of servers puts before every path: the first one's.

    :return: no trailing slash; "" for the root.
    :raise Unusable: that URL is none.
    """
    if not isinstance(servers, list) or not servers:
        return ""
    server = servers[0]
    if not isinstance(server, dict) or not isinstance(server.get("url"), str):
        raise Unusable
    variables = server.get("variables")

    def default(match: re.Match[str]) -> str:
        variable = variables.get(match[1]) if isinstance(variables, dict) else None
        value = variable.get("default") if isinstance(variable, dict) else None
        return value if isinstance(value, str) else ""

    url = _VARIABLE.sub(default, server["url"])
    try:
        path = urlsplit(urljoin("http://document.invalid/", url)).path
    except ValueError:
        raise Unusable from None
    if _VARIABLE.search(path) or not path.isprintable() or " " in path:
        raise Unusable
    return path.rstrip("/")


def external(part: Part, base: str, path: str) -> str:
    """The path that a client of the gateway writes.

    A document says where things are on the backend, below the path of its server's URL.  The
    gateway takes the prefix off and puts the backend's base path on, so it is the other way round
    here.  A server below our prefix is our own address (frameworks that are told that they are
    behind a prefix, as FastAPI is with `root_path`, publish that).

    :param base: of the server, as `base_of` gives it.
    :param path: of the document; begins with a slash.
    """
    if is_below(base, part.prefix):
        return base + path
    there = base + path
    if part.base_path and is_below(there, part.base_path):
        there = there[len(part.base_path) :] or "/"
    return part.prefix + there


def is_below(path: str, prefix: str) -> bool:
    """Whether a path is the prefix or, in whole segments, below it."""
    return path == prefix or path.startswith(prefix + "/")

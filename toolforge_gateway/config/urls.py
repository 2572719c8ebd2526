"""URLs and path prefixes, in the narrow form that routing needs.

A grammar of our own (RFC 3986 without what has no meaning here), because
`urllib.parse` repairs what it reads: it drops newlines and tabs, and takes
`https:/x` and `https://a@b` without a word.
"""

from __future__ import annotations

import re

from toolforge_gateway.config.backend import UpstreamAddress, UpstreamURL
from toolforge_gateway.config.networks import host_name

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(.*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]@]+))(?::([0-9]{1,5}))?")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_DOTS = re.compile(r"/\.{1,2}(?=/|\Z)")


def fault_of_path(path: str) -> tuple[str, str] | None:
    """What is wrong with a path prefix, and what to do; None: nothing.

    Segments of unreserved characters (RFC 3986 section 2.3) only, so that
    there is one way to write the prefix in a request.
    """
    if not path.startswith("/"):
        return "begins with no slash", f"write /{path}" if path else "write a path"
    if path.endswith("/") and path != "/":
        return "ends with a slash", f"write {path.rstrip('/') or '/name'}"
    if not _PATH.fullmatch(path):
        return (
            "is no path of plain segments",
            "write /name or /name/name with letters, digits and - . _ ~",
        )
    if _DOTS.search(path):
        return "has a dot segment", "write the path that you mean"
    return None


def split_url(text: str) -> UpstreamURL | str:
    """An https URL in its parts; or, as a sentence's end, what is wrong."""
    match = _URL.fullmatch(text)
    if match is None:
        return "is no URL"
    scheme, authority, path, rest = match.groups()
    if scheme.lower() == "http":
        return "is plain http, over which identity headers could be forged"
    if scheme.lower() != "https":
        return f"has the scheme {scheme}"
    if rest:
        return "has a query or a fragment"
    if "@" in authority:
        return "has a user name"
    address = split_authority(authority, 443)
    if isinstance(address, str):
        return address
    base_path = "" if path == "/" else path
    if base_path and (fault := fault_of_path(base_path)):
        return f"has a base path that {fault[0]}"
    return UpstreamURL(host=address.host, port=address.port, base_path=base_path)


def split_authority(text: str, port: int) -> UpstreamAddress | str:
    """`host` or `host:port`; or, as a sentence's end, what is wrong.

    :param port: when none is given.
    """
    parts = _AUTHORITY.fullmatch(text)
    if parts is None:
        return "has no host and port that can be read"
    host = host_name(parts[1] or parts[2])
    if host is None or (":" in host) != (parts[1] is not None):
        return "has no valid host"
    port = port if parts[3] is None else int(parts[3])
    if not 1 <= port <= 65535:
        return f"has the port {port}"
    return UpstreamAddress(host=host, port=port)

"""Location and Content-Location: from the backend's view of its address to the client's."""

from __future__ import annotations

import re

# RFC 3986 appendix B, for http(s) with an authority and for what has neither.
_match = re.compile(
    r"(?:((?:https?:)?//)([^/?#\\]*))?(/[^?#]*)?([?#].*)?", re.IGNORECASE | re.DOTALL
).fullmatch
# A relative path: no slash first, and no colon in the first segment.
_match_relative = re.compile(r"([^/?#:\\]+(?:/[^?#]*)?)((?:[?#].*)?)", re.DOTALL).fullmatch
_match_default_port = re.compile(r"([^:\[\]]*|\[[^\[\]]*\]):(?:80|443)?").fullmatch


def rewrite(
    value: bytes,
    *,
    prefix: str,
    base_path: str,
    upstream_authority: bytes,
    request_path: str,
    external: bytes | None,
) -> bytes:
    """The same place, as the client has to call it.

    Rewritten are an absolute path, and an http(s) or network-path reference to
    the upstream's own authority (a default port is no port; a backend behind a
    TLS sidecar takes itself for http).  A relative path stays unless it leads
    the client out of the backend.  Everything else stays as it is: other authorities,
    paths outside `base_path`, what is no URL.  The query is never touched.

    :param value: the field's value.
    :param prefix: the backend's external path, `/components`.
    :param base_path: what the upstream's paths begin with, `""` or `/base`.
    :param upstream_authority: the Host that the backend was called by.
    :param request_path: the external path of the request.
    :param external: scheme and authority by which the client knows us, without
        a path; None: the result is a path only.
    """
    text = value.decode("latin-1")
    match = _match(text)
    if match is None:
        return _relative(text, prefix, base_path, request_path).encode("latin-1")
    slashes, authority, path, tail = match.groups()
    if slashes is None and path is None:
        return value
    if slashes is not None and not _same(authority, upstream_authority.decode("latin-1")):
        return value
    below = _below(path or "/", base_path)
    if below is None:
        return value
    rewritten = (prefix + below + (tail or "")).encode("latin-1")
    return rewritten if slashes is None or external is None else external + rewritten


def _same(authority: str, upstream: str) -> bool:
    return _plain(authority) == _plain(upstream)


def _plain(authority: str) -> str:
    """In lower case and without a default port."""
    match = _match_default_port(authority)
    return (match[1] if match else authority).lower()


def _below(path: str, base_path: str) -> str | None:
    """The path without the base path; None when it is outside."""
    if not path.startswith(base_path) or path[len(base_path) :][:1] not in ("", "/"):
        return None
    return path[len(base_path) :]


def _relative(text: str, prefix: str, base_path: str, request_path: str) -> str:
    """A relative path, made absolute if the client would end outside the backend."""
    match = _match_relative(text)
    if match is None:
        return text
    path, tail = match.groups()
    asked = base_path + (request_path[len(prefix) :] or "/")
    meant = _below(_resolve(asked, path), base_path)
    if meant is None or _resolve(request_path, path) == prefix + meant:
        return text
    return prefix + meant + tail


def _resolve(path: str, relative: str) -> str:
    """RFC 3986 sections 5.2.3 and 5.2.4; `urljoin` does more, and less, than these."""
    segments = (path.rpartition("/")[0] + "/" + relative).split("/")[1:]
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)

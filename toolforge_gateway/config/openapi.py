"""What the file says of OpenAPI: `openapi_docs`, and two keys of each backend."""

from __future__ import annotations

import re
from collections.abc import Iterable

from toolforge_gateway.config.deadlines import LONGEST
from toolforge_gateway.config.options import Options, shown
from toolforge_gateway.config.urls import fault_of_path, split_url
from toolforge_gateway.config.values import ExternalServer, OpenAPIDocs

USUAL_PATH = "/openapi.json"
"""What `openapi: true` stands for."""

_API = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


def read_openapi_docs(options: Options, wanted: bool) -> OpenAPIDocs:
    """The section `openapi_docs`.

    :param wanted: whether any backend has a document to show.
    """
    section = options.section("openapi_docs")
    if section is None:
        return OpenAPIDocs()
    if not wanted:
        options.warn(
            "openapi_docs",
            "describes a document, and no backend adds to it",
            "add openapi: true to the backends that publish one",
        )
    default = OpenAPIDocs()
    title = section.text("title", default.title)
    refresh = section.number("refresh", default.refresh, minimum=1, maximum=LONGEST)
    servers = tuple(filter(None, map(_server, section.sections("external_servers"))))
    return OpenAPIDocs(title or default.title, servers, refresh or default.refresh)


def _server(options: Options) -> ExternalServer | None:
    text = options.text("url", required=True)
    description = options.text("description")
    if text is None:
        return None
    url = split_url(text)
    if isinstance(url, str):
        plain = text.lower().startswith("http:")
        what = "is plain http, over which credentials could be read" if plain else url
        options.complain("url", what, "write https://host[:port], as clients write it")
        return None
    return ExternalServer(text.rstrip("/"), description)


def read_document_path(options: Options) -> str | None:
    """Where a backend publishes its document, below its base path; None: it has none to show."""
    value = options.raw("openapi")
    if not options.has("openapi") or value is False:
        return None
    if value is True:
        return USUAL_PATH
    if value is not None and not isinstance(value, str):
        options.complain(
            "openapi",
            f"is {shown(value) if isinstance(value, int | float) else 'no path'}",
            f"write true, or the document's path, like {USUAL_PATH}",
        )
        return None
    path = options.text("openapi")
    if path is None:
        return None
    fault = ("is no document", "name it") if path == "/" else fault_of_path(path)
    if fault is not None:
        options.complain("openapi", f"{shown(path)} {fault[0]}", fault[1])
        return None
    return path


def read_api(options: Options, path: str | None) -> str:
    """What a backend's API is called.

    :param path: the backend's prefix; its last segment is the default.
    :return: "" after a complaint.
    """
    given = options.text("api")
    api = given or (path or "").rpartition("/")[2]
    if _API.fullmatch(api):
        return api
    if given is not None:
        options.complain(
            "api",
            f"{shown(given)} is no name of an API",
            "write up to 40 letters, digits, - and _, a letter first",
        )
    elif options.raw("openapi") and path is not None:
        options.complain(
            "openapi", f"has no name that its parts could get from {shown(path)}", "add api: NAME"
        )
    return ""


def refuse_shared_names(named: Iterable[tuple[Options, str]]) -> None:
    """Complain of every API that is called like one before it.

    Parts of the aggregated document are told apart by these names, with a
    capital letter in front: so case makes no difference.

    :param named: backends with a document, or with an `api` of their own.
    """
    lines: dict[str, int | None] = {}
    for options, api in named:
        key = "api" if options.has("api") else "openapi"
        if api and api.lower() in lines:
            options.complain(
                key,
                f"{shown(api)} is also the API of the backend in line {lines[api.lower()]}",
                "give each its own by api: NAME",
            )
        lines.setdefault(api.lower(), options.origin.line)

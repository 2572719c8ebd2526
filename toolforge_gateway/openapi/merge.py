"""One document for all APIs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from toolforge_gateway.openapi.adapt import Adapter, Share
from toolforge_gateway.openapi.grammar import SECTIONS
from toolforge_gateway.openapi.names import Names
from toolforge_gateway.openapi.part import Finding, Merged, Part, Settings
from toolforge_gateway.openapi.plain import NotPlain, plain
from toolforge_gateway.openapi.record import Record
from toolforge_gateway.openapi.schemas import is_usual_dialect
from toolforge_gateway.openapi.security import ours

OPENAPI = "3.1.1"
"""The version of the merged document."""


class _Unfit(Exception):
    """A document that is not even looked into."""

    def __init__(self, location: str, what: str, remedy: str):
        super().__init__(what)
        self.location = location
        self.what = what
        self.remedy = remedy


def merge(parts: Iterable[Part], settings: Settings) -> Merged:
    """Put the documents of all backends together.

    Pure and deterministic: the same parts in the same order give the same document, nothing is
    fetched, no argument is changed.  It takes some milliseconds for a hundred operations, so with
    many it belongs into a thread; it shares nothing with other calls.

    :return: always; a part that is no good is left out, with findings, and the others stay.
    """
    parts = tuple(parts)
    names = Names()
    shares: dict[str, Share] = {}
    findings: list[Finding] = []
    for part in parts:
        others = frozenset(other.prefix for other in parts if other is not part)
        share, found = _share(part, settings, names, others)
        findings.extend(found)
        if share is not None:
            shares[part.api] = share
    left_out = frozenset(part.api for part in parts) - shares.keys()
    return Merged(_document(settings, shares), tuple(findings), left_out)


def _share(
    part: Part, settings: Settings, names: Names, others: frozenset[str]
) -> tuple[Share | None, list[Finding]]:
    """What a part adds, or None; and what there is to say about it."""
    try:
        document = plain(part.document)
        old = _is_old(document)
    except NotPlain as error:
        return None, [_error(part, error.location, error.what, "publish JSON")]
    except _Unfit as error:
        return None, [_error(part, error.location, error.what, error.remedy)]
    record = Record(part.api, document, old)
    own = names.of(part.api, record.warn)
    try:
        share = Adapter(part, settings, record, own, others).share()
    except Exception as error:
        # One backend's document must not take the others' down, whatever we have overlooked.
        what = f"cannot be worked with: {type(error).__name__}: {str(error)[:200]}"
        return None, [*record.findings, _error(part, "", what, "report this as a mistake of ours")]
    if any(finding.level == "error" for finding in record.findings):
        return None, record.findings
    own.keep()
    return share, record.findings


def _is_old(document: Any) -> bool:
    """Whether it is 3.0 and not 3.1.

    :raise _Unfit: it is neither, or no OpenAPI document at all.
    """
    if not isinstance(document, dict):
        raise _Unfit("", "is no object", "publish an OpenAPI document")
    if "swagger" in document:
        raise _Unfit(
            "/swagger", "is Swagger 2.0, which is not merged", "publish OpenAPI 3.0 or 3.1"
        )
    version = document.get("openapi")
    if not isinstance(version, str):
        raise _Unfit("", "does not say its version of OpenAPI", "give openapi: 3.1.0")
    major_minor = version.split("-")[0].split(".")[:2]
    if major_minor not in (["3", "0"], ["3", "1"]):
        raise _Unfit(
            "/openapi",
            f"is OpenAPI {version[:20]}, which is not understood here",
            "publish OpenAPI 3.0 or 3.1",
        )
    old = major_minor[1] == "0"
    if old and "paths" not in document:
        raise _Unfit("", "has no paths, which OpenAPI 3.0 wants", "add paths: {}")
    if not old and not {"paths", "components", "webhooks"} & document.keys():
        raise _Unfit("", "has no paths, components or webhooks", "add paths: {}")
    if not old and not is_usual_dialect(document.get("jsonSchemaDialect", _DIALECT)):
        raise _Unfit("/jsonSchemaDialect", "is another dialect of JSON Schema", "remove it")
    return old


_DIALECT = "https://spec.openapis.org/oas/3.1/dialect/base"


def _error(part: Part, location: str, what: str, remedy: str) -> Finding:
    return Finding(part.api, location, "error", what, remedy)


def _document(settings: Settings, shares: dict[str, Share]) -> dict[str, Any]:
    info = {"title": settings.title, "version": settings.version}
    if settings.description:
        info["description"] = settings.description
    servers = [
        {"url": url, "description": words} if words else {"url": url}
        for url, words in settings.servers
    ]
    components: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    components["securitySchemes"].update(ours(settings.token_parameter))
    document: dict[str, Any] = {
        "openapi": OPENAPI,
        "info": info,
        "servers": servers or [{"url": "/"}],
        "tags": [tag for share in shares.values() for tag in share.tags],
        "paths": {},
        "webhooks": {},
        "components": components,
        "x-tagGroups": [
            {"name": api, "tags": [tag["name"] for tag in share.tags]}
            for api, share in shares.items()
        ],
        "x-toolforge-gateway": {api: share.about for api, share in shares.items()},
    }
    for share in shares.values():
        document["paths"].update(share.paths)
        document["webhooks"].update(share.webhooks)
        for section, items in share.components.items():
            components[section].update(items)
    if not document["webhooks"]:
        del document["webhooks"]
    document["components"] = {name: items for name, items in components.items() if items}
    return document

"""Which objects OpenAPI 3.1 has, and what may stand where in them.

The walk through a document goes by this table, so it knows a schema from an example and a
reference from a key that happens to be called `$ref`.  What a table cannot say is in `walk`.
Source: OpenAPI 3.1.1, section 4.8, one entry for each object there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import attrs


@attrs.frozen
class Text:
    """A string."""


@attrs.frozen
class Flag:
    """A boolean."""


@attrs.frozen
class Payload:
    """Whatever an author likes; never looked into."""


@attrs.frozen
class Schema:
    """A Schema Object, which has a table of its own in `vocabulary`."""


@attrs.frozen
class Choice:
    """One of some words."""

    words: frozenset[str]


@attrs.frozen
class Object:
    """An object of the table."""

    name: str


@attrs.frozen
class Referable:
    """An object of the table, or a Reference Object that stands for one."""

    name: str


@attrs.frozen
class ListOf:
    """A list."""

    each: Type


@attrs.frozen
class MapOf:
    """An object with keys of the author's choice."""

    each: Type
    component_names: bool = False
    """Whether the keys are limited to what names of components may have in them."""


@attrs.frozen
class Dropped:
    """Known, and not carried over: the gateway says something else in its place, or nothing."""


Type = Text | Flag | Payload | Schema | Choice | Object | Referable | ListOf | MapOf | Dropped


@attrs.frozen
class Shape:
    """What one kind of object may have in it, besides members that begin with `x-`."""

    fields: Mapping[str, Type]
    required: frozenset[str] = frozenset()
    others: tuple[re.Pattern[str], Type] | None = None
    """Keys of the author's choice, and what they stand for."""


METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
COMPONENT_NAME = re.compile(r"[a-zA-Z0-9._-]+")
ANYTHING = re.compile(r"(?s).*")

_DESCRIBED: dict[str, Type] = {"description": Text()}
_CONTENT = MapOf(Object("media type"))
_EXAMPLES: dict[str, Type] = {"example": Payload(), "examples": MapOf(Referable("example"))}
_PARAMETERS = ListOf(Referable("parameter"))
_SECURITY = ListOf(MapOf(ListOf(Text())))
_SCOPES: dict[str, Type] = {"refreshUrl": Text(), "scopes": MapOf(Text())}


def _choice(*words: str) -> Choice:
    return Choice(frozenset(words))


def _required(*names: str) -> frozenset[str]:
    return frozenset(names)


SECTIONS: Mapping[str, Literal["schema"] | str] = {
    "schemas": "schema",
    "responses": "response",
    "parameters": "parameter",
    "examples": "example",
    "requestBodies": "request body",
    "headers": "header",
    "securitySchemes": "security scheme",
    "links": "link",
    "callbacks": "callback",
    "pathItems": "path item",
}
"""The sections of `components`, and what is in each."""

SHAPES: Mapping[str, Shape] = {
    "server": Shape(
        {"url": Text(), "variables": MapOf(Object("server variable")), **_DESCRIBED},
        _required("url"),
    ),
    "server variable": Shape(
        {"enum": ListOf(Text()), "default": Text(), **_DESCRIBED}, _required("default")
    ),
    "path item": Shape(
        {
            "summary": Text(),
            "servers": ListOf(Object("server")),
            "parameters": _PARAMETERS,
            **{method: Object("operation") for method in METHODS},
            **_DESCRIBED,
        }
    ),
    "operation": Shape(
        {
            "tags": ListOf(Text()),
            "summary": Text(),
            "externalDocs": Object("external documentation"),
            "operationId": Text(),
            "parameters": _PARAMETERS,
            "requestBody": Referable("request body"),
            "responses": Object("responses"),
            "callbacks": MapOf(Referable("callback")),
            "deprecated": Flag(),
            "security": _SECURITY,
            "servers": ListOf(Object("server")),
            **_DESCRIBED,
        }
    ),
    "external documentation": Shape({"url": Text(), **_DESCRIBED}, _required("url")),
    "parameter": Shape(
        {
            "name": Text(),
            "in": _choice("query", "header", "path", "cookie"),
            "required": Flag(),
            "deprecated": Flag(),
            "allowEmptyValue": Flag(),
            "style": Text(),
            "explode": Flag(),
            "allowReserved": Flag(),
            "schema": Schema(),
            "content": _CONTENT,
            **_DESCRIBED,
            **_EXAMPLES,
        },
        _required("name", "in"),
    ),
    "request body": Shape(
        {"content": _CONTENT, "required": Flag(), **_DESCRIBED}, _required("content")
    ),
    "media type": Shape({"schema": Schema(), "encoding": MapOf(Object("encoding")), **_EXAMPLES}),
    "encoding": Shape(
        {
            "contentType": Text(),
            "headers": MapOf(Referable("header")),
            "style": _choice("form", "spaceDelimited", "pipeDelimited", "deepObject"),
            "explode": Flag(),
            "allowReserved": Flag(),
        }
    ),
    "responses": Shape(
        {"default": Referable("response")},
        others=(re.compile(r"[1-5](?:[0-9]{2}|XX)"), Referable("response")),
    ),
    "response": Shape(
        {
            "headers": MapOf(Referable("header")),
            "content": _CONTENT,
            "links": MapOf(Referable("link")),
            **_DESCRIBED,
        }
    ),
    "callback": Shape({}, others=(ANYTHING, Object("path item"))),
    "example": Shape(
        {"summary": Text(), "value": Payload(), "externalValue": Text(), **_DESCRIBED}
    ),
    "link": Shape(
        {
            "operationRef": Text(),
            "operationId": Text(),
            "parameters": MapOf(Payload()),
            "requestBody": Payload(),
            "server": Dropped(),
            **_DESCRIBED,
        }
    ),
    "header": Shape(
        {
            "required": Flag(),
            "deprecated": Flag(),
            "style": Text(),
            "explode": Flag(),
            "schema": Schema(),
            "content": _CONTENT,
            **_DESCRIBED,
            **_EXAMPLES,
        }
    ),
    "tag": Shape(
        {"name": Text(), "externalDocs": Object("external documentation"), **_DESCRIBED},
        _required("name"),
    ),
    "security scheme": Shape(
        {
            "type": _choice("apiKey", "http", "mutualTLS", "oauth2", "openIdConnect"),
            "name": Text(),
            "in": _choice("query", "header", "cookie"),
            "scheme": Text(),
            "bearerFormat": Text(),
            "flows": Object("flows"),
            "openIdConnectUrl": Text(),
            **_DESCRIBED,
        },
        _required("type"),
    ),
    "flows": Shape(
        {
            "implicit": Object("implicit flow"),
            "password": Object("password flow"),
            "clientCredentials": Object("password flow"),
            "authorizationCode": Object("code flow"),
        }
    ),
    "implicit flow": Shape(
        {"authorizationUrl": Text(), **_SCOPES}, _required("authorizationUrl", "scopes")
    ),
    "password flow": Shape({"tokenUrl": Text(), **_SCOPES}, _required("tokenUrl", "scopes")),
    "code flow": Shape(
        {"authorizationUrl": Text(), "tokenUrl": Text(), **_SCOPES},
        _required("authorizationUrl", "tokenUrl", "scopes"),
    ),
    # Parts of a schema that are no schemas.
    "discriminator": Shape(
        {"propertyName": Text(), "mapping": MapOf(Text())}, _required("propertyName")
    ),
    "xml": Shape(
        {
            "name": Text(),
            "namespace": Text(),
            "prefix": Text(),
            "attribute": Flag(),
            "wrapped": Flag(),
        }
    ),
}

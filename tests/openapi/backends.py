"""Backends that publish a document, over the mutual TLS that real ones have."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable

from twisted.internet import reactor

from tests.clients.stage import pki
from tests.relay.ends import Backend, BackendConnection
from toolforge_gateway.config.backend import UpstreamURL
from toolforge_gateway.config.values import Origin, SettingFile, UpstreamTLS
from toolforge_gateway.openapi.fetch import Source
from toolforge_gateway.tls.client import UpstreamSide

HERE = Origin("", None, "")
NAME = "jobs-api.jobs-api.svc.tools.local"
"""A name that the certificate of the backends has."""


@functools.cache
def upstream() -> UpstreamSide:
    """TLS towards the backends, as the gateway has it."""
    files = (SettingFile(pki() / name, HERE) for name in _FILES)
    return UpstreamSide.load(UpstreamTLS(*files, HERE), reactor)


_FILES = ("backend-ca.crt", "gateway-client.crt", "gateway-client.key")


def source(backend: Backend, name: str = NAME, **changed: object) -> Source:
    """Where a backend has its document."""
    keys = {"api": "jobs", "prefix": "/jobs", "path": "/openapi.json", **changed}
    url = UpstreamURL("127.0.0.1", backend.number, str(keys.pop("base_path", "")))
    return Source(url=url, creator=upstream().creator_for(name), **keys)


def document(title: str = "Jobs", **more: object) -> dict:
    """A small document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1"},
        "paths": {"/v1/healthz": {"get": {"responses": {"200": {"description": "OK"}}}}},
        **more,
    }


def answer(
    body: bytes | dict, *lines: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json"
) -> bytes:
    """A whole answer.

    :param lines: more header lines.
    """
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    head = [b"HTTP/1.1 " + status, b"Content-Type: " + kind, b"Content-Length: %d" % len(data)]
    return b"\r\n".join([*head, *lines, b"", data])


def once(send: Callable[[BackendConnection], None]) -> Callable[[BackendConnection], None]:
    """A script: do this when a whole request head has come."""

    def script(connection: BackendConnection) -> None:
        if connection.requests:
            send(connection)

    return script

"""Certificates and requests for the tests of this folder."""

from __future__ import annotations

from toolforge_gateway.model import Certificate, DistinguishedName, Evidence, Kind

KUBERNETES = frozenset({Kind.TOOL, Kind.ADMIN})
SERVICES = frozenset({Kind.SERVICE})
TOKEN = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"


def certificate(
    *subject: tuple[str, str],
    client_ca: str = "kubernetes",
    identifies: frozenset[Kind] = KUBERNETES,
    not_before: float = 0.0,
    not_after: float = 1000.0,
) -> Certificate:
    """Facts of a verified certificate."""
    return Certificate(
        DistinguishedName(subject), client_ca, identifies, not_before, not_after, "ab" * 32
    )


def tool(name: str) -> Certificate:
    """A tool's certificate."""
    return certificate(("O", "toolforge"), ("CN", name))


def service(name: str) -> Certificate:
    """A service's certificate, from the backend CA."""
    return certificate(("CN", name), ("O", "toolforge"), client_ca="backend", identifies=SERVICES)


def deployment(
    query: str | None = f"token={TOKEN}",
    path: str = "/components/v1/tool/a/deployment",
    method: str = "POST",
    backend: str | None = "components-api",
    shown: Certificate | None = None,
) -> Evidence:
    """A request of a CI job."""
    return Evidence(shown, method=method, path=path, query=query, backend=backend)

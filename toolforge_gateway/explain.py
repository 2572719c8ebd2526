"""Who a caller would be, and what would become of a request.

Walks the line as far as authorization, with the same parts as a running gateway, and says at
each step what came of it: `toolforge-gateway explain` asks it of a configuration, or, over the
control socket, of what is in force in a running gateway.  Layer 5.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from time import gmtime, strftime
from typing import Any

import attrs
from twisted.internet.defer import Deferred, ensureDeferred

from toolforge_gateway import parts
from toolforge_gateway.auth.explain import explain as explain_identity
from toolforge_gateway.config.backend import Backend
from toolforge_gateway.config.values import Configuration
from toolforge_gateway.edge.crosssite import CROSS_SITE, SiteRule
from toolforge_gateway.edge.forward_auth import NOT_A_PROXY, is_asked, is_proxy
from toolforge_gateway.edge.tree import NOT_FOUND, is_own_page, is_personal
from toolforge_gateway.errors import GatewayError, Refusal
from toolforge_gateway.http.head import HeadLimits, parse_request_head
from toolforge_gateway.http.message import RequestHead
from toolforge_gateway.http.origin import web_origin
from toolforge_gateway.http.target import check_target
from toolforge_gateway.model import Certificate, Decision, Evidence, Identity
from toolforge_gateway.pages.answers import READ_ONLY
from toolforge_gateway.policy import ToolforgeAuthorizer
from toolforge_gateway.routing import RouteTable
from toolforge_gateway.tls.shown import ShownCertificates, Unverified


class HandshakeWouldFail(GatewayError):
    """OpenSSL would refuse the certificate: the client sees a TLS alert, no answer."""


@attrs.frozen
class Question:
    """What would become of this request?"""

    method: str
    target: str
    """Path, with or without a query."""
    certificates: tuple[bytes, ...] = ()
    """DER: the client's, then those between it and its authority; none: it shows none."""
    address: IPv4Address | IPv6Address | None = None
    headers: tuple[str, ...] = ()
    """`Name: value`, for authenticators that look at headers."""

    def said(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "method": self.method,
            "target": self.target,
            "certificates": [b64encode(der).decode("ascii") for der in self.certificates],
            "address": None if self.address is None else str(self.address),
            "headers": list(self.headers),
        }

    @classmethod
    def heard(cls, said: dict[str, Any]) -> Question:
        """From JSON.

        :raise KeyError, TypeError, ValueError: it is no question.
        """
        address = said["address"]
        return cls(
            method=said["method"],
            target=said["target"],
            certificates=tuple(map(b64decode, said["certificates"])),
            address=None if address is None else ip_address(address),
            headers=tuple(said["headers"]),
        )


@attrs.frozen
class Line:
    """One line of the explanation."""

    step: str
    words: str

    def __str__(self) -> str:
        return f"{self.step + ':':15}{self.words}"


@attrs.frozen
class Explanation:
    """What each step says, and whether the request would be forwarded."""

    lines: tuple[Line, ...]
    allowed: bool

    def said(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"lines": [[line.step, line.words] for line in self.lines], "allowed": self.allowed}

    @classmethod
    def heard(cls, said: dict[str, Any]) -> Explanation:
        """From JSON."""
        return cls(tuple(Line(*line) for line in said["lines"]), said["allowed"])


def explain(
    configuration: Configuration, loaded: parts.Parts, question: Question
) -> Deferred[Explanation]:
    """Explain what a gateway would do with a request.

    The first listener's client CAs count.

    :param loaded: the parts of this configuration, in use or not.
    :return: has fired already unless an authenticator takes its time.
    """
    return ensureDeferred(_explain(configuration, loaded, question))


async def _explain(
    configuration: Configuration, loaded: parts.Parts, question: Question
) -> Explanation:
    lines: list[Line] = []
    first, *others = configuration.listen
    if others:
        lines.append(Line("listener", f"{first.endpoint}, as the first of {len(others) + 1}"))
    try:
        certificate = _certificate(configuration, loaded, question, lines)
        head = _head(configuration, question)
        target = check_target(head.target)
        backend = _route(configuration, target.path, lines)
        if backend is None and is_asked(target.path):
            _check_proxy(configuration, certificate, lines)
            return Explanation(tuple(lines), allowed=True)
        if certificate is not None and _sites(configuration, loaded).refuses(head):
            raise CROSS_SITE
        wanted = loaded.chain.headers
        evidence = Evidence(
            certificate=certificate,
            address=question.address,
            method=question.method,
            path=target.path,
            query=target.query,
            backend=None if backend is None else backend.name,
            headers=tuple(
                (name.decode("ascii").lower(), value.decode("latin-1"))
                for name, value in head.fields
                if name.decode("ascii").lower() in wanted
            ),
        )
        if backend is not None or is_personal(target.path):
            patience = configuration.timeouts.response_head
            identity = await _identity(loaded, evidence, patience, lines)
        if backend is None:
            if not _is_page(configuration, target.path):
                raise NOT_FOUND
            if question.method not in ("GET", "HEAD"):
                raise READ_ONLY
            below = target.path.startswith("/docs/")
            known = "what there is of it is open to everyone" if below else "it is open to everyone"
            lines.append(Line("decision", f"allowed, own-page: {known}"))
            return Explanation(tuple(lines), allowed=True)
        decision = ToolforgeAuthorizer().authorize(
            identity, backend.route, question.method, target.path
        )
    except HandshakeWouldFail as error:
        lines.append(Line("decision", "refused during the TLS handshake, by an alert"))
        lines.append(Line("reason", str(error)))
        return Explanation(tuple(lines), allowed=False)
    except Refusal as refusal:
        lines.append(Line("decision", f"refused, {refusal.status} {refusal.reason}"))
        lines.append(Line("reason", str(refusal)))
        return Explanation(tuple(lines), allowed=False)
    lines.append(Line("decision", f"allowed, {decision.reason}"))
    lines.append(Line("backend told", _told(decision)))
    return Explanation(tuple(lines), allowed=True)


def _certificate(
    configuration: Configuration, loaded: parts.Parts, question: Question, lines: list[Line]
) -> Certificate | None:
    asked = configuration.listen[0].tls.client_certificate
    if asked == "none" or not question.certificates:
        if asked == "required":
            raise HandshakeWouldFail("the listener requires a client certificate")
        not_asked = bool(question.certificates)
        lines.append(Line("certificate", "not asked for by the listener" if not_asked else "none"))
        return None
    try:
        # Without a handshake, so without the client's key.
        shown = ShownCertificates(loaded.listeners[0].verifier)
        certificate = shown.examine(question.certificates)
    except Unverified as error:
        names = ", ".join(each.name for each in configuration.listen[0].tls.client_cas)
        raise HandshakeWouldFail(
            f"OpenSSL refuses the certificate, by the client CAs {names}: {error.why}"
        ) from None
    subject = ",".join(f"{kind}={value}" for kind, value in certificate.subject.attributes)
    until = strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(certificate.not_after))
    kinds = ", ".join(sorted(kind.value for kind in certificate.identifies))
    lines.append(
        Line(
            "certificate",
            f"{subject!r}, good until {until}, "
            f"vouched for by client CA {certificate.client_ca} (may identify: {kinds})",
        )
    )
    return certificate


def _check_proxy(
    configuration: Configuration, certificate: Certificate | None, lines: list[Line]
) -> None:
    """Say whether this is a proxy that may ask.

    :raise Refusal: it is not.
    """
    for proxy in configuration.trusted_proxies:
        if certificate is not None and is_proxy(proxy, certificate):
            lines.append(Line("proxy", f"{proxy.name}, dialect {proxy.dialect}"))
            lines.append(
                Line("decision", "allowed to ask; explain the request that it would ask about")
            )
            return
    raise NOT_A_PROXY


def _sites(configuration: Configuration, loaded: parts.Parts) -> SiteRule:
    own = configuration.listen[0].external_url
    origin = web_origin(own.encode("ascii")) if own is not None else None
    allowed = configuration.allowed_origins | ({origin} if origin else set())
    return SiteRule(allowed, loaded.listeners[0].names_host)


def _head(configuration: Configuration, question: Question) -> RequestHead:
    headers = question.headers
    if not any(header.lower().startswith("host:") for header in headers):
        headers = ("Host: gateway", *headers)
    fields = "".join(f"{header}\r\n" for header in headers)
    text = f"{question.method} {question.target} HTTP/1.1\r\n{fields}\r\n"
    limits = configuration.limits
    return parse_request_head(
        text.encode("utf-8", "surrogateescape"),
        HeadLimits(limits.request_line, limits.header_block, limits.headers),
    )


def _route(configuration: Configuration, path: str, lines: list[Line]) -> Backend | None:
    table = RouteTable({backend.path: backend for backend in configuration.backends})
    backend = table.find(path)
    if backend is None:
        lines.append(Line("route", "none: no backend's path is the beginning of this one"))
    else:
        below = path[len(backend.path) :] or "/"
        url = f"https://{backend.url.authority}{backend.url.base_path}{below}"
        lines.append(Line("route", f"{backend.name}: {url}"))
    return backend


def _is_page(configuration: Configuration, path: str) -> bool:
    if path in ("/openapi.json", "/openapi.yaml"):
        return any(backend.openapi is not None for backend in configuration.backends)
    return is_own_page(path)


async def _identity(
    loaded: parts.Parts, evidence: Evidence, patience: float, lines: list[Line]
) -> Identity:
    explanation = await explain_identity(loaded.chain, evidence, loaded.clock, patience)
    lines.extend(Line("authenticator", str(step)) for step in explanation.steps)
    if isinstance(explanation.answer, Refusal):
        raise explanation.answer
    identity = explanation.answer
    by = f", says {identity.authenticator}" if identity.authenticator else ""
    lines.append(Line("identity", f"{identity.kind.value} {identity.name}".rstrip() + by))
    return identity


def _told(decision: Decision) -> str:
    told: Sequence[tuple[str, str | None]] = (
        ("X-Toolforge-Tool", decision.tool),
        ("X-Toolforge-User", decision.user),
    )
    return ", ".join(f"{name}: {value}" for name, value in told if value is not None) or "nothing"

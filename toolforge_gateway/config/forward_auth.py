"""The part `auth`: the proxies that may ask `/auth`, and how they speak."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from toolforge_gateway.config.options import Options, alternatives, did_you_mean, shown
from toolforge_gateway.config.values import Listener, TrustedProxy
from toolforge_gateway.forwardauth.dialects import DIALECTS
from toolforge_gateway.http.names import is_name
from toolforge_gateway.model import Kind

_VOUCHED_FOR = {kind.value: kind for kind in (Kind.TOOL, Kind.ADMIN, Kind.SERVICE)}
_NO_CERTIFICATE = "none"


def read_auth(options: Options, listen: Sequence[Listener]) -> tuple[TrustedProxy, ...]:
    """The proxies, in the order of the file; () when there is no such part.

    :param listen: all listeners that can be had.
    """
    section = options.section("auth")
    if section is None:
        return ()
    entries = section.sections("trusted_proxies", required=True)
    if section.raw("trusted_proxies") == []:
        section.complain("trusted_proxies", "is empty", "add a proxy, or remove auth")
    proxies = []
    first: dict[tuple[str, object], Options] = {}
    for entry in entries:
        proxy = _trusted_proxy(entry, listen)
        if proxy is None:
            continue
        proxies.append(proxy)
        told_by = proxy.client or "unix"
        for key, value, what in (
            ("name", proxy.name, "the name"),
            ("cn" if proxy.client else "unix", told_by, "how one tells the proxy"),
        ):
            other = first.setdefault((key, value), entry)
            if other is not entry:
                entry.complain(
                    key, f"is also {what} in line {other.origin.line}", "give each its own"
                )
    return tuple(proxies)


def _trusted_proxy(options: Options, listen: Sequence[Listener]) -> TrustedProxy | None:
    name = options.text("name", required=True)
    client = _client(options, listen)
    dialect = options.choice("dialect", DIALECTS)
    certificate_from = _certificate_from(options, dialect)
    identifies = _identifies(options)
    if certificate_from is None and options.has("identifies"):
        options.warn(
            "identifies",
            "is not used: this proxy shows no certificates",
            "remove it, or name the header in certificate_from",
        )
    if name is None or client is None or dialect is None:
        return None
    return TrustedProxy(
        name=name,
        client=client or None,
        dialect=dialect,
        certificate_from=certificate_from,
        identifies=identifies,
        origin=options.origin,
    )


def _client(options: Options, listen: Sequence[Listener]) -> tuple[str, str] | tuple[()] | None:
    """Who the proxy is; () is whoever comes over a Unix socket, None a fault."""
    client_ca, cn = options.text("client_ca"), options.text("cn")
    unix = options.flag("unix")
    by_certificate = options.has("client_ca") or options.has("cn")
    if unix == by_certificate:
        options.complain(
            "",
            "must say either client_ca and cn, or unix: true",
            "make two entries of it" if unix else "add client_ca and cn, or unix: true",
        )
        return None
    if unix:
        if listen and not any(listener.is_unix for listener in listen):
            options.complain(
                "unix",
                "is true, but no listener is on a Unix socket",
                "add one: endpoint: unix:/...",
            )
        return ()
    for key in ("client_ca", "cn"):
        if not options.has(key):
            options.complain(key, "is missing", "add it")
    if client_ca is None or cn is None:
        return None
    known = list(dict.fromkeys(ca.name for listener in listen for ca in listener.tls.client_cas))
    if listen and client_ca not in known:
        remedy = f"write {alternatives(known)}" if known else "add it to a listener's client_cas"
        options.complain(
            "client_ca",
            f"{shown(client_ca)} is no client CA of any listener",
            remedy + did_you_mean(client_ca, known),
        )
    return client_ca, cn


def _certificate_from(options: Options, dialect: str | None) -> str | None:
    """The header, in lower case; None: the proxy shows none."""
    text = options.text("certificate_from", required=True)
    if text is None or text == _NO_CERTIFICATE:
        return None
    name = text.lower()
    if not is_name(name.encode("utf-8")):
        options.complain(
            "certificate_from", f"{shown(text)} is no name of a header", "write one, or none"
        )
    elif name in _NOT_FOR_CERTIFICATES or (
        dialect is not None and name.encode("ascii") in DIALECTS[dialect].fields
    ):
        options.complain(
            "certificate_from",
            f"{shown(text)} says something else already",
            "choose another header, such as X-Client-Certificate",
        )
    return name


_NOT_FOR_CERTIFICATES = frozenset(
    ["authorization", "connection", "content-length", "cookie", "expect", "host", "origin"]
    + ["sec-fetch-site", "transfer-encoding", "x-request-id", "x-toolforge-tool"]
    + ["x-toolforge-user"]
)


def _identifies(options: Options) -> frozenset[Kind]:
    words: Iterable[str] = options.texts("identifies", (Kind.TOOL.value,))
    if options.raw("identifies") == []:
        options.complain(
            "identifies", "is empty, so no certificate would count", "write [tool], or remove it"
        )
    for n, word in enumerate(words):
        if word not in _VOUCHED_FOR:
            options.complain(
                ("identifies", n),
                f"{shown(word)} is nothing a certificate identifies",
                f"write {alternatives(_VOUCHED_FOR)}{did_you_mean(word, _VOUCHED_FOR)}",
            )
    return frozenset(_VOUCHED_FOR[word] for word in words if word in _VOUCHED_FOR)

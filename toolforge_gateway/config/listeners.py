"""The part `listen`: who may connect, and what is believed of them."""

from __future__ import annotations

from typing import cast

from toolforge_gateway.config.endpoints import fault_of_endpoint
from toolforge_gateway.config.networks import read_network
from toolforge_gateway.config.options import Options, alternatives, did_you_mean, shown
from toolforge_gateway.config.urls import split_url
from toolforge_gateway.config.values import (
    ClientCA,
    ClientCertificate,
    Forwarded,
    Listener,
    Network,
    ServerTLS,
)
from toolforge_gateway.model import Kind

_VOUCHED_FOR = {kind.value: kind for kind in (Kind.TOOL, Kind.ADMIN, Kind.SERVICE)}


def read_listener(options: Options) -> Listener | None:
    """One entry of `listen`; None when a part of it cannot be had."""
    endpoint = read_endpoint(options)
    tls_options = options.section("tls", required=True)
    tls = _tls(tls_options) if tls_options is not None else None
    proxy = _proxy_protocol(options)
    client_cas = None if tls is None else [ca.name for ca in tls.client_cas]
    forwarded = _forwarded(options, client_cas)
    external_url = _external_url(options)
    if endpoint is None or tls is None:
        return None
    return Listener(
        endpoint=endpoint,
        tls=tls,
        proxy_protocol=proxy,
        forwarded=forwarded,
        external_url=external_url,
        origin=options.origin,
    )


def read_endpoint(options: Options) -> str | None:
    """The key `endpoint`."""
    description = options.text("endpoint", required=True)
    if description is None:
        return None
    fault = fault_of_endpoint(description)
    if fault is not None:
        options.complain("endpoint", *fault)
    return description


def _tls(options: Options) -> ServerTLS | None:
    certificate = options.setting_file("certificate", required=True)
    private_key = options.setting_file("private_key", required=True)
    mode = cast(
        "ClientCertificate | None",
        options.choice("client_certificate", ("optional", "required", "none"), "optional"),
    )
    sections = options.sections("client_cas")
    cas = [ca for ca in map(_client_ca, sections) if ca is not None]
    first: dict[str, ClientCA] = {}
    for n, ca in enumerate(cas):
        if ca.name in first:
            sections[n].complain(
                "name",
                f"{shown(ca.name)} is also the name in line {first[ca.name].origin.line}",
                "give each its own",
            )
        first.setdefault(ca.name, ca)
    if mode == "none" and sections:
        options.warn(
            "client_cas",
            "is not used: no client certificate is asked for",
            "remove it, or write client_certificate: optional",
        )
    if mode != "none" and options.raw("client_cas", []) == []:
        options.complain(
            "client_cas",
            "names no authority, so no client certificate could be checked",
            "add one, or write client_certificate: none",
        )
    if certificate is None or private_key is None or mode is None:
        return None
    return ServerTLS(
        certificate=certificate,
        private_key=private_key,
        client_certificate=mode,
        client_cas=tuple(cas),
        origin=options.origin,
    )


def _client_ca(options: Options) -> ClientCA | None:
    name = options.text("name", required=True)
    ca = options.setting_file("ca", required=True)
    crl = options.setting_file("crl")
    identifies = _identifies(options)
    if name is None or ca is None:
        return None
    return ClientCA(name=name, ca=ca, identifies=identifies, crl=crl, origin=options.origin)


def _identifies(options: Options) -> frozenset[Kind]:
    words = options.texts("identifies")
    if options.raw("identifies", []) == []:
        options.complain(
            "identifies",
            "says not what this authority may vouch for",
            f"list some of {alternatives(_VOUCHED_FOR)}",
        )
    for n, word in enumerate(words):
        if word not in _VOUCHED_FOR:
            options.complain(
                ("identifies", n),
                f"{shown(word)} is nothing a certificate identifies",
                f"write {alternatives(_VOUCHED_FOR)}{did_you_mean(word, _VOUCHED_FOR)}",
            )
    return frozenset(_VOUCHED_FOR[word] for word in words if word in _VOUCHED_FOR)


def _proxy_protocol(options: Options) -> tuple[Network, ...] | None:
    section = options.section("proxy_protocol")
    if section is None:
        return None
    texts = section.texts("trusted")
    if section.raw("trusted", []) == []:
        section.complain(
            "trusted",
            "names no peer that sends the PROXY header",
            "list networks such as 192.0.2.7/32, or remove proxy_protocol",
        )
    networks = [read_network(section, ("trusted", n), text) for n, text in enumerate(texts)]
    return tuple(network for network in networks if network is not None)


def _forwarded(options: Options, client_cas: list[str] | None) -> Forwarded:
    section = options.section("forwarded")
    if section is None:
        return Forwarded()
    networks: list[Network] = []
    certificates: list[tuple[str, str]] = []
    for entry in section.sections("trusted", required=True):
        cidr = entry.text("cidr")
        client_ca = entry.text("client_ca")
        cn = entry.text("cn")
        has_cidr, has_certificate = entry.has("cidr"), entry.has("client_ca") or entry.has("cn")
        if has_cidr == has_certificate:
            entry.complain(
                "",
                "must say either cidr, or client_ca and cn",
                "make two entries of it" if has_cidr else "add cidr, or client_ca and cn",
            )
        elif cidr is not None:
            network = read_network(entry, "cidr", cidr)
            if network is not None:
                networks.append(network)
        elif has_certificate:
            for missing in ("client_ca", "cn"):
                if not entry.has(missing):
                    entry.complain(missing, "is missing", "add it")
            if client_ca is not None and cn is not None:
                certificates.append((client_ca, cn))
        if client_ca is not None and client_cas is not None and client_ca not in client_cas:
            known = f"write {alternatives(client_cas)}" if client_cas else "add it to client_cas"
            entry.complain(
                "client_ca",
                f"{shown(client_ca)} is no client CA of this listener",
                known + did_you_mean(client_ca, client_cas),
            )
    return Forwarded(networks=tuple(networks), certificates=tuple(certificates))


def _external_url(options: Options) -> str | None:
    text = options.text("external_url")
    if text is None:
        return None
    url = split_url(text)
    if isinstance(url, str):
        options.complain("external_url", url, "write for example https://api.example.org")
        return None
    if url.base_path:
        options.complain(
            "external_url", "has a path, which nobody would add", f"write https://{url.authority}"
        )
    return f"https://{url.authority}"

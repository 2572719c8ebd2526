"""The part `backends`: who is behind which path, and what may be done there."""

from __future__ import annotations

import re
from typing import cast

from toolforge_gateway.config.backend import Anonymous, Backend, SlowPath, UpstreamURL
from toolforge_gateway.config.deadlines import BACKEND_TIMEOUTS, read_timeouts
from toolforge_gateway.config.networks import host_name
from toolforge_gateway.config.openapi import read_api, read_document_path, refuse_shared_names
from toolforge_gateway.config.options import Key, Options, shown
from toolforge_gateway.config.upstreams import (
    read_addresses,
    read_backend_limits,
    read_checks,
    read_dns_refresh,
)
from toolforge_gateway.config.urls import fault_of_path, split_url
from toolforge_gateway.config.values import Limits, Timeouts
from toolforge_gateway.routing import PathTemplate

RESERVED = frozenset(
    [
        "healthz",
        "openapi.json",
        "openapi.yaml",
        "docs",
        "status",
        "auth",
        "whoami",
        "favicon.ico",
    ]
)
"""First segments that are the gateway's own, as `/` itself is."""

OPEN_PATHS = ("/openapi.json", "/v{n}/healthz", "/v{n}/metrics")
TOOL_PATH = "/v{n}/tool/{tool}"

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def read_backends(
    sections: tuple[Options, ...], timeouts: Timeouts, limits: Limits, cluster_domain: str
) -> tuple[Backend, ...]:
    """All backends; those with a part that cannot be had are left out.

    :param limits: the general ones, of which a backend's own defaults are shares.
    """
    lines: dict[tuple[str, str], int | None] = {}
    found = []
    named = []
    for options in sections:
        backend = _backend(options, timeouts, limits, cluster_domain)
        for key in ("name", "path"):
            value = options.raw(key)
            if not isinstance(value, str):
                continue
            if (key, value) in lines:
                options.complain(
                    key,
                    f"{shown(value)} is also the {key} of the backend in line {lines[key, value]}",
                    "give each its own",
                )
            lines.setdefault((key, value), options.origin_of(key).line)
        if backend is not None:
            found.append(backend)
            if backend.openapi is not None or options.has("api"):
                named.append((options, backend.api))
    refuse_shared_names(named)
    return tuple(found)


def _backend(
    options: Options, general: Timeouts, general_limits: Limits, cluster_domain: str
) -> Backend | None:
    name = options.text("name", required=True)
    if name is not None and not _NAME.fullmatch(name):
        options.complain(
            "name",
            f"{shown(name)} is no name",
            "write up to 63 letters, digits and - . _, no sign at either end",
        )
    path = _path(options)
    url = _url(options, cluster_domain)
    addresses = read_addresses(options, None if url is None else url.port)
    dns_refresh = read_dns_refresh(options)
    limits = read_backend_limits(options, general_limits)
    checks = read_checks(options)
    server_name = _server_name(options)
    anonymous = cast(
        "Anonymous | None", options.choice("anonymous", ("forward", "refuse"), "forward")
    )
    timeouts = read_timeouts(options, general, BACKEND_TIMEOUTS)
    slow_paths = _slow_paths(options, timeouts)
    anonymous_paths = _templates(options, "anonymous_paths")
    open_paths = _templates(options, "open_paths")
    tool_path = _tool_path(options)
    forward_credentials = options.flag("forward_credentials")
    openapi = read_document_path(options)
    api = read_api(options, path)
    if name is None or path is None or url is None or anonymous is None:
        return None
    return Backend(
        name=name,
        path=path,
        url=url,
        server_name=server_name or url.host,
        anonymous=anonymous,
        anonymous_paths=anonymous_paths,
        tool_path=tool_path,
        open_paths=open_paths,
        forward_credentials=forward_credentials,
        timeouts=timeouts,
        slow_paths=slow_paths,
        api=api,
        openapi=openapi,
        origin=options.origin,
        addresses=addresses,
        dns_refresh=dns_refresh,
        limits=limits,
        checks=checks,
    )


def _path(options: Options) -> str | None:
    path = options.text("path", required=True)
    if path is None:
        return None
    fault = fault_of_path(path)
    if path == "/" or path[1:].partition("/")[0] in RESERVED:
        options.complain("path", f"{shown(path)} is the gateway's own", "choose another")
    elif fault is not None:
        what, remedy = fault
        options.complain("path", f"{shown(path)} {what}", remedy)
    return path


def _url(options: Options, cluster_domain: str) -> UpstreamURL | None:
    text = options.text("url")
    target = options.section("target")
    if options.has("url") == options.has("target"):
        options.complain(
            "url",
            "and target are both given" if options.has("url") else "is missing, and target too",
            "keep one of them" if options.has("url") else "add one of them",
        )
        return None
    if target is not None:
        return _target(target, cluster_domain)
    if text is None:
        return None
    url = split_url(text)
    if isinstance(url, str):
        options.complain("url", url, "write https://host:port, with /base if there is a base path")
        return None
    return url


def _target(options: Options, cluster_domain: str) -> UpstreamURL | None:
    names = []
    for key in ("service", "namespace"):
        name = options.text(key, required=True)
        if name is not None and not _LABEL.fullmatch(name):
            options.complain(
                key, f"{shown(name)} is no Kubernetes name", "write lower-case letters, digits, -"
            )
        names.append(name)
    port = options.whole("port", required=True, minimum=1, maximum=65535)
    if None in names or port is None:
        return None
    return UpstreamURL(host=f"{names[0]}.{names[1]}.svc.{cluster_domain}", port=port, base_path="")


def _server_name(options: Options) -> str | None:
    text = options.text("server_name")
    if text is None:
        return None
    name = host_name(text)
    if name is None:
        options.complain(
            "server_name", f"{shown(text)} is no host name", "write a name of its certificate"
        )
    return name


def _templates(options: Options, key: str) -> tuple[PathTemplate, ...]:
    templates = []
    for n, text in enumerate(options.texts(key, OPEN_PATHS)):
        template = _template(options, (key, n), text)
        if template is None:
            continue
        if "tool" in template.names:
            options.warn(
                (key, n),
                f"{shown(text)} opens a path of every tool to others than the tool",
                "make sure that nothing there belongs to one tool",
            )
        templates.append(template)
    return tuple(templates)


def _tool_path(options: Options) -> PathTemplate | None:
    if options.has("tool_path") and options.raw("tool_path") is None:
        return None
    text = options.text("tool_path", TOOL_PATH)
    template = None if text is None else _template(options, "tool_path", text)
    if template is not None and "{tool}" not in template.text:
        options.complain(
            "tool_path",
            f"{shown(template.text)} has no {{tool}}",
            f"write for example {TOOL_PATH}, or null when no path names a tool",
        )
    return template


def _template(options: Options, key: Key, text: str) -> PathTemplate | None:
    try:
        return PathTemplate(text)
    except (ValueError, re.error, OverflowError, RecursionError) as error:
        options.complain(
            key, f"{shown(text)} is no path template: {error}", "write for example /v{n}/healthz"
        )
        return None


def _slow_paths(options: Options, timeouts: Timeouts) -> tuple[SlowPath, ...]:
    found = []
    for entry in options.sections("slow_paths"):
        text = entry.text("pattern", required=True)
        if not entry.has("timeouts"):
            entry.complain("timeouts", "is missing", "add the deadlines that differ")
        own = read_timeouts(entry, timeouts, BACKEND_TIMEOUTS)
        if text is None:
            continue
        try:
            found.append(SlowPath(re.compile(text), own))
        except (re.error, OverflowError, RecursionError) as error:
            entry.complain(
                "pattern", f"{shown(text)} is no regular expression: {error}", "see Python's re"
            )
    return tuple(found)

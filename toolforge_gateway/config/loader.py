"""From a file to a `Configuration`, or to everything that is wrong with it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import cast

import attrs

from toolforge_gateway.config.backends import read_backends
from toolforge_gateway.config.deadlines import ALL_TIMEOUTS, read_limits, read_timeouts
from toolforge_gateway.config.document import Mapping, Unreadable, compose
from toolforge_gateway.config.forward_auth import read_auth
from toolforge_gateway.config.listeners import read_endpoint, read_listener
from toolforge_gateway.config.networks import host_name
from toolforge_gateway.config.openapi import read_openapi_docs
from toolforge_gateway.config.options import Options, Report, Source, by_line, shown
from toolforge_gateway.config.origins import read_allowed_origins
from toolforge_gateway.config.processes import (
    check_holdable,
    read_control,
    read_workers,
    warn_of_shares,
)
from toolforge_gateway.config.values import (
    LOG_FACILITIES,
    LOG_FORMATS,
    LOG_TARGETS,
    AccessLog,
    AuthenticatorSection,
    Configuration,
    Control,
    LogFormat,
    LogTarget,
    Operations,
    Origin,
    Timeouts,
    UpstreamTLS,
)
from toolforge_gateway.errors import ConfigurationError

MAXIMUM_SIZE = 1024 * 1024
"""Bytes of a configuration file."""

VERSION_LENGTH = 12
"""Hex digits: enough to tell configurations apart, few enough to be read out."""

CLUSTER_DOMAIN = "cluster.local"
"""What Kubernetes calls a cluster that nobody named."""


def load(path: Path) -> Configuration:
    """Read and check a configuration file.

    Files that it names are not opened, and plug-ins not looked for: that is
    for those who use them.

    :raise ConfigurationError: with every complaint, in the order of lines.
    """
    return loads(read(path), path)


def loads(text: str, path: Path) -> Configuration:
    """The same for the text of a file.

    :param path: the file's name for complaints; relative paths in the text
        start at its folder.
    """
    report = Report()
    configuration = _configuration(path, _options(text, path, report), report)
    return attrs.evolve(configuration, text=text, version=version_of(text))


def version_of(text: str) -> str:
    """The version of a file's content."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:VERSION_LENGTH]


def load_control(path: Path) -> Control:
    """Where the gateway of a configuration file can be asked; the rest may have mistakes.

    :raise ConfigurationError: the file does not say.
    """
    report = Report()
    options = _options(read(path), path, report)
    control = read_control(options)
    if control is None:
        if not options.has("control"):
            options.complain(
                "control", "is missing, so nobody can be asked", "add control: {socket: PATH}"
            )
        raise ConfigurationError(report.complaints)
    return control


def _options(text: str, path: Path, report: Report) -> Options:
    name = str(path)
    try:
        root = compose(text, report.complain, name)
    except Unreadable as error:
        report.complain(Origin(name, error.line, ""), error.what, error.remedy)
        raise ConfigurationError(report.complaints) from None
    if not isinstance(root, Mapping):
        what = "is empty" if root is None else "is no mapping"
        report.complain(Origin(name, None, ""), what, "write keys such as listen and backends")
        raise ConfigurationError(report.complaints)
    return Options(Source(name, path.absolute().parent), root, (), None, report)


def read(path: Path) -> str:
    """The text of a configuration file.

    :raise ConfigurationError: there is none.
    """
    origin = Origin(str(path), None, "")
    try:
        with path.open("rb") as file:
            data = file.read(MAXIMUM_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            [origin.complaint(f"cannot be read: {reason}", "check the name and its permissions")]
        ) from None
    if len(data) > MAXIMUM_SIZE:
        raise ConfigurationError(
            [origin.complaint(f"is larger than {MAXIMUM_SIZE} bytes", "make it smaller")]
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        origin = Origin(str(path), line, "")
        raise ConfigurationError([origin.complaint("is not UTF-8", "save it as UTF-8")]) from None


def _configuration(path: Path, options: Options, report: Report) -> Configuration:
    listeners = options.sections("listen", required=True)
    if options.raw("listen") == []:
        options.complain("listen", "is empty", "add a listener")
    listen = [listener for listener in map(read_listener, listeners) if listener is not None]
    operations = _operations(options)
    _check_endpoints(listeners, options)
    control = read_control(options)
    workers = read_workers(options)
    if workers is not None:
        check_holdable((*listeners, *filter(None, [options.section("operations")])))
        warn_of_shares(workers, options)
    timeouts = read_timeouts(options, Timeouts(), ALL_TIMEOUTS)
    limits = read_limits(options)
    upstream_tls = _upstream_tls(options)
    cluster_domain = _cluster_domain(options)
    backends = read_backends(options.sections("backends"), timeouts, limits, cluster_domain)
    openapi_docs = read_openapi_docs(
        options, any(backend.openapi is not None for backend in backends)
    )
    if options.raw("backends") and not options.has("upstream_tls"):
        options.complain(
            "upstream_tls",
            "is missing, and no backend can be reached without it",
            "add ca, certificate and private_key",
        )
    authenticators = _authenticators(options)
    trusted_proxies = read_auth(options, listen)
    allowed_origins = read_allowed_origins(options)
    access_log = _access_log(options)
    options.finish()
    complaints = [*report.complaints]
    for section in authenticators:
        complaints += section.options.complaints
    if complaints:
        raise ConfigurationError(by_line(complaints))
    return Configuration(
        file=path,
        listen=tuple(listen),
        operations=operations,
        upstream_tls=upstream_tls,
        backends=backends,
        authenticators=authenticators,
        timeouts=timeouts,
        limits=limits,
        access_log=access_log,
        openapi_docs=openapi_docs,
        trusted_proxies=trusted_proxies,
        allowed_origins=allowed_origins,
        control=control,
        workers=workers,
        loading_warnings=report.warnings,
    )


def _check_endpoints(listeners: tuple[Options, ...], options: Options) -> None:
    lines: dict[str, int | None] = {}
    operations = options.section("operations")
    for section in (*listeners, *([] if operations is None else [operations])):
        endpoint = section.raw("endpoint")
        if not isinstance(endpoint, str) or endpoint.startswith(("tcp:0", "tcp6:0")):
            continue
        if endpoint in lines:
            section.complain(
                "endpoint",
                f"{shown(endpoint)} is already used in line {lines[endpoint]}",
                "choose another port",
            )
        lines.setdefault(endpoint, section.origin_of("endpoint").line)


def _operations(options: Options) -> Operations | None:
    section = options.section("operations")
    if section is None:
        return None
    endpoint = read_endpoint(section)
    return None if endpoint is None else Operations(endpoint, section.origin)


def _upstream_tls(options: Options) -> UpstreamTLS | None:
    section = options.section("upstream_tls")
    if section is None:
        return None
    ca = section.setting_file("ca", required=True)
    certificate = section.setting_file("certificate", required=True)
    private_key = section.setting_file("private_key", required=True)
    if ca is None or certificate is None or private_key is None:
        return None
    return UpstreamTLS(ca, certificate, private_key, section.origin)


def _cluster_domain(options: Options) -> str:
    text = options.text("cluster_domain", CLUSTER_DOMAIN)
    name = host_name(text or "")
    if text is not None and name is None:
        options.complain(
            "cluster_domain", f"{shown(text)} is no domain", "write for example cluster.local"
        )
    return name or CLUSTER_DOMAIN


def _authenticators(options: Options) -> tuple[AuthenticatorSection, ...]:
    found = []
    for section in options.sections("authenticators", own_reports=True):
        kind = section.text("kind", required=True)
        found.append(AuthenticatorSection(kind or "", section, section.origin))
    if options.raw("authenticators", []) == []:
        options.warn(
            "authenticators",
            "names none, so every caller is anonymous",
            "add kubernetes-certificate or another",
        )
    return tuple(found)


def _access_log(options: Options) -> AccessLog:
    section = options.section("access_log")
    if section is None:
        return AccessLog()
    form = section.choice("format", LOG_FORMATS, "auto")
    file = None if section.text("file") == "-" else section.file("file")
    to = section.choice("to", LOG_TARGETS, "stdout" if file is None else "file")
    socket = section.file("socket")
    facility = section.choice("facility", LOG_FACILITIES, "daemon")
    if to == "file" and file is None and not (section.has("file") and section.raw("file") != "-"):
        section.complain(
            "file" if section.has("file") else "to",
            "says no file to write to",
            "add the file's name as access_log.file, or write to: stdout",
        )
    elif to != "file" and file is not None:
        section.complain("file", f"is for lines that go to a file, not to {to}", "remove it")
    if to not in ("syslog", "journald") and section.has("socket"):
        section.complain("socket", f"is for syslog and journald, not for {to}", "remove it")
    if to != "syslog" and section.has("facility"):
        section.complain("facility", f"is for syslog, not for {to}", "remove it")
    where = next(key for key in ("socket", "file", "to", "") if not key or section.has(key))
    return AccessLog(
        cast(LogFormat, form),
        file or "-",
        cast(LogTarget, to),
        socket,
        facility or "daemon",
        section.origin_of(where),
    )

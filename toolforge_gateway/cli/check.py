"""`toolforge-gateway check`: whether a gateway would start with a configuration."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.internet.interfaces import IReactorTime

from toolforge_gateway import config, parts
from toolforge_gateway.config.values import Configuration, TrustedProxy
from toolforge_gateway.control import place
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.leading import cannot_listen
from toolforge_gateway.observe import sinks


def check(file: Path, clock: IReactorTime) -> int:
    """Read the configuration, its keys, certificates and plug-ins, and say what they make.

    :raise ConfigurationError: with all complaints.
    :return: the exit code, 0: warnings alone do not keep a gateway from starting.
    """
    configuration = config.load(file)
    loaded = parts.load(configuration, clock)
    places = _places(configuration)
    for warning in dict.fromkeys(configuration.warnings):
        print(f"warning: {warning}", file=sys.stderr)
    for listener, side in zip(configuration.listen, loaded.listeners, strict=True):
        print(f"listen     {listener.endpoint} as {', '.join(side.names)}")
    for backend in sorted(configuration.backends, key=lambda backend: backend.path):
        url = f"https://{backend.url.authority}{backend.url.base_path}"
        if backend.addresses:
            url += f" ({', '.join(map(str, backend.addresses))})"
        print(
            f"backend    {backend.path} to {backend.name} at {url}, verified as "
            f"{backend.server_name}; anonymous callers: {backend.anonymous}"
        )
    for authenticator in loaded.chain.authenticators:
        print(f"identify   {authenticator.name}, once per {authenticator.depends_on.value}")
    for proxy in configuration.trusted_proxies:
        print(f"auth       {proxy.name} asks in the words of {proxy.dialect}, {_known_by(proxy)}")
    if configuration.allowed_origins:
        origins = [origin.decode("ascii") for origin in sorted(configuration.allowed_origins)]
        print(f"origins    {', '.join(origins)}")
    for line in places:
        print(line)
    print(f"{file}: fine")
    return 0


def _places(configuration: Configuration) -> list[str]:
    """Where the gateway makes something itself, and what is missing there just now.

    :raise ConfigurationError: it could not be made there.
    """
    complaints: list[Complaint] = []
    lines = []
    control, access_log = configuration.control, configuration.access_log
    if control is not None:
        try:
            lines.append(_place("control", control.socket, place.not_now(control.socket)))
        except OSError as error:
            complaints.append(cannot_listen(control, error))
    try:
        missing = sinks.not_now(access_log, configuration.file)
    except ConfigurationError as error:
        complaints += error.complaints
    else:
        where = access_log.file if access_log.to == "file" else access_log.to
        lines.append(_place("access log", where, missing))
    if complaints:
        raise ConfigurationError(complaints)
    return lines


def _place(what: str, where: object, missing: str) -> str:
    return f"{what:10} {where}" + (f" ({missing})" if missing else "")


def _known_by(proxy: TrustedProxy) -> str:
    by = "over a Unix socket"
    if proxy.client is not None:
        by = f"known as CN {proxy.client[1]} of the client CA {proxy.client[0]}"
    if proxy.certificate_from is None:
        return f"{by}; shows no certificates"
    kinds = ", ".join(sorted(kind.value for kind in proxy.identifies))
    return f"{by}; shows certificates in {proxy.certificate_from} (may identify: {kinds})"

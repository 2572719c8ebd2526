"""`toolforge-gateway check`: whether a gateway would start with a configuration."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.internet.interfaces import IReactorTime

from toolforge_gateway import config, parts
from toolforge_gateway.config.values import TrustedProxy


def check(file: Path, clock: IReactorTime) -> int:
    """Read the configuration, its keys, certificates and plug-ins, and say what they make.

    :raise ConfigurationError: with all complaints.
    :return: the exit code, 0: warnings alone do not keep a gateway from starting.
    """
    configuration = config.load(file)
    loaded = parts.load(configuration, clock)
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
    print(f"{file}: fine")
    return 0


def _known_by(proxy: TrustedProxy) -> str:
    by = "over a Unix socket"
    if proxy.client is not None:
        by = f"known as CN {proxy.client[1]} of the client CA {proxy.client[0]}"
    if proxy.certificate_from is None:
        return f"{by}; shows no certificates"
    kinds = ", ".join(sorted(kind.value for kind in proxy.identifies))
    return f"{by}; shows certificates in {proxy.certificate_from} (may identify: {kinds})"

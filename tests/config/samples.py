"""Configurations to load in tests."""

from __future__ import annotations

import textwrap
from pathlib import Path

from toolforge_gateway.config import Configuration, loads
from toolforge_gateway.errors import ConfigurationError

FILE = Path("/etc/gw/g.yaml")

_REST = {
    "listen": "listen: [{endpoint: 'tcp:8443', tls: {certificate: c, private_key: k, "
    "client_cas: [{name: a, ca: a, identifies: [tool]}]}}]",
    "upstream_tls": "upstream_tls: {ca: c, certificate: c, private_key: k}",
    "backends": "backends: [{name: jobs, path: /jobs, url: 'https://jobs:1'}]",
    "authenticators": "authenticators: [{kind: superuser, superusers: {}}]",
}


def completed(fragment: str, without: tuple[str, ...] = ()) -> str:
    """A file that begins with the fragment and has the rest of what it needs.

    :param fragment: indented as may be; its first line becomes line 1.
    :param without: top-level keys to leave out.
    """
    text = textwrap.dedent(fragment).strip("\n") + "\n"
    for key, rest in _REST.items():
        if key not in without and not text.startswith(f"{key}:") and f"\n{key}:" not in text:
            text += rest + "\n"
    return text


def loaded(fragment: str) -> Configuration:
    """The configuration that the completed fragment says."""
    return loads(completed(fragment), FILE)


def complaints(text: str) -> list[str]:
    """The lines that a whole file earns, without the folder of its name."""
    try:
        loads(text, FILE)
    except ConfigurationError as error:
        return str(error).replace(f"{FILE.parent}/", "").split("\n")
    return []

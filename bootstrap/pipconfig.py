"""What this machine's pip would read: its index, its folders of wheels, its certificates.

Where there is no pip yet, `download` gets it from where pip itself would have gone, so the
places and their order are pip's own (pip documentation, "Configuration").  No index is named
here: a machine without one in its configuration has no answer.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_SECTIONS = ("global", "install")
"""What `pip install` obeys; the later one wins."""


@dataclass(frozen=True)
class PipConfig:
    """The settings of pip that say where wheels come from."""

    indexes: tuple[str, ...] = ()
    """URLs of simple indexes (PEP 503), the main one first."""
    find_links: tuple[str, ...] = ()
    """Folders, or URLs of pages with links to wheels."""
    cert: str | None = None
    """A file of certificates to trust instead of the system's."""
    proxy: str | None = None
    trusted_hosts: tuple[str, ...] = ()
    """Hosts, with or without a port, whose certificate need not be valid."""


def config_files(environ: Mapping[str, str], prefix: str = sys.prefix) -> Iterator[Path]:
    """Where pip's configuration may be, what counts less first.

    :param environ: the environment variables.
    :param prefix: the folder of the Python that pip would run in.
    """
    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return
    for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep):
        yield Path(folder, "pip", "pip.conf")
    yield Path("/etc/pip.conf")
    if not (chosen and os.path.exists(chosen)):
        home = Path(environ.get("HOME") or Path.home())
        yield home / ".pip" / "pip.conf"
        yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "pip", "pip.conf")
    yield Path(prefix, "pip.conf")
    if chosen:
        yield Path(chosen)


def read(environ: Mapping[str, str], files: Iterator[Path] | list[Path] | None = None) -> PipConfig:
    """The settings in force: files in their order, then `PIP_*` variables.

    :param environ: the environment variables.
    :param files: instead of `config_files(environ)`.
    :raise ValueError: a file that is there is no configuration file.
    """
    values: dict[str, str] = {}
    for path in config_files(environ) if files is None else files:
        values.update(_values(path))
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            values[name[4:].lower().replace("_", "-")] = value
    indexes: tuple[str, ...] = ()
    if not _true(values.get("no-index", "")):
        indexes = (*values.get("index-url", "").split(), *values.get("extra-index-url", "").split())
    return PipConfig(
        indexes=indexes,
        find_links=tuple(values.get("find-links", "").split()),
        cert=values.get("cert") or None,
        proxy=values.get("proxy") or None,
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
    )


def _values(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return {}  # not there, or not ours to read: pip goes on as well
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(f"{path} is no pip configuration: {error}") from error
    found: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            found.update((key.replace("_", "-"), value) for key, value in parser.items(section))
    return found


def _true(value: str) -> bool:
    return value.strip().lower() in {"1", "y", "yes", "t", "true", "on"}

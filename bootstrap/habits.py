"""What has to be right about the files before a release is made of them: nothing is run here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

VERSION_FILE = "toolforge_gateway/_version.py"
"""The one place where the version is written; formats that cannot read it have copies."""

_PLACES = {
    "debian/changelog": (r"\Atoolforge-gateway \(([^)]+)\)", "debian"),
    "chart/Chart.yaml": (r"^version: (\S+)$", "chart"),
    "chart/Chart.yaml appVersion": (r"^appVersion: (\S+)$", "python"),
    "Containerfile": (r"^ARG VERSION=(\S+)$", "python"),
}
"""Where copies are, how to find them, and who writes them; a file that is not there has none."""

_LEFT_OUT = frozenset({".gitignore"})
"""Of the files in git these are for git alone."""


def version_of(root: Path) -> str:
    """The version that the package says of itself.

    :raise ValueError: there is none where it should be.
    """
    text = (root / VERSION_FILE).read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError(f'{VERSION_FILE} has no line __version__ = "…"')
    return found[1]


def spelled(version: str) -> Mapping[str, str]:
    """A version as Python, Debian and Helm write it: each sorts a pre-release before its release
    in a way of its own (PEP 440, Debian Policy 5.6.12, Semantic Versioning 2)."""
    return {
        "python": version,
        "debian": re.sub(r"\.?(dev|a|b|rc)", r"~\1", version),
        "chart": re.sub(r"\.?(dev|a|b|rc)", r"-\1", version),
    }


def disagreements(root: Path) -> list[str]:
    """Copies of the version that say another one; what to write where."""
    version = version_of(root)
    wrong = []
    for place, (pattern, kind) in _PLACES.items():
        path = root / place.partition(" ")[0]
        if not path.exists():
            continue
        wanted = spelled(version)[kind]
        found = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
        said = found[1] if found else None
        # Debian's may go on with the number of the packaging.
        if said != wanted and not (kind == "debian" and (said or "").startswith(f"{wanted}-")):
            wrong.append(f"{place} says {said}, and {VERSION_FILE} {version}: write {wanted}")
    return wrong


def is_development(version: str) -> bool:
    """Whether a version is of what comes between releases."""
    return "dev" in version


def kinds(root: Path) -> frozenset[str]:
    """The kinds of news that there are, by pyproject.toml."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return frozenset(each["directory"] for each in settings["tool"]["towncrier"]["type"])


def fragments(root: Path) -> list[Path]:
    """The news that are in no release yet."""
    kept_for_git = (".gitignore", ".gitkeep")
    return sorted(each for each in (root / "news").iterdir() if each.name not in kept_for_git)


def wrong_fragments(root: Path) -> list[str]:
    """News that would be lost, or say nothing: towncrier passes over a name that it does not
    know without a word."""
    known = "|".join(sorted(kinds(root)))
    wrong = []
    for each in fragments(root):
        if not re.fullmatch(rf"[a-z0-9]+(?:-[a-z0-9]+)*\.(?:{known})\.md", each.name):
            wrong.append(f"news/{each.name}: its name is not TOPIC.KIND.md with a KIND of {known}")
        elif not each.read_text(encoding="utf-8").strip():
            wrong.append(f"news/{each.name} is empty")
    return wrong


def left_out(tracked: Iterable[str], packed: Iterable[str]) -> list[str]:
    """Files of the checkout that are missing from a source archive.

    :param tracked: by git, from the root.
    :param packed: in the archive, from its root.
    """
    return sorted(set(tracked) - set(packed) - _LEFT_OUT)

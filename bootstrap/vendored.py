"""What the pages bring along of others: taken from its package, whole files, never changed.

    python3 -m bootstrap.vendored            checks the files against vendored.json
    python3 -m bootstrap.vendored --update   takes them anew, with npm, and writes vendored.json

To move to another version, change `version` and `package` (npm's "integrity" of it) first.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "toolforge_gateway" / "pages" / "static" / "vendor"
LIST = "vendored.json"
OURS = frozenset([LIST, "README.md"])


def faults(folder: Path = FOLDER) -> list[str]:
    """What is not as the list says; nothing, if all is well."""
    listed: dict[str, str] = {}
    for name, each in _read(folder).items():
        listed |= {f"{name}/{file}": entry["sha256"] for file, entry in each["files"].items()}
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in OURS
    }
    return [
        *(f"{name} is missing" for name in sorted(listed.keys() - found.keys())),
        *(f"{name} is not listed" for name in sorted(found.keys() - listed.keys())),
        *(
            f"{name} was changed"
            for name in sorted(listed.keys() & found.keys())
            if listed[name] != found[name]
        ),
    ]


def update(folder: Path = FOLDER) -> None:
    """Take all files from their packages.

    :raise ValueError: a package is not the one that the list means.
    """
    packages = _read(folder)
    for name, each in packages.items():
        with tempfile.TemporaryDirectory() as place:
            wanted = f"{name}@{each['version']}"
            fetch = ["npm", "pack", "--silent", wanted]
            subprocess.run(fetch, cwd=place, check=True, stdout=subprocess.DEVNULL)
            [archive] = Path(place).iterdir()
            digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
            if each["package"] != f"sha512-{digest}":
                raise ValueError(f"{wanted} is not the package that {LIST} means: sha512-{digest}")
            with tarfile.open(archive) as members:
                for file, entry in each["files"].items():
                    member = members.extractfile(f"package/{entry['from']}")
                    if member is None:
                        raise ValueError(f"{wanted} has no file {entry['from']}")
                    data = member.read()
                    target = folder / name / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
                    entry["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / LIST).write_text(json.dumps(packages, indent=2) + "\n", encoding="utf-8")


def _read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / LIST).read_text(encoding="utf-8"))
    return found


def main(argv: Sequence[str]) -> int:
    """:return: the exit code: 0 fine, 1 not as listed."""
    if "--update" in argv:
        update()
    wrong = faults()
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

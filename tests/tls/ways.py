"""The ways in which files are replaced under a running program."""

from __future__ import annotations

import os
from pathlib import Path


class Way:
    """Files in a folder, which are replaced in some way.

    :ivar torn: whether two files can be seen one old and one new.
    """

    torn = True

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """What the configuration calls the file."""
        return self.folder / name

    def replace(self, **contents: bytes) -> None:
        """Put new files in the place of old ones; a name's dot is written `__`."""
        for name, content in contents.items():
            self.put(name.replace("__", "."), content)

    def put(self, name: str, content: bytes) -> None:
        """Put one new file in the place of an old one."""
        raise NotImplementedError


class Renamed(Way):
    """A new file is renamed over the old one, as certbot and most programs do."""

    def put(self, name: str, content: bytes) -> None:
        fresh = self.path(f"{name}.new")
        fresh.write_bytes(content)
        fresh.rename(self.path(name))


class Written(Way):
    """The file is emptied and written, as `cp` and an editor do."""

    def put(self, name: str, content: bytes) -> None:
        self.path(name).write_bytes(content)


class Linked(Way):
    """Each name is a symbolic link that is led elsewhere, one after the other."""

    def put(self, name: str, content: bytes) -> None:
        self.number = getattr(self, "number", 0) + 1
        there = self.folder / f"{self.number}-{name}"
        there.write_bytes(content)
        self.path("new").symlink_to(there.name)
        self.path("new").rename(self.path(name))


class Mounted(Way):
    """As Kubernetes mounts secrets: each name is a link through `..data`, and that link is led
    to another folder by a rename; then the old folder is gone."""

    torn = False
    revision = 0

    def replace(self, **contents: bytes) -> None:
        self.revision += 1
        there = self.folder / f"..2026_11_22_{self.revision}"
        there.mkdir()
        data = self.folder / "..data"
        former = data.resolve() if data.exists() else None
        whole = {each.name: each.read_bytes() for each in former.iterdir()} if former else {}
        whole |= {name.replace("__", "."): content for name, content in contents.items()}
        for name, content in whole.items():
            (there / name).write_bytes(content)
            if not self.path(name).is_symlink():
                self.path(name).symlink_to(f"..data/{name}")
        (self.folder / "..data_tmp").symlink_to(there.name)
        os.replace(self.folder / "..data_tmp", data)
        if former is not None:
            for each in former.iterdir():
                each.unlink()
            former.rmdir()

    def put(self, name: str, content: bytes) -> None:
        self.replace(**{name.replace(".", "__"): content})


WAYS = (Renamed, Written, Linked, Mounted)

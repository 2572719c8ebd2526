"""Several files as they were together at one moment.

Files that belong together (a certificate and its key) are replaced in one of these ways, and are
to be read whole in each of them:

* a directory behind a symbolic link is exchanged by renaming the link, as Kubernetes does with
  `..data`: nothing about the files' own names changes, but all of them are others;
* each is replaced by renaming another one over it, one after the other;
* each is written in its place.

So nothing is watched but what `stat` tells; and what was read counts only if it was still the
same when the last byte had been read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

TRIES = 5
"""How often files are read anew that change while they are read.  If they still do, they are taken
as they are, which may be torn, and are looked at again because they have changed."""

Mark = tuple[int, int, int, int, int]
"""Device, inode, times of the content's and the inode's last change in nanoseconds, size: two
states of one file differ in one of them."""
Marks = Mapping[Path, Mark | None]
"""None: the file is not there, or nobody may look at it."""


def look(paths: Iterable[Path]) -> Marks:
    """What tells one state of these files from another; a few microseconds for each."""
    return {path: _mark(path) for path in paths}


@attrs.frozen
class Revision:
    """What was read, or why it could not be.  Has private keys in it: not to be kept."""

    marks: Marks
    digest: bytes
    """Tells one content of all the files from another."""
    _contents: Mapping[Path, bytes | OSError] = attrs.field(repr=False)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Revision:
        """Read files as they are together."""
        paths = tuple(dict.fromkeys(paths))
        for _ in range(TRIES):
            before = look(paths)
            contents = {path: _content(path) for path in paths}
            if look(paths) == before:
                break
        # Of what was there before: if it changed on the way it is looked at again.
        return cls(before, _digest(contents.values()), contents)

    def content(self, path: Path) -> bytes:
        """The bytes of one of the files.

        :raise OSError: it could not be read.
        """
        content = self._contents[path]
        if isinstance(content, OSError):
            raise content.with_traceback(None)
        return content


def _mark(path: Path) -> Mark | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (
        status.st_dev,
        status.st_ino,
        status.st_mtime_ns,
        # A copy that keeps the content's time shows here all the same, and so does a chmod
        # that makes a file readable.
        status.st_ctime_ns,
        status.st_size,
    )


def _content(path: Path) -> bytes | OSError:
    try:
        # A pipe or a terminal in the place of the file would never end.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return OSError(errno.EINVAL, "it is no ordinary file")
            return file.read()
    except OSError as error:
        return error


def _digest(contents: Iterable[bytes | OSError]) -> bytes:
    digest = hashlib.sha256()
    for content in contents:
        failed = isinstance(content, OSError)
        data = str(content).encode() if isinstance(content, OSError) else content
        digest.update(b"%d:%d:" % (failed, len(data)) + data)
    return digest.digest()

"""The file of a Unix socket that only its owner may open, made and removed with care."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from time import sleep

from toolforge_gateway.listen.unix import somebody_listens

MODE = 0o600
LONGEST = 107 - len(".new")
"""Bytes of a path: what the kernel takes, less what we put behind it for a moment."""
BACKLOG = 16
_NO_SOCKET = "something that is no socket is there; remove it"
TRIES = 20
BETWEEN_TRIES = 0.01
"""Seconds between two attempts to have a folder for ourselves."""


class Place:
    """A listening Unix socket of our own.

    It never stands there with another mode than `MODE`, and what stands there listens: it is made
    beside its place and then moved to it, in the stead of what a dead process has left.

    :param path: at most `LONGEST` bytes; its folder exists.
    :ivar socket: listens, and does not block.
    :raise OSError: it cannot be made there; `strerror` says why.
    """

    def __init__(self, path: Path):
        self.path = path
        with _alone_in(path.parent):
            _check(path)
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self._inode = self._move_in()
            except BaseException:
                self.socket.close()
                raise

    @property
    def stands(self) -> bool:
        """Whether its file is still there; somebody may have removed it."""
        try:
            return _inode(self.path) == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Close it, and remove its file if it is still ours."""
        self.socket.close()
        with contextlib.suppress(OSError), _alone_in(self.path.parent):
            if self.stands:
                self.path.unlink()

    def _move_in(self) -> tuple[int, int]:
        self.socket.setblocking(False)
        beside = self.path.with_name(self.path.name + ".new")
        beside.unlink(missing_ok=True)
        # Before it has a name: that name then never has another mode.
        os.fchmod(self.socket.fileno(), MODE)
        self.socket.bind(str(beside))
        try:
            beside.chmod(MODE)
            self.socket.listen(BACKLOG)
            inode = _inode(beside)
            beside.rename(self.path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        return inode


def not_now(path: Path) -> str:
    """What would keep a `Place` from being made at this moment, as far as that can be seen without
    making anything; that somebody listens there is nothing: it may be who will read this.

    :return: a few words about what may come right by itself until it is made; "": nothing.
    :raise OSError: what would not; `strerror` says what.
    """
    if not path.parent.is_dir():
        return "its folder is not there now"
    if path.exists() and not path.is_socket():
        raise FileExistsError(0, _NO_SOCKET)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return ""


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two of us look and move one after the other.

    Whoever may read the folder can have its lock, and keep it: it is not waited for any longer
    than one of us needs it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sleep(BETWEEN_TRIES)
            else:
                break
        yield
    finally:
        os.close(descriptor)


def _check(path: Path) -> None:
    """See that nothing is there, or what a dead process has left.

    :raise OSError: something else is there.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(0, _NO_SOCKET)
    if somebody_listens(str(path)):
        raise FileExistsError(0, "another process listens there")


def _inode(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino

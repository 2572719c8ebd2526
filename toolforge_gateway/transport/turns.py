"""Whose turn it is to accept, where several processes share a listening socket.

The kernel wakes whoever looks, and who is quick and idle takes all: with a few kept connections
one process serves and the other looks on.  So each writes on a common page how many connections it
has, and steps back for a moment while it has more than another one.  Nobody is ever asked,
and nobody is waited for: who does not take their turn loses it.
"""

from __future__ import annotations

import mmap
import os

NUMBERS = 4095
"""Processes at a time, those that drain among them; with the mark of how many there are it is
32 kB."""
NOBODY = 2**62
"""Stands for who does not accept: more connections than anybody has."""
STEP = 0.001
"""Seconds to step back for each connection that we have more than another process."""
LONGEST = 0.01
"""Seconds to step back at most: then the other one is busy, or hangs."""
EACH = 8
"""For so many connections more than another process one more is taken when it did not come: the
longer it hangs the less we wait for it."""

_SIZE = 8 * (NUMBERS + 1)


class Board:
    """The page, as who leads the others has it.

    :ivar descriptor: of it, to be handed to them.
    """

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("toolforge-gateway-turns", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, _SIZE)
        self._page = _page(self.descriptor)
        self._taken: set[int] = set()

    def take(self) -> int:
        """A number for another process; it accepts from when it first says how many it has.

        :raise RuntimeError: all are taken.
        """
        number = next((each for each in range(1, NUMBERS + 1) if each not in self._taken), None)
        if number is None:
            raise RuntimeError(f"there are {NUMBERS} processes already")
        self._page[number] = NOBODY
        self._taken.add(number)
        self._page[0] = max(self._taken)
        return number

    def free(self, number: int) -> None:
        """Its process is gone."""
        self._page[number] = NOBODY
        self._taken.discard(number)
        self._page[0] = max(self._taken, default=0)

    def open(self, number: int) -> int | None:
        """How many connections a process has; None: it does not accept."""
        found = self._page[number]
        return None if found == NOBODY else found

    def close(self) -> None:
        """It is needed no more."""
        self._page.release()
        os.close(self.descriptor)


class Turns:
    """The page, as one of those who accept has it.

    :param descriptor: of it.
    :param number: this process's own.
    """

    def __init__(self, descriptor: int, number: int):
        if not 1 <= number <= NUMBERS:
            raise ValueError(f"{number} is no number on the board")
        self._page = _page(descriptor)
        self._number = number
        self._accepts = False

    def tell(self, connections: int) -> None:
        """Say how many connections we have; called for each that comes and goes."""
        if self._accepts:
            self._page[self._number] = connections

    def begin(self, connections: int) -> None:
        """From now on we accept."""
        self._accepts = True
        self._page[self._number] = connections

    def end(self) -> None:
        """From now on we do not; others are not to wait for us."""
        self._accepts = False
        self._page[self._number] = NOBODY

    def ahead(self) -> int:
        """How many connections more than another process we have; 0: it is our turn."""
        page = self._page
        if not self._accepts:
            return 0
        return page[self._number] - min(page[1 : page[0] + 1])


def step_back(ahead: int) -> float:
    """Seconds for which to leave it to the others, being so many connections ahead."""
    return min(ahead * STEP, LONGEST)


def all_the_same(ahead: int) -> int:
    """How many connections to take if they are still there after that."""
    return 1 + ahead // EACH


def _page(descriptor: int) -> memoryview:
    # Numbers of 8 bytes at their own places: the processor writes each as a whole.
    # As large as it is: who leads us may be of an older version, with room for fewer.
    return memoryview(mmap.mmap(descriptor, 0)).cast("q")

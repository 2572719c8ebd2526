"""Files that change while they are read."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.tls.pairs import (
    fresh_directory,
)
from tests.tls.ways import Mounted, Renamed
from toolforge_gateway.tls import revision
from toolforge_gateway.tls.revision import Revision


class RevisionTests(SynchronousTestCase):
    """Files that change while they are read."""

    def test_not_torn(self) -> None:
        """Two files behind a link that is led elsewhere between them are read again."""
        way = Mounted(fresh_directory())
        way.replace(a=b"1", b=b"1")
        paths = [way.path("a"), way.path("b")]
        real = revision._content
        reads = []

        def swapping(path: Path) -> bytes | OSError:
            content = real(path)
            reads.append(path)
            if len(reads) == 1:
                way.replace(a=b"2", b=b"2")
            return content

        self.patch(revision, "_content", swapping)
        read = Revision.read(paths)
        self.assertEqual([read.content(path) for path in paths], [b"2", b"2"])
        self.assertEqual(read.marks, revision.look(paths))

    def test_never_still(self) -> None:
        """Files that never stand still are given up, and look changed afterwards."""
        way = Renamed(fresh_directory())
        way.replace(a=b"0")
        real = revision._content

        def changing(path: Path) -> bytes | OSError:
            content = real(path)
            way.replace(a=b"x")
            return content

        self.patch(revision, "_content", changing)
        read = Revision.read([way.path("a")])
        self.assertNotEqual(read.marks, revision.look(read.marks))

    def test_digest(self) -> None:
        """Contents are told apart wherever one file ends and the next begins."""
        way = Renamed(fresh_directory())
        paths = [way.path("a"), way.path("b")]
        digests = set()
        for one, other in ((b"ab", b""), (b"a", b"b"), (b"", b"ab")):
            way.replace(a=one, b=other)
            digests.add(Revision.read(paths).digest)
        way.path("b").unlink()
        digests.add(Revision.read(paths).digest)
        self.assertEqual(len(digests), 4)

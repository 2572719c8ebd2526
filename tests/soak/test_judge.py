"""The soak's judge says no to each thing that must not be."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from soak.judge import SECRET, WARM_UP, Ending, Expected, Judge, Memory, complaints

EXPECTED = Expected(b"GET", b"/v1/x", b"tf-test", b"tf-test")
FORWARDED = [(b"X-Forwarded-For", b"127.0.0.1"), (b"X-Forwarded-Proto", b"https")]
IDENTITY = [(b"X-Toolforge-Tool", b"tf-test"), (b"X-Toolforge-User", b"tf-test")]
GOOD_ENDING = Ending(Memory(100, 105), 12, 12, 0, "Log opened.\n", ['{"status": 200}'])


class ArrivalTests(SynchronousTestCase):
    """Requests as backends report them."""

    def setUp(self) -> None:
        self.judge = Judge()

    def arrive(self, *fields: tuple[bytes, bytes], expected: Expected = EXPECTED) -> list[str]:
        """Kinds of fault found in a request with these fields besides the right ones."""
        token = self.judge.announce(expected)
        base = [(b"X-Soak-Token", token), *FORWARDED, *IDENTITY, *fields]
        self.judge.arrive(b"GET", b"/v1/x", base)
        return list(self.judge.wrong)

    def test_right(self) -> None:
        """A request that is as announced is no fault."""
        self.assertEqual(self.arrive((b"X-Other", b"x")), [])

    def test_stowaway(self) -> None:
        """One that nobody announced is, and so is one that bears two tokens or none."""
        for tokens in ((), (b"inner",), (b"t1", b"t1")):
            self.judge.arrive(b"GET", b"/v1/x", [(b"x-soak-token", each) for each in tokens])
        self.assertEqual(self.judge.wrong["stowaway"], 3)

    def test_another_target(self) -> None:
        """What was sent is what has to arrive."""
        other = attrs.evolve(EXPECTED, target=b"/v1/y")
        self.assertEqual(self.arrive(expected=other), ["another request"])

    def test_identity(self) -> None:
        """Wrong, doubled and missing identities are seen, under any spelling."""
        self.assertEqual(self.arrive((b"x_toolforge.tool", b"other")), ["identity"])
        for expected in (
            attrs.evolve(EXPECTED, tool=b"other"),
            attrs.evolve(EXPECTED, user=None),
        ):
            self.judge = Judge()
            self.assertEqual(self.arrive(expected=expected), ["identity"])

    def test_forwarded(self) -> None:
        """The client's address is said once, and by nobody else."""
        self.assertEqual(self.arrive((b"X-Forwarded-For", b"192.0.2.1")), ["forwarded"])

    def test_forbidden(self) -> None:
        """Fields by which others tell identities are seen, under any spelling."""
        self.assertEqual(self.arrive((b"SSL_CLIENT_S_DN", b"CN=x")), ["forbidden field"])

    def test_sent_twice(self) -> None:
        """A GET may come twice, a POST may not."""
        for method, faults in ((b"GET", 0), (b"POST", 1)):
            token = self.judge.announce(attrs.evolve(EXPECTED, method=method))
            fields = [(b"X-Soak-Token", token), *FORWARDED, *IDENTITY]
            for _ in range(2):
                self.judge.arrive(method, b"/v1/x", fields)
            self.assertEqual(self.judge.wrong["sent twice"], faults)


class ComplaintTests(SynchronousTestCase):
    """The end of a soak."""

    def assertComplaint(self, words: str, **changes: object) -> None:
        judge = Judge()
        judge.good("small")
        (found,) = complaints(judge, attrs.evolve(GOOD_ENDING, **changes), ["small"])
        self.assertIn(words, found)

    def test_passed(self) -> None:
        """A soak in which everything was right has passed."""
        judge = Judge()
        judge.good("small")
        self.assertEqual(complaints(judge, GOOD_ENDING, ["small"]), [])
        short = attrs.evolve(GOOD_ENDING, memory=None)
        self.assertEqual(complaints(judge, short, ["small"]), [])

    def test_nothing_happened(self) -> None:
        """One in which a kind of client did nothing has not."""
        (found,) = complaints(Judge(), GOOD_ENDING, ["small"])
        self.assertIn("nothing was tried: small", found)

    def test_faults(self) -> None:
        """Every fault counts, also those too many to show."""
        judge = Judge()
        for number in range(100):
            judge.fault("upload", f"number {number}")
        found = complaints(judge, GOOD_ENDING, [])
        self.assertIn("upload: number 0", found)
        self.assertTrue(any("60 more faults" in each for each in found), found)

    def test_endings(self) -> None:
        """Growth, leaked descriptors, a bad end and whatever the logs may not show."""
        self.assertComplaint("memory has grown", memory=Memory(100, 111))
        self.assertComplaint("13 open descriptors", descriptors_after=13)
        self.assertComplaint("ended with None", exit_code=None)
        self.assertComplaint("Traceback", log="x\nTraceback (most recent call last)\n")
        self.assertComplaint("Unhandled", log="Unhandled error in Deferred")
        self.assertComplaint("log", log=f"?token={SECRET}")
        self.assertComplaint("access log", access_log=["fine", f"token={SECRET}"])
        self.assertComplaint("access log", access_log=["\x1b[31m"])

    def test_memory(self) -> None:
        """What is compared is the time just after the warm-up and the end."""
        samples = [(second, 50 if second < WARM_UP else 100 + second) for second in range(161)]
        memory = Memory.of([(float(moment), int(size)) for moment, size in samples])
        self.assertEqual((memory.warm, memory.end), (164.5, 255.5))
        self.assertFalse(memory.flat)
        self.assertFalse(Memory.of([]).flat)

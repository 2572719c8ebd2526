"""The judge of the comparison: it must be able to say each of its three words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.compare.collect import AREAS, rows
from tests.compare.judge import Arrived, Verdict, judge, parse
from tests.strict.table import Case, arriving, refusing, request

GOOD = Case("good", request(b"X: y"), arrives=(arriving(b"X: y"),))
BAD = refusing("bad", request(b"X : y"))


def seen(raw: bytes) -> Arrived:
    """What a backend reads."""
    found = parse(raw)
    assert found is not None and found[1] == len(raw)
    return found[0]


class JudgeTests(SynchronousTestCase):
    def judged(self, case: Case, statuses: list[int], *raw: bytes, area: str = "heads") -> Verdict:
        return judge(area, case, statuses, [seen(each) for each in raw])[0]

    def test_passed(self) -> None:
        """Any refusal will do, and what arrives may be ordered and framed in another way."""
        self.assertIs(self.judged(BAD, [400]), Verdict.PASSED)
        self.assertIs(self.judged(BAD, []), Verdict.PASSED)
        lines = arriving(b"X: y").split(b"\r\n")
        other = b"\r\n".join([lines[0], *reversed(lines[1:-2]), b"connection: close", b"", b""])
        self.assertIs(self.judged(GOOD, [200], other), Verdict.PASSED)
        chunked = arriving(framing=b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")
        counted = arriving(framing=b"Content-Length: 5", body=b"hello")
        case = Case("body", b"", arrives=(chunked,))
        self.assertIs(self.judged(case, [200], counted), Verdict.PASSED)

    def test_let_through(self) -> None:
        """What must be refused and arrives, one request too many, and a claim of the client's."""
        self.assertIs(self.judged(BAD, [200], arriving()), Verdict.LET_THROUGH)
        self.assertIs(self.judged(GOOD, [200], arriving(b"X: y"), arriving()), Verdict.LET_THROUGH)
        for claim in (b"X_Toolforge_Tool: victim", b"x-forwarded-for: 6.6.6.6", b"Cookie: a=b"):
            arrived = arriving(b"X: y", claim)
            self.assertIs(self.judged(GOOD, [200], arrived), Verdict.LET_THROUGH)

    def test_spoilt(self) -> None:
        """What is good and is refused, or arrives as something else."""
        self.assertIs(self.judged(GOOD, [400]), Verdict.SPOILT)
        self.assertIs(self.judged(GOOD, [200], arriving()), Verdict.SPOILT)
        self.assertIs(self.judged(GOOD, [502], arriving(b"X: y")), Verdict.SPOILT)
        moved = arriving(b"X: y", target=b"/elsewhere")
        self.assertIs(self.judged(GOOD, [200], moved), Verdict.SPOILT)

    def test_the_next_request(self) -> None:
        """After a bad target the message's end is plain, so that a pipelined request may come."""
        case = refusing("target", request(target=b"/jobs/../x"))
        smuggled = arriving(target=b"/v1/tool/tf-test/smuggled")
        self.assertIs(self.judged(case, [400, 200], smuggled, area="targets"), Verdict.PASSED)
        self.assertIs(self.judged(case, [400, 200], smuggled), Verdict.LET_THROUGH)

    def test_the_tables_are_found(self) -> None:
        """Every area gives rows, those that a listener of its own decides left out."""
        found = list(rows())
        self.assertEqual({row.area for row in found}, set(AREAS))
        self.assertGreater(len(found), 1000)
        self.assertFalse([row for row in found if row.test == "test_words"])

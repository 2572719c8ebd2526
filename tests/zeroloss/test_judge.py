"""The table of the zero-loss test's judge, and what it adds up."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from zeroloss.judge import KEPT, Attempt, End, Ledger, Verdict, judge

RIGHT, RESEND, LOST = Verdict.RIGHT, Verdict.RESEND, Verdict.LOST

TABLE = [
    # method, how it ended, reused, after close, again -> verdict
    ("GET", End.RIGHT, False, False, False, RIGHT),
    ("POST", End.RIGHT, True, False, True, RIGHT),
    ("GET", End.WRONG, True, False, False, LOST),
    ("GET", End.CUT, True, False, False, LOST),
    ("GET", End.LATE, True, False, False, LOST),
    ("GET", End.UNREACHED, False, False, False, LOST),
    ("GET", End.SILENT, False, False, False, LOST),
    ("GET", End.SILENT, True, False, False, RESEND),
    ("HEAD", End.SILENT, True, False, False, RESEND),
    ("PUT", End.SILENT, True, False, False, RESEND),
    ("DELETE", End.SILENT, True, False, False, RESEND),
    ("POST", End.SILENT, True, False, False, LOST),
    ("PATCH", End.SILENT, True, False, False, LOST),
    ("POST", End.SILENT, True, True, False, RESEND),
    ("GET", End.SILENT, True, True, False, RESEND),
    ("POST", End.CUT, True, True, False, LOST),
    ("GET", End.SILENT, True, False, True, LOST),
    ("POST", End.SILENT, True, True, True, LOST),
    ("GET", End.UNREACHED, False, False, True, LOST),
]


class TableTests(SynchronousTestCase):
    """What each outcome means."""

    def test_each_outcome(self) -> None:
        """Every line of the table has the verdict that the RFCs give it."""
        for method, end, reused, after_close, again, verdict in TABLE:
            attempt = Attempt(method, end, reused, after_close, again)
            self.assertIs(judge(attempt), verdict, attempt)

    def test_every_end_is_in_the_table(self) -> None:
        """No way to end is forgotten above."""
        self.assertEqual({line[1] for line in TABLE}, set(End))


class LedgerTests(SynchronousTestCase):
    """What is added up."""

    def setUp(self) -> None:
        self.ledger = Ledger()

    def enter(self, attempt: Attempt, began: float = 0, now: float = 1) -> Verdict:
        return self.ledger.enter("kept", attempt, began, now)

    def test_resent_and_then_right(self) -> None:
        """A request that is sent again and then answered is one that was resent, and is right."""
        self.assertIs(self.enter(Attempt("GET", End.SILENT, reused=True)), RESEND)
        self.enter(Attempt("GET", End.RIGHT, again=True))
        report = self.ledger.report()
        self.assertEqual(report["resent"], {"kept": 1})
        self.assertEqual(report["right"], {"kept": 1})
        self.assertEqual(report["lost"], {})

    def test_a_loss_says_what_happened(self) -> None:
        """Whoever reads of a loss learns the method, how it ended, and where."""
        self.enter(Attempt("POST", End.SILENT, reused=True, detail="0 bytes came"))
        [loss] = self.ledger.losses
        self.assertEqual(
            loss,
            "0.00 to 1.00 s: kept: POST: the connection closed without an answer,"
            " on a kept connection: 0 bytes came",
        )

    def test_all_losses_are_counted(self) -> None:
        """Not all are told, but the number is of all."""
        for _ in range(KEPT + 3):
            self.enter(Attempt("GET", End.CUT))
        self.assertEqual(self.ledger.lost["kept"], KEPT + 3)
        self.assertEqual(len(self.ledger.losses), KEPT)

    def test_longest_pause(self) -> None:
        """The pause is between two right answers to whomever; the wait is one request's own."""
        self.enter(Attempt("GET", End.RIGHT), began=0, now=1)
        self.enter(Attempt("GET", End.RIGHT), began=2.5, now=3)
        self.enter(Attempt("GET", End.RIGHT), began=1, now=3.5)
        self.assertEqual(self.ledger.pause, 2)
        self.assertEqual(self.ledger.slowest, {"kept": 2.5})

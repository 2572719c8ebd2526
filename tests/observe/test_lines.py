"""What a line of the access log looks like, in each of its forms."""

from __future__ import annotations

import json
import os
import re
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.observe.exchanges import over
from toolforge_gateway.config.values import LOG_FACILITIES
from toolforge_gateway.model import Identity, Kind
from toolforge_gateway.observe.lines import (
    FACILITIES,
    HumanLine,
    JournalEntry,
    JsonLine,
    SyslogRecord,
)

NASTY = 'a"b\n<6>fake PRIORITY=0\r\x1b[31m\u2028\udcff\x00'
TOOL = Identity("tf-test", Kind.TOOL, "kubernetes-certificate")


def nasty():
    """An exchange of somebody who wants to write the log himself."""
    return over(
        method=NASTY, path=NASTY, reason=NASTY, backend=NASTY, asked_by=NASTY, trace_id=NASTY,
        identity=Identity(NASTY, Kind.TOOL, NASTY),
    )  # fmt: skip


class JsonTests(SynchronousTestCase):
    """For programs."""

    def test_members(self) -> None:
        """One object, with the members that the documentation lists, in one line."""
        line = JsonLine()(over(identity=TOOL))
        self.assertEqual(line.count("\n"), 1)
        found = json.loads(line)
        self.assertEqual(found["time"], "2027-01-15T08:00:00.000+00:00")
        self.assertEqual(found["identity"], "tf-test")
        self.assertEqual(found["trace_id"], found["request_id"])

    def test_trace(self) -> None:
        """A trace that somebody else began is named."""
        self.assertEqual(json.loads(JsonLine()(over(trace_id="abc")))["trace_id"], "abc")

    def test_bounded(self) -> None:
        """A line is short whatever a client sends."""
        line = JsonLine()(over(method="\u2028" * 10**6, path="\u2028" * 10**6))
        self.assertLess(len(line), 20_000)

    def test_nasty(self) -> None:
        """Nothing breaks out of its string."""
        line = JsonLine()(nasty())
        self.assertTrue(line.isascii() and line[:-1].isprintable(), line)
        self.assertEqual(json.loads(line)["reason"], NASTY)


class HumanTests(SynchronousTestCase):
    """For people."""

    def test_line(self) -> None:
        """When, what came of it, what, who, how long, and the id to search for."""
        self.assertEqual(
            HumanLine()(over(identity=TOOL)),
            "2027-01-15 08:00:00.000Z 200 own-tool GET /jobs/v1/tool/tf-test/jobs jobs-api"
            " tool tf-test from 192.0.2.1 3.0 ms 0 in 280 out 1\n",
        )

    def test_odd_ones(self) -> None:
        """What there is not is a dash, and what was cut says so."""
        line = HumanLine()(
            over(status=0, reason="client-left", backend="", path="", complete=False)
        )
        self.assertEqual(
            line,
            "2027-01-15 08:00:00.000Z --- client-left GET - - anonymous from 192.0.2.1"
            " 3.0 ms 0 in 280 out CUT 1\n",
        )
        self.assertIn(" 0.0 ms", HumanLine()(over(ended_after=0.0)))
        self.assertIn(" ? ms", HumanLine()(over(ended_after=None)))
        self.assertIn(" asked by proxy ", HumanLine()(over(asked_by="proxy")))

    def test_no_values(self) -> None:
        """Values within a path are as secret here as in JSON."""
        self.assertNotIn("s3cret", HumanLine()(over(path="/x/y;token=s3cret/z")))

    def test_nasty(self) -> None:
        """Nothing breaks out of its line, or reaches the terminal."""
        line = HumanLine()(nasty())
        self.assertTrue(line.isascii() and line[:-1].isprintable(), line)
        self.assertEqual(line[-1], "\n")


class SyslogTests(SynchronousTestCase):
    """For the local syslog socket."""

    def setUp(self) -> None:
        before = os.environ.get("TZ")
        os.environ["TZ"] = "XXX-2"
        time.tzset()

        def reset() -> None:
            if before is None:
                del os.environ["TZ"]
            else:
                os.environ["TZ"] = before
            time.tzset()

        self.addCleanup(reset)

    def test_record(self) -> None:
        """Priority, local time, who we are, and the line; no newline at the end."""
        exchange = over(ended_after=0.003)
        record = SyslogRecord(JsonLine(), "daemon")(exchange)
        head, _, message = record.partition(": ")
        self.assertEqual(head, f"<30>Jan 15 10:00:00 toolforge-gateway[{os.getpid()}]")
        self.assertEqual(message, JsonLine()(exchange).rstrip("\n"))

    def test_day(self) -> None:
        """The day of the month is as wide as two digits (RFC 3164 section 4.1.2)."""
        exchange = over()
        exchange.started -= 14 * 86400
        self.assertIn(">Jan  1 10:00:00 ", SyslogRecord(JsonLine(), "daemon")(exchange))

    def test_priorities(self) -> None:
        """A failure is a warning, a refusal a notice, all else is information."""
        for said, priority in (
            ({"status": 200}, 6),
            ({"status": 307}, 6),
            ({"status": 0, "reason": "client-left"}, 6),
            ({"status": 403}, 5),
            ({"status": 502}, 4),
            ({"status": 200, "reason": "backend-cut"}, 4),
        ):
            record = SyslogRecord(JsonLine(), "local7")(over(**said))
            self.assertTrue(record.startswith(f"<{23 * 8 + priority}>"), record)

    def test_facilities(self) -> None:
        """Each facility of the configuration has its number."""
        self.assertEqual(set(FACILITIES), set(LOG_FACILITIES))

    def test_nasty(self) -> None:
        """A record is one line of plain text."""
        for line in (JsonLine(), HumanLine()):
            record = SyslogRecord(line, "daemon")(nasty())
            self.assertTrue(record.isascii() and record.isprintable(), record)


class JournalTests(SynchronousTestCase):
    """For journald."""

    def test_fields(self) -> None:
        """The line is the message; what one searches for are fields of their own."""
        exchange = over(identity=TOOL, status=502, reason="backend-refused", trace_id="abc")
        fields = dict(
            field.split("=", 1) for field in JournalEntry(JsonLine())(exchange).splitlines()
        )
        self.assertEqual(json.loads(fields.pop("MESSAGE"))["status"], 502)
        self.assertRegex(fields.pop("MESSAGE_ID"), "^[0-9a-f]{32}$")
        self.assertEqual(
            fields,
            {
                "PRIORITY": "4",
                "SYSLOG_IDENTIFIER": "toolforge-gateway",
                "TOOLFORGE_REQUEST_ID": "1",
                "TOOLFORGE_TRACE_ID": "abc",
                "TOOLFORGE_STATUS": "502",
                "TOOLFORGE_REASON": "backend-refused",
                "TOOLFORGE_BACKEND": "jobs-api",
                "TOOLFORGE_METHOD": "GET",
                "TOOLFORGE_IDENTITY": "tf-test",
                "TOOLFORGE_KIND": "tool",
                "TOOLFORGE_CLIENT": "192.0.2.1",
            },
        )

    def test_nasty(self) -> None:
        """Nobody writes a field of his own."""
        usual = JournalEntry(JsonLine())(over(identity=TOOL, reason="x"))
        for line in (JsonLine(), HumanLine()):
            entry = JournalEntry(line)(nasty())
            names = re.findall("(?m)^(.*?)=", entry)
            self.assertEqual(names, re.findall("(?m)^(.*?)=", usual))
            self.assertTrue(entry.isascii())
            self.assertNotIn("\x1b", entry)

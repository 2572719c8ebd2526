"""The table, and the chart: what is read off them is what was measured."""

from __future__ import annotations

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import plot, table
from benchmarks.measures import MEASURES
from benchmarks.results import Results

PEERS = ["nginx", "gateway"]
KEEP_ALIVE = next(measure for measure in MEASURES if measure.name == "keep-alive")
SVG = "{http://www.w3.org/2000/svg}"


def sample(gateway: float = 30.0) -> Results:
    """One round of two peers, of which one has a name that markup must not swallow."""
    results = Results(
        {
            "titles": {"nginx": "nginx", "gateway": "this <gateway> & its log"},
            "tls": {"nginx": "OpenSSL 3.0", "gateway": "OpenSSL 4.0"},
        }
    )
    for peer, cost, busy in (("nginx", 20.0, 0.5), ("gateway", gateway, 1.0)):
        results.add(
            "keep-alive",
            peer,
            {
                "cpu_us": cost,
                "per_second": 1e6 / cost,
                "client_us": 7.0,
                "proxy_busy": busy,
                "client_busy": 0.5,
                "backend_busy": 0.5,
            },
        )
    return results


class TableTests(SynchronousTestCase):
    """Two peers, one measure."""

    def test_numbers(self) -> None:
        """A number has three digits, or all that are before its point."""
        said = [table.number(value) for value in (0.456, 21.64, 186.2, 12345.6)]
        self.assertEqual(said, ["0.46", "21.6", "186", "12,346"])

    def test_cell(self) -> None:
        """A cell has the figure, its ratio, and its rate."""
        said = table.cell(sample(), KEEP_ALIVE, "gateway", "nginx")
        self.assertEqual(said, "30.0 ×1.50 (33,333/s)")

    def test_star(self) -> None:
        """A star marks the rate of a proxy that the load could not fill."""
        self.assertTrue(table.cell(sample(), KEEP_ALIVE, "nginx", "nginx").endswith("/s*)"))

    def test_not_measured(self) -> None:
        """What was not measured is a dash."""
        self.assertEqual(table.cell(sample(), KEEP_ALIVE, "envoy", "nginx"), "-")

    def test_rows(self) -> None:
        """Each measured measure has a line, with the TLS libraries and the client's own cost."""
        headings = [row[0] for row in table.rows(sample(), MEASURES, PEERS)]
        self.assertEqual(
            headings,
            ["", "TLS library", "keep-alive small GET, CPU µs", "load client, µs a request"],
        )

    def test_markdown(self) -> None:
        """All lines of the table have the same width and number of columns."""
        lines = table.markdown(table.turned(table.rows(sample(), MEASURES, PEERS))).splitlines()
        self.assertEqual(len(lines), 2 + len(PEERS))
        self.assertEqual(len({(len(line), line.count("|")) for line in lines}), 1)


class PlotTests(SynchronousTestCase):
    """The chart of the same figures."""

    def bars(self, results: Results) -> list[int]:
        """The lengths of all bars; the first rectangle is the ground."""
        root = ElementTree.fromstring(plot.svg(results, MEASURES, PEERS))
        return [int(each.attrib["width"]) for each in root.iter(f"{SVG}rect")][1:]

    def test_lengths(self) -> None:
        """Bars are as long as the ratios that they stand for."""
        nginx, gateway = self.bars(sample(30.0))
        self.assertEqual(gateway, nginx * 1.5)

    def test_cut_off(self) -> None:
        """A bar that would leave the picture ends, and says that it does."""
        _, gateway = self.bars(sample(20.0 * 50))
        self.assertLess(plot.LABEL + gateway, plot.WIDTH)
        self.assertIn("…", plot.svg(sample(20.0 * 50), MEASURES, PEERS))

    def test_names_are_text(self) -> None:
        """A peer's title cannot become markup."""
        root = ElementTree.fromstring(plot.svg(sample(), MEASURES, PEERS))
        words = [each.text for each in root.iter(f"{SVG}text")]
        self.assertIn("this <gateway> & its log", words)

"""The keys `control` and `workers`."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

from tests.config.samples import FILE, complaints, completed, loaded
from toolforge_gateway.config import load_control
from toolforge_gateway.config.processes import LONGEST_SOCKET
from toolforge_gateway.control.place import LONGEST
from toolforge_gateway.errors import ConfigurationError


class ControlTests(SynchronousTestCase):
    def test_absent(self) -> None:
        """Without the key there is no socket."""
        self.assertIsNone(loaded("").control)

    def test_path(self) -> None:
        """A path starts at the folder of the file, unless it is absolute."""
        for text, path in (("run/c", FILE.parent / "run/c"), ("/run/c", Path("/run/c"))):
            control = loaded(f"control: {{socket: {text}}}").control
            self.assertEqual(control.socket, path)
            self.assertEqual(control.origin.line, 1)

    def test_longest(self) -> None:
        """A path of more bytes than the kernel takes is a complaint."""
        self.assertLessEqual(LONGEST_SOCKET, LONGEST)
        good = "/" + "x" * (LONGEST_SOCKET - 1)
        self.assertEqual(loaded(f"control: {{socket: {good}}}").control.socket, Path(good))
        for bad in (good + "x", "/" + "\N{SNOWMAN}" * (LONGEST_SOCKET // 2)):
            [line] = complaints(completed(f"control: {{socket: {bad}}}"))
            self.assertIn("g.yaml:1: control.socket: is a path of ", line)

    def test_wrong(self) -> None:
        """No path, and what is none."""
        for text, said in (
            ("control: {}", "control.socket: is missing; add it"),
            ("control: {socket: [x]}", "control.socket: is a list, not text"),
            ("control: /run/x", "control: is '/run/x', not a mapping"),
            ("control: {sokcet: /run/x}", "control.socket: is missing; add it"),
        ):
            lines = complaints(completed(text))
            self.assertIn(f"g.yaml:1: {said}", lines[0])

    def file(self, text: str) -> Path:
        path = Path(self.mktemp())
        path.write_text(text)
        return path

    def test_alone(self) -> None:
        """The socket is found in a file that has mistakes elsewhere, as a reload then says."""
        path = self.file("control: {socket: /run/c}\nlisten: nowhere\nbakcends: []\n")
        self.assertEqual(load_control(path).socket, Path("/run/c"))

    def test_not_found(self) -> None:
        """A file without it, or without sense, says so with its line."""
        for text, said in (
            ("listen: []", "control: is missing, so nobody can be asked"),
            ("\ncontrol:", ":2: control: has no value"),
            ("\ncontrol: {socket: 5}", ":2: control.socket: is 5"),
            ("{", ": is not YAML"),
        ):
            error = self.assertRaises(ConfigurationError, load_control, self.file(text))
            self.assertIn(said, str(error))
        self.assertRaises(ConfigurationError, load_control, Path("/none"))


class WorkersTests(SynchronousTestCase):
    def test_values(self) -> None:
        """Absent, a number, or auto."""
        self.assertIsNone(loaded("").workers)
        for text, value in (("workers: 1", 1), ("workers: auto", "auto")):
            workers = loaded(text).workers
            self.assertEqual((workers.number, workers.origin.line), (value, 1))

    def test_wrong(self) -> None:
        """Anything else is a complaint."""
        for text, said in (
            ("0", "is 0; write 1 or more"),
            ("257", "is 257; write 256 or less"),
            ("1.5", "is 1.5; write a whole number"),
            ("two", "is 'two'; write a number from 1 to 256, or auto"),
            ("true", "is true, not a number"),
            ("", "has no value"),
        ):
            [line] = complaints(completed(f"workers: {text}"))
            self.assertIn(f"g.yaml:1: workers: {said}", line)

    def test_shares(self) -> None:
        """A limit that is smaller than the number of workers is a warning; one that is large enough
        is none, and an unknown key stays a complaint."""
        backends = """
            backends:
            - {{name: jobs, path: /jobs, url: 'https://jobs:1', limits: {{requests: {}}}}}
            - {{name: logs, path: /logs, url: 'https://logs:1'}}
        """
        for number, small in ((2, []), (3, ["6"]), (4, ["3", "3", "6"]), ("auto", [])):
            text = f"workers: {number}\n\nlimits: {{requests: 3, connections: 3}}\n"
            found = loaded(text + dedent(backends.format(2))).warnings
            self.assertEqual([str(each.line) for each in found if "workers" in each.what], small)
        wrong = completed("workers: 4\n" + dedent(backends.format("2, connections: 1")))
        self.assertIn("connections: is no key", "".join(complaints(wrong)))

    def test_endpoints(self) -> None:
        """Sockets that cannot be shared are a complaint with workers, and none without."""
        listen = (
            "listen: [{{endpoint: '{}', tls: {{certificate: c, private_key: k, "
            "client_certificate: none}}}}]\noperations: {{endpoint: '{}'}}\n"
        )
        for first, second, wrong in (
            ("tcp:1", "unix:/run/x", []),
            ("systemd:domain=INET6:index=0", "tcp6:2", []),
            ("fd:3", "tcp:2", ["g.yaml:1: listen[0].endpoint: "]),
            ("tcp:1", "fd:3", ["g.yaml:2: operations.endpoint: "]),
        ):
            text = listen.format(first, second)
            found = [
                line for line in complaints(completed(text + "workers: 1\n")) if "shared" in line
            ]
            self.assertEqual([line[: len(w)] for line, w in zip(found, wrong, strict=True)], wrong)
            alone = complaints(completed(text))
            self.assertFalse([line for line in alone if "shared" in line], alone)

"""What has to be right before a release, and what is said when it is not."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import twisted
from bootstrap import habits, inventory, packed, release
from bootstrap.environment import ROOT, TOOLS, Environment, SetupFailed
from toolforge_gateway._version import __version__


class FilesTests(SynchronousTestCase):
    """The files of this checkout."""

    def test_version(self) -> None:
        """The version is the same wherever it is written, and that is the package's own."""
        self.assertEqual(habits.disagreements(ROOT), [])
        self.assertEqual(habits.version_of(ROOT), __version__)

    def test_news(self) -> None:
        """Each fragment has a kind that towncrier knows, and says something."""
        self.assertEqual(habits.wrong_fragments(ROOT), [])

    def test_draft(self) -> None:
        """`towncrier build --draft` takes up all fragments."""
        if not TOOLS.program("towncrier").exists():
            raise self.skipTest("towncrier is not there; `./run lint` brings it")
        command = [str(TOOLS.program("towncrier")), "build", "--draft", "--version", __version__]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        entries = sum(line.startswith("- ") for line in done.stdout.splitlines())
        self.assertGreaterEqual(entries, len(habits.fragments(ROOT)))

    def test_change_log(self) -> None:
        """NEWS.md has the place where a release puts its news."""
        self.assertIn("<!-- towncrier release notes start -->\n", (ROOT / "NEWS.md").read_text())


class WheelTests(SynchronousTestCase):
    """The tests that an installed wheel passes, where those of the checkout are not."""

    def test_need_no_others(self) -> None:
        """They import nothing of the tests of the checkout."""
        tests = ROOT / "tests"
        gone = {f"tests.{name.removesuffix('.py').replace('/', '.')}" for name in release.CHECKOUT}
        found = []
        for file in sorted(tests.rglob("*.py")):
            if any(file.is_relative_to(tests / name) for name in release.CHECKOUT):
                continue
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
                found += [
                    f"{file.relative_to(ROOT)}: {name}"
                    for name in names
                    if any(f"{name}.".startswith(f"{each}.") for each in gone)
                ]
        self.assertEqual(found, [])


class CopyCase(SynchronousTestCase):
    """A copy of what is looked at, for the test to spoil."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        for name in (
            habits.VERSION_FILE,
            "debian/changelog",
            "chart/Chart.yaml",
            "Containerfile",
            "pyproject.toml",
        ):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        (self.root / "news").mkdir()

    def become(self, version: str) -> None:
        """Give the package another version."""
        (self.root / habits.VERSION_FILE).write_text(f'__version__ = "{version}"\n')

    def write(self, name: str, old: str, new: str) -> None:
        """Change the first place in a file."""
        path = self.root / name
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new, 1))


class VersionTests(CopyCase):
    def test_forgotten(self) -> None:
        """A copy of the version that was forgotten is named, with what to write there."""
        self.become("1.2.0rc1")
        self.assertEqual(
            [each.partition(" says ")[0] for each in habits.disagreements(self.root)],
            [
                "debian/changelog",
                "chart/Chart.yaml",
                "chart/Chart.yaml appVersion",
                "Containerfile",
            ],
        )
        remedies = [each.rpartition(": ")[2] for each in habits.disagreements(self.root)]
        self.assertEqual(
            remedies, ["write 1.2.0~rc1", "write 1.2.0-rc1", "write 1.2.0rc1", "write 1.2.0rc1"]
        )

    def test_no_line(self) -> None:
        """A copy that cannot be found is as wrong."""
        (self.root / "Containerfile").write_text("FROM scratch\n")
        (wrong,) = habits.disagreements(self.root)
        self.assertIn("Containerfile says None", wrong)

    def test_packaging_number(self) -> None:
        """Debian's version may go on with the number of the packaging, and with nothing else."""
        own = habits.spelled(__version__)["debian"]
        self.write("debian/changelog", f"({own})", f"({own}-2)")
        self.assertEqual(habits.disagreements(self.root), [])
        self.write("debian/changelog", f"({own}-2)", f"({own}2)")
        self.assertEqual(len(habits.disagreements(self.root)), 1)

    def test_without_packages(self) -> None:
        """A tree without Debian's and Helm's files has no copies to be wrong."""
        for name in ("debian", "chart"):
            shutil.rmtree(self.root / name)
        self.assertEqual(habits.disagreements(self.root), [])

    def test_none(self) -> None:
        """A package that does not tell its version is an error."""
        (self.root / habits.VERSION_FILE).write_text("")
        self.assertRaises(ValueError, habits.version_of, self.root)

    def test_development(self) -> None:
        """What comes between releases is told from releases, and from what goes before one."""
        for version, between in (("1.2.0.dev0", True), ("1.2.0", False), ("1.2.0rc1", False)):
            self.assertIs(habits.is_development(version), between)


class FragmentTests(CopyCase):
    def test_names(self) -> None:
        """A name that towncrier would pass over, and a file without a word, are wrong."""
        for name in ("good.feature.md", "two-words.misc.md"):
            (self.root / "news" / name).write_text("Something is new.\n")
        self.assertEqual(habits.wrong_fragments(self.root), [])
        wrong = [
            "x.features.md",
            "x.md",
            "x.feature.txt",
            "X.feature.md",
            "a b.feature.md",
            ".x.swp",
        ]
        for name in wrong:
            (self.root / "news" / name).write_text("Something is new.\n")
        (self.root / "news" / "empty.doc.md").write_text(" \n")
        found = habits.wrong_fragments(self.root)
        self.assertEqual(len(found), len(wrong) + 1)
        self.assertIn("news/empty.doc.md is empty", found)


class ArchiveTests(SynchronousTestCase):
    def test_left_out(self) -> None:
        """What the source archive lacks is named; what is for git alone may be missing."""
        self.assertEqual(habits.left_out(["a", ".gitignore", "c/d"], ["a", "PKG-INFO"]), ["c/d"])

    def test_room(self) -> None:
        """In a room there are the checkout's libraries, but not the checkout."""
        # Not sys.prefix: where a source archive is tried, that is such a room itself.
        libraries = Environment("", (), root=Path(twisted.__file__).parents[4])
        folder = Path(self.mktemp()).resolve()
        room = packed.Room.make(folder / "room", libraries)
        (folder / "empty").mkdir()
        self.assertEqual(room.origin(folder / "empty"), "")
        package = folder / "full" / packed.PACKAGE
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("import twisted, OpenSSL\n")
        self.assertEqual(room.origin(folder / "full"), str(package / "__init__.py"))

    def test_unpack(self) -> None:
        """A source archive is unpacked into its one folder, and nothing outside."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "x").write_text("x")
        for name, good in (("x-1/x", True), ("../x", False)):
            with tarfile.open(folder / "x.tar.gz", "w:gz") as archive:
                archive.add(folder / "x", name)
            target = folder / f"{good}"
            if good:
                self.assertEqual(packed.unpack(folder / "x.tar.gz", target), target / "x-1")
            else:
                self.assertRaises(tarfile.FilterError, packed.unpack, folder / "x.tar.gz", target)


class BillTests(SynchronousTestCase):
    def test_root(self) -> None:
        """The bill says of what it is one: of the gateway, which needs what it asks for."""
        bill = {
            "components": [
                {"name": "Zope.Interface", "bom-ref": "z==1"},
                {"name": "attrs", "bom-ref": "a==1"},
            ]
        }
        inventory.with_root(bill, "1.0", ["zope_interface >= 5.5", "attrs>=22"])
        self.assertEqual(bill["metadata"]["component"]["version"], "1.0")
        self.assertEqual(
            bill["dependencies"], [{"ref": "toolforge-gateway==1.0", "dependsOn": ["a==1", "z==1"]}]
        )

    def test_not_locked(self) -> None:
        """What is asked for and not locked is an error."""
        error = self.assertRaises(
            SetupFailed, inventory.with_root, {"components": []}, "1.0", ["Twisted[tls] >= 22.4"]
        )
        self.assertIn("does not lock twisted", str(error))


class AuditTests(SynchronousTestCase):
    """What is said of weaknesses; a program stands for pip-audit."""

    def audit(self, script: str) -> str:
        tools = Environment("tools", (), root=Path(self.mktemp()).resolve())
        program = tools.program("pip-audit")
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\n{script}")
        program.chmod(0o755)
        self.report = tools.root / "report"
        return inventory.audit(Path("lock"), self.report, tools)

    def writing(self, text: str, code: int = 0) -> str:
        """A program that writes a report where it is told to."""
        return f"for last; do :; done\ncat >\"$last\" <<'EOF'\n{text}\nEOF\nexit {code}\n"

    def reporting(self, *dependencies: object, code: int = 0) -> str:
        """One that reports of these packages."""
        return self.writing(json.dumps({"dependencies": dependencies}), code)

    def test_none(self) -> None:
        """No weakness, and how many packages that is about."""
        passed_over = {"name": "b", "skip_reason": "x"}
        said = self.audit(self.reporting({"name": "a", "version": "1", "vulns": []}, passed_over))
        self.assertEqual(said, "no known weakness; 1 of 2 locked packages were looked up")
        self.assertTrue(self.report.exists())

    def test_some(self) -> None:
        """Weaknesses are named, and are no error of ours."""
        weak = [{"id": "CVE-1"}, {"id": "CVE-2"}]
        said = self.audit(self.reporting({"name": "a", "version": "1", "vulns": weak}, code=1))
        self.assertTrue(said.startswith("KNOWN WEAKNESSES in a 1 (CVE-1, CVE-2); 1 of 1 "), said)

    def test_not_to_be_had(self) -> None:
        """Where nobody answers, that is said plainly, without the words of a library and the name
        of a host; nothing is left that could be taken for a report."""
        said = self.audit(
            "echo 'requests.exceptions.ConnectionError: host=vulnerable.example' >&2\nexit 1"
        )
        self.assertIn("NOTHING IS KNOWN", said)
        self.assertTrue(said.endswith("(ConnectionError)"), said)
        self.assertNotIn("vulnerable.example", said)
        self.assertFalse(self.report.exists())

    def test_nothing_looked_up(self) -> None:
        """A service that has never heard of any package has not said that they are good."""
        passed_over = {"name": "b", "skip_reason": "x"}
        said = self.audit(self.reporting(passed_over, passed_over))
        self.assertIn("NOTHING IS KNOWN", said)
        self.assertIn("of any of 2 locked packages", said)
        self.assertFalse(self.report.exists())

    def test_nonsense(self) -> None:
        """Nor is a report taken for one that is none."""
        for text in ("", "oops", "{}", "[]"):
            self.assertIn("NOTHING IS KNOWN", self.audit(self.writing(text)), text)
            self.assertFalse(self.report.exists())

    def test_too_slow(self) -> None:
        """Nor is anybody waited for without an end."""
        self.patch(inventory, "AUDIT_PATIENCE", 0.1)
        self.assertIn("did not answer in time", self.audit("exec sleep 60"))


class StepTests(SynchronousTestCase):
    """How the command goes on when something is wrong."""

    def release(self) -> release.Release:
        folder = Path(self.mktemp())
        (folder / "built").mkdir(parents=True)
        return release.Release(folder, folder / "dist", True, False, "1.0")

    def test_steps(self) -> None:
        """A step that fails is remembered with its reason, and the next ones are tried."""
        made = self.release()

        def bad() -> str:
            raise release.Wrong("so and so")

        made.step("one", bad)
        made.step("two", lambda: "fine")
        self.assertEqual(
            [(name, good) for name, _, good in made.said], [("one", False), ("two", True)]
        )
        self.assertIn("so and so", made.said[0][1])

    def test_nothing_built(self) -> None:
        """What needs the archive says that there is none."""
        made = self.release()
        for step in (made.sdist, made.wheel):
            made.step("it", step)
        self.assertEqual({good for *_, good in made.said}, {False})

    def test_hand_over(self) -> None:
        """The files go where they are looked for, in place of former ones, with their sums."""
        made = self.release()
        (made.folder / "built" / "x.whl").write_bytes(b"x")
        made.dist.mkdir()
        (made.dist / "former").touch()
        made.hand_over()
        self.assertEqual({each.name for each in made.dist.iterdir()}, {"x.whl", "SHA256SUMS"})
        done = subprocess.run(
            ["sha256sum", "-c", "SHA256SUMS"], cwd=made.dist, capture_output=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_words(self) -> None:
        """A word that it does not know is refused before anything is made."""
        error = self.assertRaises(SetupFailed, release.run, ["--chekc"])
        self.assertIn("--chekc", str(error))

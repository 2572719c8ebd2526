"""Reading what this machine's pip would read."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bootstrap import pipconfig
from bootstrap.pipconfig import PipConfig


class ReadTests(SynchronousTestCase):
    """Files and variables become one set of settings."""

    def setUp(self) -> None:
        """A home of one's own."""
        self.home = Path(self.mktemp()).resolve()
        self.environ = {
            "HOME": str(self.home),
            "XDG_CONFIG_DIRS": str(self.home / "xdg"),
            "PIP_NO_INDEX": "0",
        }

    def write(self, place: str, text: str) -> Path:
        """Put a file into the home."""
        path = self.home / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def read(self) -> PipConfig:
        """What is in force, leaving out this machine's own files outside the home."""
        files = [
            path
            for path in pipconfig.config_files(self.environ, prefix=str(self.home / "prefix"))
            if path.is_relative_to(self.home)
        ]
        return pipconfig.read(self.environ, files)

    def test_nothing_configured(self) -> None:
        """Without any configuration no place is known, least of all one of ours."""
        self.assertEqual(self.read(), PipConfig())

    def test_all_settings(self) -> None:
        """Lists may stand on one line or on several; both indexes are used, the main one first."""
        self.write(
            ".config/pip/pip.conf",
            "[global]\nextra-index-url = http://b.test/simple\n  http://c.test/simple\n"
            "index-url = http://a.test/simple\nfind_links = /wheels /more\ncert = /ca.pem\n"
            "proxy = http://proxy.test:8080\ntrusted-host = a.test b.test:8443\n",
        )
        self.assertEqual(
            self.read(),
            PipConfig(
                indexes=("http://a.test/simple", "http://b.test/simple", "http://c.test/simple"),
                find_links=("/wheels", "/more"),
                cert="/ca.pem",
                proxy="http://proxy.test:8080",
                trusted_hosts=("a.test", "b.test:8443"),
            ),
        )

    def test_order_of_files(self) -> None:
        """Each place counts, and the later of pip's order wins."""
        order = ["xdg/pip/pip.conf", ".pip/pip.conf", ".config/pip/pip.conf", "prefix/pip.conf"]
        for number, place in enumerate(order):
            self.write(place, f"[global]\nindex-url = http://{number}.test/\n")
            self.assertEqual(self.read().indexes, (f"http://{number}.test/",), place)

    def test_install_section(self) -> None:
        """What is said for `pip install` wins over what is said for all of pip."""
        self.write(
            ".pip/pip.conf",
            "[install]\nindex-url = http://install.test/\n[global]\nindex-url = http://all.test/\n",
        )
        self.assertEqual(self.read().indexes, ("http://install.test/",))

    def test_variables_win(self) -> None:
        """A PIP_ variable wins over every file, an empty one is no setting."""
        self.write(".pip/pip.conf", "[global]\nindex-url = http://file.test/\ncert = /file.pem\n")
        self.environ |= {"PIP_INDEX_URL": "http://variable.test/", "PIP_CERT": ""}
        config = self.read()
        self.assertEqual(config.indexes, ("http://variable.test/",))
        self.assertEqual(config.cert, "/file.pem")

    def test_chosen_file(self) -> None:
        """PIP_CONFIG_FILE stands in place of the user's own files."""
        self.write(".pip/pip.conf", "[global]\nindex-url = http://user.test/\n")
        chosen = self.write("chosen.conf", "[global]\nfind-links = /chosen\n")
        self.environ["PIP_CONFIG_FILE"] = str(chosen)
        self.assertEqual(self.read(), PipConfig(find_links=("/chosen",)))

    def test_no_file(self) -> None:
        """PIP_CONFIG_FILE=/dev/null means that no file counts."""
        self.environ["PIP_CONFIG_FILE"] = "/dev/null"
        self.assertEqual(list(pipconfig.config_files(self.environ)), [])

    def test_system_file(self) -> None:
        """/etc/pip.conf is among the files."""
        self.assertIn(Path("/etc/pip.conf"), list(pipconfig.config_files(self.environ)))

    def test_no_index(self) -> None:
        """no-index leaves the folders only."""
        self.write(".pip/pip.conf", "[global]\nindex-url = http://a.test/\nfind-links = /wheels\n")
        self.environ["PIP_NO_INDEX"] = "1"
        self.assertEqual(self.read(), PipConfig(find_links=("/wheels",)))

    def test_broken_file(self) -> None:
        """A file that cannot be understood is named."""
        path = self.write(".pip/pip.conf", "index-url = http://a.test/\n")
        error = self.assertRaises(ValueError, self.read)
        self.assertIn(str(path), str(error))

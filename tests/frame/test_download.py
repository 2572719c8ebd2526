"""Getting the pinned wheel of pip from where the machine's configuration says."""

from __future__ import annotations

import base64
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bootstrap.download import Downloader, check, wheel_links
from bootstrap.lockfile import Pin, find_pin
from bootstrap.pipconfig import PipConfig

CONTENT = b"the wheel"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PIN = Pin("pip", "26.3", frozenset({DIGEST}))


class WheelLinksTests(SynchronousTestCase):
    """Index pages (PEP 503) are read for one wheel."""

    def links(self, page: str) -> list[str]:
        """The links of a page at a fixed address."""
        return list(wheel_links(page, "http://index.test/simple/pip/", PIN.wheel))

    def test_relative_and_absolute(self) -> None:
        """Links are made absolute and keep their fragment; other files are left out."""
        page = (
            f'<!DOCTYPE html><a href="../../files/{PIN.wheel}#sha256=ab">x</a>'
            f'<a href="pip-1.0-py3-none-any.whl">x</a><a href="{PIN.wheel}.metadata">x</a>'
            f'<A HREF="http://other.test/{PIN.wheel}">x</A><a name="nothing">x</a>'
        )
        self.assertEqual(
            self.links(page),
            [f"http://index.test/files/{PIN.wheel}#sha256=ab", f"http://other.test/{PIN.wheel}"],
        )

    def test_base(self) -> None:
        """A page may say what its links are relative to."""
        page = f'<base href="http://files.test/deep/"><a href="{PIN.wheel}">x</a>'
        self.assertEqual(self.links(page), [f"http://files.test/deep/{PIN.wheel}"])

    def test_escaped(self) -> None:
        """Names may be escaped in the address and in the HTML."""
        page = '<a href="/f/pip-26%2E3-py3-none-any.whl?a=1&amp;b=2">x</a>'
        self.assertEqual(
            self.links(page), ["http://index.test/f/pip-26%2E3-py3-none-any.whl?a=1&b=2"]
        )


class CheckTests(SynchronousTestCase):
    """A wheel is taken only if it is the one that is meant."""

    def test_good(self) -> None:
        """The lock file's hash is enough; a link without or with a true hash changes nothing."""
        check(CONTENT, PIN, "")
        check(CONTENT, PIN, f"sha256={DIGEST.upper()}")
        check(CONTENT, PIN, "egg=pip")

    def test_not_locked(self) -> None:
        """A file that its index vouches for is refused when the lock file does not know it."""
        other = hashlib.sha256(b"other").hexdigest()
        error = self.assertRaises(ValueError, check, b"other", PIN, f"sha256={other}")
        self.assertIn("none of the hashes", str(error))

    def test_not_as_promised(self) -> None:
        """A link's own hash counts as well, whatever the algorithm."""
        self.assertRaises(ValueError, check, CONTENT, PIN, f"sha256={'0' * 64}")
        self.assertRaises(ValueError, check, CONTENT, PIN, f"md5={'0' * 32}")


class DownloaderTests(SynchronousTestCase):
    """Places are tried one after another."""

    def setUp(self) -> None:
        """A folder to serve from, and one to put the wheel into."""
        self.site = Path(self.mktemp()).resolve()
        self.target = Path(self.mktemp()).resolve()
        (self.site / "simple" / "pip").mkdir(parents=True)
        (self.site / "files").mkdir()
        self.target.mkdir()
        (self.site / "files" / PIN.wheel).write_bytes(CONTENT)
        (self.site / "simple" / "pip" / "index.html").write_text(
            f'<a href="../../files/{PIN.wheel}#sha256={DIGEST}">{PIN.wheel}</a>'
        )
        self.headers: list[tuple[str, str | None]] = []

    def assertFound(self, config: PipConfig) -> None:
        """The wheel arrives."""
        downloader = Downloader(config)
        path = downloader.wheel(PIN, self.target)
        self.assertEqual(path, self.target / PIN.wheel, downloader.failures)
        self.assertEqual((self.target / PIN.wheel).read_bytes(), CONTENT)

    def serve(self) -> str:
        """Serve the folder; the answer is host and port."""
        headers = self.headers

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                headers.append((self.path, self.headers["Authorization"]))
                if self.path.startswith("/moved/"):
                    self.send_response(302)
                    self.send_header("Location", self.path.removeprefix("/moved"))
                    self.end_headers()
                else:
                    super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(self.site)))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"127.0.0.1:{server.server_port}"

    def test_nowhere(self) -> None:
        """Without a configured place nothing is asked."""
        downloader = Downloader(PipConfig())
        self.assertIsNone(downloader.wheel(PIN, self.target))
        self.assertEqual(downloader.failures, [])

    def test_local_index(self) -> None:
        """An index may be a folder, by path or by file: address."""
        simple = self.site / "simple"
        self.assertFound(PipConfig(indexes=(simple.as_uri(),)))
        self.assertFound(PipConfig(indexes=(f"{simple}/",)))

    def test_local_folder(self) -> None:
        """find-links may name a folder of wheels or a page of links."""
        self.assertFound(PipConfig(find_links=(str(self.site / "files"),)))
        self.assertFound(PipConfig(find_links=((self.site / "files").as_uri(),)))
        page = self.site / "simple" / "pip" / "index.html"
        self.assertFound(PipConfig(find_links=(page.as_uri(),)))

    def test_http(self) -> None:
        """An index is asked over HTTP, with the name and password of its address."""
        host = self.serve()
        self.assertFound(PipConfig(indexes=(f"http://me:p%40ss@{host}/simple",)))
        expected = "Basic " + base64.b64encode(b"me:p@ss").decode()
        self.assertEqual(self.headers[0], ("/simple/pip/", expected))

    def test_redirect(self) -> None:
        """A redirect is followed, but the password does not go along."""
        host = self.serve()
        self.assertFound(PipConfig(indexes=(f"http://me:secret@{host}/moved/simple",)))
        self.assertEqual(self.headers[1], ("/simple/pip/", None))

    def test_next_place(self) -> None:
        """A place without the wheel, and one with another file of its name, are passed over."""
        empty, wrong = self.site / "empty", self.site / "wrong"
        empty.mkdir()
        wrong.mkdir()
        (wrong / PIN.wheel).write_bytes(b"another")
        config = PipConfig(
            indexes=((self.site / "simple").as_uri(),), find_links=(str(empty), str(wrong))
        )
        downloader = Downloader(config)
        self.assertIsNotNone(downloader.wheel(PIN, self.target))
        self.assertEqual((self.target / PIN.wheel).read_bytes(), CONTENT)
        self.assertIn(f"{empty} has no {PIN.wheel}", downloader.failures[0])
        self.assertIn("none of the hashes", downloader.failures[1])

    def test_no_password_shown(self) -> None:
        """What went wrong is told without the password of the address."""
        downloader = Downloader(PipConfig(indexes=("http://me:secret@127.0.0.1:1/simple",)))
        self.assertIsNone(downloader.wheel(PIN, self.target))
        self.assertIn("127.0.0.1:1/simple", downloader.failures[0])
        self.assertNotIn("secret", downloader.failures[0])


class FindPinTests(SynchronousTestCase):
    """Lock files are read for one package."""

    LOCK = (
        "# pip==1.0 in a comment\n"
        f"packaging==2.0 \\\n    --hash=sha256:{'a' * 64}\n"
        f"pip==26.3 ; python_version > '3' \\\n    --hash=sha256:{'b' * 64} \\\n"
        f"    --hash=sha256:{'c' * 64}\n    # via -r x\n"
        f"setuptools==3.0 \\\n    --hash=sha256:{'d' * 64}\nbare==1.0\n"
    )

    def test_found(self) -> None:
        """A pin has the version and exactly its own hashes."""
        pin = find_pin(self.LOCK, "pip")
        self.assertEqual(pin, Pin("pip", "26.3", frozenset({"b" * 64, "c" * 64})))
        self.assertEqual(pin.wheel, "pip-26.3-py3-none-any.whl")

    def test_missing(self) -> None:
        """A package that is not there, or has no hash, is an error."""
        self.assertRaises(ValueError, find_pin, self.LOCK, "hypothesis")
        self.assertRaises(ValueError, find_pin, self.LOCK, "bare")

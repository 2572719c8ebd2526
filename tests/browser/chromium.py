"""A real headless Chromium, driven from a thread of its own.

One browser serves all tests of a run.  It trusts the authority of the demonstration by a
certificate database in a home folder of its own, as a person's browser would trust it:
certificates are checked, and a test shows that they are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import attrs
from twisted.internet import reactor
from twisted.trial.unittest import SkipTest

T = TypeVar("T")

MISSING = (
    "{} is missing: `./run browser` runs these tests with all they need; or install "
    "requirements/browser.txt, and chromium and libnss3-tools of Debian"
)
PATIENCE = 10_000
"""Milliseconds that a page may take for anything."""
_DATABASES = (".pki/nssdb", ".local/share/pki/nssdb")
"""Where Chromium looks for its database, by its version."""


def missing() -> str | None:
    """What is not here of what these tests need; None: nothing."""
    try:
        import axe_playwright_python
        import playwright
    except ImportError as error:
        return MISSING.format(f"Python's {error.name}")
    del axe_playwright_python, playwright
    for program in ("chromium", "certutil"):
        if shutil.which(program) is None:
            return MISSING.format(program)
    return None


@attrs.define
class Chromium:
    """The browser.  All methods but `call` and `close` are for its own thread."""

    authority: Path
    """A certificate (PEM) of the authority that it trusts, besides those it ships."""
    _thread: ThreadPoolExecutor = attrs.field(
        factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="chromium"), init=False
    )
    _driver: Any = attrs.field(default=None, init=False)
    _browser: Any = attrs.field(default=None, init=False)
    _home: str = attrs.field(default="", init=False)

    def call(self, function: Callable[[Chromium], T]) -> Any:
        """Call a function in the browser's thread; gives a `concurrent.futures.Future`."""
        return self._thread.submit(function, self)

    def context(self, **options: Any) -> Any:
        """A new profile: `playwright.sync_api.BrowserContext`.

        :param options: of `Browser.new_context`.
        """
        if self._browser is None:
            self._start()
        made = self._browser.new_context(locale="en-GB", timezone_id="UTC", **options)
        made.set_default_timeout(PATIENCE)
        return made

    def close(self) -> None:
        """End the browser and its thread; blocks."""
        if self._driver is not None:
            self._thread.submit(self._stop).result()
        self._thread.shutdown()

    def _start(self) -> None:
        from playwright.sync_api import sync_playwright

        self._home = tempfile.mkdtemp(prefix="toolforge-gateway-browser-")
        for name in _DATABASES:
            self._trust(Path(self._home) / name)
        # With a client certificate it is the driver that speaks TLS to the server.
        os.environ["NODE_EXTRA_CA_CERTS"] = str(self.authority)
        self._driver = sync_playwright().start()
        self._browser = self._driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            # Root cannot have the sandbox; everybody else does.
            chromium_sandbox=os.geteuid() != 0,
            # No other host is there, whatever a page or the browser itself asks for.
            args=["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"],
            env={**os.environ, "HOME": self._home, "XDG_DATA_HOME": ""},
        )
        del os.environ["NODE_EXTRA_CA_CERTS"]

    def _trust(self, database: Path) -> None:
        database.mkdir(parents=True)
        where = ["certutil", "-d", f"sql:{database}"]
        subprocess.run([*where, "-N", "--empty-password"], check=True)
        added = [*where, "-A", "-t", "C,,", "-n", "demo", "-i", str(self.authority)]
        subprocess.run(added, check=True)

    def _stop(self) -> None:
        self._browser.close()
        self._driver.stop()
        shutil.rmtree(self._home, ignore_errors=True)


_running: dict[Path, Chromium] = {}


def chromium(authority: Path) -> Chromium:
    """The browser of this run, started when it is first used.

    :raise SkipTest: it is not to be had; says how to get it.
    """
    reason = missing()
    if reason is not None:
        raise SkipTest(reason)
    if authority not in _running:
        _running[authority] = Chromium(authority)
        reactor.addSystemEventTrigger("before", "shutdown", _running[authority].close)
    return _running[authority]

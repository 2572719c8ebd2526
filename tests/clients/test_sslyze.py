"""What sslyze finds wrong with our TLS."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import SkipTest

from tests.clients import programs
from tests.clients.stage import Stage, pki


def sslyze() -> str:
    """Where the program is.

    :raise SkipTest: it is not there; says how to get it.
    """
    folder = os.environ.get("TOOLFORGE_SCANNER_BIN")
    if folder is None or not (Path(folder) / "sslyze").exists():
        raise SkipTest(
            "no sslyze: `./run test` installs it; or set TOOLFORGE_SCANNER_BIN to the bin folder "
            "of an environment that has requirements/scanner.txt"
        )
    return str(Path(folder) / "sslyze")


class ScannerTests(Stage):
    """The gateway as it is shipped, seen from outside."""

    samples = ()
    timeout = 120

    @inlineCallbacks
    def test_mozilla_intermediate(self):
        """Versions, suites, curves, certificate and known holes are as Mozilla's
        "intermediate" configuration wants them."""
        command = [sslyze(), "--mozilla_config", "intermediate"]
        command += ["--certinfo_ca_file", str(pki() / "server-ca.crt")]
        scan = yield programs.run(reactor, [*command, f"127.0.0.1:{self.port}"])
        verdict = scan.out.partition("COMPLIANCE AGAINST TLS CONFIGURATION")[2]
        self.assertIn(f"127.0.0.1:{self.port}: OK - Compliant", verdict, scan.said)
        self.assertEqual(scan.code, 0)

    @inlineCallbacks
    def test_nothing_to_come_back_with(self):
        """No session is resumed, and no data are taken before a handshake is over."""
        command = [sslyze(), "--mozilla_config", "disable", "--resum", "--early_data"]
        scan = yield programs.run(reactor, [*command, f"127.0.0.1:{self.port}"])
        said = " ".join(scan.out.split())
        self.assertIn("With Session IDs: NOT SUPPORTED (0 successful", said)
        self.assertIn("With TLS Tickets: NOT SUPPORTED (0 successful", said)
        self.assertIn("TLS 1.3 Early Data: Not Supported", said)

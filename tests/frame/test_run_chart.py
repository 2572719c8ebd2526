"""The parts of `./run chart` that need neither helm nor a builder."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bootstrap import chart, image
from bootstrap.environment import SetupFailed
from bootstrap.trial import counts


class CountTests(SynchronousTestCase):
    """What trial's last line says."""

    def test_passed(self) -> None:
        """Successes count, what was skipped does not."""
        self.assertEqual(counts("x\nPASSED (skips=2, successes=7)\n"), (7, 0))

    def test_failed(self) -> None:
        """Failures, errors and unexpected successes are all wrong."""
        said = "FAILED (skips=1, failures=2, errors=3, unexpectedSuccesses=1, successes=4)\n"
        self.assertEqual(counts(said), (4, 6))

    def test_nothing(self) -> None:
        """A run that tells no sum has failed; one without tests has none that passed."""
        self.assertEqual(counts("Traceback\n"), (0, 1))
        self.assertEqual(counts("PASSED\n"), (0, 0))


class ExtractTests(SynchronousTestCase):
    """Helm is taken out of a wheel, an archive and an archive in that."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def wheel(self, name: str = "helm/helm") -> Path:
        """A wheel with a program in it that says its name."""
        layer = io.BytesIO()
        with zipfile.ZipFile(layer, "w") as programs:
            programs.writestr(name, "#!/bin/sh\necho helm\n")
        package = io.BytesIO()
        with tarfile.open(fileobj=package, mode="w:gz") as archive:
            member = tarfile.TarInfo("package/lib/layer.zip")
            member.size = len(layer.getvalue())
            archive.addfile(member, io.BytesIO(layer.getvalue()))
        path = self.folder / "layer-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("layer/_jsii/layer@1.0.jsii.tgz", package.getvalue())
        return path

    def test_found(self) -> None:
        """It is a program then."""
        helm = self.folder / "helm"
        chart._extract(self.wheel(), helm)
        self.assertTrue(os.access(helm, os.X_OK))
        self.assertIn("echo helm", helm.read_text())

    def test_not_found(self) -> None:
        """A wheel without it leaves nothing behind, and is named in the complaint."""
        helm = self.folder / "helm"
        error = self.assertRaises(SetupFailed, chart._extract, self.wheel("kubectl"), helm)
        self.assertIn("layer-1.0-py3-none-any.whl", str(error))
        self.assertFalse(helm.exists())


class NetworkTests(SynchronousTestCase):
    """What a build of the image is told of this machine's package index."""

    def test_told(self) -> None:
        """Index and certificates are mounted for the build; folders of this machine are left
        out, since a container does not have them."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        certificates = folder / "ca.pem"
        certificates.write_text("")
        variables = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": "https://index.example/simple",
            "PIP_EXTRA_INDEX_URL": "file:///opt/wheels https://more.example/simple",
            "PIP_FIND_LINKS": "/opt/wheels",
            "PIP_CERT": str(certificates),
        }
        self.patch(os, "environ", variables)
        options = image._network(folder)
        lines = (folder / "pip.conf").read_text().splitlines()
        self.assertEqual(
            lines,
            [
                "[global]",
                "index-url = https://index.example/simple",
                "extra-index-url = https://more.example/simple",
                f"cert = {image._CERTIFICATES}",
            ],
        )
        self.assertIn(f"--volume={certificates}:{image._CERTIFICATES}:ro", options)

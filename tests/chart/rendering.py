"""What helm makes of the chart, as Python objects."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path

import yaml
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.clients.stage import ROOT

CHART = ROOT / "chart"
TOOLFORGE, MINIMAL, EVERYTHING = (
    CHART / "ci" / f"{name}-values.yaml" for name in ("toolforge", "minimal", "everything")
)
"""The file of the gateway that runs today, the least of ours, and all that there is."""
FILES = (TOOLFORGE, MINIMAL, EVERYTHING)

Objects = list[dict]
"""Kubernetes objects."""


def missing() -> str | None:
    """Why tests that need helm are skipped; None: they are not."""
    folder = os.environ.get("TOOLFORGE_CHART_BIN")
    if folder is None or not (Path(folder) / "helm").exists():
        return "no helm: `./run chart` gets it and runs these tests"
    return None


def program(name: str) -> str:
    """Where a program of the environment for the chart is.

    :raise SkipTest: there is none.
    """
    reason = missing()
    if reason is not None:
        raise SkipTest(reason)
    return str(Path(os.environ["TOOLFORGE_CHART_BIN"]) / name)


def run(name: str, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run one of these programs to its end.

    :param given: its standard input.
    """
    return subprocess.run(
        [program(name), *words],
        input=given,
        capture_output=True,
        text=True,
        # What the user of this machine has set up for helm stays out.
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent"},
        timeout=120,
        check=False,
    )


class NotRendered(Exception):
    """Helm refused; what it said."""


@functools.cache
def text(*files: Path, values: str = "{}", release: str = "api-gateway") -> str:
    """What helm renders, as YAML.

    :param files: values files, the later ones laid over the earlier.
    :param values: more of them, as JSON, laid over all.
    :raise NotRendered: helm refused.
    """
    words = [word for file in files for word in ("--values", str(file))]
    words += ["--namespace", "gateways", "--values", "-"]
    done = run("helm", "template", release, str(CHART), *words, given=values)
    if done.returncode:
        raise NotRendered(done.stderr)
    return done.stdout


def objects(*files: Path, release: str = "api-gateway", **values: object) -> Objects:
    """What helm renders.

    :param values: more values, laid over those of the files.
    """
    rendered = text(*files, values=json.dumps(values), release=release)
    return [each for each in yaml.safe_load_all(rendered) if each is not None]


def one(rendered: Objects, kind: str, name: str | None = None) -> dict:
    """The only object of a kind, or of a kind and a name."""
    [found] = [
        each
        for each in rendered
        if each["kind"] == kind and name in (None, each["metadata"]["name"])
    ]
    return found


def configuration_text(rendered: Objects) -> str:
    """The text of `gateway.yaml`."""
    return one(rendered, "ConfigMap")["data"]["gateway.yaml"]


def configuration(rendered: Objects) -> dict:
    """`gateway.yaml`."""
    return yaml.safe_load(configuration_text(rendered))


class ChartCase(SynchronousTestCase):
    """A test that renders the chart."""

    skip = missing()

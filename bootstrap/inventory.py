"""What a release is made of, and what is known of its weaknesses."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from bootstrap.environment import Environment, SetupFailed

_VALIDATE = """\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(None if error is None else f"{error}")
"""
NOTHING = "NOTHING IS KNOWN"
AUDIT_PATIENCE = 120.0
"""Seconds for the whole audit."""


def write_bill(
    path: Path, version: str, wanted: list[str], runtime: Environment, tools: Environment
) -> int:
    """Write what the locked environment holds, as CycloneDX 1.6 in JSON.

    :param wanted: what the gateway itself asks for, `Twisted[tls] >= 22.4` and the like.
    :param runtime: exactly what `requirements/gateway.txt` locks.
    :param tools: has cyclonedx-py in it.
    :return: how many components there are besides the gateway.
    :raise SetupFailed: there is none, or it is not valid.
    """
    command = [str(tools.program("cyclonedx-py")), "environment", "--spec-version", "1.6"]
    command += ["--output-format", "JSON", "--output-reproducible", "--no-validate"]
    command += ["--output-file", str(path)]
    _run([*command, str(runtime.program("python"))], "the bill of materials could not be made")
    bill = json.loads(path.read_text(encoding="utf-8"))
    with_root(bill, version, wanted)
    path.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    _run(
        [str(tools.program("python")), "-c", _VALIDATE, str(path)],
        "the bill of materials is not valid",
    )
    return len(bill["components"])


def with_root(bill: dict[str, Any], version: str, wanted: list[str]) -> None:
    """Say of a bill what it is the bill of: the gateway, and what that asks for."""
    own = f"toolforge-gateway=={version}"
    bill.setdefault("metadata", {})["component"] = {
        "bom-ref": own,
        "type": "application",
        "name": "toolforge-gateway",
        "version": version,
        "purl": f"pkg:pypi/toolforge-gateway@{version}",
        "licenses": [{"license": {"id": "AGPL-3.0-or-later"}}],
    }
    names = {_normal(re.split(r"[\s\[<>=!~;]", each, maxsplit=1)[0]) for each in wanted}
    known = {_normal(each["name"]): each["bom-ref"] for each in bill.setdefault("components", [])}
    missing = sorted(names - set(known))
    if missing:
        raise SetupFailed(f"requirements/gateway.txt does not lock {', '.join(missing)}")
    needs = sorted(known[name] for name in names)
    bill.setdefault("dependencies", []).append({"ref": own, "dependsOn": needs})


def audit(lock: Path, report: Path, tools: Environment) -> str:
    """Ask what is known of weaknesses in the locked versions.  It reports, and decides nothing.

    :param report: what was found, as JSON; not written when nothing could be learnt.
    :return: a sentence.
    """
    command = [str(tools.program("pip-audit")), "--requirement", str(lock), "--require-hashes"]
    command += ["--disable-pip", "--progress-spinner", "off", "--timeout", "10"]
    command += ["--format", "json", "--output", str(report)]
    report.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=AUDIT_PATIENCE
        )
    except subprocess.TimeoutExpired:
        return _unknown("it did not answer in time")
    try:
        found = judged(json.loads(report.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        report.unlink(missing_ok=True)
        # pip-audit's own words would name the service, and go on for pages.
        kinds = re.findall(r"\b(\w*(?:Error|Timeout|Exception))\b", done.stderr)
        return _unknown(kinds[-1] if kinds else f"pip-audit ended with {done.returncode}")
    if found.startswith(NOTHING):
        report.unlink(missing_ok=True)
    return found


def judged(report: dict[str, Any]) -> str:
    """A sentence about what pip-audit has found.

    :raise KeyError, TypeError: it is no such report.
    """
    dependencies = report["dependencies"]
    weak = [each for each in dependencies if each.get("vulns")]
    passed_over = sum("skip_reason" in each for each in dependencies)
    count = len(dependencies)
    asked = f"{count - passed_over} of {count} locked packages were looked up"
    if passed_over == count:
        return _unknown(f"it told nothing of any of {count} locked packages")
    if not weak:
        return f"no known weakness; {asked}"
    names = ", ".join(
        f"{each['name']} {each['version']} ({', '.join(vuln['id'] for vuln in each['vulns'])})"
        for each in weak
    )
    return f"KNOWN WEAKNESSES in {names}; {asked}"


def _unknown(why: str) -> str:
    return f"{NOTHING}: the service that knows of weaknesses was of no help ({why})"


def _run(command: list[str], wrong: str) -> None:
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupFailed(f"{wrong}:\n{(done.stdout + done.stderr)[-4000:]}")


def _normal(name: str) -> str:
    """A name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()

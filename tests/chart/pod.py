"""The files of the gateway's Pod on this machine, and its configuration made to fit."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from unittest import TestCase

import yaml

from tests.chart.rendering import Objects, configuration, configuration_text, one
from tests.clients.stage import pki

HOME = "/etc/toolforge-gateway"
_LIKE = {
    "server": {"tls.crt": "server.crt", "tls.key": "server.key", "ca.crt": "server-ca.crt"},
    "upstream": {
        "tls.crt": "gateway-client.crt",
        "tls.key": "gateway-client.key",
        "ca.crt": "backend-ca.crt",
    },
    "kubernetes-ca": {"ca.crt": "k8s-ca.crt"},
    "backend-ca": {"ca.crt": "backend-ca.crt"},
}
"""What is in each volume, by files of the throw-away PKI."""


def room(test: TestCase) -> Path:
    """A folder that stands for the root of a container's file system, until the test is over; its
    name is short, as those of Unix sockets in it must be."""
    folder = Path(tempfile.mkdtemp(prefix="pod-")).resolve()
    test.addCleanup(shutil.rmtree, folder, ignore_errors=True)
    return folder


def lay(rendered: Objects, folder: Path) -> Path:
    """Lay what the Pod has mounted, as the kubelet does it: behind `..data`.

    :param folder: stands for the root of the container's file system.
    :return: the folder that stands for `HOME`.
    """
    pod = one(rendered, "Deployment")["spec"]["template"]["spec"]
    for mount in pod["containers"][0]["volumeMounts"]:
        place = folder / mount["mountPath"].lstrip("/")
        if mount["name"] == "config":
            keys = {"gateway.yaml": configuration_text(rendered)}
        else:
            files = _LIKE.get(mount["name"], {})
            keys = {key: (pki() / file).read_text() for key, file in files.items()}
        place.mkdir(parents=True)
        swap(place, keys)
    return folder / HOME.lstrip("/")


def swap(place: Path, keys: Mapping[str, str]) -> None:
    """Put other files into a folder as the kubelet does it: all at once, by renaming a link."""
    data = Path(tempfile.mkdtemp(prefix="..", dir=place))
    data.chmod(0o755)
    for key, content in keys.items():
        (data / key).write_text(content)
        if not (place / key).is_symlink():
            (place / key).symlink_to(f"..data/{key}")
    link = place / "..data_tmp"
    link.symlink_to(data.name)
    link.rename(place / "..data")


def moved(text: str, folder: Path) -> str:
    """The configuration with the folder in place of the container's root."""
    return text.replace(HOME, str(folder / HOME.lstrip("/"))).replace(
        "/run/toolforge-gateway", str(folder / "run" / "toolforge-gateway")
    )


def on_loopback(rendered: Objects, ports: dict[str, int], backends: dict[str, int]) -> str:
    """The configuration with this machine's addresses, and nothing else changed.

    :param ports: number by name, `https` and `operations`.
    :param backends: port by path; the others stay where nobody is.
    """
    document = configuration(rendered)
    document["listen"][0]["endpoint"] = f"tcp:{ports['https']}:interface=127.0.0.1"
    document["operations"]["endpoint"] = f"tcp:{ports['operations']}:interface=127.0.0.1"
    for backend in document["backends"]:
        number = backends.get(backend["path"])
        target = backend.pop("target")
        name = f"{target['service']}.{target['namespace']}.svc.{document['cluster_domain']}"
        backend["url"] = f"https://127.0.0.1:{number or 1}"
        backend["server_name"] = name
    return yaml.safe_dump(document)

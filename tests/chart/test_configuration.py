"""What becomes of values in `gateway.yaml`, and what the gateway says to it."""

from __future__ import annotations

import io
import re
import sys

import yaml

from tests.chart.pod import HOME, lay, moved, room, swap
from tests.chart.rendering import (
    EVERYTHING,
    FILES,
    MINIMAL,
    TOOLFORGE,
    ChartCase,
    Objects,
    configuration,
    configuration_text,
    objects,
)
from tests.clients.stage import pki
from toolforge_gateway.cli.main import main


class MappingTests(ChartCase):
    """The values file that exists, unchanged, becomes the Toolforge layout."""

    def setUp(self) -> None:
        self.values = yaml.safe_load(TOOLFORGE.read_text())
        self.made = configuration(objects(TOOLFORGE))

    def test_backends(self) -> None:
        """Each backend keeps its name, its path and its target, in the order of the file."""
        kept = [
            {key: each[key] for key in ("name", "path", "target")} for each in self.made["backends"]
        ]
        self.assertEqual(kept, self.values["backends"])

    def test_cluster_domain(self) -> None:
        """`certificates.internalClusterDomain` is the domain of targets."""
        self.assertEqual(self.made["cluster_domain"], "tools.local")

    def test_openapi(self) -> None:
        """The flags of `app.openapi_docs` go to the backends of these APIs, its servers to the
        document."""
        flags = {each["path"].strip("/"): each["openapi"] for each in self.made["backends"]}
        docs = dict(self.values["app"]["openapi_docs"])
        servers = docs.pop("external_servers")
        self.assertEqual(flags, docs)
        self.assertEqual(self.made["openapi_docs"], {"external_servers": servers})

    def test_not_opted_in(self) -> None:
        """An API that the flags do not name shows no document."""
        made = configuration(objects(MINIMAL, app={"openapi_docs": {"logs": True}}))
        [jobs] = made["backends"]
        self.assertNotIn("openapi", jobs)

    def test_superusers(self) -> None:
        """Superusers keep their scopes, as a map; the plain list of old stays one."""
        [superuser] = [each for each in self.made["authenticators"] if each["kind"] == "superuser"]
        self.assertEqual(superuser["superusers"], self.values["app"]["superusers"])
        for plain in (["service:components-api"], []):
            made = configuration(objects(MINIMAL, app={"superusers": plain}))
            self.assertEqual(made["authenticators"][1]["superusers"], plain)

    def test_api_maps(self) -> None:
        """A file that has its backends in `app.api_maps` alone gets them from there; where both
        are, `backends` decides what can be reached."""
        maps = {
            "jobs": "https://jobs-api.jobs-api.svc.tools.local:8443",
            "more": "https://more-api.more-api.svc.tools.local:8443",
        }
        made = configuration(objects(app={"api_maps": maps, "openapi_docs": {"jobs": True}}))
        found = [
            (each["name"], each["path"], each["url"], each.get("openapi"))
            for each in made["backends"]
        ]
        self.assertEqual(
            found,
            [
                ("jobs-api", "/jobs", maps["jobs"], True),
                ("more-api", "/more", maps["more"], None),
            ],
        )
        made = configuration(objects(MINIMAL, app={"api_maps": maps}))
        self.assertEqual([each["path"] for each in made["backends"]], ["/jobs"])

    def test_two_authorities(self) -> None:
        """The Kubernetes CA names tools and administrators, the backend CA services, and neither
        names what the other does."""
        [listener] = self.made["listen"]
        self.assertEqual(listener["tls"]["client_certificate"], "optional")
        vouches = {each["name"]: each["identifies"] for each in listener["tls"]["client_cas"]}
        self.assertEqual(vouches, {"kubernetes": ["tool", "admin"], "backend": ["service"]})
        authorities = {each["name"]: each["ca"] for each in listener["tls"]["client_cas"]}
        self.assertEqual(authorities["backend"], self.made["upstream_tls"]["ca"])
        self.assertNotEqual(authorities["kubernetes"], authorities["backend"])

    def test_deploy_tokens(self) -> None:
        """Deploy tokens count on two paths of components, and nowhere where that is not."""
        kinds = [each["kind"] for each in self.made["authenticators"]]
        self.assertEqual(kinds, ["kubernetes-certificate", "superuser", "deploy-token"])
        paths = self.made["authenticators"][2]["paths"]
        self.assertEqual(
            [path.split("{")[0] for path in paths],
            [
                "POST /components/v1/tool/",
                "GET /components/v1/tool/",
            ],
        )
        kinds = [each["kind"] for each in configuration(objects(MINIMAL))["authenticators"]]
        self.assertEqual(kinds, ["kubernetes-certificate", "superuser"])

    def test_farewell(self) -> None:
        """Load balancers are told for 25 seconds before listeners close."""
        self.assertEqual(self.made["timeouts"], {"lame_duck": 25, "drain": 30})


class OverlayTests(ChartCase):
    """`gateway` is laid over what the other values make."""

    def made(self, **values: object) -> dict:
        """The configuration that values make, laid over the least of ours."""
        return configuration(objects(MINIMAL, **values))

    def test_mappings(self) -> None:
        """Mappings are laid over key by key, and what is false, nought or empty counts."""
        made = self.made(gateway={"timeouts": {"lame_duck": 0}, "limits": {"headers": 50}})
        self.assertEqual(made["timeouts"], {"lame_duck": 0, "drain": 30})
        self.assertEqual(made["limits"], {"connections": 3000, "headers": 50})
        self.assertEqual(self.made(gateway={"authenticators": []})["authenticators"], [])

    def test_taken_away(self) -> None:
        """null takes away what the chart would say."""
        made = self.made(gateway={"limits": None, "timeouts": {"lame_duck": None}})
        self.assertNotIn("limits", made)
        self.assertEqual(made["timeouts"], {"drain": 30})

    def test_backends_there(self) -> None:
        """Backends may be listed in `gateway` alone, and are then as they are written."""
        backends = [
            {"name": "x", "path": "/components", "url": "https://x.example"},
        ]
        made = configuration(objects(gateway={"backends": backends}))
        self.assertEqual(made["backends"], backends)
        self.assertEqual(made["authenticators"][2]["kind"], "deploy-token")

    def test_numbers(self) -> None:
        """Large numbers arrive as they were written."""
        made = self.made(gateway={"limits": {"request_body": 1099511627776}})
        self.assertEqual(made["limits"]["request_body"], 1099511627776)
        self.assertIn(
            "1099511627776",
            configuration_text(
                objects(MINIMAL, gateway={"limits": {"request_body": 1099511627776}})
            ),
        )

    def test_listener(self) -> None:
        """`listener` adds to the listener, `listeners` adds more of them."""
        made = self.made(
            listener={"external_url": "https://api.example.org"},
            listeners=[{"endpoint": "tcp:8444"}],
        )
        first, second = made["listen"]
        self.assertEqual(first["external_url"], "https://api.example.org")
        self.assertIn("tls", first)
        self.assertEqual(second, {"endpoint": "tcp:8444"})

    def test_slow_paths(self) -> None:
        """A followed log may be silent for an hour; a backend's own slow_paths are its own."""
        [backend] = self.made()["backends"]
        [slow] = backend["slow_paths"]
        self.assertEqual(set(slow["timeouts"].values()), {3600})
        for path in (
            "/v1/tool/x/jobs/hello/logs",
            "/v1/tool/x/source/jobs-api/log",
            "/v2/tool/x/job/a/logs_stream",
            "/v1/tool/logs/builds/x/logs",
        ):
            self.assertTrue(re.search(slow["pattern"], path), path)
        for path in ("/v1/tool/logs", "/v1/tool/catalogs/jobs", "/v1/tool/x/catalog", "/logs/v1"):
            self.assertFalse(re.search(slow["pattern"], path), path)
        plain = {"name": "x", "path": "/x", "url": "https://x.example", "slow_paths": []}
        self.assertEqual(self.made(backends=[plain])["backends"][0]["slow_paths"], [])


class CheckTests(ChartCase):
    """`toolforge-gateway check`, with the files where the Pod has them."""

    def check(self, rendered: Objects) -> tuple[int, str, str]:
        """What it exits with, and what it prints to both sides."""
        folder = room(self)
        home = lay(rendered, folder)
        swap(home / "config", {"gateway.yaml": moved(configuration_text(rendered), folder)})
        file = home / "config" / "gateway.yaml"
        out, err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        return main(["check", "--config", str(file)]), out.getvalue(), err.getvalue()

    def test_accepted(self) -> None:
        """What each of the values files makes is accepted without a warning."""
        for file in FILES:
            code, out, err = self.check(objects(file))
            self.assertEqual((code, err), (0, ""), file)
            self.assertIn("/jobs to jobs-api at https://jobs-api.jobs-api.svc.", out)
        self.assertIn("tcp6:10443 as ", out)

    def test_tools_local(self) -> None:
        """The backends of the file that exists are dialled and verified by their names there."""
        _, out, _ = self.check(objects(TOOLFORGE))
        for name in ("jobs", "builds", "envvars", "components", "logs"):
            host = f"{name}-api.{name}-api.svc.tools.local"
            self.assertIn(f"/{name} to {name}-api at https://{host}:8443, verified as {host}", out)

    def test_old_list(self) -> None:
        """A plain list of superusers works, with a warning that each may use every path."""
        rendered = objects(TOOLFORGE, app={"superusers": ["service:components-api"]})
        code, _, err = self.check(rendered)
        self.assertEqual(code, 0, err)
        self.assertIn("warning: ", err)

    def test_awake(self) -> None:
        """What `gateway` says wrongly is told with its line, as the running gateway would."""
        code, _, err = self.check(objects(MINIMAL, gateway={"timeouts": {"drian": 3}}))
        self.assertEqual(code, 2)
        self.assertIn("timeouts.drian", err)

    def test_every_file_is_mounted(self) -> None:
        """Every file that the configuration names is below a folder that the Pod mounts, and so is
        the control socket."""
        for file in (TOOLFORGE, EVERYTHING):
            rendered = objects(file)
            folder = room(self)
            lay(rendered, folder)
            for word in configuration_text(rendered).split():
                if word.startswith(HOME):
                    self.assertTrue((folder / word[1:]).exists(), word)
            socket = folder / configuration(rendered)["control"]["socket"][1:]
            self.assertTrue(socket.parent.is_dir(), socket)

    def test_explain(self) -> None:
        """A tool may use its own paths and no other's; a service what its scope opens."""
        folder = room(self)
        rendered = objects(TOOLFORGE)
        file = lay(rendered, folder) / "config" / "moved.yaml"
        file.write_text(moved(configuration_text(rendered), folder))

        def explained(certificate: str, method: str, path: str) -> tuple[int, str]:
            out = io.StringIO()
            self.patch(sys, "stdout", out)
            words = ["--certificate", str(pki() / f"{certificate}.crt"), method, path]
            return main(["explain", "--config", str(file), *words]), out.getvalue()

        code, said = explained("tool-tf-test", "GET", "/jobs/v1/tool/tf-test/jobs")
        self.assertEqual(code, 0, said)
        code, said = explained("tool-tf-test", "GET", "/jobs/v1/tool/other/jobs")
        self.assertEqual(code, 1, said)
        self.assertIn("foreign-tool", said)
        code, said = explained("service-components-api", "GET", "/builds/v1/tool/other/builds")
        self.assertEqual(code, 0, said)

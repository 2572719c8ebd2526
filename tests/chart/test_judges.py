"""What others say of the chart: helm, the schemas of Kubernetes, of cert-manager, of Prometheus."""

from __future__ import annotations

import json

import yaml

from tests.chart import rendering
from tests.chart.rendering import (
    CHART,
    FILES,
    MINIMAL,
    TOOLFORGE,
    ChartCase,
    NotRendered,
    objects,
    run,
    text,
)

NEWEST, OLDEST = "1.37", "1.27"
"""Versions of Kubernetes: the newest that the judge knows, the oldest that Chart.yaml admits."""

_MODELS = """
import importlib, json, sys
# Each takes seconds to import.
modules = {"Certificate": "cert_manager.v1", "ServiceMonitor": "prometheus_operator.v1"}
for given in json.load(sys.stdin):
    module = importlib.import_module("cloudcoil.models." + modules[given["kind"]])
    model = getattr(module, given["kind"])
    read = model.model_validate(given).model_dump(by_alias=True, exclude_unset=True, mode="json")
    # What a model does not know it drops without a word.
    assert read == given, f"dropped: {given} became {read}"
    print(given["kind"])
"""


class JudgeTests(ChartCase):
    """Each values file of `chart/ci`, before each judge."""

    def test_lint(self) -> None:
        """`helm lint --strict` has nothing to say against any of the files."""
        for file in FILES:
            done = run("helm", "lint", "--strict", str(CHART), "--values", str(file))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertNotIn("[WARNING]", done.stdout)

    def test_quiet(self) -> None:
        """Helm renders each file without a word on its standard error, such as a warning."""
        for file in FILES:
            done = run("helm", "template", "api-gateway", str(CHART), "--values", str(file))
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_kubernetes(self) -> None:
        """What Kubernetes itself defines fits its strict schemas, of old and of new versions."""
        for file in FILES:
            for version in (OLDEST, NEWEST):
                done = run(
                    "python",
                    "-m",
                    "kubernetes_validate",
                    "--strict",
                    "-k",
                    version,
                    "/dev/stdin",
                    given=text(file),
                )
                said = done.stdout + done.stderr
                self.assertEqual(done.returncode, 0, said)
                unknown = [line for line in said.splitlines() if line.startswith("WARN")]
                own = [each for each in unknown if "cert-manager.io" not in each]
                own = [each for each in own if "monitoring.coreos.com" not in each]
                self.assertEqual(own, [])
                self.assertIn("passed for resource deployment/", said)

    def test_kubernetes_refuses(self) -> None:
        """That judge is awake: a misspelt key is told."""
        spoilt = text(MINIMAL).replace("minReadySeconds", "minReadySecond")
        done = run("python", "-m", "kubernetes_validate", "--strict", "/dev/stdin", given=spoilt)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("minReadySecond", done.stdout + done.stderr)

    def test_others(self) -> None:
        """Certificates and the ServiceMonitor fit the models of those who define them, with no
        key left over."""
        for file in FILES:
            rendered = objects(file)
            strange = [
                each for each in rendered if each["kind"] in ("Certificate", "ServiceMonitor")
            ]
            done = run("python", "-c", _MODELS, given=json.dumps(strange))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout.split().count("Certificate"), 2)
        self.assertIn("ServiceMonitor", done.stdout)

    def test_others_refuse(self) -> None:
        """That judge is awake: a policy that does not exist and a key that does not are told."""
        [given, _] = [each for each in objects(MINIMAL) if each["kind"] == "Certificate"]
        for private_key in ({"rotationPolicy": "Sometimes"}, {"rotationpolicy": "Always"}):
            given["spec"]["privateKey"] = private_key
            done = run("python", "-c", _MODELS, given=json.dumps([given]))
            self.assertNotEqual(done.returncode, 0)

    def test_odd_releases(self) -> None:
        """A release's name that YAML takes for something else, or that is no Service's name,
        makes good names all the same."""
        for release in ("on", "null", "a1.b2.c3"):
            for each in objects(MINIMAL, release=release):
                name = each["metadata"]["name"]
                self.assertRegex(name, r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
                self.assertEqual(each["metadata"]["labels"]["app.kubernetes.io/instance"], release)

    def test_names(self) -> None:
        """No two objects of a kind have one name, and each bears the labels of its release."""
        for file in FILES:
            rendered = objects(file)
            names = [(each["kind"], each["metadata"]["name"]) for each in rendered]
            self.assertEqual(len(names), len(set(names)))
            for each in rendered:
                labels = each["metadata"]["labels"]
                self.assertEqual(labels["app.kubernetes.io/instance"], "api-gateway")


class SchemaTests(ChartCase):
    """`values.schema.json` refuses what would not work, and says where."""

    def refusal(self, **values: object) -> str:
        """What helm says to values that are laid over the least of ours."""
        with self.assertRaises(NotRendered) as refused:
            objects(MINIMAL, **values)
        return str(refused.exception)

    def test_unknown(self) -> None:
        """A misspelt key is refused by name, at the top, in a backend and in a section."""
        self.assertIn("replicsa", self.refusal(replicsa=3))
        self.assertIn("servise", self.refusal(servise={"type": "ClusterIP"}))
        self.assertIn("nodeport", self.refusal(service={"nodeport": 30004}))
        backend = {"name": "x", "path": "/x", "url": "https://x.example", "anonymus": "refuse"}
        self.assertIn("anonymus", self.refusal(backends=[backend]))
        self.assertIn("replica", self.refusal(nginx={"replica": 3}))

    def test_bad(self) -> None:
        """Values that the gateway or Kubernetes would refuse later are refused now."""
        path = {"name": "x", "path": "/x/", "url": "https://x.example"}
        for place, values in (
            ("/backends/0/path", {"backends": [path]}),
            ("/backends/0/url", {"backends": [{**path, "path": "/x", "url": "http://x"}]}),
            ("/backends/0", {"backends": [{"name": "x", "url": "https://x.example"}]}),
            ("/app/openapi_docs", {"app": {"openapi_docs": {"external_servers": [{}]}}}),
            ("/app/superusers", {"app": {"superusers": {"service:x": "^.*$"}}}),
            ("/app/api_maps/jobs", {"app": {"api_maps": {"jobs": "http://jobs"}}}),
            ("/image/digest", {"image": {"digest": "sha256:12"}}),
            ("/ports/gateway", {"ports": {"gateway": 443}}),
            ("/clientCAs/backend", {"clientCAs": {"backend": {"secret": "x", "configMap": "y"}}}),
            ("/certificates/duration", {"certificates": {"duration": "21d"}}),
            ("/slowPaths/0", {"slowPaths": [{"pattern": "x"}]}),
            ("/podDisruptionBudget", {"podDisruptionBudget": {"maxUnavailable": 0}}),
        ):
            said = self.refusal(**values).replace("/", ".")  # as Helm 3 writes places
            self.assertIn(place[1:].replace("/", "."), said)

    def test_no_backends(self) -> None:
        """Without a backend there is nothing to install, and the complaint says what to write."""
        self.assertIn("list them under `backends`", self.refusal(backends=[]))

    def test_global(self) -> None:
        """As a part of another chart it is handed `global`, and does not mind."""
        self.assertEqual(objects(MINIMAL), objects(MINIMAL, **{"global": {"any": "thing"}}))

    def test_two_files(self) -> None:
        """Values of our own can be laid over the file that exists."""
        own = objects(TOOLFORGE, replicas=5, clusterDomain="cluster.local")
        self.assertEqual(rendering.one(own, "Deployment")["spec"]["replicas"], 5)
        self.assertEqual(rendering.configuration(own)["cluster_domain"], "cluster.local")


class ValuesTests(ChartCase):
    """The files that the tests render."""

    def test_unchanged(self) -> None:
        """The file of the gateway that runs today has no key of ours."""
        values = yaml.safe_load(TOOLFORGE.read_text())
        self.assertEqual(set(values), {"backends", "app", "nginx", "certificates", "resources"})
        self.assertEqual(set(values["certificates"]), {"internalClusterDomain", "extraNames"})

    def test_everything(self) -> None:
        """The file with everything says something else than the default about every value."""
        schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
        values = yaml.safe_load(rendering.EVERYTHING.read_text())
        defaults = yaml.safe_load((CHART / "values.yaml").read_text())
        existing = {"app", "nginx", "global"}
        self.assertEqual(set(schema) - set(values), existing)
        same = [key for key in values if key in defaults and values[key] == defaults[key]]
        self.assertEqual(same, [])

"""The Kubernetes objects: what a Pod may, how it comes and goes, who reaches it."""

from __future__ import annotations

import re

from twisted.trial.unittest import SkipTest

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
    one,
    run,
)
from tests.clients.stage import ROOT
from toolforge_gateway.config.loader import version_of


def pod_of(rendered: Objects) -> dict:
    """What the Deployment makes Pods of."""
    return one(rendered, "Deployment")["spec"]["template"]


class PodTests(ChartCase):
    """The Pods of each values file."""

    def setUp(self) -> None:
        self.all = [objects(file) for file in FILES]

    def test_restricted(self) -> None:
        """Every container keeps to the restricted standard for Pods, and its root is read-only."""
        for rendered in self.all:
            pod = pod_of(rendered)["spec"]
            self.assertTrue(pod["securityContext"]["runAsNonRoot"])
            self.assertGreaterEqual(pod["securityContext"]["runAsUser"], 10000)
            self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            for key in ("hostNetwork", "hostPID", "hostIPC"):
                self.assertNotIn(key, pod)
            for container in pod["containers"] + pod.get("initContainers", []):
                self.assertEqual(
                    container["securityContext"],
                    {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                )
                for port in container.get("ports", []):
                    self.assertNotIn("hostPort", port)
            kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
            self.assertEqual(kinds, {"configMap", "secret", "emptyDir"})

    def test_same_user_as_image(self) -> None:
        """The Pod's user is the image's, so that files mean the same to both."""
        user = pod_of(self.all[0])["spec"]["securityContext"]["runAsUser"]
        self.assertIn(f"USER {user}:{user}\n", (ROOT / "Containerfile").read_text())

    def test_no_token(self) -> None:
        """No Pod has a token for the Kubernetes API, nor the addresses of its neighbours."""
        for rendered in self.all:
            self.assertFalse(one(rendered, "ServiceAccount")["automountServiceAccountToken"])
            pod = pod_of(rendered)["spec"]
            self.assertFalse(pod["automountServiceAccountToken"])
            self.assertFalse(pod["enableServiceLinks"])

    def test_whole_folders(self) -> None:
        """No file is mounted by subPath, where it would never change; keys are for our group."""
        for rendered in self.all:
            pod = pod_of(rendered)["spec"]
            for container in pod["containers"]:
                for mount in container["volumeMounts"]:
                    self.assertNotIn("subPath", mount)
                    if mount["mountPath"].startswith("/etc"):
                        self.assertTrue(mount["readOnly"])
            for volume in pod["volumes"]:
                if "secret" in volume:
                    self.assertEqual(volume["secret"]["defaultMode"], 0o440)

    def test_writable(self) -> None:
        """What can be written is bounded: the control socket's folder and /tmp."""
        for rendered in self.all:
            pod = pod_of(rendered)["spec"]
            empty = {each["name"] for each in pod["volumes"] if "emptyDir" in each}
            self.assertEqual(empty, {"run", "tmp"})
            for volume in pod["volumes"]:
                if "emptyDir" in volume:
                    self.assertIn("sizeLimit", volume["emptyDir"])

    def test_probes(self) -> None:
        """Probes ask the operations port: life at /healthz, which stays well while it drains, and
        readiness at /readyz."""
        for rendered in self.all:
            [gateway] = [
                each for each in pod_of(rendered)["spec"]["containers"] if each["name"] == "gateway"
            ]
            paths = {
                name: gateway[f"{name}Probe"]["httpGet"]
                for name in ("startup", "liveness", "readiness")
            }
            self.assertEqual(
                paths,
                {
                    "startup": {"path": "/healthz", "port": "operations"},
                    "liveness": {"path": "/healthz", "port": "operations"},
                    "readiness": {"path": "/readyz", "port": "operations"},
                },
            )
            ports = {port["name"]: port["containerPort"] for port in gateway["ports"]}
            made = configuration(rendered)
            self.assertEqual(made["listen"][0]["endpoint"].split(":")[1], str(ports["https"]))
            self.assertEqual(made["operations"]["endpoint"].split(":")[1], str(ports["operations"]))

    def test_farewell(self) -> None:
        """A Pod is given time for the wait before SIGTERM, for lame_duck, for drain, and ten
        seconds more, whatever the values say."""
        for rendered in [*self.all, objects(MINIMAL, gateway={"timeouts": {"lame_duck": 0.5}})]:
            timeouts = configuration(rendered)["timeouts"]
            pod = pod_of(rendered)["spec"]
            command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
            self.assertEqual(command[0], "sleep")
            self.assertGreaterEqual(
                pod["terminationGracePeriodSeconds"],
                float(command[1]) + timeouts["lame_duck"] + timeouts["drain"] + 10,
            )
        self.assertEqual(pod_of(self.all[0])["spec"]["terminationGracePeriodSeconds"], 70)

    def test_spread(self) -> None:
        """Pods go to different nodes and zones, and run on the same one rather than nowhere."""
        for rendered in self.all:
            constraints = pod_of(rendered)["spec"]["topologySpreadConstraints"]
            self.assertEqual(
                [(each["topologyKey"], each["whenUnsatisfiable"]) for each in constraints],
                [
                    ("kubernetes.io/hostname", "ScheduleAnyway"),
                    ("topology.kubernetes.io/zone", "ScheduleAnyway"),
                ],
            )

    def test_image(self) -> None:
        """The image is that of the chart's version; a tag, and before it a digest, says another."""

        def image(**values: str) -> str:
            return pod_of(objects(MINIMAL, image=values))["spec"]["containers"][0]["image"]

        self.assertTrue(image().startswith("toolforge-gateway:"))
        self.assertEqual(image(tag="7"), "toolforge-gateway:7")
        digest = "sha256:" + "0" * 64
        self.assertEqual(image(tag="7", digest=digest), f"toolforge-gateway@{digest}")


class ChangeTests(ChartCase):
    """What makes new Pods, and what does not."""

    def test_reload(self) -> None:
        """A change of the configuration alone makes no new Pods: those that run reload it."""
        limits = {"limits": {"headers": 50}}
        before, after = objects(MINIMAL), objects(MINIMAL, gateway=limits)
        self.assertNotEqual(configuration(before), configuration(after))
        self.assertEqual(pod_of(before), pod_of(after))
        containers = {each["name"]: each for each in pod_of(before)["spec"]["containers"]}
        self.assertEqual(set(containers), {"gateway", "reload"})
        self.assertEqual(containers["gateway"]["image"], containers["reload"]["image"])

    def test_mounted_files(self) -> None:
        """What `extraVolumes` mounts is seen by who reloads as well, and can only be read there."""
        spec = pod_of(objects(EVERYTHING, configChange="reload"))["spec"]
        containers = {each["name"]: each for each in spec["containers"]}
        [mount] = [m for m in containers["gateway"]["volumeMounts"] if m["name"] == "tokens"]
        self.assertIn({**mount, "readOnly": True}, containers["reload"]["volumeMounts"])

    def test_issuers(self) -> None:
        """Of the issuer of the server's certificate only what differs has to be said."""
        rendered = objects(MINIMAL, certificates={"serverIssuer": {"name": "public"}})
        made = [each["spec"] for each in rendered if each["kind"] == "Certificate"]
        issuers = {each["secretName"].rpartition("-")[2]: each["issuerRef"] for each in made}
        self.assertEqual(issuers["server"], {**issuers["upstream"], "name": "public"})

    def test_restart(self) -> None:
        """With `configChange: restart` it makes new Pods, one at a time and each before an old
        one goes, and there is nothing that reloads."""
        values = {"configChange": "restart"}
        before = objects(MINIMAL, **values)
        after = objects(MINIMAL, gateway={"limits": {"headers": 50}}, **values)
        self.assertNotEqual(pod_of(before), pod_of(after))
        self.assertEqual(len(pod_of(before)["spec"]["containers"]), 1)
        strategy = one(before, "Deployment")["spec"]["strategy"]
        self.assertEqual(strategy["rollingUpdate"], {"maxSurge": 1, "maxUnavailable": 0})

    def test_certificates(self) -> None:
        """Nothing in a Pod depends on what is in a certificate: those are read anew by whoever
        runs."""
        changed = {"duration": "240h", "extraNames": ["api.example.org"]}
        self.assertEqual(pod_of(objects(MINIMAL)), pod_of(objects(MINIMAL, certificates=changed)))


class NumberTests(ChartCase):
    """How many there are."""

    def test_replicas(self) -> None:
        """Three, or as many as nginx had, or as `replicas` says."""

        def replicas(**values: object) -> int:
            return one(objects(MINIMAL, **values), "Deployment")["spec"]["replicas"]

        self.assertEqual(replicas(), 3)
        self.assertEqual(replicas(nginx={"replicas": 2}), 2)
        self.assertEqual(replicas(nginx={"replicas": 2}, replicas=4), 4)
        self.assertEqual(one(objects(TOOLFORGE), "Deployment")["spec"]["replicas"], 3)

    def test_disruption(self) -> None:
        """One may be missing at a time; with a single one there is no budget, which would keep
        its node from ever being emptied."""
        budget = one(objects(TOOLFORGE), "PodDisruptionBudget")["spec"]
        self.assertEqual(budget["maxUnavailable"], 1)
        kinds = [each["kind"] for each in objects(MINIMAL, replicas=1)]
        self.assertNotIn("PodDisruptionBudget", kinds)

    def test_autoscaling(self) -> None:
        """With a HorizontalPodAutoscaler the Deployment does not say how many."""
        rendered = objects(EVERYTHING)
        deployment = one(rendered, "Deployment")
        self.assertNotIn("replicas", deployment["spec"])
        scaler = one(rendered, "HorizontalPodAutoscaler")["spec"]
        self.assertEqual(scaler["scaleTargetRef"]["name"], deployment["metadata"]["name"])
        self.assertEqual((scaler["minReplicas"], scaler["maxReplicas"]), (4, 8))
        kinds = [each["kind"] for each in objects(MINIMAL)]
        self.assertNotIn("HorizontalPodAutoscaler", kinds)

    def test_resources(self) -> None:
        """The resources of the file that exists are the container's."""
        container = pod_of(objects(TOOLFORGE))["spec"]["containers"][0]
        self.assertEqual(
            container["resources"],
            {
                "requests": {"cpu": "100m", "memory": "64Mi"},
                "limits": {"cpu": "500m", "memory": "256Mi"},
            },
        )


class ReachTests(ChartCase):
    """Who reaches whom."""

    def test_node_port(self) -> None:
        """Callers come by port 30003 of every node, to any Pod."""
        for file in (TOOLFORGE, MINIMAL):
            service = one(objects(file), "Service", "api-gateway")["spec"]
            self.assertEqual(service["type"], "NodePort")
            self.assertEqual(service["externalTrafficPolicy"], "Cluster")
            [port] = service["ports"]
            self.assertEqual((port["nodePort"], port["targetPort"]), (30003, "https"))

    def test_selectors(self) -> None:
        """Services, policy, budget and Deployment mean the same Pods."""
        for file in FILES:
            rendered = objects(file)
            labels = pod_of(rendered)["metadata"]["labels"]
            selectors = [each["spec"]["selector"] for each in rendered if each["kind"] == "Service"]
            selectors.append(one(rendered, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
            budget = one(rendered, "PodDisruptionBudget")["spec"]
            selectors.append(budget["selector"]["matchLabels"])
            deployment = one(rendered, "Deployment")["spec"]
            selectors.append(deployment["selector"]["matchLabels"])
            for selector in selectors:
                self.assertEqual(selector, selectors[0])
                self.assertLessEqual(selector.items(), labels.items())

    def test_operations_stay_inside(self) -> None:
        """The operations port is on no node's port, and the service for Prometheus has no
        address of its own."""
        for file in FILES:
            rendered = objects(file)
            services = [each for each in rendered if each["kind"] == "Service"]
            [operations] = [
                each for each in services if each["metadata"]["name"].endswith("-operations")
            ]
            self.assertEqual(operations["spec"]["type"], "ClusterIP")
            self.assertEqual(operations["spec"]["clusterIP"], "None")
            for service in services:
                for port in service["spec"]["ports"]:
                    if port["targetPort"] == "operations":
                        self.assertIs(service, operations)

    def test_policy(self) -> None:
        """By its policy a Pod is reached on the gateway's port alone, and reaches the name
        service and the namespaces of its backends."""
        policy = one(objects(TOOLFORGE), "NetworkPolicy")["spec"]
        self.assertEqual(policy["policyTypes"], ["Ingress", "Egress"])
        self.assertEqual(policy["ingress"], [{"ports": [{"port": 8443, "protocol": "TCP"}]}])
        names, backends = policy["egress"]
        self.assertEqual({port["port"] for port in names["ports"]}, {53})
        [expression] = backends["to"][0]["namespaceSelector"]["matchExpressions"]
        self.assertEqual(
            expression["values"],
            ["builds-api", "components-api", "envvars-api", "jobs-api", "logs-api"],
        )

    def test_policy_with_everything(self) -> None:
        """A backend in the cluster is known by its namespace, however it is written; one outside
        by its port; Prometheus is let in where it is named."""
        policy = one(objects(EVERYTHING), "NetworkPolicy")["spec"]
        gateway, operations = policy["ingress"]
        self.assertEqual([port["port"] for port in gateway["ports"]], [10443, 8444])
        self.assertEqual(gateway["from"], [{"ipBlock": {"cidr": "192.0.2.0/24"}}])
        self.assertEqual([port["port"] for port in operations["ports"]], [10090])
        _, namespaces, ports, own = policy["egress"]
        [expression] = namespaces["to"][0]["namespaceSelector"]["matchExpressions"]
        self.assertEqual(expression["values"], ["components-api", "elsewhere", "jobs-api"])
        self.assertEqual([port["port"] for port in ports["ports"]], [443, 8443])
        self.assertIn("to", own)

    def test_monitor(self) -> None:
        """The ServiceMonitor means the service for Prometheus, and no other."""
        rendered = objects(EVERYTHING)
        monitor = one(rendered, "ServiceMonitor")["spec"]
        wanted = monitor["selector"]["matchLabels"]
        meant = [
            each["metadata"]["name"]
            for each in rendered
            if each["kind"] == "Service" and wanted.items() <= each["metadata"]["labels"].items()
        ]
        self.assertEqual(meant, ["front-operations"])
        (endpoint,) = monitor["endpoints"]
        self.assertEqual(endpoint["path"], "/metrics")

    def test_job(self) -> None:
        """Prometheus knows the gateway by the job that the alerts ask for."""
        (endpoint,) = one(objects(EVERYTHING), "ServiceMonitor")["spec"]["endpoints"]
        (rule,) = endpoint["relabelings"]
        self.assertEqual(rule["targetLabel"], "job")
        alerts = (ROOT / "contrib" / "prometheus" / "alerts.yaml").read_text()
        jobs = set(re.findall(r'job="([^"]*)"', alerts))
        self.assertEqual(jobs, {rule["replacement"]})


class CertificateTests(ChartCase):
    """What cert-manager is asked for."""

    def test_server(self) -> None:
        """The server's certificate has the Service's names and `certificates.extraNames`, is for
        servers only, and gets a new key each time."""
        spec = one(objects(TOOLFORGE), "Certificate", "api-gateway-server")["spec"]
        self.assertEqual(
            spec["dnsNames"],
            [
                "api-gateway.gateways.svc",
                "api-gateway.gateways.svc.tools.local",
                "api.svc.tools.eqiad1.wikimedia.cloud",
            ],
        )
        self.assertNotIn("ipAddresses", spec)
        self.assertEqual(spec["usages"], ["server auth", "digital signature"])
        self.assertEqual(spec["privateKey"]["rotationPolicy"], "Always")

    def test_upstream(self) -> None:
        """What the gateway shows to backends is for clients only, of the backend CA, lasts 21
        days, and gets a new key each time."""
        spec = one(objects(TOOLFORGE), "Certificate", "api-gateway-upstream")["spec"]
        self.assertEqual(spec["usages"], ["client auth", "digital signature"])
        self.assertEqual(
            spec["issuerRef"],
            {"name": "api-gateway-backend-ca", "kind": "ClusterIssuer", "group": "cert-manager.io"},
        )
        self.assertEqual(spec["duration"], "504h")
        self.assertEqual(
            spec["privateKey"], {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"}
        )

    def test_addresses(self) -> None:
        """An address among the extra names is asked for as an address."""
        spec = one(objects(EVERYTHING), "Certificate", "shown-to-callers")["spec"]
        self.assertEqual(spec["ipAddresses"], ["192.0.2.1", "2001:db8::1"])
        self.assertIn("api.example.org", spec["dnsNames"])
        self.assertEqual(spec["issuerRef"]["name"], "public")

    def test_mounted(self) -> None:
        """The Secrets that cert-manager writes are those that the Pod mounts."""
        for file in FILES:
            rendered = objects(file)
            written = {
                each["spec"]["secretName"] for each in rendered if each["kind"] == "Certificate"
            }
            mounted = {
                volume["name"]: volume["secret"]["secretName"]
                for volume in pod_of(rendered)["spec"]["volumes"]
                if "secret" in volume
            }
            self.assertEqual(written, {mounted["server"], mounted["upstream"]})

    def test_without(self) -> None:
        """Without cert-manager nothing is asked of it, and the named Secrets are mounted."""
        certificates = {
            "create": False,
            "server": {"secretName": "mine"},
            "upstream": {"secretName": "theirs"},
        }
        rendered = objects(MINIMAL, certificates=certificates)
        self.assertNotIn("Certificate", [each["kind"] for each in rendered])
        secrets = [
            volume["secret"]["secretName"]
            for volume in pod_of(rendered)["spec"]["volumes"]
            if "secret" in volume
        ]
        self.assertEqual(secrets, ["mine", "theirs"])

    def test_kubernetes_ca(self) -> None:
        """The Kubernetes CA is the one that every namespace has, unless another is named."""

        def authority(**values: object) -> dict:
            [volume] = [
                each
                for each in pod_of(objects(MINIMAL, **values))["spec"]["volumes"]
                if each["name"] == "kubernetes-ca"
            ]
            return volume

        self.assertEqual(authority()["configMap"]["name"], "kube-root-ca.crt")
        other = authority(clientCAs={"kubernetes": {"secret": "x", "key": "y.pem"}})
        self.assertEqual(other["secret"]["secretName"], "x")
        self.assertEqual(other["secret"]["items"], [{"key": "y.pem", "path": "ca.crt"}])


class NotesTests(ChartCase):
    """What helm prints after an installation."""

    def notes(self, *settings: str) -> str:
        """The notes for the file that exists, with some values set."""
        if run("helm", "version", "--short").stdout.startswith("v3."):
            raise SkipTest("Helm 3 shows notes to those only who have a cluster")
        words = [word for setting in settings for word in ("--set", setting)]
        done = run(
            "helm",
            "install",
            "api-gateway",
            str(ROOT / "chart"),
            "--dry-run=client",
            "--values",
            str(TOOLFORGE),
            *words,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.partition("NOTES:")[2]

    def test_usual(self) -> None:
        """They say how to look after it, and find nothing odd in the file that exists."""
        notes = self.notes()
        self.assertIn("5 backends on port 30003 of every node", notes)
        self.assertNotIn("TO LOOK AT", notes)

    def test_version(self) -> None:
        """They name the configuration as the gateway does that reads it."""
        rendered = objects(TOOLFORGE)
        self.assertIn(f"version {version_of(configuration_text(rendered))}.", self.notes())

    def test_without_effect(self) -> None:
        """Old keys that have no effect are told, each with what counts instead."""
        notes = self.notes(
            "app.log_level=debug",
            "app.api_maps.jobs=https://jobs.example",
            "app.api_maps.more=https://more.example",
            "app.openapi_docs.other=true",
        )
        for said in ("app.log_level: debug", "api_maps.jobs is", "api_maps.more has", "docs.other"):
            self.assertIn(said, notes)

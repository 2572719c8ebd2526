"""A complete file becomes exactly the values it says."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.config.samples import FILE, loaded
from toolforge_gateway.config import load, loads
from toolforge_gateway.config.backend import Backend, SlowPath, UpstreamURL
from toolforge_gateway.config.values import (
    AccessLog,
    ClientCA,
    Configuration,
    ExternalServer,
    Forwarded,
    Limits,
    Listener,
    OpenAPIDocs,
    Operations,
    Origin,
    ServerTLS,
    SettingFile,
    Timeouts,
    UpstreamTLS,
)
from toolforge_gateway.model import Kind
from toolforge_gateway.routing import PathTemplate

SAMPLE = """\
listen:
  - endpoint: tcp:8443                       # any Twisted server endpoint description
    tls:
      certificate: tls/server.crt
      private_key: tls/server.key
      client_certificate: optional           # optional | required | none
      client_cas:
        - {name: kubernetes, ca: tls/k8s-ca.crt, identifies: [tool, admin]}
        - {name: backend, ca: tls/backend-ca.crt, identifies: [service], crl: tls/x.crl}
    proxy_protocol: {trusted: [192.0.2.7/32]}
    forwarded: {trusted: [{cidr: 192.0.2.8/32}, {client_ca: backend, cn: "service:front"}]}
    external_url: https://api.example.org
operations: {endpoint: "tcp:9090:interface=127.0.0.1"}
upstream_tls: {ca: tls/backend-ca.crt, certificate: tls/gw.crt, private_key: tls/gw.key}
backends:
  - name: jobs-api
    path: /jobs
    url: https://jobs-api.jobs-api.svc.tools.local:8443
    server_name: jobs-api.jobs-api.svc.tools.local
    anonymous: forward                       # forward (the backend decides) | refuse (401)
    anonymous_paths: ["/openapi.json", "/v{n}/healthz", "/v{n}/metrics"]
    tool_path: "/v{n}/tool/{tool}"
    open_paths: ["/openapi.json", "/v{n}/healthz", "/v{n}/metrics"]
    forward_credentials: false
    timeouts: {response_head: 61}
    slow_paths: [{pattern: "/logs$", timeouts: {response_head: 3600, response_idle: 3601}}]
    openapi: /v1/openapi.yaml
    api: jobs-v1
openapi_docs:
  title: All of it
  external_servers: [{url: "https://api.example.org/", description: From outside},
                     {url: "https://in.example:8443/base"}]
  refresh: 61
authenticators:
  - {kind: kubernetes-certificate, organizations: {tool: toolforge, admin: admins}, admin_paths: []}
  - kind: superuser
    superusers: {"service:components-api": ["^.*$"], "service:jobs-api": ["^/l$"]}
  - kind: deploy-token
    parameter: token
    paths: ["POST /components/v1/tool/{tool}/deployment", "GET /{id:[0-9]{8}-[a-z0-9]+}"]
timeouts: {handshake: 1, request_head: 2, request_idle: 3, keep_alive: 4, connect: 5,
           response_head: 6, response_idle: 7, drain: 8.5, lame_duck: 9}
limits: {request_line: 8193, header_block: 32769, headers: 101, request_body: 134217729,
         connections: 10001, requests: 4097, connections_per_address: 250}
access_log: {format: json, file: "-"}
"""

HERE = Origin("", None, "")
OPEN = tuple(map(PathTemplate, ["/openapi.json", "/v{n}/healthz", "/v{n}/metrics"]))
TOOL = PathTemplate("/v{n}/tool/{tool}")


def setting(name: str) -> SettingFile:
    """A file next to the sample; origins do not count in comparisons."""
    return SettingFile(FILE.parent / name, HERE)


class SampleTests(SynchronousTestCase):
    """The file that shows every key."""

    def setUp(self) -> None:
        """Read it."""
        self.configuration = loads(SAMPLE, FILE)

    def test_values(self) -> None:
        """Every key becomes its value; none is lost, none is a default."""
        general = Timeouts(1, 2, 3, 4, 5, 6, 7, 8.5, 9)
        own = attrs.evolve(general, response_head=61)
        slow = attrs.evolve(general, response_head=3600, response_idle=3601)
        pattern = self.configuration.backends[0].slow_paths[0].pattern
        self.assertEqual(pattern.pattern, "/logs$")
        expected = Configuration(
            file=FILE,
            listen=(
                Listener(
                    endpoint="tcp:8443",
                    tls=ServerTLS(
                        certificate=setting("tls/server.crt"),
                        private_key=setting("tls/server.key"),
                        client_certificate="optional",
                        client_cas=(
                            ClientCA(
                                "kubernetes",
                                setting("tls/k8s-ca.crt"),
                                frozenset([Kind.TOOL, Kind.ADMIN]),
                                None,
                                HERE,
                            ),
                            ClientCA(
                                "backend",
                                setting("tls/backend-ca.crt"),
                                frozenset([Kind.SERVICE]),
                                setting("tls/x.crl"),
                                HERE,
                            ),
                        ),
                        origin=HERE,
                    ),
                    proxy_protocol=(ip_network("192.0.2.7/32"),),
                    forwarded=Forwarded(
                        (ip_network("192.0.2.8/32"),), (("backend", "service:front"),)
                    ),
                    external_url="https://api.example.org",
                    origin=HERE,
                ),
            ),
            operations=Operations("tcp:9090:interface=127.0.0.1", HERE),
            upstream_tls=UpstreamTLS(
                setting("tls/backend-ca.crt"), setting("tls/gw.crt"), setting("tls/gw.key"), HERE
            ),
            backends=(
                Backend(
                    name="jobs-api",
                    path="/jobs",
                    url=UpstreamURL("jobs-api.jobs-api.svc.tools.local", 8443, ""),
                    server_name="jobs-api.jobs-api.svc.tools.local",
                    anonymous="forward",
                    anonymous_paths=OPEN,
                    tool_path=TOOL,
                    open_paths=OPEN,
                    forward_credentials=False,
                    timeouts=own,
                    slow_paths=(SlowPath(pattern, slow),),
                    api="jobs-v1",
                    openapi="/v1/openapi.yaml",
                    origin=HERE,
                ),
            ),
            authenticators=self.configuration.authenticators,
            timeouts=general,
            limits=Limits(8193, 32769, 101, 134217729, 10001, 4097, 250),
            access_log=AccessLog("json", "-"),
            openapi_docs=OpenAPIDocs(
                "All of it",
                (
                    ExternalServer("https://api.example.org", "From outside"),
                    ExternalServer("https://in.example:8443/base", None),
                ),
                61,
            ),
            version=self.configuration.version,
            text=self.configuration.text,
        )
        for field in attrs.fields(Configuration):
            self.assertEqual(
                getattr(self.configuration, field.name), getattr(expected, field.name), field.name
            )

    def test_version(self) -> None:
        """One text has one version, and any other text, be it by a comment, another."""
        self.assertRegex(self.configuration.version, r"\A[0-9a-f]{12}\Z")
        self.assertEqual(loads(SAMPLE, FILE).version, loads(SAMPLE, FILE).version)
        self.assertNotEqual(loads(SAMPLE + "#", FILE).version, loads(SAMPLE, FILE).version)

    def test_authenticators(self) -> None:
        """The sections keep their order and can be read key by key."""
        certificate, superuser, token = self.configuration.authenticators
        self.assertEqual(
            (certificate.kind, superuser.kind, token.kind),
            ("kubernetes-certificate", "superuser", "deploy-token"),
        )
        self.assertEqual(
            certificate.options.raw("organizations"), {"tool": "toolforge", "admin": "admins"}
        )
        self.assertEqual(certificate.options.texts("admin_paths", ["default"]), ())
        self.assertEqual(
            superuser.options.raw("superusers"),
            {"service:components-api": ["^.*$"], "service:jobs-api": ["^/l$"]},
        )
        self.assertEqual(token.options.text("parameter"), "token")
        self.assertEqual(
            token.options.texts("paths"),
            ("POST /components/v1/tool/{tool}/deployment", "GET /{id:[0-9]{8}-[a-z0-9]+}"),
        )
        for section in self.configuration.authenticators:
            section.options.finish()
            self.assertEqual(section.options.complaints, ())

    def test_origins(self) -> None:
        """Values know the line and the key that they come from."""
        listener = self.configuration.listen[0]
        found = [
            (origin.line, origin.path)
            for origin in [
                listener.origin,
                listener.tls.origin,
                listener.tls.private_key.origin,
                listener.tls.client_cas[1].origin,
                self.configuration.backends[0].origin,
                self.configuration.authenticators[2].origin,
            ]
        ]
        self.assertEqual(
            found,
            [
                (2, "listen[0]"),
                (3, "listen[0].tls"),
                (5, "listen[0].tls.private_key"),
                (9, "listen[0].tls.client_cas[1]"),
                (16, "backends[0]"),
                (38, "authenticators[2]"),
            ],
        )


class DefaultTests(SynchronousTestCase):
    """What holds when a key is absent."""

    def test_absent(self) -> None:
        """Nothing is trusted, opened or logged elsewhere unless it is asked for."""
        configuration = loaded("")
        self.assertEqual(configuration.timeouts, Timeouts(10, 10, 30, 65, 5, 60, 60, 30))
        self.assertEqual(
            configuration.limits, Limits(8192, 32768, 100, 134217728, 10000, 4096, None)
        )
        self.assertEqual(configuration.access_log, AccessLog())
        self.assertEqual(configuration.openapi_docs, OpenAPIDocs("Toolforge API", (), 60))
        self.assertIsNone(configuration.operations)
        (listener,) = configuration.listen
        self.assertEqual(
            (listener.proxy_protocol, listener.forwarded, listener.external_url),
            (None, Forwarded((), ()), None),
        )
        self.assertEqual(listener.tls.client_certificate, "optional")
        self.assertIsNone(listener.tls.client_cas[0].crl)
        (backend,) = configuration.backends
        self.assertEqual(
            backend,
            Backend("jobs", "/jobs", UpstreamURL("jobs", 1, ""), "jobs", "forward", OPEN, TOOL,
                    OPEN, False, configuration.timeouts, (), "jobs", None, HERE),
        )  # fmt: skip

    def test_backend_choices(self) -> None:
        """null takes tool scope away, empty lists open nothing, refuse refuses."""
        (backend,) = loaded("""
            backends:
            - name: web
              path: /web/site
              url: https://H.example:443/base/x
              tool_path: null
              open_paths: []
              anonymous_paths: []
              anonymous: refuse
              forward_credentials: true
        """).backends
        self.assertEqual(
            backend,
            Backend("web", "/web/site", UpstreamURL("h.example", 443, "/base/x"), "h.example",
                    "refuse", (), None, (), True, Timeouts(), (), "site", None, HERE),
        )  # fmt: skip

    def test_target(self) -> None:
        """A target is the service's name within the cluster's domain."""
        target = "backends: [{name: a, path: /a, target: {namespace: n, service: s, port: 8443}}]"
        for domain, host in [
            ("", "s.n.svc.cluster.local"),
            ("cluster_domain: tools.local\n", "s.n.svc.tools.local"),
        ]:
            (backend,) = loaded(domain + target).backends
            self.assertEqual(
                (backend.url, backend.server_name), (UpstreamURL(host, 8443, ""), host)
            )

    def test_authority(self) -> None:
        """The Host of an upstream has brackets where needed and no port 443."""
        for host, port, authority in [
            ("h", 443, "h"), ("h", 80, "h:80"), ("::1", 443, "[::1]"), ("::1", 1, "[::1]:1"),
        ]:  # fmt: skip
            self.assertEqual(UpstreamURL(host, port, "/b").authority, authority)

    def test_timeouts_are_laid_over(self) -> None:
        """General, then the backend's, then the slow path's; the first slow path counts."""
        (backend,) = loaded("""
            timeouts: {connect: 1, response_idle: 2}
            backends:
            - name: a
              path: /a
              url: https://h
              timeouts: {response_head: 3}
              slow_paths:
              - {pattern: "/logs$", timeouts: {connect: 4}}
              - {pattern: "/v1", timeouts: {connect: 5}}
        """).backends
        for path, connect in [("/v1/x/logs", 4), ("/v1/logs/x", 5), ("/v2/x", 1)]:
            self.assertEqual(
                backend.timeouts_for(path),
                Timeouts(connect=connect, response_head=3, response_idle=2),
                path,
            )

    def test_files(self) -> None:
        """Files start at the configuration's folder, unless they are absolute."""
        configuration = loaded(
            "access_log: {file: log/access.json}\n"
            "upstream_tls: {ca: /a/b, certificate: ../c, private_key: k}"
        )
        tls = configuration.upstream_tls
        assert tls is not None
        self.assertEqual(
            (configuration.access_log.file, tls.ca.path, tls.certificate.path),
            (FILE.parent / "log/access.json", Path("/a/b"), FILE.parent / "../c"),
        )

    def test_relative_name(self) -> None:
        """Paths do not depend on a later change of the working directory."""
        text = (
            "listen: [{endpoint: 'tcp:1', tls: {certificate: c, private_key: k, "
            "client_certificate: none}}]"
        )
        configuration = loads(text, Path("etc/gateway.yaml"))
        certificate = configuration.listen[0].tls.certificate
        self.assertEqual(certificate.path, Path.cwd() / "etc/c")
        self.assertEqual(certificate.origin.file, "etc/gateway.yaml")


class WarningTests(SynchronousTestCase):
    """What is odd but may stay."""

    def test_table(self) -> None:
        """Each oddity is told with its place, and the configuration loads."""
        listen = "listen: [{endpoint: 'tcp:1', tls: {certificate: c, private_key: k, "
        for fragment, line in [
            ("authenticators: []", "1: authenticators: names none, so every caller is anonymous;"
             " add kubernetes-certificate or another"),
            (listen + "client_certificate: none, client_cas: [{name: a, ca: a,"
             " identifies: [tool]}]}}]", "1: listen[0].tls.client_cas: is not used: no client"
             " certificate is asked for; remove it, or write client_certificate: optional"),
            (listen + "client_certificate: none}, proxy_protocol: {trusted: ['::/0']}}]",
             "1: listen[0].proxy_protocol.trusted[0]: '::/0' trusts every address;"
             " list the peers you mean"),
            ("backends: [{name: a, path: /a, url: 'https://h', open_paths: ['/v1/{tool}']}]",
             "1: backends[0].open_paths[0]: '/v1/{tool}' opens a path of every tool to others than"
             " the tool; make sure that nothing there belongs to one tool"),
        ]:  # fmt: skip
            warnings = loaded(fragment).warnings
            self.assertEqual([str(warning) for warning in warnings], [f"{FILE}:{line}"])

    def test_authenticators(self) -> None:
        """Warnings that an authenticator makes later are found in the same place."""
        configuration = loaded("authenticators:\n- {kind: superuser, superusers: [x]}")
        self.assertEqual(configuration.warnings, ())
        configuration.authenticators[0].options.warn("superusers", "is a plain list", "scope it")
        self.assertEqual(
            [str(warning) for warning in configuration.warnings],
            [f"{FILE}:2: authenticators[0].superusers: is a plain list; scope it"],
        )


class DemonstrationTests(SynchronousTestCase):
    """The configuration that comes with the project."""

    FILE = Path(__file__).parents[2] / "etc" / "gateway.yaml"

    def test_loads(self) -> None:
        """It loads without complaint or warning, and has the sample backends."""
        configuration = load(self.FILE)
        self.assertEqual(configuration.warnings, ())
        self.assertEqual(
            [(b.path, b.url.authority, b.server_name) for b in configuration.backends],
            [
                (f"/{name}", f"127.0.0.1:{port}", f"{name}-api.{name}-api.svc.tools.local")
                for name, port in [
                    ("jobs", 18441), ("builds", 18442), ("envvars", 18443),
                    ("components", 18444), ("logs", 18445),
                ]
            ],
        )  # fmt: skip
        (listener,) = configuration.listen
        assert configuration.operations is not None
        self.assertEqual(
            (listener.endpoint, configuration.operations.endpoint),
            ("tcp:8443", "tcp:9090:interface=127.0.0.1"),
        )

    def test_slow_logs(self) -> None:
        """Followed logs of jobs, builds and logs may be silent for an hour."""
        slow = Timeouts(response_head=3600, response_idle=3600)
        for backend in load(self.FILE).backends:
            for path in {
                "/jobs": ["/v1/tool/x/jobs/j/logs"],
                "/builds": ["/v1/tool/x/builds/b/logs"],
                "/logs": ["/v1/tool/x/job/j/log", "/v1/tool/x/source/jobs-api/log"],
            }.get(backend.path, []):
                self.assertEqual(backend.timeouts_for(path), slow, path)
            self.assertEqual(backend.timeouts_for("/v1/tool/x/jobs"), backend.timeouts)

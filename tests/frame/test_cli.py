"""The console script `toolforge-gateway`."""

from __future__ import annotations

import io
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway._version import __version__
from toolforge_gateway.cli.main import main
from toolforge_gateway.testing.pki import SERVER, Authority

CONFIGURATION = """\
listen:
  - endpoint: tcp:8443
    tls:
      certificate: server.crt
      private_key: server.key
      client_certificate: {wanted}
      client_cas:
        - {{name: kubernetes, ca: k8s.crt, identifies: [tool, admin]}}
        - {{name: backend, ca: backend.crt, identifies: [service]}}
upstream_tls: {{ca: backend.crt, certificate: gateway.crt, private_key: gateway.key}}
backends:
  - {{name: jobs-api, path: /jobs, url: "https://jobs.example:8443/base"}}
  - {{name: envvars-api, path: /envvars, url: "https://envvars.example", anonymous: refuse}}
  - {{name: components-api, path: /components, url: "https://components.example:8443"}}
authenticators:
  - {{kind: kubernetes-certificate, organizations: {{tool: toolforge, admin: admins}}}}
  - {{kind: superuser, superusers: {{"service:components-api": ["^/jobs/.*$"]}}}}
  - kind: deploy-token
    parameter: token
    paths: ["POST /components/v1/tool/{{tool}}/deployment"]
"""


class CommandLine(SynchronousTestCase):
    """Calls the script in this process, on a configuration with its own small PKI."""

    def setUp(self) -> None:
        """Write keys, certificates and the configuration."""
        # Where the tests run may have a longer path than a Unix socket.
        room = TemporaryDirectory(prefix="cli-")
        self.addCleanup(room.cleanup)
        self.folder = Path(room.name).resolve()
        self.kubernetes = Authority("kubernetes")
        self.backend = Authority("backend")
        server = self.backend.issue([("CN", "gateway")], usages=(SERVER,), names=["localhost"])
        server.write(self.folder, "server")
        self.backend.issue([("CN", "service:gateway")]).write(self.folder, "gateway")
        (self.folder / "k8s.crt").write_bytes(self.kubernetes.pem)
        (self.folder / "backend.crt").write_bytes(self.backend.pem)
        self.file = self.configure()

    def configure(self, wanted: str = "optional") -> Path:
        """Write the configuration."""
        path = self.folder / "gateway.yaml"
        path.write_text(CONFIGURATION.format(wanted=wanted))
        return path

    def issue(self, authority: Authority, *subject: tuple[str, str], **more: object) -> str:
        """Write a client's certificate.

        :return: its file.
        """
        certificate, _ = authority.issue(list(subject), **more).write(self.folder, "client")
        return str(certificate)

    def tool(self, name: str = "alpha") -> str:
        """The certificate of a tool."""
        return self.issue(self.kubernetes, ("O", "toolforge"), ("CN", name))

    def call(self, *words: str) -> tuple[int, str, str]:
        """What a call exits with, and what it prints to both sides."""
        out, err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code
        return code, out.getvalue(), err.getvalue()

    def explain(self, *words: str) -> tuple[int, str]:
        """What `explain` exits with, and what it prints; complaints fail the test."""
        code, out, err = self.call("explain", "--config", str(self.file), *words)
        self.assertEqual(err, "")
        return code, out


class UsageTests(CommandLine):
    """How the script is called."""

    def test_help(self) -> None:
        """Help exits 0 and names every command."""
        code, out, _ = self.call("--help")
        self.assertEqual(code, 0)
        for command in ("check", "explain", "openapi", "demo"):
            self.assertIn(command, out)

    def test_version(self) -> None:
        """The version is the one of the package."""
        code, out, _ = self.call("--version")
        self.assertEqual((code, out), (0, f"toolforge-gateway {__version__}\n"))

    def test_wrong(self) -> None:
        """A missing or unknown command, option or operand exits 2."""
        for words in ([], ["chekc"], ["check"], ["check", "--config"], ["explain", "-c", "x"]):
            self.assertEqual(self.call(*words)[0], 2, words)

    def test_demo_has_its_own_options(self) -> None:
        """What follows `demo` is the demonstration's to understand."""
        code, out, _ = self.call("demo", "--help")
        self.assertEqual(code, 0)
        self.assertIn("--prepare", out)


class CheckTests(CommandLine):
    """`check` says whether the gateway would start."""

    def test_fine(self) -> None:
        """A good configuration exits 0 and shows listeners, backends and authenticators."""
        code, out, err = self.call("check", "--config", str(self.file))
        self.assertEqual((code, err), (0, ""))
        self.assertIn("tcp:8443 as localhost", out)
        self.assertIn("/jobs to jobs-api at https://jobs.example:8443/base", out)
        self.assertIn("superuser, once per connection", out)
        self.assertIn("deploy-token, once per request", out)

    def test_no_file(self) -> None:
        """A configuration that cannot be read exits 2 and says its name."""
        code, out, err = self.call("check", "--config", str(self.folder / "none.yaml"))
        self.assertEqual((code, out), (2, ""))
        self.assertIn("none.yaml: cannot be read", err)

    def test_complaints(self) -> None:
        """A bad key exits 2, with file, line, key and a hint."""
        self.file.write_text(self.file.read_text().replace("path: /jobs", "paht: /jobs"))
        code, _, err = self.call("check", "--config", str(self.file))
        self.assertEqual(code, 2)
        self.assertIn(f"{self.file}:12: backends[0].paht:", err)
        self.assertIn("did you mean path", err)

    def test_all_parts_complain_at_once(self) -> None:
        """Missing keys, wrong authorities and unknown plug-ins are told together, once each."""
        (self.folder / "server.key").unlink()
        (self.folder / "gateway.crt").unlink()
        self.file.write_text(self.file.read_text().replace("kind: superuser", "kind: superusre"))
        code, _, err = self.call("check", "--config", str(self.file))
        self.assertEqual(code, 2)
        lines = err.splitlines()
        self.assertEqual(len(lines), 3, err)
        self.assertIn("server.key", lines[0])
        self.assertIn("gateway.crt", lines[1])
        self.assertIn("did you mean superuser?", lines[2])

    def test_same_name_twice(self) -> None:
        """Two client CAs of one DN are refused."""
        (self.folder / "k8s.crt").write_bytes(Authority("backend").pem)
        code, _, err = self.call("check", "--config", str(self.file))
        self.assertEqual(code, 2)
        self.assertIn("same subject DN", err)

    def test_warning(self) -> None:
        """The old list of superusers is warned about, and does not keep it from starting."""
        text = self.file.read_text().replace(
            '{"service:components-api": ["^/jobs/.*$"]}', '["service:components-api"]'
        )
        self.file.write_text(text)
        code, out, err = self.call("check", "--config", str(self.file))
        self.assertEqual(code, 0, err)
        self.assertIn("warning: ", err)
        self.assertIn(f"{self.file}:", err)

    def check(self, more: str) -> tuple[int, str, str]:
        """Check the configuration with some more lines."""
        self.configure()
        self.file.write_text(self.file.read_text() + more)
        return self.call("check", "--config", str(self.file))

    def test_places(self) -> None:
        """It says where the gateway's own files go, makes none of them, and says what is missing
        there now: whoever starts the gateway may make that."""
        code, out, err = self.check("control: {socket: x/control}\naccess_log: {file: x/log}\n")
        self.assertEqual((code, err), (0, ""))
        for what, name in (("control", "control"), ("access log", "log")):
            where = self.folder / "x" / name
            self.assertIn(f"{what:10} {where} (its folder is not there now)\n", out)
        (self.folder / "x").mkdir()
        _, out, _ = self.call("check", "--config", str(self.file))
        self.assertNotIn("not there", out)
        self.assertEqual(list((self.folder / "x").iterdir()), [])
        _, out, _ = self.check("access_log: {to: syslog, socket: nobody}\n")
        self.assertIn("access log syslog (nobody takes lines there now)\n", out)
        self.assertIn("access log stdout\n", self.check("")[1])

    def test_impossible_places(self) -> None:
        """Where the gateway could not make its files is complained of, as it would at the start."""
        (self.folder / "folder").mkdir()
        (self.folder / "folder" / "log").write_text("kept")
        code, _, err = self.check("control: {socket: gateway.yaml}\naccess_log: {file: folder}\n")
        self.assertEqual(code, 2)
        [control, log] = err.splitlines()
        self.assertIn(
            f"control.socket: cannot listen on {self.file}: something that is no", control
        )
        self.assertIn(f"access_log.file: {self.folder}/folder cannot be opened: Is a dir", log)
        self.check("access_log: {file: folder/log}\n")
        self.assertEqual((self.folder / "folder" / "log").read_text(), "kept")

    def test_places_of_others(self) -> None:
        """So is a folder, or a file, that this user may not write to."""
        access, folder = os.access, self.folder / "folder"
        folder.mkdir()
        self.patch(os, "access", lambda path, mode: path != folder and access(path, mode))
        code, _, err = self.check("control: {socket: folder/c}\naccess_log: {file: folder/l}\n")
        self.assertEqual(code, 2)
        self.assertEqual(err.count("Permission denied"), 2, err)


class ExplainTests(CommandLine):
    """`explain` says who a caller is and why it may or may not."""

    def test_own_tool(self) -> None:
        """A tool on its own path: certificate, authenticator, identity, route and decision."""
        code, out = self.explain("-C", self.tool(), "GET", "/jobs/v1/tool/alpha/jobs?x=1")
        self.assertEqual(code, 0, out)
        self.assertIn("'O=toolforge,CN=alpha'", out)
        self.assertIn("client CA kubernetes", out)
        self.assertIn("kubernetes-certificate: tool alpha", out)
        self.assertIn("tool alpha, says kubernetes-certificate", out)
        self.assertIn("jobs-api: https://jobs.example:8443/base/v1/tool/alpha/jobs", out)
        self.assertIn("allowed, own-tool", out)
        self.assertIn("X-Toolforge-Tool: alpha, X-Toolforge-User: alpha", out)

    def test_foreign_tool(self) -> None:
        """A tool on another's path: exit code 1, the reason word and the sentence."""
        code, out = self.explain("-C", self.tool(), "GET", "/jobs/v1/tool/beta/jobs")
        self.assertEqual(code, 1)
        self.assertIn("refused, 403 foreign-tool", out)
        self.assertIn("your certificate is for tool alpha, the path is for tool beta", out)

    def test_service(self) -> None:
        """A superuser has its scope, and nothing outside."""
        certificate = self.issue(self.backend, ("O", "toolforge"), ("CN", "service:components-api"))
        code, out = self.explain("-C", certificate, "GET", "/jobs/v1/tool/beta/jobs")
        self.assertEqual(code, 0, out)
        self.assertIn("allowed, superuser", out)
        code, out = self.explain("-C", certificate, "GET", "/envvars/v1/tool/beta/envvar")
        self.assertEqual(code, 1)
        self.assertIn("refused, 403 out-of-scope", out)

    def test_anonymous(self) -> None:
        """Nobody may go where the backend decides, and not where nobody may."""
        code, out = self.explain("GET", "/jobs/v1/tool/beta/jobs")
        self.assertEqual(code, 0, out)
        self.assertIn("allowed, anonymous", out)
        code, out = self.explain("GET", "/envvars/v1/tool/beta/envvar")
        self.assertEqual(code, 1)
        self.assertIn("refused, 401", out)

    def test_token(self) -> None:
        """A deploy token is taken where it belongs, and never shown."""
        token = "0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f0"
        path = f"/components/v1/tool/beta/deployment?token={token}"
        code, out = self.explain("POST", path)
        self.assertEqual(code, 0, out)
        self.assertIn("unverified-token", out)
        self.assertNotIn(token, out)
        code, out = self.explain("DELETE", path)
        self.assertEqual(code, 1)
        self.assertIn("403 token-not-allowed-here", out)

    def test_bad_target(self) -> None:
        """A path that can be read in two ways is refused with the gateway's own words."""
        code, out = self.explain("GET", "/jobs/v1/tool/alpha/../beta/jobs")
        self.assertEqual(code, 1)
        self.assertIn("refused, 400", out)

    def test_injection(self) -> None:
        """The words of the command line cannot make up another request."""
        code, out = self.explain("GET", "/jobs/v1/tool/alpha HTTP/1.1\r\nX: y\r\n\r\n")
        self.assertEqual(code, 1)
        self.assertIn("refused, 400", out)

    def test_own_page(self) -> None:
        """The gateway's own pages are open to everyone."""
        for path in ("/", "/healthz"):
            code, out = self.explain("GET", path)
            self.assertEqual(code, 0, out)
            self.assertIn("decision:      allowed, own-page", out)

    def test_cross_site(self) -> None:
        """What another site's page sends with a certificate is refused, unless it only reads."""
        text = self.file.read_text() + "allowed_origins: [https://ui.example]\n"
        self.file.write_text(text)
        for method, origin, code in (
            ("POST", "https://evil.example", 1),
            ("POST", "https://ui.example:443", 0),
            ("GET", "https://evil.example", 0),
        ):
            words = (method, "/jobs/v1/tool/alpha/jobs", "-H", f"Origin: {origin}")
            found, out = self.explain("-C", self.tool(), *words)
            self.assertEqual(found, code, out)
            self.assertEqual("refused, 403 cross-site" in out, code == 1, out)
            found, out = self.explain(*words)
            self.assertEqual(found, 0, out)

    def test_auth(self) -> None:
        """Who may ask at /auth, and who may not; `check` lists them."""
        self.file.write_text(
            self.file.read_text()
            + "auth: {trusted_proxies: [{name: front, client_ca: kubernetes, cn: proxy,"
            " dialect: nginx, certificate_from: X-Cert}]}\n"
        )
        proxy = self.issue(self.kubernetes, ("O", "toolforge"), ("CN", "proxy"))
        code, out = self.explain("-C", proxy, "GET", "/auth")
        self.assertEqual(code, 0, out)
        self.assertIn("front, dialect nginx", out)
        for words in (("-C", self.tool(), "GET", "/auth/x"), ("GET", "/auth")):
            code, out = self.explain(*words)
            self.assertEqual(code, 1, out)
            self.assertIn("refused, 403 not-a-trusted-proxy", out)
        code, out, _ = self.call("check", "--config", str(self.file))
        self.assertIn("auth       front asks in the words of nginx, known as CN proxy", out)
        self.assertIn("shows certificates in x-cert (may identify: tool)", out)

    def test_no_backend(self) -> None:
        """A path of no backend is told as such."""
        code, out = self.explain("GET", "/nothing")
        self.assertEqual(code, 1)
        self.assertIn("refused, 404 no-such-path", out)
        self.assertIn("reason:", out)

    def test_foreign_authority(self) -> None:
        """A certificate of an unknown authority would end in the handshake."""
        certificate = self.issue(Authority("stranger"), ("O", "toolforge"), ("CN", "alpha"))
        code, out = self.explain("-C", certificate, "GET", "/jobs/v1/tool/alpha/jobs")
        self.assertEqual(code, 1)
        self.assertIn("during the TLS handshake", out)
        self.assertIn("by the client CAs kubernetes, backend: unable to get local issuer", out)

    def test_expired(self) -> None:
        """So would one that is out of date."""
        past = datetime.now(UTC) - timedelta(minutes=1)
        certificate = self.issue(
            self.kubernetes, ("O", "toolforge"), ("CN", "alpha"), not_after=past
        )
        code, out = self.explain("-C", certificate, "GET", "/jobs/v1/tool/alpha/jobs")
        self.assertEqual(code, 1)
        self.assertIn("certificate has expired", out)
        self.assertNotIn("not from", out)

    def test_host(self) -> None:
        """A request's Host may be given, as other headers may."""
        code, out = self.explain("-H", "Host: api.example", "GET", "/jobs/v1/tool/alpha/jobs")
        self.assertEqual(code, 0, out)
        code, out = self.explain("-H", "Host: a b", "GET", "/jobs/v1/tool/alpha/jobs")
        self.assertIn("refused, 400 bad-host", out)

    def test_several_listeners(self) -> None:
        """With several listeners it says by which of them it goes."""
        self.assertNotIn("listener:", self.explain("GET", "/healthz")[1])
        text = self.file.read_text()
        more = "  - endpoint: tcp:8444\n    tls: {certificate: server.crt, private_key: server.key,"
        more += " client_certificate: none}\nupstream_tls:"
        self.file.write_text(text.replace("upstream_tls:", more))
        self.assertIn(
            "listener:      tcp:8443, as the first of 2",
            self.explain("GET", "/healthz")[1],
        )

    def test_wrong_usage(self) -> None:
        """What the gateway itself refuses about a certificate has its own reason."""
        certificate = self.issue(self.kubernetes, ("O", "toolforge"), ("CN", "alpha"), usages=None)
        code, out = self.explain("-C", certificate, "GET", "/jobs/v1/tool/alpha/jobs")
        self.assertEqual(code, 1)
        self.assertIn("refused, 403 certificate-usage", out)

    def test_required_certificate(self) -> None:
        """Without a certificate nothing goes where one is required."""
        self.configure("required")
        code, out = self.explain("GET", "/jobs/v1/tool/alpha/jobs")
        self.assertEqual(code, 1)
        self.assertIn("requires a client certificate", out)

    def test_no_certificate_in_file(self) -> None:
        """A file without a certificate, or none at all, exits 2 and is named."""
        for name in ("gateway.yaml", "none.crt"):
            file = str(self.folder / name)
            words = ["explain", "-c", str(self.file), "-C", file, "GET", "/jobs"]
            code, _, err = self.call(*words)
            self.assertEqual(code, 2)
            self.assertIn(file, err)

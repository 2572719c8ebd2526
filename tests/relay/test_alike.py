"""`/auth` and a forwarded request decide alike, whatever is asked by whomever.

One gateway without a socket: the same request is put to it as a client would
send it, and as a proxy would ask about it.
"""

from __future__ import annotations

import base64
import re
import time
from datetime import timedelta
from pathlib import Path

import attrs
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from tests.clients.stage import pki
from tests.relay.stage import Stage
from tests.relay.test_forward_auth import encoded, escaped, proxy, xfcc
from toolforge_gateway import config
from toolforge_gateway.edge.admission import Addresses, TurnedAway, Turnstile
from toolforge_gateway.edge.caller import Caller
from toolforge_gateway.edge.local import LocalSite
from toolforge_gateway.edge.server import Server, Shared
from toolforge_gateway.errors import Refusal
from toolforge_gateway.http.head import parse_request_head
from toolforge_gateway.model import Certificate, DistinguishedName, Kind
from toolforge_gateway.prepared import prepare
from toolforge_gateway.tls.shown import ShownCertificates

TOOLS = ["tf-test", "other"]
WHO = [None, "tool-tf-test", "tool-other", "admin", "service-components-api", "gateway-client"]
PIECES = [
    "/jobs", "/open", "/closed", "/beta", "/v1", "/v12", "/vx", "/tool", "/tf-test", "/other",
    "/openapi.json", "/healthz", "/metrics", "/deployment", "/", "//", "/.", "/..", "/%2e%2e",
    "/%2F", "%2f", "/%74ool", ";x", "/a;b", "%00", "%c3%a4", "%ff", "/ä", "/docs", "/whoami",
    "/status", "/auth", "\\", "%5c", "%25", "*", "#", "/Tool", "/TF-TEST", "?",
    "?token=11111111-2222-3333-4444-555555555555", "&token=x", "?a=b",
]  # fmt: skip
_OF_TOOLS = st.builds(
    "{}/v1/tool/{}{}".format,
    st.sampled_from(["/jobs", "/open", "/closed", "/jobs/beta"]),
    st.sampled_from([*TOOLS, "third"]),
    st.sampled_from(["", "/", "/jobs", "/jobs?x", "/deployment", "/../other", "//", "/%2e"]),
)
TARGETS = st.one_of(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join),
    _OF_TOOLS,
    _OF_TOOLS,
    st.from_regex(r"/[!-~]{0,30}", fullmatch=True),
)
METHODS = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "X-Y",
    "get",
]  # fmt: skip
LINES = [
    "Origin: https://localhost", "Origin: https://evil.example", "Origin: null",
    "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin", "X-Toolforge-Tool: other",
    "X-Api-Key: k", "Cookie: a=b", "Accept: */*",
]  # fmt: skip


class Answer:
    """Takes an answer of our own."""

    def whole(self, head, lines, body):
        self.status, self.lines, self.body = head.status, lines, body


def told(lines: bytes) -> dict[bytes, bytes]:
    """What a backend, or a proxy, is told of who calls."""
    return dict(re.findall(rb"(?m)^(X-Toolforge-(?:Tool|User)): (.*)\r$", lines))


class AlikeTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A gateway with backends of all sorts."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        (folder / "tls").symlink_to(pki())
        stage = Stage("stop")
        stage.backend = attrs.make_class("Backend", ["number"])(1)
        document = stage.document()
        [backend] = document["backends"]
        document["backends"] = [
            backend,
            {**backend, "name": "beta", "path": "/jobs/beta", "anonymous": "refuse"},
            {**backend, "name": "open", "path": "/open", "tool_path": None},
            {
                **backend,
                "name": "closed",
                "path": "/closed",
                "anonymous": "refuse",
                "anonymous_paths": ["/v{n}/healthz"],
            },
        ]
        document["authenticators"] = [
            {
                "kind": "deploy-token",
                "paths": ["POST /jobs/v1/tool/{tool}/deployment"],
            },
            {
                "kind": "kubernetes-certificate",
                "admin_paths": ["/jobs/v1/tool/[^/]+/jobs"],
            },
            {"kind": "superuser", "superusers": {"service:components-api": ["^/jobs/.*$"]}},
        ]
        kinds = ["tool", "admin", "service"]
        document["auth"] = {
            "trusted_proxies": [
                proxy(dialect, cn=f"proxy-{dialect}", identifies=kinds)
                for dialect in ("nginx", "traefik", "caddy", "envoy", "haproxy")
            ]
        }
        path = folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(document))
        self.clock = Clock()
        self.clock.advance(time.time())
        prepared = prepare(config.load(path), self.clock)
        shared = Shared(
            gatekeeper=prepared.gatekeeper,
            routes=prepared.routes,
            local=LocalSite(
                Site(prepared.root, reactor=self.clock),
                self.clock,
                prepared.process.deadlines,
                prepared.configuration.timeouts,
            ),
            deadlines=prepared.process.deadlines,
            timeouts=prepared.configuration.timeouts,
            limits=prepared.configuration.limits,
            observer=None,
            running=Turnstile(4096),
            addresses=Addresses(TurnedAway("connections_per_address", self.clock.seconds)),
            new_request_id=prepared.process.new_request_id,
            trusted_proxies=prepared.configuration.trusted_proxies,
        )
        [(listener, side)] = prepared.listeners
        self.server = Server(shared, listener, side.verifier, side.names_host)
        self.gatekeeper = prepared.gatekeeper
        self.shown = ShownCertificates(side.verifier)
        self.certificates = {
            name: None if name is None else self.shown.examine([_der(name)]) for name in WHO
        }

    def caller(self, certificate: Certificate | None) -> Caller:
        standing = self.gatekeeper.introduce(None, certificate)
        return Caller(address=None, certificate=certificate, standing=standing)

    def proxy(self, dialect: str) -> Caller:
        now = self.clock.seconds()
        subject = DistinguishedName((("CN", f"proxy-{dialect}"),))
        return self.caller(
            Certificate(subject, "backend", frozenset({Kind.SERVICE}), now - 1, now + 1, "ff")
        )

    def forwarded(self, who, method, target, lines) -> tuple:
        """Allowed or not, why, and what the backend is told."""
        text = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"
        try:
            head = parse_request_head(text.encode("latin-1"), self.server.head_limits)
            caller = self.caller(self.certificates[who])
            exchange, added = self.server.begin_exchange(caller, head)
            start = self.server.decide(caller, exchange, head, added)
        except Refusal as refusal:
            return False, refusal.reason, {}
        outgoing = getattr(start, "outgoing", None)
        return True, exchange.reason, told(outgoing.head) if outgoing else {}

    def asked(self, dialect, who, method, target, lines) -> tuple:
        """The same by a proxy."""
        shown = "" if who is None else f"X-Shown: {_shown(dialect, who)}\r\n"
        if dialect == "envoy":
            start, original = f"{method} /auth{target}", ""
        else:
            start = "GET /auth"
            names = {
                "nginx": ("X-Original-Method", "X-Original-URI", "X-Original-Host"),
                "haproxy": ("X-Original-Method", "X-Original-URI", "X-Original-Host"),
            }.get(dialect, ("X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"))
            said = zip(names, (method, target, "localhost"), strict=True)
            original = "".join(f"{name}: {value}\r\n" for name, value in said)
        text = f"{start} HTTP/1.1\r\nHost: localhost\r\n{original}{shown}{lines}\r\n"
        answer = Answer()
        try:
            head = parse_request_head(text.encode("latin-1"), self.server.head_limits)
            caller = self.proxy(dialect)
            exchange, added = self.server.begin_exchange(caller, head)
            self.server.decide(caller, exchange, head, added)(exchange, answer)
        except Refusal as refusal:
            return False, refusal.reason, {}
        self.assertIn(answer.status, (200, 401, 403))
        return answer.status == 200, exchange.reason, told(answer.lines)

    @settings(max_examples=300, deadline=timedelta(seconds=2))
    @given(
        st.sampled_from(["nginx", "traefik", "caddy", "envoy", "haproxy"]),
        st.sampled_from(WHO),
        st.sampled_from([*METHODS, *["GET", "POST"] * 4]),
        TARGETS,
        st.lists(st.sampled_from(LINES), max_size=3),
    )
    @example("nginx", "tool-tf-test", "GET", "/jobs/v1/tool/tf-test/jobs", [])
    @example("nginx", None, "POST", "/jobs/v1/tool/a/deployment?token=x", [])
    @example("envoy", "tool-tf-test", "DELETE", "/jobs/v1/tool/tf-test/jobs", LINES[:1])
    @example("envoy", "tool-tf-test", "GET", "/auth/jobs", [])
    @example("caddy", "gateway-client", "GET", "/whoami", [])
    def test_alike(self, dialect, who, method, target, lines) -> None:
        """Allowed here is allowed there, for the same reason and as the same caller."""
        if target.partition("?")[0] in ("/auth", "") or target.startswith("/auth/"):
            # `/auth` is for proxies, and not something that one asks about.
            allowed, reason, _ = self.asked(dialect, who, method, target, "")
            self.assertFalse(allowed, reason)
            return
        text = "".join(f"{line}\r\n" for line in lines)
        forwarded = self.forwarded(who, method, target, text)
        asked = self.asked(dialect, who, method, target, text)
        self.assertEqual(asked[::2], forwarded[::2], (forwarded, asked))
        if dialect != "envoy" or forwarded[0]:
            # Envoy writes the target into its own line: a broken one breaks that.
            self.assertEqual(asked[1], forwarded[1])


def _der(name: str) -> bytes:
    return base64.b64decode(encoded(name))


def _shown(dialect: str, who: str) -> str:
    if dialect == "envoy":
        return xfcc(who)
    return escaped(who) if dialect == "nginx" else encoded(who)

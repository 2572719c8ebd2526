"""The part `auth`."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.config.samples import complaints, completed, loaded
from toolforge_gateway.config import load
from toolforge_gateway.forwardauth.dialects import DIALECTS
from toolforge_gateway.model import Kind

GOOD = "{name: a, client_ca: a, cn: x, dialect: nginx, certificate_from: X-Cert}"


class AuthTests(SynchronousTestCase):
    def check(self, entry: str, *lines: str) -> None:
        """An entry in the second line earns exactly these complaints."""
        text = completed(f"auth:\n  trusted_proxies: [{entry}]")
        before = "2: auth.trusted_proxies[0]"
        self.assertEqual(complaints(text), [f"g.yaml:{before}{line}" for line in lines], text)

    def test_none(self) -> None:
        """Without the part nobody may ask."""
        self.assertEqual(loaded("").trusted_proxies, ())

    def test_values(self) -> None:
        """What is said, and what is not: tools alone, by whatever case of the header."""
        text = "auth: {trusted_proxies: [" + GOOD + "]}"
        [proxy] = loaded(text).trusted_proxies
        self.assertEqual(
            (proxy.name, proxy.client, proxy.dialect, proxy.certificate_from, proxy.identifies),
            ("a", ("a", "x"), "nginx", "x-cert", frozenset({Kind.TOOL})),
        )
        none = GOOD.replace("X-Cert", "none")
        [proxy] = loaded("auth: {trusted_proxies: [" + none + "]}").trusted_proxies
        self.assertIsNone(proxy.certificate_from)

    def test_shape(self) -> None:
        """Empty, unknown, and missing."""
        for text, line in (
            ("auth: {}", "1: auth.trusted_proxies: is missing; add it"),
            (
                "auth: {trusted_proxies: []}",
                "1: auth.trusted_proxies: is empty; add a proxy, or remove auth",
            ),
        ):
            self.assertEqual(complaints(completed(text)), ["g.yaml:" + line])
        self.check(
            "{}",
            ".name: is missing; add it",
            ": must say either client_ca and cn, or unix: true;"
            " add client_ca and cn, or unix: true",
            ".dialect: is missing; add it",
            ".certificate_from: is missing; add it",
        )

    def test_keys(self) -> None:
        """Each key has its own complaints."""
        good = GOOD
        self.check(
            good.replace("nginx", "ngnix"),
            ".dialect: is 'ngnix'; write nginx, traefik, caddy, envoy or haproxy"
            " (did you mean nginx?)",
        )
        self.check(good.replace("client_ca: a, ", ""), ".client_ca: is missing; add it")
        self.check(
            good.replace("client_ca: a", "client_ca: nobody"),
            ".client_ca: 'nobody' is no client CA of any listener; write a",
        )
        self.check(
            good.replace("cn: x", "cn: x, unix: true"),
            ": must say either client_ca and cn, or unix: true; make two entries of it",
        )
        self.check(
            good.replace("client_ca: a, cn: x", "unix: true"),
            ".unix: is true, but no listener is on a Unix socket; add one: endpoint: unix:/...",
        )
        self.check(
            good.replace("X-Cert", "'a b'"),
            ".certificate_from: 'a b' is no name of a header; write one, or none",
        )
        for name in ("X-Original-URI", "Host", "Cookie"):
            self.check(
                good.replace("X-Cert", name),
                f".certificate_from: '{name}' says something else already;"
                " choose another header, such as X-Client-Certificate",
            )
        self.check(
            good[:-1] + ", identifies: [tol]}",
            ".identifies[0]: 'tol' is nothing a certificate identifies;"
            " write tool, admin or service (did you mean tool?)",
        )
        self.check(
            good[:-1] + ", identifies: []}",
            ".identifies: is empty, so no certificate would count; write [tool], or remove it",
        )

    def test_twice(self) -> None:
        """Two proxies are told apart."""
        good = GOOD
        text = completed(f"auth:\n  trusted_proxies:\n  - {good}\n  - {good}")
        self.assertEqual(
            complaints(text),
            [
                "g.yaml:4: auth.trusted_proxies[1].name: is also the name in line 3;"
                " give each its own",
                "g.yaml:4: auth.trusted_proxies[1].cn: is also how one tells the proxy in line 3;"
                " give each its own",
            ],
        )

    def test_shipped(self) -> None:
        """What is shipped and what is documented can be loaded."""
        root = Path(__file__).resolve().parents[2]
        [proxy] = load(root / "etc" / "gateway.yaml").trusted_proxies
        self.assertEqual((proxy.name, proxy.dialect), ("front-proxy", "nginx"))
        documented = (root / "docs" / "forward-auth" / "gateway.yaml").read_text(encoding="utf-8")
        entries = documented.split("    - name: ")[1:]
        for entry in entries:
            text = "auth:\n  trusted_proxies:\n    - name: " + entry.replace("backend", "a")
            self.assertEqual(complaints(completed(text)), [], text)
        self.assertEqual(len(entries), len(DIALECTS))

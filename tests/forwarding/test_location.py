"""Redirects as the client has to follow them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.http.outcome import PROPERTY
from toolforge_gateway.location import rewrite

EXTERNAL = b"https://api.example.org"


def follow(
    value: bytes,
    *,
    base_path: str = "",
    upstream: bytes = b"c.svc:8443",
    external: bytes | None = EXTERNAL,
    request_path: str = "/components/v1/tool/x/",
) -> bytes:
    return rewrite(
        value,
        prefix="/components",
        base_path=base_path,
        upstream_authority=upstream,
        request_path=request_path,
        external=external,
    )


class LocationTests(SynchronousTestCase):
    """From the backend's address to the client's."""

    def assert_rows(self, rows: list[tuple[bytes, bytes]], **how: object) -> None:
        self.assertEqual([(value, follow(value, **how)) for value, _ in rows], rows)

    def test_the_upstreams_own_authority(self) -> None:
        """Its name becomes ours and its path gets the prefix; query and fragment stay."""
        self.assert_rows(
            [
                (
                    b"https://c.svc:8443/v1/tool/x/deployment?token=a%2Fb&x=//y?",
                    EXTERNAL + b"/components/v1/tool/x/deployment?token=a%2Fb&x=//y?",
                ),
                (b"http://c.svc:8443/v1", EXTERNAL + b"/components/v1"),
                (b"HTTPS://C.Svc:8443/V1", EXTERNAL + b"/components/V1"),
                (b"//c.svc:8443/v1", EXTERNAL + b"/components/v1"),
                (b"https://c.svc:8443", EXTERNAL + b"/components/"),
                (b"https://c.svc:8443?a", EXTERNAL + b"/components/?a"),
                (b"https://c.svc:8443/#a", EXTERNAL + b"/components/#a"),
                (b"https://c.svc:8443/\xe9", EXTERNAL + b"/components/\xe9"),
            ]
        )

    def test_without_an_address_of_ours(self) -> None:
        """Where nothing trustworthy names us, the path alone is given."""
        self.assert_rows([(b"https://c.svc:8443/v1?a", b"/components/v1?a")], external=None)

    def test_default_ports(self) -> None:
        """A default port is no port, and another port is another authority."""
        ours = EXTERNAL + b"/components/v1"
        for upstream in (b"c.svc", b"c.svc:443"):
            rows = [
                (b"https://c.svc/v1", ours),
                (b"https://c.svc:443/v1", ours),
                (b"http://c.svc:80/v1", ours),
                (b"http://c.svc/v1", ours),
                (b"https://c.svc:8443/v1", b"https://c.svc:8443/v1"),
            ]
            self.assert_rows(rows, upstream=upstream)
        six = (b"https://[2001:db8::80]/v1", ours), (b"https://[2001:db8::80]:443/v1", ours)
        self.assert_rows([*six], upstream=b"[2001:db8::80]:443")

    def test_a_path(self) -> None:
        """A path gets the prefix and stays a path."""
        rows = [(b"/v1/x?a#b", b"/components/v1/x?a#b"), (b"/", b"/components/")]
        self.assert_rows(rows)

    def test_base_path(self) -> None:
        """The base path is taken off at a segment's end; what is outside it stays."""
        rows = [
            (b"/base/v1?/base/", b"/components/v1?/base/"),
            (b"/base", b"/components"),
            (b"/base?a", b"/components?a"),
            (b"https://c.svc:8443/base/v1", EXTERNAL + b"/components/v1"),
            (b"/basement/v1", b"/basement/v1"),
            (b"/v1", b"/v1"),
            (b"https://c.svc:8443/v1", b"https://c.svc:8443/v1"),
            (b"https://c.svc:8443", b"https://c.svc:8443"),
        ]
        self.assert_rows(rows, base_path="/base")

    def test_what_stays(self) -> None:
        """Other authorities, other schemes, relative paths and what is no URL stay."""
        stay = [
            b"",
            b"https://evil.example/v1",
            b"//evil.example/v1",
            b"https://c.svc:8443.evil/v1",
            b"https://c.svc:8443@evil/v1",
            b"https://c.svc:8443:443/v1",
            b"https://c.svc:8443:/v1",
            b"https://user@c.svc:8443/v1",
            b"https://evil\\@c.svc:8443/v1",
            b"https://c.svc:8443\\@evil/v1",
            b"https:v1",
            b"https:/c.svc:8443/v1",
            b"ftp://c.svc:8443/v1",
            b"javascript:alert(1)//c.svc:8443/",
            b"\\\\c.svc:8443",
            b"https://[/v1",
            b"v1",
            b"./v1",
            b"../v1",
            b"?a=b",
            b"#a",
            b" https://c.svc:8443/v1",
        ]
        self.assert_rows([(value, value) for value in stay])

    def test_climbing_out(self) -> None:
        """A relative path stays unless the client would end outside the backend."""
        rows = [
            (b"../../../y?..", b"../../../y?.."),
            (b"../../../../y?a", b"/components/y?a"),
            (b"../../../../../../y", b"/components/y"),
            (b"x/../../../../../y", b"/components/y"),
            (b"x?../../../../y", b"x?../../../../y"),
            (b"../../../../y?", b"/components/y?"),
            (b"../../../../a//b/;c/.", b"/components/a//b/;c/"),
        ]
        self.assert_rows(rows)
        outside = (b"../../../../y", b"../../../../y")
        self.assert_rows([outside], base_path="/base")

    def test_the_prefix_alone_was_called(self) -> None:
        """What the backend says relative to its root is not relative to our root."""
        rows = [(b"x", b"/components/x"), (b"./?a", b"/components/?a"), (b"?a", b"?a")]
        self.assert_rows(rows, request_path="/components")
        self.assert_rows(rows, request_path="/components", base_path="/base")

    @PROPERTY
    @given(
        st.one_of(
            st.binary(max_size=30),
            st.lists(
                st.sampled_from(
                    [b"https:", b"//", b"c.svc:8443", b"/", b"..", b"?", b"#", b"[", b"]", b"x"]
                )
            ).map(b"".join),
        ),
        st.sampled_from(["", "/base"]),
    )
    def test_never_raises(self, value: bytes, base_path: str) -> None:
        """Any value gives a value, and one without the upstream's name gains no authority."""
        result = follow(value, base_path=base_path)
        if b"c.svc:8443" not in value:
            self.assertFalse(result.startswith(EXTERNAL))

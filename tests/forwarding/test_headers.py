"""Which fields go on to a backend, and which come back to the client."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.headers import request_fields, response_fields
from toolforge_gateway.http.head import HeadLimits, parse_request_head, parse_response_head
from toolforge_gateway.http.message import Field
from toolforge_gateway.http.write import request_head, response_head

LIMITS = HeadLimits()


def to_backend(*fields: Field, credentials: bool = False, minor: int = 1) -> list[Field]:
    data = request_head(b"POST", b"/x", [(b"Host", b"gw"), *fields])
    head = parse_request_head(data.replace(b"HTTP/1.1", b"HTTP/1.%d" % minor, 1), LIMITS)
    return request_fields(head, forward_credentials=credentials)


def to_client(*fields: Field, status: int = 200, method: bytes = b"GET") -> list[Field]:
    return response_fields(parse_response_head(response_head(status, b"x", fields), method, LIMITS))


CLAIMS = b"""
X-Toolforge-Tool X-Toolforge-User x-toolforge-tool X-TOOLFORGE-USER
X_Toolforge_Tool X.Toolforge.Tool X-Toolforge_Tool x~toolforge!user
Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Forwarded-User
X-Forwarded-Client-Cert X_Forwarded_For X-Forwarded X-Forwarded-Prefix
X-Real-IP X_Real_IP X-Client-IP True-Client-IP Client-Cert Client-Cert-Chain X-Client-Cert
X-Original-URL X-Original-Method X_Original_Url X-Rewrite-URL X_REWRITE_URL
X-HTTP-Method-Override X-HTTP-Method X-Method-Override
X-Remote-User X-Remote-Group X-Remote-Extra-Scopes Remote-User Remote_Addr
X-SSL-Client-CN X-SSL-Cert ssl-client-subject-dn SSL_CLIENT_S_DN Ssl-Client-Verify
Impersonate-User Impersonate-Group Impersonate-Extra-x Impersonate_User
SCRIPT_NAME Script-Name PATH_INFO X-Request-ID X_Request_Id
traceparent Traceparent TRACESTATE tracestate
""".split()

HOP_BY_HOP = b"""
Keep-Alive Proxy Proxy-Connection Proxy-Authorization Proxy-Authenticate Proxy_Authorization
TE Trailer Upgrade HTTP2-Settings Keep_Alive
""".split()

PASS = b"""
X-Toolforge-Trace X_Other X-ToolforgeTool X-Toolforge-Tools X-Toolforge User-Agent Accept
Accept-Encoding If-None-Match Content-Type Content-Encoding Origin Range X-Forward X-SSLx
""".split()


class RequestFieldTests(SynchronousTestCase):
    """From the client to a backend."""

    def test_claims_never_pass(self) -> None:
        """No spelling of an identity, address, path or method claim reaches a backend."""
        passed = [n for n in CLAIMS for c in (True, False) if to_backend((n, b"x"), credentials=c)]
        self.assertEqual(passed, [])

    def test_hop_by_hop(self) -> None:
        """What concerns one connection ends with it."""
        self.assertEqual([name for name in HOP_BY_HOP if to_backend((name, b"x"))], [])
        self.assertEqual(to_backend((b"Connection", b"keep-alive")), [])
        self.assertEqual(to_backend((b"Content-Length", b"5")), [])
        self.assertEqual(to_backend((b"Transfer-Encoding", b"chunked")), [])

    def test_all_others_pass(self) -> None:
        """Everything else goes on as it came: order, case, repetition, empty values."""
        fields = [(name, b"\xe9 x") for name in PASS]
        fields += [(b"x-a", b""), (b"X-A", b"2"), (b"x-a", b"3")]
        self.assertEqual(to_backend(*fields), fields)

    def test_credentials(self) -> None:
        """Authorization and Cookie, in any spelling, pass only where that is asked for."""
        fields = [
            (b"Authorization", b"Bearer x"),
            (b"authorization", b"y"),
            (b"COOKIE", b"a=b"),
        ]
        self.assertEqual(to_backend(*fields), [])
        self.assertEqual(to_backend(*fields, credentials=True), fields)

    def test_connection_names_a_field(self) -> None:
        """A field that Connection names is dropped, in exactly that spelling."""
        kept = (b"X_Hop", b"3")
        fields = [(b"Connection", b"close, x-hop,X-Other"), (b"X-HOP", b"1"), (b"x-other", b"2")]
        self.assertEqual(to_backend(*fields, kept), [kept])

    def test_connection_may_not_remove_everything(self) -> None:
        """What is meant for the backend cannot be removed by naming it in Connection."""
        fields = [
            (b"Authorization", b"x"),
            (b"Cookie", b"x"),
            (b"Content-Type", b"x"),
            (b"If-Match", b"x"),
            (b"Accept-Encoding", b"x"),
            (b"X-Toolforge-Trace", b"x"),
        ]
        named = (b"Connection", b", ".join(name for name, _ in fields) + b", host")
        self.assertEqual(to_backend(named, *fields, credentials=True), fields)

    def test_expectation(self) -> None:
        """Expect goes on exactly when a body waits for it."""
        expect, length = (b"expect", b"100-Continue"), (b"Content-Length", b"5")
        self.assertEqual(to_backend(expect, length), [(b"Expect", b"100-continue")])
        self.assertEqual(to_backend(expect), [])
        self.assertEqual(to_backend(expect, length, minor=0), [])


class ResponseFieldTests(SynchronousTestCase):
    """From a backend to the client."""

    def test_hop_by_hop(self) -> None:
        """What concerns the backend's connection ends with it, named or well-known."""
        fields = [(name, b"x") for name in HOP_BY_HOP]
        fields += [(b"Connection", b"keep-alive, X-Hop"), (b"X-Hop", b"1")]
        self.assertEqual(to_client(*fields), [])

    def test_all_others_pass(self) -> None:
        """Everything else comes back as the backend wrote it, doubled fields too."""
        fields = [
            (b"Set-Cookie", b"a=b"),
            (b"set-cookie", b"c=d"),
            (b"ETag", b'"x"'),
            (b"X-Accel-Buffering", b"no"),
            (b"X-Empty", b""),
        ]
        self.assertEqual(to_client(*fields), fields)
        named = (b"Connection", b"set-cookie, etag")
        self.assertEqual(to_client(named, *fields), fields)

    def test_content_length(self) -> None:
        """It is there for a body of that length, for HEAD and for 304, and nowhere else."""
        length, chunked = (b"content-length", b"5"), (b"Transfer-Encoding", b"chunked")
        written = [(b"Content-Length", b"5")]
        self.assertEqual(to_client(length), written)
        self.assertEqual(to_client(length, method=b"HEAD"), written)
        self.assertEqual(to_client(length, status=304), written)
        self.assertEqual(to_client(length, status=204), [])
        self.assertEqual(to_client(chunked), [])
        self.assertEqual(to_client(), [])

"""Whose words about the client's address, scheme, host and request id count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.http.outcome import PROPERTY
from toolforge_gateway.forwarded import Forwarded, resolve
from toolforge_gateway.http.message import Field

PEER = "192.0.2.8"
FOR, PROTO = b"X-Forwarded-For", b"X-Forwarded-Proto"
HOST, ID = b"X-Forwarded-Host", b"X-Request-ID"


def ask(*fields: Field, trusted: bool = True, host: bytes | None = b"gw:30003") -> Forwarded:
    return resolve(fields, peer=PEER, trusted=trusted, host=host, new_request_id=lambda: "new")


OURS = Forwarded(
    PEER,
    ((FOR, b"192.0.2.8"), (PROTO, b"https"), (HOST, b"gw:30003")),
    "new",
)


class ForwardedTests(SynchronousTestCase):
    """A trusted hop's words, and everybody else's."""

    def test_untrusted(self) -> None:
        """A stranger's words are not heard: the peer is the client, and the id is new."""
        said = [(FOR, b"203.0.113.9"), (PROTO, b"http"), (HOST, b"evil"), (ID, b"theirs")]
        self.assertEqual(ask(*said, trusted=False), OURS)
        self.assertEqual(ask(), OURS)

    def test_no_host(self) -> None:
        """Without a Host there is no X-Forwarded-Host."""
        names = [name for name, _ in ask(host=None).fields]
        self.assertEqual(names, [FOR, PROTO])

    def test_trusted(self) -> None:
        """A trusted hop's words go on, and its address is added to the chain; the client is whom it
        says that it saw, not what others told it."""
        answer = ask(
            (b"x-forwarded-for", b"203.0.113.9, 2001:DB8::1"),
            (b"X-FORWARDED-FOR", b"198.51.100.1"),
            (PROTO, b"http"),
            (HOST, b"api.example.org"),
            (ID, b"Abc_1.2-3"),
        )
        self.assertEqual(
            answer,
            Forwarded(
                "198.51.100.1",
                (
                    (FOR, b"203.0.113.9, 2001:db8::1, 198.51.100.1, 192.0.2.8"),
                    (PROTO, b"http"),
                    (HOST, b"api.example.org"),
                ),
                "Abc_1.2-3",
            ),
        )

    def test_malformed_words(self) -> None:
        """What is malformed or said twice is as if it had not been said."""
        table = {
            FOR: [
                b"",
                b"unknown",
                b"203.0.113.9,",
                b"203.0.113.9, evil",
                b"203.0.113.9 198.51.100.1",
                b"203.0.113.9:80",
                b"[2001:db8::1]",
                b"fe80::1%\x1b[0m",
                b"0x7f.1",
                b"\xb2.0.0.1",
            ],
            PROTO: [b"", b"HTTP", b"ftp", b"https, http", b"https\tx"],
            HOST: [b"", b"a b", b"a/b", b"user@a", b"a, b", b"a:0"],
            ID: [b"", b"a b", b"a" * 129, b'a"', b"a\xe9", b"a,b"],
        }
        for name, values in table.items():
            for value in values:
                self.assertEqual(ask((name, value)), OURS, (name, value))
        for name, value in [(PROTO, b"http"), (HOST, b"a"), (ID, b"a")]:
            self.assertEqual(ask((name, value), (name.lower(), value)), OURS, name)

    def test_other_spellings_do_not_count(self) -> None:
        """Only the exact names are heard, even from a trusted hop."""
        said = [(b"X_Forwarded_For", b"203.0.113.9"), (b"X-Real-IP", b"203.0.113.9")]
        self.assertEqual(ask(*said, (b"Forwarded", b"for=203.0.113.9")), OURS)

    @PROPERTY
    @given(st.lists(st.tuples(st.sampled_from([FOR, PROTO, HOST, ID]), st.binary(max_size=30))))
    def test_any_words(self, fields: list[Field]) -> None:
        """Whatever is said, nothing is raised and what goes on is plain visible text."""
        answer = ask(*fields)
        for _, value in answer.fields:
            self.assertRegex(value.decode("ascii"), r"\A[!-~]+(, [!-~]+)*\Z")
        self.assertRegex(answer.request_id, r"\A[A-Za-z0-9._-]{1,128}\Z")

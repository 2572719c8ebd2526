"""Deploy tokens."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.auth.evidence import TOKEN, deployment, tool
from toolforge_gateway.auth.deploytoken import DeployToken, DeployTokenFactory
from toolforge_gateway.auth.token_store import read_token_store
from toolforge_gateway.model import ANONYMOUS, Evidence, Kind
from toolforge_gateway.testing.authenticators import AuthenticatorContract
from toolforge_gateway.testing.options import options_of

PATHS = [
    "POST /components/v1/tool/{tool}/deployment",
    "GET /components/v1/tool/{tool}/deployment/{id:[0-9]{8}-[0-9]{6}-[a-z0-9]+}",
]
STATUS_PATH = "/components/v1/tool/a/deployment/20260818-140643-0a1b2c3d4e"
OTHER = "ffffffff-4e5f-6071-8293-a4b5c6d7e8f9"


class DeployTokenTest(AuthenticatorContract, SynchronousTestCase):
    factory = DeployTokenFactory()
    options = {"parameter": "token", "paths": PATHS}
    wrong_options = (
        {},
        {"paths": []},
        {"paths": ["/components/v1/tool/{tool}/deployment"]},
        {"paths": ["post /components/v1/tool/{tool}/deployment"]},
        {"paths": ["POST components/v1"]},
        {"paths": ["POST /components/{tool"]},
        {"paths": ["POST /nowhere/v1/tool/{tool}/deployment"]},
        {"paths": ["POST /components{x}/v1"]},
        {"paths": ["POST /{x}/v1/tool/{tool}"]},
        {"paths": PATHS, "assert_identity": True},
        {"paths": PATHS, "tokens": "no-such-file"},
        {"paths": PATHS, "parameter": 7},
    )
    identified = (
        deployment(),
        deployment(f"token={TOKEN.upper()}"),
        deployment(f"force=1&t%6fk%65n={TOKEN}&x=y"),
        deployment(f"token=%30{TOKEN[1:]}"),
        deployment(method="GET", path=STATUS_PATH),
    )
    silent = (
        deployment(None),
        deployment(""),
        deployment("force=1"),
        deployment(f"TOKEN={TOKEN}"),
        deployment(f"tok%2565n={TOKEN}"),
        deployment(f"+token={TOKEN}"),
        deployment(f"xtoken={TOKEN}&token2={TOKEN}"),
        deployment(f"x=token={TOKEN}"),
        deployment(shown=tool("a")),
        deployment(backend="jobs-api", path="/jobs/v1/tool/a/jobs"),
        deployment(backend=None, path="/healthz"),
    )
    bad = (
        "token",
        "token=",
        "token=abc",
        f"token={TOKEN}&token={TOKEN}",
        f"token={TOKEN}&token={OTHER}",
        f"token={TOKEN}&tok%65n=",
        f"token={TOKEN}&token",
        f"token={TOKEN};token={TOKEN}",
        f"x=1;token={TOKEN}",
        f"token={TOKEN};x=1",
        f"token={{{TOKEN}}}",
        f"token=urn:uuid:{TOKEN}",
        f"token={TOKEN.replace('-', '')}",
        f"token={TOKEN}%0a",
        f"token={TOKEN}+",
        f"token=%20{TOKEN}",
        f"token={TOKEN}%00",
        f"token=%EF%BC%90{TOKEN[1:]}",
    )
    elsewhere = (
        ("GET", "/components/v1/tool/a/deployment"),
        ("HEAD", STATUS_PATH),
        ("POST", STATUS_PATH),
        ("DELETE", "/components/v1/tool/a/deployment"),
        ("GET", "/components/v1/tool/a/deployment/latest"),
        ("GET", "/components/v1/tool/a/deployment/token"),
        ("GET", STATUS_PATH + "/logs"),
        ("GET", STATUS_PATH + "/"),
        ("GET", STATUS_PATH + "\n"),
        ("POST", "/components/v1/tool/a/deployment/"),
        ("POST", "/components/v1/tool/a/config"),
        ("POST", "/components/v1/tool/A/deployment"),
        ("GET", "/components/v1/healthz"),
    )
    refused = (
        *(deployment(query) for query in bad),
        *(deployment(method=method, path=path) for method, path in elsewhere),
    )
    secrets = (TOKEN, TOKEN.upper(), OTHER, TOKEN[1:], TOKEN.replace("-", ""))

    def test_unverified(self) -> None:
        """Without a store nobody is named and nothing asserted."""
        identity = self.ask(deployment())
        self.assertEqual((identity.kind, identity.name), (Kind.UNVERIFIED_TOKEN, ""))
        self.assertFalse(identity.asserted)
        self.assertNotEqual(identity, ANONYMOUS)

    def test_not_one_uuid(self) -> None:
        """Anything but exactly one canonical UUID is 400."""
        for query in self.bad:
            refusal = self.ask(deployment(query))
            self.assertEqual((refusal.status, refusal.reason), (400, "bad-token"), query)

    def test_elsewhere(self) -> None:
        """A token on any other method or path is 403."""
        for method, path in self.elsewhere:
            refusal = self.ask(deployment(method=method, path=path))
            self.assertEqual((refusal.status, refusal.reason), (403, "token-not-allowed-here"))

    def test_semicolon_of_others(self) -> None:
        """A semicolon that hides no token does no harm."""
        for query in (f"token={TOKEN}&x=a;b", f"a;b&token={TOKEN}"):
            self.assertIs(self.ask(deployment(query)).kind, Kind.UNVERIFIED_TOKEN)

    def test_other_parameter(self) -> None:
        """The parameter's name is the configuration's, decoded like a query's."""
        options = options_of({"parameter": "my key", "paths": PATHS})
        authenticator = self.factory.create(options, self.context)
        for name in ("my+key", "my%20key"):
            identity = authenticator.authenticate(deployment(f"{name}={TOKEN}"))
            self.assertIs(identity.kind, Kind.UNVERIFIED_TOKEN)
        self.assertIsNone(authenticator.authenticate(deployment()))

    @given(st.text(alphabet="token=%65&;+-0a", max_size=40))
    def test_any_query(self, query: str) -> None:
        """Without a UUID in it, no query makes anybody more than a stranger."""
        answer = self.ask(deployment(query))
        self.assertTrue(answer is None or answer.status == 400, query)


class TokenStoreTest(AuthenticatorContract, SynchronousTestCase):
    factory = DeployTokenFactory()
    options = {"paths": PATHS, "tokens": "tokens"}
    identified = (deployment(), deployment(f"token={TOKEN.upper()}"))
    silent = (deployment(None), Evidence(tool("a")))
    refused = (
        deployment(f"token={OTHER}"),
        deployment(path="/components/v1/tool/b/deployment"),
    )
    secrets = (TOKEN, OTHER, hashlib.sha256(TOKEN.encode()).hexdigest())

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=self.mktemp_parent()))
        self.write(f"# of the tool\n\n{self.hash(TOKEN)}  a\n")
        super().setUp()

    def mktemp_parent(self) -> str:
        """A fresh folder of trial's."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        return str(folder.absolute())

    def write(self, text: str) -> Path:
        """Make this the store."""
        path = self.folder / "tokens"
        path.write_text(text)
        return path

    @staticmethod
    def hash(token: str) -> str:
        """What stands for a token in the file."""
        return hashlib.sha256(token.encode()).hexdigest()

    def test_known(self) -> None:
        """A known token names its tool, quietly unless the operator says otherwise."""
        identity = self.ask(deployment())
        self.assertEqual((identity.name, identity.kind), ("a", Kind.TOOL))
        self.assertFalse(identity.asserted)
        options = options_of({**self.options, "assert_identity": True}, self.folder)
        authenticator: DeployToken = self.factory.create(options, self.context)
        self.assertTrue(authenticator.authenticate(deployment()).asserted)

    def test_unknown(self) -> None:
        """A token that the store does not have is 401."""
        refusal = self.ask(deployment(f"token={OTHER}"))
        self.assertEqual((refusal.status, refusal.reason), (401, "unknown-token"))

    def test_foreign(self) -> None:
        """A token of another tool is 403 and says whose it is."""
        refusal = self.ask(deployment(path="/components/v1/tool/b/deployment"))
        self.assertEqual((refusal.status, refusal.reason), (403, "foreign-tool"))
        self.assertEqual(refusal.message, "your deploy token is for tool a, the path is for tool b")

    def test_file(self) -> None:
        """A wrong line is refused by its number, without showing its text."""
        good = self.hash(TOKEN)
        for text in (
            f"{TOKEN} a",
            f"{good}",
            f"{good} A",
            f"{good.upper()} a",
            f"{good} a b",
            f"{good} a\n{good} b",
            "é",
        ):
            error = self.assertRaises(ValueError, read_token_store, self.write(text))
            self.assertNotIn(TOKEN, str(error))
            self.assertNotIn(good, str(error))

    def test_complaints(self) -> None:
        """A broken store, and a path that names no tool, are complaints."""
        self.write("nonsense")
        options = options_of(self.options, self.folder)
        self.factory.create(options, self.context)
        self.assertIn("line 1", options.complaints[0].what)
        self.write("")
        options = options_of(
            {"paths": ["POST /components/v1/deploy"], "tokens": "tokens"}, self.folder
        )
        self.factory.create(options, self.context)
        self.assertIn("names no tool", options.complaints[0].what)

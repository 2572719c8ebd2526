"""The door through which authenticators come in."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.auth.evidence import tool
from toolforge_gateway.auth.chain import AuthenticatorChain
from toolforge_gateway.auth.plugins import AuthenticatorContext, build_chain, find_factory
from toolforge_gateway.config.values import AuthenticatorSection
from toolforge_gateway.errors import ConfigurationError
from toolforge_gateway.model import Evidence, Kind
from toolforge_gateway.testing.authenticators import AuthenticatorContract
from toolforge_gateway.testing.options import options_of
from twisted import plugins as installed

STRANGER = Path(__file__).with_name("stranger")
PROJECT = Path(__file__).resolve().parents[2]
DOCUMENT = PROJECT / "docs" / "plugins.md"
CONTEXT = AuthenticatorContext((("jobs-api", "/jobs"),), Clock())


def build(*options: dict[str, object], package: ModuleType = installed) -> AuthenticatorChain:
    """A chain of these entries of `authenticators`, as the service builds it."""
    sections = []
    for entry in map(options_of, options):
        kind = entry.text("kind") or ""
        sections.append(AuthenticatorSection(kind, entry, entry.origin_of("kind")))
    return build_chain(sections, CONTEXT, package)


class BuiltIn(SynchronousTestCase):
    def test_found(self) -> None:
        """The built-in authenticators are found as plug-ins, in the configured order."""
        chain = build({"kind": "superuser"}, {"kind": "kubernetes-certificate"})
        self.assertEqual(
            [each.name for each in chain.authenticators], ["superuser", "kubernetes-certificate"]
        )
        self.assertIsNotNone(find_factory("deploy-token"))

    def test_no_package_of_its_own(self) -> None:
        """No `__init__.py` of ours shadows Twisted's packages."""
        for folder in ("twisted", "twisted/plugins"):
            self.assertFalse((PROJECT / folder / "__init__.py").exists())

    def test_unknown_kind(self) -> None:
        """An unknown kind is a complaint with the nearest name."""
        error = self.assertRaises(ConfigurationError, build, {"kind": "superusers"})
        self.assertIn("did you mean superuser?", str(error))

    def test_all_complaints(self) -> None:
        """All complaints about all entries come at once, unknown keys too."""
        error = self.assertRaises(
            ConfigurationError,
            build,
            {"kind": "nothing-like-it"},
            {"kind": "superuser", "superuser": {}, "superusers": 7},
            {"kind": "deploy-token"},
        )
        text = str(error)
        for part in ("nothing-like-it", "did you mean superusers?", "not a mapping", "paths"):
            self.assertIn(part, text)


class Broken(SynchronousTestCase):
    """Plug-ins in a package of their own, written for each test."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        self.name = f"plugins_of_test_{id(self):x}"
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)
        (self.folder / "__init__.py").write_text("")
        sys.path.insert(0, str(folder))
        self.addCleanup(sys.path.remove, str(folder))
        self.addCleanup(self.forget)

    def forget(self) -> None:
        """Unload what the test loaded."""
        for name in [name for name in sys.modules if name.partition(".")[0] == self.name]:
            del sys.modules[name]

    def plugin(self, name: str, body: str, imports: str = "") -> None:
        """Write a module with a factory of kind `odd`, whose `create` this is."""
        (self.folder / f"{name}.py").write_text(
            "from twisted.plugin import IPlugin\n"
            "from zope.interface import implementer\n"
            "from toolforge_gateway.interfaces import IAuthenticatorFactory\n"
            f"{imports}\n"
            "@implementer(IPlugin, IAuthenticatorFactory)\n"
            "class Factory:\n"
            "    kind = 'odd'\n"
            "    def create(self, options, context):\n"
            f"        {body}\n"
            "factory = Factory()\n"
        )

    def complaint(self) -> str:
        """What building it complains of."""
        importlib.invalidate_caches()
        package = importlib.import_module(self.name)
        error = self.assertRaises(ConfigurationError, build, {"kind": "odd"}, package=package)
        return str(error)

    def test_import(self) -> None:
        """A module that does not import is named with the reason."""
        self.plugin("broken", "return None", imports="import no_such_module_anywhere")
        text = self.complaint()
        self.assertIn("no plug-in provides the authenticator 'odd'", text)
        self.assertIn(str(self.folder / "broken.py"), text)
        self.assertIn("No module named 'no_such_module_anywhere'", text)
        self.flushLoggedErrors(ModuleNotFoundError)

    def test_raises(self) -> None:
        """A factory that raises is a complaint, not a traceback."""
        self.plugin("raises", "raise RuntimeError('sorry')")
        self.assertIn("failed with RuntimeError: sorry", self.complaint())

    def test_no_authenticator(self) -> None:
        """Something that is no authenticator is a complaint."""
        self.plugin("nothing", "return None")
        self.assertIn("built no authenticator", self.complaint())

    def test_twice(self) -> None:
        """Two plug-ins of one kind are a complaint, and neither is used."""
        self.plugin("one", "return None")
        self.plugin("two", "return None")
        self.assertIn("more than one plug-in provides 'odd'", self.complaint())

    def test_headers_of_a_connection(self) -> None:
        """Whoever depends on the connection alone can want no headers."""
        self.plugin(
            "headers",
            "return attrs.evolve(KubernetesCertificate(), headers=frozenset({'x'}))",
            imports="import attrs\n"
            "from toolforge_gateway.auth.kubernetes import KubernetesCertificate",
        )
        self.assertIn("wants request headers", self.complaint())


class Stranger(SynchronousTestCase):
    """The example of the documentation, laid beside the gateway like any package."""

    SCRIPT = """
from tests.auth.test_plugins import build
from toolforge_gateway.model import Evidence
from ipaddress import ip_address
chain = build(
    {"kind": "kubernetes-certificate"},
    {"kind": "example-network", "network": "192.0.2.0/24", "tool": "netmon"},
    {"kind": "example-api-key", "keys": {"k1": "mytool"}},
)
near = chain.for_connection(Evidence(None, ip_address("192.0.2.9")))
far = chain.for_connection(Evidence(None, ip_address("198.51.100.9")))
print(near.settled(0.0))
print(far.for_request(Evidence(None, headers=(("x-api-key", "k1"),))))
print(far.for_request(Evidence(None, headers=(("x-api-key", "k2"),))).called)
"""

    def install(self) -> tuple[str, dict[str, str]]:
        """Copy the files to a folder; the folder, and an environment with it on the path."""
        folder = Path(self.mktemp()).absolute()
        shutil.copytree(STRANGER, folder, ignore=shutil.ignore_patterns("__pycache__", "*.cache"))
        path = os.pathsep.join([str(PROJECT), str(folder)])
        return str(folder), {**os.environ, "PYTHONPATH": path}

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python where the example is installed."""
        folder, environment = self.install()
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_installed(self) -> None:
        """Once its files are on the path, the configuration can name its kinds."""
        done = self.python("-c", self.SCRIPT)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 3, done.stderr)
        self.assertIn("name='netmon'", lines[0])
        self.assertIn("name='mytool'", lines[1])
        self.assertEqual(lines[2], "False")

    def test_its_own_tests(self) -> None:
        """The test that the documentation shows runs and passes."""
        done = self.python("-m", "unittest", "-v", "test_example")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("test_contract_identified", done.stderr)

    def test_not_installed(self) -> None:
        """Without its files its kinds are unknown."""
        self.assertRaises(ConfigurationError, build, {"kind": "example-network"})

    def test_document(self) -> None:
        """The files in the documentation are the files that these tests use."""
        shown = re.findall(
            r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", DOCUMENT.read_text(), re.S | re.M
        )
        real = {
            str(file.relative_to(STRANGER)): file.read_text() for file in STRANGER.rglob("*.py")
        }
        self.assertEqual(dict(shown), real)

    def test_package(self) -> None:
        """The package that the documentation makes of them has all of them but the tests."""
        [shown] = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT.read_text(), re.S | re.M)
        modules = tomllib.loads(shown)["tool"]["setuptools"]["py-modules"]
        files = {str(file.relative_to(STRANGER)) for file in STRANGER.rglob("*.py")}
        wanted = {name for name in files if not name.startswith("test_")}
        self.assertEqual({f"{each.replace('.', '/')}.py" for each in modules}, wanted)


class StrangerOnPath(AuthenticatorContract):
    """Imports the example from where it lies."""

    factory_name = ""

    def setUp(self) -> None:
        sys.path.insert(0, str(STRANGER))
        self.addCleanup(sys.path.remove, str(STRANGER))
        self.addCleanup(sys.modules.pop, "example_authenticators", None)
        example = importlib.import_module("example_authenticators")
        self.factory = getattr(example, self.factory_name)()
        super().setUp()


class ExampleNetworkTest(StrangerOnPath, SynchronousTestCase):
    factory_name = "NetworkFactory"
    options = {"network": "192.0.2.0/24", "tool": "netmon"}
    wrong_options = ({}, {"network": "192.0.2.1/24", "tool": "netmon"})
    identified = (Evidence(None, ip_address("192.0.2.9")),)
    silent = (
        Evidence(None, ip_address("198.51.100.9")),
        Evidence(tool("a"), ip_address("192.0.2.9")),
        Evidence(None, ip_address("2001:db8::1")),
    )


class ExampleApiKeyTest(StrangerOnPath, SynchronousTestCase):
    factory_name = "ApiKeyFactory"
    options = {"keys": {"k-good": "mytool"}}
    wrong_options = ({"keys": ["k-good"]},)
    identified = (Evidence(None, headers=(("x-api-key", "k-good"),)),)
    silent = (Evidence(tool("a"), headers=(("x-api-key", "k-good"),)),)
    refused = (
        Evidence(None, headers=(("x-api-key", "k-bad"),)),
        Evidence(None, headers=(("x-api-key", "k-good"), ("x-api-key", "k-good"))),
    )
    secrets = ("k-good", "k-bad")

    def test_slow(self) -> None:
        """A bad key is answered after a second, not before."""
        answer = self.authenticator.authenticate(self.refused[0])
        self.clock.advance(0.9)
        self.assertNoResult(answer)
        self.clock.advance(0.2)
        self.failureResultOf(answer)

    def test_identity(self) -> None:
        """A good key is its tool's."""
        identity = self.ask(self.identified[0])
        self.assertEqual((identity.name, identity.kind), ("mytool", Kind.TOOL))

"""Two authenticators that somebody else might write."""

from ipaddress import ip_network

import attrs
from twisted.internet.task import deferLater
from twisted.plugin import IPlugin
from zope.interface import implementer

from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.interfaces import IAuthenticator, IAuthenticatorFactory
from toolforge_gateway.model import DependsOn, Identity, Kind


@implementer(IAuthenticator)
@attrs.frozen
class Network:
    """Knows a tool by the network it calls from.  Answers at once."""

    network: object
    tool: str
    name: str = "example-network"
    depends_on: DependsOn = DependsOn.CONNECTION
    headers: frozenset = frozenset()

    def authenticate(self, evidence):
        if evidence.certificate is not None or evidence.address is None:
            return None
        if evidence.address not in self.network:
            return None
        return Identity(self.tool, Kind.TOOL, self.name)


@implementer(IPlugin, IAuthenticatorFactory)
class NetworkFactory:
    kind = "example-network"

    def create(self, options, context):
        text = options.text("network", required=True)
        tool = options.text("tool", required=True)
        try:
            network = ip_network(text or "0.0.0.0/32")
        except ValueError as error:
            options.complain("network", str(error), "write 192.0.2.0/24")
            return None
        return Network(network, tool)


@implementer(IAuthenticator)
@attrs.frozen
class ApiKey:
    """Knows tools by a key in a header.

    A good key is answered at once, a bad one after a second, by a Deferred,
    so that guessing is slow.
    """

    keys: dict = attrs.field(repr=False)
    clock: object = attrs.field(repr=False)
    name: str = "example-api-key"
    depends_on: DependsOn = DependsOn.REQUEST
    headers: frozenset = frozenset({"x-api-key"})

    def authenticate(self, evidence):
        if evidence.certificate is not None or not evidence.headers:
            return None
        given = [value for _, value in evidence.headers]
        tool = self.keys.get(given[0]) if len(given) == 1 else None
        if tool is not None:
            return Identity(tool, Kind.TOOL, self.name)
        return deferLater(self.clock, 1.0, self.refuse)

    def refuse(self):
        raise BadEvidence(401, "unknown-api-key", "your X-Api-Key is not known; ask for a new one")


@implementer(IPlugin, IAuthenticatorFactory)
class ApiKeyFactory:
    kind = "example-api-key"

    def create(self, options, context):
        keys = options.raw("keys", {})
        if not isinstance(keys, dict):
            options.complain("keys", "is not a mapping", "write KEY: TOOL below it")
            keys = {}
        return ApiKey(keys, context.clock)

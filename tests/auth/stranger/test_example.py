from example_authenticators import ApiKeyFactory
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.model import Evidence
from toolforge_gateway.testing.authenticators import AuthenticatorContract


class ApiKeyTest(AuthenticatorContract, SynchronousTestCase):
    factory = ApiKeyFactory()
    options = {"keys": {"k-good": "mytool"}}
    wrong_options = ({"keys": ["k-good"]},)
    identified = (Evidence(None, headers=(("x-api-key", "k-good"),)),)
    refused = (Evidence(None, headers=(("x-api-key", "k-bad"),)),)
    secrets = ("k-good", "k-bad")

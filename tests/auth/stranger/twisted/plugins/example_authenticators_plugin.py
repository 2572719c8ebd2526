from example_authenticators import ApiKeyFactory, NetworkFactory

network = NetworkFactory()
api_key = ApiKeyFactory()

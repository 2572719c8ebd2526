from tests.relay import scripted

factory = scripted.FACTORY

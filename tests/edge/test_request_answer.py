"""The answer to a `twisted.web` Request, and the body that waits beside it."""

from __future__ import annotations

from io import BytesIO

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.edge.traversal import PIECE, RequestAnswer
from toolforge_gateway.model import Exchange


class Request:
    """A Request whose body has come, as far as its answer uses it."""

    def __init__(self, body: bytes) -> None:
        self.content = BytesIO(body)
        self.producer = None

    def notifyFinish(self) -> Deferred:
        return Deferred()

    def registerProducer(self, producer, streaming: bool) -> None:
        self.producer = producer


class Backend:
    """`IForward`, that takes one piece at a time."""

    def __init__(self, answer: RequestAnswer) -> None:
        self._answer = answer
        self.taken = b""
        self.ended = 0

    def data(self, payload: bytes) -> None:
        self.taken += payload

    def flush(self) -> None:
        self._answer.pause()

    def end(self) -> None:
        self.ended += 1


class BodyTests(SynchronousTestCase):
    def test_held_back(self) -> None:
        """A body goes on only as the backend takes it, whole and once."""
        body = bytes(range(256)) * (2 * PIECE // 256) + b"rest"
        answer = RequestAnswer(Request(body), Exchange("id", "", 0.0))
        backend = Backend(answer)
        answer.follow(backend, has_body=True)
        self.assertEqual(len(backend.taken), PIECE)
        answer.resume()
        self.assertEqual(len(backend.taken), 2 * PIECE)
        answer.resume()
        self.assertEqual((backend.taken, backend.ended), (body, 0))
        answer.resume()
        answer.resume()
        self.assertEqual(backend.ended, 1)

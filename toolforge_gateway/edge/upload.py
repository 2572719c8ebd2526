"""The body of the request that is being served, on its way from the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolforge_gateway.errors import Refusal
from toolforge_gateway.http.body import BodyDecoder
from toolforge_gateway.interfaces import IForward
from toolforge_gateway.model import Exchange

if TYPE_CHECKING:
    from toolforge_gateway.transport.interfaces import ISecureTransport


def too_large(most: int) -> Refusal:
    """The body is over `limits.request_body`."""
    return Refusal(
        413,
        "body-too-large",
        f"your request's body is larger than the {most} bytes allowed here; send less",
        close=True,
    )


class Upload:
    """Takes a body out of its framing, counts it and hands it on.

    :param decoder: of its framing.
    :param exchange: the account of its request.
    :param most: bytes that it may have.
    """

    __slots__ = ("_decoder", "_exchange", "_most")

    def __init__(self, decoder: BodyDecoder, exchange: Exchange, most: int):
        self._decoder = decoder
        self._exchange = exchange
        self._most = most

    @property
    def rest(self) -> bytes:
        """What came after the body, not looked at."""
        return self._decoder.rest

    def feed(self, data: bytes, forward: IForward) -> bool:
        """Hand on what these bytes have of it.

        :return: whether that was all.
        :raise Refusal: no further byte could make it good.
        """
        exchange, decoder = self._exchange, self._decoder
        for piece in decoder.feed(data):
            exchange.bytes_in += len(piece)
            forward.data(piece)
        if exchange.bytes_in > self._most:
            raise too_large(self._most)
        return decoder.finished

    def pour(self, transport: ISecureTransport, forward: IForward) -> None:
        """Have what comes next go straight to the backend, where that can be."""
        decoder = self._decoder
        if decoder.left > 1:
            # The last byte is fed, so that the end is seen as always.
            poured = forward.pour(transport, decoder.left - 1)
            decoder.left -= poured
            self._exchange.bytes_in += poured

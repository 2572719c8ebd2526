"""Asking a running gateway."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, ensureDeferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed, ConnectionLost
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.amp import RemoteAmpError, UnhandledCommand
from twisted.python.failure import Failure

from toolforge_gateway.control.channel import Channel
from toolforge_gateway.control.commands import Impossible
from toolforge_gateway.errors import GatewayError


class Unasked(GatewayError):
    """Nobody could be asked; says why, and what to do."""


class Unanswered(GatewayError):
    """The gateway was asked, and what came of it is not known or not good."""


def ask(
    reactor: Any, path: Path, patience: float, command: Any, **arguments: Any
) -> Deferred[dict[str, Any]]:
    """Ask over a control socket.

    :param reactor: IReactorUNIX and IReactorTime.
    :param patience: seconds for the answer.
    :param command: of `commands`.
    :return: the command's response; fails with `Unasked` or `Unanswered`.
    """
    return ensureDeferred(_ask(reactor, path, patience, command, arguments))


async def _ask(
    reactor: Any, path: Path, patience: float, command: Any, arguments: dict[str, Any]
) -> dict[str, Any]:
    connection = await _connect(reactor, path)
    try:
        answer: dict[str, Any] = await connection.callRemote(command, **arguments).addTimeout(
            patience, reactor
        )
    except (TimeoutError, CancelledError):
        raise Unanswered(
            f"no answer after {patience:g} seconds: the gateway may still be at it, and its log "
            "says more"
        ) from None
    except (ConnectionClosed, ConnectionLost):
        raise Unanswered("the gateway has ended before it answered; its log says more") from None
    except Impossible as error:
        raise Unanswered(str(error)) from None
    except UnhandledCommand:
        raise Unanswered(
            "the gateway that runs does not know this command: it is of another version"
        ) from None
    except RemoteAmpError as error:
        raise Unanswered(f"the gateway failed: {error}") from None
    finally:
        connection.hang_up()
        await connection.gone
    return answer


async def _connect(reactor: Any, path: Path) -> _Asking:
    endpoint = UNIXClientEndpoint(reactor, str(path), timeout=5)
    try:
        connection: _Asking = await endpoint.connect(Factory.forProtocol(_Asking))
    except (ConnectError, OSError) as error:
        raise Unasked(f"{path}: {_why_not(error)}") from None
    return connection


def _why_not(error: Exception) -> str:
    number = getattr(error, "osError", None)
    if number == errno.ENOENT:
        return (
            "no such socket: the gateway does not run, or it runs with another control.socket; if "
            "the file was removed, a SIGHUP to the gateway has it made anew"
        )
    if number in (errno.EACCES, errno.EPERM):
        return "this is for root and for the user that the gateway runs as; use sudo"
    if number == errno.ECONNREFUSED:
        return "nobody listens there: the gateway that made it has died"
    return str(error)


class _Asking(Channel):
    def __init__(self) -> None:
        super().__init__()
        self.gone: Deferred[None] = Deferred()

    def hang_up(self) -> None:
        """No more is to be said; `gone` fires."""
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.gone.callback(None)

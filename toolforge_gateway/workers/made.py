"""The supervisor with all that it needs of the real world."""

from __future__ import annotations

from typing import Any

from toolforge_gateway import parts
from toolforge_gateway.config.values import Configuration
from toolforge_gateway.transport.turns import Board
from toolforge_gateway.workers.records import OperatorsPort, Records
from toolforge_gateway.workers.spawn import Spawner
from toolforge_gateway.workers.supervisor import Supervisor


def make_supervisor(configuration: Configuration, reactor: Any) -> tuple[Supervisor, Records]:
    """A supervisor that is ready to be started.

    All that the configuration names is read, so that what is wrong is said before anything
    begins; nothing of it is kept here.

    :param reactor: IReactorProcess, IReactorSocket, IReactorFDSet and IReactorTime.
    :return: the supervisor, and what its workers measure.
    :raise ConfigurationError: with all complaints.
    """
    parts.load(configuration, reactor)
    board = Board()
    records = Records(reactor)
    supervisor = Supervisor(
        configuration,
        Spawner(reactor, board.descriptor),
        reactor,
        board,
        records,
        check=lambda configuration: parts.load(configuration, reactor),
    )
    records.watch(supervisor)
    supervisor.operators = OperatorsPort(records.figures, supervisor.hindrance, reactor)
    return supervisor, records

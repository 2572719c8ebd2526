"""A stranger's authenticator that answers when the test says so."""

from __future__ import annotations

from pathlib import Path

import attrs
import yaml
from twisted.internet.defer import Deferred
from twisted.plugin import IPlugin
from zope.interface import implementer

import twisted.plugins
from tests.clients.stage import eventually
from tests.relay.stage import Stage
from toolforge_gateway import config
from toolforge_gateway.interfaces import IAuthenticator, IAuthenticatorFactory
from toolforge_gateway.model import DependsOn, Evidence, Identity, Kind

PLUGINS = str(Path(__file__).parent / "plugins")

TOOL = Identity("tf-test", Kind.TOOL, "scripted")


@implementer(IAuthenticator)
class Scripted:
    """Hands out a Deferred for each question.

    :ivar questions: what was asked, and where the test answers.
    """

    name = "scripted"

    def __init__(self, depends_on: DependsOn, headers: tuple[str, ...]):
        self.depends_on = depends_on
        self.headers = frozenset(headers)
        self.questions: list[Question] = []

    def authenticate(self, evidence: Evidence) -> Deferred[Identity | None]:
        question = Question(evidence)
        question.answer = Deferred(question.cancel)
        self.questions.append(question)
        return question.answer


@attrs.define(eq=False)
class Question:
    """What an authenticator was asked."""

    evidence: Evidence
    answer: Deferred = None
    cancelled: bool = False
    at_cancel: object = None
    """What to answer when nobody waits any more; None: as Twisted does."""

    def cancel(self, answer: Deferred) -> None:
        self.cancelled = True
        if self.at_cancel is not None:
            answer.callback(self.at_cancel)


@implementer(IPlugin, IAuthenticatorFactory)
class Factory:
    """Enters by the same door as everyone's.

    :ivar built: the newest authenticator.
    """

    kind = "scripted"
    built: Scripted

    def create(self, options, context):
        self.built = Scripted(
            DependsOn(options.text("depends_on", "request")), options.texts("headers")
        )
        return self.built


FACTORY = Factory()


class ScriptedStage(Stage):
    """A gateway that asks the scripted authenticator, and nobody else."""

    depends_on = "request"
    headers: tuple[str, ...] = ()

    def setUp(self):
        twisted.plugins.__path__.append(PLUGINS)
        self.addCleanup(twisted.plugins.__path__.remove, PLUGINS)
        super().setUp()

    def authenticators(self) -> list[dict]:
        return [{"kind": "scripted", "depends_on": self.depends_on, "headers": list(self.headers)}]

    def reload(self, document: dict) -> None:
        """Put a configuration in force."""
        path = self.folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(document))
        self.service.prepare(config.load(path)).commit()

    @property
    def questions(self) -> list[Question]:
        """What has been asked."""
        return FACTORY.built.questions

    async def asked(self, count: int = 1) -> Question:
        """The newest question, once there have been so many."""
        await eventually(lambda: len(self.questions) >= count)
        return self.questions[-1]

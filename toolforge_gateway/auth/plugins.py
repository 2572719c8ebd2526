"""Finds the authenticators that a configuration names, and builds them."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.plugin import getPlugins
from twisted.python.modules import getModule
from zope.interface import Invalid, implementer
from zope.interface.verify import verifyObject

from toolforge_gateway.auth.chain import AuthenticatorChain
from toolforge_gateway.config.options import Options
from toolforge_gateway.config.values import AuthenticatorSection
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.interfaces import (
    IAuthenticator,
    IAuthenticatorContext,
    IAuthenticatorFactory,
)
from toolforge_gateway.model import DependsOn
from twisted import plugins as installed


@implementer(IAuthenticatorContext)
@attrs.frozen
class AuthenticatorContext:
    """See `IAuthenticatorContext`."""

    backends: tuple[tuple[str, str], ...]
    clock: IReactorTime


def build_chain(
    sections: Iterable[AuthenticatorSection],
    context: AuthenticatorContext,
    package: ModuleType = installed,
) -> AuthenticatorChain:
    """Build every configured authenticator, in order.

    :param package: where plug-ins are looked for.
    :raise ConfigurationError: with the complaints about all of them.
    """
    complaints: list[Complaint] = []
    authenticators: list[Any] = []
    for section in sections:
        if not isinstance(found := find_factory(section.kind, package), str):
            authenticators.append(_create(found, section.options, context))
            section.options.finish()
            complaints.extend(section.options.complaints)
        else:
            complaints.append(section.options.origin_of("kind").complaint(found))
    if complaints:
        raise ConfigurationError(complaints)
    return AuthenticatorChain(authenticators)


def find_factory(kind: str, package: ModuleType = installed) -> Any:
    """The one factory of this kind.

    :return: an `IAuthenticatorFactory`; or, as text, why there is none.
    """
    factories = list(getPlugins(IAuthenticatorFactory, package))
    found = [factory for factory in factories if factory.kind == kind]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(sorted(type(factory).__module__ for factory in found))
        return f"more than one plug-in provides {kind!r}: {places}"
    reason = f"no plug-in provides the authenticator {kind!r}"
    # Twisted only logs that a plug-in's module does not import, and carries on
    # without it: here it is the likeliest reason, and the operator's to know.
    failures = "; ".join(import_failures(package))
    if failures:
        return f"{reason}; of the modules that could, {failures}"
    kinds = sorted(factory.kind for factory in factories)
    close = difflib.get_close_matches(kind, kinds, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(kinds)}"
    return f"{reason}; {hint}"


def import_failures(package: ModuleType = installed) -> list[str]:
    """One sentence for each plug-in module that cannot be imported."""
    failures = []
    for module in getModule(package.__name__).iterModules():
        try:
            importlib.import_module(module.name)
        except Exception as error:
            place = module.filePath.path
            failures.append(f"{place} fails to import: {type(error).__name__}: {error}")
    return failures


def _create(factory: Any, options: Options, context: AuthenticatorContext) -> Any:
    """Have it built; what a stranger's factory breaks is a complaint too."""
    try:
        authenticator = factory.create(options, context)
    except Exception as error:
        options.complain("", f"its plug-in failed with {type(error).__name__}: {error}")
        return None
    if options.complaints:
        return None
    try:
        verifyObject(IAuthenticator, authenticator)
    except Invalid as error:
        options.complain("", f"its plug-in built no authenticator: {error}")
        return None
    if authenticator.depends_on is DependsOn.CONNECTION and authenticator.headers:
        options.complain(
            "", "its plug-in wants request headers, but depends on the connection alone"
        )
    return authenticator

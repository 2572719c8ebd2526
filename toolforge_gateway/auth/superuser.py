"""Service certificates from the backend CA, each with a scope of paths."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs
from twisted.plugin import IPlugin
from zope.interface import implementer

from toolforge_gateway.auth.explain import IExplainsSilence
from toolforge_gateway.auth.patterns import compile_patterns
from toolforge_gateway.auth.subject import refused, the_only
from toolforge_gateway.interfaces import (
    IAuthenticator,
    IAuthenticatorContext,
    IAuthenticatorFactory,
    IOptions,
)
from toolforge_gateway.model import DependsOn, Evidence, Identity, Kind

_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]*")
"""`service:components-api`; goes into a header."""

_EVERY_PATH = (re.compile("^.*$", re.ASCII),)


@implementer(IAuthenticator, IExplainsSilence)
@attrs.frozen
class Superuser:
    """Names the services that the configuration lists.

    A service that is not listed gets no answer here, and so, unless another
    authenticator knows it, is refused: a certificate is never anonymous.
    """

    superusers: Mapping[str, tuple[re.Pattern[str], ...]]
    """CN to the external paths it may use, each pattern matched in full."""
    organization: str = "toolforge"
    """The O that the subject must have, exactly once."""
    name: str = "superuser"
    depends_on: DependsOn = DependsOn.CONNECTION
    headers: frozenset[str] = frozenset()

    def authenticate(self, evidence: Evidence) -> Identity | None:
        """See `IAuthenticator`.

        :raise BadEvidence: 403, `certificate-subject` or
            `certificate-organization`.
        """
        certificate = evidence.certificate
        if certificate is None or Kind.SERVICE not in certificate.identifies:
            return None
        common_name = the_only(certificate.subject, "CN")
        scope = self.superusers.get(common_name)
        if scope is None:
            return None
        if the_only(certificate.subject, "O") != self.organization:
            raise refused(
                "certificate-organization",
                f"O in the subject of your certificate is not {self.organization}",
            )
        return Identity(common_name, Kind.SERVICE, self.name, scope)

    def silence(self, evidence: Evidence) -> str:
        """See `IExplainsSilence`."""
        certificate = evidence.certificate
        if certificate is None:
            return "no client certificate"
        if Kind.SERVICE not in certificate.identifies:
            return f"the CA {certificate.client_ca} does not vouch for services"
        common_names = ", ".join(certificate.subject.values("CN"))
        return f"CN {common_names} is not one of its superusers"


@implementer(IPlugin, IAuthenticatorFactory)
class SuperuserFactory:
    """`kind: superuser`."""

    kind = "superuser"

    def create(self, options: IOptions, context: IAuthenticatorContext) -> Superuser:
        """See `IAuthenticatorFactory`."""
        given = options.raw("superusers", {})
        scopes: dict[str, tuple[re.Pattern[str], ...]] = {}
        if isinstance(given, dict):
            for name, patterns in given.items():
                scopes[name] = compile_patterns(options, "superusers", patterns, name)
        elif isinstance(given, list) and all(isinstance(name, str) for name in given):
            scopes = dict.fromkeys(given, _EVERY_PATH)
            if given:
                options.warn(
                    "superusers",
                    "is a plain list, so each of them may use every path",
                    'write {"service:x": ["^/jobs/v1/tool/.*$"]} to give each a scope',
                )
        else:
            options.complain("superusers", "is not a mapping", 'write {"service:x": ["^.*$"]}')
        for name in scopes:
            if not isinstance(name, str) or not _SERVICE_NAME.fullmatch(name):
                options.complain(
                    "superusers",
                    f"{name!r} cannot be the CN of a service",
                    "use letters, digits and ':', '.', '_', '-'",
                )
        return Superuser(scopes, options.text("organization", "toolforge"))

"""Certificates that the Kubernetes CA signs for tools and administrators.

Tools have `O=toolforge, CN=<tool>`, administrators `O=admins, CN=<user>`; in
either order, in one RDN or two, with other attributes beside them.
"""

from __future__ import annotations

import re

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
from toolforge_gateway.routing import TOOL_NAME

_USER_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
"""A shell account; goes into a header, so nothing else is let through."""

_CERTIFIED = frozenset({Kind.TOOL, Kind.ADMIN})


@implementer(IAuthenticator, IExplainsSilence)
@attrs.frozen
class KubernetesCertificate:
    """Names tools and administrators by their certificates.

    It speaks about every certificate whose CA vouches for tools or
    administrators; with a CA that vouches for services too, it leaves those
    subjects that are neither to the others.
    """

    tool_organization: str = "toolforge"
    admin_organization: str = "admins"
    admin_paths: tuple[re.Pattern[str], ...] = ()
    """External paths on which an administrator acts for the path's tool."""
    name: str = "kubernetes-certificate"
    depends_on: DependsOn = DependsOn.CONNECTION
    headers: frozenset[str] = frozenset()

    def authenticate(self, evidence: Evidence) -> Identity | None:
        """See `IAuthenticator`.

        :raise BadEvidence: 403, `certificate-subject`,
            `certificate-organization` or `certificate-kind`.
        """
        certificate = evidence.certificate
        if certificate is None or not certificate.identifies & _CERTIFIED:
            return None
        subject, identifies = certificate.subject, certificate.identifies
        common_name = the_only(subject, "CN")
        kind = self._kind(the_only(subject, "O"))
        valid = TOOL_NAME if kind is Kind.TOOL else _USER_NAME
        if kind is not None and valid.fullmatch(common_name):
            if kind not in identifies:
                raise refused(
                    "certificate-kind",
                    f"your certificate says {kind.value}, "
                    f"but the CA {certificate.client_ca} does not vouch for that",
                )
            paths = self.admin_paths if kind is Kind.ADMIN else None
            return Identity(common_name, kind, self.name, paths)
        if Kind.SERVICE in identifies:
            return None
        if kind is None:
            raise refused(
                "certificate-organization",
                f"O in the subject of your certificate is neither {self.tool_organization} "
                f"nor {self.admin_organization}",
            )
        raise refused(
            "certificate-subject",
            f"CN in the subject of your certificate is not the name of "
            f"{'a tool' if kind is Kind.TOOL else 'an administrator'}",
        )

    def silence(self, evidence: Evidence) -> str:
        """See `IExplainsSilence`."""
        if evidence.certificate is None:
            return "no client certificate"
        if not evidence.certificate.identifies & _CERTIFIED:
            return f"the CA {evidence.certificate.client_ca} vouches for no tool or administrator"
        return "the subject of the certificate is neither a tool's nor an administrator's"

    def _kind(self, organization: str) -> Kind | None:
        if organization == self.tool_organization:
            return Kind.TOOL
        return Kind.ADMIN if organization == self.admin_organization else None


@implementer(IPlugin, IAuthenticatorFactory)
class KubernetesCertificateFactory:
    """`kind: kubernetes-certificate`."""

    kind = "kubernetes-certificate"

    def create(self, options: IOptions, context: IAuthenticatorContext) -> KubernetesCertificate:
        """See `IAuthenticatorFactory`."""
        organizations = {"tool": "toolforge", "admin": "admins"}
        given = options.raw("organizations", {})
        if not isinstance(given, dict):
            options.complain("organizations", "is not a mapping", "write {tool: O, admin: O}")
            given = {}
        for key, value in given.items():
            if key not in organizations:
                options.complain("organizations", f"has the key {key}", "known: tool, admin")
            elif not isinstance(value, str) or not value or not value.isprintable():
                options.complain("organizations", f"{key} is not text", f"write the O of {key}s")
            else:
                organizations[key] = value
        if organizations["tool"] == organizations["admin"]:
            options.complain(
                "organizations", "is the same for tools and administrators", "tell them apart"
            )
        return KubernetesCertificate(
            organizations["tool"],
            organizations["admin"],
            compile_patterns(options, "admin_paths", options.raw("admin_paths", [])),
        )

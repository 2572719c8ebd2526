"""Deploy tokens: a UUID in the query that lets a CI job deploy one tool.

The backend checks the token itself, with expiry and rotation, but only while
nobody tells it who calls: so a request with a token goes there without
identity headers, and only to the very few paths that take one.  A store here
may refuse bad tokens earlier.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

import attrs
from twisted.plugin import IPlugin
from zope.interface import implementer

from toolforge_gateway.auth.explain import IExplainsSilence
from toolforge_gateway.auth.token_store import TokenStore, read_token_store
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.interfaces import (
    IAuthenticator,
    IAuthenticatorContext,
    IAuthenticatorFactory,
    IOptions,
)
from toolforge_gateway.model import DependsOn, Evidence, Identity, Kind
from toolforge_gateway.routing import PathTemplate, RouteTable

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_SEPARATORS = re.compile("[&;]")
_RULE = re.compile(r"([A-Z]+) (/.*)")


@attrs.frozen
class TokenPath:
    """Where a token may be used: `POST /components/v1/tool/{tool}/deployment`."""

    method: str
    template: PathTemplate
    backend: str


@implementer(IAuthenticator, IExplainsSilence)
@attrs.frozen
class DeployToken:
    """Takes `?token=UUID` for evidence, on the backends its paths name.

    A certificate on the same connection comes first: then a token is just a
    part of the query.
    """

    parameter: str
    paths: tuple[TokenPath, ...]
    store: TokenStore | None = None
    assert_identity: bool = False
    """Tell the backend the tool, in place of the backend's own check."""
    name: str = "deploy-token"
    depends_on: DependsOn = DependsOn.REQUEST
    headers: frozenset[str] = frozenset()
    _backends: frozenset[str] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_backends", frozenset(path.backend for path in self.paths))

    def authenticate(self, evidence: Evidence) -> Identity | None:
        """See `IAuthenticator`.

        :raise BadEvidence: 400 `bad-token` (not exactly one, not a UUID),
            403 `token-not-allowed-here` or `foreign-tool`, 401
            `unknown-token` (a store does not have it).
        """
        if evidence.certificate is not None or evidence.backend not in self._backends:
            return None
        if evidence.query is None:
            return None
        values = self._values(evidence.query)
        if not values:
            return None
        if len(values) > 1 or _UUID.fullmatch(values[0]) is None:
            raise BadEvidence(
                400,
                "bad-token",
                f"give {self.parameter}= exactly once, with the UUID of your deploy token",
            )
        tool = self._tool_where_allowed(evidence)
        if self.store is None:
            return Identity("", Kind.UNVERIFIED_TOKEN, self.name, asserted=False)
        return self._check(self.store, values[0].lower(), tool)

    def silence(self, evidence: Evidence) -> str:
        """See `IExplainsSilence`."""
        if evidence.certificate is not None:
            return "a client certificate came, and that comes first"
        if evidence.backend not in self._backends:
            return f"its paths are not on the backend {evidence.backend or '(none)'}"
        return f"no {self.parameter}= in the query"

    def _values(self, query: str) -> tuple[str, ...]:
        """What each pair of the parameter's name says.

        For some readers `;` parts pairs as well.  Where that shows another
        token than `&` alone does, an empty value is added, which spoils it.
        """
        values = self._values_of(query.split("&"))
        if ";" in query:
            also = self._values_of(_SEPARATORS.split(query))
            if also != values:
                return (*also, "")
        return values

    def _values_of(self, pairs: list[str]) -> tuple[str, ...]:
        # As the backends decode them: once, and with `+` for a blank.
        split = (pair.partition("=") for pair in pairs)
        return tuple(
            unquote_plus(value) for name, _, value in split if unquote_plus(name) == self.parameter
        )

    def _tool_where_allowed(self, evidence: Evidence) -> str | None:
        """The tool that the path names, on a path that takes tokens."""
        for allowed in self.paths:
            if allowed.method == evidence.method and allowed.backend == evidence.backend:
                match = allowed.template.fullmatch(evidence.path)
                if match is not None:
                    return match.get("tool")
        raise BadEvidence(
            403,
            "token-not-allowed-here",
            "a deploy token is not allowed on this method and path; "
            f"it is on {', '.join(f'{p.method} {p.template.text}' for p in self.paths)}",
        )

    def _check(self, store: TokenStore, token: str, tool: str | None) -> Identity:
        owner = store.tool_of(token)
        if owner is None:
            raise BadEvidence(
                401, "unknown-token", "your deploy token is not known here; create a new one"
            )
        if tool != owner:
            raise BadEvidence(
                403,
                "foreign-tool",
                f"your deploy token is for tool {owner}, the path is for tool {tool}",
            )
        return Identity(owner, Kind.TOOL, self.name, asserted=self.assert_identity)


@implementer(IPlugin, IAuthenticatorFactory)
class DeployTokenFactory:
    """`kind: deploy-token`."""

    kind = "deploy-token"

    def create(self, options: IOptions, context: IAuthenticatorContext) -> DeployToken:
        """See `IAuthenticatorFactory`."""
        paths = _paths(options, context)
        store = None
        tokens = options.file("tokens")
        if tokens is not None:
            try:
                store = read_token_store(tokens)
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                options.complain("tokens", f"{tokens} cannot be used: {why}")
            for path in paths:
                if "tool" not in path.template.names:
                    options.complain(
                        "paths",
                        f"{path.template.text} names no tool to compare a token's with",
                        "put {tool} in it, or remove 'tokens'",
                    )
        asserts = options.flag("assert_identity")
        if asserts and tokens is None:
            options.complain(
                "assert_identity",
                "tells backends an identity that nobody has checked",
                "give 'tokens', or remove it",
            )
        return DeployToken(options.text("parameter", "token"), paths, store, asserts)


def _paths(options: IOptions, context: IAuthenticatorContext) -> tuple[TokenPath, ...]:
    """Read `paths`; what is wrong goes to `options.complain`."""
    backends = RouteTable({prefix: name for name, prefix in context.backends})
    paths = []
    texts = options.texts("paths")
    if not texts:
        options.complain("paths", "is empty", 'write ["POST /components/v1/..."]')
    for text in texts:
        rule = _RULE.fullmatch(text)
        if rule is None:
            options.complain("paths", f"{text!r} is not 'METHOD /path'", "GET /components/...")
            continue
        try:
            template = PathTemplate(rule[2])
        except ValueError as error:
            options.complain("paths", f"{rule[2]!r} is not a path: {error}")
            continue
        # Only what comes before the segment with the first placeholder.
        literal, brace, _ = rule[2].partition("{")
        backend = backends.find(literal.rpartition("/")[0] if brace else literal)
        if backend is None:
            options.complain(
                "paths",
                f"{rule[2]!r} is on no backend",
                f"begin it with one of {', '.join(prefix for _, prefix in context.backends)}",
            )
            continue
        paths.append(TokenPath(rule[1], template, backend))
    return tuple(paths)

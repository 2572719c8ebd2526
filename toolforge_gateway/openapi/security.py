"""What a client of the gateway shows in order to use an operation.

Backends say what *they* look at: headers that the gateway writes, which no client can.  A client
shows its certificate, or a deploy token where those are taken; what passes through the gateway
untouched (a key in the query, say) it must still give as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from toolforge_gateway.headers import request_field_passes
from toolforge_gateway.openapi.names import CERTIFICATE, TOKEN
from toolforge_gateway.openapi.part import Access

Requirements = list[dict[str, list[str]]]
"""Alternatives; within one, all that is needed at once."""


def ours(token_parameter: str) -> dict[str, dict[str, str]]:
    """The gateway's own security schemes."""
    return {
        CERTIFICATE: {
            "type": "mutualTLS",
            "description": "The TLS client certificate of a tool, a service or an administrator.",
        },
        TOKEN: {
            "type": "apiKey",
            "in": "query",
            "name": token_parameter,
            "description": "A tool's deploy token, in place of a certificate.",
        },
    }


@attrs.frozen
class Guard:
    """Turns what one backend asks for into what a client of the gateway gives."""

    schemes: Mapping[str, Any]
    """The backend's security schemes by name, references followed."""
    token_parameter: str
    name_of: Callable[[str], str]
    """What a scheme is called in the result; called for those alone that are kept."""

    def requirements(
        self, own: Requirements | None, general: Requirements | None, access: Access
    ) -> Requirements:
        """What to show for one operation.

        :param own: what the operation asks for; None: it does not say.
        :param general: what the backend's document asks for where an operation does not say.
        """
        asked = own
        if own is None and access.anonymous != "open":
            asked = general
        if asked is None:
            public = not access.tool and access.anonymous != "refused"
            asked = [{}] if public or access.anonymous == "open" else _IDENTITY
        found: Requirements = []
        for alternative in asked or [{}]:
            for each in self._alternatives(alternative, access):
                if each not in found:
                    found.append(each)
        return found or [{CERTIFICATE: []}]

    def _alternatives(self, asked: dict[str, list[str]], access: Access) -> Requirements:
        kept = {name: scopes for name, scopes in asked.items() if self._passes(name, access)}
        rest = asked.keys() - kept.keys()
        passing = {self.name_of(name): scopes for name, scopes in kept.items()}
        tokens = {name for name in rest if self._is_token(name)}
        by_token = [{TOKEN: [], **passing}] if access.token else []
        if tokens:
            return by_token
        by_certificate: Requirements = [{CERTIFICATE: [], **passing}]
        if rest:
            return by_certificate + by_token
        if access.anonymous == "refused":
            return by_certificate + by_token
        return [passing] if passing else [{}, *by_certificate]

    def _is_token(self, name: str) -> bool:
        scheme = self.schemes.get(name)
        return isinstance(scheme, dict) and (
            (scheme.get("type"), scheme.get("in"), scheme.get("name"))
            == ("apiKey", "query", self.token_parameter)
        )

    def _passes(self, name: str, access: Access) -> bool:
        """Whether what a scheme speaks of reaches the backend as the client gave it."""
        scheme = self.schemes.get(name)
        if not isinstance(scheme, dict):
            return False
        kind, where = scheme.get("type"), scheme.get("in")
        if kind == "apiKey" and where == "query":
            return not self._is_token(name)
        if kind == "apiKey" and where == "header":
            return header_passes(scheme.get("name"), access)
        if kind == "mutualTLS":
            return False
        return access.forward_credentials


_IDENTITY: Requirements = [{"": []}]
"""A scheme that nobody has: only a certificate or a token will do."""


def header_passes(name: Any, access: Access) -> bool:
    """Whether a header field reaches the backend as the client sent it."""
    return isinstance(name, str) and request_field_passes(
        name.encode("utf-8", "replace"), forward_credentials=access.forward_credentials
    )

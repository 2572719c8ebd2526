"""What the gateway's configuration says of the paths in a document.

A document's paths have templates in them, and so do those of the configuration, so they are held
against each other segment by segment: `{tool}` of the configuration is any template of the
document, and a word that it matches.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import attrs

from toolforge_gateway.openapi.part import Access, Anonymous
from toolforge_gateway.routing import PathTemplate, Route, RouteTable


@attrs.frozen
class Rule:
    """What the configuration says of one backend."""

    api: str
    route: Route
    forward_credentials: bool = False


@attrs.frozen
class TokenRule:
    """Where a deploy token is taken: `POST /components/v1/tool/{tool}/deployment`."""

    method: str
    template: PathTemplate


@attrs.frozen
class Rules:
    """A `Permit` made of a configuration.

    :param rules: of all backends, those without a document too: a longer prefix of one hides the
        paths of another.  An API's name may be "" then.
    """

    rules: tuple[Rule, ...]
    tokens: tuple[TokenRule, ...] = ()
    _table: RouteTable[Rule] = attrs.field(init=False, eq=False, repr=False)
    _by_api: Mapping[str, Rule] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        put = object.__setattr__
        put(self, "_table", RouteTable({rule.route.prefix: rule for rule in self.rules}))
        put(self, "_by_api", {rule.api: rule for rule in self.rules if rule.api})

    def __call__(self, api: str, method: str, path: str) -> Access | None:
        """See `Permit`."""
        rule = self._by_api.get(api)
        if rule is None:
            return Access()
        if self._table.find(path) is not rule:
            return None
        route = rule.route
        below = path[len(route.prefix) :]
        tool = route.tool_path is not None and begins(route.tool_path, below)
        anonymous = any(covers(template, below) for template in route.anonymous_paths)
        opened = any(covers(template, below) for template in route.open_paths)
        if route.tool_path is not None and not (tool or anonymous or opened):
            return None
        token = any(each.method == method and covers(each.template, path) for each in self.tokens)
        if anonymous or (opened and not tool and route.anonymous == "forward"):
            return Access("open", tool, token, rule.forward_credentials)
        judged: Anonymous = "backend" if route.anonymous == "forward" else "refused"
        return Access(judged, tool, token, rule.forward_credentials)


def covers(template: PathTemplate, path: str) -> bool:
    """Whether a template of the configuration stands for a path of a document."""
    wanted, given = _segments(template.text), path.split("/")
    return len(wanted) == len(given) and all(map(_covers, wanted, given))


def begins(template: PathTemplate, path: str) -> bool:
    """The same for the beginning of the path, in whole segments."""
    wanted, given = _segments(template.text), path.split("/")
    return len(wanted) <= len(given) and all(map(_covers, wanted, given))


@lru_cache(maxsize=4096)
def _covers(wanted: str, given: str) -> bool:
    """:param wanted: a segment of a `PathTemplate`; `given`: one of a document's path."""
    if "{" not in given:
        return wanted == given or (
            "{" in wanted and PathTemplate("/" + wanted).fullmatch("/" + given) is not None
        )
    if "{" not in wanted:
        return False
    # Both have templates in them: what stands around the first and the last must agree.
    heads = wanted.partition("{")[0], given.partition("{")[0]
    tails = wanted.rpartition("}")[2], given.rpartition("}")[2]
    return (heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])) and (
        tails[0].endswith(tails[1]) or tails[1].endswith(tails[0])
    )


@lru_cache(maxsize=4096)
def _segments(text: str) -> tuple[str, ...]:
    """Split at slashes outside of braces: a regular expression may have some in it."""
    found, depth = [""], 0
    for sign in text:
        depth += (sign == "{") - (sign == "}")
        if sign == "/" and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    return tuple(found)

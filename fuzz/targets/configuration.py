"""Configuration: a value or well-formed complaints, and the same each time."""

from __future__ import annotations

import warnings
from pathlib import Path

import attrs

from fuzz import words
from fuzz.phrase import Draw
from toolforge_gateway.config import Configuration, loads
from toolforge_gateway.errors import ConfigurationError

FILE = Path("/etc/gw/g.yaml")
WHOLE = """\
listen:
- endpoint: tcp:8443
  tls: {certificate: c, private_key: k, client_cas: [{name: a, ca: a, identifies: [tool]}]}
upstream_tls: {ca: c, certificate: c, private_key: k}
backends:
- {name: jobs, path: /jobs, url: 'https://jobs:1'}
authenticators:
- {kind: superuser, superusers: {}}
"""
WORDS = [word.encode("utf-8", "surrogatepass") for word in words.CONFIGURATION]
_OPTIONS = "authenticators"


def check(data: bytes) -> None:
    """A file as it comes; or a good one into which the message is put somewhere."""
    draw = Draw.of(data, WORDS)
    text = draw.message.decode("utf-8", "surrogateescape" if draw.flag(1) else "replace")
    if draw.flag(2):
        lines = WHOLE.splitlines(keepends=True)
        at = draw.knobs[3] % (len(lines) + 1)
        dropped = draw.knobs[2] % 3
        text = "".join([*lines[:at], text, "\n", *lines[at + dropped :]])
    first = _load(text)
    assert first == _load(text), "the same text was read in two ways"


def _load(text: str) -> object:
    with warnings.catch_warnings():
        # `re` tells of expressions that a later Python will read differently.
        warnings.simplefilter("ignore")
        try:
            configuration = loads(text, FILE)
        except ConfigurationError as error:
            return _judged(error, text)
    assert configuration.listen, "nothing to listen on"
    for backend in configuration.backends:
        assert backend.path.startswith("/") and not backend.path.endswith("/")
        assert 0 < backend.url.port < 65536
        assert backend.places and all(0 < place.port < 65536 for place in backend.places)
        assert backend.limits.requests > 0 and backend.limits.queue >= 0
    return _without_options(configuration)


def _judged(error: ConfigurationError, text: str) -> str:
    lines = [complaint.line or 0 for complaint in error.complaints]
    assert lines and lines == sorted(lines), "no complaints, or out of order"
    ends = sum(text.count(sign) for sign in "\r\n\x85\u2028\u2029")
    assert lines[-1] <= ends + 1, "a line that does not exist"
    assert all(complaint.what for complaint in error.complaints)
    assert str(error).replace("\n", "").isprintable(), str(error)
    return str(error)


def _without_options(configuration: Configuration) -> object:
    """Options are objects of their own; the rest are values and can be compared."""
    values = {
        field.name: getattr(configuration, field.name)
        for field in attrs.fields(Configuration)
        if field.name != _OPTIONS
    }
    kinds = [section.kind for section in configuration.authenticators]
    return [values, kinds]

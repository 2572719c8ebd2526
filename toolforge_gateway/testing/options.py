"""Options for an authenticator under test, from a dict.

Not a fake: the real reader, over a file that nobody wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from toolforge_gateway.config import document
from toolforge_gateway.config.options import Options, Report, Source


def options_of(values: Mapping[str, object], folder: Path = Path(".")) -> Options:
    """What a factory's `create` gets for these keys and values.

    `complaints` and `warnings` tell what it said about them; call `finish` to
    have the keys that it never read among them.

    :param values: what JSON can hold.
    :param folder: where relative files start.
    """
    report = Report()
    # JSON is YAML too, of one line.
    node = document.compose(json.dumps(values, ensure_ascii=False), report.complain, "test")
    if not isinstance(node, document.Mapping | None):
        raise TypeError("options are a mapping")
    return Options(Source("test", folder.absolute()), node, (), 1, report)

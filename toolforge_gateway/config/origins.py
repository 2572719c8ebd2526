"""The key `allowed_origins`: whose pages may use a visitor's certificate."""

from __future__ import annotations

from toolforge_gateway.config.options import Options, shown
from toolforge_gateway.http.origin import web_origin


def read_allowed_origins(options: Options) -> frozenset[bytes]:
    """The origins, in the form in which they are compared."""
    found = set()
    for n, text in enumerate(options.texts("allowed_origins")):
        origin = web_origin(text.encode("utf-8"))
        if origin is not None:
            found.add(origin)
            if origin.startswith(b"http:"):
                options.warn(
                    ("allowed_origins", n),
                    f"{shown(text)} is plain http, so whoever is on its way can write its pages",
                    "write https://",
                )
        elif text == "null":
            options.complain(
                ("allowed_origins", n),
                "'null' stands for any page that hides where it is from",
                "remove it",
            )
        else:
            options.complain(
                ("allowed_origins", n),
                f"{shown(text)} is no origin",
                "write https://host or https://host:port, no path, no wildcard",
            )
    return frozenset(found)

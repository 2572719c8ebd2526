"""`/docs`: a browser of the aggregated OpenAPI document.

The page is the same for everyone and holds nothing of the APIs: its script reads
`/openapi.json` of the same gateway and shows it.
"""

from __future__ import annotations

from functools import cache

from twisted.web.resource import Resource
from twisted.web.template import Tag, tags

from toolforge_gateway.pages.answers import Content, Page, Refuse
from toolforge_gateway.pages.frame import Frame

DOCUMENT = "/openapi.json"


def docs_page(frame: Frame, refuse: Refuse) -> Resource:
    """The Resource for `/docs` and `/docs/`, with the assets below it.

    :param frame: its assets are mounted at `/docs/assets`.
    """

    @cache
    def made() -> Content:
        return frame.page(
            "Documentation",
            _body(),
            here="/docs",
            styles=("docs/docs.css",),
            scripts=("docs/docs.js",),
        )

    page = Page(made, refuse)
    page.putChild(b"", Page(made, refuse))
    page.putChild(b"assets", frame.assets)
    return page


def _body() -> list[Tag]:
    return [
        tags.h1("Documentation"),
        tags.p(
            "Everything that can be called here, with lines ready to copy into a terminal.",
            class_="lead",
        ),
        tags.noscript(
            tags.div(
                tags.p(
                    "This page needs JavaScript to show the APIs. All that it would show is in ",
                    tags.a("the OpenAPI document", href=DOCUMENT),
                    " (as YAML: ",
                    tags.a("openapi.yaml", href="/openapi.yaml"),
                    "), which other viewers and client generators read too.",
                ),
                class_="notice",
            )
        ),
        tags.div(id="browser", **{"data-document": DOCUMENT}),
    ]

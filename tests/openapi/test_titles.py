"""Titles of schemas, which some generators of clients take for the names of classes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.openapi.documents import SETTINGS, document, five, merged
from toolforge_gateway.openapi.merge import merge


class TitleTests(SynchronousTestCase):
    """What a component schema is called besides its name."""

    def test_renamed(self) -> None:
        """The title of a component is as much the API's own as its name; inner titles stay."""
        schemas = {
            "Job": {"title": "Job", "properties": {"status": {"title": "Job", "type": "string"}}},
            "Page_Job_": {"title": "Page[Job]"},
            "Plain": {"type": "string"},
            "True": True,
            "Odd": {"type": "object", "properties": {"title": {"type": "string"}}},
        }
        found = merged(document(schemas=schemas)).document["components"]["schemas"]
        self.assertEqual(
            {name: each.get("title") for name, each in found.items() if isinstance(each, dict)},
            {
                "ApiJob": "ApiJob",
                "ApiPage_Job_": "ApiPage[Job]",
                "ApiPlain": None,
                "ApiOdd": None,
            },
        )
        self.assertEqual(found["ApiJob"]["properties"]["status"]["title"], "Job")

    def test_no_title_twice(self) -> None:
        """Five APIs that collide have no two components of one title."""
        schemas = merge(five(), SETTINGS).document["components"]["schemas"].values()
        titles = [each["title"] for each in schemas if "title" in each]
        self.assertTrue(titles)
        self.assertEqual(len(titles), len(set(titles)))

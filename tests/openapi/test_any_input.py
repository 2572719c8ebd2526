"""Whatever a backend publishes, the merged document is valid and has the other APIs in it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, Phase, assume, given, settings, strategies
from twisted.trial.unittest import SynchronousTestCase

from tests.openapi.documents import SETTINGS, faults
from tests.openapi.mutation import VALUES, WORDS, mutated
from tests.openapi.valid import documents
from toolforge_gateway.openapi.grammar import METHODS
from toolforge_gateway.openapi.merge import merge
from toolforge_gateway.openapi.part import Part

GOOD = Part(
    "good",
    "/good",
    {
        "openapi": "3.1.0",
        "info": {"title": "Good", "version": "1"},
        "paths": {
            "/v1/x": {"get": {"operationId": "x", "responses": {"200": {"description": ""}}}}
        },
    },
)
SLOW = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),  # making such documents smaller takes minutes
    suppress_health_check=list(HealthCheck),
)


class AnyInputTests(SynchronousTestCase):
    """Properties of `merge`."""

    def check(self, tree: Any) -> None:
        """Merge a document with a good one, and look at what comes out."""
        before = deepcopy(tree)
        merged = merge([Part("odd", "/odd", tree), GOOD], SETTINGS)
        self.assertEqual(tree, before)
        self.assertNotIn("good", merged.left_out)
        self.assertIn("/good/v1/x", merged.document["paths"])
        self.assertEqual(
            merged.left_out,
            {finding.api for finding in merged.findings if finding.level == "error"},
        )
        for finding in merged.findings:
            self.assertNotIn("mistake of ours", finding.remedy, finding)
        self.assertEqual(faults(json.loads(json.dumps(merged.document))), [])

    @SLOW
    @given(strategies.dictionaries(strategies.sampled_from(WORDS) | strategies.text(), VALUES))
    def test_json(self, tree: dict[str, Any]) -> None:
        """Any JSON object can be published."""
        self.check({"openapi": "3.1.0", **tree})

    @SLOW
    @given(mutated())
    def test_mutations(self, tree: dict[str, Any]) -> None:
        """So can any good document with mistakes in it."""
        self.check(tree)

    @SLOW
    @given(documents())
    def test_valid(self, tree: dict[str, Any]) -> None:
        """What a validator has nothing against is not refused, and all of it is there."""
        assume(not faults(tree))
        self.check(tree)
        merged = merge([Part("odd", "/odd", tree)], SETTINGS)
        self.assertEqual((merged.left_out, merged.findings), (frozenset(), ()))
        for path, item in tree["paths"].items():
            there = merged.document["paths"][f"/odd{path}"].keys()
            self.assertEqual(item.keys() & set(METHODS), there & set(METHODS))
        for section, items in tree["components"].items():
            if section != "securitySchemes":
                self.assertEqual(len(items), len(merged.document["components"][section]))

"""The sentence of a refusal says what is wrong, and what to do about it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.frame.reasons import PACKAGE, REFUSALS

TELLS = re.compile(r"[;:] |^([Ss]end|give) |, with one space between them\.$")
"""What is to be done stands behind what is wrong, or is all that is said."""
PLAIN = {
    "foreign-tool": "it names both tools",
    "bad-status-line": "only a backend can be told, and is not",
    "backend-broken-answer": "the same",
    "bad-original-host": "said to a proxy, of its client",
    "bad-certificate-header": "said to a proxy, with what is wrong by its format",
}
"""Words whose sentence may be without, and why."""
MAKERS = REFUSALS | {"_refused", "refused"}


def sentences() -> Iterator[tuple[str, str]]:
    """Each reason word that stands in the source with a sentence, and that."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call) or not _is(call, *MAKERS):
                continue
            # `auth.subject.refused` puts what to do behind it.
            more = "; ask for ..." if path.parent.name == "auth" and _is(call, "refused") else ""
            for word, sentence in zip(call.args, call.args[1:], strict=False):
                if isinstance(word, ast.Constant) and isinstance(word.value, str):
                    yield word.value, _text(sentence) + more


def _is(call: ast.Call, *names: str) -> bool:
    return getattr(call.func, "id", "") in names


def _text(sentence: ast.expr) -> str:
    if isinstance(sentence, ast.Constant):
        return str(sentence.value)
    if isinstance(sentence, ast.JoinedStr):
        parts = (each.value if isinstance(each, ast.Constant) else "X" for each in sentence.values)
        return "".join(map(str, parts))
    return "Send what cannot be read from the source: "


class SentencesTests(SynchronousTestCase):
    def test_what_to_do(self) -> None:
        """Each has something to do in it."""
        found = list(sentences())
        self.assertGreater(len(found), 70)
        self.assertEqual(
            [each for each in found if not TELLS.search(each[1]) and each[0] not in PLAIN], []
        )

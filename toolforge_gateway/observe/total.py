"""What went through, over all methods, classes and reasons."""

from __future__ import annotations

from typing import Any

import attrs

from toolforge_gateway.observe.spread import NOTHING, Spread, percentile


@attrs.frozen
class Total:
    """What went through up to a moment; as a difference of two, between them."""

    requests: int = 0
    errors: int = 0
    """See `Label.is_error`."""
    incomplete: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    heads: Spread = NOTHING
    """How soon answers began; see `Count.heads`."""

    def plus(self, other: Total) -> Total:
        """Both together."""
        return Total(
            self.requests + other.requests,
            self.errors + other.errors,
            self.incomplete + other.incomplete,
            self.bytes_in + other.bytes_in,
            self.bytes_out + other.bytes_out,
            self.heads.plus(other.heads),
        )

    def since(self, before: Total) -> Total:
        """What has gone through since an earlier moment."""
        return Total(
            self.requests - before.requests,
            self.errors - before.errors,
            self.incomplete - before.incomplete,
            self.bytes_in - before.bytes_in,
            self.bytes_out - before.bytes_out,
            self.heads.since(before.heads),
        )

    def percentile(self, share: float) -> float | None:
        """How long the quickest `share` of the answers took to begin; see `spread.percentile`."""
        return percentile(self.heads.counts, share)

    def to_json(self) -> list[Any]:
        """The fields in their order."""
        plain = (self.requests, self.errors, self.incomplete, self.bytes_in, self.bytes_out)
        return [*plain, self.heads.to_json()]

    @classmethod
    def from_json(cls, said: Any) -> Total:
        """The value of which `to_json` made this.

        :raise ValueError: it is something else.
        """
        *plain, heads = said
        if not all(isinstance(each, int) for each in plain):
            raise ValueError(f"this is no total: {said!r}")
        requests, errors, incomplete, bytes_in, bytes_out = plain
        return cls(requests, errors, incomplete, bytes_in, bytes_out, Spread.from_json(heads))

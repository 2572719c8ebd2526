"""Exchanges that are over, for whoever observes them."""

from __future__ import annotations

from typing import Any

from toolforge_gateway.model import Exchange


def over(**said: Any) -> Exchange:
    """An exchange that went well, but for what is said."""
    exchange = Exchange("1", "192.0.2.1", 1_800_000_000.0)
    usual = {
        "method": "GET",
        "path": "/jobs/v1/tool/tf-test/jobs",
        "backend": "jobs-api",
        "reason": "own-tool",
        "status": 200,
        "bytes_out": 280,
        "head_after": 0.002,
        "ended_after": 0.003,
        "complete": True,
    }
    for name, value in {**usual, **said}.items():
        setattr(exchange, name, value)
    return exchange

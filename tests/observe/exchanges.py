"""Exchanges that are over, for whoever observes them."""

from __future__ import annotations

from typing import Any

from toolforge_gateway.model import Exchange
from toolforge_gateway.observe.figures import Figures
from toolforge_gateway.observe.routes import apis
from toolforge_gateway.observe.total import Total
from toolforge_gateway.observe.traffic import Traffic


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


def total(traffic: Traffic) -> Total:
    """What has gone through to the APIs."""
    return apis(Figures(traffic.numbers()))

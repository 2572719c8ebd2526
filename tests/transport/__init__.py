"""TLS under protocols, both ways; and which of them the other tests run over."""

from __future__ import annotations

import os
from typing import Any

from toolforge_gateway.transport.choice import Transports


def chosen(reactor: Any) -> Transports:
    """What a test's gateway runs over: `TEST_TRANSPORT=portable ./run test`."""
    return Transports(reactor, direct=os.environ.get("TEST_TRANSPORT") != "portable")

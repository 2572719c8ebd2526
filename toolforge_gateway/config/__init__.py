"""YAML to typed values; every complaint at once, with file and line.

`values` is what comes out of `load`.
"""

from __future__ import annotations

from toolforge_gateway.config.loader import load, load_control, loads
from toolforge_gateway.config.values import Configuration

__all__ = ["Configuration", "load", "load_control", "loads"]

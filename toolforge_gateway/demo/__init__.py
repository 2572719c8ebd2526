"""The demonstration: sample backends, a throw-away PKI and curl lines.

Nothing of it is needed to run the gateway, and nothing but tests and the
command line imports it.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Do what `toolforge-gateway demo` is asked to.

    :param argv: the words after `demo`.
    :return: the exit code: 0 fine, 1 failed, 2 usage or configuration.
    """
    from toolforge_gateway.demo.command import run  # only now: it brings the whole gateway

    return run(argv)

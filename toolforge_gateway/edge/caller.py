"""What a connection tells of its caller; worked out once per connection."""

from __future__ import annotations

import attrs

from toolforge_gateway.auth.chain import Standing
from toolforge_gateway.config.values import Forwarded
from toolforge_gateway.edge.proxy_protocol import Address
from toolforge_gateway.errors import Refusal
from toolforge_gateway.model import Certificate


@attrs.define
class Caller:
    """The client end of one connection."""

    address: Address | None
    """After PROXY; None for a Unix socket."""
    tls_version: str = ""
    certificate: Certificate | None = None
    refusal: Refusal | None = None
    """Why every request of this connection is refused, if it is."""
    trusted: bool = False
    """Whether its X-Forwarded-* and X-Request-ID count."""
    standing: Standing | None = None
    """What the authenticators that depend on the connection said; None only
    before the handshake and beside a `refusal`."""

    peer: str = attrs.field(init=False)
    """The address as text; "unix" where there is none."""

    @peer.default
    def _peer(self) -> str:
        return str(self.address) if self.address is not None else "unix"

    def is_granted_what(self, before: Caller) -> bool:
        """Whether the same connection is what it was taken for before.

        Where an authenticator has to be asked for each request there is nothing to compare: it
        will say.
        """
        if self.refusal is not None or before.refusal is not None:
            return self.refusal is None
        assert self.standing is not None and before.standing is not None, "beside no refusal"
        return self.standing.verdict == before.standing.verdict


def is_trusted(
    forwarded: Forwarded, address: Address | None, certificate: Certificate | None
) -> bool:
    """Whether a peer's X-Forwarded-* and X-Request-ID count."""
    if address is not None and any(
        address.version == network.version and address in network for network in forwarded.networks
    ):
        return True
    return certificate is not None and any(
        certificate.client_ca == client_ca and certificate.subject.values("CN") == (cn,)
        for client_ca, cn in forwarded.certificates
    )

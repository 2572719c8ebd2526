"""What is measured: each peer is one way to put a proxy before the backends."""

from __future__ import annotations

from benchmarks.peers.envoy import Envoy
from benchmarks.peers.gateway import Debian12Gateway, Gateway
from benchmarks.peers.haproxy import HAProxy
from benchmarks.peers.nginx import Nginx, NginxAuthRequest, NginxMap, NginxWithoutTickets
from benchmarks.peers.peer import Peer

PEERS: tuple[type[Peer], ...] = (
    Nginx,
    NginxWithoutTickets,
    NginxMap,
    NginxAuthRequest,
    HAProxy,
    Envoy,
    Gateway,
    Debian12Gateway,
)
"""In the order of the table; the first is what the others are compared with."""

__all__ = ["PEERS", "Peer"]

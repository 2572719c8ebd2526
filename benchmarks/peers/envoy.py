"""Envoy, with one worker thread."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.peers.peer import Peer, from_environment
from benchmarks.stage import BACKEND_NAME, Stage

Tree = dict[str, Any]

_TYPE = "type.googleapis.com/envoy.extensions"
_MANY = 1_000_000


class Envoy(Peer):
    """Verifies client certificates and proxies over mutual TLS on kept connections."""

    name = "envoy"
    title = "Envoy"

    def __init__(self, stage: Stage):
        self._program = from_environment("TOOLFORGE_BENCH_BIN", "envoy", "Envoy")
        super().__init__(stage)

    def openssl(self) -> str:
        """See `Peer`."""
        return "BoringSSL"

    def run(self) -> None:
        """See `Peer`."""
        document = {
            "static_resources": {
                "listeners": [self._listener()],
                "clusters": [
                    self._cluster("jobs", self.stage.backend_port),
                    self._cluster("logs", self.stage.streams_port),
                ],
            }
        }
        configuration = self.write("envoy.json", json.dumps(document, indent=1))
        command = [self._program, "--config-path", str(configuration), "--concurrency", "1"]
        self.spawn([*command, "--disable-hot-restart", "--log-level", "warning"])

    def _certificates(self, name: str, authorities: str) -> Tree:
        pki = self.stage.pki
        return {
            # Towards backends it would stop at 1.2.
            "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": f"{pki}/{name}.crt"},
                    "private_key": {"filename": f"{pki}/{name}.key"},
                }
            ],
            "validation_context": {"trusted_ca": {"filename": f"{pki}/{authorities}"}},
        }

    def _listener(self) -> Tree:
        routes = [
            {
                "match": {"prefix": f"/{cluster}/"},
                "route": {"cluster": cluster, "prefix_rewrite": "/", "timeout": "0s"},
            }
            for cluster in ("jobs", "logs")
        ]
        header = {"key": "X-Toolforge-Tool", "value": "%DOWNSTREAM_PEER_SUBJECT%"}
        manager = {
            "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "front",
            "use_remote_address": True,
            "access_log": [
                {
                    "name": "file",
                    "typed_config": {
                        "@type": f"{_TYPE}.access_loggers.file.v3.FileAccessLog",
                        "path": str(self.folder / "access.log"),
                    },
                }
            ],
            "route_config": {
                "virtual_hosts": [
                    {
                        "name": "all",
                        "domains": ["*"],
                        "routes": routes,
                        "request_headers_to_add": [{"header": header}],
                    }
                ]
            },
            "http_filters": [
                {
                    "name": "router",
                    "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"},
                }
            ],
        }
        tls = {
            "@type": f"{_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": self._certificates("server", "client-cas.crt"),
        }
        return {
            "name": "front",
            "address": _address(self.port),
            "tcp_backlog_size": 4096,
            "filter_chains": [
                {
                    "filters": [{"name": "http", "typed_config": manager}],
                    "transport_socket": {"name": "tls", "typed_config": tls},
                }
            ],
        }

    def _cluster(self, name: str, port: int) -> Tree:
        context = self._certificates("gateway-client", "backend-ca.crt")
        context["validation_context"]["match_typed_subject_alt_names"] = [
            {"san_type": "DNS", "matcher": {"exact": BACKEND_NAME}}
        ]
        limits = {
            "max_connections": _MANY,
            "max_requests": _MANY,
            "max_pending_requests": _MANY,
        }
        return {
            "name": name,
            "type": "STATIC",
            "circuit_breakers": {"thresholds": [limits]},
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
            },
            "transport_socket": {
                "name": "tls",
                "typed_config": {
                    "@type": f"{_TYPE}.transport_sockets.tls.v3.UpstreamTlsContext",
                    "sni": BACKEND_NAME,
                    "common_tls_context": context,
                },
            },
        }


def _address(port: int) -> Tree:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

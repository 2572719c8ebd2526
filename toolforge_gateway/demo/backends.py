"""The sample backends on their ports, with TLS as the real ones have it.

Each asks for a client certificate from the backend CA and speaks TLS 1.2
only, like the sidecars of the real backends.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.interfaces import IListeningPort, IReactorTCP
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.server import Site

from toolforge_gateway.demo.builds import Builds
from toolforge_gateway.demo.components import Components
from toolforge_gateway.demo.envvars import Envvars
from toolforge_gateway.demo.jobs import Jobs
from toolforge_gateway.demo.logs import Logs
from toolforge_gateway.demo.sample import SampleAPI

SAMPLES: Mapping[str, type[SampleAPI]] = {
    each.name: each for each in (Jobs, Builds, Envvars, Components, Logs)
}
"""The APIs by name, which is their path at the gateway too."""


def backend_tls(directory: Path) -> ssl.CertificateOptions:
    """TLS options of a backend.

    :param directory: has `backend.crt`, `backend.key` and `backend-ca.crt`.
    """
    own = ssl.PrivateCertificate.loadPEM(
        (directory / "backend.crt").read_bytes() + (directory / "backend.key").read_bytes()
    )
    authority = ssl.Certificate.loadPEM((directory / "backend-ca.crt").read_bytes())
    options = ssl.CertificateOptions(
        privateKey=own.privateKey.original,
        certificate=own.original,
        trustRoot=ssl.trustRootFromCertificates([authority]),
        raiseMinimumTo=ssl.TLSVersion.TLSv1_2,
    )
    # By the context: `lowerMaximumSecurityTo` of older Twisteds excludes the
    # very version that it names.
    options.getContext().set_max_proto_version(SSL.TLS1_2_VERSION)
    # Without a session id context OpenSSL aborts a resumption when client
    # certificates are asked for; with the cache off there is none to resume.
    options.getContext().set_session_cache_mode(SSL.SESS_CACHE_OFF)
    return options


def listen(
    reactor: IReactorTCP, sample: SampleAPI, directory: Path, port: int = 0
) -> IListeningPort:
    """Serve a sample on the loopback interface.

    :param directory: as for `backend_tls`.
    :param port: 0: any free one.
    :raise twisted.internet.error.CannotListenError: the port is in use.
    """
    factory = TLSMemoryBIOFactory(backend_tls(directory), False, Site(sample))
    return reactor.listenTCP(port, factory, interface="127.0.0.1")

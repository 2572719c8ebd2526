"""TLS towards backends: mutual, with a check of the backend's name."""

from __future__ import annotations

import ipaddress
from typing import Any

import attrs
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto

# A service-identity that cannot be imported must end the program: Twisted would
# fall back to a weak check of names and only warn.
from service_identity import CertificateError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from toolforge_gateway.config.values import UpstreamTLS
from toolforge_gateway.tls.files import Findings, read_authorities, read_key_pair
from toolforge_gateway.tls.names import CertificateNames
from toolforge_gateway.tls.options import GatewayCertificateOptions, weakness

_log = Logger()


@implementer(IOpenSSLClientConnectionCreator)
class UpstreamConnectionCreator:
    """Makes connections to the bearer of one name.

    A wrong name ends the handshake with an alert, as a wrong chain does, before
    a byte of a request or our certificate is sent.

    :param server_name: a DNS name, sent as SNI and verified, or an IP address,
        only verified (RFC 6066 section 3).
    """

    def __init__(self, context: SSL.Context, server_name: str):
        self.server_name = server_name
        self._context = context
        try:
            ipaddress.ip_address(server_name)
        except ValueError:
            self._is_address = False
            self._ascii = server_name.encode("idna").decode("ascii")
        else:
            self._is_address = True
            self._ascii = server_name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.server_name}>"

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        """A connection that is about to be opened, in memory.

        :param protocol: the transport; nothing is asked of it.
        """
        return self.over_socket(None)

    def over_socket(self, socket: Any) -> SSL.Connection:
        """A connection that is about to be opened, on its socket."""
        connection = SSL.Connection(self._context, socket)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        if not self._is_address:
            connection.set_tlsext_host_name(self._ascii.encode("ascii"))
        return connection

    def _verify(
        self,
        connection: SSL.Connection,
        certificate: crypto.X509,
        error: int,
        depth: int,
        good: int,
    ) -> bool:
        """OpenSSL's verdict on each certificate of the chain and, for the
        backend's own (depth 0), ours on its name."""
        return bool(good) and (depth > 0 or self.accepts(certificate))

    def accepts(self, certificate: crypto.X509) -> bool:
        """Whether the certificate bears our name, in its subjectAltName."""
        verify = verify_ip_address if self._is_address else verify_hostname
        try:
            # Old releases of service-identity would then look at the CN.
            if not CertificateNames.of(certificate.to_cryptography()).texts():
                raise CertificateError("it bears no name in a subjectAltName")
            verify(_Shown(certificate), self._ascii)
        # We are inside of a callback of OpenSSL: whatever goes wrong means no.
        except Exception as error:
            _log.warn(
                "a backend's certificate is not for {name}: {error!r}",
                name=self.server_name,
                error=error,
            )
            return False
        return True


@attrs.frozen
class _Shown:
    """What service-identity asks of a connection, while it is being made."""

    certificate: crypto.X509

    def get_peer_certificate(self, **form: bool) -> object:
        if form.get("as_cryptography"):
            return self.certificate.to_cryptography()
        return self.certificate


@attrs.frozen
class UpstreamSide:
    """TLS towards all backends; their connections share one context."""

    options: GatewayCertificateOptions

    def creator_for(self, server_name: str) -> UpstreamConnectionCreator:
        """What makes connections to a backend of this name.

        :raise UnicodeError: it is no possible DNS name.
        """
        return UpstreamConnectionCreator(self.options.getContext(), server_name)

    @classmethod
    def load(cls, tls: UpstreamTLS, clock: IReactorTime) -> UpstreamSide:
        """Read and check the files of `upstream_tls`.

        :param clock: its `seconds()` are POSIX time.
        :raise ConfigurationError: with all complaints.
        """
        findings = Findings(clock.seconds())
        trusted = read_authorities(tls.ca, findings)
        pair = read_key_pair(
            tls.certificate, tls.private_key, ExtendedKeyUsageOID.CLIENT_AUTH, findings
        )
        findings.raise_if_any()
        assert pair is not None, "None only after a complaint"
        options = GatewayCertificateOptions(pair, trusted, required=True, for_server=False)
        try:
            options.getContext()
        except SSL.Error as error:
            findings.complain(tls.certificate, *weakness(error))
            findings.raise_if_any()
        return cls(options)

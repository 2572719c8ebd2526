"""TLS towards backends: mutual, with a check of the backend's name."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import attrs
from cryptography import x509
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
from toolforge_gateway.tls.files import Findings, not_after, read_authorities
from toolforge_gateway.tls.held import Held, Reading
from toolforge_gateway.tls.names import CertificateNames
from toolforge_gateway.tls.options import GatewayCertificateOptions, KeyPair, built
from toolforge_gateway.tls.pair import hold_pair

_log = Logger()


@implementer(IOpenSSLClientConnectionCreator)
class UpstreamConnectionCreator:
    """Makes connections to the bearer of one name.

    A wrong name ends the handshake with an alert, as a wrong chain does, before
    a byte of a request or our certificate is sent.

    :param options: asked for each connection, because they may have been renewed.
    :param server_name: a DNS name, sent as SNI and verified, or an IP address,
        only verified (RFC 6066 section 3).
    """

    def __init__(self, options: GatewayCertificateOptions, server_name: str):
        self.server_name = server_name
        self._options = options
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
        connection = SSL.Connection(self._options.getContext(), socket)
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


Authorities = tuple[x509.Certificate, ...]


@attrs.frozen
class UpstreamChange:
    """What is new in the files of `upstream_tls`, ready to be taken up."""

    pair: Reading[KeyPair] | None
    authorities: Reading[Authorities] | None
    options: GatewayCertificateOptions | None


class UpstreamSide:
    """TLS towards all backends; their connections share one context.

    :ivar options: say what is in force.
    """

    def __init__(
        self, pair: Held[KeyPair], authorities: Held[Authorities], clock: IReactorTime
    ) -> None:
        self._pair = pair
        self._authorities = authorities
        self._clock = clock
        self.options = _built(pair.value, authorities.value)

    @property
    def pair(self) -> KeyPair:
        """Our certificate as it is now."""
        return self._pair.value

    @property
    def authorities(self) -> Authorities:
        """By whom we know backends now."""
        return self._authorities.value

    @property
    def parts(self) -> Sequence[Held[KeyPair] | Held[Authorities]]:
        """The files that are replaced together, ours first."""
        return (self._pair, self._authorities)

    def creator_for(self, server_name: str) -> UpstreamConnectionCreator:
        """What makes connections to a backend of this name, now and later.

        :raise UnicodeError: it is no possible DNS name.
        """
        return UpstreamConnectionCreator(self.options, server_name)

    def prepare(self) -> UpstreamChange:
        """Read and check those files that have changed; takes nothing up.

        May run on any thread, while nothing is taken up.
        """
        now = self._clock.seconds()
        pair = self._pair.reread(now) if self._pair.is_due(now) else None
        authorities = self._authorities.reread(now) if self._authorities.is_due(now) else None
        new_pair = None if pair is None else pair.value
        new_authorities = None if authorities is None else authorities.value
        options = None
        if new_pair is not None or new_authorities is not None:
            options = _built(
                new_pair or self._pair.value, new_authorities or self._authorities.value
            )
        return UpstreamChange(pair, authorities, options)

    def take_up(self, change: UpstreamChange) -> bool:
        """Have new connections use what is new; those that are there stay.

        :param change: the last that was prepared.
        :return: whether there is anything new: idle connections were made with what was before.
        """
        if change.options is not None:
            self.options.adopt(change.options)
        if change.pair is not None:
            self._pair.settle(change.pair)
        if change.authorities is not None:
            self._authorities.settle(change.authorities)
        return change.options is not None

    def refresh(self) -> bool:
        """Prepare and take up, at once; see both."""
        return self.take_up(self.prepare())

    @classmethod
    def load(cls, tls: UpstreamTLS, clock: IReactorTime) -> UpstreamSide:
        """Read and check the files of `upstream_tls`.

        :param clock: its `seconds()` are POSIX time.
        :raise ConfigurationError: with all complaints.
        """
        findings = Findings(clock.seconds())

        def read(findings: Findings, former: Authorities | None) -> Authorities | None:
            return read_authorities(tls.ca, findings) or None

        authorities = Held.load("CA", [tls.ca], read, _end_of, findings)
        pair = hold_pair(
            tls.certificate, tls.private_key, ExtendedKeyUsageOID.CLIENT_AUTH, findings
        )
        findings.raise_if_any()
        assert pair is not None and authorities is not None, "None only after a complaint"
        return cls(pair, authorities, clock)


def _built(pair: KeyPair, authorities: Authorities) -> GatewayCertificateOptions:
    return built(pair, authorities, required=True, for_server=False)


def _end_of(authorities: Authorities) -> float:
    return max(map(not_after, authorities))

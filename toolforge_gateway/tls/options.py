"""What we say to OpenSSL, the same towards clients and towards backends.

Twisted's own contexts differ from release to release (ALPN, when a context is
frozen, which ciphers); this one is built here from its first line, so that the
oldest and the newest Twisted give the same connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from zope.interface import implementer

from toolforge_gateway.tls.private import group_setter, set_suites, without_tickets

CertificateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

HTTP_1_1 = b"http/1.1"

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
"""TLS 1.2: Mozilla's "intermediate" list without its finite-field suites."""

SUITES = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
"""TLS 1.3: all three, in Mozilla's order.  Most clients' own order begins with
AES-256, whose handshake and whose bytes cost more; see `_PRIORITIZE_CHACHA`."""

GROUPS = (b"X25519MLKEM768/X25519:P-256/P-384", b"X25519:P-256:P-384")
"""How clients may exchange keys: Mozilla's "intermediate" curves and, before
them, the hybrid that outlasts quantum computers (draft-ietf-tls-ecdhe-mlkem);
the second for an OpenSSL before 3.5, which knows neither the hybrid nor ranks."""
FALLBACK_GROUP = "prime256v1"
"""Where only one can be set: the one that every client knows."""

SECURITY_LEVEL = 2
"""OpenSSL refuses RSA below 2048 bits, curves below 224 and SHA-1 signatures
in every chain, ours included (SSL_CTX_set_security_level(3)).  Its default
differs between builds, so it is always said."""

VERIFY_DEPTH = 3
"""Most intermediate certificates between a peer and its trust anchor."""


@attrs.frozen
class KeyPair:
    """A certificate of ours with its key and its intermediates."""

    certificate: x509.Certificate
    key: CertificateKey = attrs.field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()
    """Nearest issuer first, without the root."""


@implementer(IOpenSSLServerConnectionCreator)
class GatewayCertificateOptions(CertificateOptions):
    """Twisted's certificate options with a context of our own.

    TLS 1.2 with the suites above and TLS 1.3; HTTP/1.1 by ALPN for those who
    ask; no compression, no renegotiation, no resumption.

    :param trusted: anchors of the peer's chain; none of them: the peer is not
        asked for a certificate (only sensible towards clients).
    :param required: whether a peer without a certificate is refused.
    :param for_server: whether we are the server.
    """

    def __init__(
        self,
        pair: KeyPair,
        trusted: Sequence[x509.Certificate],
        *,
        required: bool,
        for_server: bool,
    ):
        super().__init__(
            privateKey=crypto.PKey.from_cryptography_key(pair.key),
            certificate=crypto.X509.from_cryptography(pair.certificate),
            extraCertChain=[crypto.X509.from_cryptography(each) for each in pair.chain],
            verify=bool(trusted),
            caCerts=[crypto.X509.from_cryptography(each) for each in trusted] or None,
            requireCertificate=required,
            verifyDepth=VERIFY_DEPTH,
            enableSessions=False,
            enableSessionTickets=False,
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        self._for_server = for_server
        self._gateway_context: SSL.Context | None = None

    def getContext(self) -> SSL.Context:
        """The one context of all our connections, made on the first call.

        :raise SSL.Error: OpenSSL takes our certificate or key for too weak, or
            they do not belong together.
        """
        if self._gateway_context is None:
            self._gateway_context = self._build()
        return self._gateway_context

    def adopt(self, other: GatewayCertificateOptions) -> None:
        """From now on make connections as the other one does; those that are there stay as
        they are.

        :param other: for the same end of connections.
        :raise SSL.Error: see `getContext`; nothing has changed then.
        """
        context = other.getContext()
        self.privateKey = other.privateKey
        self.certificate = other.certificate
        self.extraCertChain = other.extraCertChain
        self.caCerts = other.caCerts
        self.verify = other.verify
        self._gateway_context = context

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
        """A connection that a client has just opened, in memory."""
        connection = SSL.Connection(self.getContext(), None)
        connection.set_app_data(protocol)
        return connection

    def over_socket(self, socket: Any) -> SSL.Connection:
        """A connection that a client has just opened, on its socket."""
        return SSL.Connection(self.getContext(), socket)

    def _build(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
        context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE | _PRIORITIZE_CHACHA)
        # MOVING_WRITE_BUFFER: a write that is tried again may come from another
        # bytes object; else large bodies end in "bad write retry".
        # RELEASE_BUFFERS: an idle connection keeps no 17 kB record buffers.
        context.set_mode(SSL.MODE_RELEASE_BUFFERS | _MODE_ACCEPT_MOVING_WRITE_BUFFER)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        # Before the certificate, so that the level already judges it.
        context.set_cipher_list(f"{CIPHERS}:@SECLEVEL={SECURITY_LEVEL}".encode("ascii"))
        set_suites(context, SUITES)
        if self._for_server:
            # Towards backends nothing is offered: HTTP/1.1 is what a server
            # speaks without ALPN, and some (a stock Twisted factory that is no
            # `Site` among them) end a handshake that offers any.
            context.set_alpn_select_callback(_select_protocol)
            without_tickets(context)
            _limit_groups(context)
        context.use_certificate(self.certificate)
        for intermediate in self.extraCertChain:
            context.add_extra_chain_cert(intermediate)
        context.use_privatekey(self.privateKey)
        context.check_privatekey()
        self._add_trust(context)
        return context

    def _add_trust(self, context: SSL.Context) -> None:
        store = context.get_cert_store()
        assert store is not None, "pyOpenSSL makes one with each context"
        for certificate in self.caCerts or ():
            store.add_cert(certificate)
        if self._for_server and self.caCerts:
            # So that a client with several certificates picks the right one.
            context.set_client_ca_list([each.get_subject() for each in self.caCerts])
        context.set_verify_depth(self.verifyDepth)
        mode = SSL.VERIFY_PEER if self.verify else SSL.VERIFY_NONE
        if self.verify and self.requireCertificate:
            mode |= SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        # No callback: OpenSSL alone decides, without a way through Python.
        context.set_verify(mode)


def _limit_groups(context: SSL.Context) -> None:
    """Only towards clients: which backends there are is the operators' matter."""
    set_groups = group_setter(context)
    if set_groups is None or not any(map(set_groups, GROUPS)):
        context.set_tmp_ecdh(crypto.get_elliptic_curve(FALLBACK_GROUP))


_PRIORITIZE_CHACHA = 0x200000
"""SSL_OP_PRIORITIZE_CHACHA of openssl/ssl.h, without a name in pyOpenSSL: a
client that likes ChaCha20 best has no AES in hardware, and gets ChaCha20."""

_MODE_ACCEPT_MOVING_WRITE_BUFFER = 0x2
"""SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER of openssl/ssl.h; pyOpenSSL sets it by
itself since 23.1 and never gave it a name."""


def built(
    pair: KeyPair, trusted: Sequence[x509.Certificate], *, required: bool, for_server: bool
) -> GatewayCertificateOptions:
    """Options whose context is there; two milliseconds' work, on any thread.

    :raise SSL.Error: see `GatewayCertificateOptions.getContext`.
    """
    options = GatewayCertificateOptions(pair, trusted, required=required, for_server=for_server)
    options.getContext()
    return options


def weakness(error: SSL.Error) -> tuple[str, str]:
    """Why OpenSSL does not take a certificate of ours, and what to do."""
    why = ", ".join(str(part[-1]) for part in error.args[0]) if error.args else str(error)
    return f"is refused by OpenSSL: {why}", "use RSA of 2048 bits or more, or ECDSA P-256"


def _select_protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """HTTP/1.1 if offered, else no protocol at all: the client then speaks
    HTTP/1.1 or leaves (RFC 7301 section 3.2 would also let us refuse)."""
    return HTTP_1_1 if HTTP_1_1 in offered else SSL.NO_OVERLAPPING_PROTOCOLS

"""Which names a certificate of ours answers to (RFC 6125 section 6.4)."""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv6Address

import attrs
from cryptography import x509

_HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::[0-9]*)?")
"""A Host value: a bracketed IPv6 address or a name, and perhaps a port."""


@attrs.frozen
class CertificateNames:
    """The subjectAltName of one certificate; its CN counts for nothing."""

    dns: frozenset[str]
    """Lower case; may begin with `*.`."""
    addresses: frozenset[IPv4Address | IPv6Address]

    @classmethod
    def of(cls, certificate: x509.Certificate) -> CertificateNames:
        """Read them from the certificate."""
        try:
            names = certificate.extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            ).value
        except x509.ExtensionNotFound:
            return cls(frozenset(), frozenset())
        return cls(
            frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName)),
            frozenset(
                address
                for address in names.get_values_for_type(x509.IPAddress)
                if isinstance(address, (IPv4Address, IPv6Address))
            ),
        )

    def texts(self) -> tuple[str, ...]:
        """All of them, sorted, for people."""
        return (*sorted(self.dns), *sorted(map(str, self.addresses)))

    def covers(self, host: bytes) -> bool:
        """Whether the Host value `name[:port]` is one of them.

        A wildcard stands for exactly one label, the first.
        """
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        text = (match[1] or match[2]).decode("ascii").lower()
        try:
            return ipaddress.ip_address(text) in self.addresses
        except ValueError:
            pass
        if match[1] is not None:
            return False
        text = text.removesuffix(".")
        first, dot, rest = text.partition(".")
        return text in self.dns or bool(first and dot) and f"*.{rest}" in self.dns

"""A certificate of ours with its key: the files, and what of them is in force."""

from __future__ import annotations

from cryptography import x509
from OpenSSL import SSL

from toolforge_gateway.config.values import SettingFile
from toolforge_gateway.tls.files import Findings, not_after, read_key_pair
from toolforge_gateway.tls.held import Held
from toolforge_gateway.tls.options import KeyPair, built, weakness


def hold_pair(
    certificate: SettingFile, key: SettingFile, usage: x509.ObjectIdentifier, findings: Findings
) -> Held[KeyPair] | None:
    """Read them for the first time; None after a complaint.

    :param usage: what the certificate must be fit for.
    """

    def read(findings: Findings, former: KeyPair | None) -> KeyPair | None:
        pair = read_key_pair(certificate, key, usage, findings)
        if pair is not None:
            try:
                # OpenSSL says what it thinks of our certificate when it is to use it.
                built(pair, (), required=False, for_server=True)
            except SSL.Error as error:
                findings.complain(certificate, *weakness(error))
                return None
        return pair

    return Held.load("certificate", [certificate, key], read, end_of, findings)


def end_of(pair: KeyPair) -> float:
    """POSIX seconds; a certificate ends with the first of its chain."""
    return min(map(not_after, (pair.certificate, *pair.chain)))

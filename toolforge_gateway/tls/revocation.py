"""Certificate revocation lists, checked by us (RFC 5280 section 5).

With `CRL_CHECK` OpenSSL wants a list of every CA and refuses the clients of
all the others, so the list of one CA is read and asked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from weakref import WeakValueDictionary

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID

from toolforge_gateway.config.values import SettingFile
from toolforge_gateway.tls.files import Findings, read_bytes

_PARTIAL = frozenset({ExtensionOID.DELTA_CRL_INDICATOR, ExtensionOID.ISSUING_DISTRIBUTION_POINT})
"""Extensions that say that a list is not all; RFC 5280 wants them critical."""

_KNOWN: WeakValueDictionary[bytes, frozenset[int]] = WeakValueDictionary()
"""The numbers of lists that somebody has, by the SHA-256 of the whole list: it is the same in most
reloads, and for all listeners."""


@attrs.frozen
class RevocationList:
    """What one authority has taken back."""

    serials: frozenset[int] = attrs.field(repr=False)
    last_update: float
    """POSIX seconds."""
    next_update: float
    """POSIX seconds; from then on the list is not to be relied upon."""


def read_revocation_lists(
    setting: SettingFile, authorities: Sequence[x509.Certificate], findings: Findings
) -> tuple[RevocationList | None, ...]:
    """One list for each authority certificate, in their order.

    The file has one or more lists, PEM or DER.  Each must be signed by one of
    the authorities, in date, complete in itself and without a critical
    extension (such a one says that the list is not all, or not about these
    certificates).  An authority in the file of the CA that has no list of its
    own gets None when another has one: its certificates are then refused.
    """
    data = read_bytes(setting, findings)
    if data is None:
        return ()
    try:
        lists = _parse(data)
    except Exception:
        # Also a version that does not exist, and whatever else the library has a name for.
        findings.complain(setting, "is no revocation list", "write it in PEM or DER form")
        return ()
    found: dict[int, RevocationList] = {}
    for each in lists:
        try:
            index = _signer(each, authorities)
            read = None if index is None else _read(each, setting, findings)
        except Exception:
            findings.complain(setting, "has a list that cannot be read", "have it issued anew")
            continue
        if index is None:
            findings.complain(
                setting,
                "has a list that this CA did not sign, or may not",
                "give the list of the same CA, whose key usage has cRLSign",
            )
            continue
        if read is not None:
            found[index] = read
    if not lists:
        findings.complain(setting, "has no revocation list in it", "write one in PEM or DER form")
    return tuple(found.get(index) for index in range(len(authorities)))


def _parse(data: bytes) -> list[x509.CertificateRevocationList]:
    begin, end = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"
    if data[:1] == b"0":
        return [x509.load_der_x509_crl(data)]
    return [
        x509.load_pem_x509_crl(begin + rest.partition(end)[0] + end + b"\n")
        for rest in data.split(begin)[1:]
    ]


def _signer(
    crl: x509.CertificateRevocationList, authorities: Sequence[x509.Certificate]
) -> int | None:
    """Which of the authorities signed the list."""
    issuer = crl.issuer
    for index, authority in enumerate(authorities):
        if issuer == authority.subject:
            try:
                if crl.is_signature_valid(authority.public_key()):  # type: ignore[arg-type]
                    return index if _may_sign(authority) else None
            except (TypeError, ValueError, UnsupportedAlgorithm):
                continue  # its key is of another kind
    return None


def _may_sign(authority: x509.Certificate) -> bool:
    """Whether the authority may sign lists: it says so where it says what its
    key is for (RFC 5280 section 6.3.3 (f))."""
    try:
        return authority.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _read(
    crl: x509.CertificateRevocationList, setting: SettingFile, findings: Findings
) -> RevocationList | None:
    before = len(findings.complaints)
    last, following = _updates(crl)
    if last > findings.now:
        findings.complain(setting, "has a list that is not valid yet", "wait, or set the clock")
    if following is None:
        findings.complain(setting, "has a list without nextUpdate", "have it issued with that date")
    elif following <= findings.now:
        findings.complain(setting, "has an expired list", "fetch the CA's present one")
    partial = any(extension.critical or extension.oid in _PARTIAL for extension in crl.extensions)
    serials = _serials(crl)
    if partial or serials is None:
        findings.complain(
            setting,
            "has a delta or partial list, or one with a critical extension",
            "give a complete list",
        )
    if following is None or serials is None or len(findings.complaints) > before:
        return None
    return RevocationList(serials, last, following)


def _serials(crl: x509.CertificateRevocationList) -> frozenset[int] | None:
    """All numbers of a list; None: an entry says that there is more to it than its number."""
    fingerprint = crl.fingerprint(hashes.SHA256())
    serials = _KNOWN.get(fingerprint)
    if serials is None:
        # One pass: with a hundred thousand entries it is seconds' work on old releases.
        entries = [
            (revoked.serial_number, any(each.critical for each in revoked.extensions))
            for revoked in crl
        ]
        if any(critical for _, critical in entries):
            return None
        serials = _KNOWN[fingerprint] = frozenset(serial for serial, _ in entries)
    return serials


def _updates(crl: x509.CertificateRevocationList) -> tuple[float, float | None]:
    """thisUpdate and nextUpdate in POSIX seconds."""

    def posix(name: str) -> float | None:
        aware: datetime | None
        if hasattr(crl, f"{name}_utc"):
            aware = getattr(crl, f"{name}_utc")
        else:  # cryptography before 42 has naive UTC times alone.
            naive: datetime | None = getattr(crl, name)
            aware = naive and naive.replace(tzinfo=UTC)
        return None if aware is None else aware.timestamp()

    return posix("last_update") or 0.0, posix("next_update")

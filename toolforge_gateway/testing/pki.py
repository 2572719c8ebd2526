"""A throw-away public key infrastructure.

`Authority` issues any certificate that a test can want, good or odd;
`write_demo` writes the whole set that `etc/gateway.yaml` names.  Never use
any of it for a service that matters.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Pair = tuple[str, str]
Subject = Sequence[Pair | Sequence[Pair]]
"""Relative distinguished names in order; one of several values is a list."""

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH

DEMO_BACKENDS = ("jobs", "builds", "envvars", "components", "logs")
DEMO_TOOLS = ("tf-test", "other")
DEMO_MARK = "THROW-AWAY"
"""A file in each directory that `write_demo` wrote, and so may replace."""

_ATTRIBUTES = {
    "CN": NameOID.COMMON_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "L": NameOID.LOCALITY_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}


def new_key(kind: str = "ec") -> PrivateKey:
    """A private key: `ec` (P-256), `ec384`, or `rsa` followed by the bits."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "ec384":
        return ec.generate_private_key(ec.SECP384R1())
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))
    raise ValueError(f"unknown kind of key: {kind!r}")


def x509_name(subject: Subject) -> x509.Name:
    """A `Name` of pairs like `("CN", "mytool")`."""
    return x509.Name(
        x509.RelativeDistinguishedName(
            x509.NameAttribute(_ATTRIBUTES[kind], value) for kind, value in _pairs(rdn)
        )
        for rdn in subject
    )


def _pairs(rdn: Pair | Sequence[Pair]) -> Sequence[Pair]:
    """A relative distinguished name of one value is written without its list."""
    if isinstance(rdn[0], str):
        return [cast("Pair", rdn)]
    return cast("Sequence[Pair]", rdn)


def general_name(name: str) -> x509.GeneralName:
    """An IP address when it reads as one, else a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@attrs.frozen
class Issued:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: PrivateKey = attrs.field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()
    """Intermediate certificates to send along, nearest issuer first."""

    @property
    def certificate_pem(self) -> bytes:
        """The certificate and its intermediates."""
        pem = serialization.Encoding.PEM
        return b"".join(each.public_bytes(pem) for each in (self.certificate, *self.chain))

    @property
    def key_pem(self) -> bytes:
        """The private key, PKCS #8, not encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def write(self, directory: Path, stem: str) -> tuple[Path, Path]:
        """Write `stem.crt` and `stem.key` (mode 0600) and return the paths."""
        certificate, key = directory / f"{stem}.crt", directory / f"{stem}.key"
        certificate.write_bytes(self.certificate_pem)
        write_private(key, self.key_pem)
        return certificate, key


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


class Authority:
    """A certificate authority.

    :param name: its CN.
    :param parent: the authority that signs it; None: it signs itself.
    :param subject: the whole DN, where a CN alone will not do.
    :param path_length: how many authorities may follow below; None: any.
    :param lifetime: how long its certificate, and by default those that it
        issues, are valid from an hour ago on.
    """

    def __init__(
        self,
        name: str,
        *,
        parent: Authority | None = None,
        subject: Subject | None = None,
        key: str = "ec",
        path_length: int | None = None,
        lifetime: timedelta = timedelta(days=30),
    ):
        self.parent = parent
        self.lifetime = lifetime
        own = new_key(key)
        self.issued = (parent or self)._sign(
            x509_name(subject or [("CN", name)]),
            own,
            signing_key=None if parent else own,
            lifetime=lifetime,
            extensions=[
                (x509.BasicConstraints(ca=True, path_length=path_length), True),
                (_key_usage(key_cert_sign=True, crl_sign=True, digital_signature=True), True),
            ],
        )

    @property
    def certificate(self) -> x509.Certificate:
        """The authority's own certificate."""
        return self.issued.certificate

    @property
    def pem(self) -> bytes:
        """The authority's own certificate alone, as clients of it trust it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        subject: Subject = (("O", "toolforge"), ("CN", "tf-test")),
        *,
        usages: Sequence[x509.ObjectIdentifier] | None = (CLIENT,),
        names: Iterable[str] = (),
        key: str | PrivateKey = "ec",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        algorithm: hashes.SHA256 | hashes.SHA384 | None = None,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> Issued:
        """Issue an end entity's certificate.

        :param usages: the extended key usage; None: no such extension.
        :param names: DNS names and IP addresses of the subjectAltName.
        :param extensions: more of them, with whether each is critical.
        """
        all_extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(digital_signature=True), True),
        ]
        if usages is not None:
            all_extensions.append((x509.ExtendedKeyUsage(usages), False))
        alternative = [general_name(name) for name in names]
        if alternative:
            all_extensions.append((x509.SubjectAlternativeName(alternative), False))
        return self._sign(
            x509_name(subject),
            new_key(key) if isinstance(key, str) else key,
            lifetime=self.lifetime,
            not_before=not_before,
            not_after=not_after,
            algorithm=algorithm,
            extensions=[*all_extensions, *extensions],
        )

    def revocation_list(
        self,
        revoked: Iterable[Issued] = (),
        *,
        last_update: datetime | None = None,
        next_update: datetime | None = None,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> bytes:
        """A signed CRL in PEM form, by default good for a day."""
        now = _now()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(last_update or now - timedelta(hours=1))
            .next_update(next_update or now + timedelta(days=1))
        )
        for each in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(each.certificate.serial_number)
                .revocation_date(now - timedelta(hours=1))
                .build()
            )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        signed = builder.sign(self.issued.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def _sign(
        self,
        subject: x509.Name,
        key: PrivateKey,
        *,
        lifetime: timedelta,
        extensions: Iterable[tuple[x509.ExtensionType, bool]],
        signing_key: PrivateKey | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        algorithm: hashes.SHA256 | hashes.SHA384 | None = None,
    ) -> Issued:
        """Sign with our key; `signing_key`: self-signed, before we have any."""
        now = _now()
        signer = signing_key or self.issued.key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if signing_key else self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before or now - timedelta(hours=1))
            .not_valid_after(not_after or now + lifetime)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
            )
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        intermediate = signing_key is None and self.parent is not None
        return Issued(
            certificate=builder.sign(signer, algorithm or hashes.SHA256()),
            key=key,
            chain=(self.certificate, *self.issued.chain) if intermediate else (),
        )


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _key_usage(**flags: bool) -> x509.KeyUsage:
    """A key usage extension in which what is not named is off."""
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**usage, **flags})


@attrs.frozen
class Demo:
    """What `write_demo` wrote, with the authorities that can issue more."""

    directory: Path
    kubernetes: Authority
    """k8s-ca.crt: vouches for tools and admins."""
    backend: Authority
    """backend-ca.crt: vouches for services, backends and the gateway."""
    server: Authority
    """server-ca.crt: what clients trust."""


def write_demo(
    directory: Path,
    *,
    tools: Iterable[str] = DEMO_TOOLS,
    backends: Iterable[str] = DEMO_BACKENDS,
) -> Demo:
    """Write a whole demonstration PKI, in place of an earlier one or not at all.

    Files: `k8s-ca.crt`, `backend-ca.crt`, `server-ca.crt`; with a `.key`
    beside each `.crt`: `server`, `gateway-client`, `backend`, `admin`, `front-proxy`,
    `service-components-api` and `tool-NAME` for each of `tools`.

    :raise FileExistsError: the directory has files that are not such a PKI.
    """
    directory = Path(directory)
    if directory.exists() and any(directory.iterdir()) and not (directory / DEMO_MARK).exists():
        raise FileExistsError(f"{directory} has files that write_demo did not make; not replaced")
    directory.parent.mkdir(parents=True, exist_ok=True)
    # mkdtemp makes it 0700; beside the target, so that the rename is atomic.
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as rooms:
        fresh, old = Path(rooms) / "fresh", Path(rooms) / "old"
        fresh.mkdir(mode=0o700)
        demo = _write_demo_files(fresh, directory, tuple(tools), tuple(backends))
        if directory.exists():
            os.rename(directory, old)
        os.rename(fresh, directory)
        shutil.rmtree(old, ignore_errors=True)
    return demo


def _write_demo_files(
    fresh: Path, directory: Path, tools: tuple[str, ...], backends: tuple[str, ...]
) -> Demo:
    lifetime = timedelta(days=365)
    kubernetes = Authority("demo-kubernetes-ca", lifetime=lifetime)
    backend = Authority("demo-backend-ca", lifetime=lifetime)
    server = Authority("demo-server-ca", lifetime=lifetime)
    (fresh / "k8s-ca.crt").write_bytes(kubernetes.pem)
    (fresh / "backend-ca.crt").write_bytes(backend.pem)
    (fresh / "server-ca.crt").write_bytes(server.pem)
    local = ["localhost", "127.0.0.1", "::1"]
    hosts = [f"{name}-api.{name}-api.svc.tools.local" for name in backends]

    server.issue(
        [("CN", "api.svc.toolforge.local")],
        usages=[SERVER],
        names=[*local, "api.svc.toolforge.local"],
    ).write(fresh, "server")
    backend.issue([("CN", "demo-backend")], usages=[SERVER], names=[*hosts, *local]).write(
        fresh, "backend"
    )
    backend.issue([("CN", "api-gateway")]).write(fresh, "gateway-client")
    backend.issue([("CN", "front-proxy")]).write(fresh, "front-proxy")
    backend.issue([("O", "toolforge"), ("CN", "service:components-api")]).write(
        fresh, "service-components-api"
    )
    kubernetes.issue([("O", "admins"), ("CN", "root-admin")]).write(fresh, "admin")
    for tool in tools:
        kubernetes.issue([("O", "toolforge"), ("CN", tool)], key="rsa2048").write(
            fresh, f"tool-{tool}"
        )
    (fresh / DEMO_MARK).write_text(
        "Certificates and keys for demonstrations; anyone may have made them. Delete at will.\n"
    )
    return Demo(directory, kubernetes, backend, server)

"""TLS towards clients: everything of one listener."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.internet.interfaces import IReactorTime

from toolforge_gateway.config.values import ClientCA, ServerTLS
from toolforge_gateway.tls.anchors import Anchor, Anchors
from toolforge_gateway.tls.files import Findings, not_after, read_authorities, same_name
from toolforge_gateway.tls.held import Held, Reading
from toolforge_gateway.tls.names import CertificateNames
from toolforge_gateway.tls.options import GatewayCertificateOptions, KeyPair, built
from toolforge_gateway.tls.pair import hold_pair
from toolforge_gateway.tls.revocation import RevocationList, read_revocation_lists
from toolforge_gateway.tls.verifier import ClientVerifier


@attrs.frozen
class Trusted:
    """What the files of one client CA hold."""

    authorities: tuple[x509.Certificate, ...]
    lists: tuple[RevocationList | None, ...] | None
    """One for each of the authorities; None: the CA was configured without revocation."""

    @property
    def ends(self) -> float:
        """POSIX seconds at which nobody is vouched for any more, or not all are."""
        lists = [each.next_update for each in self.lists or () if each is not None]
        return min([max(map(not_after, self.authorities)), *lists])


@attrs.frozen
class ServerChange:
    """What is new in the files of a listener, ready to be taken up."""

    pair: Reading[KeyPair] | None
    trusted: tuple[tuple[int, Reading[Trusted]], ...]
    """With the place of each among the client CAs."""
    options: GatewayCertificateOptions | None
    anchors: Anchors | None
    """None: those in force stay."""


class ServerSide:
    """What a listener needs in order to speak TLS, ready to use.

    Its parts stay the same objects when files are replaced, and say what is in force.

    :ivar creator: makes the connection object of each new client
        (`IOpenSSLServerConnectionCreator`).
    :ivar verifier: judges the clients' certificates.
    """

    def __init__(
        self,
        tls: ServerTLS,
        pair: Held[KeyPair],
        trusted: Sequence[Held[Trusted]],
        clock: IReactorTime,
    ):
        self._tls = tls
        self._client_cas = tls.client_cas if trusted else ()
        self._pair = pair
        self._trusted = tuple(trusted)
        self._clock = clock
        self.creator = self._built(pair.value, [each.value for each in trusted])
        self.verifier = ClientVerifier(self._anchors([each.value for each in trusted]), clock)
        self.certificate_names = CertificateNames.of(pair.value.certificate)

    @property
    def pair(self) -> KeyPair:
        """Our certificate as it is now."""
        return self._pair.value

    @property
    def names(self) -> tuple[str, ...]:
        """DNS names and addresses of our certificate."""
        return self.certificate_names.texts()

    def names_host(self, host: bytes) -> bool:
        """Whether our certificate covers this Host value."""
        return self.certificate_names.covers(host)

    @property
    def parts(self) -> Sequence[Held[KeyPair] | Held[Trusted]]:
        """The files that are replaced together, ours first."""
        return (self._pair, *self._trusted)

    def prepare(self) -> ServerChange:
        """Read and check those files that have changed; takes nothing up.

        May run on any thread, while nothing is taken up.
        """
        now = self._clock.seconds()
        pair = self._pair.reread(now) if self._pair.is_due(now) else None
        trusted = {
            at: held.reread(now) for at, held in enumerate(self._trusted) if held.is_due(now)
        }
        for at in tuple(trusted):
            trusted[at] = self._unless_confused(at, trusted)
        new_trust = any(reading.value is not None for reading in trusted.values())
        new_pair = None if pair is None else pair.value
        options = anchors = None
        if new_pair is not None or new_trust:
            values = [
                each.value if at not in trusted else trusted[at].value or each.value
                for at, each in enumerate(self._trusted)
            ]
            options = self._built(new_pair or self._pair.value, values)
            anchors = self._anchors(values) if new_trust else None
        return ServerChange(pair, tuple(trusted.items()), options, anchors)

    def take_up(self, change: ServerChange) -> bool:
        """Have new connections use what is new; those that are there stay.

        :param change: the last that was prepared.
        :return: whether clients are judged by something new: those who were
            examined before have to be examined again.
        """
        if change.options is not None:
            self.creator.adopt(change.options)
        if change.anchors is not None:
            self.verifier.adopt(change.anchors)
        if change.pair is not None and self._pair.settle(change.pair):
            self.certificate_names = CertificateNames.of(self._pair.value.certificate)
        for at, reading in change.trusted:
            self._trusted[at].settle(reading)
        return change.anchors is not None

    def refresh(self) -> bool:
        """Prepare and take up, at once; see both."""
        return self.take_up(self.prepare())

    @classmethod
    def load(cls, tls: ServerTLS, clock: IReactorTime) -> ServerSide:
        """Read and check all files of one listener.

        :param clock: its `seconds()` are POSIX time.
        :raise ConfigurationError: with all complaints.
        """
        findings = Findings(clock.seconds())
        pair = hold_pair(
            tls.certificate, tls.private_key, ExtendedKeyUsageOID.SERVER_AUTH, findings
        )
        client_cas = tls.client_cas if tls.client_certificate != "none" else ()
        trusted = [_hold_client_ca(client_ca, findings) for client_ca in client_cas]
        read = [
            (client_ca, held.value)
            for client_ca, held in zip(client_cas, trusted, strict=True)
            if held is not None
        ]
        for number, (client_ca, value) in enumerate(read):
            _check_names(client_ca, value, read[:number], findings)
        findings.raise_if_any()
        assert pair is not None, "None only after a complaint"
        return cls(tls, pair, [each for each in trusted if each is not None], clock)

    def _built(self, pair: KeyPair, trusted: Sequence[Trusted]) -> GatewayCertificateOptions:
        return built(
            pair,
            [certificate for each in trusted for certificate in each.authorities],
            required=self._tls.client_certificate == "required",
            for_server=True,
        )

    def _anchors(self, trusted: Sequence[Trusted]) -> Anchors:
        return Anchors(
            Anchor(
                certificate=certificate,
                client_ca=client_ca.name,
                identifies=client_ca.identifies,
                index=index,
                revocable=value.lists is not None,
                revoked=None if value.lists is None else value.lists[index],
            )
            for client_ca, value in zip(self._client_cas, trusted, strict=True)
            for index, certificate in enumerate(value.authorities)
        )

    def _unless_confused(self, at: int, readings: dict[int, Reading[Trusted]]) -> Reading[Trusted]:
        """A client CA's new files, unless another CA bears one of their names."""
        reading = readings[at]
        if reading.value is None:
            return reading
        others: list[tuple[ClientCA, Trusted]] = []
        for place, held in enumerate(self._trusted):
            if place != at:
                # What is in force, and what may take its place in this moment.
                others.append((self._client_cas[place], held.value))
                new = readings.get(place)
                if new is not None and new.value is not None:
                    others.append((self._client_cas[place], new.value))
        findings = Findings(reading.at)
        _check_names(self._client_cas[at], reading.value, others, findings)
        if not findings.complaints:
            return reading
        complaints = (*reading.complaints, *findings.complaints)
        return attrs.evolve(reading, value=None, complaints=complaints)


def _hold_client_ca(client_ca: ClientCA, findings: Findings) -> Held[Trusted] | None:
    """The files of one entry of `client_cas`; None after a complaint."""

    def read(findings: Findings, former: Trusted | None) -> Trusted | None:
        return _read_client_ca(client_ca, findings, former)

    files = [client_ca.ca] if client_ca.crl is None else [client_ca.ca, client_ca.crl]
    return Held.load(
        f"client CA {client_ca.name}", files, read, lambda trusted: trusted.ends, findings
    )


def _read_client_ca(
    client_ca: ClientCA, findings: Findings, former: Trusted | None
) -> Trusted | None:
    before = len(findings.complaints)
    authorities = read_authorities(client_ca.ca, findings)
    if client_ca.crl is None:
        return Trusted(authorities, None) if authorities else None
    if authorities:
        lists = read_revocation_lists(client_ca.crl, authorities, findings)
        if len(findings.complaints) == before:
            return Trusted(authorities, lists)
    if former is None:
        return None
    # Whatever is wrong with the authorities: nobody who has been revoked is let in for it.
    aside = Findings(findings.now, content=findings.content)
    lists = read_revocation_lists(client_ca.crl, former.authorities, aside)
    return None if aside.complaints else Trusted(former.authorities, lists)


def _check_names(
    client_ca: ClientCA,
    trusted: Trusted,
    others: Sequence[tuple[ClientCA, Trusted]],
    findings: Findings,
) -> None:
    """Two client CAs of one DN confuse the builder of chains, and people."""
    for certificate in trusted.authorities:
        for owner, other in others:
            if any(same_name(certificate, each) for each in other.authorities):
                findings.complain(
                    client_ca.ca,
                    f"has the same subject DN as the client CA {owner.name!r}"
                    f" ({certificate.subject.rfc4514_string()})",
                    "each client CA needs a DN of its own",
                )
                return

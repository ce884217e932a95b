"""The cluster's CA and the API servers' certificates: made for each lab, kept in memory, never stored.

The names in a certificate are kubeadm's, in its order (kubernetes, cmd/kubeadm/app/util/pkiutil): they are why a client
that was given 10.96.0.1 accepts the server although its connection ends at 10.106.175.128:6443.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k8slab.cluster.errors import ClusterError
from k8slab.errors import Told

DOMAIN = "cluster.local"
EXAMPLE = '["kubernetes", "10.96.0.1"]'
CA_DAYS, SERVER_DAYS = 3650, 365


class NotVerified(Told):
    """The server's certificate does not hold for the name by which the client called it; the words are Go's."""


def server_names(node: str, service_ip: str, address: str, domain: str = DOMAIN,
                 further: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of an API server's certificate, DNS names first, then addresses.

    >>> server_names("k8smaster", "10.96.0.1", "10.106.175.128")[1:5]
    ('kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local')
    """
    names = [node, "kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}"]
    addresses = [service_ip, address]
    for one in further:
        (addresses if _is_address(one) else names).append(one)
    return tuple(dict.fromkeys([*names, *addresses]))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _see_to(names: object) -> None:
    """Raise ClusterError for what are no names of a certificate: those of DNS are ASCII (RFC 5280, 4.2.1.6)."""
    if not isinstance(names, (list, tuple)):
        raise ClusterError(f"issue: names is {names!r}; it must be a list of names and addresses, such as {EXAMPLE}")
    for number, name in enumerate(names, 1):
        if not isinstance(name, str) or not name or not name.isascii():
            raise ClusterError(f"issue: name {number} of {len(names)} is {name!r}; it must be a text of ASCII letters, "
                               "as DNS has them, or an address")
    if not names:
        raise ClusterError(f"issue: names is empty; it must have one name at least, as in {EXAMPLE}")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its private key, both as PEM text; `names` are its subject alternative names."""

    pem: str
    key: str
    names: tuple[str, ...]

    def check(self, name: str) -> None:
        """Raise NotVerified unless the certificate holds for a name or address, as Go's crypto/x509 decides it.

        >>> Certificate("", "", ("kubernetes", "10.96.0.1")).check("10.96.0.2")
        Traceback (most recent call last):
        k8slab.cluster.certificates.NotVerified: tls: failed to verify certificate: x509: certificate is valid for \
10.96.0.1, not 10.96.0.2
        """
        if name in self.names:
            return
        alike = [one for one in self.names if _is_address(one) == _is_address(name)]
        raise NotVerified("tls: failed to verify certificate: x509: certificate is valid for "
                          f"{', '.join(alike)}, not {name}")


class Authority:
    """The cluster's own CA. `since`: the moment from which it holds; its keys are made by the system's randomness.

    What it signs holds on the lab's clock and on the machine's, by which real programs verify it.
    """

    def __init__(self, since: datetime) -> None:
        now = datetime.now(UTC)
        self._since = min(since, now) - timedelta(days=1)
        self._from = max(since, now)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])

    @cached_property
    def _certificate(self) -> x509.Certificate:
        public = self._key.public_key()
        usage = x509.KeyUsage(True, False, True, False, False, True, False, False, False)
        return (self._builder(self._name, CA_DAYS).public_key(public)
                .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                .add_extension(usage, critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
                .sign(self._key, hashes.SHA256()))

    def _builder(self, subject: x509.Name, days: int) -> x509.CertificateBuilder:
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self._name)
                .serial_number(x509.random_serial_number()).not_valid_before(self._since)
                .not_valid_after(self._from + timedelta(days=days)))

    @property
    def pem(self) -> str:
        """The CA's certificate, as it lies in every Pod and in every kubeconfig."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, names: Sequence[str], common_name: str = "kube-apiserver") -> Certificate:
        """A server's certificate for names and addresses.

        Raises ClusterError where `names` is no list of texts, or a text is none that a certificate can hold.
        """
        _see_to(names)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        every = [x509.IPAddress(ipaddress.ip_address(one)) if _is_address(one) else x509.DNSName(one) for one in names]
        usage = x509.KeyUsage(True, False, True, False, False, False, False, False, False)
        made = (self._builder(subject, SERVER_DAYS).public_key(key.public_key())
                .add_extension(x509.SubjectAlternativeName(every), critical=False)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(usage, critical=True)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                               critical=False)
                .sign(self._key, hashes.SHA256()))
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                    serialization.NoEncryption())
        return Certificate(made.public_bytes(serialization.Encoding.PEM).decode(), private.decode(), tuple(names))

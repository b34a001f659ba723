"""Certificates for TLS on loopback, made for the test run."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key on disk."""

    certificate: Path
    key: Path
    fingerprint: str


class Authority:
    """A certificate authority of its own."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._build(self._name, self._key.public_key(), -DAY, 365 * DAY, usage)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, expired: bool = False, uris: Sequence[str] = ()) -> Certificate:
        """A certificate for a name or an address, and for URIs."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            names: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            names = x509.DNSName(name)
        certificate = self._build(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            key.public_key(),
            -10 * DAY,
            -DAY if expired else 30 * DAY,
            x509.SubjectAlternativeName([names, *map(x509.UniformResourceIdentifier, uris)]),
        )
        stem = self._folder / f"{certificate.serial_number:x}"
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        issued = Certificate(
            stem.with_suffix(".crt"),
            stem.with_suffix(".key"),
            certificate.fingerprint(hashes.SHA256()).hex(":"),
        )
        issued.certificate.write_bytes(certificate.public_bytes(pem))
        issued.key.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        return issued

    def _build(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        begins: datetime.timedelta,
        ends: datetime.timedelta,
        extension: x509.ExtensionType,
    ) -> x509.Certificate:
        today = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=today + begins,
            not_valid_after=today + ends,
        )
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        for each in (extension, ours, x509.SubjectKeyIdentifier.from_public_key(key)):
            builder = builder.add_extension(each, critical=isinstance(each, x509.BasicConstraints))
        if isinstance(extension, x509.BasicConstraints):
            builder = builder.add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        return builder.sign(self._key, hashes.SHA256())

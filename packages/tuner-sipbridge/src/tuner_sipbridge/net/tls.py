"""TLS for SIP: whom we trust, who we are, and how the far end's certificate is checked (RFC 3261 §26, RFC 5922)."""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.certificate_identity import is_for

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How TLS connections are made and taken. The default checks the far end against the system's CAs.

    Attributes:
        ca_file: PEM file of the CAs to trust, in place of the system's. On the answering side: callers must show a
            certificate that one of these has signed.
        certificate: PEM file with our certificate and its chain: for edges that ask callers for one, and needed to
            answer over TLS.
        key: PEM file with its private key, not encrypted; None when it is in the file of the certificate.
        pin: SHA-256 of the far end's certificate in hexadecimal, colons allowed, as `openssl x509 -fingerprint
            -sha256` prints it. That certificate is then trusted for itself, whoever signed it and whatever name
            and dates are in it; with `ca_file` both must hold.
        insecure: check nothing. Whoever sits on the way can then read and change the calls.

    Raises:
        LocalProtocolError: the values contradict each other, or the pin is none.
    """

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    pin: str | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        if self.pin is not None:
            object.__setattr__(self, "pin", _fingerprint(self.pin))
        if self.key is not None and self.certificate is None:
            raise LocalProtocolError(
                "TLS: a key without its certificate; give the certificate too (--tls-cert)"
            )
        if self.insecure and (self.pin is not None or self.ca_file is not None):
            raise LocalProtocolError(
                "TLS: insecure checks nothing, so a CA file or a pin has no effect; leave one of them out"
            )

    def client_context(self) -> ssl.SSLContext:
        """For connections that we open.

        Raises:
            LocalProtocolError: a file cannot be read or is not what it should be; the text names it.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise _unreadable(self.ca_file, "CA certificates", error) from error
        # OpenSSL knows nothing of SIP domains: `objection_to` looks at the names.
        context.check_hostname = False
        if not self._checks_certificates:
            context.verify_mode = ssl.CERT_NONE
        self._show_ours(context)
        return context

    def server_context(self) -> ssl.SSLContext:
        """For connections that we accept.

        Raises:
            LocalProtocolError: there is no certificate, or a file cannot be read or is not what it should be.
        """
        if self.certificate is None:
            raise LocalProtocolError("TLS: answering over TLS needs a certificate (--tls-cert and --tls-key)")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        if self.ca_file is not None:
            try:
                context.load_verify_locations(self.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise _unreadable(self.ca_file, "CA certificates", error) from error
            context.verify_mode = ssl.CERT_REQUIRED
        self._show_ours(context)
        return context

    def objection_to(
        self,
        certificate: bytes | None,
        alternatives: Sequence[tuple[str, str]] = (),
        *,
        name: str | None = None,
    ) -> str:
        """Why the far end's certificate is not the pinned one, or is for another name; empty when all is well.

        Args:
            certificate: in DER; None is a connection without TLS, of which nothing is asked.
            alternatives: its subjectAltName entries, as the ssl module gives them for one that it has checked.
            name: whom it must be for (RFC 5922 §7); not looked at when None.
        """
        if certificate is None:
            return ""
        if name is not None and self._checks_certificates and not is_for(alternatives, name):
            return (
                f"its certificate is for another name than {name}; dial a name that the certificate has, or pin the "
                "certificate itself (--tls-pin)"
            )
        if self.pin is None:
            return ""
        shown = hashlib.sha256(certificate).hexdigest()
        if hmac.compare_digest(shown, self.pin):
            return ""
        return (
            f"its certificate is not the pinned one: its SHA-256 is {shown}; if the edge has a new certificate, pin "
            "that (--tls-pin), else somebody is in between"
        )

    @property
    def _checks_certificates(self) -> bool:
        return not self.insecure and (self.pin is None or self.ca_file is not None)

    def _show_ours(self, context: ssl.SSLContext) -> None:
        if self.certificate is None:
            return
        try:
            # OpenSSL would ask for the password of an encrypted key on the terminal.
            context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "reason", None)
            if reason == "KEY_VALUES_MISMATCH":
                raise LocalProtocolError(
                    f"TLS: the key in {self.key or self.certificate} is not that of the certificate in "
                    f"{self.certificate}"
                ) from error
            named = getattr(error, "filename", None) or self.key or self.certificate
            raise _unreadable(named, "a PEM certificate and its key, not encrypted", error) from error


def alternatives_of(connection: ssl.SSLObject | ssl.SSLSocket | None) -> tuple[tuple[str, str], ...]:
    """The subjectAltName entries of a far end's certificate; none without TLS, or when it was not checked."""
    fields = (connection.getpeercert() if connection is not None else None) or {}
    return tuple((str(kind), str(value)) for kind, value in fields.get("subjectAltName", ()))


def _fingerprint(text: str) -> str:
    bare = text.rpartition("=")[2].replace(":", "").strip().lower()
    if not _FINGERPRINT.fullmatch(bare):
        raise LocalProtocolError(
            "TLS: the pin is not a SHA-256 in 64 hexadecimal digits; `openssl x509 -noout -fingerprint -sha256 "
            "-in FILE` prints it"
        )
    return bare


def _unreadable(file: object, what: str, error: OSError) -> LocalProtocolError:
    reason = "it does not hold " + what if isinstance(error, ssl.SSLError) else error.strerror or str(error)
    return LocalProtocolError(f"TLS: cannot use {file}: {reason}")

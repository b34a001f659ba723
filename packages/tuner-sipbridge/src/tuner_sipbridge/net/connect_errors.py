"""Why there is no connection, in words that say what to do about it."""

from __future__ import annotations

import ssl

from tuner_sipbridge.sip.routing import Hop

# Verification results of OpenSSL (X509_V_ERR_…).
_NOT_YET_VALID = {9, 13}
_EXPIRED = {10, 14}
_UNKNOWN_CA = {2, 18, 19, 20, 21, 27}

_ALERTS = (
    (
        "CERTIFICATE_REQUIRED",
        "it asks for a certificate of ours: give the one it knows (--tls-cert and --tls-key)",
    ),
    ("ALERT_UNKNOWN_CA", "it does not know the CA of our certificate: give one that it accepts (--tls-cert)"),
    ("CERTIFICATE_EXPIRED", "our own certificate has expired: renew it (--tls-cert)"),
    ("BAD_CERTIFICATE", "it does not accept our certificate: give one that it knows (--tls-cert)"),
    (
        "HANDSHAKE_FAILURE",
        "no TLS version or cipher in common, or it asks for a certificate of ours (--tls-cert)",
    ),
    ("UNRECOGNIZED_NAME", "it has no certificate for that name: check the host of the SIP URI"),
    ("PROTOCOL_VERSION", "no TLS version in common: 1.2 or newer is needed"),
    ("UNSUPPORTED_PROTOCOL", "no TLS version in common: 1.2 or newer is needed"),
    ("WRONG_VERSION_NUMBER", "what answers there does not speak TLS: check the port, or use transport=tcp"),
    ("HTTP_REQUEST", "what answers there does not speak TLS: check the port, or use transport=tcp"),
)


def why_not_connected(hop: Hop, error: BaseException, *, within_s: float) -> str:
    """Why a connection to `hop` could not be made, and what to do, as one sentence; see `explained`."""
    words, remedy = explained(hop, error, within_s=within_s)
    return f"{hop}: {words}: {remedy}"


def explained(hop: Hop, error: BaseException, *, within_s: float) -> tuple[str, str]:
    """Why a connection to `hop` could not be made, and what to do about it.

    Args:
        hop: where to.
        error: what the attempt raised.
        within_s: how long it was tried.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _why_not_trusted(error)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        words, _, remedy = words_of(error).partition(": ")
        return f"no TLS connection: {words}", remedy or "check port and transport, and the log of the far end"
    kind = hop.transport.upper()
    if isinstance(error, TimeoutError):
        return (
            f"no connection within {within_s:g} s",
            f"check host, port, and that a firewall lets {kind} through",
        )
    if isinstance(error, ConnectionRefusedError):
        return f"connection refused, nothing listens there for {kind}", "check host, port and transport"
    if isinstance(error, ConnectionError | ssl.SSLEOFError) and hop.transport == "tls":
        return (
            "connected, but the TLS handshake was not completed",
            "check that this port speaks TLS, and whether it asks for a certificate of ours (--tls-cert)",
        )
    return f"no connection: {words_of(error)}", "check host, port and transport"


def words_of(error: BaseException | None) -> str:
    """What a transport says of the end of a connection; None is an orderly one."""
    if error is None:
        return "the far end closed the connection"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).upper().replace(" ", "_")
        for alert, words in _ALERTS:
            if alert in reason:
                return words
        return f"TLS failed ({error.reason or error})"
    if isinstance(error, ConnectionError):
        return "the far end reset the connection"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _why_not_trusted(error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    code, text = error.verify_code, error.verify_message
    if code in _EXPIRED:
        return "its certificate has expired", "it must be renewed there; --insecure goes on without checking"
    if code in _NOT_YET_VALID:
        return (
            "its certificate is not valid yet",
            "check the clock of this machine, and the certificate there",
        )
    if code in _UNKNOWN_CA:
        return (
            f"its certificate is signed by no CA that is known here ({text})",
            "give the CA's certificate (--tls-ca) or pin the certificate itself (--tls-pin)",
        )
    return f"its certificate is not trusted: {text}", "have it mended there, or pin it (--tls-pin)"

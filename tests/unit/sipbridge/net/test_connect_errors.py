import re
import ssl

import pytest

from tuner_sipbridge.net.connect_errors import why_not_connected, words_of
from tuner_sipbridge.sip.routing import Hop

FAR = Hop("tls", "192.0.2.7", 5061, name="edge.example")


def distrust(code: int, text: str = "text of OpenSSL") -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, text
    return error


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (distrust(10), "has expired"),
        (distrust(9), "not valid yet: check the clock"),
        (
            distrust(18, "self-signed certificate"),
            r"no CA that is known here \(self-signed certificate\).*--tls-ca",
        ),
        (distrust(23), "not trusted: text of OpenSSL"),
        (alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "asks for a certificate of ours.*--tls-cert"),
        (alert("TLSV1_ALERT_UNKNOWN_CA"), "does not know the CA of our certificate"),
        (alert("WRONG_VERSION_NUMBER"), "does not speak TLS"),
        (alert("SOMETHING_NEW"), "SOMETHING_NEW"),
        (TimeoutError(), "no connection within 5 s"),
        (ConnectionRefusedError(), "nothing listens there for TLS"),
        (ConnectionResetError(), "check that this port speaks TLS"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_each_failure_says_where_what_and_what_to_do(error: BaseException, words: str):
    text = why_not_connected(FAR, error, within_s=5.0)
    assert text.startswith("tls 192.0.2.7:5061: ")
    assert re.search(words, text)


def test_the_end_of_a_connection_has_words():
    assert words_of(None) == "the far end closed the connection"
    assert words_of(ConnectionResetError()) == "the far end reset the connection"
    assert words_of(OSError(110, "Connection timed out")) == "Connection timed out"

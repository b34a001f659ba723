import re
from pathlib import Path

import pytest

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.net.tls import TlsSettings

PIN = "ab" * 32


@pytest.mark.parametrize(
    "written", [PIN, PIN.upper(), ":".join(["AB"] * 32), "sha256 Fingerprint=" + ":".join(["AB"] * 32) + "\n"]
)
def test_a_pin_is_taken_as_openssl_prints_it(written: str):
    assert TlsSettings(pin=written).pin == PIN


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"pin": "abc"}, "64 hexadecimal digits"),
        ({"key": Path("key.pem")}, "a key without its certificate"),
        ({"insecure": True, "pin": PIN}, "checks nothing"),
        ({"insecure": True, "ca_file": Path("ca.pem")}, "checks nothing"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], reason: str):
    with pytest.raises(LocalProtocolError, match=reason):
        TlsSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), ("not PEM", "it does not hold")])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, reason: str):
    file = tmp_path / "given.pem"
    if content is not None:
        file.write_text(content)
    for settings in (TlsSettings(ca_file=file), TlsSettings(certificate=file)):
        with pytest.raises(LocalProtocolError, match=f"{re.escape(str(file))}: .*{reason}"):
            settings.client_context()


def test_answering_needs_a_certificate():
    with pytest.raises(LocalProtocolError, match="--tls-cert"):
        TlsSettings().server_context()


def test_the_certificate_that_is_shown_instead_of_the_pinned_one_is_named():
    assert "its SHA-256 is ba7816bf" in TlsSettings(pin=PIN).objection_to(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert TlsSettings(pin=digest).objection_to(b"abc") == ""
    assert TlsSettings(pin=PIN).objection_to(None) == ""

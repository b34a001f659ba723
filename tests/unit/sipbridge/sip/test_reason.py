from __future__ import annotations

import pytest

from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.reason import Reason, Warning, in_plain_words, reasons_in, warnings_of


def test_several_reasons_with_commas_in_quotes():
    assert reasons_in('Q.850;cause=17;text="busy, sorry", SIP ; cause=486') == (
        Reason("Q.850", 17, "busy, sorry"),
        Reason("SIP", 486),
    )


def test_what_is_malformed_is_left_out():
    assert reasons_in('SIP;cause="') == ()
    assert reasons_in("SIP;cause=many, Q.850;cause=16") == (Reason("SIP"), Reason("Q.850", 16))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Q.850;cause=17", "the user is busy (Q.850 17)"),
        ('Q.850;cause=16;text="Terminated"', "normal call clearing: Terminated (Q.850 16)"),
        ('SIP;cause=600;text="Busy Everywhere"', "Busy Everywhere (SIP 600)"),
        ("Q.850;cause=99", "Q.850 99"),
        ("the caller hung up before the answer", "the caller hung up before the answer"),
        ("", ""),
    ],
)
def test_in_plain_words(text: str, words: str):
    assert in_plain_words(text) == words


def test_is_written_as_it_is_read():
    text = 'SIP;cause=200;text="Call completed \\"elsewhere\\""'
    assert str(Reason.parse(text)) == text


def test_warnings():
    headers = Headers(
        [("Warning", '307 isi.edu "Session parameter, \'foo\'", 301 x "net"'), ("Warning", "odd")]
    )
    assert warnings_of(headers) == (
        Warning(307, "isi.edu", "Session parameter, 'foo'"),
        Warning(301, "x", "net"),
    )
    with pytest.raises(RemoteProtocolError):
        Warning.parse("not a code")

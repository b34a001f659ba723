from __future__ import annotations

import pytest

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sdp.session import MediaDescription, RtpMap, SessionDescription

AGENT = """\
v=0
o=- 81 3 IN IP4 192.0.2.9
s=-
c=IN IP4 192.0.2.9
b=AS:84
t=0 0
a=group:BUNDLE 0
a=recvonly
m=audio 30000 UDP/TLS/RTP/SAVPF 111 0 8 96 101 x
a=rtpmap:111 opus/48000/2
a=fmtp:111 useinbandfec=1
a=unheard-of
a=rtpmap:96 L16/8000
a=rtpmap:101 telephone-event/8000
a=ptime:30
m=video 30002/2 RTP/AVP 31
i=camera
c=IN IP6 2001:db8::1
a=sendonly
""".replace("\n", "\r\n")


def test_a_description_is_written_as_it_was_read():
    description = SessionDescription.parse(AGENT)
    assert str(description) == AGENT
    assert description.to_bytes() == AGENT.encode()


def test_what_a_call_reads():
    description = SessionDescription.parse(AGENT.encode())
    audio, video = description.media
    assert (audio.media, audio.port, audio.protocol) == ("audio", 30000, "UDP/TLS/RTP/SAVPF")
    assert audio.codecs == [
        RtpMap(111, "opus", 48000, 2),
        RtpMap(0, "PCMU", 8000),
        RtpMap(8, "PCMA", 8000),
        RtpMap(96, "L16", 8000),
        RtpMap(101, "telephone-event", 8000),
    ]
    assert (audio.ptime_ms, video.ptime_ms) == (30, None)
    assert audio.attribute("unheard-of") == ""
    assert audio.attribute("fmtp") == "111 useinbandfec=1"
    assert audio.attribute("rtcp-mux") is None
    assert (description.address_of(audio), description.address_of(video)) == ("192.0.2.9", "2001:db8::1")
    assert (description.direction_of(audio), description.direction_of(video)) == ("recvonly", "sendonly")
    assert (video.port, video.port_count) == (30002, 2)


def test_a_static_payload_type_can_be_given_another_meaning():
    media = SessionDescription.parse("v=0\r\nm=audio 4 RTP/AVP 0\r\na=rtpmap:0 speex/8000\r\n").media[0]
    assert media.codecs == [RtpMap(0, "speex", 8000)]


def test_what_comes_loosely_written_is_read():
    description = SessionDescription.parse(
        b"v=0\nm=audio  4  RTP/AVP  0   8 \nc=in ip4  10.0.0.1/127/2\na=ptime: 20\n\r\n\n"
    )
    media = description.media[0]
    assert media.formats == ("0", "8")
    assert description.address_of(media) == "10.0.0.1"
    assert media.ptime_ms == 20
    assert description.direction_of(media) == "sendrecv"
    assert SessionDescription.parse(str(description)) == description


@pytest.mark.parametrize("ptime", ["0", "-20", "20.5", "²0", "", "99999"])
def test_a_ptime_that_is_none_is_not_believed(ptime: str):
    media = SessionDescription.parse(f"v=0\r\nm=audio 4 RTP/AVP 0\r\na=ptime:{ptime}\r\n").media[0]
    assert media.ptime_ms is None


def test_octets_that_are_not_utf_8_come_out_as_they_went_in():
    data = b"v=0\r\ns=caf\xe9\r\n"
    assert SessionDescription.parse(data).to_bytes() == data


def test_the_version_counts_changes():
    description = SessionDescription.parse(AGENT)
    assert description.version == 3
    assert str(description.with_version(4)) == AGENT.replace("81 3 IN", "81 4 IN")
    bare = SessionDescription.parse("v=0\r\n")
    assert (bare.version, bare.with_version(4)) == (None, bare)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'line 1: not "v=0"'),
        ("v=1\r\n", 'line 1: not "v=0"'),
        ("o=x\r\nv=0\r\n", 'line 1: not "v=0"'),
        ("v=0\r\n\r\ns=-\r\n", "line 2"),
        ("v=0\r\nm =audio 4 RTP/AVP 0\r\n", "line 2"),
        ("v=0\r\ntesting=123\r\n", "line 2"),
        ("v=0\r\ns=a\rb\r\n", "line 2"),
        ("v=0\r\nv=0\r\n", "line 2"),
        ("v=0\r\ns=-\r\nm=audio\r\n", "line 3: not media, port"),
        ("v=0\r\nm=audio 65536 RTP/AVP 0\r\n", "line 2: not media, port"),
        ("v=0\r\nm=audio -1 RTP/AVP 0\r\n", "line 2: not media, port"),
        ("v=0\r\nm=audio 4\r\n", "line 2: not media, port"),
    ],
)
def test_a_broken_description_is_refused_by_line(text: str, reason: str):
    with pytest.raises(RemoteProtocolError, match=reason):
        SessionDescription.parse(text)


def test_a_description_cannot_be_made_of_lines_that_would_be_read_otherwise():
    for line in [("a", "x\r\nm=video"), ("m", "audio"), ("v", "0"), ("aa", "x"), ("", "x"), ("a=b", "x")]:
        with pytest.raises(LocalProtocolError):
            SessionDescription((line,))
    with pytest.raises(LocalProtocolError):
        MediaDescription("audio", 4, "RTP/AVP 0", ("8",))
    with pytest.raises(LocalProtocolError):
        MediaDescription("audio", -1, "RTP/AVP", ("8",))

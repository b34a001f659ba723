"""Any cut of a stream gives the same frames, and the same verdict on a stream that is broken."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tuner_sipbridge.sip.framing import Frame, StreamFramer
from tuner_sipbridge.sip.parser import Limits

MESSAGE = b"""%s sip:agent@far.example SIP/2.0
Via: SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK-1
From: <sip:caller@10.0.0.1>;tag=a
To: <sip:agent@far.example>
Call-ID: c1
CSeq: 1 %s
%s%d

%s"""


def message(method: bytes, header: bytes, body: bytes, excess: int, *, crlf: bool) -> bytes:
    head, blank, _ = (MESSAGE % (method, method, header, len(body) + excess, b"")).partition(b"\n\n")
    return (head + blank).replace(b"\n", b"\r\n" if crlf else b"\n") + body


MESSAGES = st.builds(
    message,
    st.sampled_from([b"INFO", b"BYE"]),
    st.sampled_from([b"Content-Length: ", b"l:", b"Content-Length:\n ", b"X: "]),
    st.binary(max_size=30),
    st.sampled_from([0, 0, 0, 0, 1]),
    crlf=st.booleans(),
)
BETWEEN = st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"\r", b"\n", b"\x00"])
STREAMS = st.lists(st.one_of(MESSAGES, BETWEEN, st.binary(max_size=5)), max_size=6).map(b"".join)


def read(pieces: list[bytes]) -> tuple[list[Frame], str | None]:
    framer = StreamFramer(Limits(message_octets=600, head_octets=400))
    frames = [frame for piece in pieces for frame in framer.receive(piece)]
    return frames, framer.broken


@given(STREAMS, st.lists(st.integers(0, 1200), max_size=12))
def test_any_cut_gives_the_same_frames(stream: bytes, cuts: list[int]):
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    assert read(pieces) == read([stream])


@given(STREAMS)
def test_octet_by_octet_gives_the_same_frames(stream: bytes):
    assert read([stream[at : at + 1] for at in range(len(stream))]) == read([stream])

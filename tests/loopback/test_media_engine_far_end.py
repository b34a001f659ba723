"""The media engine against a far end that sends what it likes, from where it likes."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from tuner_sipbridge.media.engine import FirstPacket, MediaParameters, MediaResult
from tuner_sipbridge.media.recording import Recording
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.media_stream import PyMediaStream


class FarEnd:
    """A UDP socket that sends RTP by hand."""

    def __init__(self) -> None:
        self.media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.media.bind(("127.0.0.1", 0))
        self.media.setblocking(False)

    @property
    def address(self) -> tuple[str, int]:
        return self.media.getsockname()

    def send(
        self,
        stream: PyMediaStream,
        sequence: int,
        payload: bytes,
        *,
        timestamp: int,
        ssrc: int = 1,
        first: int = 0x80,
        second: int = 0,
        between: bytes = b"",
    ) -> None:
        head = struct.pack("!BBHII", first, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
        self.media.sendto(head + between + payload, stream.local)


@pytest.fixture(scope="module")
def far_ends() -> Iterator[list[FarEnd]]:
    ends = [FarEnd() for _ in range(3)]
    yield ends
    for end in ends:
        end.media.close()


@pytest.fixture
async def stream(far_ends: list[FarEnd]) -> AsyncIterator[PyMediaStream]:
    """A started stream; the SDP named the first far end."""
    async with PyMediaEngine() as engine:
        opened = await engine.open()
        await opened.start(MediaParameters(remote=far_ends[0].address))
        yield opened


async def close(stream: PyMediaStream) -> MediaResult:
    """Close after what was sent has been taken in."""
    await asyncio.sleep(0.06)
    return await stream.close()


def recorded(result: MediaResult) -> Recording:
    assert result.recording is not None
    return result.recording


def voices(recording: Recording) -> list[int]:
    """The octets heard, each once, in order of appearance."""
    return list(dict.fromkeys(octet for octet in recording.agent.tolist() if octet != 0xFF))


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
async def test_any_packet_time_is_heard_whole(stream: PyMediaStream, far_ends: list[FarEnd], ptime: int):
    size = 8 * ptime
    count = 240 // ptime
    for number in range(count):
        far_ends[0].send(stream, number, bytes([number + 1]) * size, timestamp=number * size)
        await asyncio.sleep(ptime / 1000)
    result = await close(stream)
    agent = recorded(result).agent
    for number in range(count):
        assert int((agent == number + 1).sum()) == size
    assert (result.statistics.received, result.statistics.lost) == (count, 0)


async def test_agent_that_sends_from_another_port_is_heard(stream: PyMediaStream, far_ends: list[FarEnd]):
    far_ends[1].send(stream, 0, b"\x01" * 160, timestamp=0)
    async with asyncio.timeout(5):
        async for event in stream.events():
            if isinstance(event, FirstPacket):
                assert event.source == far_ends[1].address
                break
    statistics = (await close(stream)).statistics
    assert (statistics.asymmetric, statistics.source) == (True, far_ends[1].address)


async def test_strangers_get_no_word_in(stream: PyMediaStream, far_ends: list[FarEnd]):
    for number in range(5):
        far_ends[0].send(stream, number, b"\x01" * 160, timestamp=160 * number)
        await asyncio.sleep(0.02)
        far_ends[2].send(stream, 900 + number, b"\x66" * 160, timestamp=160 * number, ssrc=66)
    result = await close(stream)
    assert voices(recorded(result)) == [1]
    assert (result.statistics.received, result.statistics.discarded) == (5, 5)
    assert not result.statistics.asymmetric


async def test_new_source_of_the_same_far_end_is_followed(stream: PyMediaStream, far_ends: list[FarEnd]):
    for number in range(3):
        far_ends[0].send(stream, number, b"\x01" * 160, timestamp=160 * number)
        await asyncio.sleep(0.02)
    for number in range(3):
        far_ends[0].send(
            stream, 50_000 + number, b"\x02" * 160, timestamp=3_000_000_000 + 160 * number, ssrc=2
        )
        await asyncio.sleep(0.02)
    result = await close(stream)
    recording = recorded(result)
    assert voices(recording) == [1, 2]
    assert [int((recording.agent == voice).sum()) for voice in (1, 2)] == [480, 480]
    assert (result.statistics.expected, result.statistics.lost) == (6, 0)


async def test_odd_headers_lost_repeated_and_late_packets_fall_into_place(
    stream: PyMediaStream, far_ends: list[FarEnd]
):
    send = far_ends[0].send
    send(stream, 65534, b"\x01" * 160, timestamp=0)
    send(stream, 65535, b"\x02" * 160 + b"\0\0\0\x04", timestamp=160, first=0xA0)
    send(stream, 65535, b"\x02" * 160 + b"\0\0\0\x04", timestamp=160, first=0xA0)
    send(stream, 3, b"\x06" * 160, timestamp=800, first=0x92, between=b"csrccsrc\xbe\xde\x00\x01exte")
    send(stream, 0, b"\x03" * 160, timestamp=320, second=0x80)
    send(stream, 2, b"\x05" * 160, timestamp=640)
    far_ends[0].media.sendto(b"\x80\xc9\x00\x01abcd", stream.local)
    far_ends[0].media.sendto(b"not rtp", stream.local)
    await asyncio.sleep(0.2)
    result = await close(stream)
    assert voices(recorded(result)) == [1, 2, 3, 5, 6]
    statistics = result.statistics
    assert (statistics.received, statistics.expected, statistics.lost) == (6, 6, 1)
    assert (statistics.duplicates, statistics.reordered, statistics.discarded) == (1, 2, 1)


async def test_bursts_are_taken_in_whole_with_their_arrivals(stream: PyMediaStream, far_ends: list[FarEnd]):
    """So many packets that their log goes over to the application in several pieces."""
    for burst in range(2):
        for number in range(200 * burst, 200 * burst + 200):
            far_ends[0].send(stream, number, bytes([number % 250 + 1]) * 160, timestamp=160 * number)
        await asyncio.sleep(0.7)
    result = await close(stream)
    assert (result.statistics.received, result.statistics.lost) == (400, 0)
    assert result.statistics.longest_gap_s is not None
    assert 0.5 < result.statistics.longest_gap_s < 3.0
    assert int((np.diff(np.unique(recorded(result).arrivals_ns)) < 0).sum()) == 0


async def test_our_packets_go_to_the_sdps_address_evenly_numbered(
    stream: PyMediaStream, far_ends: list[FarEnd]
):
    while True:
        try:
            far_ends[0].media.recv(2048)
        except BlockingIOError:
            break
    headers: list[tuple[int, int, int, int, int]] = []
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(5):
        while len(headers) < 10:
            datagram = await loop.sock_recv(far_ends[0].media, 2048)
            assert len(datagram) == 172
            headers.append(struct.unpack("!BBHII", datagram[:12]))
    first = headers[0]
    for number, header in enumerate(headers):
        assert header[2] == (first[2] + number) & 0xFFFF
        assert header[3] == (first[3] + 160 * number) & 0xFFFFFFFF
    assert {(header[0], header[1] & 0x7F, header[4]) for header in headers} == {(0x80, 0, first[4])}

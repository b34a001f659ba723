import struct

import pytest

from tuner_sipbridge.rtp.dtmf import EventPacket, EventReceiver, EventSender


def sent(sender: EventSender) -> list[EventPacket | None]:
    packets: list[EventPacket | None] = []
    while sender.busy:
        packets.append(sender.next_packet())
    return packets


def fields(packet: EventPacket | None) -> tuple[int, bool, int] | None:
    if packet is None:
        return None
    code, flags, duration = struct.unpack("!BBH", packet.payload)
    return code, bool(flags & 0x80), duration


def test_digit_grows_ends_three_times_and_pauses():
    sender = EventSender()
    sender.queue("5", mark="m")
    assert [fields(packet) for packet in sent(sender)] == [
        (5, False, 160),
        (5, False, 320),
        (5, False, 480),
        (5, False, 640),
        (5, True, 800),
        (5, True, 800),
        (5, True, 800),
        None,
        None,
        None,
    ]


def test_all_packets_of_a_digit_share_the_timestamp_of_its_beginning():
    sender = EventSender()
    sender.queue("1", mark="m")
    assert [packet.elapsed_ticks for packet in sent(sender) if packet] == list(range(7))


def test_only_the_first_packet_of_each_digit_has_the_marker():
    sender = EventSender()
    sender.queue("12", mark="m")
    assert [tick for tick, packet in enumerate(sent(sender)) if packet and packet.marker] == [0, 10]


def test_mark_is_finished_by_the_last_packet_of_the_last_digit():
    sender = EventSender()
    sender.queue("12", mark="first")
    sender.queue("#", mark="second")
    finished = [(tick, p.finishes) for tick, p in enumerate(sent(sender)) if p and p.finishes is not None]
    assert finished == [(16, "first"), (26, "second")]


def test_keys_have_the_codes_of_the_standard():
    sender = EventSender()
    sender.queue("0*#d", mark="m")
    assert [p.payload[0] for p in sent(sender) if p and p.marker] == [0, 10, 11, 15]


@pytest.mark.parametrize("digits", ["", "1 2", "12x"])
def test_what_is_not_on_a_keypad_is_refused_whole(digits: str):
    sender = EventSender()
    with pytest.raises(ValueError, match="not digits"):
        sender.queue(digits, mark="m")
    assert not sender.busy


def event(code: int = 4, *, end: bool = False, duration: int = 160) -> bytes:
    return struct.pack("!BBH", code, 0x80 if end else 0, duration)


def test_event_is_told_once_however_often_it_is_sent():
    receiver = EventReceiver()
    packets = [event(duration=160 * n) for n in range(1, 5)] + [event(end=True, duration=800)] * 3
    assert [receiver.receive(packet, ssrc=1, timestamp=1000) for packet in packets] == ["4"] + [None] * 6


def test_event_whose_first_packets_are_lost_is_told_by_its_end():
    assert EventReceiver().receive(event(11, end=True), ssrc=1, timestamp=7) == "#"


def test_same_key_pressed_twice_is_two_digits():
    receiver = EventReceiver()
    assert receiver.receive(event(), ssrc=1, timestamp=0xFFFFFF00) == "4"
    assert receiver.receive(event(), ssrc=1, timestamp=0x00000540) == "4"


def test_late_packet_of_an_earlier_event_is_no_new_digit():
    receiver = EventReceiver()
    receiver.receive(event(1), ssrc=1, timestamp=1000)
    receiver.receive(event(2), ssrc=1, timestamp=2600)
    assert receiver.receive(event(1, end=True), ssrc=1, timestamp=1000) is None


def test_far_end_that_starts_anew_is_heard():
    receiver = EventReceiver()
    receiver.receive(event(1), ssrc=1, timestamp=5000)
    assert receiver.receive(event(2), ssrc=2, timestamp=10) == "2"


@pytest.mark.parametrize("payload", [b"", b"\x01\x00\x00", event(16), event(255)])
def test_short_packets_and_other_events_are_no_digits(payload: bytes):
    assert EventReceiver().receive(payload, ssrc=1, timestamp=1) is None

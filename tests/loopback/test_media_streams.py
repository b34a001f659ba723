"""A worker's table of streams, without its process: what one bad command may cost."""

from collections.abc import Iterator

import pytest

from tuner_sipbridge.audio.activity import SpeechThresholds
from tuner_sipbridge.media import messages
from tuner_sipbridge.media.engine import MediaParameters
from tuner_sipbridge.media.grid import Grid
from tuner_sipbridge.net.media_streams import StreamTable

REMOTE = ("127.0.0.1", 9)


@pytest.fixture
def table() -> Iterator[StreamTable]:
    settings = messages.WorkerSettings(0.0, slots=2, thresholds=SpeechThresholds(), ports=None)
    opened = StreamTable(settings, Grid(1000.0, 2), lambda: 1000.0)
    for stream in (1, 2):
        opened.carry_out(messages.Open(stream, "127.0.0.1", True, True, ssrc=stream, sequence=0, timestamp=0))
    yield opened
    for stream in (1, 2):
        opened.carry_out(messages.Close(stream))


def told(table: StreamTable) -> list[messages.Report]:
    while table.closing:
        table.hand_over()
    reports, table.reports = table.reports, []
    return reports


def test_command_that_fails_costs_its_own_stream_only(table: StreamTable):
    table.carry_out(messages.Start(2, MediaParameters(remote=REMOTE)))
    told(table)
    table.carry_out(messages.Start(1, MediaParameters(remote=REMOTE, payload_type=70_000)))
    (failed,) = told(table)
    assert isinstance(failed, messages.Failed)
    assert failed.stream == 1
    assert [len(slot) for slot in table.slots] == [1, 0]
    assert len(table.receivers) == 1


def test_streams_are_spread_over_the_slots(table: StreamTable):
    for stream in (1, 2):
        table.carry_out(messages.Start(stream, MediaParameters(remote=REMOTE)))
    assert [len(slot) for slot in table.slots] == [1, 1]


def test_commands_for_a_stream_that_is_gone_do_nothing(table: StreamTable):
    table.carry_out(messages.Close(1))
    told(table)
    for command in (messages.Play(1, b"x", "m"), messages.Clear(1), messages.Close(1), messages.Close(7)):
        table.carry_out(command)
    assert told(table) == []


def test_stream_that_never_started_closes_with_nothing(table: StreamTable):
    told(table)
    table.carry_out(messages.Close(1))
    assert told(table) == [messages.Closed(1, messages.StreamLog.empty())]

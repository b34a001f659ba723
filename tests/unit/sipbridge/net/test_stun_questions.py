"""What is asked of a STUN server, and what is said when it does not do its part."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tuner_sipbridge.errors import NetworkError
from tuner_sipbridge.net.stun_questions import StunQuestions

from ....nat import answer, refusal

SERVER = ("127.0.0.1", 3478)
SEEN, OTHER = ("192.0.2.1", 32853), ("192.0.2.1", 32854)


class Socket:
    """Keeps the questions that are sent through it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.questions = StunQuestions(self.send, what="media", waits_s=(0.0, 0.0))

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        assert to == SERVER
        self.sent.append(data)


async def asked(waits_s: tuple[float, ...] = (5.0,)) -> tuple[Socket, asyncio.Task[tuple[str, int]]]:
    socket = Socket()
    socket.questions = StunQuestions(socket.send, what="media", waits_s=waits_s)
    task = asyncio.ensure_future(socket.questions.ask(SERVER))
    await asyncio.sleep(0)
    return socket, task


async def test_a_question_is_repeated_as_it_was_until_its_time_is_over():
    socket, task = await asked((0.0, 0.0, 0.0))
    with pytest.raises(NetworkError, match="does not answer the media port"):
        await task
    assert len(socket.sent) == 3
    assert len(set(socket.sent)) == 1


async def test_the_first_answer_counts():
    socket, task = await asked()
    socket.questions.receive(b"\x01\x01 something else", SERVER)
    socket.questions.receive(answer(socket.sent[0], SEEN), SERVER)
    assert await task == SEEN


async def test_a_refusal_is_told_at_once():
    socket, task = await asked()
    socket.questions.receive(refusal(socket.sent[0]), SERVER)
    with pytest.raises(NetworkError, match="refuses to say the address: 500"):
        await task


@pytest.mark.parametrize(("second", "said"), [(OTHER, True), (SEEN, False)])
async def test_answers_that_differ_are_told(
    caplog: pytest.LogCaptureFixture, second: tuple[str, int], said: bool
):
    socket, task = await asked()
    socket.questions.receive(answer(socket.sent[0], SEEN), SERVER)
    await task
    with caplog.at_level(logging.WARNING):
        socket.questions.receive(answer(socket.sent[0], second), SERVER)
    told = "sees the media port as 192.0.2.1:32853 and then as 192.0.2.1:32854"
    assert (told in caplog.text) is said

"""The STUN questions of one socket: each is repeated until it is answered (RFC 8489 §6.2.1)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence

from tuner_sipbridge.errors import NetworkError
from tuner_sipbridge.net import stun
from tuner_sipbridge.sip.grammar import bracketed
from tuner_sipbridge.sip.routing import Address

logger = logging.getLogger("tuner_sipbridge.net")

WAITS_S = (0.5, 1.0, 2.0)
"""Seconds after each sending of a request: RTO and its doubling, of which RFC 8489 §6.2.1 has seven; a call waits."""


class StunQuestions:
    """Asks what a NAT shows for a socket, and says so when the server is silent, refuses, or says two things."""

    def __init__(
        self, send: Callable[[bytes, Address], None], *, what: str, waits_s: Sequence[float] = WAITS_S
    ) -> None:
        """Prepare.

        Args:
            send: sends a datagram from the socket.
            what: what the socket is for, for errors.
            waits_s: how long an answer is awaited after each sending of a question.
        """
        self._send, self._what, self._waits_s = send, what, waits_s
        self._asked: dict[bytes, asyncio.Future[Address]] = {}

    async def ask(self, server: Address) -> Address:
        """The address and port that a server sees; `server` is numeric.

        Raises:
            NetworkError: it does not answer, or refuses.
        """
        question = secrets.token_bytes(stun.TRANSACTION_ID_OCTETS)
        answer = self._asked[question] = asyncio.get_running_loop().create_future()
        for wait_s in self._waits_s:
            self._send(stun.binding_request(question), server)
            await asyncio.wait({answer}, timeout=wait_s)
            if answer.done():
                return answer.result()
        del self._asked[question]
        raise NetworkError(
            f"{_named(server)} does not answer the {self._what} port: check its name, and that a firewall lets UDP "
            "through"
        )

    def receive(self, data: bytes, server: Address) -> None:
        """Take a STUN message that came to the socket; `server` is who was asked."""
        for question, answer in self._asked.items():
            mapped, code = stun.mapped_address(data, question), stun.refusal(data, question)
            if answer.done():
                if mapped is not None and answer.exception() is None and mapped != answer.result():
                    logger.warning(
                        "%s sees the %s port as %s and then as %s: the NAT changes it from packet to packet, "
                        "so that what is told of it holds for nobody else",
                        _named(server),
                        self._what,
                        _shown(answer.result()),
                        _shown(mapped),
                    )
            elif mapped is not None:
                answer.set_result(mapped)
            elif code is not None:
                answer.set_exception(NetworkError(f"{_named(server)} refuses to say the address: {code}"))


def _named(server: Address) -> str:
    return f"the STUN server {_shown(server)}"


def _shown(address: Address) -> str:
    return f"{bracketed(address[0])}:{address[1]}"

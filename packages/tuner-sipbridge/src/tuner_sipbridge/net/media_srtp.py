"""A media socket whose packets are protected on their way out and opened on their way in (RFC 3711)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from tuner_sipbridge.rtp.packet import is_rtcp, is_stun
from tuner_sipbridge.rtp.srtp import Opener, Protector
from tuner_sipbridge.sdp.crypto import SrtpKeys

_MISMATCH_AFTER = 50
"""Packets refused without a single good one after which the key is taken to be wrong: a second of audio."""


class SrtpSocket:
    """Stands in for a socket's `sendto` and `recvmsg_into`; `change` gives it keys before the first packet.

    Attributes:
        refused: packets that were not authentic.
    """

    def __init__(self, media: socket.socket, mismatch: Callable[[int], None]) -> None:
        """`mismatch` is told, once for each key, that nothing but refused packets comes, and how many."""
        self._media, self._mismatch = media, mismatch
        self._keys: SrtpKeys | None = None
        self._protector: Protector | None = None
        self._opener: Opener | None = None
        self._refused_in_a_row: int | None = 0
        self.refused = 0

    def change(self, keys: SrtpKeys) -> None:
        """Go on with these keys; a way whose key stays goes on counting where it was (RFC 3711 §3.3.1)."""
        before, self._keys = self._keys, keys
        if before is None or (before.suite, before.send) != (keys.suite, keys.send):
            self._protector = Protector(keys.suite, keys.send)
        if before is None or (before.suite, before.receive) != (keys.suite, keys.receive):
            self._opener = Opener(keys.suite, keys.receive)
            self._refused_in_a_row = 0

    def sendto(self, packet: memoryview | bytes, address: tuple[Any, ...]) -> int:
        """Protect a packet and send it.

        Raises:
            OSError: the kernel does not take it.
        """
        assert self._protector is not None
        return self._media.sendto(self._protector.protect(bytes(packet)), address)

    def recvmsg_into(
        self, buffers: tuple[memoryview], ancillary_size: int
    ) -> tuple[int, Sequence[tuple[int, int, bytes]], int, Any]:
        """Receive a packet and open it in its place; one that is not authentic comes out empty.

        RTCP and STUN come out as they are: neither is audio.

        Raises:
            OSError: there is none.
        """
        size, ancillary, flags, source = self._media.recvmsg_into(buffers, ancillary_size)
        window = buffers[0]
        if is_rtcp(window[:size]) or is_stun(window[:size]):
            return size, ancillary, flags, source
        assert self._opener is not None
        packet = self._opener.open(bytes(window[:size]))
        if packet is None:
            self._refuse()
            return 0, ancillary, flags, source
        self._refused_in_a_row = None
        window[: len(packet)] = packet
        return len(packet), ancillary, flags, source

    def _refuse(self) -> None:
        self.refused += 1
        if self._refused_in_a_row is None:
            return
        self._refused_in_a_row += 1
        if self._refused_in_a_row == _MISMATCH_AFTER:
            self._mismatch(self._refused_in_a_row)

"""The timers of RFC 3261 §17, all of them derived from three base values (table 4 of the RFC)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


def earliest(deadlines: Iterable[float | None]) -> float | None:
    """The first of several deadlines, None when none of them is set."""
    first = None
    for at in deadlines:
        if at is not None and (first is None or at < first):
            first = at
    return first


@dataclass(frozen=True, slots=True)
class Timers:
    """Base values, in seconds, and the timers that follow from them.

    A timer that repeats a message is None over a reliable transport, where nothing is repeated; a timer
    that only waits for repeats is 0 there.

    Attributes:
        t1: estimate of the round-trip time.
        t2: longest interval between repeats of a non-INVITE request or of a response to an INVITE.
        t4: longest time a message stays in the network.
        reliable: True over TCP and TLS.
        gives_up_s: after so long without any response a request of ours is given up; 64*T1 when None.
    """

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    reliable: bool = False
    gives_up_s: float | None = None

    def over(self, transport: str) -> Timers:
        """The same base values for `udp`, where messages get lost, or for `tcp` and `tls` (RFC 3261 §17)."""
        reliable = transport != "udp"
        return self if self.reliable is reliable else replace(self, reliable=reliable)

    @property
    def patience(self) -> float:
        """64*T1: after this long without a sign the peer counts as gone."""
        return 64 * self.t1

    @property
    def a(self) -> float | None:
        """First interval at which the INVITE is repeated; doubles each time (§17.1.1.2)."""
        return None if self.reliable else self.t1

    @property
    def b(self) -> float:
        """INVITE client transaction: no response at all (§17.1.1.2)."""
        return self.patience if self.gives_up_s is None else self.gives_up_s

    @property
    def d(self) -> float:
        """INVITE client transaction: how long repeats of a final response are acknowledged (§17.1.1.2).

        The RFC asks for at least 32 s, which is 64*T1 of its own T1; it scales with T1 here.
        """
        return 0.0 if self.reliable else self.patience

    @property
    def e(self) -> float | None:
        """First interval at which a non-INVITE request is repeated; doubles up to T2 (§17.1.2.2)."""
        return None if self.reliable else self.t1

    @property
    def f(self) -> float:
        """Non-INVITE client transaction: no final response (§17.1.2.2)."""
        return self.patience if self.gives_up_s is None else self.gives_up_s

    @property
    def g(self) -> float | None:
        """First interval at which a final response to INVITE is repeated; doubles up to T2 (§17.2.1)."""
        return None if self.reliable else self.t1

    @property
    def h(self) -> float:
        """INVITE server transaction: no ACK (§17.2.1)."""
        return self.patience

    @property
    def i(self) -> float:
        """INVITE server transaction: how long repeated ACKs are absorbed (§17.2.1)."""
        return 0.0 if self.reliable else self.t4

    @property
    def j(self) -> float:
        """Non-INVITE server transaction: how long repeated requests are answered (§17.2.2)."""
        return 0.0 if self.reliable else self.patience

    @property
    def k(self) -> float:
        """Non-INVITE client transaction: how long repeated responses are absorbed (§17.1.2.2)."""
        return 0.0 if self.reliable else self.t4

    @property
    def l(self) -> float:  # noqa: E743 - the name RFC 6026 gives the timer
        """INVITE server transaction: how long repeats are known after a 2xx (RFC 6026 §8.7)."""
        return self.patience

    @property
    def m(self) -> float:
        """INVITE client transaction: how long further 2xx are taken in, forks among them (RFC 6026 §8.4)."""
        return self.patience


DEFAULT_TIMERS = Timers()
"""The values RFC 3261 gives for UDP."""

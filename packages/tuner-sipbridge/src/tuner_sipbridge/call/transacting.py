"""What every machine leaves to its transactions: taking and giving messages, and what the transport says of them."""

from __future__ import annotations

from tuner_sipbridge.sip.message import Message, Request
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.transaction_layer import TransactionLayer


class Transacting:
    """A machine on a transaction layer; it says in `_pump` what becomes of the layer's events."""

    _layer: TransactionLayer

    def receive(self, message: Message, *, now: float, source: Hop | None = None) -> None:
        """Take one message of this Call-ID; `source` is where it came from."""
        self._layer.receive(message, now=now, source=source)
        self._pump(now)

    def unreachable(self, hop: Hop, why: str, *, now: float, again: bool = False) -> None:
        """The transport cannot reach a hop that `outgoing` named, or lost the connection to it.

        A request that nobody answered yet fails at once (RFC 3261 §8.1.3.1), with no waiting for Timer B or F.

        Args:
            hop: as `outgoing` gave it.
            why: the cause in plain words.
            now: Unix time in seconds.
            again: the connection had carried messages before: what is unanswered goes once more, on a new one.
        """
        self._layer.unreachable(hop, why, now=now, again=again)
        self._pump(now)

    def located(self, request: Request, target: Hop | None, *, now: float) -> None:
        """Where a request goes that `outgoing` gave with a name; see `TransactionLayer.located`."""
        self._layer.located(request, target, now=now)
        self._pump(now)

    def unheard(self, branch: str, method: str, why: str, *, now: float) -> None:
        """Wait no longer for a response to a request, unless one came; the next target of its name is tried."""
        self._layer.unheard(branch, method, why, now=now)
        self._pump(now)

    def outgoing(self) -> list[tuple[Message, Hop]]:
        """The messages to send, in order, each with where it goes; drained."""
        return self._layer.outgoing()

    def _pump(self, now: float) -> None:
        """Let the events of the layer take effect."""
        raise NotImplementedError

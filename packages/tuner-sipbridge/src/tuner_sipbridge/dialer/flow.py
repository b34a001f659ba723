"""Calls over a flow that the far end opened: its connection to us, or the way through its NAT (RFC 5626 §5.3)."""

from __future__ import annotations

from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.provided import dialable
from tuner_sipbridge.dialer.ways import Way
from tuner_sipbridge.media.engine import MediaEngine
from tuner_sipbridge.net.driver import SipDriver
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri


class FlowDialer(Dialer):
    """A dialer whose calls leave from sockets that the far end has reached, the way it came."""

    def __init__(self, driver: SipDriver, flow: Hop, *, engine: MediaEngine) -> None:
        """Prepare.

        Args:
            driver: the sockets; their owner closes them.
            flow: where the far end is reached, as `Binding.flow` gives it.
            engine: media engine; its owner closes it.
        """
        super().__init__(engine=engine, transport=flow.transport)
        self._sockets, self._flow = driver, flow

    async def _reach(self, target: str) -> tuple[Uri, list[Way], SipDriver]:
        return dialable(target), [Way(self._flow)], self._sockets

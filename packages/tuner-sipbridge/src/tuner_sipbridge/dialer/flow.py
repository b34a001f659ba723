"""Calls over a flow that the far end opened: its connection to us, or the way through its NAT (RFC 5626 §5.3)."""

from __future__ import annotations

from dataclasses import replace

from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.ways import Way
from tuner_sipbridge.media.engine import MediaEngine
from tuner_sipbridge.net.driver import SipDriver
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.targets import DEFAULT_PENALTY_S
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
        self._placing = replace(self._placing, ways=_OneWay(flow), sockets=_OneDriver(driver))


class _OneWay:
    """Every URI is reached over the flow."""

    def __init__(self, flow: Hop) -> None:
        self._way = Way(flow)

    async def towards(self, uri: Uri) -> list[Way]:
        return [self._way]

    def note_failure(self, way: Way, why: str, *, for_s: float = DEFAULT_PENALTY_S) -> None:
        """There is no other to try before it."""

    def note_success(self, way: Way) -> None:
        """It is the only one in any case."""


class _OneDriver:
    """Every call leaves from the sockets that the flow came to."""

    def __init__(self, driver: SipDriver) -> None:
        self._driver = driver

    async def at(self, host: str) -> SipDriver:
        return self._driver

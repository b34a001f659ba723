"""A telephone line as an agent behind SIP sees it: who calls, the audio, and a way to hang up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias

from tuner_sipbridge.media.engine import MediaStream


class Line(Protocol):
    """One answered inbound call. `stream` was opened live and is running."""

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the INVITE."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the INVITE, names in lower case; the first value of each."""
        ...

    @property
    def caller(self) -> str:
        """User part of the From URI, or its host when there is none."""
        ...

    @property
    def called(self) -> str:
        """User part of the Request-URI, or its host when there is none."""
        ...

    @property
    def stream(self) -> MediaStream:
        """The call's media, live."""
        ...

    @property
    def codec(self) -> str:
        """`PCMU` or `PCMA`, whatever the packets carry: what `stream.play` takes and `stream.frames` gives."""
        ...

    def hang_up(self) -> None:
        """Send BYE; `ended` completes soon after."""
        ...

    async def ended(self) -> str:
        """Wait until the call is over; gives `caller` or `agent`, whoever hung up, or `network`."""
        ...


Agent: TypeAlias = Callable[[Line], Awaitable[None]]
"""Serves one call from answer to end. Returning while the call stands hangs up."""

"""Which extensions of SIP a call speaks, and on what terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tuner_sipbridge.errors import LocalProtocolError

Reliability: TypeAlias = Literal["no", "supported", "required"]
Side: TypeAlias = Literal["us", "peer"]

LEAST_SESSION_INTERVAL_S = 90
"""The shortest session interval there is (RFC 4028 §4)."""


@dataclass(frozen=True, slots=True)
class Extensions:
    """Terms of the extensions.

    Attributes:
        session_interval_s: session interval to ask for (RFC 4028), None for calls without session timer.
        least_session_interval_s: shortest interval to agree to; shorter ones are refused with 422.
        refresher: who is to refresh the session; None lets the answering side choose.
        reliable: reliable provisional responses (RFC 3262): refused, spoken when the far end wants them, or
            required of it.
        refer: whether the far end may transfer us by REFER (RFC 3515); else REFER is refused with 603.

    Raises:
        LocalProtocolError: an interval is shorter than 90 s.
    """

    session_interval_s: int | None = 1800
    least_session_interval_s: int = LEAST_SESSION_INTERVAL_S
    refresher: Side | None = None
    reliable: Reliability = "supported"
    refer: bool = True

    def __post_init__(self) -> None:
        if self.least_session_interval_s < LEAST_SESSION_INTERVAL_S or (
            self.session_interval_s is not None and self.session_interval_s < self.least_session_interval_s
        ):
            raise LocalProtocolError(
                f"a session interval is at least {LEAST_SESSION_INTERVAL_S} s and its own minimum (RFC 4028 §4)"
            )

    @property
    def supported(self) -> tuple[str, ...]:
        """Option tags for Supported, and those that a Require of the far end may name."""
        tags = ["replaces", "norefersub"]
        if self.reliable != "no":
            tags.append("100rel")
        if self.session_interval_s is not None:
            tags.append("timer")
        return tuple(sorted(tags))

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Supported, and Require where the far end must speak an extension: for an INVITE of ours."""
        headers = [("Supported", ", ".join(self.supported))]
        if self.reliable == "required":
            headers.append(("Require", "100rel"))
        return headers


DEFAULT_EXTENSIONS = Extensions()
"""All extensions, none required of the far end."""

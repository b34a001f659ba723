"""Which extensions of SIP a call speaks, and on what terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from tuner_sipbridge.errors import LocalProtocolError

Reliability: TypeAlias = Literal["no", "supported", "required"]
Side: TypeAlias = Literal["us", "peer"]

LEAST_SESSION_INTERVAL_S = 90
"""The shortest session interval there is (RFC 4028 §4)."""

_TOO_LONG_S = 2**31


@dataclass(frozen=True, slots=True)
class Extensions:
    """Terms of the extensions.

    Attributes:
        session_interval_s: session interval to ask for (RFC 4028), None for calls without session timer.
        least_session_interval_s: shortest interval to agree to; shorter ones are refused with 422.
        refresher: who is to refresh the session; None lets the answering side choose. With `us` the timer runs even
            where the far end knows of none (RFC 4028 §7.2, §9).
        reliable: reliable provisional responses (RFC 3262): refused, spoken when the far end wants them, or
            required of it.
        refer: whether the far end may transfer us by REFER (RFC 3515); else REFER is refused with 603.

    Raises:
        LocalProtocolError: an interval is shorter than 90 s or its own minimum, or a word is not one of those above.
    """

    session_interval_s: int | None = 1800
    least_session_interval_s: int = LEAST_SESSION_INTERVAL_S
    refresher: Side | None = None
    reliable: Reliability = "supported"
    refer: bool = True

    def __post_init__(self) -> None:
        least, interval = self.least_session_interval_s, self.session_interval_s
        if not LEAST_SESSION_INTERVAL_S <= least < _TOO_LONG_S:
            raise LocalProtocolError(
                f"the least session interval is {least} s: give {LEAST_SESSION_INTERVAL_S} s or more (RFC 4028 §5)"
            )
        if interval is not None and not least <= interval < _TOO_LONG_S:
            raise LocalProtocolError(
                f"the session interval is {interval} s: give {least} s, the least that is agreed to, or more, or none"
                " (RFC 4028 §4)"
            )
        if interval is None and self.refresher is not None:
            raise LocalProtocolError("a refresher without a session timer: give an interval, or no refresher")
        if self.refresher not in (None, *get_args(Side)) or self.reliable not in get_args(Reliability):
            raise LocalProtocolError(
                f"a refresher is one of {', '.join(get_args(Side))}; reliable is one of"
                f" {', '.join(get_args(Reliability))}"
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

"""What a call is given rather than makes: unpredictable identifiers, and the credentials of its user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Ids(Protocol):
    """Source of identifiers. Injected, so that a call in a test is the same call every time."""

    def branch(self) -> str:
        """A Via branch, unique in space and time, beginning with `z9hG4bK` (RFC 3261 §8.1.1.7)."""
        ...

    def tag(self) -> str:
        """A From or To tag with at least 32 random bits (RFC 3261 §19.3)."""
        ...

    def cnonce(self) -> str:
        """An unpredictable token for digest: a client's cnonce, or a challenge's nonce (RFC 7616 §3.4)."""
        ...

    def session_id(self) -> int:
        """The session id of an SDP origin line (RFC 4566 §5.2)."""
        ...

    def share(self) -> float:
        """A number from 0 up to 1: where in a span the standard wants a random value."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password for digest authentication (RFC 7616). The repr shows neither."""

    username: str = field(repr=False)
    password: str = field(repr=False)

"""The one interface of all webhook checks: authentic, or refused with a reason."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from tuner_core.errors import ConfigError, TunerError
from tuner_core.webhooks.request import WebhookRequest
from tuner_core.webhooks.seen import SeenInMemory, SeenStore

Reason = Literal["missing", "wrong", "stale", "replayed", "stranger"]
"""`missing`: no signature; `wrong`: one that does not fit; `stale`: too old or from the future; `replayed`: seen
before; `stranger`: from an address that is not the provider's."""

WINDOW_S = 300.0
"""How far a signed time may be from now: five minutes, as the vendors advise."""

REMEMBER_S = 86_400.0
"""How long a signature without a time is remembered."""


class WebhookRefused(TunerError):
    """The request is not proven to come from the provider: answer 403 and do nothing of what it says.

    The message is for logs and names nothing secret and nothing of the request's content.

    Attributes:
        provider: whose webhook it claims to be.
        reason: one word to count by.
    """

    def __init__(self, provider: str, reason: Reason, detail: str) -> None:
        super().__init__(f"{provider} webhook refused, {reason}: {detail}")
        self.provider = provider
        self.reason: Reason = reason


class WebhookValidator(ABC):
    """Tells whether a request is from the provider, and comes for the first time.

    Safe to use from several threads.

    Args:
        seen: where signatures are remembered; by default in this process. Several workers share `SeenInRedis`.
        allow_replays: let the same signed request in again, for flows in which the provider repeats it.
        remember_s: how long a signature is remembered.
    """

    provider: ClassVar[str]

    def __init__(self, *, seen: SeenStore | None, allow_replays: bool, remember_s: float) -> None:
        self._seen = None if allow_replays else (seen or SeenInMemory())
        self._remember_s = remember_s

    def check(self, request: WebhookRequest, *, now: float | None = None) -> None:
        """Return when `request` is authentic.

        Args:
            request: what came in.
            now: Unix seconds; by default the clock's.

        Raises:
            WebhookRefused: it is not, and why.
        """
        at = time.time() if now is None else now
        key = self._prove(request, at)
        if self._seen is None:
            return
        if not self._seen.first_sight(f"{self.provider}:{key}", keep_s=self._remember_s, now=at):
            raise self._refused("replayed", "this signed request came before")

    @abstractmethod
    def _prove(self, request: WebhookRequest, now: float) -> str:
        """Raise unless the request is authentic; give the key of what may come once."""

    def _refused(self, reason: Reason, detail: str) -> WebhookRefused:
        return WebhookRefused(self.provider, reason, detail)

    def _header(self, request: WebhookRequest, name: str) -> str:
        value = request.header(name)
        if value is None:
            raise self._refused("missing", f"no header {name}")
        return value

    def _check_time(self, signed_at: float, now: float, window_s: float) -> None:
        age_s = now - signed_at
        if abs(age_s) > window_s:
            side = "before" if age_s > 0 else "after"
            raise self._refused(
                "stale", f"signed {abs(age_s):.0f} s {side} this machine's time; {window_s:.0f} s are allowed"
            )


def secrets_in(name: str, given: str | Sequence[str]) -> tuple[str, ...]:
    """One secret or several that are valid at once, as while one replaces another.

    Raises:
        ConfigError: one is empty: a signature made with an empty secret proves nothing.
    """
    secrets = (given,) if isinstance(given, str) else tuple(given)
    if not secrets or not all(secret.strip() for secret in secrets):
        raise ConfigError(f"{name} is empty: without it anybody could sign")
    return secrets


def origin_in(public_url: str) -> str:
    """The address that the provider calls, without a trailing slash; a request's path is appended to it.

    Raises:
        ConfigError: it is no address of that kind.
    """
    parts = urlsplit(public_url)
    if (
        parts.scheme not in {"http", "https", "ws", "wss"}
        or not parts.hostname
        or parts.query
        or parts.fragment
    ):
        raise ConfigError(
            "public_url must be the address that the provider calls, as it is set there, up to the path: "
            "https://agent.example.com"
        )
    return public_url.rstrip("/")

"""One Redis that several workers share, and that may be away: a call never waits for it, and never fails by it.

Needs the extra: `pip install 'tuner-core[redis]'`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from tuner_core.errors import ConfigError

_logger = logging.getLogger("tuner_core.redis")


class SharedRedis:
    """Runs commands at a Redis server; one that is away costs one timeout, one warning, and then nothing.

    Safe to use from several threads, and after a fork.

    Args:
        redis: a `redis://`, `rediss://` or `unix://` URL, or a client (`redis.Redis`) with timeouts of your own.
        used_for: what is lost while Redis is away, in words, for the warning.
        timeout_s: the longest that connecting or one command may take.
        pause_s: how long Redis is left alone after a failure.

    Raises:
        ConfigError: the package `redis` is not installed, or the URL is none that it knows.
    """

    def __init__(
        self, redis: str | Any, *, used_for: str, timeout_s: float = 0.5, pause_s: float = 5.0
    ) -> None:
        self._error, self._client = _open(redis, timeout_s)
        self._used_for = used_for
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._away_until: float | None = None

    def ask(self, command: Callable[[Any], Any]) -> tuple[bool, Any]:
        """Run `command` with the client: True and its result, or False and None while Redis is away."""
        with self._lock:
            if self._away_until is not None and time.monotonic() < self._away_until:
                return False, None
        try:
            result = command(self._client)
        except self._error as error:
            self._failed(error)
            return False, None
        with self._lock:
            came_back, self._away_until = self._away_until is not None, None
        if came_back:
            _logger.info("Redis is back for %s", self._used_for)
        return True, result

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _failed(self, error: Exception) -> None:
        with self._lock:
            first, self._away_until = self._away_until is None, time.monotonic() + self._pause_s
        if first:
            # The message of the error may quote the address with its password.
            _logger.warning(
                "Redis does not answer (%s): until it is back, %s works inside this process only",
                type(error).__name__,
                self._used_for,
            )


def _open(redis: str | Any, timeout_s: float) -> tuple[type[Exception], Any]:
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
        from redis.retry import Retry
    except ImportError:
        raise ConfigError("a shared store needs Redis' client: pip install 'tuner-core[redis]'") from None
    if not isinstance(redis, str):
        return RedisError, redis
    try:
        client: Any = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            redis,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # One more try at once mends a connection that a restarted server closed; the client's own default
            # waits for seconds, inside a call.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError:
        raise ConfigError(
            "not a URL of Redis: give redis://host:6379/0, rediss://… or unix:///path/to/redis.sock"
        ) from None
    return RedisError, client

"""What was let in once: a signature that comes a second time is a replay."""

from __future__ import annotations

import hashlib
import math
import threading
from typing import Any, Protocol

from tuner_core.shared_redis import SharedRedis


class SeenStore(Protocol):
    """Remembers keys for a time. Only what was proven authentic is ever remembered."""

    def first_sight(self, key: str, *, keep_s: float, now: float) -> bool:
        """True the first time that `key` comes, False until `keep_s` seconds later.

        Args:
            key: a digest; holds nothing of the request.
            keep_s: how long to remember.
            now: Unix seconds.
        """
        ...


class SeenInMemory:
    """A seen store in the memory of this process.

    Args:
        max_keys: how many are remembered; one more pushes out the oldest.
    """

    def __init__(self, *, max_keys: int = 100_000) -> None:
        self._max_keys = max_keys
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._until)

    def first_sight(self, key: str, *, keep_s: float, now: float) -> bool:
        """True the first time that `key` comes, False until `keep_s` seconds later."""
        with self._lock:
            if self._until.get(key, now) > now:
                return False
            self._until.pop(key, None)
            self._until[key] = now + keep_s
            while self._until:
                oldest = next(iter(self._until))
                if self._until[oldest] > now and len(self._until) <= self._max_keys:
                    break
                del self._until[oldest]
            return True


class SeenInRedis:
    """A seen store that several workers share, so that a replay to another worker is refused too.

    While Redis is away, each process remembers for itself, after one warning: signatures are checked all the same.

    Args:
        redis: a `redis://`, `rediss://` or `unix://` URL, or a client (`redis.Redis`).
        prefix: what every key begins with.
        timeout_s: the longest that a command may hold up a webhook.

    Raises:
        ConfigError: the package `redis` is missing, or the URL is none of Redis.
    """

    def __init__(self, redis: str | Any, *, prefix: str = "tuner:seen:", timeout_s: float = 0.5) -> None:
        self._redis = SharedRedis(redis, used_for="the replay check of webhooks", timeout_s=timeout_s)
        self._prefix = prefix
        self._own = SeenInMemory()

    def first_sight(self, key: str, *, keep_s: float, now: float) -> bool:
        """True the first time that `key` comes to any worker, False until `keep_s` seconds later."""
        own = self._own.first_sight(key, keep_s=keep_s, now=now)
        answered, stored = self._redis.ask(
            lambda client: client.set(self._prefix + key, b"1", nx=True, ex=max(1, math.ceil(keep_s)))
        )
        return own and (bool(stored) or not answered)

    def close(self) -> None:
        """Close the connections to Redis."""
        self._redis.close()


def digest(*parts: str | bytes) -> str:
    """A key for what `parts` say together; says nothing of them."""
    hashed = hashlib.sha256()
    for part in parts:
        text = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        hashed.update(len(text).to_bytes(8, "big") + text)
    return hashed.hexdigest()[:40]

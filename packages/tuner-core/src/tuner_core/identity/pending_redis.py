"""Bridging between workers: the webhook reaches one process, the websocket another."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tuner_core.identity.model import SipIdentity
from tuner_core.identity.pending import MAX_CALLS, TTL_S, PendingCalls, PendingStore
from tuner_core.shared_redis import SharedRedis

PREFIX = "tuner:pending:"

T = TypeVar("T")

_STORED = TypeAdapter(SipIdentity)


class RedisPendingCalls(PendingStore):
    """A pending store that several workers share; each identity is handed out once, whoever asks (`GETDEL`).

    Keys are digests of the provider's ids and values hold the fields of `SipIdentity` alone, so no telephone
    number is stored. While Redis is away, this process bridges its own calls in memory, after one warning.

    Args:
        redis: a `redis://`, `rediss://` or `unix://` URL, or a client (`redis.Redis`). Redis 6.2 or later.
        ttl_s: seconds that an identity waits for its websocket.
        prefix: what every key begins with.
        timeout_s: the longest that a command may hold up a webhook or a websocket.

    Raises:
        ConfigError: the package `redis` is missing, or the URL is none of Redis.
    """

    def __init__(
        self, redis: str | Any, *, ttl_s: float = TTL_S, prefix: str = PREFIX, timeout_s: float = 0.5
    ) -> None:
        self._redis = SharedRedis(redis, used_for="the bridge from webhook to websocket", timeout_s=timeout_s)
        self._ttl_s = math.ceil(ttl_s)
        self._prefix = prefix
        self._own = PendingCalls(ttl_s=ttl_s, max_calls=MAX_CALLS)

    def close(self) -> None:
        """Close the connections to Redis."""
        self._redis.close()

    async def _off_the_loop(self, step: Callable[[], T]) -> T:
        return await asyncio.to_thread(step)

    def _put(self, key: str, identity: SipIdentity) -> None:
        text = _STORED.dump_json(identity)
        stored, _ = self._redis.ask(lambda client: client.set(self._name(key), text, ex=self._ttl_s))
        if not stored:
            self._own.put(identity, provider_call_id=key)

    def _take(self, key: str) -> SipIdentity | None:
        _, text = self._redis.ask(lambda client: client.getdel(self._name(key)))
        return _identity_in(text) or self._own.take(key, wait_s=0)

    def _name(self, key: str) -> str:
        return self._prefix + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _identity_in(text: str | bytes | None) -> SipIdentity | None:
    """The identity that was stored; None for nothing, or for what some other version or program stored."""
    try:
        identity = _STORED.validate_json(text) if text else None
    except ValidationError:
        return None
    return identity if identity and identity.links else None

"""A Create Call endpoint on loopback that is honest about what it has and unreliable in all else.

```python
with UnreliableTuner("429=1:0.05,503:0.05,hang:0.02,half:0.02", seed=7) as tuner:
    config = TunerConfig(api_key="k", workspace_id=1, agent_id="a", base_url=tuner.base_url, outbox=tmp_path / "o")
    ...
assert set(tuner.calls) == handed_over
assert not tuner.overlaps
```

It keeps connections open between requests and answers thousands in a second, so that many processes can send to it at
once. The faults are those of `tuner local --fault`.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import select
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

from tuner_core.local.faults import Fault, FaultDice, parse_faults
from tuner_core.testing.wire import Request, answer, request_in, reset_on_close

_START_WITHIN_S = 10.0
_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


@dataclass(frozen=True, slots=True)
class Overlap:
    """A call that arrived while an earlier request for it was still open.

    Attributes:
        call_id: of both requests.
        earlier: the API key of the earlier request: give each sender one of its own to tell them apart.
        later: the API key of the later one.
        at: Unix seconds of the later one's arrival.
    """

    call_id: str
    earlier: str
    later: str
    at: float


class UnreliableTuner:
    """The server; a context manager that runs it in a thread.

    A new `call_id` gets 201. One that is stored gets 200 with `is_new` false, or 409, as the dice say. The body of
    the first request that was stored stays, whatever comes later.

    Args:
        faults: what goes wrong and how often, in the words of `tuner local --fault`; empty for nothing.
        seed: of the dice.

    Attributes:
        calls: the stored body of each call.
        senders: how many requests came with each API key.
        created: how many requests were told that their call is new.
        answers: how many requests ended how: a status, or the name of a fault.
        duplicates: requests for a call that was stored already, which an API without `call_id` would store twice.
        overlaps: requests for one call that were open at once.
    """

    def __init__(self, faults: str = "", *, seed: int = 0) -> None:
        self.calls: dict[str, dict[str, Any]] = {}
        self.answers: Counter[str] = Counter()
        self.senders: Counter[str] = Counter()
        self.created = 0
        self.duplicates = 0
        self.overlaps: list[Overlap] = []
        self._dice = FaultDice(parse_faults(faults) if faults else (), seed)
        self._conflicts = random.Random(seed)
        self._open: dict[str, _Connection] = {}
        self._connections: set[_Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def base_url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_START_WITHIN_S):
            raise RuntimeError("the loopback server does not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in list(self._connections):
            connection.reset()

    def connected(self, connection: _Connection) -> None:
        """A client has come."""
        self._connections.add(connection)

    def gone(self, connection: _Connection) -> None:
        """A client has left, its request with it."""
        self._connections.discard(connection)
        self._over(connection)

    def arrived(self, connection: _Connection, request: Request) -> None:
        """Take one request and answer it, well or badly."""
        self.senders[request.key] += 1
        try:
            body: Any = json.loads(request.body)
            call_id = str(body["call_id"])
        except (ValueError, KeyError, TypeError):
            self.answers["422"] += 1
            connection.write(answer(422, {"detail": "no call_id"}))
            return
        self._open_for(connection, call_id, request)
        fault = self._dice.draw()
        if fault is None:
            status, document = self._take(call_id, body)
            self.answers[str(status)] += 1
            self._answer(connection, answer(status, document))
        else:
            self.answers[fault.name] += 1
            self._misbehave(connection, fault, call_id, body)

    def _misbehave(self, connection: _Connection, fault: Fault, call_id: str, body: dict[str, Any]) -> None:
        taken = answer(*self._take(call_id, body)) if fault.takes_the_call else b""
        if fault.kind == "status":
            headers = {"Retry-After": f"{fault.seconds:g}"} if fault.seconds else {}
            self._answer(connection, answer(fault.status, {"detail": "as the dice say"}, headers))
        elif fault.kind == "slow":
            asyncio.get_running_loop().call_later(fault.seconds, self._answer, connection, taken)
        elif fault.kind == "half":
            self._over(connection)
            connection.write(taken[: -len(taken) // 5])
            connection.close()
        elif fault.kind == "hang":
            if math.isfinite(fault.seconds):
                asyncio.get_running_loop().call_later(fault.seconds, connection.close)
        else:
            self._over(connection)
            connection.reset()

    def _take(self, call_id: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        is_new = call_id not in self.calls
        if is_new:
            self.created += 1
            self.calls[call_id] = {**body, "id": len(self.calls) + 1}
        else:
            self.duplicates += 1
        status = 201 if is_new else self._conflicts.choice((200, 409))
        number = cast("int", self.calls[call_id]["id"])
        return status, {"id": number, "provider_call_id": call_id, "is_new": is_new}

    def _answer(self, connection: _Connection, text: bytes) -> None:
        self._over(connection)
        connection.write(text)

    def _open_for(self, connection: _Connection, call_id: str, request: Request) -> None:
        connection.key, connection.call_id = request.key, call_id
        earlier = self._open.get(call_id)
        if earlier is not None and earlier.lives():
            self.overlaps.append(Overlap(call_id, earlier.key, request.key, time.time()))
        self._open[call_id] = connection

    def _over(self, connection: _Connection) -> None:
        if self._open.get(connection.call_id) is connection:
            del self._open[connection.call_id]


class _Connection(asyncio.Protocol):
    """One client; requests come one after another.

    Attributes:
        key: the API key of its last request.
        call_id: of its last request.
    """

    def __init__(self, tuner: UnreliableTuner) -> None:
        self.key = ""
        self.call_id = ""
        self._tuner = tuner
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._tuner.connected(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        request = request_in(self._received)
        if request is not None:
            self._tuner.arrived(self, request)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._tuner.gone(self)

    def lives(self) -> bool:
        """Whether the client still holds its end; asks the kernel, which knows before the event loop does."""
        if self._transport is None:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket"), _GONE)
        return not any(events & _GONE for _, events in poll.poll(0))

    def write(self, text: bytes) -> None:
        """Send, if anybody still listens."""
        if self._transport is not None:
            self._transport.write(text)

    def close(self) -> None:
        """Close after what was written."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        if self._transport is not None:
            reset_on_close(self._transport.get_extra_info("socket"))
            self._transport.abort()

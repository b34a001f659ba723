"""The local Tuner as a running server: in a thread for tests and demos, or in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import uvicorn

from tuner_core.local.app import create_app
from tuner_core.local.faults import FaultDice, parse_faults
from tuner_core.local.forward import FORWARD_TIMEOUT_S, Forwarder, ForwardError, is_itself
from tuner_core.local.intake import DEFAULT_API_KEY, Rules
from tuner_core.local.recordings import Recordings
from tuner_core.local.rows import Post, PostedCall, Simulation
from tuner_core.local.store import Store
from tuner_core.local.views import CallOverview, LinkedSimulation, Views
from tuner_core.local.wire import TransportProtocol

_START_S = 10.0
_STOP_S = 5.0
_GRACE_S = 2.0


class LocalTuner:
    """A Tuner on this machine: Create Call, simulations, linking and pages.

    A context manager that serves from a thread of its own, and may be used from any other:

        with LocalTuner() as tuner:
            client = TunerClient(base_url=tuner.base_url, api_key=tuner.api_key, workspace_id=1, agent_id="a")

    Args:
        api_key: the key a post needs; on an address other than loopback a random one when not given. With
            `forward_to` any key passes: the API judges it.
        workspace_id: the one workspace there is; with `forward_to` any passes.
        agents: agent ids that exist; None lets any pass.
        host: address to listen on. Anything but loopback shows transcripts to the network.
        port: TCP port; 0 takes a free one.
        db: SQLite file, or `:memory:`.
        duplicate_status: how a `call_id` that is there already is answered, 200 or 409.
        lenient: take a body that the API would refuse, where it can be read at all, and show why.
        forward_to: base URL of an API that each post taken here is passed on to, with the poster's own key; its
            answer is the answer. A post refused here is not passed on.
        forward_timeout_s: longest wait for that API.
        faults: what goes wrong on purpose, such as `429:0.2,hang:0.05`; see `tuner_core.local.faults`.
        seed: of the dice that draw the faults; random when not given.

    Raises:
        StoreError: the database cannot be used.
        OSError: the address cannot be bound.
        FaultSpecError: `faults` cannot be read.
        ForwardError: `forward_to` is no URL, or this Tuner itself.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        workspace_id: int = 1,
        agents: Iterable[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        db: str | Path = ":memory:",
        duplicate_status: Literal[200, 409] = 200,
        lenient: bool = False,
        forward_to: str | None = None,
        forward_timeout_s: float = FORWARD_TIMEOUT_S,
        faults: str | None = None,
        seed: int | None = None,
    ) -> None:
        dice = None
        if faults is not None:
            dice = FaultDice(parse_faults(faults), secrets.randbelow(10**6) if seed is None else seed)
        forwarder = Forwarder(forward_to, timeout_s=forward_timeout_s) if forward_to is not None else None
        self.forward_to = forwarder.base_url if forwarder is not None else None
        self.faults = dice.faults if dice is not None else ()
        self.seed = dice.seed if dice is not None else None
        local_only = is_loopback(host)
        self.api_key = api_key or (DEFAULT_API_KEY if local_only else f"tr_api_{secrets.token_urlsafe(24)}")
        self.workspace_id = workspace_id
        self._store = Store(db)
        self._views = Views(self._store)
        self._arrived = threading.Condition()
        self._store.database.on_change(self._tell)
        try:
            self._socket = _listening(host, port)
        except OSError:
            self._store.close()
            raise
        self._host, self._port = host, int(self._socket.getsockname()[1])
        if forwarder is not None and is_itself(forwarder.base_url, host, self._port):
            self._socket.close()
            self._store.close()
            raise ForwardError("a local Tuner cannot forward to itself; give the address of the API")
        rules = Rules(
            api_key=self.api_key if forwarder is None else None,
            workspace_id=workspace_id if forwarder is None else None,
            agents=frozenset(agents) if agents is not None else None,
            duplicate_status=duplicate_status,
            lenient=lenient,
        )
        hosts = (host, "127.0.0.1", "localhost", "::1", "[::1]") if local_only else ("*",)
        folder = Path(f"{db}.recordings") if str(db) != ":memory:" else None
        app = create_app(
            self._store, rules, allowed_hosts=hosts, dice=dice, forwarder=forwarder, recordings_in=folder
        )
        self._recordings: Recordings = app.state.recordings
        config = uvicorn.Config(
            app,
            http=TransportProtocol,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
        )
        self._server = _Server(config, app.state.close, forwarder)
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The address to give as TUNER_BASE_URL, without a slash at the end."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    def environment(self, agent_id: str = "local-agent") -> dict[str, str]:
        """Give the environment variables that point an agent at this Tuner; all others stay as they are.

        One that forwards takes the agent's own key, workspace and agent id.
        """
        if self.forward_to is not None:
            return {"TUNER_BASE_URL": self.base_url}
        return {
            "TUNER_BASE_URL": self.base_url,
            "TUNER_API_KEY": self.api_key,
            "TUNER_WORKSPACE_ID": str(self.workspace_id),
            "TUNER_AGENT_ID": agent_id,
        }

    def start(self) -> Self:
        """Serve from a thread; returns when posts are answered.

        Raises:
            RuntimeError: the server did not start.
        """
        run = self._server.run
        self._thread = threading.Thread(
            target=run, kwargs={"sockets": [self._socket]}, name="local-tuner", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(_START_S):
            self.stop()
            raise RuntimeError(f"the local Tuner did not start within {_START_S:.0f} s")
        return self

    def stop(self) -> None:
        """Stop serving and close the database. Stopping twice does nothing."""
        self._server.end()
        if self._thread is not None:
            self._thread.join(_STOP_S)
            self._thread = None
        self._socket.close()
        self._store.close()
        self._recordings.close()

    def serve_forever(self) -> None:
        """Serve in this thread until SIGINT or SIGTERM, then close the database."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.stop()

    def calls(self) -> list[CallOverview]:
        """Give the accepted calls with the simulation each is linked to, the oldest first."""
        return self._views.calls()

    def wait_for_calls(self, count: int = 1, *, timeout_s: float = 10.0) -> list[CallOverview]:
        """Wait until so many calls have been posted, and give all there are.

        Raises:
            TimeoutError: there are fewer when the time is over; the message says how many, and what was refused.
        """
        with self._arrived:
            if self._arrived.wait_for(lambda: len(self._store.calls()) >= count, timeout_s):
                return self.calls()
        refused = "; ".join(sorted({refusal.problem for refusal in self._store.refusals()}))
        problem = f", and posts were refused: {refused}" if refused else ""
        raise TimeoutError(
            f"{len(self._store.calls())} of {count} calls were posted within {timeout_s:g} s{problem}"
        )

    def posts(self) -> list[Post]:
        """Give every post to Create Call, taken or not, the oldest first."""
        return list(self._store.each_post())

    def register(self, simulation: Simulation) -> None:
        """Tell of a simulated call, as a dialer does before it dials."""
        self._store.add_simulation(simulation)

    def simulations(self) -> list[LinkedSimulation]:
        """Give the registered simulations with their links, the oldest first."""
        return list(self._views.links().simulations)

    def record(self, call: PostedCall | int) -> dict[str, Any]:
        """Give the body of a call as it was posted.

        Raises:
            KeyError: there is no such call.
        """
        number = call if isinstance(call, int) else call.id
        stored = self._store.call(number)
        if stored is None:
            raise KeyError(number)
        return json.loads(stored[1])

    def recording(self, call: PostedCall | int) -> bytes | None:
        """Give the recording of a call as it was uploaded, None when there is none."""
        path = self._recordings.of_call(call if isinstance(call, int) else call.id)
        return path.read_bytes() if path is not None else None

    def clear(self) -> None:
        """Forget every call, post, recording and simulation."""
        self._recordings.clear()
        self._store.clear()

    def _tell(self) -> None:
        with self._arrived:
            self._arrived.notify_all()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(uvicorn.Server):
    """Tells another thread when it answers, and ends at once when told: a test suite stops many of these.

    uvicorn looks every 0.1 s whether it should end, and waits 0.1 s more for open connections.
    """

    def __init__(
        self, config: uvicorn.Config, close_streams: Callable[[], None], forwarder: Forwarder | None
    ) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._close_streams = close_streams
        self._forwarder = forwarder
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def end(self) -> None:
        """Have it stop, from any thread; one that was never started does not start."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed already
                self._loop.call_soon_threadsafe(self._woken.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._loop = asyncio.get_running_loop()
        self.ready.set()

    async def main_loop(self) -> None:
        tick = 0
        while not await self.on_tick(tick):
            tick += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._close_streams()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        give_up_at = time.monotonic() + _GRACE_S
        while self._is_busy() and time.monotonic() < give_up_at:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.005)
        for task in self.server_state.tasks:
            task.cancel()
        if self._forwarder is not None:
            await self._forwarder.close()

    def _is_busy(self) -> bool:
        open_ones = self.server_state.connections or self.server_state.tasks
        return bool(open_ones) and not self.force_exit


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener

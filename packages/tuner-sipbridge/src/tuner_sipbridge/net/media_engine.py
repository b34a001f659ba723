"""The media engine in Python: streams live in worker processes, so nothing the application does moves a packet."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from types import TracebackType

from tuner_sipbridge.audio.activity import SpeechThresholds
from tuner_sipbridge.audio.codecs import NAMES
from tuner_sipbridge.errors import MediaError
from tuner_sipbridge.media.messages import WorkerSettings
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.media_process import WorkerProcess
from tuner_sipbridge.net.media_stream import PyMediaStream


class PyMediaEngine:
    """A `MediaEngine`: one packet every 20 ms for each stream, from an absolute grid in a process of its own.

    ```python
    async with PyMediaEngine() as engine:
        stream = await engine.open()
        await stream.start(MediaParameters(remote=("127.0.0.1", 40000)))
        stream.play(octets, mark="greeting")
        ...
        result = await stream.close()
    ```
    """

    def __init__(
        self,
        *,
        streams: int = 1,
        workers: int = 1,
        speech: SpeechThresholds | None = None,
        ports: tuple[int, int] | None = None,
        slots: int = 2,
        codecs: Sequence[str] = (),
    ) -> None:
        """Nothing starts before `start` or `async with`.

        Args:
            streams: how many streams are to be open at once; the start fails when the machine's limit of file
                descriptors does not allow that many.
            workers: processes to spread the streams over, one a core at most; one holds several hundred calls.
            speech: when the far end's speech begins and ends.
            ports: first and last UDP port to use, of which the even ones are taken; None for any.
            codecs: what calls are going to speak: the libraries of G.722 and Opus are then loaded at the start, and
                do not hold up other calls when the first one needs them.
            slots: phases the streams are spread over within 20 ms: more make smaller bursts and cost more.
        """
        self._wanted_streams = streams
        self._worker_count = workers
        self._settings = WorkerSettings(
            clock_offset_s=clock.now() - time.monotonic(),
            slots=slots,
            thresholds=speech or SpeechThresholds(),
            ports=ports,
            codecs=tuple(codec for codec in NAMES if codec in codecs),
        )
        self._workers: list[WorkerProcess] = []
        self._streams: set[PyMediaStream] = set()
        self._numbers = itertools.count(1)

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    async def start(self) -> None:
        """Start the workers; a second call does nothing.

        Raises:
            MediaError: a worker does not start, or the limit of file descriptors is too low.
        """
        if self._workers:
            return
        self._workers = [WorkerProcess() for _ in range(self._worker_count)]
        try:
            await asyncio.gather(*(worker.start(self._settings) for worker in self._workers))
            most = sum(worker.max_streams for worker in self._workers)
            if most < self._wanted_streams:
                raise MediaError(
                    f"{self._wanted_streams} streams need as many UDP sockets, but the limit of open files allows "
                    f"only {most}: raise the hard limit (ulimit -Hn) or ask for fewer calls at once"
                )
        except BaseException:
            await self.aclose()
            raise

    async def open(
        self,
        *,
        host: str = "127.0.0.1",
        live: bool = False,
        record: bool = True,
        stun: tuple[str, int] | None = None,
    ) -> PyMediaStream:
        """Bind a port on `host` for one call; see `MediaEngine.open`."""
        alive = [worker for worker in self._workers if worker.alive]
        if not alive:
            raise MediaError(
                "the media engine is not running" if not self._workers else "the media worker is gone"
            )
        worker = min(alive, key=len)
        number = next(self._numbers)
        stream = PyMediaStream(
            worker, number, host=host, live=live, record=record, closed=self._streams.discard
        )
        await stream.open()
        self._streams.add(stream)
        if stun is not None:
            try:
                await stream.ask(stun)
            except BaseException:
                await stream.close()
                raise
        return stream

    async def aclose(self) -> None:
        """Close all streams and end the workers."""
        streams, self._streams = self._streams, set()
        await asyncio.gather(*(stream.close() for stream in streams))
        workers, self._workers = self._workers, []
        await asyncio.gather(*(worker.stop() for worker in workers))

    async def __aenter__(self) -> PyMediaEngine:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

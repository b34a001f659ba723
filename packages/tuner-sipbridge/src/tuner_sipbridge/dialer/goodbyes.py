"""Calls that a dialer has hung up and whose end nobody has confirmed: waited for before its sockets are closed."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger("tuner_sipbridge.dialer")


class Leaving(Protocol):
    """A call that is to be left."""

    async def close(self) -> None:
        """Hang up, and wait shortly for the far end to agree."""
        ...

    async def parted(self) -> None:
        """Wait until the far end has confirmed BYE or CANCEL, or nobody is left who would."""
        ...


class Goodbyes:
    """The calls whose BYE or CANCEL is under way.

    A dialer that closed its sockets under them would leave an agent on the line, who listens on and is billed. Closing
    a call waits 2 s for the answer; what is left after that, `said` waits for.
    """

    def __init__(self, *, patience_s: float) -> None:
        """Begin with none.

        Args:
            patience_s: seconds without any response after which a BYE goes to the next target of a name; `said` waits
                no longer, so that a next target has those 2 s too.
        """
        self._bound_s = patience_s
        self._waits: set[asyncio.Task[None]] = set()

    async def after(self, call: Leaving) -> None:
        """Close a call, and keep it in mind until the far end has confirmed its end."""
        task = asyncio.get_running_loop().create_task(call.parted())
        self._waits.add(task)
        task.add_done_callback(self._waits.discard)
        await call.close()

    async def said(self) -> None:
        """Wait until the end of each call is confirmed, or given up (Timer F), or the bound is over."""
        waits = set(self._waits)
        try:
            if waits:
                logger.info("%d calls: waiting for the far end to confirm their end", len(waits))
                _, silent = await asyncio.wait(waits, timeout=self._bound_s)
                if silent:
                    logger.warning(
                        "%d calls: the far end did not confirm their end in %g s; it may hold them until it gives up",
                        *(len(silent), self._bound_s),
                    )
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

"""SIPp, an independent player of SIP scenarios."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Literal

from .flow import Flow
from .ports import START_S, bound, free_media_port, free_port

SCENARIOS = Path(__file__).parents[1] / "sipp"


class Sipp:
    """SIPp, playing scenarios of `sipp/`; its messages and errors are kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.asynccontextmanager
    async def playing(
        self,
        scenario: str | Flow,
        transport: Literal["udp", "tcp"] = "udp",
        *,
        far: str = "",
        calls: int = 1,
        echo: bool = True,
        options: tuple[str, ...] = (),
    ) -> AsyncGenerator[tuple[str, asyncio.subprocess.Process]]:
        """Calls of a scenario; gives SIPp's URI and its process. With `far` it calls there, else it waits.

        Args:
            scenario: a name in `sipp/`, a path, or a flow.
            transport: of SIP.
            far: whom to call; empty to be called.
            calls: how many, after which SIPp ends.
            echo: send what comes back as audio.
            options: further ones of its command line.
        """
        port, media = free_port(), free_media_port()
        if isinstance(scenario, Flow):
            file = scenario.write(self._folder)
        else:
            file = SCENARIOS / Path(scenario).with_suffix(".xml")
        scenario = file.stem
        with (self._folder / f"{scenario}.complaints.log").open("wb") as complaints:
            process = await asyncio.create_subprocess_exec(
                *("sipp", "-sf", str(file), "-i", "127.0.0.1", "-p", str(port)),
                *("-t", {"udp": "u1", "tcp": "t1"}[transport], "-m", str(calls), *([far] if far else [])),
                *(
                    "-mi",
                    "127.0.0.1",
                    "-mp",
                    str(media),
                    *(["-rtp_echo"] if echo else []),
                    "-nostdin",
                    "-timeout",
                    "20s",
                    *options,
                ),
                *(
                    "-trace_msg",
                    "-message_file",
                    str(self._folder / f"{scenario}.messages.log"),
                    "-trace_err",
                ),
                *("-error_file", str(self._folder / f"{scenario}.errors.log"), "-timeout_error"),
                cwd=self._folder,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=complaints,
            )
        try:
            if not far:
                await bound(port, transport)
            yield f"sip:agent@127.0.0.1:{port}{';transport=tcp' if transport == 'tcp' else ''}", process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def play(
        self, scenario: str | Flow, far: str, *options: str, transport: Literal["udp", "tcp"] = "udp"
    ) -> None:
        """One call of a scenario to `far`, to its end.

        Raises:
            AssertionError: SIPp saw something else than it expected.
        """
        async with (
            self.playing(scenario, transport, far=far, options=options) as (_, process),
            asyncio.timeout(START_S),
        ):
            assert await process.wait() == 0, (
                f"SIPp's scenario {scenario if isinstance(scenario, str) else scenario.name} failed"
            )

    def messages(self, scenario: str) -> str:
        """What SIPp sent and received."""
        return (self._folder / f"{scenario}.messages.log").read_text(errors="replace")

    def complaints(self, scenario: str) -> str:
        """What SIPp found wrong; empty when nothing."""
        errors = self._folder / f"{scenario}.errors.log"
        return errors.read_text(errors="replace") if errors.exists() else ""

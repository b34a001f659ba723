"""Whether the call that the agent posted is the one that was simulated: asked of a local Tuner.

The dialer registers each simulation before it dials; the local Tuner joins it with the posted call by SIP
Call-ID, `X-Correlation-Id` or recipient, and says why when it cannot. The hosted Tuner has no public way to read
links: there, `unknown` says where to look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from tuner_sipbridge.errors import NetworkError

POLL_S = 0.25
"""How often the local Tuner is asked while links are awaited."""
SETTLE_S = 2.0
"""How much longer to wait once a post has come for every call, though not all of them link."""


@dataclass(frozen=True, slots=True)
class LinkResult:
    """What became of one simulation at Tuner.

    Attributes:
        linked: True or False, None when nobody could be asked.
        reason: one sentence in plain words, linked or not.
        by: what joined them: `sip_call_id`, `correlation_id` or `recipient`.
        warning: something to mend although it is linked.
        call_id: the agent's id of the linked call, or of the call that was most likely meant.
        record: that call's record as posted; it holds the transcript, so it is kept out of the repr.
    """

    linked: bool | None
    reason: str
    by: str | None = None
    warning: str = ""
    call_id: str | None = None
    record: dict[str, Any] | None = field(default=None, repr=False)


def unknown(sip_call_id: str) -> LinkResult:
    """The result when no local Tuner was named."""
    return LinkResult(
        None, f"not asked: no local Tuner was named; look for {sip_call_id} in Tuner's simulations"
    )


class LinkDesk:
    """Registers simulations with a local Tuner and asks for their links. An async context manager.

    Args:
        base_url: address of the local Tuner, as `tuner local` prints it.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._client = httpx.AsyncClient(base_url=self._base_url, timeout=10.0)

    async def __aenter__(self) -> Self:
        """Check that a local Tuner answers.

        Raises:
            NetworkError: nothing answers there, or it is no local Tuner.
        """
        await self._request("GET", "/local/simulations")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def register(
        self,
        sip_call_id: str,
        *,
        correlation_id: str,
        agent: str,
        scenario: str,
        target: str,
        started_at: float,
    ) -> None:
        """Tell Tuner that this call is about to be dialled; `started_at` is Unix seconds.

        Raises:
            NetworkError: the local Tuner is gone.
        """
        body = {
            "sip_call_id": sip_call_id,
            "correlation_id": correlation_id,
            "agent": agent,
            "scenario": scenario,
            "target": target,
            "started_at": started_at,
        }
        await self._request("POST", "/local/simulations", body)

    async def settle(self, sip_call_id: str, *, outcome: str, detail: str, ended_at: float) -> None:
        """Tell Tuner how the call went.

        Raises:
            NetworkError: the local Tuner is gone.
        """
        body = {"outcome": outcome, "detail": detail, "ended_at": ended_at}
        await self._request("PATCH", f"/local/simulations/{quote(sip_call_id, safe='')}", body)

    async def links(self, sip_call_ids: Collection[str], *, wait_s: float) -> dict[str, LinkResult]:
        """The link of each simulation, once all are linked or `wait_s` seconds have passed.

        When every simulation that is not linked has a posted call that was most likely meant for it, nothing
        more is to be expected, and the wait ends sooner.

        Raises:
            NetworkError: the local Tuner is gone.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            rows = [row for row in await self._rows() if row["sip_call_id"] in sip_call_ids]
            if all(row["linked"] for row in rows) or loop.time() >= deadline:
                return {row["sip_call_id"]: await self._result(row) for row in rows}
            if all(row["linked"] or row["candidate"] for row in rows):
                deadline = min(deadline, loop.time() + SETTLE_S)
            await asyncio.sleep(POLL_S)

    async def _rows(self) -> list[dict[str, Any]]:
        return (await self._request("GET", "/local/simulations")).json()

    async def _result(self, row: dict[str, Any]) -> LinkResult:
        call = row["call"] or row["candidate"]
        record = None
        if call is not None:
            record = (await self._request("GET", f"/local/calls/{call['id']}")).json()["record"]
        return LinkResult(
            linked=row["linked"],
            reason=row["reason"],
            by=row["by"],
            warning=row["warning"],
            call_id=call["call_id"] if call is not None else None,
            record=record,
        )

    async def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            response = await self._client.request(method, path, json=body)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise NetworkError(
                f"no local Tuner at {self._base_url} ({type(error).__name__}): "
                "start `tuner local` and give its address"
            ) from error
        return response

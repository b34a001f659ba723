"""The HTTP of a courier: loaded and opened when first needed, in a thread of its own.

Loading an HTTP client and reading the certificates takes tenths of a second in which nothing else would be stored or
sent. A broken TLS set-up shows itself here, when every record is on disk already.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tuner_core.http import call_request
from tuner_core.outbox.parcels import Parcel
from tuner_core.records import Receipt

if TYPE_CHECKING:
    import httpx
    from pydantic import SecretStr

    from tuner_core.recordings.target import UploadTarget


class Sender:
    """Sends records and recordings once, without a second try.

    Args:
        api_key: of the workspace.
        timeout_s: bound of one try of a record, in seconds.
    """

    def __init__(self, api_key: SecretStr, *, timeout_s: float) -> None:
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._opening = asyncio.Lock()
        self._http: httpx.AsyncClient | None = None

    async def warm_up(self) -> None:
        """Load what sending needs, so that the first record does not wait for it; never raises."""
        with suppress(Exception):  # the first record will tell
            await self._client()

    async def post(self, parcel: Parcel) -> Receipt:
        """Send a record.

        Raises:
            ApiError: the API answered with an error.
            TransportError: no usable answer in time.
            Exception: whatever keeps the connections from being opened.
        """
        http = await self._client()
        from tuner_core.client import post_once

        request = call_request(
            base_url=parcel.to.base_url,
            workspace_id=parcel.to.workspace_id,
            agent_id=parcel.to.agent_id,
            api_key=self._api_key.get_secret_value(),
            body=parcel.body,
            repairs=parcel.repairs,
        )
        return await post_once(
            http, request, call_id=parcel.call_id, repairs=parcel.repairs, timeout_s=self._timeout_s
        )

    async def upload(self, target: UploadTarget, path: Path) -> None:
        """Send the file of a recording.

        Raises:
            UploadError: it did not arrive.
            Exception: whatever keeps the connections from being opened.
        """
        http = await self._client()
        from tuner_core.recordings.send import upload_once

        await upload_once(http, target, path)

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()

    async def _client(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._http is None:
                try:
                    self._http = await asyncio.to_thread(_opened)
                except RuntimeError:  # the interpreter shuts down and starts no more threads
                    self._http = _opened()
            return self._http


def _opened() -> httpx.AsyncClient:
    for name in ("tuner_core.client", "tuner_core.recordings.send"):
        import_module(name)
    import httpx

    return httpx.AsyncClient(follow_redirects=False)

"""LiveKit's API over HTTP: place a call, end it, and tokens for the room. Each exchange is told to an observer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Literal, Protocol, Self, TypeVar

import aiohttp
from google.protobuf.message import Message
from livekit import api
from livekit.protocol import room as room_messages
from livekit.protocol import sip

from tuner_sipbridge.errors import CallUnreachable, LocalProtocolError
from tuner_sipbridge.net import clock
from tuner_sipbridge.via_livekit.account import LiveKitAccount
from tuner_sipbridge.via_livekit.refusals import TwirpFailure
from tuner_sipbridge.via_livekit.request import shown

HANG_UP_TIMEOUT_S = 5.0
"""How long a request to end a call may take; LiveKit goes on without us."""
PLACING_TIMEOUT_S = 20.0
"""How long a request may take that does not wait for the answer."""
RINGING_MARGIN_S = 5.0
"""How much longer than the callee may ring a request that waits is kept open: the room is joined and DNS asked."""

AnswerT = TypeVar("AnswerT", bound=Message)


class ExchangeObserver(Protocol):
    """Is told what goes to LiveKit's API and comes back."""

    def on_exchange(
        self, way: Literal["sent", "received"], method: str, summary: str, text: str, *, at: float
    ) -> None:
        """Take note of a request or an answer; `text` holds no credentials."""
        ...


class LiveKitService:
    """Requests of one account. An async context manager that owns its connections."""

    def __init__(self, account: LiveKitAccount) -> None:
        self.account = account
        self._api: api.LiveKitAPI | None = None

    async def __aenter__(self) -> Self:
        # Without failover: a request that is sent again is a second call to the same number.
        self._api = api.LiveKitAPI(
            self.account.url, self.account.api_key, self.account.api_secret, failover=False
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        if self._api is not None:
            await self._api.aclose()
            self._api = None

    def token(self, room: str, identity: str) -> str:
        """A token that lets `identity` speak and hear in `room`."""
        grants = api.VideoGrants(room_join=True, room=room, can_publish=True, can_subscribe=True)
        token = api.AccessToken(self.account.api_key, self.account.api_secret)
        return token.with_identity(identity).with_name("Tuner caller").with_grants(grants).to_jwt()

    async def call(
        self, request: sip.CreateSIPParticipantRequest, observer: ExchangeObserver
    ) -> sip.SIPParticipantInfo:
        """Let LiveKit call.

        Raises:
            TwirpFailure: LiveKit answered with an error.
            CallUnreachable: LiveKit did not answer.
            TimeoutError: not in time.
        """
        wait_s = PLACING_TIMEOUT_S
        if request.wait_until_answered:
            wait_s = request.ringing_timeout.seconds + RINGING_MARGIN_S
        made = self._opened.sip.create_sip_participant(request, timeout=wait_s)
        return await self._exchange("CreateSIPParticipant", request, made, observer)

    async def hang_up(self, room: str, identity: str, observer: ExchangeObserver) -> None:
        """Take the callee out of the room: LiveKit's SIP service sends BYE, or CANCEL while it rings.

        Raises:
            TwirpFailure: LiveKit answered with an error.
            CallUnreachable: LiveKit did not answer.
            TimeoutError: not in time.
        """
        request = room_messages.RoomParticipantIdentity(room=room, identity=identity)
        async with asyncio.timeout(HANG_UP_TIMEOUT_S):
            removed = self._opened.room.remove_participant(request)
            await self._exchange("RemoveParticipant", request, removed, observer)

    @property
    def _opened(self) -> api.LiveKitAPI:
        if self._api is None:
            raise LocalProtocolError("the dialer is not open: use `async with LiveKitDialer(…) as dialer`")
        return self._api

    async def _exchange(
        self,
        method: str,
        request: Message,
        answer: Awaitable[AnswerT],
        observer: ExchangeObserver,
    ) -> AnswerT:
        observer.on_exchange("sent", method, method, shown(request), at=clock.now())
        try:
            message = await answer
        except api.TwirpError as error:
            words = "\n".join(
                [error.message, *(f"{name}: {value}" for name, value in error.metadata.items())]
            )
            observer.on_exchange(
                "received", method, f"{error.status} {error.code}", words.strip(), at=clock.now()
            )
            raise TwirpFailure(
                error.code, error.message, http_status=error.status, metadata=error.metadata
            ) from None
        except aiohttp.ClientError as error:
            # Its words may quote the URL; its kind is enough.
            raise CallUnreachable(
                f"LiveKit does not answer at {self.account.host} ({type(error).__name__}): check LIVEKIT_URL"
            ) from error
        observer.on_exchange("received", method, "200 OK", shown(message), at=clock.now())
        return message

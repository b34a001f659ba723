"""LiveKit's HTTP side on loopback: Twirp with protobuf bodies, tokens checked with the real secret."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from google.protobuf.message import Message
from livekit import api
from livekit.api.access_token import Claims
from livekit.protocol import room, sip

from tuner_sipbridge.via_livekit.account import LiveKitAccount

KEY, SECRET = "APItest", "a secret of at least thirty-two characters"
LIVEKIT_ID = "SCL_fR7kPq2sT9vW"

_METHODS: dict[str, type[Message]] = {
    "SIP/CreateSIPParticipant": sip.CreateSIPParticipantRequest,
    "RoomService/RemoveParticipant": room.RoomParticipantIdentity,
}

Answer = Message | tuple[int, str]
"""A message, or an HTTP status with a body as it goes on the wire."""


def twirp_error(code: str, text: str, **meta: str) -> str:
    """The JSON body of a Twirp error."""
    return json.dumps({"code": code, "msg": text, "meta": meta})


@dataclass
class Request:
    """One request as the server read it."""

    method: str
    message: Any
    claims: Claims
    token: str = field(repr=False)


class LiveKitApi:
    """Answers as it was told; keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.account = LiveKitAccount("http://127.0.0.1:1", KEY, SECRET)
        self.on_call: Callable[[sip.CreateSIPParticipantRequest], Awaitable[Answer]] = self._made
        self.on_removal: Callable[[room.RoomParticipantIdentity], Awaitable[Answer]] = self._removed

    @property
    def called(self) -> sip.CreateSIPParticipantRequest:
        """The one request to call."""
        (request,) = [one for one in self.requests if one.method.endswith("CreateSIPParticipant")]
        return request.message

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[LiveKitApi]:
        application = web.Application()
        application.router.add_post("/twirp/livekit.{service}/{method}", self._twirp)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.account = LiveKitAccount(f"http://127.0.0.1:{runner.addresses[0][1]}", KEY, SECRET)
            yield self
        finally:
            await runner.cleanup()

    async def _twirp(self, request: web.Request) -> web.Response:
        method = f"{request.match_info['service']}/{request.match_info['method']}"
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = api.TokenVerifier(KEY, SECRET).verify(token)
        message = _METHODS[method].FromString(await request.read())
        self.requests.append(Request(method, message, claims, token))
        handler: Any = self.on_call if method.endswith("CreateSIPParticipant") else self.on_removal
        answer = await handler(message)
        if isinstance(answer, tuple):
            status, body = answer
            kind = "application/json" if body.startswith("{") else "text/plain"
            return web.Response(status=status, text=body, content_type=kind)
        return web.Response(body=answer.SerializeToString(), content_type="application/protobuf")

    @staticmethod
    async def _made(request: sip.CreateSIPParticipantRequest) -> Answer:
        return sip.SIPParticipantInfo(
            participant_id="PA_1",
            participant_identity=request.participant_identity,
            room_name=request.room_name,
            sip_call_id=LIVEKIT_ID,
        )

    @staticmethod
    async def _removed(request: room.RoomParticipantIdentity) -> Answer:
        return room.RemoveParticipantResponse()

"""Requests of ours within one dialog: numbered, authenticated, and their final responses handed on (§12.2.1)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tuner_sipbridge.call.authentication import Authentication, Unanswerable
from tuner_sipbridge.call.dialog_failures import Gone, end_of_call
from tuner_sipbridge.call.ids import Ids
from tuner_sipbridge.call.requests import PRODUCT, Reach, again, credentials_in
from tuner_sipbridge.sip.dialog import Dialog
from tuner_sipbridge.sip.message import Request, Response
from tuner_sipbridge.sip.routing import hop_uri
from tuner_sipbridge.sip.transaction_layer import TransactionLayer

logger = logging.getLogger("tuner_sipbridge.call")

Then: TypeAlias = Callable[[Response | None, float], None]
"""Takes the final response to a request, None when there was none, and the time."""

_MOST_TRIES = 4
_REFRESHES = frozenset({"INVITE", "UPDATE"})


@dataclass(slots=True)
class _Waiting:
    """A request without its final response.

    Attributes:
        asked: the request as `send` gave it.
        sent: the one under way: `asked`, or its repeat with credentials.
        then: takes the final response.
        tries: how often it went out.
        preset: it went out with credentials that nobody asked for.
    """

    asked: Request
    sent: Request
    then: Then
    tries: int
    preset: bool


class DialogRequests:
    """Sends requests within a dialog. A challenge is answered here; the asker sees the response after it."""

    def __init__(
        self,
        dialog: Dialog,
        layer: TransactionLayer,
        *,
        reach: Reach,
        ids: Ids,
        authentication: Authentication,
    ) -> None:
        """Begin with nothing sent."""
        self._dialog = dialog
        self._layer = layer
        self._reach = reach
        self._ids = ids
        self._authentication = authentication
        self._waiting: dict[tuple[int, str], _Waiting] = {}
        self._ack: Request | None = None
        self.gone: Gone | None = None
        """Why the far end has no such dialog; None while it has (§12.2.1.2, RFC 5057)."""

    def send(
        self,
        method: str,
        *,
        now: float,
        then: Then | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> Request:
        """Send a request; `then` takes its final response.

        Credentials that the far end took before go along, as RFC 3261 §22.3 asks for one Call-ID.
        """
        fields = [*headers, ("User-Agent", PRODUCT)]
        if content_type is not None:
            fields.append(("Content-Type", content_type))
        via = self._reach.via(self._ids.branch(), towards=self._dialog.hop)
        request = self._dialog.request(method, via=via, headers=fields, body=body)
        preset = self._authentication.known(request)
        for name, value in preset:
            request.headers.add(name, value)
        self._waiting[_key(request)] = _Waiting(request, request, then or _ignore, 1, bool(preset))
        self._layer.send(request, now=now, towards=self._dialog.strict_router)
        return request

    def take_response(self, request: Request, response: Response, *, now: float) -> None:
        """Take a response to a request of `send`; each 2xx to an INVITE is acknowledged (§13.2.2.4).

        The 2xx to a target refresh may move the target, and its ACK goes to where it has moved (§12.2.1.2).
        """
        if response.status < 200:
            return
        if request.method in _REFRESHES and response.status < 300 and _key(request) in self._waiting:
            self._dialog.refresh_target(response)
        if request.method == "INVITE" and response.status < 300:
            self._acknowledge(request)
        waiting = self._waiting.pop(_key(request), None)
        if waiting is None:
            return
        self._authentication.take_next_nonce(request, response)
        if response.status in (401, 407) and self._try_again(waiting, request, response, now):
            return
        self.gone = self.gone or end_of_call(request.method, response)
        waiting.then(response, now)

    def take_silence(self, request: Request, *, now: float) -> None:
        """No final response to a request of `send` came in time."""
        waiting = self._waiting.pop(_key(request), None)
        if waiting is None:
            return
        if request.method in _REFRESHES:
            self.gone = self.gone or Gone(f"the far end did not answer {request.method}: it is gone")
        waiting.then(None, now)

    def abandon(self, request: Request, *, now: float) -> None:
        """Wait no longer for the final response to an INVITE of `send`, or to its repeat with credentials."""
        for key, waiting in list(self._waiting.items()):
            if waiting.asked is request:
                del self._waiting[key]
                self._layer.abandon(waiting.sent, now=now)

    def _try_again(self, waiting: _Waiting, request: Request, response: Response, now: float) -> bool:
        if waiting.tries >= _MOST_TRIES:
            return False
        credentials = self._authentication.answer(request, response, preset=waiting.preset)
        if isinstance(credentials, Unanswerable):
            logger.warning("the far end does not take our %s: %s", request.method, credentials.text)
            return False
        self._dialog.local_cseq += 1
        strict = self._dialog.strict_router
        towards = strict or hop_uri(request.uri, request.routes)
        via = self._reach.via(self._ids.branch(), towards=towards)
        retry = again(request, via=via, cseq=self._dialog.local_cseq, credentials=credentials)
        self._waiting[_key(retry)] = _Waiting(
            waiting.asked, retry, waiting.then, waiting.tries + 1, preset=False
        )
        self._layer.send(retry, now=now, towards=strict)
        return True

    def _acknowledge(self, invite: Request) -> None:
        """ACK in the number of its INVITE; a repeated 2xx gets the same ACK again."""
        ack = self._ack
        if ack is None or ack.cseq.number != invite.cseq.number:
            ack = self._dialog.request(
                "ACK",
                via=self._reach.via(self._ids.branch(), towards=self._dialog.hop),
                cseq=invite.cseq.number,
                headers=credentials_in(invite),
            )
        self._ack = ack
        self._layer.send_alone(ack, towards=self._dialog.strict_router)


def _key(request: Request) -> tuple[int, str]:
    return request.cseq.number, request.method


def _ignore(response: Response | None, now: float) -> None:
    """Nobody waits for the response."""

"""A proxy in the virtual network that lets nobody by without credentials."""

from __future__ import annotations

from tuner_sipbridge.call.challenge import Challenged, Challenger
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.replies import Reply
from tuner_sipbridge.sip.message import Request, Response
from tuner_sipbridge.testing.network import CountedIds


class ChallengingGate:
    """A proxy that asks for credentials in every request that may be challenged (RFC 3261 §22.3)."""

    def __init__(self, credentials: Credentials) -> None:
        self._challenger = Challenger(credentials, realm="gate")
        self._ids = CountedIds("gate")
        self._answers: dict[tuple[str | None, str], Response | None] = {}

    def __call__(self, request: Request) -> list[Response] | None:
        if request.method == "CANCEL":
            return None
        method = "INVITE" if request.method == "ACK" else request.method
        key = (request.via.branch, method)
        if request.method == "ACK":
            return [] if self._answers.get(key) else None
        if key not in self._answers:
            verdict = self._challenger.judge(request, nonce=self._ids.cnonce())
            asked = Reply(verdict.status, (verdict.header,)) if isinstance(verdict, Challenged) else None
            self._answers[key] = asked.to(request, tag="gate") if asked else None
        answer = self._answers[key]
        return None if answer is None else [answer]

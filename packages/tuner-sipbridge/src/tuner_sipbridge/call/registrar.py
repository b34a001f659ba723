"""A registrar: which contacts stand for an address of record, and for how long (RFC 3261 §10.3).

Pure: `receive` gives the answer to a REGISTER; who sends it, and when a lapsed binding is noticed, is up to others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Generic, TypeVar

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.bindings import Asked, Binding, address_of_record, asked_of, combined
from tuner_sipbridge.call.challenge import Challenged, Challenger, Refused
from tuner_sipbridge.call.replies import Reply
from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.routing import Hop

ANSWER_KEPT_S = 32.0
"""A repeated request gets its first answer for so long (Timer J, 64 times T1)."""
CHALLENGES_KEPT_S = 3600.0
"""The nonces of one Call-ID are forgotten after so long; who uses one of them later is told that it is stale."""
_MOST_KEPT = 10_000
_TOO_MANY = Reply(503, (("Retry-After", "60"),), "Service Unavailable: too many registrations")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a registrar agrees to.

    Attributes:
        min_expires_s: shorter registrations are refused with 423.
        max_expires_s: longer ones are granted for so long.
        default_expires_s: for those that ask for no time.
        addresses: addresses of record at most.
        contacts: contacts of one address of record at most.
    """

    min_expires_s: int = 60
    max_expires_s: int = 7200
    default_expires_s: int = 3600
    addresses: int = 10_000
    contacts: int = 10


@dataclass(frozen=True, slots=True)
class Registered:
    """A contact was bound, or bound for longer (`refreshed`)."""

    binding: Binding
    refreshed: bool


@dataclass(frozen=True, slots=True)
class Removed:
    """A contact took itself away."""

    binding: Binding


_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[_Value]):
    value: _Value = field(repr=False)
    until: float


class Registrar:
    """Holds bindings and answers REGISTER requests."""

    def __init__(
        self, terms: Terms = Terms(), *, challenger: Callable[[], Challenger | None] = lambda: None
    ) -> None:
        """Begin without bindings.

        Args:
            terms: how long and how many.
            challenger: makes who asks for credentials and verifies them, one for each Call-ID; without one, everybody
                is let in.
        """
        self._terms, self._challenger = terms, challenger
        self._bindings: dict[str, list[Binding]] = {}
        self._doors: OrderedDict[str, _Kept[Challenger]] = OrderedDict()
        self._answered: OrderedDict[tuple[str, str, str], _Kept[Reply]] = OrderedDict()
        self._held: dict[str, float] = {}
        self._events: list[Registered | Removed] = []

    def receive(self, request: Request, *, now: float, nonce: str, source: Hop | None = None) -> Reply:
        """The answer to a REGISTER.

        Args:
            request: as it came.
            now: Unix time in seconds.
            nonce: fresh, for a challenge.
            source: where it came from; kept with the bindings.
        """
        _drop_old(self._answered, now)
        key = (request.call_id, str(request.cseq), request.via.branch or str(request.via))
        known = self._answered.get(key)
        if known is not None:
            return known.value
        try:
            reply = self._objection(request, now, nonce) or self._change(request, now, source)
        except RemoteProtocolError as problem:
            reply = Reply(400, reason=f"Bad Request: {problem}")
        self._answered[key] = _Kept(reply, now + ANSWER_KEPT_S)
        return reply

    def contacts(self, address: str | None = None, *, now: float) -> list[Binding]:
        """Who can be called at this moment: the highest `q` first, then the latest.

        Args:
            address: an address of record as `Binding.address` has it; None for all.
            now: Unix time in seconds.
        """
        for name in list(self._bindings):
            self._keep(name, [binding for binding in self._bindings[name] if binding.until > now])
        lists = self._bindings.values() if address is None else [self._bindings.get(address, [])]
        found = [binding for bindings in lists for binding in bindings]
        return sorted(found, key=lambda binding: (-binding.q, -binding.since))

    def keeps(self, call_id: str, *, now: float) -> bool:
        """Whether a contact stands that requests of this Call-ID registered: the connection of them is its flow."""
        return self._held.get(call_id, now) > now

    def events(self) -> list[Registered | Removed]:
        """What changed; drained. A binding that lapses gives no event."""
        events, self._events = self._events, []
        return events

    def _objection(self, request: Request, now: float, nonce: str) -> Reply | None:
        if objection := replies.objection_to(request):
            return objection
        _drop_old(self._doors, now)
        door = self._doors.get(request.call_id)
        if door is None:
            challenger = self._challenger()
            if challenger is None:
                return None
            door = self._doors[request.call_id] = _Kept(challenger, now + CHALLENGES_KEPT_S)
        verdict = door.value.judge(request, nonce=nonce)
        if isinstance(verdict, Challenged):
            return Reply(verdict.status, (verdict.header,))
        return Reply(verdict.status, reason=verdict.reason) if isinstance(verdict, Refused) else None

    def _change(self, request: Request, now: float, source: Hop | None) -> Reply:
        """Do what is asked for, all of it or nothing."""
        address = address_of_record(request.to.uri)
        if address is None:
            return Reply(404, reason="Not Found: an address of record is a SIP URI")
        asked = asked_of(request, self._terms.default_expires_s)
        # More than take the place of all that may stand: each is compared with each.
        if len(asked.contacts) > 2 * self._terms.contacts:
            return _TOO_MANY
        brief = [one for one in asked.contacts if 0 < one.expires_s < min(self._terms.min_expires_s, 3600)]
        if brief:
            return Reply(423, (("Min-Expires", str(self._terms.min_expires_s)),))
        standing = self.contacts(address, now=now)
        if any(not one.may_be_changed_by(request) for one in standing if asked.touches(one)):
            return replies.OUT_OF_ORDER
        after = combined(
            standing,
            asked,
            request,
            address=address,
            now=now,
            most_s=self._terms.max_expires_s,
            source=source,
        )
        room = len(self._bindings) < self._terms.addresses or address in self._bindings
        if len(after) > self._terms.contacts or (after and not room):
            return _TOO_MANY
        self._hold(request.call_id, after)
        self._tell(asked, standing, after)
        self._keep(address, after)
        return self._listing(self.contacts(address, now=now), now)

    def _hold(self, call_id: str, bindings: Iterable[Binding]) -> None:
        until = max((binding.until for binding in bindings if binding.call_id == call_id), default=0.0)
        self._held.pop(call_id, None)
        if until > 0:
            self._held[call_id] = until
            if len(self._held) > _MOST_KEPT:
                del self._held[next(iter(self._held))]

    def _listing(self, bindings: Iterable[Binding], now: float) -> Reply:
        contacts = [("Contact", str(binding.as_contact(now=now))) for binding in bindings]
        return Reply(200, (*contacts, ("Date", formatdate(now, usegmt=True))))

    def _tell(self, asked: Asked, before: list[Binding], after: list[Binding]) -> None:
        for binding in after:
            if asked.touches(binding):
                refreshed = any(binding.is_for(known.contact) for known in before)
                self._events.append(Registered(binding, refreshed))
        for binding in before:
            if not any(binding.is_for(kept.contact) for kept in after):
                self._events.append(Removed(binding))

    def _keep(self, address: str, bindings: list[Binding]) -> None:
        if bindings:
            self._bindings[address] = bindings
        else:
            self._bindings.pop(address, None)


def _drop_old(kept: OrderedDict[Any, _Kept[Any]], now: float) -> None:
    """Entries live equally long, so the oldest stand first."""
    while kept and (next(iter(kept.values())).until <= now or len(kept) >= _MOST_KEPT):
        kept.popitem(last=False)

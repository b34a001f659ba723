"""Registration at an edge that takes calls from registered users only (RFC 3261 §10), as a pure machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from tuner_sipbridge.call.authentication import Authentication, Unanswerable
from tuner_sipbridge.call.causes import failure_of
from tuner_sipbridge.call.events import Problem
from tuner_sipbridge.call.ids import Credentials, Ids
from tuner_sipbridge.call.requests import ALLOW, PRODUCT, Reach, again
from tuner_sipbridge.call.transacting import Transacting
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.grammar import decimal
from tuner_sipbridge.sip.headers import Headers, NameAddr
from tuner_sipbridge.sip.layer_events import NoResponse, NotSent, RequestArrived, ResponseArrived
from tuner_sipbridge.sip.message import REASONS, Request, Response
from tuner_sipbridge.sip.routing import Address, Hop, Transport, hop_uri
from tuner_sipbridge.sip.timers import DEFAULT_TIMERS, Timers, earliest
from tuner_sipbridge.sip.transaction_layer import TransactionLayer
from tuner_sipbridge.sip.uri import Uri

_MOST_TRIES = 5
_REFRESH_MARGIN_S = 10.0
_BASE_S, _MOST_S = 30.0, 1800.0
"""base-time, where no flow is left, and max-time of RFC 5626 §4.5."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The registrar has our Contact; given again with each refresh.

    Attributes:
        expires_s: for how long.
    """

    expires_s: int


@dataclass(frozen=True, slots=True)
class RegistrationFailed:
    """The registrar refuses, or is silent.

    Attributes:
        status: SIP status code, 0 without any answer.
        text: the cause in plain words.
        problem: what is wrong with the credentials, None when it is not them.
        retried_in_s: when it is tried again by itself, None when it is of no use (credentials, 403, 404).
    """

    status: int
    text: str
    problem: Problem | None = None
    retried_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unregistered:
    """Closing: the Contact is withdrawn, or nobody is there any more to withdraw it from."""

    confirmed: bool = field(default=True)


RegistrationEvent: TypeAlias = Registered | RegistrationFailed | Unregistered


class _Wish(Enum):
    NOTHING = "not begun"
    BE_THERE = "registered, or on the way"
    BE_GONE = "to be withdrawn"


class Registration(Transacting):
    """Keeps one Contact registered: first time, refreshes before it expires, withdrawal at the end.

    Fed and drained as a call: `receive`, `handle_timer`, `outgoing`, `events`, `next_deadline`. After a failure
    that may pass (silence, 5xx, 408) it tries again by itself, more slowly each time.
    """

    def __init__(
        self,
        registrar: Uri,
        *,
        address_of_record: Uri,
        local: Address,
        ids: Ids,
        sip_call_id: str,
        credentials: Credentials | None = None,
        expires_s: int = 3600,
        timers: Timers = DEFAULT_TIMERS,
        transport: Transport = "udp",
        route: Sequence[Uri] = (),
        to: Hop | None = None,
        failures: int = 0,
    ) -> None:
        """Prepare; nothing is sent before `start`.

        Args:
            registrar: Request-URI, a SIP URI without user.
            address_of_record: whom to register; From and To.
            local: host and port on which we are reached, for Via and Contact.
            ids: source of branches, tags and cnonces.
            sip_call_id: Call-ID of all requests, as one registration keeps one (§10.2).
            credentials: for 401 and 407.
            expires_s: for how long to ask; the registrar may shorten it.
            timers: the base values of RFC 3261 §17.
            transport: what the requests go by, where the URI of the next hop names none.
            route: an outbound proxy, or more than one.
            to: where the requests go; found by the URI of the next hop when None.
            failures: how often it failed in a row before this one.

        Raises:
            LocalProtocolError: a URI is no SIP URI, or the time is not positive.
        """
        if not registrar.is_sip or not address_of_record.is_sip or expires_s <= 0:
            raise LocalProtocolError("a registration needs two SIP URIs and a time above 0 s")
        self._layer = TransactionLayer(timers)
        self._reach = Reach(local, address_of_record.user, transport, secure=registrar.scheme == "sips")
        self._ids = ids
        self._authentication = Authentication(credentials, ids)
        self._registrar = registrar.as_request_uri()
        self._user = NameAddr(address_of_record.as_request_uri())
        self._tag = ids.tag()
        self._call_id = sip_call_id
        self._expires = expires_s
        self._route, self._to = [NameAddr(uri) for uri in route], to
        self._cseq = 0
        self._wish = _Wish.NOTHING
        self._sent: Request | None = None
        self._preset = False
        self._tries = 0
        self._failures, self._losses, self._since = failures, 0, 0.0
        self._next_at: float | None = None
        self._is_registered = self._over = False
        self._events: list[RegistrationEvent] = []

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the registration."""
        return self._call_id

    @property
    def address_of_record(self) -> Uri:
        """Who is registered."""
        return self._user.uri

    @property
    def registered(self) -> bool:
        """True while the registrar has our Contact, as far as it told."""
        return self._is_registered

    @property
    def finished(self) -> bool:
        """True when it is over and no transaction is left: forget it."""
        return self._over and self._layer.idle

    def start(self, *, now: float) -> None:
        """Register; nothing when it was begun before."""
        if self._wish is _Wish.NOTHING:
            self._wish = _Wish.BE_THERE
            self._begin(now)

    def stop(self, *, now: float) -> None:
        """Withdraw the Contact (§10.2.2); at once over when none was registered."""
        if self._wish is _Wish.BE_GONE or self._over:
            return
        self._wish, self._next_at = _Wish.BE_GONE, None
        if self._sent is None:
            if self._is_registered:
                self._begin(now)
            else:
                self._end(confirmed=True)

    def unreachable(self, hop: Hop, why: str, *, now: float, again: bool = False) -> None:
        """As of every machine; a lost connection to the registrar is made anew by registering (RFC 5626 §4.5).

        Nobody else can open it, and calls come over it: at once the first time, later each time that it does not
        last.
        """
        idle = self._is_registered and self._sent is None and self._wish is _Wish.BE_THERE
        super().unreachable(hop, why, now=now, again=again)
        if idle and hop.is_stream and (self._to is None or hop == self._to):
            if now - self._since >= _BASE_S:
                self._losses = 0
            self._next_at = now + self._wait_s(self._losses)
            self._losses += 1

    def _wait_s(self, failures: int) -> float:
        """How long after so many failures in a row to wait: half of W to all of it, by chance (RFC 5626 §4.5)."""
        if failures == 0:
            return 0.0
        return min(_BASE_S * 2 ** min(failures, 16), _MOST_S) * (0.5 + self._ids.share() / 2)

    def handle_timer(self, *, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        self._layer.handle_timer(now=now)
        self._pump(now)
        if self._next_at is not None and now >= self._next_at and self._sent is None:
            self._begin(now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next."""
        deadlines = (self._layer.next_deadline(), self._next_at)
        return earliest(deadlines)

    def events(self) -> list[RegistrationEvent]:
        """What happened since the last call; drained."""
        events, self._events = self._events, []
        return events

    def _begin(self, now: float) -> None:
        self._next_at = None
        self._tries = 1
        self._cseq += 1
        request = self._request()
        known = self._authentication.known(request)
        for name, value in known:
            request.headers.add(name, value)
        self._preset = bool(known)
        self._send(request, now)

    def _request(self) -> Request:
        via = self._reach.via(self._ids.branch(), towards=hop_uri(self._registrar, self._route))
        fields = Headers()
        fields.set_via(via)
        for proxy in self._route:
            fields.add("Route", str(proxy))
        fields.add("Max-Forwards", "70")
        fields.add("From", str(self._user.with_tag(self._tag)))
        fields.add("To", str(self._user))
        fields.add("Call-ID", self._call_id)
        fields.add("CSeq", f"{self._cseq} REGISTER")
        fields.add(*self._reach.contact)
        fields.add("Expires", str(0 if self._wish is _Wish.BE_GONE else self._expires))
        fields.add(*ALLOW)
        fields.add("User-Agent", PRODUCT)
        return Request("REGISTER", self._registrar, fields)

    def _send(self, request: Request, now: float) -> None:
        self._sent = request
        self._layer.send(request, now=now, to=self._to)

    def _pump(self, now: float) -> None:
        while events := self._layer.events():
            for event in events:
                if isinstance(event, RequestArrived) or event.request is not self._sent:
                    continue
                if isinstance(event, ResponseArrived):
                    if event.response.status >= 200:
                        self._take(event.response, now)
                elif isinstance(event, NoResponse):
                    self._fail(0, "the registrar did not answer", now)
                elif isinstance(event, NotSent):
                    self._fail(0, event.why, now)

    def _take(self, response: Response, now: float) -> None:
        assert self._sent is not None
        self._authentication.take_next_nonce(self._sent, response)
        status = response.status
        if status < 300:
            self._succeed(response, now)
        elif status in (401, 407):
            self._take_challenge(response, now)
        elif status == 423 and self._lengthened_by(response):
            self._try_again(now, self._authentication.known(self._sent), preset=True)
        else:
            phrase = response.reason or REASONS.get(status, "")
            passing = status in (408, 429, 480, 491) or 500 <= status < 600
            wait = failure_of(response).retry_after_s
            self._fail(status, f"{status} {phrase}: the registrar refuses", now, passing=passing, wait_s=wait)

    def _take_challenge(self, response: Response, now: float) -> None:
        assert self._sent is not None
        answer = self._authentication.answer(self._sent, response, preset=self._preset)
        if isinstance(answer, Unanswerable):
            self._fail(response.status, answer.text, now, passing=False, problem=answer.problem)
        else:
            self._try_again(now, answer, preset=False)

    def _lengthened_by(self, response: Response) -> bool:
        """Whether a 423 says how long is long enough (§10.2.8)."""
        least = decimal(response.headers.get("Min-Expires") or "", below=2**31) or 0
        if self._wish is _Wish.BE_GONE or least <= self._expires:
            return False
        self._expires = least
        return True

    def _try_again(self, now: float, credentials: Sequence[tuple[str, str]], *, preset: bool) -> None:
        assert self._sent is not None
        if self._tries >= _MOST_TRIES:
            self._fail(0, f"the registrar let us try {self._tries} times in vain", now, passing=False)
            return
        self._tries += 1
        self._cseq += 1
        self._preset = preset and bool(credentials)
        request = again(
            self._sent,
            via=self._reach.via(self._ids.branch(), towards=hop_uri(self._registrar, self._route)),
            cseq=self._cseq,
            credentials=credentials,
            changes=[] if self._wish is _Wish.BE_GONE else [("Expires", str(self._expires))],
        )
        self._send(request, now)

    def _succeed(self, response: Response, now: float) -> None:
        asked = self._sent.headers.get("Expires") if self._sent is not None else None
        self._sent, self._failures = None, 0
        if asked == "0":
            self._end(confirmed=True)
            return
        self._is_registered, self._since = True, now
        granted = self._granted(response)
        self._events.append(Registered(granted))
        if self._wish is _Wish.BE_GONE:
            self._begin(now)
            return
        # Before half of a short time is over, or shortly before the end of a long one.
        self._next_at = now + max(granted / 2, granted - max(_REFRESH_MARGIN_S, granted / 10))

    def _granted(self, response: Response) -> int:
        """How long the registrar keeps our Contact: its own `expires`, else Expires, else what was asked (§10.2.4)."""
        ours = NameAddr.parse(self._reach.contact[1]).uri
        for contact in response.contacts:
            same = (contact.uri.user, contact.uri.host, contact.uri.port) == (ours.user, ours.host, ours.port)
            if same and (seconds := decimal(contact.param("expires") or "", below=2**31)):
                return seconds
        return decimal(response.headers.get("Expires") or "", below=2**31) or self._expires

    def _fail(
        self,
        status: int,
        text: str,
        now: float,
        *,
        passing: bool = True,
        problem: Problem | None = None,
        wait_s: float | None = None,
    ) -> None:
        self._sent = None
        if self._wish is _Wish.BE_GONE:
            self._end(confirmed=False)
            return
        self._is_registered = False
        self._failures += 1
        pause = wait_s or self._wait_s(self._failures)
        self._next_at = now + pause if passing else None
        self._events.append(RegistrationFailed(status, text, problem, pause if passing else None))

    def _end(self, *, confirmed: bool) -> None:
        self._over, self._is_registered, self._next_at = True, False, None
        self._events.append(Unregistered(confirmed))

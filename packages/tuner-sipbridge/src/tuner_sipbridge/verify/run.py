"""Walks the steps to an agent on real sockets and gathers the facts; `verdicts` says what they mean."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.inquiry import Inquiry
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.utterance import SAMPLE_RATE, Utterance
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.message_notes import note_message
from tuner_sipbridge.dialer.provided import addressed, dialable
from tuner_sipbridge.errors import CallError, LocalProtocolError, NetworkError
from tuner_sipbridge.media.engine import MediaEngine
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import SipDriver
from tuner_sipbridge.net.ids import RandomIds, new_sip_call_id
from tuner_sipbridge.net.public_address import PublicAddress
from tuner_sipbridge.net.reach import reach
from tuner_sipbridge.net.resolver import Resolver, read_name_server
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.net.udp import local_address_towards
from tuner_sipbridge.providers import Provider, provider_of
from tuner_sipbridge.sip.locating import TRANSPORTS, Located
from tuner_sipbridge.sip.message import Message, Response
from tuner_sipbridge.sip.routing import Hop, Transport, transport_of
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.trace import Trace
from tuner_sipbridge.verify.facts import Facts, Lookup, Step
from tuner_sipbridge.verify.reading import takes_keys
from tuner_sipbridge.verify.verdicts import judge

LISTEN_S = 2.0
"""How long audio is sent and listened to."""
OPTIONS_PATIENCE_S = 4.0
"""How long the answer to OPTIONS is waited for: time for three repeats over UDP."""
KEY = "#"
"""The key that is sent: in a menu it chooses nothing."""
_PITCH_HZ = 425.0
"""The dial tone of ITU-T E.180, which nobody takes for speech."""


@dataclass(frozen=True, slots=True)
class Access:
    """How the edge is called.

    Attributes:
        provider: whom the user named; None when nobody.
        username: for digest authentication, when challenged.
        password: for digest authentication.
        transport: what carries SIP to a URI that names no transport.
        tls: certificates, and whom to trust.
        public_address: what a NAT shows for this machine.
        ring_timeout_s: CANCEL after so long without an answer.
        name_server: address, or address and port, to ask in place of the system's.
    """

    provider: Provider | None = None
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    transport: Transport = "udp"
    tls: TlsSettings = TlsSettings()
    public_address: str | None = None
    ring_timeout_s: float = 30.0
    name_server: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """All verdicts on one URI.

    Attributes:
        target: URI as given.
        facts: what they were made from.
        steps: one for each step, in order.
    """

    target: str = field(repr=False)
    facts: Facts = field(repr=False)
    steps: tuple[Step, ...]

    @property
    def passed(self) -> bool:
        """Whether no step failed."""
        return not any(step.verdict == "failed" for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """The verdicts as JSON values."""
        dialled = self.facts.call.first("call.dialled")
        return {
            "target": self.target,
            "dialled": None if self.facts.uri is None else str(self.facts.uri),
            "provider": None if self.facts.provider is None else self.facts.provider.name,
            "sip_call_id": None if dialled is None else dialled.fields["sip_call_id"],
            "passed": self.passed,
            "steps": [
                {"step": one.name, "verdict": one.verdict, "detail": one.detail, "change": one.change}
                for one in self.steps
            ],
        }


async def verify(
    target: str,
    access: Access = Access(),
    *,
    on_step: Callable[[Step], None] = lambda step: None,
    listen_s: float = LISTEN_S,
    engine: MediaEngine | None = None,
    timers: Timers = Timers(),
) -> Verification:
    """Call a URI once, step by step, and judge each step.

    Args:
        target: SIP URI, used as given.
        access: credentials, transport, whom to trust.
        on_step: told each verdict as soon as it is known, in the order of the steps.
        listen_s: how long audio is sent and listened to.
        engine: media engine to use; its owner closes it.
        timers: base values of RFC 3261 §17.

    Raises:
        LocalProtocolError: the public address or a file of the TLS settings cannot be used.
        MediaError: the media engine does not start.
        NetworkError: no socket can be opened here.
    """
    walk = _Walk(target, access, on_step, timers)
    if await walk.find() and await walk.connect():
        await walk.ask()
        await walk.call(listen_s, engine)
    return walk.end()


class _Walk:
    """One verification on its way."""

    def __init__(self, target: str, access: Access, on_step: Callable[[Step], None], timers: Timers) -> None:
        self._access, self._on_step, self._timers = access, on_step, timers
        self._told = 0
        self._hops: tuple[Hop, ...] = ()
        self._hop: Hop | None = None
        self.facts = Facts(
            target,
            provider=access.provider,
            provider_named=access.provider is not None,
            checked="nothing" if access.tls.insecure else "pin" if access.tls.pin else "ca",
            inquiry=_WatchedTrace(self._tell),
            call=_WatchedTrace(self._tell),
            username_given=access.username is not None,
        )

    async def find(self) -> bool:
        """URI and DNS; False when there is nowhere to go."""
        facts, access = self.facts, self._access
        try:
            given = dialable(facts.target)
            uri = addressed(given, access.provider, access.transport)
            transport = transport_of(uri) or access.transport
        except LocalProtocolError as error:
            facts.uri_problem = str(error)
            return False
        facts.uri, facts.transport = uri, transport
        facts.provider = access.provider or provider_of(uri)
        self._tell()
        self._tell()
        transports = (
            ("tls",) if uri.scheme == "sips" else sorted(TRANSPORTS, key=lambda one: one != transport)
        )
        resolver = Resolver(name_server=read_name_server(access.name_server) if access.name_server else None)
        located = await resolver.locate(uri, transports=transports)
        self._hops = located.targets
        facts.lookup = _looked_up(uri, located)
        if located.targets:
            facts.transport = located.targets[0].transport
        self._tell()
        return bool(located.targets)

    async def connect(self) -> bool:
        """TCP and TLS; False when there is no connection that may be used."""
        facts = self.facts
        self._hop = self._hops[0]
        dead: list[str] = []
        for hop in [hop for hop in self._hops if hop.is_stream] if self._hop.is_stream else []:
            facts.reached, facts.dead = await reach(hop, self._access.tls), tuple(dead)
            self._hop, facts.transport = hop, hop.transport
            if not facts.reached.problem:
                break
            dead.append(facts.reached.problem)
        self._tell()
        return facts.reached is None or not facts.reached.problem

    async def ask(self) -> None:
        """OPTIONS."""
        facts, hop = self.facts, self._hop
        assert facts.uri is not None
        assert hop is not None
        host = local_address_towards(hop.address)
        public = PublicAddress.parse(self._access.public_address)
        driver = SipDriver(tls=self._access.tls, public_address=public)
        await driver.open(host=host)
        try:
            local = driver.shown(host)
            inquiry = Inquiry(
                facts.uri,
                local=local,
                sip_call_id=new_sip_call_id(),
                from_uri=Uri(user="tuner", host=local[0], port=local[1]),
                ids=RandomIds(),
                timers=self._timers,
                to=hop,
            )
            observer = _Observer(facts.inquiry)
            driver.add(inquiry, observer).act(lambda now: inquiry.start(now=now))
            async with asyncio.timeout(min(OPTIONS_PATIENCE_S, self._timers.f)):
                await observer.settled.wait()
        except TimeoutError:
            pass
        finally:
            await driver.close()
        facts.inquired = True
        self._tell()

    async def call(self, listen_s: float, engine: MediaEngine | None) -> None:
        """INVITE to BYE."""
        access, facts = self._access, self.facts
        dialer = Dialer(
            username=access.username,
            password=access.password,
            transport=access.transport,
            tls=access.tls,
            public_address=access.public_address,
            engine=engine,
            timers=self._timers,
            provider=access.provider,
            name_server=access.name_server,
        )
        try:
            async with (
                dialer,
                dialer.dial(facts.target, ring_timeout=access.ring_timeout_s, trace=facts.call) as call,
            ):
                steps: list[dict[str, str]] = [{"say": "tone"}]
                if takes_keys(facts.call):
                    steps.append({"dtmf": KEY})
                scenario = Scenario.model_validate({"name": "verify", "steps": steps})
                await call.play(scenario, utterances={0: _tone(listen_s)})
        except (CallError, NetworkError) as error:
            facts.problem = str(error)

    def end(self) -> Verification:
        """Nothing follows."""
        self.facts.over = True
        self._tell()
        return Verification(self.facts.target, self.facts, tuple(judge(self.facts)))

    def _tell(self) -> None:
        self.facts.at = clock.now()
        steps = judge(self.facts)
        for step in steps[self._told :]:
            self._told += 1
            self._on_step(step)


class _WatchedTrace(Trace):
    """A trace that tells of each event."""

    __slots__ = ("_watch",)

    def __init__(self, watch: Callable[[], None]) -> None:
        super().__init__()
        self._watch = watch

    def note(self, kind: str, *, at: float, **fields: Any) -> None:
        super().note(kind, at=at, **fields)
        self._watch()


class _Observer:
    """Writes what became of an OPTIONS into a trace."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.settled = asyncio.Event()

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """No answer."""
        if isinstance(event, signalling.Unreachable):
            self._trace.note("call.unreachable", at=now, why=event.text)
        self.settled.set()

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """The request, its repeats, and the answer."""
        note_message(self._trace, message, peer, sent=sent, now=now)
        if isinstance(message, Response) and message.status >= 200:
            self.settled.set()


def _looked_up(uri: Uri, located: Located) -> Lookup:
    """What the name servers said, in the order in which it was asked."""
    useful = [
        str(question) for question, answer in located.asked if answer.naptr or answer.srv or answer.addresses
    ]
    places = tuple(str(hop) for hop in located.targets)
    return Lookup(places, located.problem or f"{uri.host} has no address", " → ".join(useful))


def _tone(seconds: float) -> Utterance:
    """What the agent is to hear."""
    times = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    fade = np.minimum(1.0, np.minimum(times, times[::-1]) / 0.01)
    return Utterance.of(8000.0 * fade * np.sin(2 * np.pi * _PITCH_HZ * times))

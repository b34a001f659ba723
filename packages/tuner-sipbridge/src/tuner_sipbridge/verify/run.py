"""Walks the steps to an agent on real sockets and gathers the facts; `verdicts` says what they mean."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.utterance import SAMPLE_RATE, Utterance
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.provided import addressed, dialable
from tuner_sipbridge.errors import CallError, LocalProtocolError, NetworkError
from tuner_sipbridge.media.engine import MediaEngine
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import NEXT_TARGET_AFTER_S, SipDriver
from tuner_sipbridge.net.public_address import PublicAddress
from tuner_sipbridge.net.reach import reach, speaks_tls
from tuner_sipbridge.net.resolver import Resolver, draw, read_name_server
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.net.udp import local_address_towards
from tuner_sipbridge.providers import Provider, provider_of
from tuner_sipbridge.sdp.crypto import SrtpPolicy
from tuner_sipbridge.sip.locating import TRANSPORTS, Located
from tuner_sipbridge.sip.records import by_priority_and_weight
from tuner_sipbridge.sip.routing import Hop, Transport, transport_of
from tuner_sipbridge.sip.targets import Trunk
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.uri import Uri, without_password
from tuner_sipbridge.trace import Trace
from tuner_sipbridge.verify.facts import Facts, Lookup, Step
from tuner_sipbridge.verify.inquire import inquire
from tuner_sipbridge.verify.reading import answers, takes_keys
from tuner_sipbridge.verify.verdicts import judge

LISTEN_S = 2.0
"""How long audio is sent and listened to."""
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
        trunks: ways out; the URI's own host is called without any.
        next_target_after_s: without any response for so long, the next target is tried; where no target answered
            OPTIONS, the last one has no more time either, in place of Timer B (RFC 3261 §17.1.1.2).
        register: register before the call, at the URI's host or at this SIP URI.
        srtp: whether SRTP is offered, or demanded.
        codecs: what is offered, best first; by default what the provider takes, else G.711.
        late_offer: INVITE without SDP.
        extensions: session timer and reliable provisional responses; the provider's when None.
        headers: further headers of the INVITE.
        from_user: user part of From; as of `Dialer` when None.
    """

    provider: Provider | None = None
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    transport: Transport = "udp"
    tls: TlsSettings = TlsSettings()
    public_address: str | None = None
    ring_timeout_s: float = 30.0
    name_server: str | None = None
    trunks: tuple[Trunk, ...] = ()
    next_target_after_s: float = NEXT_TARGET_AFTER_S
    register: bool | str = False
    srtp: SrtpPolicy = "off"
    codecs: tuple[str, ...] | None = None
    late_offer: bool = False
    extensions: Extensions | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    from_user: str | None = field(default=None, repr=False)


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

    @property
    def traces(self) -> list[Trace]:
        """Every message that was exchanged, without credentials: of each OPTIONS, then of the call."""
        return [*(one.trace for one in self.facts.inquiries), self.facts.call]

    def named(self, verdict: str) -> list[str]:
        """The steps of one verdict, in order."""
        return [step.name for step in self.steps if step.verdict == verdict]

    def to_json(self) -> dict[str, Any]:
        """The verdicts as JSON values; the keys are those of `docs/reference/verify.md`."""
        facts = self.facts
        dialled, provider = facts.call.first("call.dialled"), facts.provider
        finals = [one.response.status for one in answers(facts.call, "INVITE") if one.response.status >= 200]
        by = None if provider is None else "user" if facts.provider_named else "host"
        return {
            "target": without_password(self.target),
            "dialled": None if facts.uri is None else without_password(str(facts.uri)),
            "provider": None if provider is None else provider.name,
            "provider_known_by": by,
            "sip_call_id": None if dialled is None else dialled.fields["sip_call_id"],
            "status": finals[-1] if finals else None,
            "passed": self.passed,
            "failed": self.named("failed"),
            "warnings": self.named("warning"),
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
    if await walk.find() and await walk.connect() and await walk.ask():
        await walk.call(listen_s, engine)
    return walk.end()


class _Walk:
    """One verification on its way."""

    def __init__(self, target: str, access: Access, on_step: Callable[[Step], None], timers: Timers) -> None:
        self._access, self._on_step, self._timers = access, on_step, timers
        self._told = 0
        self._targets: list[tuple[Hop, Uri]] = []
        self.facts = Facts(
            target,
            provider=access.provider,
            provider_named=access.provider is not None,
            trunks=tuple(trunk.uri.host for trunk in access.trunks),
            checked="nothing" if access.tls.insecure else "pin" if access.tls.pin else "ca",
            call=_WatchedTrace(self._watch),
            username_given=access.username is not None,
            password_given=bool(access.password),
            registering=access.register is not False,
            srtp=access.srtp,
        )

    async def find(self) -> bool:
        """URI and DNS; False when there is nowhere to go."""
        facts, access = self.facts, self._access
        try:
            given = dialable(facts.target, routed=bool(access.trunks))
            uri = addressed(given, access.provider, access.transport)
            first = access.trunks[0].uri if access.trunks else uri
            facts.transport = transport_of(first) or access.transport
        except LocalProtocolError as error:
            facts.uri_problem = str(error)
            return False
        facts.uri = uri
        facts.provider = access.provider or provider_of(first)
        self._tell()
        transports = sorted(TRANSPORTS, key=lambda one: one != access.transport)
        resolver = Resolver(name_server=read_name_server(access.name_server) if access.name_server else None)
        found: list[tuple[Uri, Located]] = []
        for trunk in by_priority_and_weight(access.trunks, draw) or (None,):
            place = trunk.uri if trunk is not None else uri
            # Every hop of a call to a sips URI is TLS (RFC 3261 §26.2.2).
            secure = "sips" in (uri.scheme, place.scheme)
            located = await resolver.locate(place, transports=("tls",) if secure else transports)
            found.append((place, located))
        self._targets = [(hop, place) for place, located in found for hop in located.targets]
        facts.lookup = _looked_up(found)
        if self._targets:
            facts.transport = self._targets[0][0].transport
        self._tell()
        return bool(self._targets)

    async def connect(self) -> bool:
        """TCP and TLS; False when there is no connection that may be used."""
        facts = self.facts
        dead: list[str] = []
        streams = [hop for hop, _ in self._targets if hop.is_stream]
        for hop in streams if self._targets[0][0].is_stream else []:
            facts.reached, facts.dead = await reach(hop, self._access.tls), tuple(dead)
            facts.transport = hop.transport
            if not facts.reached.problem:
                break
            dead.append(facts.reached.problem)
        self._tell()
        return facts.reached is None or not facts.reached.problem

    async def ask(self) -> bool:
        """OPTIONS to every target; False when the hosts of all say that nothing listens there."""
        facts, access = self.facts, self._access
        public = PublicAddress.parse(access.public_address)
        facts.inquiries = await inquire(
            self._targets,
            lambda: SipDriver(tls=access.tls, public_address=public),
            timers=self._timers,
        )
        first, hop = facts.inquiries[0].trace, self._targets[0][0]
        if hop.transport == "tcp" and first.first("call.unreachable") is not None:
            facts.tls_there = await speaks_tls(hop)
        facts.inquired = True
        heard = [one for one in facts.inquiries if answers(one.trace, "OPTIONS")]
        if not heard and len(facts.inquiries) == len(self._targets):
            facts.hurried_s = min(access.next_target_after_s, self._timers.b)
        self._tell()
        return not all(one.refused for one in facts.inquiries)

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
            timers=replace(self._timers, gives_up_s=facts.hurried_s),
            provider=access.provider,
            name_server=access.name_server,
            trunks=access.trunks,
            next_target_after=access.next_target_after_s,
            register=access.register,
            srtp=access.srtp,
            codecs=access.codecs,
            late_offer=access.late_offer,
            extensions=access.extensions,
            from_user=access.from_user,
        )
        try:
            async with (
                dialer,
                dialer.dial(
                    facts.target,
                    ring_timeout=access.ring_timeout_s,
                    headers=access.headers,
                    trace=facts.call,
                ) as call,
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

    def _watch(self, kind: str, fields: Mapping[str, Any]) -> None:
        if kind == "media.started":
            self.facts.no_way_out = _no_way_to(str(fields["remote"]))
        self._tell()

    def _tell(self) -> None:
        self.facts.at = clock.now()
        steps = judge(self.facts)
        for step in steps[self._told :]:
            self._told += 1
            self._on_step(step)


class _WatchedTrace(Trace):
    """A trace that tells of each event."""

    __slots__ = ("_watch",)

    def __init__(self, watch: Callable[[str, Mapping[str, Any]], None]) -> None:
        super().__init__()
        self._watch = watch

    def note(self, kind: str, *, at: float, **fields: Any) -> None:
        super().note(kind, at=at, **fields)
        self._watch(kind, fields)


def _looked_up(found: list[tuple[Uri, Located]]) -> Lookup:
    """What the name servers said, in the order in which it was asked."""
    useful = [
        str(question)
        for _, located in found
        for question, answer in located.asked
        if answer.naptr or answer.srv or answer.addresses
    ]
    places = tuple(str(hop) for _, located in found for hop in located.targets)
    problems = [
        located.problem or f"{place.host} has no address" for place, located in found if not located.targets
    ]
    return Lookup(places, "; ".join(problems), " → ".join(dict.fromkeys(useful)))


def _no_way_to(remote: str) -> bool:
    """Whether this machine has no route to a media address; of a name nobody knows."""
    host, _, port = remote.rpartition(":")
    try:
        ipaddress.ip_address(host)
        local_address_towards((host, int(port)))
    except ValueError:
        return False
    except NetworkError:
        return True
    return False


def _tone(seconds: float) -> Utterance:
    """What the agent is to hear."""
    times = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    fade = np.minimum(1.0, np.minimum(times, times[::-1]) / 0.01)
    return Utterance.of(8000.0 * fade * np.sin(2 * np.pi * _PITCH_HZ * times))

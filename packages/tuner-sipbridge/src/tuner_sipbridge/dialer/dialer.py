"""The dialer: places calls over SIP, gives each its media stream, and plays scenarios on them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Literal, Self

from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.speech import SpeechSource, render_scenario
from tuner_sipbridge.caller.utterance import Utterance
from tuner_sipbridge.dialer.answered_call import AnsweredCall
from tuner_sipbridge.dialer.goodbyes import Goodbyes
from tuner_sipbridge.dialer.leg_terms import NOBODY, LegTerms
from tuner_sipbridge.dialer.outcome import STOPPED, outcome_of_error
from tuner_sipbridge.dialer.placed_call import PlacedCall
from tuner_sipbridge.dialer.placing import Placing, Wanted
from tuner_sipbridge.dialer.play import play, unless
from tuner_sipbridge.dialer.provided import codecs_for, extensions_for
from tuner_sipbridge.dialer.registering import TAKES_NO_CALLS, Registrations, read_registrar
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.dialer.sockets import Sockets
from tuner_sipbridge.dialer.ways import Ways
from tuner_sipbridge.errors import CallError, LocalProtocolError, SipBridgeError
from tuner_sipbridge.media.engine import MediaEngine
from tuner_sipbridge.net.driver import NEXT_TARGET_AFTER_S, SipDriver
from tuner_sipbridge.net.ids import RandomIds, new_correlation_id, new_sip_call_id
from tuner_sipbridge.net.locator import Locator
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.public_address import PublicAddress
from tuner_sipbridge.net.resolver import Resolver, read_name_server
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.providers import Provider
from tuner_sipbridge.sdp.crypto import SrtpPolicy
from tuner_sipbridge.sip.routing import Transport
from tuner_sipbridge.sip.targets import Trunk
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.trace import Trace

logger = logging.getLogger("tuner_sipbridge.dialer")

DEFAULT_RING_TIMEOUT_S = 60.0


class Dialer:
    """Places calls. An async context manager: owns its sockets and, unless one is given, its media engine.

    ```python
    async with Dialer(username="probe", password="…") as dialer:
        async with dialer.dial("sip:agent@edge.example", ring_timeout=20) as call:
            run = await call.play(Scenario.load("refund.yaml"))
    ```
    """

    def __init__(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        host: str | None = None,
        port: int = 0,
        from_user: str | None = None,
        register: bool | str = False,
        register_for: int = 3600,
        transport: Transport = "udp",
        tls: TlsSettings | None = None,
        public_address: str | None = None,
        name_server: str | None = None,
        trunks: Sequence[Trunk] = (),
        next_target_after: float = NEXT_TARGET_AFTER_S,
        at_once: int = 1,
        engine: MediaEngine | None = None,
        speech: SpeechSource | None = None,
        timers: Timers = Timers(),
        srtp: SrtpPolicy = "off",
        codecs: Sequence[str] | None = None,
        late_offer: bool = False,
        provider: Provider | None = None,
        transfers: Literal["follow", "decline"] = "decline",
        extensions: Extensions | None = None,
    ) -> None:
        """Prepare; nothing is opened before `async with`.

        Args:
            username: for digest authentication, when challenged.
            password: for digest authentication.
            host: local address to send from; the interface towards each target when not given.
            port: local SIP port, 0 for any; TLS is listened for at the port above it.
            from_user: user part of the From URI; `tuner` when not given, or who is registered.
            register: register before the first call, at the host of its target or at this SIP URI, refresh while open,
                and withdraw at the end (RFC 3261 §10). Who is registered is `from_user`, else the user name, and it
                stands in From. Calls that come in get 480.
            register_for: seconds to ask for; the registrar may change them.
            transport: what carries SIP to URIs that name no transport themselves. Requests that are too long for
                UDP go over TCP in any case (RFC 3261 §18.1.1).
            tls: certificates, and whom to trust; by default the system's CAs. With a certificate of ours, far ends may
                also open TLS connections to the Contact; without one they must use those that we opened (RFC 5923).
            public_address: `HOST` or `HOST:PORT` that a NAT shows for this machine, or `stun:SERVER` to ask for it;
                it stands in Via, Contact and SDP. STUN is asked about each media port too; with a given address those
                ports must be the same on both sides of the NAT.
            name_server: IP address, or IP address and port, of the name server to ask in place of the system's.
            trunks: ways out, tried by priority and weight (RFC 2782): each call goes through one of them, with its
                URI in Route. Without any, the target itself is located (RFC 3263).
            next_target_after: seconds without any response after which the next address of a target, of a registrar or
                of a name within a call, or the next trunk, is tried. The last one is waited for until Timer B or F.
            at_once: calls that will stand at the same time; refused at the start when the system allows fewer sockets.
            engine: media engine to use; its owner closes it.
            speech: voice of the caller; the one each scenario's persona names when not given.
            timers: base values of RFC 3261 §17.
            srtp: whether calls offer or demand SRTP; the keys stand in the SDP, so only TLS keeps them secret.
            codecs: what is offered, best first; the provider's when not given, else PCMU and PCMA.
            late_offer: INVITE without SDP: the far end offers, our ACK answers.
            provider: whose edge is called, as `find_provider` gives it: its transport and port are used where a URI
                names none, SRTP where it demands that, and its headers go on the INVITE.
            transfers: what a caller does that the agent transfers (REFER): `follow` calls the new party, with Replaces
                where the agent names a call, and plays the rest of the scenario to it; `decline` reports 603.
            extensions: session timer (RFC 4028) and reliable provisional responses (RFC 3262); what the provider
                wants, else the defaults of `Extensions`, when not given.

        Raises:
            LocalProtocolError: a codec is not known or not installed, or the registrar's URI is none.
        """
        self._srtp: SrtpPolicy = srtp
        self._codecs, self._late_offer = codecs_for(codecs, provider), late_offer
        self._extensions = extensions_for(extensions, provider)
        self._credentials = Credentials(username, password or "") if username is not None else None
        self._tls = tls or TlsSettings()
        self._public = PublicAddress.parse(public_address)
        self._engine, self._speech, self._timers = engine, speech, timers
        self._at_once, self._ids = at_once, RandomIds()
        self._own_engine: PyMediaEngine | None = None
        self._locator = Locator(Resolver(name_server=read_name_server(name_server) if name_server else None))
        self._goodbyes = Goodbyes(patience_s=next_target_after)
        ways = Ways(self._locator, transport=transport, local_host=host, trunks=trunks)
        self._sockets = Sockets(self._new_driver, port=port, tls=self._tls.certificate is not None)
        registrations = Registrations(
            ways,
            self._sockets,
            registrar=read_registrar(register) if isinstance(register, str) else None,
            user=from_user,
            expires_s=register_for,
            patience_s=next_target_after,
            ids=self._ids,
            timers=timers,
        )
        self._placing = Placing(
            ways=ways,
            sockets=self._sockets,
            registrations=None if register is False else registrations,
            provider=provider,
            transport=transport,
            routed=bool(trunks),
            from_user=from_user,
            patience_s=next_target_after,
            transfers=transfers,
        )

    async def __aenter__(self) -> Self:
        """Start the media engine.

        Raises:
            LocalProtocolError: a file of the TLS settings cannot be used.
            MediaError: the worker does not start, or the system allows fewer sockets than calls.
        """
        if self._tls != TlsSettings():
            self._tls.client_context()
        if self._tls.insecure:
            logger.warning(
                "certificates of far ends are NOT checked: anyone on the way can read and change calls"
            )
        if self._engine is None:
            self._own_engine = PyMediaEngine(streams=self._at_once, codecs=self._codecs)
            self._engine = await self._own_engine.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let calls that were hung up say goodbye, withdraw registrations, close sockets and engine.

        A BYE or CANCEL that nobody has confirmed is waited for until it is given up (Timer F), at most
        `next_target_after` seconds more: by then the next address of a name has had it for 2 s.
        """
        try:
            await self._goodbyes.said()
            if self._placing.registrations is not None:
                await self._placing.registrations.close()
        finally:
            await self._sockets.close()
            if self._own_engine is not None:
                await self._own_engine.aclose()
                self._own_engine = self._engine = None

    @asynccontextmanager
    async def dial(
        self,
        target: str,
        *,
        ring_timeout: float = DEFAULT_RING_TIMEOUT_S,
        sip_call_id: str | None = None,
        correlation_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        trace: Trace | None = None,
    ) -> AsyncGenerator[AnsweredCall]:
        """Call `target`; entered when it answers, hung up when left.

        Args:
            target: SIP URI, used as given.
            ring_timeout: seconds until CANCEL when nobody picks up.
            sip_call_id: Call-ID to use; 27 base62 characters of our making when not given.
            correlation_id: value of X-Correlation-Id; 32 hexadecimal digits of our making when not given.
            headers: further headers of the INVITE, kept on the authenticated retry.
            trace: where to note what happens, for who wants to look at it meanwhile.

        Raises:
            CallError: rejected, timed out, not reached, credentials refused, or no codec in common.
            NetworkError: the host is unknown or there is no route to it.
            LocalProtocolError: the URI or a header is not one.
        """
        call = await self._place(
            target,
            ring_timeout=ring_timeout,
            sip_call_id=sip_call_id,
            correlation_id=correlation_id,
            headers=headers,
            credentials=self._credentials,
            srtp=self._srtp,
            trace=trace,
        )
        try:
            await call.answered()
            yield AnsweredCall(call, speech=self._speech)
        finally:
            await self._goodbyes.after(call)

    async def render(self, scenario: Scenario) -> dict[int, Utterance]:
        """What the caller will say, by index of the step: for `run`, when a scenario is played more than once.

        Raises:
            SpeechError: a sentence cannot be rendered.
        """
        return await asyncio.to_thread(render_scenario, scenario, self._speech)

    async def run(
        self,
        target: str,
        scenario: Scenario,
        *,
        agent: str = "",
        ring_timeout: float = DEFAULT_RING_TIMEOUT_S,
        sip_call_id: str | None = None,
        correlation_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        username: str | None = None,
        password: str | None = None,
        srtp: SrtpPolicy | None = None,
        utterances: Mapping[int, Utterance] | None = None,
        stop: asyncio.Event | None = None,
    ) -> CallRun:
        """Dial, play, hang up. A call that fails is a run with its outcome, never an exception.

        Args:
            target: SIP URI, used as given.
            scenario: what to play.
            agent: name of the agent, for the trace.
            ring_timeout: as for `dial`.
            sip_call_id: as for `dial`.
            correlation_id: as for `dial`.
            headers: as for `dial`.
            username: for this call, in place of the dialer's.
            password: for this call.
            srtp: for this call, in place of the dialer's.
            utterances: the scenario's speech from `render`; rendered now when not given.
            stop: once it is set the call is hung up, and is `indeterminate`.

        Raises:
            SpeechError: the scenario's speech cannot be rendered; nothing was dialled.
        """
        speech = await self.render(scenario) if utterances is None else utterances
        credentials = self._credentials if username is None else Credentials(username, password or "")
        call_id, correlation = sip_call_id or new_sip_call_id(), correlation_id or new_correlation_id()
        trace = Trace()
        try:
            placing = self._place(
                target,
                ring_timeout=ring_timeout,
                sip_call_id=call_id,
                correlation_id=correlation,
                headers=headers,
                credentials=credentials,
                srtp=srtp or self._srtp,
                scenario=scenario.name,
                agent=agent,
                trace=trace,
            )
            call = await unless(stop, placing)
        except SipBridgeError as error:
            call, outcome = None, outcome_of_error(error, trace)
        else:
            outcome = STOPPED
        if call is None:
            return CallRun.undialled(
                target, call_id, correlation, scenario=scenario.name, outcome=outcome, trace=trace
            )
        completed = None
        try:
            completed = await unless(stop, _played(call, scenario, speech))
        except CallError:
            pass  # the closing event says the same, and the outcome is made from it
        finally:
            await self._goodbyes.after(call)
        return CallRun.of(call, scenario=scenario.name, outcome=call.outcome(completed=bool(completed)))

    async def _place(
        self,
        target: str,
        *,
        ring_timeout: float,
        sip_call_id: str | None,
        correlation_id: str | None,
        headers: Mapping[str, str] | None,
        credentials: Credentials | None,
        srtp: SrtpPolicy,
        scenario: str = "",
        agent: str = "",
        trace: Trace | None = None,
    ) -> PlacedCall:
        if self._engine is None:
            raise LocalProtocolError("the dialer is not open: use `async with Dialer() as dialer`")
        terms = LegTerms(
            ids=self._ids,
            timers=self._timers,
            from_uri=NOBODY,
            correlation_id=correlation_id or new_correlation_id(),
            ring_timeout_s=ring_timeout,
            provider=self._placing.provider,
            headers=headers,
            credentials=credentials,
            srtp=srtp,
            codecs=self._codecs,
            late_offer=self._late_offer,
            extensions=self._extensions,
        )
        call_id, trace = sip_call_id or new_sip_call_id(), Trace() if trace is None else trace
        return await self._placing.place(
            Wanted(target, terms, call_id, trace, scenario=scenario, agent=agent), self._engine
        )

    def _new_driver(self) -> SipDriver:
        return SipDriver(
            tls=self._tls,
            locator=self._locator,
            next_target_after_s=self._placing.patience_s,
            public_address=self._public,
            refusal=None if self._placing.registrations is None else TAKES_NO_CALLS,
        )


async def _played(call: PlacedCall, scenario: Scenario, speech: Mapping[int, Utterance]) -> bool:
    await call.answered()
    return await play(call, scenario, speech)

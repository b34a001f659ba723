"""The answering side: accepts SIP calls and hands each to an agent as a `Line`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Literal, Self

from tuner_sipbridge.answered_line import AnsweredLine, CallMedia, Serve
from tuner_sipbridge.audio.codecs import check_installed
from tuner_sipbridge.call import replies
from tuner_sipbridge.call.allowed import AllowList
from tuner_sipbridge.call.bindings import Binding
from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.extensions import DEFAULT_EXTENSIONS, Extensions
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.load import Gate, Load
from tuner_sipbridge.call.registrar import Registered, Registrar, Removed, Terms
from tuner_sipbridge.errors import LocalProtocolError, MediaError
from tuner_sipbridge.media import engine as media
from tuner_sipbridge.media.engine import MediaResult
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import SipDriver
from tuner_sipbridge.net.ids import RandomIds
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.public_address import PublicAddress
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.net.transports import UDP_AND_TCP
from tuner_sipbridge.sdp.codecs import check_codecs
from tuner_sipbridge.sdp.crypto import SrtpPolicy
from tuner_sipbridge.sip.grammar import bracketed
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.replaces import Replaces
from tuner_sipbridge.sip.routing import Address, Hop, Transport
from tuner_sipbridge.sip.timers import Timers

logger = logging.getLogger("tuner_sipbridge.answerer")

AGENT_FAREWELL_S = 20.0
"""How long an agent may go on after its call has ended (posting its record) before it is cancelled."""
STREAM_TAIL_S = 0.1
"""How long the media stream outlives the BYE, so that packets on their way still find the port."""

REALM = "tuner-sipbridge"
"""Protection domain shown in digest challenges."""

Pick = Literal["answer", "busy", "ring"]
Reception = Callable[[AnsweredLine, "Answerer"], Awaitable[None]]
"""Decides what happens to a call, and does it."""


class Answerer:
    """Listens for calls and serves each with an agent. An async context manager."""

    def __init__(
        self,
        agent: Serve | None = None,
        *,
        reception: Reception | None = None,
        host: str = "127.0.0.1",
        port: int = 5060,
        transport: Transport = "udp",
        tls: TlsSettings | None = None,
        public_address: str | None = None,
        username: str | None = None,
        password: str | None = None,
        algorithm: Literal["SHA-256", "MD5"] = "SHA-256",
        pick: Pick = "answer",
        engine: media.MediaEngine | None = None,
        timers: Timers = Timers(),
        load: Load = Load(),
        srtp: SrtpPolicy = "off",
        codecs: Sequence[str] = ("PCMU", "PCMA"),
        allow: AllowList | None = None,
        registrations: Terms | None = None,
        on_registration: Callable[[Registered | Removed], None] = lambda change: None,
        extensions: Extensions = DEFAULT_EXTENSIONS,
        through_nat: bool = True,
    ) -> None:
        """Prepare; nothing is opened before `async with`.

        Args:
            agent: called with a `Line` for each call; when it returns, the call is hung up.
            reception: in place of an agent: takes each call as it comes in, and rejects it, or accepts it, or lets an
                agent have it (`host`).
            host: address to listen on.
            port: SIP port, 0 for any.
            transport: what to listen for: `udp` is UDP and TCP at one port, as RFC 3261 §18.2.1 asks; `tcp` is TCP
                alone; `tls` is TLS alone.
            tls: our certificate, needed for `tls`, and whom to trust.
            public_address: `HOST` or `HOST:PORT` that a NAT shows for this machine, or `stun:SERVER` to ask for it;
                it stands in Contact and SDP. A STUN server is asked about each media port too.
            username: ask for digest credentials with this user name.
            password: the password to the user name.
            algorithm: hash of the digest challenge.
            pick: `answer`; `busy`: refuse with 486; `ring`: never pick up.
            engine: media engine to use; its owner closes it.
            timers: base values of RFC 3261 §17.
            load: how many calls and requests are taken on; who comes over it gets 503 and Retry-After.
            srtp: `optional` takes SRTP where it is offered, `required` refuses calls without it, `off` those that
                demand it.
            codecs: what is spoken; of those a caller offers its first is taken.
            allow: whose requests are heard; others get 403. None is everybody.
            registrations: accept REGISTER on these terms, with the credentials where there are any; see `contacts`.
            on_registration: told when a contact is bound or takes itself away.
            extensions: session timer (RFC 4028) and reliable provisional responses (RFC 3262).
            through_nat: reach callers whose Contact is a private address (RFC 1918, RFC 6598), and who came from
                another without a proxy, where they came from: they stand behind a NAT. False follows every Contact.

        Raises:
            LocalProtocolError: a codec is not known or not installed, or there is neither agent nor reception, or both.
        """
        check_codecs(codecs)
        check_installed(codecs)
        self._srtp: SrtpPolicy = srtp
        if (agent is None) == (reception is None):
            raise LocalProtocolError("an answering side needs an agent or a reception")
        self._agent, self._reception = agent, reception
        self._host, self._port, self._codecs = host, port, tuple(codecs)
        self._credentials = Credentials(username, password or "") if username is not None else None
        self._algorithm: Literal["SHA-256", "MD5"] = algorithm
        self._pick, self._engine, self._timers = pick, engine, timers
        self._own_engine: PyMediaEngine | None = None
        self._transport: Transport = transport
        self._driver = SipDriver(
            on_stray_request=self._on_stray_request,
            tls=tls or TlsSettings(),
            public_address=PublicAddress.parse(public_address),
            keeps=self._is_registered,
        )
        self._ids = RandomIds()
        self._gate = Gate(load, allow)
        challenger = partial(self._new_challenger, 401)
        self._registrar = None if registrations is None else Registrar(registrations, challenger=challenger)
        self._on_registration, self._extensions = on_registration, extensions
        self._through_nat = through_nat
        self._serving: set[asyncio.Task[None]] = set()
        self.calls_served = 0

    async def __aenter__(self) -> Self:
        """Bind the port and start the media engine.

        Raises:
            NetworkError: the address cannot be bound.
            LocalProtocolError: TLS without a usable certificate.
        """
        # Media first: from the moment the port is bound, calls come in.
        if self._engine is None:
            self._own_engine = PyMediaEngine(codecs=self._codecs)
            self._engine = await self._own_engine.__aenter__()
        try:
            listen = UDP_AND_TCP if self._transport == "udp" else (self._transport,)
            await self._driver.open(host=self._host, port=self._port, listen=listen)
        except BaseException:
            if self._own_engine is not None:
                await self._own_engine.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let agents finish their goodbyes, then close sockets and engine."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=AGENT_FAREWELL_S)
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._driver.close()
        if self._own_engine is not None:
            await self._own_engine.aclose()

    @property
    def local(self) -> Address:
        """Address and port calls are answered on."""
        return self._driver.local

    @property
    def uri(self) -> str:
        """A SIP URI that reaches us, as to be dialled."""
        host, port = self._driver.shown(self.local[0])
        suffix = "" if self._transport == "udp" else f";transport={self._transport}"
        return f"sip:agent@{bracketed(host)}:{port}{suffix}"

    @property
    def calls(self) -> int:
        """Calls at this moment, those included whose last transaction is not over."""
        return self._driver.calls

    @property
    def refused(self) -> Mapping[str, int]:
        """What was turned away, by reason.

        `malformed`: what is no SIP message, or too large to be read. `connections`: closed at once, as too many stood.
        `source`: requests from an address that may not call. `rate`: requests of a source that asks too often.
        `calls`: calls beyond those that are taken at once. `transactions`: requests within a call beyond those in
        hand. `credentials`: calls and registrations with wrong ones, each try. `media`: calls for which there was no
        port.
        """
        counts = {"malformed": self._driver.malformed, "connections": self._driver.refused_connections}
        return {name: count for name, count in {**counts, **self._gate.refused}.items() if count}

    @property
    def driver(self) -> SipDriver:
        """The SIP sockets: calls to registered contacts leave from them, over the flows that those opened."""
        return self._driver

    @property
    def engine(self) -> media.MediaEngine:
        """The media engine.

        Raises:
            LocalProtocolError: the answering side is not open.
        """
        if self._engine is None:
            raise LocalProtocolError("the answering side is not open: use `async with`")
        return self._engine

    @property
    def contacts(self) -> list[Binding]:
        """The contacts that are registered at this moment, the preferred and latest first."""
        return [] if self._registrar is None else self._registrar.contacts(now=clock.now())

    def _on_stray_request(self, request: Request, source: Hop) -> None:
        if request.method == "ACK":
            return  # it ends what was refused without a transaction
        new_call = request.method == "INVITE" and request.to.tag is None
        now = clock.now()
        objection = self._gate.objection(source.host, calls=self.calls, new_call=new_call, now=now)
        if objection is not None:
            self._driver.reply(request, objection.to(request, tag=self._ids.tag()), source)
        elif new_call:
            self._take(request, source)
        elif request.method == "REGISTER" and self._registrar is not None:
            answer = self._registrar.receive(request, now=now, nonce=self._ids.cnonce(), source=source)
            self._driver.reply(request, answer.to(request, tag=self._ids.tag()), source)
            for change in self._registrar.events():
                self._on_registration(change)
        elif reply := replies.stray_reply(request, self._extensions.supported):
            self._driver.reply(request, reply.to(request, tag=self._ids.tag()), source)

    def _take(self, invite: Request, source: Hop) -> None:
        """Run a machine for a new call; it goes to the agent when the machine says `Incoming`."""
        now, host = clock.now(), self._driver.host_towards(source)
        machine = InboundCall(
            invite,
            now=now,
            local=self._driver.shown(host),
            ids=self._ids,
            source=source,
            challenger=self._new_challenger(407),
            timers=self._timers,
            extensions=self._extensions,
            refused=self._gate.refused,
            through_nat=self._through_nat,
        )
        local = host, self.local[1]
        line = AnsweredLine(machine, source=source, local=local, on_incoming=self._on_incoming)
        line.run_on(self._driver, now=now)

    def _new_challenger(self, status: Literal[401, 407]) -> Challenger | None:
        if self._credentials is None:
            return None
        return Challenger(
            self._credentials,
            realm=REALM,
            algorithm=self._algorithm,
            status=status,
            refused=self._gate.refused,
        )

    def _is_registered(self, call_id: str) -> bool:
        return self._registrar is not None and self._registrar.keeps(call_id, now=clock.now())

    def _on_incoming(self, line: AnsweredLine) -> None:
        if line.machine.replaces is not None:
            self._replace(line, line.machine.replaces)
            return
        task = asyncio.get_running_loop().create_task(self._serve(line))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _replace(self, line: AnsweredLine, replaces: Replaces) -> None:
        """Put a call in the place of the one that its Replaces names, or refuse it (RFC 3891 §3)."""
        leg = self._driver.leg_of(replaces.call_id)
        if leg is None or not isinstance(leg.machine, InboundCall):
            line.reject(481)
            return
        objection = leg.machine.objection_to_replacement(replaces)
        former = leg.observer
        if objection is not None:
            line.reject(objection)
        elif not isinstance(former, AnsweredLine) or not former.replaceable:
            line.reject(603)
        else:
            line.take_the_place_of(former, self._offered(former.stream))

    async def _serve(self, line: AnsweredLine) -> None:
        """One call from the INVITE to the agent's last word."""
        if self._reception is not None:
            await self._reception(line, self)
        elif self._pick == "busy":
            line.reject(486)
        else:
            line.ring()
            if self._pick == "ring" or self._agent is None:
                await line.ended()
            else:
                await self.host(line, self._agent)

    async def open_media(self, line: AnsweredLine, *, live: bool = False, record: bool = False) -> CallMedia:
        """Media for a call that is to be answered; whoever asks closes the stream.

        Raises:
            MediaError: there is no port, or the STUN server does not answer.
        """
        assert self._engine is not None
        return self._offered(await self._driver.open_media(self._engine, line.host, live=live, record=record))

    def _offered(self, stream: media.MediaStream) -> CallMedia:
        address, port = self._driver.media_shown(stream)
        return CallMedia(stream, address, port, self._codecs, self._ids.srtp(self._srtp))

    async def host(self, line: AnsweredLine, agent: Serve, *, record: bool = False) -> MediaResult | None:
        """Answer a call and let an agent serve it, to its last word.

        Args:
            line: a call that is not decided yet.
            agent: serves it.
            record: keep both sides.

        Returns:
            Recording and statistics; None when there was no port for the media.
        """
        try:
            offered = await self.open_media(line, live=True, record=record)
        except MediaError:
            logger.exception("call %r: no media port", line.sip_call_id)
            self._gate.refused["media"] += 1
            line.reject(503)
            return None
        try:
            if await line.accept(offered):
                self.calls_served += 1
                await self._run_agent(line, agent)
        finally:
            line.hang_up()
            result = await offered.stream.close()
        return result

    async def _run_agent(self, line: AnsweredLine, agent: Serve) -> None:
        """Let the agent serve the call; when the call is over it gets its time to finish, not more."""
        serving = asyncio.ensure_future(agent(line))
        ended = asyncio.ensure_future(line.ended())
        try:
            await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
            line.hang_up()
            await asyncio.sleep(STREAM_TAIL_S)
            await line.stream.close()  # ends the frames and events that the agent may be waiting for
            if not serving.done():
                await asyncio.wait({serving}, timeout=AGENT_FAREWELL_S)
            if not serving.done():
                logger.warning("call %r: the agent did not finish in time", line.sip_call_id)
        finally:
            ended.cancel()
            serving.cancel()
            (result,) = await asyncio.gather(serving, return_exceptions=True)
        if isinstance(result, Exception):
            logger.error("call %r: the agent failed", line.sip_call_id, exc_info=result)

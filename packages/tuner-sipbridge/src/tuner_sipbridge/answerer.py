"""The answering side: accepts SIP calls and hands each to an agent as a `Line`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Literal, Self

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call import replies
from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.extensions import DEFAULT_EXTENSIONS
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.load import Gate, Load
from tuner_sipbridge.errors import MediaError
from tuner_sipbridge.media import engine as media
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import Leg, SipDriver
from tuner_sipbridge.net.ids import RandomIds
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.negotiated_media import parameters_of
from tuner_sipbridge.net.public_address import PublicAddress
from tuner_sipbridge.net.tls import TlsSettings
from tuner_sipbridge.net.transports import UDP_AND_TCP
from tuner_sipbridge.net.udp import local_address_towards
from tuner_sipbridge.sdp.crypto import PLAIN, Srtp, SrtpPolicy
from tuner_sipbridge.sdp.negotiation import Negotiated, check_codecs
from tuner_sipbridge.sip.grammar import bracketed
from tuner_sipbridge.sip.message import Message, Request
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


class AnsweredLine:
    """One inbound call; what the agent sees of it is `agents.line.Line`."""

    def __init__(
        self, machine: InboundCall, *, host: str, on_incoming: Callable[[AnsweredLine], None]
    ) -> None:
        self._machine, self._on_incoming = machine, on_incoming
        self.host = host
        """Local address that the caller reaches, for the media."""
        self._leg: Leg | None = None
        self._stream: media.MediaStream | None = None
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[str] = loop.create_future()
        self._standing: asyncio.Future[bool] = loop.create_future()
        self._codec: media.Codec = "PCMU"
        self._starting: set[asyncio.Task[None]] = set()

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the INVITE."""
        return self._machine.sip_call_id

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the INVITE, names in lower case; the first value of each."""
        return self._machine.headers

    @property
    def caller(self) -> str:
        """User part of the From URI, or its host when there is none."""
        uri = self._machine.invite.from_.uri
        return uri.user or uri.host

    @property
    def called(self) -> str:
        """User part of the Request-URI, or its host when there is none."""
        uri = self._machine.invite.uri
        return uri.user or uri.host

    @property
    def stream(self) -> media.MediaStream:
        """The call's media, live.

        Raises:
            MediaError: the call was not accepted yet.
        """
        if self._stream is None:
            raise MediaError("the call was not accepted yet, so it has no media")
        return self._stream

    @property
    def codec(self) -> str:
        """`PCMU` or `PCMA`."""
        return self._codec

    def run_on(self, driver: SipDriver) -> None:
        """Let `driver` run the machine from now on."""
        self._leg = driver.add(self._machine, self)
        self._leg.act(lambda now: None)

    def ring(self) -> None:
        """Send 180 Ringing."""
        self._act(lambda now: self._machine.ring(now=now))

    def reject(self, status: int) -> None:
        """Refuse the call."""
        self._act(lambda now: self._machine.reject(status, now=now))

    async def accept(
        self,
        stream: media.MediaStream,
        *,
        shown: str,
        codecs: Sequence[str] = ("PCMU", "PCMA"),
        srtp: Srtp = PLAIN,
    ) -> bool:
        """Answer with `stream`; True when media runs, False when the call ended before that.

        `shown` is the address for the SDP.
        """
        self._stream = stream
        port = stream.local[1]
        self._act(
            lambda now: self._machine.accept(now=now, address=shown, port=port, codecs=codecs, srtp=srtp)
        )
        return await self._standing

    def hang_up(self) -> None:
        """Send BYE; `ended` completes at once."""
        if not self._ended.done():
            self._act(lambda now: self._machine.hang_up(now=now))

    async def ended(self) -> str:
        """Wait until the call is over; gives `caller`, `agent` or `network`."""
        return await asyncio.shield(self._ended)

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """Nothing: the dialer's side keeps the trace."""

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """Let an event of the leg take effect."""
        match event:
            case signalling.Incoming():
                self._on_incoming(self)
            case signalling.Answered(negotiated=negotiated) | signalling.Renegotiated(negotiated=negotiated):
                task = asyncio.get_running_loop().create_task(self._start_media(negotiated))
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)
            case signalling.TransferRequested():
                # An agent that is hosted here is on this line and no other.
                self._act(lambda now: self._machine.report_transfer(603, now=now))
            case signalling.Ended(by=by):
                self._end(by)
            case signalling.Cancelled():
                self._end("caller")
            case signalling.NegotiationFailed(text=text):
                logger.warning("call %s: offer and answer have nothing in common: %s", self.sip_call_id, text)
                self._end("agent")
            case signalling.Rejected():
                self._end("agent")
            case _:
                pass

    async def _start_media(self, negotiated: Negotiated) -> None:
        parameters = parameters_of(negotiated)
        self._codec = parameters.codec
        try:
            await self.stream.start(parameters)
        except MediaError:
            logger.exception("call %r: media could not be started", self.sip_call_id)
            self.hang_up()
            return
        if not self._standing.done():
            self._standing.set_result(True)

    def _act(self, step: Callable[[float], None]) -> None:
        if self._leg is not None:
            self._leg.act(step)

    def _end(self, by: str) -> None:
        if not self._ended.done():
            self._ended.set_result(by)
        if not self._standing.done():
            self._standing.set_result(False)


Serve = Callable[[AnsweredLine], Awaitable[None]]


class Answerer:
    """Listens for calls and serves each with an agent. An async context manager."""

    def __init__(
        self,
        agent: Serve,
        *,
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
    ) -> None:
        """Prepare; nothing is opened before `async with`.

        Args:
            agent: called with a `Line` for each call; when it returns, the call is hung up.
            host: address to listen on.
            port: SIP port, 0 for any.
            transport: what to listen for: `udp` is UDP and TCP at one port, as RFC 3261 §18.2.1 asks; `tcp` is TCP
                alone; `tls` is TLS alone.
            tls: our certificate, needed for `tls`, and whom to trust.
            public_address: `HOST` or `HOST:PORT` that a NAT shows for this machine, or `stun:SERVER` to ask for it;
                it stands in Contact and SDP.
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

        Raises:
            LocalProtocolError: a codec is not known.
        """
        check_codecs(codecs)
        self._srtp: SrtpPolicy = srtp
        self._agent, self._host, self._port, self._codecs = agent, host, port, tuple(codecs)
        self._credentials = Credentials(username, password or "") if username is not None else None
        self._algorithm: Literal["SHA-256", "MD5"] = algorithm
        self._pick, self._engine, self._timers = pick, engine, timers
        self._own_engine: PyMediaEngine | None = None
        self._transport: Transport = transport
        self._driver = SipDriver(
            on_stray_request=self._on_stray_request,
            tls=tls or TlsSettings(),
            public_address=PublicAddress.parse(public_address),
        )
        self._ids = RandomIds()
        self._gate = Gate(load)
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
            self._own_engine = PyMediaEngine()
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
        self._driver.close()
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
        """What was turned away: `malformed` messages, `connections`, and `calls` and `rate` as in `call.load`."""
        counts = {"malformed": self._driver.malformed, "connections": self._driver.refused_connections}
        return {name: count for name, count in {**counts, **self._gate.refused}.items() if count}

    def _on_stray_request(self, request: Request, source: Hop) -> None:
        new_call = request.method == "INVITE" and request.to.tag is None
        now = clock.now()
        objection = self._gate.objection(source.host, calls=self.calls, new_call=new_call, now=now)
        if objection is not None and request.method != "ACK":
            self._driver.reply(request, objection.to(request, tag=self._ids.tag()), source)
        elif new_call:
            self._take(request, source)
        elif reply := replies.stray_reply(request, DEFAULT_EXTENSIONS.supported):
            self._driver.reply(request, reply.to(request, tag=self._ids.tag()), source)

    def _take(self, invite: Request, source: Hop) -> None:
        """Run a machine for a new call; it goes to the agent when the machine says `Incoming`."""
        challenger = None
        if self._credentials is not None:
            challenger = Challenger(self._credentials, realm=REALM, algorithm=self._algorithm)
        machine = InboundCall(
            invite,
            now=clock.now(),
            local=self._driver.shown(self._host_towards(source)),
            ids=self._ids,
            source=source,
            challenger=challenger,
            timers=self._timers,
        )
        line = AnsweredLine(machine, host=self._host_towards(source), on_incoming=self._on_incoming)
        line.run_on(self._driver)

    def _host_towards(self, source: Hop) -> str:
        """The local address that a caller reaches; an answerer on all interfaces has one for each."""
        host = self.local[0]
        return local_address_towards(source.address) if host in {"0.0.0.0", "::"} else host

    def _on_incoming(self, line: AnsweredLine) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(line))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, line: AnsweredLine) -> None:
        """One call from the INVITE to the agent's last word."""
        if self._pick == "busy":
            line.reject(486)
            return
        line.ring()
        if self._pick == "ring":
            await line.ended()
            return
        assert self._engine is not None
        try:
            stream = await self._engine.open(host=line.host, live=True, record=False)
        except MediaError:
            logger.exception("call %r: no media port", line.sip_call_id)
            line.reject(503)
            return
        try:
            shown, keys = self._driver.shown(line.host)[0], self._ids.srtp(self._srtp)
            if await line.accept(stream, shown=shown, codecs=self._codecs, srtp=keys):
                self.calls_served += 1
                await self._run_agent(line)
        finally:
            line.hang_up()
            await stream.close()

    async def _run_agent(self, line: AnsweredLine) -> None:
        """Let the agent serve the call; when the call is over it gets its time to finish, not more."""
        serving = asyncio.ensure_future(self._agent(line))
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

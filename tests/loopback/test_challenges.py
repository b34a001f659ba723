"""Challenges of every kind over real sockets; the far end checks each answer by arithmetic of its own."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from tuner_sipbridge import AuthenticationFailed, CallTimedOut, Dialer
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sip.message import Request, Response, response_to
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.timers import Timers

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER, PASSWORD = "probe", "s3cret"
WWW, PROXY = "WWW-Authenticate", "Proxy-Authenticate"
ANSWERED_IN = {WWW: "Authorization", PROXY: "Proxy-Authorization"}
HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
FIELD = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))')


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncGenerator[PyMediaEngine]:
    """The media of all calls of this file."""
    async with PyMediaEngine() as started:
        yield started


def fields_of(value: str) -> dict[str, str]:
    return {name.lower(): quoted or bare for name, quoted, bare in FIELD.findall(value)}


def is_right(request: Request, asked: dict[str, str], given: dict[str, str]) -> bool:
    """Whether credentials answer a challenge (RFC 7616 §3.4.1, RFC 2069 §2.4), computed from the standard's text."""
    algorithm = asked.get("algorithm", "MD5").upper()

    def h(data: str | bytes) -> str:
        octets = data.encode() if isinstance(data, str) else data
        return hashlib.new(HASHES[algorithm.removesuffix("-SESS")], octets).hexdigest()

    secret = h(f"{USER}:{asked['realm']}:{PASSWORD}")
    if algorithm.endswith("-SESS"):
        secret = h(f"{secret}:{asked['nonce']}:{given['cnonce']}")
    qop = given.get("qop")
    what = f"{request.method}:{given['uri']}" + (f":{h(request.body)}" if qop == "auth-int" else "")
    between = f":{given['nc']}:{given['cnonce']}:{qop}" if qop else ""
    return (
        given["response"] == h(f"{secret}:{asked['nonce']}{between}:{h(what)}")
        and (qop in re.split(r"[ ,]+", asked["qop"]) if "qop" in asked else qop is None)
        and given["uri"] == str(request.uri)
        and all(given.get(name) == asked[name] for name in ("realm", "nonce", "opaque") if name in asked)
        and given.get("algorithm", "MD5").upper() == algorithm
        and given["username"] == USER
    )


@dataclass
class Demand:
    """A challenge that must be answered before a request is served."""

    header: str
    value: str

    def met_by(self, request: Request) -> str | None:
        """The nonce count of right credentials, empty without one; None when there are none."""
        asked = fields_of(self.value)
        for value in request.headers.get_all(ANSWERED_IN[self.header]):
            given = fields_of(value)
            if given.get("realm") == asked["realm"] and is_right(request, asked, given):
                return given.get("nc", "")
        return None


@dataclass
class Edge(asyncio.DatagramProtocol):
    """A far end that serves a request when it meets its demands."""

    demands: Callable[[Request], list[list[tuple[str, str]]]]
    """For a request the hops on its way, each with the challenges that it puts in one answer."""
    early: bool = False
    """Answer the INVITE reliably first, so that a PRACK must come."""
    served: list[Request] = field(default_factory=list[Request])
    refused: list[int] = field(default_factory=list[int])
    counts: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    strange: list[str] = field(default_factory=list[str])
    hears: bool = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = transport
        self.port: int = transport.get_extra_info("sockname")[1]

    @property
    def uri(self) -> str:
        return f"sip:agent@127.0.0.1:{self.port}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Serve a request, or ask who is there."""
        message = parse_datagram(data)
        if isinstance(message, Response) or message.method == "ACK" or not self.hears:
            return
        for challenges in self.demands(message):
            counts = [(value, Demand(header, value).met_by(message)) for header, value in challenges]
            met = [(fields_of(value)["nonce"], count) for value, count in counts if count is not None]
            headers = {header for header, _ in challenges}
            if len(met) < len(headers):
                status = 407 if PROXY in headers else 401
                self.refused.append(status)
                self._say(response_to(message, status, to_tag="edge", headers=challenges), addr)
                return
            self.counts += [(message.method, nonce, count) for nonce, count in met]
        self.served.append(message)
        self._serve(message, addr)

    def _serve(self, request: Request, address: tuple[str, int]) -> None:
        if request.method == "INVITE" and self.early and request.to.tag is None:
            self._invite = request, address
            self._answer(183, request, address, ("Require", "100rel"), ("RSeq", "7"))
            return
        self._answer(202 if request.method == "REFER" else 200, request, address)
        if request.method == "PRACK":
            self._answer(200, *self._invite)

    def _answer(
        self, status: int, request: Request, address: tuple[str, int], *headers: tuple[str, str]
    ) -> None:
        body = make_offer("127.0.0.1", 9, 1).to_bytes() if request.method == "INVITE" else b""
        contact = ("Contact", f"<{self.uri}>")
        kind = "application/sdp" if body else None
        headers = (contact, ("Allow", "INVITE, UPDATE"), *headers)
        self._say(
            response_to(request, status, to_tag="edge", headers=headers, body=body, content_type=kind),
            address,
        )

    def _say(self, response: Response, address: tuple[str, int]) -> None:
        self._transport.sendto(response.to_bytes(), address)  # type: ignore[attr-defined]


@asynccontextmanager
async def edge(
    demands: Callable[[Request], list[list[tuple[str, str]]]], *, early: bool = False
) -> AsyncGenerator[Edge]:
    opened, far = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Edge(demands, early), local_addr=("127.0.0.1", 0)
    )
    try:
        yield far
    finally:
        opened.close()


KINDS = {
    "nothing but realm and nonce": 'Digest realm="r", nonce="n"',
    "MD5": 'Digest realm="r", nonce="n", algorithm=MD5, qop="auth"',
    "md5 in lower case": 'digest realm="r",nonce="n",algorithm=md5,qop="auth",opaque="o,p"',
    "scheme in upper case": 'DIGEST REALM="r", NONCE="n", ALGORITHM=SHA-256, QOP="auth"',
    "MD5-sess": 'Digest realm="r", nonce="n", algorithm=MD5-sess, qop="auth"',
    "SHA-256": 'Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth", opaque=""',
    "SHA-256-sess": 'Digest realm="r", nonce="n", algorithm=SHA-256-sess, qop="auth"',
    "SHA-512-256": 'Digest realm="r", nonce="n", algorithm=SHA-512-256, qop="auth"',
    "SHA-512-256-sess": 'Digest realm="r", nonce="n", algorithm="SHA-512-256-sess", qop="auth"',
    "auth-int alone": 'Digest realm="r", nonce="n", algorithm=MD5, qop="auth-int"',
    "auth-int alone, SHA-256-sess": 'Digest realm="r", nonce="n", algorithm=SHA-256-sess, qop="auth-int"',
    "both qualities": 'Digest realm="r", nonce="n", algorithm=MD5, qop="auth,auth-int"',
    "commas in quotes": 'Digest realm="a, b=c, \\"d\\"", nonce="x,y", qop="auth, auth-int", algorithm=MD5',
}


@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_challenge_is_answered_as_the_standard_computes_it(
    engine: PyMediaEngine, kind: str, status: int
):
    challenge = WWW if status == 401 else PROXY, KINDS[kind]
    async with edge(lambda request: [[challenge]]) as far:
        async with Dialer(username=USER, password=PASSWORD, engine=engine) as dialer:
            async with dialer.dial(far.uri, headers={"X-Tenant": "7"}):
                pass
    assert [request.method for request in far.served] == ["INVITE", "BYE"]
    assert far.refused == [status], "the BYE brings its credentials along"
    assert far.served[0].headers.get("X-Tenant") == "7"
    assert b"m=audio" in far.served[0].body
    counted = [count for _, _, count in far.counts]
    assert counted in (["00000001", "00000002"], ["", ""])


async def test_the_strongest_of_several_challenges_is_answered_and_unknown_ones_do_no_harm(
    engine: PyMediaEngine,
):
    several = [
        (PROXY, 'Basic realm="r"'),
        (PROXY, 'Digest realm="r", nonce="weak", algorithm=MD5, qop="auth"'),
        (PROXY, 'Digest realm="r", nonce="new", algorithm=SHA3-512, qop="auth"'),
        (PROXY, 'Digest realm="r", nonce="strong", algorithm=SHA-256, qop="auth"'),
    ]

    def demands(request: Request) -> list[list[tuple[str, str]]]:
        strong = Demand(*several[3]).met_by(request)
        return [] if strong else [several]

    async with edge(demands) as far:
        async with Dialer(username=USER, password=PASSWORD, engine=engine) as dialer:
            async with dialer.dial(far.uri):
                pass
    assert far.refused == [407]


PROXY_ASKS = (PROXY, 'Digest realm="proxy, one", nonce="p", algorithm=MD5, qop="auth"')
AGENT_ASKS = (WWW, 'Digest realm="agent", nonce="a", algorithm=SHA-256, qop="auth-int"')
SECOND_PROXY_ASKS = (PROXY, 'Digest realm="proxy two", nonce="q", qop="auth"')


@pytest.mark.parametrize(
    ("way", "refused"),
    [
        ([[PROXY_ASKS], [AGENT_ASKS]], [407, 401]),
        ([[PROXY_ASKS], [SECOND_PROXY_ASKS], [AGENT_ASKS]], [407, 407, 401]),
    ],
    ids=["proxy and agent", "two realms and agent"],
)
async def test_everybody_on_the_way_gets_credentials_of_its_own(
    engine: PyMediaEngine, way: list[list[tuple[str, str]]], refused: list[int]
):
    async with edge(lambda request: way) as far:
        async with Dialer(username=USER, password=PASSWORD, engine=engine) as dialer:
            async with dialer.dial(far.uri):
                pass
    assert far.refused == refused
    assert [request.method for request in far.served] == ["INVITE", "BYE"]
    invite = far.served[0]
    assert invite.cseq.number == len(refused) + 1
    # A nonce of the first that asked has been used once for each of the later challenges.
    assert ("INVITE", "p", f"{len(refused):08x}") in far.counts


async def test_every_request_of_a_call_answers_a_challenge_of_its_own(engine: PyMediaEngine):
    """The far end takes each nonce for one method only, as those do that keep no nonces."""

    def demands(request: Request) -> list[list[tuple[str, str]]]:
        inside = "again" if request.to.tag else "first"
        nonce = f"{request.method}-{inside}"
        return [[(WWW, f'Digest realm="r", nonce="{nonce}", algorithm=SHA-256, qop="auth-int"')]]

    async with edge(demands, early=True) as far:
        async with Dialer(username=USER, password=PASSWORD, engine=engine) as dialer:
            async with asyncio.timeout(10), dialer.dial(far.uri) as call:
                call.hold()
                while [one.method for one in far.served].count("INVITE") < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                asked = asyncio.ensure_future(call.transfer("sip:third@127.0.0.1"))
                while "REFER" not in [one.method for one in far.served]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                asked.cancel()
    assert [request.method for request in far.served] == ["INVITE", "PRACK", "INVITE", "REFER", "BYE"]
    assert far.refused == [401] * 5
    numbers = [request.cseq.number for request in far.served]
    assert numbers == sorted(set(numbers))


async def test_a_far_end_that_calls_every_nonce_stale_is_left(engine: PyMediaEngine):
    nonces = iter(range(100))

    def demands(request: Request) -> list[list[tuple[str, str]]]:
        return [[(WWW, f'Digest realm="r", nonce="n{next(nonces)}", qop="auth", stale=TRUE')]]

    async with edge(demands) as far, Dialer(username=USER, password=PASSWORD, engine=engine) as dialer:
        with pytest.raises(AuthenticationFailed, match="stale"):
            async with dialer.dial(far.uri):
                pass
    assert far.refused == [401] * 5


async def test_wrong_credentials_and_an_answer_that_never_comes_are_told_apart(engine: PyMediaEngine):
    quick = Timers(t1=0.01, t2=0.08, t4=0.1)
    challenge = (WWW, 'Digest realm="r", nonce="n", qop="auth"')
    async with edge(lambda request: [[challenge]]) as far:
        async with Dialer(username=USER, password="guess", engine=engine) as wrong:
            with pytest.raises(AuthenticationFailed, match="does not accept this user name and password"):
                async with wrong.dial(far.uri):
                    pass
        assert far.refused == [401, 401]

    def mute(request: Request) -> list[list[tuple[str, str]]]:
        deaf.hears = False
        return [[challenge]]

    async with edge(mute) as deaf:
        async with Dialer(username=USER, password=PASSWORD, engine=engine, timers=quick) as unheard:
            with pytest.raises(CallTimedOut, match="to the INVITE with credentials"):
                async with unheard.dial(deaf.uri):
                    pass
        assert deaf.refused == [401]

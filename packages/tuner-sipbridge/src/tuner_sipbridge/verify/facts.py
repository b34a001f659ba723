"""What is known of an edge so far: gathered by `run`, judged by `verdicts`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from tuner_sipbridge.net.reach import Reached
from tuner_sipbridge.providers import Provider
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.trace import Trace

StepName: TypeAlias = Literal[
    "uri",
    "dns",
    "connection",
    "options",
    "registration",
    "invite",
    "challenge",
    "credentials",
    "answer",
    "sdp",
    "media_in",
    "media_out",
    "dtmf",
    "bye",
    "packets",
]
STEPS: tuple[StepName, ...] = get_args(StepName)
"""All steps, in their order."""

Verdict: TypeAlias = Literal["ok", "warning", "failed", "skipped", "not reached"]


@dataclass(frozen=True, slots=True)
class Step:
    """The verdict on one step.

    Attributes:
        name: which one.
        verdict: `ok`; `warning`: calls go through, something is not as it should be; `failed`; `skipped`: nobody asked
            for it; `not reached`: an earlier step failed, or the call was over before it.
        detail: what was found, in plain words.
        change: what to change, and where; empty when nothing need be.
    """

    name: StepName
    verdict: Verdict
    detail: str = ""
    change: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the host of the URI, or those of the trunks, lead to.

    Attributes:
        addresses: where calls go, best first, as `transport address:port`; empty when there is none.
        problem: why there is none, or why a trunk has none, in words.
        asked: the questions that led there; empty for an address, which needs no look-up.
    """

    addresses: tuple[str, ...] = ()
    problem: str = ""
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Inquired:
    """One target that was asked by OPTIONS.

    Attributes:
        target: as `transport address:port`.
        trace: the OPTIONS and its answer.
        refused: why nothing can get there, in words; empty when something may.
    """

    target: str
    trace: Trace = field(default_factory=Trace, repr=False)
    refused: str = ""


@dataclass(slots=True)
class Facts:
    """All that is known at one moment.

    Attributes:
        target: URI as the user gave it.
        provider: whose edge it is; None when nobody knows.
        provider_named: the user said so, it was not guessed from the host.
        uri: the URI that is called, with the provider's transport and port; None before it was read.
        uri_problem: why it cannot be called.
        trunks: hosts of the ways out that the user gave; empty when the URI's own host is called.
        transport: what carries SIP to it.
        lookup: what DNS said, None before that.
        reached: what came of connecting; None before that, and over UDP.
        dead: why targets that come before the one in `reached` could not be connected to.
        checked: how certificates are checked: `ca`, `pin`, or `nothing`.
        inquiries: the targets that were asked by OPTIONS.
        inquired: nothing more comes of OPTIONS.
        hurried_s: no target answered OPTIONS, so INVITE is given up after so many seconds of silence; None otherwise.
        tls_there: the port that is called over TCP speaks TLS.
        registering: a registration was asked for.
        call: the call.
        username_given: there are credentials to answer a challenge with.
        password_given: with a password that is not empty.
        srtp: what was offered of SRTP: `off`, `optional`, `required`.
        no_way_out: there is no way from here to the address that the far end's SDP names.
        problem: why the call failed before its INVITE, as the dialer says it.
        at: Unix time in seconds.
        over: nothing follows.
    """

    target: str = field(repr=False)
    provider: Provider | None = None
    provider_named: bool = False
    uri: Uri | None = None
    uri_problem: str = field(default="", repr=False)
    trunks: tuple[str, ...] = ()
    transport: str = "udp"
    lookup: Lookup | None = None
    reached: Reached | None = None
    dead: tuple[str, ...] = ()
    checked: Literal["ca", "pin", "nothing"] = "ca"
    inquiries: tuple[Inquired, ...] = ()
    inquired: bool = False
    hurried_s: float | None = None
    tls_there: bool = False
    registering: bool = False
    call: Trace = field(default_factory=Trace, repr=False)
    username_given: bool = False
    password_given: bool = True
    srtp: str = "off"
    no_way_out: bool = False
    problem: str = field(default="", repr=False)
    at: float = 0.0
    over: bool = False

    @property
    def there(self) -> str:
        """Whose side is meant where something is to be changed on the far side."""
        return f"at {self.provider.title}" if self.provider is not None else "on the far side"

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
    "invite",
    "challenge",
    "credentials",
    "answer",
    "sdp",
    "media_in",
    "media_out",
    "dtmf",
    "bye",
]
STEPS: tuple[StepName, ...] = get_args(StepName)
"""All steps, in their order."""

Verdict: TypeAlias = Literal["ok", "warning", "failed", "not reached"]


@dataclass(frozen=True, slots=True)
class Step:
    """The verdict on one step.

    Attributes:
        name: which one.
        verdict: `ok`; `warning`: calls go through, something is not as it should be; `failed`; `not reached`: an
            earlier step failed.
        detail: what was found, in plain words.
        change: what to change, and where; empty when nothing need be.
    """

    name: StepName
    verdict: Verdict
    detail: str = ""
    change: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the host of the URI leads to.

    Attributes:
        addresses: where calls go, best first, as `transport address:port`; empty when there is none.
        problem: why there is none, in words.
        asked: the questions that led there; empty for an address, which needs no look-up.
    """

    addresses: tuple[str, ...] = ()
    problem: str = ""
    asked: str = ""


@dataclass(slots=True)
class Facts:
    """All that is known at one moment.

    Attributes:
        target: URI as the user gave it.
        provider: whose edge it is; None when nobody knows.
        provider_named: the user said so, it was not found out by the host.
        uri: the URI that is called, with the provider's transport and port; None before it was read.
        uri_problem: why it cannot be called.
        transport: what carries SIP to it.
        lookup: what DNS said, None before that.
        reached: what came of connecting; None before that, and over UDP.
        dead: why targets that come before the one in `reached` could not be connected to.
        checked: how certificates are checked: `ca`, `pin`, or `nothing`.
        inquiry: the OPTIONS and its answer.
        inquired: nothing more comes of OPTIONS.
        call: the call.
        username_given: there are credentials to answer a challenge with.
        problem: why the call failed, as the dialer says it.
        at: Unix time in seconds.
        over: nothing follows.
    """

    target: str = field(repr=False)
    provider: Provider | None = None
    provider_named: bool = False
    uri: Uri | None = None
    uri_problem: str = field(default="", repr=False)
    transport: str = "udp"
    lookup: Lookup | None = None
    reached: Reached | None = None
    dead: tuple[str, ...] = ()
    checked: Literal["ca", "pin", "nothing"] = "ca"
    inquiry: Trace = field(default_factory=Trace, repr=False)
    inquired: bool = False
    call: Trace = field(default_factory=Trace, repr=False)
    username_given: bool = False
    problem: str = field(default="", repr=False)
    at: float = 0.0
    over: bool = False

    @property
    def there(self) -> str:
        """Whose side is meant where something is to be changed on the far side."""
        return f"at {self.provider.title}" if self.provider is not None else "on the far side"

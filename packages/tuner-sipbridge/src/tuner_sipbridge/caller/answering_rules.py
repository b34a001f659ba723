"""What to do with which incoming call, as the rules of an answering plan say it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.scenario import Text, Wait

Action: TypeAlias = Literal["scenario", "host", "voicemail", "busy", "no_answer", "reject"]
ACTIONS: tuple[Action, ...] = ("scenario", "host", "voicemail", "busy", "no_answer", "reject")

UNNAMED = "agent"
"""What an agent is called whose rule does not name it."""


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """What rules look at.

    Attributes:
        called: user part of the Request-URI without escapes, or its host when there is none.
        caller: the same of the From URI.
        headers: headers of the INVITE, names in lower case; the first value of each.
        source: address that the INVITE came from.
    """

    called: str = field(repr=False)
    caller: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    source: str = ""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pattern(_Part):
    """A text that must be exactly this, or a regular expression that must match the whole of it."""

    text: Annotated[str | None, Field(description="Exactly this.")] = None
    regex: Annotated[str | None, Field(description="Regular expression (Python's) for the whole value.")] = (
        None
    )

    def matches(self, value: str) -> bool:
        """Whether `value` is what is looked for."""
        if self.regex is not None:
            return re.fullmatch(self.regex, value) is not None
        return value == self.text

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of what a file may say: a text, or a mapping of one field."""
        about = handler.resolve_ref_schema(handler(core_schema))["description"]
        expression = {"regex": {"type": "string", "format": "regex"}}
        mapping = {
            "type": "object",
            "properties": expression,
            "required": ["regex"],
            "additionalProperties": False,
        }
        return {"description": about, "anyOf": [{"type": "string"}, mapping]}

    @model_validator(mode="before")
    @classmethod
    def _bare_text(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            raise ValueError('write it in quotes, as in "4930123": it is a text, not a number')
        return {"text": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_that_can_be_read(self) -> Pattern:
        if (self.text is None) == (self.regex is None):
            raise ValueError('give a text, or {regex: "…"}')
        try:
            re.compile(self.regex or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return self


class Voicemail(_Part):
    """A greeting is spoken, a beep follows, and what the agent says is recorded until silence or the limit."""

    greeting: Annotated[Text, Field(description="What is said.")] = (
        "You have reached the voicemail. Please leave a message after the tone."
    )
    persona: Annotated[Persona, Field(description="Who says it.")] = Persona()
    beep: Annotated[bool, Field(description="A tone after the greeting.")] = True
    silence_s: Annotated[Wait, Field(gt=0, description="Hang up when the agent was silent for so long.")] = (
        3.0
    )
    limit_s: Annotated[
        float, Field(gt=0.0, le=7200.0, description="Hang up when the call has lasted for so long.")
    ] = 120.0


class NoAnswer(_Part):
    """It rings, and nobody picks up."""

    give_up_s: Annotated[
        Wait | None, Field(description="480 after so long; when not given, ring until the agent cancels.")
    ] = None


class Reject(_Part):
    """A final response."""

    status: Annotated[int, Field(ge=300, le=699, description="Status code.")]
    reason: Annotated[
        str | None,
        Field(pattern=r"^[^\r\n]{0,200}$", description="Reason phrase; the standard's by default."),
    ] = None
    headers: Annotated[
        dict[str, Annotated[str, Field(pattern=r"^[^\r\n]*$")]],
        Field(description="Further headers: Retry-After, Contact of a redirection, Warning …"),
    ] = {}


class EarlyMedia(_Part):
    """183 with our SDP before the call is answered."""

    for_s: Annotated[Wait, Field(description="How long before the answer.")] = 2.0
    sound: Annotated[
        Literal["ring_back", "silence"], Field(description="What the agent hears meanwhile.")
    ] = "ring_back"


class Rule(_Part):
    """Conditions, all of which must hold, and what happens then: exactly one of the actions."""

    name: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="Name in the report and in file names."
        ),
    ] = None
    agent: Annotated[
        str, Field(min_length=1, max_length=64, description="Name of the agent in the report.")
    ] = UNNAMED
    called: Annotated[Pattern | None, Field(description="User part of the URI that is called.")] = None
    caller: Annotated[Pattern | None, Field(description="User part of the caller's URI.")] = None
    headers: Annotated[dict[str, Pattern], Field(description="Headers that the INVITE must have.")] = {}
    source: Annotated[
        list[str], Field(description="Addresses and networks, in one of which the sender must be.")
    ] = []
    ring_s: Annotated[Wait, Field(description="Ring for so long before what follows.")] = 0.0
    early_media: Annotated[EarlyMedia | None, Field(description="Then 183 with SDP.")] = None
    scenario: Annotated[
        str | None, Field(min_length=1, description="Pick up and play this file (path from the plan's).")
    ] = None
    host: Annotated[
        Literal["pipecat", "livekit", "echo"] | None, Field(description="Let this agent serve the call.")
    ] = None
    voicemail: Annotated[Voicemail | None, Field(description="Pick up as a voicemail.")] = None
    busy: Annotated[Literal[True] | None, Field(description="486 Busy Here.")] = None
    no_answer: Annotated[NoAnswer | None, Field(description="Ring, and do not pick up.")] = None
    reject: Annotated[Reject | None, Field(description="Refuse with a status of your own.")] = None

    @field_validator("source")
    @classmethod
    def _networks(cls, entries: list[str]) -> list[str]:
        return checked_networks(entries)

    @model_validator(mode="before")
    @classmethod
    def _fill_in_bare_words(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        fields = dict(cast(Mapping[str, Any], value))
        for name in ("voicemail", "no_answer", "early_media"):
            if name in fields and fields[name] is None:
                fields[name] = {}
        return fields

    @model_validator(mode="after")
    def _exactly_one_action(self) -> Rule:
        given = [name for name in ACTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a rule has exactly one of {', '.join(ACTIONS)}; here: {', '.join(given) or 'none of them'}"
            )
        if self.early_media is not None and given[0] not in ("scenario", "voicemail"):
            raise ValueError("early_media goes with scenario or voicemail")
        return self

    @property
    def action(self) -> Action:
        """Which action is given."""
        return next(name for name in ACTIONS if getattr(self, name) is not None)

    def matches(self, call: IncomingCall) -> bool:
        """Whether all conditions hold; a rule without any is for every call."""
        return (
            (self.called is None or self.called.matches(call.called))
            and (self.caller is None or self.caller.matches(call.caller))
            and all(
                (value := call.headers.get(name.lower())) is not None and pattern.matches(value)
                for name, pattern in self.headers.items()
            )
            and (not self.source or _is_in(call.source, self.source))
        )


def checked_networks(entries: list[str]) -> list[str]:
    """The entries, each an address or a network.

    Raises:
        ValueError: one of them is neither.
    """
    for entry in entries:
        ip_network(entry)
    return entries


def _is_in(address: str, networks: list[str]) -> bool:
    try:
        host = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(host in ip_network(network) for network in networks)

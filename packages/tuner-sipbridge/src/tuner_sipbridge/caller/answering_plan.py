"""How calls are answered, as a YAML file says it: rules in order, of which the first that matches decides.

```yaml
name: outbound
username: trunk                       # ask callers and those who register for digest credentials
password_env: TRUNK_PASSWORD          # the name of a variable; passwords do not belong in files
allow: [127.0.0.1, 198.51.100.0/24]   # others get 403
registrations: {}                     # accept REGISTER
rules:
  - {called: "100", agent: sales, ring_s: 2, scenario: picks_up.yaml}
  - {called: {regex: "49.*"}, headers: {X-Campaign: spring}, voicemail: {silence_s: 2}}
  - {called: "486", busy: true}
  - {caller: anonymous, reject: {status: 603}}
  - no_answer: {give_up_s: 20}
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tuner_sipbridge.caller.answering_rules import IncomingCall, Rule, checked_networks
from tuner_sipbridge.caller.scenario import HangUp, Listen, Scenario, Step, Wait
from tuner_sipbridge.caller.yaml_source import YamlSource, read_yaml
from tuner_sipbridge.errors import FileError


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Registrations(_Part):
    """REGISTER is accepted (RFC 3261 §10.3)."""

    min_expires_s: Annotated[int, Field(ge=1, le=3600, description="Shorter ones get 423.")] = 60
    max_expires_s: Annotated[int, Field(ge=1, le=86_400, description="Longer ones are cut to this.")] = 7200
    scenario: Annotated[
        str | None,
        Field(min_length=1, description="Call each contact when it has registered, and play this file."),
    ] = None
    agent: Annotated[
        str, Field(min_length=1, max_length=64, description="Name of the agent in the report.")
    ] = "agent"
    after_s: Annotated[Wait, Field(description="Call so long after the registration.")] = 0.5


class ExtensionTerms(_Part):
    """Which extensions of SIP the calls speak, and on what terms."""

    session_interval_s: Annotated[
        int | None,
        Field(
            ge=90,
            lt=2**31,
            description="Session interval to agree to at most (RFC 4028); null: no session timer.",
        ),
    ] = 1800
    least_session_interval_s: Annotated[
        int, Field(ge=90, lt=2**31, description="Shorter ones that callers ask for get 422.")
    ] = 90
    refresher: Annotated[
        Literal["us", "peer"] | None,
        Field(
            description="Who refreshes the session where the caller leaves it open; us: even of callers without."
        ),
    ] = None
    reliable: Annotated[
        Literal["no", "supported", "required"],
        Field(
            description="Reliable provisional responses (RFC 3262); required: callers without them get 421."
        ),
    ] = "supported"

    @model_validator(mode="after")
    def _go_together(self) -> ExtensionTerms:
        interval_s, least_s = self.session_interval_s, self.least_session_interval_s
        if interval_s is not None and interval_s < least_s:
            raise ValueError(f"session_interval_s is shorter than least_session_interval_s ({least_s} s)")
        if interval_s is None and self.refresher is not None:
            raise ValueError("a refresher needs a session timer: give session_interval_s, or no refresher")
        return self


class AnsweringFile(_Part):
    """The plan as it stands in the file."""

    name: Annotated[str, Field(min_length=1, max_length=64, description="Name of the run.")] = "answering"
    username: Annotated[
        str | None, Field(description="Ask callers for digest credentials with this user name.")
    ] = None
    password_env: Annotated[str | None, Field(description="Environment variable with the password.")] = None
    allow: Annotated[
        list[str] | None,
        Field(description="Addresses and networks whose requests are heard; others get 403."),
    ] = None
    registrations: Annotated[Registrations | None, Field(description="Accept REGISTER.")] = None
    extensions: Annotated[ExtensionTerms, Field(description="Session timer and reliable responses.")] = (
        ExtensionTerms()
    )
    transfers: Annotated[
        Literal["follow", "decline"],
        Field(description="When the agent transfers the human (REFER): call the new party, or report 603."),
    ] = "decline"
    rules: Annotated[list[Rule], Field(min_length=1, description="In order; the first that matches decides.")]

    @field_validator("allow")
    @classmethod
    def _networks(cls, entries: list[str] | None) -> list[str] | None:
        return None if entries is None else checked_networks(entries)

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> AnsweringFile:
        if (self.username is None) != (self.password_env is None):
            raise ValueError("digest authentication needs username and password_env")
        return self


@dataclass(frozen=True, slots=True)
class AnsweringRule:
    """A rule with what it plays.

    Attributes:
        rule: conditions and action.
        name: in the report and in file names.
        scenario: what a simulated human does once it has picked up; None when nobody does, or an agent is hosted.
    """

    rule: Rule
    name: str
    scenario: Scenario | None = None


@dataclass(frozen=True, slots=True)
class AnsweringPlan:
    """How calls are answered.

    Attributes:
        name: name of the run.
        rules: in order.
        settings: what stands beside the rules in the file.
        on_registration: what is played to a contact that has registered.
    """

    name: str
    rules: tuple[AnsweringRule, ...]
    settings: AnsweringFile
    on_registration: Scenario | None = None
    _source: YamlSource | None = field(default=None, repr=False, compare=False)

    @classmethod
    def load(cls, path: Path | str) -> AnsweringPlan:
        """Read a plan file and every scenario file it names.

        Raises:
            FileError: naming file, line and field; a fault inside a scenario names the scenario's file.
        """
        source = read_yaml(Path(path))
        settings = source.validate(AnsweringFile)
        rules = [_with_scenario(source, number, rule) for number, rule in enumerate(settings.rules)]
        wanted = settings.registrations
        called = (
            _scenario(source, wanted.scenario, "registrations", "scenario")
            if wanted is not None and wanted.scenario is not None
            else None
        )
        return cls(settings.name, tuple(rules), settings, called, source)

    def rule_for(self, call: IncomingCall) -> AnsweringRule | None:
        """The first rule whose conditions hold, None when there is none."""
        return next((rule for rule in self.rules if rule.rule.matches(call)), None)

    def password(self, environ: Mapping[str, str]) -> str | None:
        """The password out of the environment, None when callers need none.

        Raises:
            FileError: the variable that the plan names is not set.
        """
        variable = self.settings.password_env
        if variable is None or environ.get(variable):
            return environ[variable] if variable is not None else None
        problem = f"the environment variable {variable} is not set"
        if self._source is None:
            raise FileError(problem, file="plan", field="password_env")
        raise self._source.error(problem, "password_env")


def _with_scenario(source: YamlSource, number: int, rule: Rule) -> AnsweringRule:
    if rule.scenario is not None:
        scenario = _scenario(source, rule.scenario, "rules", number, "scenario")
        return AnsweringRule(rule, rule.name or scenario.name, scenario)
    name = rule.name or rule.action.replace("_", "-")
    return AnsweringRule(rule, name, _voicemail(rule, name))


def _voicemail(rule: Rule, name: str) -> Scenario | None:
    """A voicemail is a human who speaks once and then only listens."""
    mail = rule.voicemail
    if mail is None:
        return None
    listen = Listen(settle_s=mail.silence_s, patience_s=mail.silence_s)
    steps = [Step(say=mail.greeting), Step(listen=listen), Step(hang_up=HangUp())]
    return Scenario(name=name, persona=mail.persona, max_call_s=mail.limit_s, steps=steps)


def _scenario(source: YamlSource, file: str, *location: str | int) -> Scenario:
    path = Path(source.file).parent / file
    if not path.is_file():
        raise source.error(f"there is no scenario file {path}", *location)
    return Scenario.load(path)

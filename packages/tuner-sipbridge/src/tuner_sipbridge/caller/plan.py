"""Which calls to make: targets times scenarios times repeats, as a YAML file says it.

```yaml
name: nightly
at_once: 10
repeat: 2
targets:
  - agent: front-desk
    uri: sip:agent@edge.example
    username: probe
    password_env: PROBE_PASSWORD      # the name of a variable; passwords do not belong in files
scenarios:
  - order_status.yaml                 # paths are relative to the plan
  - {file: barge_in.yaml, repeat: 5}
```
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tuner_sipbridge.caller.scenario import Scenario, Wait
from tuner_sipbridge.caller.yaml_source import YamlSource, read_yaml
from tuner_sipbridge.errors import FileError
from tuner_sipbridge.sdp.crypto import SrtpPolicy

Repeat = Annotated[int, Field(ge=1, le=10_000)]


class Target(BaseModel):
    """An agent to call."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: Annotated[str, Field(min_length=1, max_length=64, description="Name of the agent in the report.")]
    uri: Annotated[
        str,
        Field(pattern=r"^(sips?|tel):.+", description="SIP URI to dial; a tel URI where a trunk takes it."),
    ]
    username: Annotated[str | None, Field(description="User name for digest authentication.")] = None
    username_env: Annotated[str | None, Field(description="Environment variable with the user name.")] = None
    password_env: Annotated[str | None, Field(description="Environment variable with the password.")] = None
    headers: Annotated[
        dict[str, str], Field(description="Headers to put on every INVITE, kept on the authenticated retry.")
    ] = {}
    srtp: Annotated[
        SrtpPolicy | None, Field(description="off, optional or required; the dialer's by default.")
    ] = None
    ring_timeout_s: Annotated[Wait, Field(description="CANCEL after so long without an answer.")] = 30.0

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> Target:
        if self.username and self.username_env:
            raise ValueError("give username or username_env, not both")
        if bool(self.username or self.username_env) != bool(self.password_env):
            raise ValueError("digest authentication needs username (or username_env) and password_env")
        return self


class ScenarioEntry(BaseModel):
    """A scenario file and how often it is played for each target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Annotated[str, Field(min_length=1, description="Path of a scenario file, relative to the plan.")]
    repeat: Annotated[Repeat | None, Field(description="Calls for each target, if not the plan's.")] = None

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of what a file may say: the fields, or a path alone."""
        shape = handler.resolve_ref_schema(handler(core_schema))
        return {"anyOf": [dict(shape), {"type": "string", "minLength": 1}]}

    @model_validator(mode="before")
    @classmethod
    def _bare_path(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str) else value


class PlanFile(BaseModel):
    """The plan as it stands in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64, description="Name of the run.")] = "run"
    at_once: Annotated[int, Field(ge=1, le=10_000, description="Calls standing at the same time.")] = 1
    repeat: Annotated[Repeat, Field(description="Calls for each target and scenario.")] = 1
    targets: Annotated[list[Target], Field(min_length=1, description="Agents to call.")]
    scenarios: Annotated[list[ScenarioEntry], Field(min_length=1, description="What to play.")]


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call of a plan.

    Attributes:
        number: position in the plan, from 1.
        target: whom to call.
        scenario: what to play.
        repeat: which repeat of this target and scenario this is, from 1.
    """

    number: int
    target: Target
    scenario: Scenario
    repeat: int = 1

    @property
    def label(self) -> str:
        """A short name that is unique in the plan and safe in a file name."""
        agent = re.sub(r"[^A-Za-z0-9_.-]", "-", self.target.agent)
        return f"{self.number:03d}-{agent}-{self.scenario.name}"


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """Calls to make, and how many of them at once.

    Attributes:
        name: name of the run.
        calls: in the order in which they are dialled.
        at_once: calls standing at the same time.
    """

    name: str
    calls: tuple[PlannedCall, ...]
    at_once: int = 1
    _source: YamlSource | None = field(default=None, repr=False, compare=False)

    @classmethod
    def load(cls, path: Path | str) -> BatchPlan:
        """Read a plan file and every scenario file it names.

        Raises:
            FileError: naming file, line and field; a fault inside a scenario names the scenario's file.
        """
        source = read_yaml(Path(path))
        plan = source.validate(PlanFile)
        scenarios = [
            (_scenario(source, number, entry), entry.repeat or plan.repeat)
            for number, entry in enumerate(plan.scenarios)
        ]
        return cls.of(plan.targets, scenarios, name=plan.name, at_once=plan.at_once, source=source)

    @classmethod
    def of(
        cls,
        targets: list[Target],
        scenarios: list[tuple[Scenario, int]],
        *,
        name: str = "run",
        at_once: int = 1,
        source: YamlSource | None = None,
    ) -> BatchPlan:
        """A plan out of targets and of scenarios with their repeats.

        Targets alternate, so that two agents that are compared meet the same conditions.
        """
        calls: list[PlannedCall] = []
        rounds = max((repeat for _, repeat in scenarios), default=0)
        for repeat in range(1, rounds + 1):
            for scenario, repeats in scenarios:
                if repeat <= repeats:
                    for target in targets:
                        calls.append(PlannedCall(len(calls) + 1, target, scenario, repeat))
        return cls(name, tuple(calls), at_once, source)

    def credentials(self, target: Target, environ: Mapping[str, str]) -> tuple[str, str] | None:
        """User name and password for a target out of the environment, None when it wants none.

        Raises:
            FileError: a variable that the plan names is not set.
        """
        if target.password_env is None:
            return None
        username = target.username or self._variable(environ, target, "username_env")
        return username, self._variable(environ, target, "password_env")

    def _variable(self, environ: Mapping[str, str], target: Target, name: str) -> str:
        variable = str(getattr(target, name))
        value = environ.get(variable)
        if value:
            return value
        problem = f"the environment variable {variable} is not set"
        if self._source is None:
            raise FileError(problem, file="plan", field=f"targets.{name}")
        listed = self._source.value["targets"]
        number = next(i for i, given in enumerate(listed) if Target.model_validate(given) == target)
        raise self._source.error(problem, "targets", number, name)


def _scenario(source: YamlSource, number: int, entry: ScenarioEntry) -> Scenario:
    path = Path(source.file).parent / entry.file
    if not path.is_file():
        raise source.error(f"there is no scenario file {path}", "scenarios", number, "file")
    return Scenario.load(path)

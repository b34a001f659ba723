"""What happens in a call, step by step, as a YAML file says it.

```yaml
name: order_status
steps:
  - listen                                            # the greeting
  - say: I would like to know where my order is.
  - listen
  - dtmf: "427#"
  - barge_in: {after_s: 0.8, say: "Stop, that is enough."}
  - pause_s: 1.5
  - hang_up: {after_s: 0.5}                           # at the end it comes by itself
```
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.yaml_source import read_yaml

Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=2000)]
Wait: TypeAlias = Annotated[float, Field(ge=0.0, le=600.0)]
Kind: TypeAlias = Literal["listen", "say", "barge_in", "dtmf", "pause_s", "hang_up"]

BARE_WORDS = ("listen", "hang_up")
"""Steps that may stand without a value."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listen(_Part):
    """Wait until the agent has spoken and has stopped, as a polite human does."""

    settle_s: Annotated[
        Wait, Field(description="The agent's turn counts as over when it has been silent for so long.")
    ] = 0.8
    patience_s: Annotated[
        Wait | None,
        Field(description="Give up after so much silence; the scenario's `patience_s` when not given."),
    ] = None


class BargeIn(_Part):
    """Wait for the agent to speak, then speak over it."""

    after_s: Annotated[Wait, Field(description="How far into the agent's turn the caller begins.")] = 0.8
    say: Annotated[Text, Field(description="What the caller says over the agent.")]


class HangUp(_Part):
    """End the call from the caller's side."""

    after_s: Annotated[
        Wait,
        Field(description="Wait so long before; with `over_agent`, from the agent's first sound on."),
    ] = 0.0
    over_agent: Annotated[
        bool, Field(description="Wait for the agent to speak, and hang up while it does.")
    ] = False


class Step(_Part):
    """One step: exactly one of the fields is given. `listen` and `hang_up` may stand without a value."""

    listen: Annotated[Listen | None, Field(description="Wait until the agent has spoken and stopped.")] = None
    say: Annotated[Text | None, Field(description="Speak one or more sentences.")] = None
    barge_in: Annotated[BargeIn | None, Field(description="Speak over the agent.")] = None
    dtmf: Annotated[
        str | None,
        Field(pattern=r"^[0-9*#A-D]{1,64}$", description="Keys pressed, sent as RFC 4733 events. In quotes."),
    ] = None
    pause_s: Annotated[Wait | None, Field(description="Say nothing for so many seconds.")] = None
    hang_up: Annotated[HangUp | None, Field(description="Hang up; nothing may follow.")] = None

    @property
    def kind(self) -> Kind:
        """Which field is given."""
        return cast(Kind, next(iter(self.model_fields_set)))

    @property
    def speech(self) -> str | None:
        """The text to render for this step, None when the step is not spoken."""
        return self.barge_in.say if self.barge_in is not None else self.say

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of what a file may say: one field, or one of the bare words."""
        given = handler.resolve_ref_schema(handler(core_schema))
        for name, field in given["properties"].items():
            kept = [
                choice for choice in field.pop("anyOf") if name in BARE_WORDS or choice.get("type") != "null"
            ]
            field.update(kept[0] if len(kept) == 1 else {"anyOf": kept})
            field.pop("default")
        shape = {**given, "minProperties": 1, "maxProperties": 1}
        about = shape.pop("description")
        return {"description": about, "anyOf": [shape, {"enum": list(BARE_WORDS)}]}

    @model_validator(mode="before")
    @classmethod
    def _fill_in_bare_words(cls, value: Any) -> Any:
        if isinstance(value, str) and value in BARE_WORDS:
            return {value: {}}
        if not isinstance(value, Mapping):
            return value
        fields = dict(cast(Mapping[str, Any], value))
        if isinstance(fields.get("dtmf"), int):
            raise ValueError('dtmf: write the digits in quotes, as in dtmf: "427#"')
        for name in BARE_WORDS:
            if name in fields and fields[name] is None:
                fields[name] = {}
        return fields

    @model_validator(mode="after")
    def _exactly_one(self) -> Step:
        given = sorted(self.model_fields_set)
        if len(given) != 1:
            known = "listen, say, barge_in, dtmf, pause_s or hang_up"
            raise ValueError(f"a step is exactly one of {known}; here: {', '.join(given) or 'none of them'}")
        if getattr(self, given[0]) is None:
            raise ValueError(f"{given[0]} needs a value")
        return self


class Scenario(BaseModel):
    """A whole simulated call from the caller's side."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="Short name; part of file names."),
    ]
    description: Annotated[str, Field(description="What the caller wants, in a sentence.")] = ""
    persona: Annotated[Persona, Field(description="Who speaks.")] = Persona()
    patience_s: Annotated[
        Wait, Field(description="How long the caller bears silence before giving up and hanging up.")
    ] = 10.0
    max_call_s: Annotated[
        float, Field(gt=0.0, le=7200.0, description="The caller hangs up after so long, whatever happens.")
    ] = 180.0
    steps: Annotated[list[Step], Field(min_length=1, max_length=500, description="In order.")]

    @model_validator(mode="after")
    def _nothing_after_hang_up(self) -> Scenario:
        for number, step in enumerate(self.steps[:-1]):
            if step.kind == "hang_up":
                raise ValueError(
                    f"steps[{number}] hangs up, yet {len(self.steps) - number - 1} step(s) follow"
                )
        return self

    @classmethod
    def load(cls, path: Path | str) -> Scenario:
        """Read a scenario file.

        Raises:
            FileError: naming file, line and field.
        """
        scenario = read_yaml(Path(path)).validate(cls)
        voice = scenario.persona.voice
        if not voice.endswith((".onnx", "/")):
            return scenario
        # A Path drops the slash that marks a directory.
        located = str(Path(path).parent / voice) + ("/" if voice.endswith("/") else "")
        return scenario.model_copy(update={"persona": scenario.persona.model_copy(update={"voice": located})})

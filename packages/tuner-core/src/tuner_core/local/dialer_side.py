"""What the dialer may tell the local Tuner about a simulation."""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tuner_core.local.rows import Simulation
from tuner_core.local.validation import RefusedBody

Outcome = Literal["success", "client_error", "upstream_error", "agent_error", "indeterminate"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


_Model = TypeVar("_Model", bound=_Body)


class SimulationBody(_Body):
    """The body of `POST /local/simulations`; times are Unix seconds."""

    sip_call_id: str = Field(min_length=1, max_length=1024)
    started_at: float | None = None
    correlation_id: str | None = None
    recipient: str | None = Field(default=None, repr=False)
    agent: str = ""
    scenario: str = ""
    target: str = ""
    ended_at: float | None = None
    outcome: Outcome | None = None
    detail: str = ""

    def row(self, *, now: float) -> Simulation:
        """Give the row; a simulation without `started_at` begins `now` (Unix seconds)."""
        fields = self.model_dump(exclude={"started_at"})
        return Simulation(started_at=now if self.started_at is None else self.started_at, **fields)


class SimulationUpdate(_Body):
    """The body of `PATCH /local/simulations/{sip_call_id}`; what is left out stays as it is."""

    outcome: Outcome | None = None
    ended_at: float | None = None
    detail: str | None = None

    def changes(self) -> dict[str, Any]:
        """Give the fields to change."""
        return self.model_dump(exclude_none=True)


def parse_simulation(body: bytes) -> SimulationBody:
    """Read the body of a registration.

    Raises:
        RefusedBody: it is not JSON or a field is wrong.
    """
    return _parse(SimulationBody, body)


def parse_update(body: bytes) -> SimulationUpdate:
    """Read the body of an update.

    Raises:
        RefusedBody: it is not JSON or a field is wrong.
    """
    return _parse(SimulationUpdate, body)


def _parse(model: type[_Model], body: bytes) -> _Model:
    try:
        return model.model_validate(json.loads(body))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        problems = [
            {"loc": ["body", *item["loc"]], "msg": item["msg"], "type": item["type"]} for item in details
        ]
    except (ValueError, RecursionError):
        problems = [{"loc": ["body"], "msg": "JSON decode error", "type": "json_invalid"}]
    raise RefusedBody(problems)

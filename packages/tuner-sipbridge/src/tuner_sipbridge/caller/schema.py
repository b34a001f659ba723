"""The JSON Schemas of the files that users write: scenario, plan and answering plan."""

from __future__ import annotations

import json
from typing import Any

from tuner_sipbridge.caller.answering_plan import AnsweringFile
from tuner_sipbridge.caller.plan import PlanFile
from tuner_sipbridge.caller.scenario import Scenario

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """Each schema by the name of its file."""
    return {
        "scenario.schema.json": {"$schema": DIALECT, **Scenario.model_json_schema()},
        "plan.schema.json": {"$schema": DIALECT, **PlanFile.model_json_schema()},
        "answering.schema.json": {"$schema": DIALECT, **AnsweringFile.model_json_schema()},
    }


def as_text(schema: dict[str, Any]) -> str:
    """A schema as it stands in its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"

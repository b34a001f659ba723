import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

SCHEMA = json.loads((Path(__file__).parents[2] / "data" / "create_call.schema.json").read_text())


@pytest.fixture
def assert_accepted() -> Callable[[Mapping[str, Any]], None]:
    """Fails when the API would refuse the body."""
    validator = jsonschema.Draft202012Validator(SCHEMA)

    def check(payload: Mapping[str, Any]) -> None:
        sent = json.loads(json.dumps(payload, allow_nan=False))
        validator.validate(sent)
        assert sent["start_timestamp"] <= sent["end_timestamp"]

    return check

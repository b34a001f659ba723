"""No representation shows a credential, a phone number or anything that was said: of any class, for any value."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

SECRET = re.compile(
    r"^_*(api_key|password|passwd|secret|token|credentials|authorization|cnonce|ha1|signature)$"
)
CONTENT = re.compile(
    r"^_*(text|word|words|sentences|intended_text|transcripts?|transcript_with_tool_calls|output|params|results?"
    r"|body|payload|data|record|value|digits?|extra|attributes|headers|fields|facts|recipient"
    r"|(caller_)?phone_number|caller_number|sip_headers|metadata|general_meta_data_raw|call_analysis"
    r"|collected_dynamic_variables)$"
)
CORE = ("tuner_core", "tuner_livekit", "tuner_pipecat")
SAFE = {
    "tuner_core.config.TunerConfig.sip_headers",  # names of headers
    "tuner_core.identity.description.Provider.headers",  # where a provider puts them
    "tuner_core.identity.vetting.Verdict.value",  # a Call-ID
    "tuner_core.recordings.form.UploadForm.headers",  # of the form, type and length
    "tuner_core.redaction.digits.Group.digits",  # how many
}


def classes(*packages: str) -> Iterator[type[Any]]:
    """Every dataclass and every pydantic model in the packages, each where it is defined."""
    for name in packages:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            for value in vars(importlib.import_module(module.name)).values():
                if (
                    inspect.isclass(value)
                    and value.__module__ == module.name
                    and (dataclasses.is_dataclass(value) or issubclass(value, BaseModel))
                ):
                    yield value


def shown(kind: type[Any], names: re.Pattern[str]) -> list[str]:
    """The fields of a class, called by one of the names, whose value shows in a representation of it."""
    model = issubclass(kind, BaseModel)
    kinds = (
        {name: field.annotation for name, field in kind.model_fields.items()}
        if model
        else {field.name: field.type for field in dataclasses.fields(kind)}
    )
    planted = {name: f"<planted in {name}>" for name in kinds}
    values = {
        name: SecretStr(value) if "SecretStr" in str(kinds[name]) else value
        for name, value in planted.items()
    }
    if model:
        instance = kind.model_construct(None, **values)
    else:
        instance = object.__new__(kind)
        for name, value in values.items():
            object.__setattr__(instance, name, value)
    try:
        said = f"{instance!r} {instance!s} {instance}"
    except Exception:  # a representation of its own, which wants values of their types
        return []
    where = f"{kind.__module__}.{kind.__qualname__}"
    found = [name for name in planted if names.match(name) and planted[name] in said]
    return [path for name in found if (path := f"{where}.{name}") not in SAFE]


def test_it_would_be_noticed() -> None:
    @dataclasses.dataclass
    class Loud:
        text: str
        password: str = dataclasses.field(repr=False)

    assert [path.rpartition(".")[2] for path in shown(Loud, CONTENT)] == ["text"]
    assert shown(Loud, SECRET) == []


@pytest.mark.parametrize("package", [*CORE, "tuner_sipbridge"])
def test_no_credential_shows(package: str) -> None:
    assert [path for kind in classes(package) for path in shown(kind, SECRET)] == []


@pytest.mark.parametrize("package", CORE)
def test_nothing_that_was_said_shows(package: str) -> None:
    assert [path for kind in classes(package) for path in shown(kind, CONTENT)] == []

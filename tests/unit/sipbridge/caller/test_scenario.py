from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.schema import as_text, schemas
from tuner_sipbridge.errors import FileError

ROOT = Path(__file__).parents[4]
SHIPPED = sorted((ROOT / "packages/tuner-sipbridge/src/tuner_sipbridge/demo/scenarios").glob("*.yaml"))


def write(directory: Path, text: str) -> Path:
    path = directory / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def fault(directory: Path, text: str) -> FileError:
    with pytest.raises(FileError) as caught:
        Scenario.load(write(directory, text))
    return caught.value


def test_every_kind_of_step_is_read(tmp_path: Path) -> None:
    scenario = Scenario.load(
        write(
            tmp_path,
            """
name: all
steps:
  - listen
  - listen:
  - listen: {settle_s: 1.2}
  - say: Hello.
  - barge_in: {after_s: 0.4, say: "Stop."}
  - dtmf: "12#"
  - pause_s: 1.5
  - hang_up: {after_s: 0.5}
""",
        )
    )
    kinds = [step.kind for step in scenario.steps]
    assert kinds == ["listen", "listen", "listen", "say", "barge_in", "dtmf", "pause_s", "hang_up"]
    assert [step.speech for step in scenario.steps if step.speech] == ["Hello.", "Stop."]


def test_an_error_names_file_line_and_field(tmp_path: Path) -> None:
    error = fault(
        tmp_path, "name: x\nsteps:\n  - say: hi\n  - barge_in:\n      after_s: soon\n      say: stop\n"
    )
    assert error.line == 5
    assert error.field == "steps[1].barge_in.after_s"
    assert str(error).startswith(f"{tmp_path / 'scenario.yaml'}:5: steps[1].barge_in.after_s: ")


def test_several_errors_are_told_at_once_first_line_first(tmp_path: Path) -> None:
    error = fault(tmp_path, "name: x\npatience: 3\nsteps:\n  - shout: hi\n")
    assert error.line == 2
    assert error.field == "patience"
    assert "scenario.yaml:4: steps[0].shout: no such field" in str(error)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: x\nsteps:\n  - {say: a, dtmf: '1'}\n", 3, "exactly one of"),
        ("name: x\nsteps:\n  - {}\n", 3, "none of them"),
        ("name: x\nsteps:\n  - dtmf: 427\n", 3, "in quotes"),
        ("name: x\nsteps:\n  - dtmf: 4x\n", 3, "pattern"),
        ("name: x\nsteps:\n  - say:\n", 3, "say needs a value"),
        ("name: x\nsteps: []\n", 2, "at least 1"),
        ("name: x\nsteps:\n  - hang_up\n  - say: a\n", 1, "steps[0] hangs up, yet 1 step(s) follow"),
        ("name: x\nname: y\nsteps:\n  - say: a\n", 2, "given twice"),
        ("name: x\nsteps:\n  - say: [a\n", 4, "not YAML"),
        ("- say: a\n", 1, "a mapping of fields"),
        ("", 0, "empty"),
        ("name: &n [*n]\nsteps: [listen]\n", 1, "string"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(tmp_path: Path, text: str, line: int, words: str) -> None:
    error = fault(tmp_path, text)
    assert error.line == line
    assert words in str(error)


def test_a_file_that_is_not_there_is_a_file_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        Scenario.load(tmp_path / "none.yaml")


def test_a_voice_that_is_a_path_is_looked_for_beside_the_scenario(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\npersona: {voice: people/}\nsteps: [say: hi]\n")
    assert Scenario.load(path).persona.voice == f"{tmp_path}/people/"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_demos_scenarios_load_and_fit_the_schema(path: Path) -> None:
    assert Scenario.load(path).name == path.stem
    jsonschema.validate(yaml.safe_load(path.read_text()), schemas()["scenario.schema.json"])


@pytest.mark.parametrize("step", ["listen", {"listen": None}, {"hang_up": {"over_agent": True}}])
def test_the_schema_takes_what_the_model_takes(step: object) -> None:
    jsonschema.validate({"name": "x", "steps": [step]}, schemas()["scenario.schema.json"])


@pytest.mark.parametrize("step", ["say", {"say": None}, {}, {"say": "a", "listen": None}, {"dtmf": 12}])
def test_the_schema_refuses_what_the_model_refuses(step: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", "steps": [step]}, schemas()["scenario.schema.json"])


@pytest.mark.parametrize("name", ["scenario.schema.json", "plan.schema.json", "answering.schema.json"])
def test_the_schemas_in_the_docs_are_those_of_the_models(name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert written == as_text(schemas()[name]), "run tools/write_schemas.py"
    jsonschema.Draft202012Validator.check_schema(json.loads(written))

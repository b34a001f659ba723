from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from tuner_sipbridge.caller.plan import BatchPlan
from tuner_sipbridge.caller.schema import schemas
from tuner_sipbridge.errors import FileError

PLAN = """\
name: nightly
at_once: 3
repeat: 2
targets:
  - agent: desk one
    uri: sip:a@edge.example
  - agent: two
    uri: sip:b@edge.example
    username: probe
    password_env: PROBE_PASSWORD
    headers: {X-Test: "1"}
scenarios:
  - short.yaml
  - {file: long.yaml, repeat: 1}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("short", "long"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nsteps: [say: hi]\n")
    return tmp_path


def load(directory: Path, text: str = PLAN) -> BatchPlan:
    path = directory / "plan.yaml"
    path.write_text(text)
    return BatchPlan.load(path)


def test_calls_are_targets_times_scenarios_times_repeats_with_targets_alternating(directory: Path) -> None:
    plan = load(directory)
    assert plan.at_once == 3
    assert [(call.number, call.target.agent, call.scenario.name, call.repeat) for call in plan.calls] == [
        (1, "desk one", "short", 1),
        (2, "two", "short", 1),
        (3, "desk one", "long", 1),
        (4, "two", "long", 1),
        (5, "desk one", "short", 2),
        (6, "two", "short", 2),
    ]


def test_labels_are_unique_and_fit_a_file_name(directory: Path) -> None:
    labels = [call.label for call in load(directory).calls]
    assert labels[0] == "001-desk-one-short"
    assert len(set(labels)) == len(labels)


def test_credentials_come_out_of_the_environment(directory: Path) -> None:
    plan = load(directory)
    first, second = plan.calls[0].target, plan.calls[1].target
    assert plan.credentials(first, {}) is None
    assert plan.credentials(second, {"PROBE_PASSWORD": "s3"}) == ("probe", "s3")


def test_a_variable_that_is_not_set_is_named_with_the_line_that_wants_it(directory: Path) -> None:
    plan = load(directory)
    with pytest.raises(FileError, match=r"PROBE_PASSWORD is not set") as caught:
        plan.credentials(plan.calls[1].target, {})
    assert caught.value.line == 10


def test_two_targets_of_one_name_are_told_apart_in_an_error(directory: Path) -> None:
    plan = load(
        directory,
        "targets:\n  - {agent: a, uri: 'sip:a@x', username: u, password_env: ONE}\n"
        "  - {agent: a, uri: 'sip:b@x', username: u, password_env: TWO}\nscenarios: [short.yaml]\n",
    )
    with pytest.raises(FileError) as caught:
        plan.credentials(plan.calls[1].target, {"ONE": "1"})
    assert caught.value.line == 3


def test_a_scenario_file_that_is_missing_is_named_with_its_line(directory: Path) -> None:
    with pytest.raises(FileError, match="there is no scenario file") as caught:
        load(directory, PLAN.replace("short.yaml", "gone.yaml"))
    assert caught.value.line == 13


def test_a_fault_inside_a_scenario_names_the_scenarios_file(directory: Path) -> None:
    (directory / "short.yaml").write_text("name: short\nsteps:\n  - shout: hi\n")
    with pytest.raises(FileError, match=r"short\.yaml:3"):
        load(directory)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    username: probe\n", "", "digest authentication needs username"),
        ("sip:a@edge.example", "edge.example", "pattern"),
        ("repeat: 2", "repeat: 0", "greater than or equal to 1"),
        ("at_once: 3", "at-once: 3", "no such field"),
    ],
)
def test_what_is_wrong_is_said(directory: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(FileError, match=words):
        load(directory, PLAN.replace(old, new, 1))


def test_the_schema_takes_the_plan() -> None:
    jsonschema.validate(yaml.safe_load(PLAN), schemas()["plan.schema.json"])

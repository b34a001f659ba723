from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.caller.answering_plan import AnsweringPlan
from tuner_sipbridge.caller.answering_rules import IncomingCall
from tuner_sipbridge.caller.schema import schemas
from tuner_sipbridge.errors import FileError

PLAN = """\
name: outbound
username: trunk
password_env: TRUNK_PASSWORD
allow: [127.0.0.1, 198.51.100.0/24]
registrations: {min_expires_s: 30, scenario: short.yaml}
rules:
  - {called: "100", caller: anonymous, reject: {status: 603}}
  - {called: "100", ring_s: 2, scenario: short.yaml}
  - {called: {regex: "49[0-9]+"}, headers: {X-Campaign: spring}, voicemail: }
  - {called: {regex: "49[0-9]+"}, source: [198.51.100.0/24], no_answer: {give_up_s: 20}}
  - {called: "500", host: echo, name: hosted}
  - busy: true
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "short.yaml").write_text("name: short\nsteps: [say: hi]\n")
    return tmp_path


def load(directory: Path, text: str = PLAN) -> AnsweringPlan:
    path = directory / "answering.yaml"
    path.write_text(text)
    return AnsweringPlan.load(path)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (IncomingCall("100", "anonymous"), "reject"),
        (IncomingCall("100", "sales"), "short"),
        (IncomingCall("4930", "sales", {"x-campaign": "spring"}, "198.51.100.7"), "voicemail"),
        (IncomingCall("4930", "sales", {"x-campaign": "springtime"}, "198.51.100.7"), "no-answer"),
        (IncomingCall("4930", "sales", {}, "192.0.2.7"), "busy"),
        (IncomingCall("4930x", "sales", {"x-campaign": "spring"}), "busy"),
        (IncomingCall("500", "sales"), "hosted"),
        (IncomingCall("1000", "sales"), "busy"),
    ],
)
def test_the_first_rule_that_matches_decides(directory: Path, call: IncomingCall, name: str):
    rule = load(directory).rule_for(call)
    assert rule is not None
    assert rule.name == name


def test_a_call_without_a_rule_has_none(directory: Path):
    plan = load(directory, 'rules: [{called: "1", busy: true}]\n')
    assert plan.rule_for(IncomingCall("2", "")) is None


def test_scenarios_come_along_and_a_voicemail_is_one(directory: Path):
    plan = load(directory)
    assert plan.on_registration is not None
    assert [rule.scenario.name for rule in plan.rules if rule.scenario is not None] == ["short", "voicemail"]
    mail = plan.rules[2].scenario
    assert mail is not None
    assert [step.kind for step in mail.steps] == ["say", "listen", "hang_up"]


def test_the_password_is_in_the_environment(directory: Path):
    plan = load(directory)
    assert plan.password({"TRUNK_PASSWORD": "x"}) == "x"
    with pytest.raises(FileError, match=r"answering.yaml:3: password_env: .*TRUNK_PASSWORD is not set"):
        plan.password({})


@pytest.mark.parametrize(
    ("rule", "field", "problem"),
    [
        ("{called: 100, busy: true}", r"rules\[0\].called", "in quotes"),
        ('{called: {regex: "("}, busy: true}', r"rules\[0\].called", "not a regular expression"),
        ("{called: {text: a, regex: b}, busy: true}", r"rules\[0\].called", "give a text, or"),
        ("{called: a}", r"rules\[0\]", "exactly one of scenario, .*; here: none of them"),
        ("{busy: true, host: echo}", r"rules\[0\]", "here: host, busy"),
        ("{scenario: gone.yaml}", r"rules\[0\].scenario", "there is no scenario file"),
        ("{reject: {status: 200}}", r"rules\[0\].reject.status", "greater than or equal to 300"),
        ('{reject: {status: 400, reason: "a\\nb"}}', r"rules\[0\].reject.reason", "match"),
        ("{early_media: {}, busy: true}", r"rules\[0\]", "early_media goes with"),
        ("{source: [pbx.example], busy: true}", r"rules\[0\].source", "does not appear"),
        ("{hosts: echo}", r"rules\[0\].hosts", "no such field"),
    ],
)
def test_a_fault_is_told_with_file_line_and_field(directory: Path, rule: str, field: str, problem: str):
    with pytest.raises(FileError, match=rf"(?s)answering.yaml:3: {field}.*{problem}"):
        load(directory, f"name: x\nrules:\n  - {rule}\n")


def test_the_schema_takes_and_refuses_what_the_model_does(directory: Path):
    schema = schemas()["answering.schema.json"]
    jsonschema.validate(yaml.safe_load(PLAN.replace("voicemail: }", "voicemail: {}}")), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"rules": [{"called": 100, "busy": True}]}, schema)


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ("{session_interval_s: 60}", "greater than or equal to 90"),
        (
            "{session_interval_s: 200, least_session_interval_s: 300}",
            r"shorter than least_session_interval_s \(300 s\)",
        ),
        ("{session_interval_s: null, refresher: us}", "a refresher needs a session timer"),
        ("{reliable: maybe}", "'no', 'supported' or 'required'"),
    ],
)
def test_terms_of_extensions_that_cannot_be_are_refused(directory: Path, terms: str, problem: str):
    with pytest.raises(FileError, match=rf"(?s)answering.yaml:2: extensions.*{problem}"):
        load(directory, f"name: x\nextensions: {terms}\nrules: [{{busy: true}}]\n")


def test_without_a_word_a_plan_speaks_what_everybody_does_and_declines_transfers(directory: Path):
    settings = load(directory, "name: x\nrules: [{busy: true}]\n").settings
    assert Extensions(**settings.extensions.model_dump()) == Extensions()
    assert settings.transfers == "decline"

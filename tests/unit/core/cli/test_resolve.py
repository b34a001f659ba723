import json
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuner_core.cli import app
from tuner_core.identity import SipIdentity, resolve

run = CliRunner()
DATA = Path(__file__).parents[3] / "data" / "providers"


@pytest.mark.parametrize(
    ("name", "code", "parts"),
    [
        (
            "twilio/voice-webhook.form",
            0,
            [
                "twilio, voice webhook (read as form body)",
                "2jf9wCCX7Ab3kLmNoPqRsTuVwXy  at SipCallId",
                "not sent",
            ],
        ),
        (
            "sip/invite.txt",
            0,
            ["read as SIP message", "at X-CID", "MFRGGZDFMZTWQ2LKNNWG23TPOA  at X-Correlation-Id"],
        ),
        ("sip/headers-folded.txt", 0, ["read as SIP headers", "at CALL-ID"]),
        (
            "telnyx/call-initiated-no-headers.json",
            1,
            ["read as JSON", "sip_call_id     none", "fix      have the caller send X-CID"],
        ),
        (
            "livekit/participant-attributes-behind-carrier.json",
            0,
            ["warning  the call came through a carrier", "fix      set include_headers"],
        ),
    ],
)
def test_a_file_of_any_form_is_shown_at_a_glance(name: str, code: int, parts: list[str]) -> None:
    result = run.invoke(app, ["resolve", str(DATA / name)])
    assert result.exit_code == code, result.output
    assert [part for part in parts if part not in result.output] == []
    for content in ("2025550142", "7946032", "+44", "caller@"):
        assert content not in result.output


def test_json_has_exactly_the_fields_of_the_identity() -> None:
    file = DATA / "jambonz" / "call-hook.json"
    result = run.invoke(app, ["resolve", "--json", str(file)])
    printed = json.loads(result.stdout)
    assert list(printed) == [field.name for field in fields(SipIdentity)]
    assert printed == json.loads(
        json.dumps({name: getattr(resolve(file.read_text()), name) for name in printed})
    )


def test_standard_input_and_a_named_provider() -> None:
    text = (DATA / "vobiz" / "answer-webhook.form").read_text()
    named = run.invoke(app, ["resolve", "-", "--provider", "vobiz", "--json"], input=text)
    assert (named.exit_code, json.loads(named.stdout)["provider"]) == (0, "vobiz")
    assert json.loads(run.invoke(app, ["resolve", "-", "--json"], input=text).stdout)["provider"] == "plivo"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"\xff\xfe", "not UTF-8"), (b" \n", "empty"), (b"just words", "neither JSON")],
)
def test_a_file_that_cannot_be_read_is_told_from_one_without_a_call_id(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "payload"
    if content is not None:
        file.write_bytes(content)
    result = run.invoke(app, ["resolve", str(file)])
    assert result.exit_code == 2
    assert said in result.output


def test_an_unknown_provider_is_a_usage_error() -> None:
    result = run.invoke(app, ["resolve", "--provider", "twillio", str(DATA / "sip" / "invite.txt")])
    assert result.exit_code == 2
    assert "register_provider" in result.output


def test_what_looks_like_markup_is_printed_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    file.write_text(json.dumps({"SipCallId": "[bold]x[/nothing]@host"}))
    result = run.invoke(app, ["resolve", str(file)])
    assert "[bold]x[/nothing]@host" in result.output

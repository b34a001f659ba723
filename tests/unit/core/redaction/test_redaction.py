"""Rules, patterns and the hook over texts, values, bodies and events."""

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tuner_core import events
from tuner_core.config import TunerConfig
from tuner_core.errors import ConfigError
from tuner_core.redaction import Redaction
from tuner_core.repair import conform

Check = Callable[[Any], None]
START = 1_790_000_000
VISA = "4111 1111 1111 1111"


def call(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "call_id": "c",
        "call_type": "phone_call",
        "start_timestamp": START,
        "end_timestamp": START + 60,
        "recording_url": "https://recordings.example/c.wav",
        "transcript_with_tool_calls": list(rows),
        **more,
    }


def heard(*words: str) -> list[dict[str, Any]]:
    return [{"word": word, "start_ms": 100 * n, "end_ms": 100 * n + 80} for n, word in enumerate(words)]


def spoken(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "text": text, "start_ms": 0, "end_ms": 5000, **more}


def row_of(row: dict[str, Any], redaction: Redaction) -> dict[str, Any]:
    return conform(call(row), redaction=redaction).payload["transcript_with_tool_calls"][0]


def test_every_text_and_tool_value_loses_what_the_rules_find(assert_accepted: Check) -> None:
    secret = {"card": 4111111111111111, "also": float(4111111111111111), "in": [{"deep": f"x {VISA}"}]}
    rows = [
        spoken(f"it is {VISA}", metadata={"intended_text": VISA, "id": "item_5551234567"}),
        {"role": "agent_function", "tool": {"name": "pay", "request_id": "5551234567", "params": secret}},
        {"role": "agent_result", "tool": {"name": "pay", "result": secret, "is_error": True, "error": VISA}},
        {"role": "node_transition", "node": {"from": "a", "to": "b", "reason": f"has {VISA}"}},
    ]
    record = call(
        *rows,
        transcript=f"User: it is {VISA}",
        disconnection_reason=VISA,
        collected_dynamic_variables=secret,
        call_analysis={"summary": f"paid with {VISA}"},
        metadata={"note": VISA, "usage_token": {"llm_token": 5551234567}},
        general_meta_data_raw={"log": [VISA]},
        something_new=VISA,
    )
    conformed = conform(record, redaction=Redaction())
    assert_accepted(conformed.payload)
    body = conformed.body().decode()
    assert "4111" not in body
    assert conformed.payload["transcript_with_tool_calls"][1]["tool"]["params"] == {
        "card": "[card]",
        "also": "[card]",
        "in": [{"deep": "x [card]"}],
    }
    assert body.count("[card]") == 19


def test_what_says_which_call_it_is_stays(assert_accepted: Check) -> None:
    kept = {
        "call_id": "5551234567",
        "sip_call_id": "5551234567@192.0.2.1",
        "recipient": "sip:+4930123456@sip.example",
        "recording_url": "https://recordings.example/5551234567.wav",
        "recording_multi_channel_url": "https://recordings.example/5551234567-2.wav",
        "sip_headers": {"X-Correlation-Id": "5551234567"},
        "caller_phone_number": "+4930123456",
    }
    row = {"role": "agent_function", "tool": {"name": "5551234567", "request_id": "5551234567"}}
    conformed = conform({**call(row), **kept}, redaction=Redaction())
    assert_accepted(conformed.payload)
    assert {name: conformed.payload[name] for name in kept} == kept
    assert conformed.payload["transcript_with_tool_calls"][0]["tool"] == row["tool"]
    assert conformed.repairs == ()


def test_the_callers_number_is_masked_on_request_only() -> None:
    conformed = conform(call(caller_phone_number="+4930123456"), redaction=Redaction(caller_number=True))
    assert conformed.payload["caller_phone_number"] == "[phone]"
    assert "caller_phone_number: redacted, as configured" in conformed.repairs


def test_the_repairs_say_where_and_how_often_and_never_what() -> None:
    rows = [spoken(f"{VISA} or {VISA}"), spoken("write to a@b.com"), spoken("nothing")]
    conformed = conform(call(*rows), redaction=Redaction())
    assert conformed.repairs == (
        "transcript_with_tool_calls[].text: redacted by cards (2 times)",
        "transcript_with_tool_calls[].text: redacted by emails",
    )


def test_keys_stay_unless_they_are_what_a_rule_finds() -> None:
    value = {
        "card": 1,
        "order_4711": 2,
        "+4930123456": 3,
        "+4930999999": 4,
        "[phone]": 5,
        "a@b.com": {"x": 6},
    }
    redacted = Redaction().redact_value(value)
    assert list(redacted.values())[:5] == [1, 2, 3, 4, 5]
    assert {"card", "order_4711", "[phone]", "[email]"} < redacted.keys()
    assert "+49" not in json.dumps(redacted)


def test_small_numbers_and_measures_stay_numbers() -> None:
    value = {
        "n": 4711,
        "price": 12.5,
        "at": 1790000000123,
        "share": 0.1234567890123456,
        "yes": True,
        "no": None,
    }
    assert Redaction().redact_value(value) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"it is {VISA} ok", ["it", "is", "4111", "1111", "1111", "1111", "ok"]),
        ("it is 4111111111111111 ok", ["it", "is", *"four one one one one".split(), *["one"] * 11, "ok"]),
        ("it is 4111-1111-1111-1111 ok", ["it", "is", "4111-1111", "1111-1111", "ok"]),
        (f"it is {VISA} ok", ["it", "is", *"4111111111111111", "ok"]),
    ],
)
def test_words_lose_what_their_text_loses(text: str, words: list[str], assert_accepted: Check) -> None:
    conformed = conform(call(spoken(text, words=heard(*words))), redaction=Redaction())
    assert_accepted(conformed.payload)
    row = conformed.payload["transcript_with_tool_calls"][0]
    assert row["text"] == "it is [card] ok"
    assert [word["word"] for word in row["words"]] == ["it", "is", "[card]", "ok"]
    masked = row["words"][2]
    assert (masked["start_ms"], masked["end_ms"]) == (200, 100 * (len(words) - 2) + 80)


def test_words_that_cannot_be_matched_with_what_the_text_lost_go_and_the_row_keeps_its_times(
    assert_accepted: Check,
) -> None:
    row = {"role": "user", "text": f"it is {VISA}", "words": heard("it", "is", "forty-one", "eleven")}
    conformed = conform(call(row), redaction=Redaction())
    assert_accepted(conformed.payload)
    assert conformed.payload["transcript_with_tool_calls"] == [
        {"role": "user", "text": "it is [card]", "start_ms": 0, "end_ms": 380}
    ]
    assert any(
        repair.startswith("transcript_with_tool_calls[].words: left out") for repair in conformed.repairs
    )


def test_words_are_looked_at_also_where_the_text_is_missing_or_clean() -> None:
    words = heard("it", "is", "4111", "1111", "1111", "1111")
    for row in (spoken("it is [card]", words=words), {"role": "user", "words": words}):
        sent = row_of(row, Redaction())
        assert [word["word"] for word in sent["words"]] == ["it", "is", "[card]"]


def test_fragments_go_when_their_text_was_redacted() -> None:
    fragments = ["it is 4111 11", "11 1111 1111"]
    assert "fragments" not in row_of(spoken(VISA, metadata={"fragments": fragments}), Redaction())["metadata"]
    kept = row_of(spoken("nothing", metadata={"fragments": ["no", "thing"]}), Redaction())
    assert kept["metadata"]["fragments"] == ["no", "thing"]


def test_a_text_is_redacted_before_it_is_cut_to_its_bound() -> None:
    reason = "x" * 90 + " 4111 1111 1111 1111"
    payload = conform(call(disconnection_reason=reason), redaction=Redaction()).payload
    assert payload["disconnection_reason"] == "x" * 90 + " [card]"
    longer = Redaction(patterns={"x": (r"x+", "y" * 200)})
    assert (
        conform(call(disconnection_reason=reason), redaction=longer).payload["disconnection_reason"]
        == "y" * 100
    )


def test_patterns_of_your_own_come_first_and_may_keep_a_part() -> None:
    redaction = Redaction(
        patterns={
            "account": r"\bAC-\d{8}\b",
            "iban": re.compile("de[0-9]{20}", re.IGNORECASE),
            "last four": (r"\b\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?(\d{4})\b", r"ends in \1"),
        }
    )
    assert redaction.redact_text("AC-12345678") == "[account]"
    assert redaction.redact_text("DE12345678901234567890") == "[iban]"
    assert redaction.redact_text(VISA) == "ends in 1111"
    conformed = conform(call(spoken("AC-12345678")), redaction=redaction)
    assert conformed.repairs == ("transcript_with_tool_calls[].text: redacted by account",)


def test_a_pattern_that_also_matches_nothing_adds_nothing() -> None:
    assert Redaction([], patterns={"digits": r"\d*"}).redact_text("ab12c") == "ab[digits]c"


@pytest.mark.parametrize(
    "arguments",
    [
        {"rules": ["card"]},
        {"rules": "cards"},
        {"patterns": {"x": "("}},
        {"patterns": {"x": ("a", r"\2")}},
        {"patterns": {"x": 5}},
    ],
)
def test_what_cannot_work_is_said_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Redaction(**arguments)


def test_a_hook_sees_every_text_and_tool_value_with_its_place_after_the_rules() -> None:
    seen: dict[str, str] = {}

    def hook(text: str, place: str) -> str:
        seen[place] = text
        return text.replace("Ann", "[name]")

    rows = [
        spoken(f"I am Ann, {VISA}", metadata={"intended_text": "Ann"}),
        {"role": "agent_function", "tool": {"name": "pay", "params": {"card": 12, "to": ["Ann"]}}},
    ]
    record = call(
        *rows, call_analysis={"by": {"who": "Ann"}}, general_meta_data_raw={"tuner_sdk": {"end": "Ann"}}
    )
    payload = conform(record, redaction=Redaction(hook=hook)).payload
    assert seen == {
        "transcript_with_tool_calls[0].text": "I am Ann, [card]",
        "transcript_with_tool_calls[0].metadata.intended_text": "Ann",
        "transcript_with_tool_calls[1].tool.params.card": "12",
        "transcript_with_tool_calls[1].tool.params.to[0]": "Ann",
        "call_analysis.by.who": "Ann",
        "general_meta_data_raw.tuner_sdk.end": "Ann",
    }
    assert payload["transcript_with_tool_calls"][0]["text"] == "I am [name], [card]"
    assert payload["transcript_with_tool_calls"][1]["tool"]["params"] == {"card": 12, "to": ["[name]"]}


def test_words_go_when_a_hook_changed_their_text() -> None:
    row = spoken("I am Ann", words=heard("I", "am", "Ann"))
    assert "words" not in row_of(row, Redaction(hook=lambda text, place: text.replace("Ann", "[name]")))
    assert len(row_of(row, Redaction(hook=lambda text, place: text))["words"]) == 3


@pytest.mark.parametrize(
    "hook", [lambda text, place: 1 / 0, lambda text, place: None, lambda text, place: b"x"]
)
def test_a_hook_that_fails_withholds_the_text(hook: Any, assert_accepted: Check) -> None:
    rows = [
        spoken("I am Ann", words=heard("Ann")),
        {"role": "agent_result", "tool": {"result": {"who": "Ann", "n": 5}}},
    ]
    conformed = conform(call(*rows, transcript="User: I am Ann"), redaction=Redaction(hook=hook))
    assert_accepted(conformed.payload)
    assert "Ann" not in conformed.body().decode()
    assert conformed.payload["transcript_with_tool_calls"][0]["text"] == "[withheld]"
    assert conformed.payload["transcript_with_tool_calls"][1]["tool"]["result"] == {
        "who": "[withheld]",
        "n": "[withheld]",
    }
    assert (
        "transcript_with_tool_calls[].tool.result: redacted by a hook that failed (2 times)"
        in conformed.repairs
    )


def test_redacting_a_body_leaves_the_body_as_it_was() -> None:
    body = conform(call(spoken(VISA, words=heard("4111", "1111", "1111", "1111")))).payload
    before = json.dumps(body)
    redacted, notes = Redaction().redact_payload(body)
    assert json.dumps(body) == before
    assert "4111" not in json.dumps(redacted)
    assert notes


def test_events_lose_the_same_for_a_checkpoint() -> None:
    redaction = Redaction()
    words = tuple(events.Word(word, n, n + 1.0) for n, word in enumerate(["is", *VISA.split()]))
    turns: list[events.CallEvent] = [
        events.UserTurn(f"is {VISA}", 1, 2, id="5551234567", words=words),
        events.AgentTurn("ok", 1, 2, intended_text=VISA, metrics=events.TurnMetrics(extra={"x": VISA})),
        events.ToolCalled(1, "5551234567", "pay", {"card": 4111111111111111, "raw": VISA.encode()}),
        events.ToolReturned(1, "5551234567", "pay", result=[VISA], is_error=True, error=VISA),
        events.NodeChanged(1, "a", "b", reason=VISA),
        events.DigitPressed(1, "4"),
        events.UsageReported(llm_model="m", extra={"x": VISA}),
        events.CallEnded(1, detail=VISA),
        events.CallStarted(1),
    ]
    redacted = [redaction.redact_event(turn) for turn in turns]
    text = json.dumps([dataclasses.asdict(turn) for turn in redacted])
    assert "4111" not in text
    assert text.count("5551234567") == 3
    first = redacted[0]
    assert isinstance(first, events.UserTurn)
    assert [(word.text, word.started_at, word.ended_at) for word in first.words] == [
        ("is", 0, 1.0),
        ("[card]", 1, 5.0),
    ]
    assert redacted[5] == events.DigitPressed(1, "x")
    assert redacted[8] is turns[8]


def test_settings_choose_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    def config() -> TunerConfig:
        return TunerConfig(api_key="k", workspace_id=1, agent_id="a")

    monkeypatch.delenv("TUNER_REDACT", raising=False)
    assert config().redaction is None
    monkeypatch.setenv("TUNER_REDACT", " Cards, emails,,cards ")
    assert config().redact == ("cards", "emails")
    assert repr(config().redaction) == "<Redaction by cards, emails>"
    assert config().conform_options()["redaction"] is not None  # pyright: ignore[reportTypedDictNotRequiredAccess]
    monkeypatch.setenv("TUNER_REDACT", "cards,adresses")
    with pytest.raises(ConfigError, match="TUNER_REDACT"):
        config()


def test_one_given_in_code_wins_over_the_settings() -> None:
    config = TunerConfig(api_key="k", workspace_id=1, agent_id="a", redact="cards")
    own = Redaction(["emails"])
    assert config.conform_options(own)["redaction"] is own  # pyright: ignore[reportTypedDictNotRequiredAccess]


def test_a_representation_shows_no_pattern() -> None:
    assert repr(Redaction(["cards"], patterns={"vip": "Ann Smith"}, hook=lambda text, place: text)) == (
        "<Redaction by vip, cards, with a hook>"
    )


def test_a_transcript_that_tells_the_rows_is_told_anew_from_what_is_left_of_them() -> None:
    places: list[str] = []

    def hook(text: str, place: str) -> str:
        places.append(place)
        return text.replace("swordfish", "[word]")

    rows = [
        {"role": "user", "text": "4111 1111\n1111 1111, swordfish", "start_ms": 0, "end_ms": 900},
        {
            "role": "agent",
            "text": "Thanks.",
            "start_ms": 900,
            "end_ms": 950,
            "metadata": {"source": "injected"},
        },
    ]
    body = {
        "transcript_with_tool_calls": rows,
        "transcript": f"User: {rows[0]['text']}\nAgent (injected): Thanks.",
    }
    spanning = {"card": r"\d{4} \d{4}\n\d{4} \d{4}"}
    redacted, notes = Redaction((), patterns=spanning, hook=hook).redact_payload(body)
    assert redacted["transcript"] == "User: [card], [word]\nAgent (injected): Thanks."
    assert "transcript" not in places
    assert any(note.startswith("transcript:") for note in notes)
    other, _ = Redaction((), hook=hook).redact_payload({**body, "transcript": "Somebody said swordfish."})
    assert (other["transcript"], places[-1]) == ("Somebody said [word].", "transcript")

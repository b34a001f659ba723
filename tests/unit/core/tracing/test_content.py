"""What may leave: names, ids and figures; nothing that anybody said."""

from __future__ import annotations

import ast
from pathlib import Path

import livekit.agents.telemetry.trace_types as livekit_names
import pipecat.utils.tracing.service_attributes as pipecat_attributes
import pipecat.utils.tracing.service_decorators as pipecat_decorators
import pytest
from livekit.agents.telemetry.pii import is_pii_attribute

from tuner_core.tracing.content import MAX_TEXT, harmless, harmless_name


def test_model_names_figures_and_outcomes_pass() -> None:
    kept = {
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.usage.input_tokens": 812,
        "gen_ai.response.finish_reasons": ("stop",),
        "metrics.ttfb": 0.21,
        "metrics.character_count": 120,
        "turn.was_interrupted": True,
        "lk.response.ttft": 0.3,
        "lk.interrupted": False,
        "lk.function_tool.name": "order_status",
        "error.type": "TimeoutError",
    }
    assert harmless(kept) == kept


@pytest.mark.parametrize(
    "key",
    [
        "text", "input", "output", "transcript", "tools", "tools.definitions", "user_id", "conversation.id",
        "gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.tool.call.arguments", "llm.input_messages",
        "lk.pii.user_transcript", "lk.chat_ctx", "lk.sip.trunkPhoneNumber", "lk.pii.sip.phoneNumber",
        "exception.message", "exception.stacktrace", "url.full", "my.account", "settings.system_instruction",
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["My card is 4111", 491711234567, ["a", "b"]])
def test_everything_that_is_not_listed_stays(key: str, value: object) -> None:
    assert harmless({key: value}) == {}


def test_prose_does_not_pass_under_a_listed_name() -> None:
    assert harmless({"gen_ai.request.model": "x" * (MAX_TEXT + 1)}) == {}


def test_numbers_in_span_names_are_hidden() -> None:
    assert harmless_name("dial +49 171 1234567") == "dial #"
    assert harmless_name("tool order_status v2") == "tool order_status v2"


def test_no_attribute_that_livekit_marks_as_personal_passes() -> None:
    """Every attribute name of the installed LiveKit, with the value most likely to pass."""
    names = [value for name, value in vars(livekit_names).items() if name.startswith("ATTR_")]
    assert len(names) > 100
    personal = [name for name in names if is_pii_attribute(name)]
    assert personal
    assert [name for name in personal if harmless({name: "short"}) or harmless({name: 7})] == []


def test_the_texts_that_pipecat_puts_on_spans_stay() -> None:
    """Every attribute name in Pipecat's tracing source that passes as text is one that we know."""
    names: set[str] = set()
    for module in (pipecat_attributes, pipecat_decorators):
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "set_attribute":
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    names.add(first.value)
    assert {name for name in names if harmless({name: "short"})} == {
        "gen_ai.operation.name", "gen_ai.output.type", "gen_ai.provider.name", "gen_ai.request.model", "language",
        "service.operation", "voice_id",
    }  # fmt: skip

"""What a session's run tells: order, usage, and what odd items must not cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from livekit.agents import llm
from livekit.agents.metrics import LLMModelUsage, STTModelUsage, TTSModelUsage

from tuner_core.events import AgentTurn, DigitPressed, NodeChanged, ToolCalled, UsageReported, UserTurn
from tuner_livekit._events import ModelNames, SessionCapture, usage_of


def _events(capture: SessionCapture, history: list[Any]) -> list[Any]:
    return capture.events(history, ended_at=99.0, names=ModelNames())


def _message(role: Any, text: str, item_id: str, **more: Any) -> llm.ChatMessage:
    return llm.ChatMessage(id=item_id, role=role, content=[text], created_at=10.0, **more)


def test_a_conversation_is_told_in_the_order_of_the_history():
    capture = SessionCapture()
    capture.user_state("speaking", at=5.0)
    capture.user_state("listening", at=6.0)
    capture.transcribed("book", at=6.2)
    capture.transcribed("monday", at=6.4)
    user = _message("user", "book monday", "u")
    capture.item_added(user)
    call = llm.FunctionCall(call_id="c", name="find_slot", arguments="{}", created_at=11.0)
    handoff = llm.AgentHandoff(old_agent_id="desk", new_agent_id="billing", created_at=12.0)
    first = llm.AgentHandoff(old_agent_id=None, new_agent_id="desk", created_at=1.0)
    told = _events(capture, [first, user, call, handoff, _message("assistant", "10:30", "a")])
    kinds = [type(event) for event in told]
    assert kinds[:3] == [UserTurn, NodeChanged, AgentTurn]
    assert ToolCalled in kinds
    assert told[0].source == "speech"
    assert (told[1].from_node, told[1].to_node) == ("desk", "billing")


def test_items_taken_out_of_the_history_are_still_told():
    capture = SessionCapture()
    capture.item_added(_message("assistant", "hello", "a"))
    assert [event.text for event in _events(capture, []) if isinstance(event, AgentTurn)] == ["hello"]


def test_items_of_an_earlier_run_are_not_told_again():
    history = [_message("assistant", "hello", "a"), _message("assistant", "again", "b")]
    told = _events(SessionCapture(skip=frozenset({"a"})), history)
    assert [event.text for event in told if isinstance(event, AgentTurn)] == ["again"]


def test_instructions_and_messages_of_the_framework_are_nobodys_words():
    history = [
        _message("system", "be brief", "s"),
        _message("user", "expressive guide", "lk.agent_task.instructions"),
    ]
    assert [type(event) for event in _events(SessionCapture(), history)] == [UsageReported]


def test_an_item_that_cannot_be_told_does_not_cost_the_others():
    capture = SessionCapture()
    odd = SimpleNamespace(id="x", type="message", role="user", content=None, metrics=None, created_at=1.0)
    told = _events(capture, [odd, _message("assistant", "hello", "a")])
    assert [event.text for event in told if isinstance(event, AgentTurn)] == ["hello"]
    assert capture.untold == 1


def test_keys_are_told():
    capture = SessionCapture()
    capture.digit("4", at=3.0)
    assert DigitPressed(3.0, "4") in _events(capture, [])


def test_cached_tokens_are_counted_once():
    usage = usage_of(
        [
            LLMModelUsage(
                provider="p", model="big", input_tokens=1000, input_cached_tokens=800, output_tokens=50
            ),
            LLMModelUsage(provider="p", model="small", input_tokens=10, output_tokens=5),
            STTModelUsage(provider="p", model="ear", audio_duration=12.5),
            TTSModelUsage(provider="p", model="mouth", characters_count=340, audio_duration=20.0),
        ],
        ModelNames(stt="other"),
    )
    assert (usage.llm_tokens, usage.stt_audio_s, usage.tts_characters) == (1065, 12.5, 340)
    assert (usage.asr_model, usage.llm_model, usage.tts_model) == ("ear", "big", "mouth")
    assert usage.extra["llm_cached_token"] == 800


def test_models_that_were_never_used_are_named_without_figures():
    usage = usage_of([], ModelNames(stt="ear", llm="big", tts="mouth"))
    assert (usage.asr_model, usage.llm_model, usage.tts_model) == ("ear", "big", "mouth")
    assert (usage.llm_tokens, usage.stt_audio_s, usage.tts_characters) == (None, None, None)

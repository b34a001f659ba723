"""The packages' README files tell the truth: their code runs, their commands and names exist."""

from __future__ import annotations

import inspect
import re
import time
import wave
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from pipecat.pipeline.pipeline import Pipeline
from typer.main import get_command

import tuner_core.errors
from tuner_core import CallRecord, CallTimeline, Delivery, Segment, SipIdentity, TunerClient, TunerConfig
from tuner_core.cli.app import app as command
from tuner_core.recordings import Recording
from tuner_core.testing import LocalTuner
from tuner_livekit import TunerPlugin
from tuner_pipecat import TunerObserver

ROOT = Path(__file__).resolve().parents[2]
CORE = (ROOT / "packages/tuner-core/README.md").read_text("utf-8")
LIVEKIT = (ROOT / "packages/tuner-livekit/README.md").read_text("utf-8")
PIPECAT = (ROOT / "packages/tuner-pipecat/README.md").read_text("utf-8")
CALL_ID = "2jf9wCCX7Ab3kLmNoPqRsTuVwXy"


def blocks(page: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)


def block(page: str, words: str, language: str = "python") -> str:
    (found,) = (text for text in blocks(page, language) if words in text)
    return found


async def run(code: str, **names: Any) -> dict[str, Any]:
    """What a block leaves behind; it may await."""
    space: dict[str, Any] = dict(names)
    body = "".join(f"    {line}\n" if line.strip() else "\n" for line in code.splitlines())
    exec(compile(f"async def block(space):\n{body}    space.update(locals())", "README.md", "exec"), space)
    left: dict[str, Any] = {}
    await space["block"](left)
    return left


@pytest.fixture
def tuner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalTuner]:
    """A local Tuner to which the variables of the page point, and an outbox of the test's own."""
    with LocalTuner() as tuner:
        for name, value in {**tuner.environment(), "TUNER_OUTBOX": str(tmp_path / "outbox")}.items():
            monkeypatch.setenv(name, value)
        yield tuner


@pytest.fixture
def record() -> CallRecord:
    return CallRecord(
        call_id="c-81",
        call_type="phone_call",
        start_timestamp=time.time() - 42,
        end_timestamp=time.time(),
        transcript_with_tool_calls=[Segment.user("My account is AC-12345678", start_ms=600, end_ms=2400)],
    )


def test_the_first_two_minutes(tuner: LocalTuner, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block(CORE, "create_call"), "README.md", "exec"), {})
    (row,) = tuner.calls()
    (shown,) = blocks(CORE, "text")
    assert capsys.readouterr().out == shown
    assert row.call.sip_call_id == CALL_ID
    assert len(tuner.record(row.call)["transcript_with_tool_calls"]) == 4


async def test_a_delivery(tuner: LocalTuner, record: CallRecord) -> None:
    left = await run(block(CORE, "deliver_sync"), record=record)
    assert left["outcome"].state == "delivered"
    assert left["outcome"].receipt.is_new
    await left["delivery"].aclose()
    assert [row.call.call_id for row in tuner.calls()] == ["c-81"]


async def test_a_call_while_it_runs(tuner: LocalTuner) -> None:
    answered_at = time.time() - 30
    async with Delivery() as delivery:
        left = await run(
            block(CORE, "CallTimeline"),
            delivery=delivery,
            identity=SipIdentity(sip_call_id=CALL_ID),
            answered_at=answered_at,
            ended_at=answered_at + 20,
        )
    assert left["outcome"].state == "delivered"
    (row,) = tuner.calls()
    posted = tuner.record(row.call)
    assert [turn["text"] for turn in posted["transcript_with_tool_calls"]] == ["Hello!", "Stop"]
    assert posted["disconnection_reason"] == "user_hangup"
    assert posted["sip_call_id"] == CALL_ID


async def test_which_call_it_is() -> None:
    payload = {"CallSid": "CA" + "0" * 32, "AccountSid": "AC" + "1" * 32, "SipCallId": CALL_ID}
    left = await run(block(CORE, "identity.found_at"), payload=payload)
    assert left["identity"].sip_call_id == CALL_ID
    assert left["identity"].found_at["sip_call_id"] == "SipCallId"


async def test_what_leaves_the_machine(tuner: LocalTuner, record: CallRecord) -> None:
    (setting,) = re.findall(r"^export TUNER_REDACT=(\S+)$", CORE, flags=re.MULTILINE)
    assert TunerConfig(redact=setting).redact == ("cards", "phones", "emails")
    left = await run(block(CORE, "patterns="), Delivery=Delivery)
    await left["delivery"].deliver(record)
    await left["delivery"].aclose()
    assert "AC-12345678" not in str(tuner.record(tuner.calls()[0].call))


async def test_a_recording_and_a_late_url(
    tuner: LocalTuner, record: CallRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with wave.open("c-81.wav", "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(3200))
    content = (tmp_path / "c-81.wav").read_bytes()
    records = iter((record, record.model_copy(update={"call_id": "c-82"})))
    first, second = re.findall(
        r"^await .*?\n(?=await|\Z)", block(CORE, "Recording("), re.DOTALL | re.MULTILINE
    )
    names = {"ask_my_recorder": lambda: "https://recordings.example.com/c-82.wav"}
    async with Delivery() as delivery:
        for code in (first, second):
            await run(code, delivery=delivery, record=next(records), Recording=Recording, **names)
    uploaded, late = sorted(tuner.calls(), key=lambda row: row.call.call_id)
    assert tuner.recording(uploaded.call.id) == content
    assert tuner.record(late.call)["recording_url"] == "https://recordings.example.com/c-82.wav"


async def test_traces_and_a_graph(tuner: LocalTuner) -> None:
    timeline = CallTimeline(call_id="c-81")
    graph = RunnableLambda(lambda state: f"{state} done", name="answer")
    left = await run(block(CORE, "CallTrace"), graph=graph, state="order", timeline=timeline)
    assert left["reply"] == "order done"
    assert tuner.base_url


def test_an_agents_own_test(local_tuner: LocalTuner) -> None:
    """The fixtures are those that `tests/conftest.py` takes by the same line."""
    text = block(CORE, "pytest_plugins")
    assert blocks(CORE)[-1] == text
    plugins, test = text.split("# test_my_agent.py")
    assert plugins.splitlines()[1] in (ROOT / "tests/conftest.py").read_text("utf-8").splitlines()

    def run_my_agent() -> None:
        ended = time.time()
        with TunerClient() as tuner:
            tuner.create_call(
                CallRecord(
                    call_id="c-1",
                    call_type="phone_call",
                    start_timestamp=ended - 9,
                    end_timestamp=ended,
                    disconnection_reason="user_hangup",
                )
            )

    space: dict[str, Any] = {"run_my_agent": run_my_agent}
    exec(test, space)
    space["test_my_agent"](local_tuner)


def test_the_settings_are_those_of_the_configuration() -> None:
    shown = re.findall(r"^\| `(TUNER_\w+)`.*?\| `(\w+)`", CORE, flags=re.MULTILINE)
    assert {f"TUNER_{field.upper()}": field for field in dict(shown).values()} == dict(shown)
    bounds = {"outbox_max_mb", "outbox_max_days"}
    assert {field for _, field in shown} | bounds == set(TunerConfig.model_fields)
    assert "`…_MAX_MB`, `…_MAX_DAYS`" in CORE


def test_the_extras_are_those_of_the_package() -> None:
    shown = "".join(re.findall(r"^\| extra \|.*?\n\n?(?=\Z|#)", CORE + "\n", flags=re.DOTALL | re.MULTILINE))
    rows = [line.split("|")[1] for line in shown.splitlines()[2:] if line]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(metadata("tuner-core").get_all("Provides-Extra") or ())


def test_the_errors_are_raised_as_the_table_says() -> None:
    (table,) = re.findall(r"^\| raised \|.*?\n\n", CORE, flags=re.DOTALL | re.MULTILINE)
    raised = [row.split("|")[1:3] for row in table.splitlines()[2:] if row]
    named = {name for names, _ in raised for name in re.findall(r"`(\w+)`", names)}
    kinds = {
        name
        for name, kind in vars(tuner_core.errors).items()
        if isinstance(kind, type) and issubclass(kind, tuner_core.errors.TunerError)
    }
    assert named == kinds - {"TunerError", "ApiError"}


@pytest.mark.parametrize(
    ("page", "made"), [(LIVEKIT, TunerPlugin), (PIPECAT, TunerObserver)], ids=["livekit", "pipecat"]
)
def test_the_arguments_are_those_of_the_class(page: str, made: type) -> None:
    rows = re.findall(r"^\| (`[\w`, ]+`) \|", page[page.index("| argument |") :], flags=re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    keywords = inspect.signature(made).parameters.values()
    assert named == {argument.name for argument in keywords if argument.kind is argument.KEYWORD_ONLY}


async def test_the_plugin_for_livekit_in_an_entrypoint(tuner: LocalTuner) -> None:
    left = await run(block(LIVEKIT, "async def entrypoint"))
    assert inspect.iscoroutinefunction(left["entrypoint"])
    assert left["TunerPlugin"] is TunerPlugin


async def test_the_observer_for_pipecat(tuner: LocalTuner) -> None:
    left = await run(block(PIPECAT, "PipelineWorker("), pipeline=Pipeline([]), sip_call_id=CALL_ID)
    assert left["worker"] is not None
    headers = {"X-CID": CALL_ID}
    left = await run(
        block(PIPECAT, "sip_headers=headers"), TunerObserver=TunerObserver, headers=headers, value="a"
    )
    await run(block(PIPECAT, "observer.describe"), **left)
    assert left["observer"].failures == 0


@pytest.mark.parametrize("page", [CORE, LIVEKIT, PIPECAT], ids=["core", "livekit", "pipecat"])
def test_the_commands_on_the_page_exist(page: str) -> None:
    root: Any = get_command(command)
    for words in re.findall(r"tuner ((?:[a-z]+ ?)+)((?:--[a-z-]+)?)", "\n".join(_commands(page))):
        here = root
        for word in words[0].split():
            here = getattr(here, "commands", {}).get(word, here)
        assert here is not root, words
        options = {
            option for parameter in here.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert not words[1] or words[1] in options, words


def _commands(page: str) -> list[str]:
    lines = [
        line
        for text in re.findall(r"^```(?:sh)?\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        for line in text.splitlines()
    ]
    return [*lines, *re.findall(r"`(tuner [^`]+)`", page)]

"""The page about recordings tells the truth: its code runs against the local Tuner."""

import asyncio
import re
import wave
from pathlib import Path
from typing import Any

import pytest

from tuner_core import Delivery
from tuner_core.testing import LocalTuner

PAGE = (Path(__file__).resolve().parents[2] / "docs/recordings.md").read_text("utf-8")


def test_the_code_on_the_page_runs_and_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with wave.open("c-81.wav", "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(3200))
    first, printed = re.findall(r"^```(?:python)?\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)[:2]
    code = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert code[0] == first
    with LocalTuner() as tuner:
        for name, value in {**tuner.environment(), "TUNER_OUTBOX": str(tmp_path / "outbox")}.items():
            monkeypatch.setenv(name, value)
        names: dict[str, Any] = {"start": 1_790_000_000, "end": 1_790_000_042}
        for block in code:
            exec(compile(block, "docs/recordings.md", "exec"), names)
        assert capsys.readouterr().out == printed
        names["record"] = names["record"].model_copy(update={"call_id": "c-82"})
        with Delivery() as delivery:
            asyncio.run(names["finish"](delivery))
        recorded, late = tuner.calls()
        assert tuner.recording(recorded.call.id) == Path("c-81.wav").read_bytes()
        assert tuner.record(late.call.id)["recording_url"] == "https://recordings.example.com/c-81.wav"

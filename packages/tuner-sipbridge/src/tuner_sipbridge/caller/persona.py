"""Who speaks: the voice of the simulated caller."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Persona(BaseModel):
    """How the caller sounds. Two personas that are equal give the same audio for the same text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    voice: Annotated[
        str,
        Field(
            min_length=1,
            description="Voice of the speech source: `joe` (Piper, comes as a wheel), the path of a Piper "
            "`.onnx` model, a directory of WAV files (ends with `/`), or `tone` (a beep a word, needs no "
            "model). Paths are relative to the scenario file.",
        ),
    ] = "joe"
    speed: Annotated[
        float, Field(ge=0.5, le=2.0, description="1 is the voice's own pace, 2 twice as fast.")
    ] = 1.0
    volume_db: Annotated[
        float,
        Field(ge=-30.0, le=10.0, description="Gain in dB over the normal level of -20 dBov."),
    ] = 0.0

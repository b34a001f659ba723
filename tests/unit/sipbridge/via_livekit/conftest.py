from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from tuner_sipbridge.caller.scenario import Scenario

from .livekit_api import LiveKitApi
from .memory_room import MemoryRoom


@pytest.fixture
async def livekit() -> AsyncIterator[LiveKitApi]:
    async with LiveKitApi().serve() as served:
        yield served


@pytest.fixture
def room() -> MemoryRoom:
    return MemoryRoom()


@pytest.fixture
def scenario() -> Callable[..., Scenario]:
    """A scenario of these steps, spoken in tones."""

    def made(*steps: object, **fields: object) -> Scenario:
        return Scenario.model_validate(
            {"name": "tones", "persona": {"voice": "tone"}, "steps": list(steps), **fields}
        )

    return made

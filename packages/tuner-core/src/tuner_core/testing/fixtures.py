"""pytest fixtures: a running local Tuner, or a scripted one, with the TUNER_* variables pointing at it.

Name this module as a plugin, in the `conftest.py` at the root of your tests:

```python
pytest_plugins = ["tuner_core.testing.fixtures"]
```

```python
def test_my_agent_posts_its_call(local_tuner):
    run_my_agent()  # reads TUNER_BASE_URL, TUNER_API_KEY, TUNER_WORKSPACE_ID, TUNER_AGENT_ID, TUNER_OUTBOX
    (row,) = local_tuner.wait_for_calls(1)
    assert local_tuner.record(row.call)["disconnection_reason"] == "user_hangup"

@pytest.mark.local_tuner(faults="429:1", seed=1)     # arguments of LocalTuner
def test_my_agent_when_tuner_is_busy(local_tuner): ...

@pytest.mark.scripted_tuner(503, RESET)              # arguments of ScriptedTuner
def test_my_agent_tries_again(scripted_tuner): ...
```

It is no entry point of pytest: that would import it into every run on a machine that has `tuner-core`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tuner_core.testing.scripted import ScriptedTuner

if TYPE_CHECKING:
    from tuner_core.local.server import LocalTuner

AGENT_ID = "test-agent"
"""The agent id in TUNER_AGENT_ID, unless the marker names agents that exist."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line("markers", "local_tuner(**options): arguments of LocalTuner for the fixture")
    config.addinivalue_line("markers", "scripted_tuner(*script): the script of the fixture's ScriptedTuner")


@pytest.fixture
def tuner_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No TUNER_* variable of the machine's, and an outbox of the test's own."""
    for name in [name for name in os.environ if name.startswith("TUNER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TUNER_OUTBOX", str(tmp_path / "outbox.sqlite3"))
    return monkeypatch


@pytest.fixture
def local_tuner(
    request: pytest.FixtureRequest, tuner_environment: pytest.MonkeyPatch
) -> Iterator[LocalTuner]:
    """A local Tuner in memory, and the environment that points an agent at it."""
    from tuner_core.testing import LocalTuner

    marker = request.node.get_closest_marker("local_tuner")
    options = dict(marker.kwargs) if marker is not None else {}
    agents = list(options.get("agents") or [AGENT_ID])
    with LocalTuner(**options) as tuner:
        _set(tuner_environment, tuner.environment(agents[0]))
        yield tuner


@pytest.fixture
def scripted_tuner(
    request: pytest.FixtureRequest, tuner_environment: pytest.MonkeyPatch
) -> Iterator[ScriptedTuner]:
    """A Create Call endpoint that follows a script, and the environment that points an agent at it."""
    marker = request.node.get_closest_marker("scripted_tuner")
    with ScriptedTuner(*(marker.args if marker is not None else ())) as tuner:
        environment = {
            "TUNER_BASE_URL": tuner.base_url,
            "TUNER_API_KEY": "tr_api_test",
            "TUNER_WORKSPACE_ID": "1",
            "TUNER_AGENT_ID": AGENT_ID,
        }
        _set(tuner_environment, environment)
        yield tuner


def _set(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

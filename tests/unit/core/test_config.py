from pathlib import Path

import pytest

from tuner_core.config import TunerConfig
from tuner_core.errors import ConfigError


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "WORKSPACE_ID", "AGENT_ID", "BASE_URL", "OUTBOX"):
        monkeypatch.delenv(f"TUNER_{name}", raising=False)


def test_the_environment_fills_what_is_not_passed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNER_API_KEY", "from-environment")
    monkeypatch.setenv("TUNER_WORKSPACE_ID", "7")
    monkeypatch.setenv("TUNER_AGENT_ID", "front desk")
    monkeypatch.setenv("TUNER_OUTBOX", str(tmp_path / "outbox"))
    config = TunerConfig(agent_id="passed")
    assert config.api_key.get_secret_value() == "from-environment"
    assert (config.workspace_id, config.agent_id) == (7, "passed")
    assert config.base_url == "https://api.usetuner.ai"
    assert config.outbox_path == tmp_path / "outbox"


def test_every_missing_or_wrong_setting_is_named_with_its_variable_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TUNER_API_KEY", "")
    monkeypatch.setenv("TUNER_WORKSPACE_ID", "tr_api_pasted_into_the_wrong_one")
    with pytest.raises(ConfigError) as caught:
        TunerConfig()
    text = str(caught.value)
    assert "set TUNER_API_KEY" in text
    assert "set TUNER_AGENT_ID" in text
    assert "TUNER_WORKSPACE_ID" in text
    assert "tr_api_pasted" not in text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("base_url", ["https://tuner.example/", "https://tuner.example"])
def test_a_slash_at_the_end_of_the_base_url_does_no_harm(base_url: str) -> None:
    assert (
        TunerConfig(api_key="k", workspace_id=1, agent_id="a", base_url=base_url).base_url
        == "https://tuner.example"
    )


@pytest.mark.parametrize(
    "base_url", ["tuner.example", "ftp://tuner.example", "https://u:p@tuner.example", "https://"]
)
def test_a_base_url_that_cannot_work_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(ConfigError, match="TUNER_BASE_URL"):
        TunerConfig(api_key="k", workspace_id=1, agent_id="a", base_url=base_url)


def test_the_key_shows_nowhere() -> None:
    config = TunerConfig(api_key="tr_api_secret", workspace_id=1, agent_id="a")
    assert "secret" not in f"{config!r} {config} {config.model_dump()}"

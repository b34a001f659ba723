"""What all tests may use: the fixtures that tuner-core gives to its users, and certificates."""

from __future__ import annotations

import pytest

from .certificates import Authority

pytest_plugins = ["tuner_core.testing.fixtures"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA; `issue` makes certificates, `file` is its own."""
    return Authority(tmp_path_factory.mktemp("ca"))

"""`import tuner_core` is light, and its names are the same for the interpreter, type checkers and people."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import subprocess
import sys

import pytest

import tuner_core


def _declared() -> dict[str, str]:
    """What the imports that only type checkers see say: each name and its module."""
    tree = ast.parse(inspect.getsource(tuner_core))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.name: str(node.module)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_type_checkers_and_the_interpreter_find_each_name_in_the_same_module():
    lazy = {name: f"tuner_core.{place}" for name, place in tuner_core._PLACE_OF.items()}
    assert lazy == _declared()
    assert sorted(lazy) == tuner_core.__all__


def test_no_submodule_hides_an_exported_name():
    submodules = {module.name for module in pkgutil.iter_modules(tuner_core.__path__)}
    assert submodules.isdisjoint(tuner_core.__all__)


def test_every_name_is_listed_and_can_be_had():
    assert set(tuner_core.__all__) <= set(dir(tuner_core))
    assert all(getattr(tuner_core, name) is not None for name in tuner_core.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Cleint'"):
        tuner_core.Cleint  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("statement", "without"),
    [
        (
            "import tuner_core",
            {"httpx", "pydantic", "tenacity", "asyncio", "sqlite3", "typing", "importlib.metadata"},
        ),
        ("from tuner_core import CallTimeline", {"httpx", "tenacity", "pydantic_settings"}),
        ("from tuner_core import conform", {"httpx", "tenacity", "pydantic_settings"}),
        ("from tuner_core import TunerConfig", {"httpx", "tenacity"}),
    ],
)
def test_what_is_not_used_is_not_loaded(statement: str, without: set[str]):
    program = f"import sys; {statement}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert without.isdisjoint(loaded.stdout.split())

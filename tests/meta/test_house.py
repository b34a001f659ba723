"""The house keeps its shape: small rooms, no import cycles, no leaks of the machine it was built on."""

from __future__ import annotations

import ast
import graphlib
import re
import statistics
import subprocess
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(ROOT.glob("packages/*/src/**/*.py"))
PACKAGES = ("tuner_core", "tuner_livekit", "tuner_pipecat", "tuner_sipbridge")

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_file_is_over_400_lines():
    assert {str(path.relative_to(ROOT)): n for path in SOURCES if (n := _lines(path)) > MAX_FILE_LINES} == {}


def test_the_median_module_is_small():
    modules = [n for path in SOURCES if path.name != "__init__.py" and (n := _lines(path)) > 0]
    assert statistics.median(modules) <= 180


def test_no_function_body_is_over_50_lines():
    long = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and _body_lines(node) > MAX_FUNCTION_LINES
            ):
                long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = _body_lines(node)
    assert long == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_have_no_cycle(package: str):
    graph = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    edges = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert list(graphlib.TopologicalSorter(edges).static_order())


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_sorted_and_exist(package: str):
    module = __import__(package)
    names = list(module.__all__)
    assert names == sorted(names)
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("word", ["utils", "helpers", "manager", "common", "handler"])
def test_no_module_is_named_after_nothing(word: str):
    assert [str(path) for path in SOURCES if path.stem == word or path.parent.name == word] == []


def test_no_registry_host_and_no_path_of_a_machine_is_in_the_tree():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    leak = re.compile("|".join(["pypi" + r"\.org", "python" + "hosted", "/work" + "/", "/root" + "/"]))
    found = []
    for name in tracked:
        path = ROOT / name
        if (
            path.is_file()
            and path.suffix not in {".pcap", ".wav"}
            and leak.search(path.read_text(encoding="utf-8", errors="replace"))
        ):
            found.append(name)
    assert found == []

"""Listens to everything that the processes of a demo log, at DEBUG, and knows what must not be in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_IN_EVERY_PROCESS = '''
"""Python runs this module when it starts: the demo's own code needs no switch for the tests' sake."""
import json, logging, os, re, socket

_DIRECTORY = os.environ["TESTS_LISTEN_AT"]
_SECRETS = ("TUNER_API_KEY", "TUNER_SIP_PASSWORD")


class _Keep(logging.Handler):
    def emit(self, record):
        said = record.getMessage()
        if record.exc_info:
            said += "\\n" + logging.Formatter().formatException(record.exc_info)
        fields = {name: repr(value) for name, value in vars(record).items()}
        _write("log", {"logger": record.name, "said": said, "fields": fields})


def _write(kind, value):
    with open(os.path.join(_DIRECTORY, f"{kind}-{os.getpid()}.jsonl"), "a") as file:
        file.write(json.dumps(value) + "\\n")


def _sendto(self, data, *rest):
    if len(data) > 200 and b"response=" in data:
        for kind, value in re.findall(r'(response|cnonce)="([^"]+)"', bytes(data).decode("utf-8", "replace")):
            _write(kind, [value])
    return _plain_sendto(self, data, *rest)


_plain_sendto = socket.socket.sendto
socket.socket.sendto = _sendto
logging.getLogger().setLevel(1)
logging.getLogger().addHandler(_Keep(1))
logging.getLogger("pipecat").setLevel(1)
_write("secret", [os.environ[name] for name in _SECRETS if name in os.environ])
'''


@dataclass(frozen=True)
class Logged:
    """A log record of one of the processes: its text with any traceback, and every field of it."""

    logger: str
    said: str
    everything: str

    @property
    def is_ours(self) -> bool:
        return self.logger.startswith("tuner_")


class Listening:
    """What was logged, and what went over the wire, while processes ran with `environment`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        code, self._notes = directory / "code", directory / "notes"
        code.mkdir()
        self._notes.mkdir()
        (code / "sitecustomize.py").write_text(_IN_EVERY_PROCESS)
        inherited = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(code), *([inherited] if inherited else [])])
        self.environment = {**os.environ, "PYTHONPATH": path, "TESTS_LISTEN_AT": str(self._notes)}

    def logged(self) -> list[Logged]:
        return [
            Logged(entry["logger"], entry["said"], f"{entry['said']}\n{entry['fields']}")
            for entry in self._read("log")
        ]

    def credentials(self) -> set[str]:
        """API key, SIP password, and every digest response that was sent."""
        return {value for kind in ("secret", "response") for values in self._read(kind) for value in values}

    def client_nonces(self) -> set[str]:
        """Of the digests; worth nothing without the response, so a trace may show them."""
        return {value for values in self._read("cnonce") for value in values}

    def _read(self, kind: str) -> Iterator[Any]:
        for path in self._notes.glob(f"{kind}-*.jsonl"):
            yield from map(json.loads, path.read_text().splitlines())


@pytest.fixture(scope="session")
def listen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Listening]:
    return lambda: Listening(tmp_path_factory.mktemp("listening"))


def phrases_of(value: Any) -> set[str]:
    """Three words in a row of every text in a JSON value, in small letters."""
    if isinstance(value, dict):
        return set().union(*map(phrases_of, value.values()))
    if isinstance(value, list):
        return set().union(*map(phrases_of, value))
    if not isinstance(value, str):
        return set()
    words = re.findall(r"[a-z0-9']+", value.lower())
    return {" ".join(words[at : at + 3]) for at in range(len(words) - 2)}


@pytest.fixture(scope="session")
def said_in() -> Callable[[Any], set[str]]:
    return phrases_of

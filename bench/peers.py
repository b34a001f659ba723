"""The peers from the Python index, installed into a throwaway environment; they are no dependencies of anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

_INSTALL_S = 180.0


class NotInstalled(Exception):
    """A peer could not be installed; the message says why in a line."""


@dataclass(frozen=True, slots=True)
class PeerEnvironment:
    """A fresh virtual environment in a directory that the caller removes.

    The versions are pinned: the calling scripts are written for them.
    """

    directory: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    def install(self, *requirements: str) -> None:
        """Install packages, with uv when there is one, else with pip.

        Raises:
            NotInstalled: the environment cannot be made or a package cannot be had.
        """
        uv = _uv()
        if not self.python.exists():
            create = (
                [uv, "venv", "--quiet", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
            )
            _run([*create, self.directory])
        if uv:
            _run([uv, "pip", "install", "--quiet", "--python", self.python, *requirements])
        else:
            _run(
                [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
            )


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def _run(command: list[str | Path]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_S)
    except subprocess.CalledProcessError as error:
        said = textwrap.shorten(error.stderr or f"exit {error.returncode}", 200, placeholder=" …")
        raise NotInstalled(f"not installed: {said}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"not installed: {error}") from error


def sipp() -> tuple[str, str]:
    """Path and version of SIPp.

    Raises:
        NotInstalled: there is none.
    """
    path = shutil.which("sipp")
    if path is None:
        raise NotInstalled("not installed: Debian packs it as sip-tester")
    told = subprocess.run([path, "-v"], capture_output=True, text=True, check=False).stdout
    words = [word for word in told.split() if word[:1] == "v" and word[1:2].isdigit()]
    return path, words[0][1:].split("-")[0].rstrip(".") if words else ""

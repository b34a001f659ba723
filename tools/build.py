"""Build the four wheels into dist/, install them into a clean environment, import each: what a release does first."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("tuner-core", "tuner-livekit", "tuner-pipecat", "tuner-sipbridge")
UV = Path(sys.executable).with_name("uv")


def main() -> None:
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for package in PACKAGES:
        source = ROOT / "packages" / package
        subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", dist, source], check=True)
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        wheels = sorted(dist.glob("*.whl"))
        constraints = ROOT / "constraints.txt"
        subprocess.run(
            [UV, "pip", "install", "--quiet", "--python", python, "-c", constraints, *wheels], check=True
        )
        for package in PACKAGES:
            module = package.replace("-", "_")
            subprocess.run([python, "-c", f"import {module}"], check=True, cwd=folder)
        for command in ("tuner", "tuner-sipbridge"):
            subprocess.run(
                [python.with_name(command), "--help"], check=True, cwd=folder, stdout=subprocess.DEVNULL
            )
    for wheel in wheels:
        print(f"dist/{wheel.name}  {wheel.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()

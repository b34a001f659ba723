"""The API on loopback in a process of its own: `python -m bench.core.api` prints its address, ends with its input."""

from __future__ import annotations

import sys

from tuner_core.testing import UnreliableTuner

if __name__ == "__main__":
    with UnreliableTuner() as tuner:
        print(tuner.base_url, flush=True)
        sys.stdin.read()

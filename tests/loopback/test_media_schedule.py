"""A worker that is overloaded must not keep the machine from others."""

import subprocess
import sys

OVERLOADED = """
import os, time
from tuner_sipbridge.net.media_schedule import be_punctual
be_punctual()
end = time.monotonic() + 0.6
while time.monotonic() < end:
    pass
print(os.sched_getscheduler(0) == os.SCHED_OTHER)
"""


def test_worker_that_never_sleeps_becomes_an_ordinary_process():
    """Holds with and without the right to real-time scheduling: without it the worker never was anything else."""
    done = subprocess.run(
        [sys.executable, "-c", OVERLOADED], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "True"

"""How the media worker asks the kernel to be woken on time; whatever is refused is done without.

A worker sleeps most of the time, so what counts is how soon it runs when a step is due although others compute. With
the right to it (root, CAP_SYS_NICE or an `rtprio` limit) it runs before all ordinary processes; without, a short slice
lets it be picked early among them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from pathlib import Path
from types import FrameType

_SLACK_NS = 1_000
_SLICE_NS = 100_000
_NICENESS = -10
_REALTIME_PRIORITY = 1
_REALTIME_LIMIT_US = 200_000
"""CPU time without a sleep after which the worker is overloaded: it must not keep others from running."""


def be_punctual() -> None:
    """Take short timer slack, a short slice, and priority where that is allowed."""
    if sys.platform != "linux":
        return
    _shorten_slack_and_slice()
    with contextlib.suppress(OSError):  # after the slice, whose system call sets the niceness too
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
        # Where sessions are scheduled as groups (sched_autogroup), it is the group's niceness that counts.
        Path("/proc/self/autogroup").write_text(str(_NICENESS))
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
        resource.setrlimit(resource.RLIMIT_RTTIME, (_REALTIME_LIMIT_US, hard))
        signal.signal(signal.SIGXCPU, _become_ordinary)
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(_REALTIME_PRIORITY))


def _become_ordinary(number: int, frame: FrameType | None) -> None:
    """Overloaded: go on among the ordinary processes."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _shorten_slack_and_slice() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    pr_set_timerslack = 29
    libc.prctl(pr_set_timerslack, _SLACK_NS, 0, 0, 0)
    sched_setattr = {"x86_64": 314, "aarch64": 274}.get(platform.machine())
    if sched_setattr is not None:
        # struct sched_attr of SCHED_OTHER, whose sched_runtime is the slice since Linux 6.12.
        attributes = struct.pack("=IIQiIQQQ", 48, 0, 0, 0, 0, _SLICE_NS, 0, 0)
        libc.syscall(sched_setattr, 0, ctypes.create_string_buffer(attributes), 0)

"""Simulated callers that test a voice agent by calling it over SIP.

Names are loaded when they are first used: the media worker imports this package too and must start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner_sipbridge.answerer import Answerer
    from tuner_sipbridge.batch import BatchResult, run_batch
    from tuner_sipbridge.call.extensions import Extensions
    from tuner_sipbridge.caller.plan import BatchPlan
    from tuner_sipbridge.caller.scenario import Scenario
    from tuner_sipbridge.dialer.answered_call import AnsweredCall
    from tuner_sipbridge.dialer.dialer import Dialer
    from tuner_sipbridge.dialer.outcome import Outcome
    from tuner_sipbridge.dialer.run import CallRun
    from tuner_sipbridge.errors import (
        AuthenticationFailed,
        CallError,
        CallRejected,
        CallTimedOut,
        CallUnreachable,
        FileError,
        LocalProtocolError,
        NegotiationFailed,
        NetworkError,
        NotRegistered,
        SipBridgeError,
    )
    from tuner_sipbridge.link import LinkDesk, LinkResult
    from tuner_sipbridge.net.tls import TlsSettings
    from tuner_sipbridge.trace import Trace, TraceEvent

__all__ = [
    "AnsweredCall",
    "Answerer",
    "AuthenticationFailed",
    "BatchPlan",
    "BatchResult",
    "CallError",
    "CallRejected",
    "CallRun",
    "CallTimedOut",
    "CallUnreachable",
    "Dialer",
    "Extensions",
    "FileError",
    "LinkDesk",
    "LinkResult",
    "LocalProtocolError",
    "NegotiationFailed",
    "NetworkError",
    "NotRegistered",
    "Outcome",
    "Scenario",
    "SipBridgeError",
    "TlsSettings",
    "Trace",
    "TraceEvent",
    "run_batch",
]

_HOMES = {
    "answerer": ("Answerer",),
    "batch": ("BatchResult", "run_batch"),
    "call.extensions": ("Extensions",),
    "caller.plan": ("BatchPlan",),
    "caller.scenario": ("Scenario",),
    "dialer.answered_call": ("AnsweredCall",),
    "dialer.dialer": ("Dialer",),
    "dialer.outcome": ("Outcome",),
    "dialer.run": ("CallRun",),
    "link": ("LinkDesk", "LinkResult"),
    "net.tls": ("TlsSettings",),
    "trace": ("Trace", "TraceEvent"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tuner_sipbridge' has no attribute {name!r}")
    home = _HOME_OF.get(name, "errors")
    return getattr(importlib.import_module(f"tuner_sipbridge.{home}"), name)

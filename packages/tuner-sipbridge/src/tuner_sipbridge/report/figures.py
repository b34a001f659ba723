"""One call's measures as figures with a name, a value with its unit, and an explanation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tuner_sipbridge.report.json_values import object_of
from tuner_sipbridge.report.timeline import in_ms

Figure: TypeAlias = tuple[str, str, str]
"""Name, value with unit, explanation."""


@dataclass(frozen=True, slots=True)
class Group:
    """Figures under a heading."""

    heading: str
    figures: list[Figure]


def groups_of(measures: Mapping[str, Any]) -> list[Group]:
    """The groups that say something about a call, out of `Measures.to_json`."""
    if not measures:
        return []
    floor, media = object_of(measures.get("floor")), object_of(measures.get("media"))
    groups = [Group("Signalling", _signalling(object_of(measures.get("signalling"))))]
    if floor.get("agent_speech_ms") or floor.get("caller_speech_ms"):
        groups.append(Group("Conversation", _conversation(measures, floor)))
    if media.get("sent"):
        groups.append(Group("Packets", _packets(media)))
    return groups


def _signalling(signalling: Mapping[str, Any]) -> list[Figure]:
    return [
        (
            "post-dial delay",
            _ms(signalling.get("post_dial_delay_ms")),
            "first INVITE to the first 180 or 183",
        ),
        ("ring time", _ms(signalling.get("ring_time_ms")), "180 to 200"),
        ("set-up time", _ms(signalling.get("setup_time_ms")), "first INVITE to 200, with the challenge"),
        ("challenges", _count(signalling.get("challenges")), "401 and 407 received"),
        ("retransmissions", _count(signalling.get("retransmissions")), "requests sent again"),
        ("teardown", _ms(signalling.get("teardown_ms")), "our BYE to its 200"),
    ]


def _conversation(measures: Mapping[str, Any], floor: Mapping[str, Any]) -> list[Figure]:
    response = object_of(measures.get("response_latency_ms"))
    greeting = _ms(measures.get("greeting_latency_ms"))
    return [
        ("greeting latency", greeting, "answer to the agent's first sound"),
        ("response p50", _ms(response.get("p50")), "caller's last sound to the agent's first"),
        ("response max", _ms(response.get("max")), "the slowest reply"),
        ("overlap", _ms(floor.get("overlap_ms")), "both spoke"),
        ("longest silence", _ms(floor.get("longest_silence_ms")), "neither spoke"),
        ("agent spoke", _ms(floor.get("agent_speech_ms")), "in all"),
    ]


def _packets(media: Mapping[str, Any]) -> list[Figure]:
    sent = f"sent {_count(media.get('sent'))}, {media.get('codec') or 'no codec'}"
    highest = f"at most {_ms(media.get('jitter_max_ms'), 2)}"
    return [
        ("received", _count(media.get("received")), sent),
        ("lost", _count(media.get("lost")), "by sequence numbers (RFC 3550 §A.3)"),
        ("jitter", _ms(media.get("jitter_ms"), 2), highest),
        ("longest gap", _ms(media.get("longest_gap_ms"), 1), "between two arrivals"),
        ("own lateness p99", _ms(media.get("send_late_p99_ms"), 2), "our packets against their 20 ms grid"),
        ("own lateness max", _ms(media.get("send_late_max_ms"), 2), "the worst of our packets"),
    ]


def _ms(milliseconds: float | None, digits: int = 0) -> str:
    if milliseconds is None:
        return "–"
    return in_ms(milliseconds) if digits == 0 or abs(milliseconds) >= 100 else f"{milliseconds:.{digits}f} ms"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"

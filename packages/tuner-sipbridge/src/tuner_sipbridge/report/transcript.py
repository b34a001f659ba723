"""What the caller said beside what the agent's record says: two lists, joined by time and by words."""

from __future__ import annotations

import difflib
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tuner_sipbridge.report.json_values import number_of, object_of, objects_of, text_of

NEAR_MS = 3000.0
"""Two moments of the same turn, one by each side's clock, lie closer than this."""
LEAST_LIKENESS = 0.3
"""A posted turn less like the caller's than this is one of its own."""
MILLISECONDS_FROM = 1e11
"""A timestamp from here on is in milliseconds (Create Call takes both)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the transcript.

    Attributes:
        who: `caller`, `agent`, `tool` or `node`.
        at_ms: moment in the recording, None when unknown.
        said: what the scenario had the caller say, empty when the record alone knows this row.
        posted: words of the record with whether the caller said each; empty when the record lacks this row.
        kind: of the caller's turn: `speech`, `barge_in`, `digits`.
        latency_ms: reply heard so long after the caller's last sound.
        reported_ms: the same as the agent's framework reported it.
        stop_time_ms: the agent fell silent so long after the barge-in began.
        interrupted: the record says that this turn was cut short.
        tool: name of the tool.
        detail: the tool's arguments and result, or the nodes, as text.
        failed: the tool failed.
    """

    who: Literal["caller", "agent", "tool", "node"]
    at_ms: float | None = None
    said: str = ""
    posted: tuple[tuple[str, bool], ...] = ()
    kind: str = "speech"
    latency_ms: float | None = None
    reported_ms: float | None = None
    stop_time_ms: float | None = None
    interrupted: bool = False
    tool: str = ""
    detail: tuple[tuple[str, str], ...] = field(default=())
    failed: bool = False

    @property
    def text(self) -> str:
        """The row as one string: as posted, or as said."""
        return " ".join(word for word, _ in self.posted) or self.said


def rows_of(
    record: Mapping[str, Any] | None,
    turns: Sequence[Mapping[str, Any]],
    *,
    recording_started_at: float | None,
) -> list[Row]:
    """The transcript of one call in order of time.

    Args:
        record: the call as posted, None when nothing was.
        turns: the caller's turns, out of `Measures.to_json`.
        recording_started_at: Unix seconds of the recording's first sample.
    """
    segments = _segments(record)
    offset = _offset_ms(record, recording_started_at)
    pairs = _paired(segments, turns, offset)
    offset = _refined(offset, segments, turns, pairs)
    rows = _posted_rows(segments, turns, pairs, offset)
    missing = [_caller_row(turn) for number, turn in enumerate(turns) if number not in pairs.values()]
    return sorted([*rows, *missing], key=lambda row: row.at_ms if row.at_ms is not None else 0.0)


def _segments(record: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return objects_of((record or {}).get("transcript_with_tool_calls"))


def _offset_ms(record: Mapping[str, Any] | None, recording_started_at: float | None) -> float:
    """What to add to a segment's time to get a time in the recording, by the two clocks."""
    start = number_of((record or {}).get("start_timestamp"))
    if start is None or recording_started_at is None:
        return 0.0
    return (start if start >= MILLISECONDS_FROM else start * 1000.0) - recording_started_at * 1000.0


def _paired(
    segments: Sequence[Mapping[str, Any]], turns: Sequence[Mapping[str, Any]], offset: float
) -> dict[int, int]:
    """Which user segment is which turn of the caller: the best match that keeps both orders."""
    users = [number for number, segment in enumerate(segments) if segment.get("role") == "user"]
    best = [[0.0] * (len(turns) + 1) for _ in range(len(users) + 1)]
    for i, number in enumerate(users, start=1):
        for j, turn in enumerate(turns, start=1):
            joined = best[i - 1][j - 1] + _gain(segments[number], turn, offset)
            best[i][j] = max(best[i - 1][j], best[i][j - 1], joined)
    pairs: dict[int, int] = {}
    i, j = len(users), len(turns)
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs[users[i]] = j
    return pairs


def _gain(segment: Mapping[str, Any], turn: Mapping[str, Any], offset: float) -> float:
    posted, said = _words(str(segment.get("text") or "")), _words(str(turn.get("text") or ""))
    if turn.get("kind") == "digits":
        posted, said = (
            re.findall(r"[0-9*#]", str(segment.get("text") or "")),
            list(str(turn.get("text") or "")),
        )
    words = difflib.SequenceMatcher(None, posted, said, autojunk=False).ratio()
    start, began = number_of(segment.get("start_ms")), turn.get("started_ms")
    apart = NEAR_MS if start is None or began is None else abs(start + offset - began)
    likeness = words + max(0.0, 1.0 - apart / NEAR_MS)
    return likeness if likeness >= LEAST_LIKENESS else 0.0


def _refined(
    offset: float,
    segments: Sequence[Mapping[str, Any]],
    turns: Sequence[Mapping[str, Any]],
    pairs: Mapping[int, int],
) -> float:
    """The offset by the turns that both sides know, which holds also where the clocks disagree."""
    apart = [
        turns[turn]["started_ms"] - start
        for number, turn in pairs.items()
        if (start := number_of(segments[number].get("start_ms"))) is not None
    ]
    return statistics.median(apart) if apart else offset


def _posted_rows(
    segments: Sequence[Mapping[str, Any]],
    turns: Sequence[Mapping[str, Any]],
    pairs: Mapping[int, int],
    offset: float,
) -> list[Row]:
    rows: list[Row] = []
    unanswered: Mapping[str, Any] | None = None
    latest = 0.0
    for number, segment in enumerate(segments):
        turn = turns[pairs[number]] if number in pairs else None
        start = number_of(segment.get("start_ms"))
        at = turn["started_ms"] if turn is not None else None if start is None else start + offset
        # The record's order is kept: a row without a time, or with an odd one, stays behind the last.
        latest = max(latest, at if at is not None else latest)
        row = replace(_row(segment, turn), at_ms=latest)
        if turn is not None:
            unanswered = turn
        elif row.who == "agent" and unanswered is not None:
            row, unanswered = replace(row, latency_ms=unanswered.get("response_latency_ms")), None
        rows.append(row)
    return rows


def _row(segment: Mapping[str, Any], turn: Mapping[str, Any] | None) -> Row:
    text, metadata = text_of(segment.get("text")), object_of(segment.get("metadata"))
    match segment.get("role"):
        case "user":
            row = Row("caller") if turn is None else _caller_row(turn)
            return replace(row, posted=_compared(text, row.said))
        case "agent":
            return Row(
                "agent",
                posted=tuple((word, True) for word in text.split()),
                reported_ms=number_of(metadata.get("e2e_latency")),
                interrupted=bool(metadata.get("interrupted")),
            )
        case "node_transition":
            node = object_of(segment.get("node"))
            return Row("node", detail=(("from", str(node.get("from"))), ("to", str(node.get("to")))))
        case role:
            return _tool_row(object_of(segment.get("tool")), returned=role == "agent_result")


def _tool_row(tool: Mapping[str, Any], *, returned: bool) -> Row:
    detail: list[tuple[str, str]] = []
    if returned:
        detail.append(
            ("error", str(tool["error"])) if tool.get("error") else ("returned", _json(tool.get("result")))
        )
    else:
        detail.append(("called with", _json(tool.get("params"))))
    return Row(
        "tool", tool=str(tool.get("name") or ""), detail=tuple(detail), failed=bool(tool.get("is_error"))
    )


def _caller_row(turn: Mapping[str, Any]) -> Row:
    return Row(
        "caller",
        at_ms=turn.get("started_ms"),
        said=str(turn.get("text") or ""),
        kind=str(turn.get("kind") or "speech"),
        stop_time_ms=turn.get("stop_time_ms"),
    )


def _compared(posted: str, said: str) -> tuple[tuple[str, bool], ...]:
    """The posted words, each with whether it is one that the caller said at that place."""
    shown = posted.split()
    if not said:
        return tuple((word, True) for word in shown)
    matcher = difflib.SequenceMatcher(None, [_plain(word) for word in shown], _words(said), autojunk=False)
    same = {block.a + step for block in matcher.get_matching_blocks() for step in range(block.size)}
    keys = re.sub(r"[^0-9*#]", "", said)
    typed = bool(keys) and keys == re.sub(r"[^0-9*#]", "", posted)
    return tuple((word, typed or number in same) for number, word in enumerate(shown))


def _words(text: str) -> list[str]:
    return [plain for word in text.split() if (plain := _plain(word))]


def _plain(word: str) -> str:
    return re.sub(r"[^\w']", "", word.lower())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)

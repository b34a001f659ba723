"""For any input: a body that the API accepts, or a typed error. Never anything else."""

import dataclasses
import enum
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tuner_core.errors import InvalidRecord
from tuner_core.local.validation import check_record
from tuner_core.records import Segment, Tool, Word
from tuner_core.redaction import Redaction
from tuner_core.repair import Conformed, conform
from tuner_core.repair.size import SMALLEST_BOUND
from tuner_core.repair.values import Repairs, as_json

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[1] / "data" / "create_call.schema.json").read_text())
)
SECRET = "s3cr3t"
START = 1_790_000_000


class Hostile:
    """Raises whatever one does with it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(SECRET)

    def __str__(self) -> str:
        raise RuntimeError(SECRET)

    def __repr__(self) -> str:
        return "<Hostile>"

    def __bool__(self) -> bool:
        raise RuntimeError(SECRET)

    def __float__(self) -> float:
        raise RuntimeError(SECRET)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError(SECRET)

    __hash__ = None  # pyright: ignore[reportAssignmentType]


class HostileMapping(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(SECRET)

    def __iter__(self) -> Iterator[str]:
        return iter(["role", "text"])

    def __len__(self) -> int:
        return 2


class HostileSequence(Sequence[Any]):
    def __getitem__(self, index: Any) -> Any:
        raise RuntimeError(SECRET)

    def __len__(self) -> int:
        return 3


class Endless(Mapping[str, Any]):
    """A mapping that makes a key for each question, as lazy clients of databases do."""

    def __getitem__(self, key: str) -> Any:
        return key

    def __iter__(self) -> Iterator[str]:
        return (str(number) for number in itertools.count())

    def __len__(self) -> int:
        return 1


class HostileNumber(float):
    """A number whose own comparisons raise, as lazy columns' do."""

    def _refuse(self, other: object = None) -> Any:
        raise RuntimeError(SECRET)

    __lt__ = __le__ = __gt__ = __ge__ = __mod__ = __sub__ = _refuse


class Text(str):
    """A text of another type, as templating libraries have."""


class Colour(enum.StrEnum):
    user = "user"
    red = SECRET


class Number(enum.IntEnum):
    one = 1


class Plain(enum.Enum):
    member = ("a", 1)


@dataclasses.dataclass
class Point:
    x: Any = 1
    role: str = "user"


class Model(BaseModel):
    role: str = "agent"
    text: str = SECRET
    start_ms: float = 5


def cycle() -> Any:
    items: list[Any] = [SECRET]
    items.append({"again": items})
    return items


def deep() -> Any:
    value: Any = SECRET
    for _ in range(3000):
        value = [value]
    return value


ODD: list[Callable[[], Any]] = [
    Hostile,
    HostileMapping,
    HostileSequence,
    cycle,
    deep,
    object,
    Model,
    Point,
    lambda: Point(x=Hostile()),
    lambda: Segment.model_construct(role="user", text=Hostile(), start_ms=datetime(2026, 1, 1)),
    lambda: Tool.model_construct(name=3, params=b"\xff"),
    lambda: Word.model_construct(word=SECRET, start_ms="1", end_ms=float("nan")),
    lambda: (item for item in [SECRET]),
    lambda: Text("agent"),
    lambda: Colour.user,
    lambda: Colour.red,
    lambda: Number.one,
    lambda: Plain.member,
    lambda: ValueError(SECRET),
    lambda: 10**5000,
    lambda: 2**64,
    lambda: -(2**70),
    lambda: Decimal("sNaN"),
    lambda: Decimal("1E+999999"),
    lambda: Fraction(10**400, 3),
    lambda: complex(1, 2),
    lambda: numpy.float32(1.5),
    lambda: numpy.int64(7),
    lambda: numpy.bool_(True),
    lambda: numpy.datetime64("2026-01-01"),
    lambda: numpy.array([[1, 2], [3, 4]]),
    lambda: numpy.array(5),
    lambda: numpy.float64("nan"),
    lambda: range(3),
    lambda: range(10**12),
    lambda: HostileNumber(1.5),
    Endless,
    lambda: {1: "a", "1": "b"},
    lambda: {("a", 1): SECRET, None: 1, 2.5: 2},
    lambda: {SECRET, "b"},
    lambda: memoryview(b"abc"),
    lambda: bytearray(b"\x00\xff"),
    lambda: date(2026, 1, 2),
    lambda: timedelta(days=1),
    lambda: Path("/tmp"),
    lambda: print,
    lambda: int,
    lambda: itertools.count,
    lambda: "\ud83d\ude00\x00" + SECRET,
    lambda: "x" * 3000 + SECRET,
    lambda: f'{{"card": "{SECRET}", "n": NaN}}',
    lambda: f'["{SECRET}"]',
]


@st.composite
def odd_objects(draw: st.DrawFn) -> Any:
    return ODD[draw(st.integers(0, len(ODD) - 1))]()


scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.binary(max_size=6),
    st.decimals(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from(["user", "agent", "true", "{", "[1]", "", " ", "1790000000", "CA" + "0" * 32, SECRET]),
    odd_objects(),
)
keys = st.one_of(
    st.text(max_size=6), st.integers(), st.none(), st.sampled_from([SECRET, "value", "name", "tuner_sdk"])
)
NESTED: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=4),
        st.frozensets(st.integers(), max_size=3),
    ),
    max_leaves=10,
)


@st.composite
def anything(draw: st.DrawFn) -> Any:
    return draw(NESTED)


values = anything()


def mapping_of(*names: str, inner: st.SearchStrategy[Any] = values) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, inner))


times = st.one_of(
    st.integers(-10, 10**13), st.floats(), st.floats(0, 60), st.integers(START, START + 60), values
)
words = st.one_of(
    values,
    st.lists(
        st.one_of(
            values,
            st.fixed_dictionaries(
                {"word": st.one_of(st.just(SECRET), values)},
                optional={"start_ms": times, "end_ms": times, "confidence": values, SECRET: values},
            ),
        ),
        max_size=3,
    ),
)
segments = st.one_of(
    values,
    st.fixed_dictionaries(
        {
            "role": st.one_of(
                st.sampled_from(
                    ["user", "agent", "agent_function", "agent_result", "node_transition", "Bot"]
                ),
                values,
            )
        },
        optional={
            "text": st.one_of(st.just(f"my card is {SECRET} 4111 1111 1111 1111"), values),
            "words": words,
            "start_ms": times,
            "end_ms": times,
            "duration_ms": times,
            "node": st.one_of(values, mapping_of("from", "from_", "to", "reason", "more")),
            "tool": st.one_of(
                values,
                mapping_of("name", "request_id", "params", "result", "is_error", "error", "start_ms", "more"),
            ),
            "metadata": st.one_of(
                values,
                mapping_of("e2e_latency", "llm_node_ttft", "transcript_confidence", "interrupted", "more"),
            ),
            "content": values,
            SECRET: values,
        },
    ),
)
moments = st.one_of(
    st.integers(0, 2 * 10**18),
    st.floats(0, 2e18),
    st.datetimes(datetime(1971, 1, 2), datetime(2200, 1, 1)),
    st.floats(0, 1e6),
    values,
)
metadata = st.one_of(
    values,
    mapping_of(
        "ai_models",
        "usage_token",
        "user_ai_models",
        inner=st.one_of(values, mapping_of("asr_model", "llm_model", "stt_duration_seconds", "llm_token")),
    ),
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "start_timestamp": moments,
    "end_timestamp": moments,
    "transcript_with_tool_calls": st.one_of(values, st.lists(segments, max_size=5)),
    "recording_url": st.one_of(values, st.text(min_size=1020, max_size=1030)),
    "metadata": metadata,
    "general_meta_data_raw": st.one_of(values, mapping_of("tuner_sdk", "more")),
    "sip_headers": st.one_of(values, mapping_of("From", "x-correlation-id", "X-CID", SECRET)),
    **dict.fromkeys(
        (
            "call_type transcript duration_ms call_status disconnection_reason call_analysis caller_phone_number"
            " call_successful user_sentiment in_voicemail call_cost recipient collected_dynamic_variables"
            " recording_multi_channel_url agent_version sip_call_id recording_file_extension"
            f" recording_s3_multi_channel recording_s3_caller_channel {SECRET}"
        ).split(),
        values,
    ),
}
any_record = st.fixed_dictionaries(
    {"call_id": st.one_of(st.text(min_size=1, max_size=300), values)}, optional=FIELDS
)


@st.composite
def near_valid(draw: st.DrawFn) -> dict[str, Any]:
    """A good call in which one to three things are wrong."""
    rows: list[Any] = [
        {"role": "agent", "text": "Hello, how can I help?", "start_ms": 600, "end_ms": 1900},
        {"role": "user", "text": f"my card is {SECRET}", "start_ms": 2500, "end_ms": 5000},
        {"role": "agent_function", "tool": {"name": "pay", "params": {"card": SECRET}}, "start_ms": 5100},
        {"role": "agent_result", "tool": {"name": "pay", "result": {"ok": True}}, "start_ms": 5600},
    ]
    record: dict[str, Any] = {
        "call_id": "c-81",
        "call_type": "phone_call",
        "start_timestamp": START,
        "end_timestamp": START + 42,
        "recording_url": "https://recordings.example/c-81.wav",
        "transcript_with_tool_calls": rows,
    }
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            name = draw(st.sampled_from(sorted(FIELDS)))
            record[name] = draw(FIELDS[name])
        else:
            row = draw(st.sampled_from([row for row in rows if type(row) is dict] or [{}]))
            name = draw(st.sampled_from(["role", "text", "words", "start_ms", "end_ms", "tool", "metadata"]))
            row[name] = draw({"words": words, "start_ms": times, "end_ms": times}.get(name, values))
    return record


records = st.one_of(any_record, near_valid())


def accepted(conformed: Conformed) -> dict[str, Any]:
    """The body as the API reads it; fails when the API would refuse it."""
    sent = json.loads(conformed.body(), parse_constant=lambda name: 1 / 0)
    VALIDATOR.validate(sent)
    check_record(sent)
    assert sent["start_timestamp"] <= sent["end_timestamp"]
    return sent


def shape(value: Any) -> Any:
    """What a container holds, by identity, so that a change anywhere shows."""
    if type(value) is dict:
        return [(id(key), shape(member)) for key, member in value.items()]
    if type(value) is list and len(value) < 100 and not any(type(item) is list for item in value):
        return [shape(item) for item in value if item is not value]
    return id(value)


@settings(max_examples=400, deadline=None)
@given(records)
def test_any_record_is_made_acceptable_or_refused_with_a_typed_error(record: dict[str, Any]) -> None:
    conformed, problem = None, ""
    try:
        conformed = conform(record)
    except InvalidRecord as error:
        problem = str(error)
    assert SECRET not in problem
    if conformed is None:
        return
    sent = accepted(conformed)
    starts = [row["start_ms"] for row in sent["transcript_with_tool_calls"] if "start_ms" in row]
    assert starts == sorted(starts)
    assert SECRET not in " ".join(conformed.repairs)
    assert SECRET not in repr(conformed)


@settings(max_examples=150, deadline=None)
@given(records)
def test_conforming_what_was_conformed_changes_nothing(record: dict[str, Any]) -> None:
    try:
        once = conform(record)
    except InvalidRecord:
        return
    twice = conform(once.payload)
    assert twice.body() == once.body()
    assert twice.repairs == ()


@settings(max_examples=100, deadline=None)
@given(near_valid())
def test_the_record_itself_is_never_changed(record: dict[str, Any]) -> None:
    before = shape(record)
    try:
        conform(record, redaction=Redaction(), max_bytes=SMALLEST_BOUND)
    except InvalidRecord:
        pass
    assert shape(record) == before


@settings(max_examples=100, deadline=None)
@given(
    records, st.sampled_from([lambda text, place: text, lambda text, place: "", lambda text, place: 1 / 0])
)
def test_a_redacted_record_is_accepted_as_well(
    record: dict[str, Any], hook: Callable[[str, str], str]
) -> None:
    redaction = Redaction(patterns={"secret": f"(?i){SECRET}"}, hook=hook, caller_number=True)
    try:
        conformed = conform(record, redaction=redaction)
    except InvalidRecord:
        return
    sent = accepted(conformed)
    spoken = json.dumps([sent["transcript_with_tool_calls"], sent.get("call_analysis")])
    assert "4111 1111" not in spoken
    again, notes = redaction.redact_payload(conformed.payload)
    assert VALIDATOR.is_valid(again) or not notes


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["text", "words", "params", "analysis", "more", "raw", "row"]),
            st.integers(0, 60_000),
        ),
        max_size=12,
    )
)
def test_any_call_comes_out_within_the_bound(sizes: list[tuple[str, int]]) -> None:
    rows: list[dict[str, Any]] = []
    record: dict[str, Any] = {
        "call_id": "c",
        "call_type": "t",
        "start_timestamp": START,
        "end_timestamp": START,
    }
    record |= {"transcript_with_tool_calls": rows, "recording_url": "u", "call_analysis": {}}
    record["general_meta_data_raw"] = {}
    for kind, size in sizes:
        match kind:
            case "text":
                rows.append({"role": "user", "text": "ä\n" * size, "start_ms": 0, "end_ms": 1})
            case "words":
                word = {"word": "x", "start_ms": 0, "end_ms": 100}
                rows.append({"role": "user", "start_ms": 0, "end_ms": 1, "words": [word] * (size // 50)})
            case "params":
                rows.append({"role": "agent_function", "tool": {"params": {"x": "y" * size}}})
            case "analysis":
                record["call_analysis"][str(len(record["call_analysis"]))] = "z" * size
            case "more":
                record[f"more_{len(record)}"] = "z" * size
            case "raw":
                record["general_meta_data_raw"] |= {str(number): 1 for number in range(size // 10)}
            case _:
                rows.extend({"role": "agent_function", "tool": {"name": "n"}} for _ in range(size // 50))
    conformed = conform(record, max_bytes=SMALLEST_BOUND)
    assert len(conformed.body()) <= SMALLEST_BOUND
    accepted(conformed)
    again = conform(conformed.payload, max_bytes=SMALLEST_BOUND)
    assert again.body() == conformed.body()


@settings(max_examples=100, deadline=None)
@given(values)
def test_any_value_has_a_json_form(value: Any) -> None:
    converted = as_json(value, field="x", repairs=Repairs())
    assert json.loads(json.dumps(converted, allow_nan=False, ensure_ascii=False).encode()) == converted


@given(
    st.recursive(st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.text("ab")), st.lists)
)
def test_what_is_json_already_is_not_changed(value: Any) -> None:
    repairs = Repairs()
    assert as_json(value, field="x", repairs=repairs) == value
    assert repairs.listed() == ()


def test_decimals_keep_their_value() -> None:
    assert as_json([Decimal("1.5"), Decimal("2.0")], field="x", repairs=Repairs()) == [1.5, 2]
    assert (
        as_json(datetime(2026, 1, 2, tzinfo=UTC), field="x", repairs=Repairs()) == "2026-01-02T00:00:00+00:00"
    )

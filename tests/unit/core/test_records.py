import pytest
from pydantic import ValidationError

from tuner_core.records import CallRecord, Segment

PHONE, WORDS, SECRET = "+4930123456", "my password is swordfish", "swordfish"


def test_a_misspelt_field_is_an_error_at_once() -> None:
    with pytest.raises(ValidationError, match="sip_callid"):
        CallRecord.model_validate(
            {"call_id": "c", "call_type": "web", "start_timestamp": 1, "end_timestamp": 2, "sip_callid": "x"}
        )


def test_representations_and_errors_hide_what_was_said_and_who_called() -> None:
    segment = Segment.user(WORDS, start_ms=1, end_ms=2, metadata={"note": SECRET})
    record = CallRecord(
        call_id="c-81",
        call_type="phone_call",
        start_timestamp=1,
        end_timestamp=2,
        transcript=WORDS,
        caller_phone_number=PHONE,
        transcript_with_tool_calls=[segment, Segment.tool_call("pay", params=SECRET)],
    )
    shown = f"{record!r} {record} {segment!r} {segment.tool!r} {record.transcript_with_tool_calls[1].tool!r}"
    assert "c-81" in shown
    for private in (PHONE, WORDS, SECRET):
        assert private not in shown
    with pytest.raises(ValidationError) as caught:
        Segment.user(WORDS, start_ms=SECRET)  # pyright: ignore[reportArgumentType]
    assert SECRET not in str(caught.value)


def test_records_cannot_be_changed_behind_the_back_of_a_delivery() -> None:
    record = CallRecord(call_id="c", call_type="phone_call", start_timestamp=1, end_timestamp=2)
    with pytest.raises(ValidationError):
        record.call_id = "other"

"""livekit-api hands out protobuf messages: webhooks, call infos, participants."""

from livekit.protocol.models import ParticipantInfo
from livekit.protocol.sip import SIPCallInfo, SIPParticipantInfo
from livekit.protocol.webhook import WebhookEvent

from tuner_core import resolve

CALL_ID = "2jf9wCCX7Ab3kLmNoPqRsTuVwXy"
OWN = "SCL_fR7kPq2sT9vW"
ATTRIBUTES = {"sip.callID": OWN, "sip.callIDFull": CALL_ID}


def test_a_webhook_is_read_as_it_comes_out_of_the_receiver() -> None:
    participant = ParticipantInfo(sid="PA_1", attributes=ATTRIBUTES)
    identity = resolve(WebhookEvent(event="participant_joined", participant=participant))
    assert (identity.sip_call_id, identity.provider_call_id) == (CALL_ID, OWN)
    assert identity.found_at["sip_call_id"] == "participant.attributes.sip.callIDFull"


def test_livekits_own_id_is_told_from_the_call_id_in_spite_of_its_name() -> None:
    dialled = resolve(SIPParticipantInfo(participant_id="PA_1", room_name="r", sip_call_id=OWN))
    assert dialled.sip_call_id is None
    assert "sip_call_id holds LiveKit's sip.callID" in dialled.warnings[0]
    info = resolve(SIPCallInfo(call_id=OWN, participant_attributes=ATTRIBUTES))
    assert (info.sip_call_id, info.provider_call_id) == (CALL_ID, OWN)

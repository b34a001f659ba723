"""What LiveKit is asked, as its server reads it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from livekit import api
from livekit.protocol.sip import SIPMediaEncryption, SIPTransport

from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.via_livekit.account import LiveKitAccount
from tuner_sipbridge.via_livekit.callee import Callee, callee_of, target_of
from tuner_sipbridge.via_livekit.dialer import LiveKitDialer
from tuner_sipbridge.via_livekit.terms import TrunkTerms

from .livekit_api import KEY, SECRET, LiveKitApi
from .memory_room import MemoryRoom

STORED = TrunkTerms(trunk_id="ST_1")
INLINE = TrunkTerms(number="+15550000000", username="probe", password="hidden word")


async def test_a_call_by_a_stored_trunk(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Callable[..., Scenario]
) -> None:
    terms = TrunkTerms(
        trunk_id="ST_1",
        number="+15550000000",
        room="probe-room",
        dtmf="ww12#",
        attributes={"team": "blue"},
        max_call_duration_s=90.0,
    )
    async with LiveKitDialer(livekit.account, terms, room=room.at) as dialer:
        await dialer.run(
            "tel:+15551234567",
            scenario({"pause_s": 0.01}),
            ring_timeout=12.4,
            correlation_id="c0ffee",
            headers={"X-Campaign": "spring"},
            srtp="required",
        )
    asked = livekit.called
    assert (asked.sip_trunk_id, asked.sip_call_to, asked.sip_number) == (
        "ST_1",
        "+15551234567",
        "+15550000000",
    )
    assert (asked.room_name, asked.dtmf, dict(asked.participant_attributes)) == (
        "probe-room",
        "ww12#",
        {"team": "blue"},
    )
    assert dict(asked.headers) == {"X-Correlation-Id": "c0ffee", "X-Campaign": "spring"}
    assert (asked.ringing_timeout.seconds, asked.max_call_duration.seconds) == (13, 90)
    assert asked.wait_until_answered
    assert asked.media_encryption == SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE
    assert not asked.HasField("trunk")


async def test_each_token_allows_what_its_request_needs(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Callable[..., Scenario]
) -> None:
    async with LiveKitDialer(livekit.account, STORED, room=room.at) as dialer:
        await dialer.run("+15551234567", scenario({"pause_s": 0.01}))
    calling, removing = livekit.requests
    assert calling.claims.sip is not None
    assert calling.claims.sip.call
    assert not calling.claims.sip.admin
    assert removing.claims.video is not None
    assert removing.claims.video.room_admin
    assert removing.claims.video.room == calling.message.room_name == removing.message.room
    assert removing.message.identity == calling.message.participant_identity == room.callee
    joining = api.TokenVerifier(KEY, SECRET).verify(room.token)
    assert joining.video is not None
    assert (joining.video.room_join, joining.video.room) == (True, calling.message.room_name)
    assert room.url == livekit.account.url.replace("http", "ws")


async def test_a_sip_uri_goes_out_by_a_trunk_in_the_request(
    livekit: LiveKitApi, room: MemoryRoom, scenario: Callable[..., Scenario]
) -> None:
    async with LiveKitDialer(livekit.account, INLINE, room=room.at) as dialer:
        run = await dialer.run("sip:desk@edge.example:5070;transport=tcp", scenario({"pause_s": 0.01}))
    trunk = livekit.called.trunk
    assert (livekit.called.sip_call_to, livekit.called.sip_trunk_id) == ("desk", "")
    assert (trunk.hostname, trunk.transport) == ("edge.example:5070", SIPTransport.SIP_TRANSPORT_TCP)
    assert (trunk.auth_username, trunk.auth_password) == ("probe", "hidden word")
    (sent,) = [
        event for event in run.trace.of("livekit.sent") if event.fields["method"] == "CreateSIPParticipant"
    ]
    assert "[removed]" in sent.fields["message"]
    assert "hidden word" not in sent.fields["message"]
    assert "probe" not in sent.fields["message"]


@pytest.mark.parametrize(
    ("target", "terms", "callee"),
    [
        ("+15551234567", STORED, Callee("+15551234567")),
        ("+1 (555) 123-4567", STORED, Callee("+15551234567")),
        ("tel:+15551234567;phone-context=x", STORED, Callee("+15551234567")),
        ("sip:desk@edge.example", INLINE, Callee("desk", "edge.example", "")),
        ("sips:desk@edge.example", INLINE, Callee("desk", "edge.example", "tls")),
    ],
)
def test_whom_to_call(target: str, terms: TrunkTerms, callee: Callee) -> None:
    assert callee_of(target, terms) == callee


@pytest.mark.parametrize(
    ("target", "terms", "says"),
    [
        ("+15551234567", INLINE, "--trunk-id"),
        ("sip:desk@edge.example", STORED, "not SIP URIs"),
        ("sip:desk@edge.example", TrunkTerms(), "--from"),
        ("sip:edge.example", INLINE, "before the @"),
        ("sip:a@edge.example;transport=sctp", INLINE, "not over sctp"),
        ("mailto:a@edge.example", STORED, "phone numbers, tel URIs and SIP URIs"),
        ("desk", STORED, "no scheme"),
    ],
)
def test_who_cannot_be_called_so(target: str, terms: TrunkTerms, says: str) -> None:
    with pytest.raises(LocalProtocolError, match=says):
        callee_of(target, terms)


def test_a_number_is_a_tel_uri_in_plans() -> None:
    assert target_of("+1 555 123") == "tel:+1555123"
    assert target_of("sip:a@b") == "sip:a@b"


def test_the_account_names_the_variables_that_are_missing() -> None:
    with pytest.raises(LocalProtocolError, match="need LIVEKIT_URL, LIVEKIT_API_SECRET in"):
        LiveKitAccount.from_environ({"LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": " "})
    with pytest.raises(LocalProtocolError, match="wss://PROJECT"):
        LiveKitAccount("my-project", "k", "s")


def test_secrets_are_in_no_repr() -> None:
    account = LiveKitAccount("wss://p.livekit.cloud", "APIkey", "word")
    assert "word" not in repr(account)
    assert "APIkey" not in repr(account)
    assert "hidden" not in repr(INLINE)
    assert "probe" not in repr(INLINE)
    assert (account.host, account.http_scheme) == ("p.livekit.cloud", "HTTPS")

"""Verdicts from facts that no loopback has: public addresses, NAT, loss, and calls that are on their way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tuner_sipbridge.net.reach import PeerCertificate, Reached
from tuner_sipbridge.providers import find_provider, known_providers
from tuner_sipbridge.sip.uri import Uri, without_password
from tuner_sipbridge.trace import Trace
from tuner_sipbridge.verify.facts import STEPS, Facts, Inquired, Lookup, Step, StepName, Verdict
from tuner_sipbridge.verify.reading import scope_of
from tuner_sipbridge.verify.verdicts import judge

NOW = 1_700_000_000.0
OURS, EDGE = "192.168.1.20", "9.9.9.9"
CHALLENGE = 'WWW-Authenticate: Digest realm="edge", nonce="n", algorithm=MD5'


@dataclass
class Call:
    """The trace of one call, written by hand."""

    ours: str = OURS
    edge: str = EDGE
    at: float = NOW
    trace: Trace = field(default_factory=Trace)
    cseq: int = 0
    via: str = ""

    def note(self, kind: str, **fields: object) -> Call:
        self.at += 0.1
        self.trace.note(kind, at=self.at, **fields)
        return self

    def send(self, method: str, *headers: str) -> Call:
        self.cseq += method == "INVITE"
        lines = (
            f"{method} sip:agent@edge.example SIP/2.0",
            f"Via: SIP/2.0/UDP {self.ours}:5070;branch=z9hG4bK1",
        )
        return self._message(
            "sip.sent", lines, method, headers, _session(self.ours) if method == "INVITE" else ""
        )

    def hear(self, status: int, *headers: str, method: str = "INVITE", session: str = "") -> Call:
        lines = (f"SIP/2.0 {status} Reason", f"Via: SIP/2.0/UDP {self.ours}:5070;branch=z9hG4bK1{self.via}")
        return self._message("sip.received", lines, method, headers, session)

    def answered(self, session: str = "") -> Call:
        media = session or _session(self.edge)
        host = next(line for line in media.split("\r\n") if line.startswith("c=")).rpartition(" ")[2]
        self.send("INVITE").hear(100).hear(200, session=media).note("call.answered", status=200)
        return self.note("media.started", local=f"{self.ours}:4000", remote=f"{host}:4002", codec="PCMU")

    def closed(self, *, source: str = "", sound: bool = True, digits: bool = True, **report: int) -> Call:
        if source:
            self.note("media.first_packet", source=source)
            if sound:
                self.note("agent.speech_started")
        self.note("caller.speech_started").note("caller.speech_ended", interrupted=False)
        if digits:
            self.note("caller.digits", digits="#")
        self.send("BYE").note("call.ended", by="caller", reason="").hear(200, method="BYE")
        counts = {"sent": 100, "received": 100 if source else 0, "lost": 0, "discarded": 0, **report}
        return self.note("media.report", expected=counts["received"] + counts["lost"], **counts)

    def _message(
        self, kind: str, start: tuple[str, ...], method: str, headers: tuple[str, ...], body: str
    ) -> Call:
        content = ("Content-Type: application/sdp",) if body else ()
        common = (
            "From: <sip:tuner@x>;tag=1",
            "To: <sip:agent@edge.example>",
            "Call-ID: c",
            f"CSeq: {self.cseq} {method}",
        )
        text = "".join(f"{line}\r\n" for line in (*start, *common, *headers, *content, "")) + body
        return self.note(kind, summary=start[0], message=text, peer=f"{self.edge}:5060", transport="udp")


def _session(host: str, *, events: bool = True, direction: str = "sendrecv") -> str:
    lines = (
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio 4002 RTP/AVP 0{' 101' if events else ''}",
        *(("a=rtpmap:101 telephone-event/8000",) if events else ()),
        f"a={direction}",
    )
    return "".join(f"{line}\r\n" for line in lines)


def facts(call: Call | None = None, *, provider: str = "", **changes: object) -> Facts:
    known: dict[str, object] = {
        "uri": Uri.parse("sip:agent@edge.example"),
        "provider": find_provider(provider) if provider else None,
        "lookup": Lookup((f"{EDGE}:5060",), asked="edge.example"),
        "inquired": True,
        "inquiries": (inquired(Call().send("OPTIONS").hear(200, method="OPTIONS")),),
        "call": call.trace if call else Trace(),
        "at": NOW,
        "over": True,
    }
    return Facts("sip:agent@edge.example", **{**known, **changes})  # pyright: ignore[reportArgumentType]


def inquired(call: Call, *, refused: str = "") -> Inquired:
    return Inquired(f"udp {call.edge}:5060", call.trace, refused)


def step(known: Facts, name: StepName) -> Step:
    return next(one for one in judge(known) if one.name == name)


def test_nothing_is_told_before_it_is_known_and_the_order_never_changes() -> None:
    call = Call().answered().closed(source=f"{EDGE}:4002")
    known = facts(call)
    whole = judge(known)
    assert {one.verdict for one in whole if one.name != "registration"} == {"ok"}, whole
    told = 0
    for length in range(len(call.trace.events) + 1):
        known.over, known.call = False, Trace(call.trace.events[:length])
        steps = judge(known)
        # What was told stays as it was told; only the last words on a call may wait for its end.
        assert [one.name for one in steps] == list(STEPS[: len(steps)])
        assert len(steps) >= told
        told = len(steps)
        assert steps == whole[:told]
    assert told == len(STEPS)


def test_without_a_connection_nothing_else_is_reached() -> None:
    steps = judge(
        Facts("sip:a@b", uri=Uri.parse("sip:a@b"), lookup=Lookup(problem="b has no address"), over=True)
    )
    assert [one.verdict for one in steps if one.name != "registration"] == ["ok", "failed"] + [
        "not reached"
    ] * (len(STEPS) - 3)


@pytest.mark.parametrize(
    ("host", "scope"),
    [
        ("9.9.9.9", "public"),
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.0.1", "private"),
        ("100.64.1.1", "private"),
        ("fd00::1", "private"),
        ("2620:fe::fe", "public"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("169.254.1.1", "nowhere"),
        ("203.0.113.9", "nowhere"),
        ("2001:db8::1", "nowhere"),
        ("0.0.0.0", "nowhere"),
        ("224.0.0.1", "nowhere"),
        ("media.example", "a name"),
    ],
)
def test_where_an_address_is_known(host: str, scope: str) -> None:
    assert scope_of(host) == scope


@pytest.mark.parametrize(
    ("host", "edge", "verdict", "words"),
    [
        ("10.0.0.5", EDGE, "failed", "private"),
        ("127.0.0.1", EDGE, "failed", "the far machine itself"),
        ("10.0.0.5", "10.0.0.1", "ok", ""),
        ("10.0.0.5", "127.0.0.1", "warning", "private"),
        ("198.51.100.7", EDGE, "failed", "no packet gets"),
        ("8.8.8.8", EDGE, "ok", ""),
    ],
)
def test_a_media_address_is_judged_from_where_the_sip_came(
    host: str, edge: str, verdict: Verdict, words: str
) -> None:
    known = facts(Call(edge=edge).answered(_session(host)).closed(source="8.8.8.8:9"), provider="asterisk")
    described = step(known, "sdp")
    assert described.verdict == verdict
    assert words in described.detail
    assert ("external_media_address" in described.change) == (verdict != "ok")
    if verdict == "failed":
        out = step(known, "media_out")
        assert out.verdict == "failed"
        assert "the agent will not hear the caller" in out.detail


def test_one_way_audio_behind_our_own_nat_names_the_remedy() -> None:
    known = facts(Call().answered().closed())
    silent = step(known, "media_in")
    assert silent.verdict == "failed"
    assert f"our SDP names {OURS}" in silent.detail
    assert "--public-address" in silent.change
    assert step(known, "media_out").verdict == "ok"


def test_no_packets_packets_of_silence_and_foreign_packets_are_told_apart() -> None:
    public = "8.8.4.4"
    none = step(facts(Call(ours=public).answered().closed()), "media_in")
    foreign = step(facts(Call(ours=public).answered().closed(discarded=80)), "media_in")
    silence = step(facts(Call(ours=public).answered().closed(source=f"{EDGE}:4002", sound=False)), "media_in")
    lossy = step(facts(Call(ours=public).answered().closed(source=f"{EDGE}:4002", lost=20)), "packets")
    assert [one.verdict for one in (none, foreign, silence, lossy)] == [
        "failed",
        "failed",
        "warning",
        "warning",
    ]
    assert "no packet came" in none.detail
    assert "80 packets came, and none of them is RTP" in foreign.detail
    assert "all of them are silence" in silence.detail
    assert "20 lost" in lossy.detail


def test_audio_that_comes_from_another_host_than_the_sdp_names_is_pointed_out() -> None:
    out = step(facts(Call().answered().closed(source="8.8.8.8:4002")), "media_out")
    assert out.verdict == "warning"
    assert "8.8.8.8" in out.detail
    other_port = facts(Call().answered().closed(source=f"{EDGE}:5004"))
    assert step(other_port, "media_out").verdict == "ok"
    assert "its SDP names" in step(other_port, "media_in").detail


def test_a_held_call_is_no_fault_of_the_network() -> None:
    held = facts(Call().answered(_session(EDGE, direction="inactive")).closed(source=f"{EDGE}:4002", sent=0))
    assert step(held, "media_out").verdict == "warning"
    assert "inactive" in step(held, "media_out").detail
    stuck = facts(Call().answered(_session("10.0.0.5")).closed(sent=0), no_way_out=True)
    assert step(stuck, "media_out").verdict == "failed"
    assert "no packet could be sent to 10.0.0.5:4002" in step(stuck, "media_out").detail
    assert "no packet was sent" in step(stuck, "dtmf").detail
    zeros = facts(Call().answered(_session("0.0.0.0")).closed(sent=0))
    assert "holds the call" in step(zeros, "sdp").detail


def test_the_edge_tells_what_a_nat_shows() -> None:
    call = Call(via=";received=203.0.113.50;rport=61000")
    told = step(facts(call.answered().closed(source=f"{EDGE}:4002")), "invite")
    assert "it sees us by NAT as 203.0.113.50:61000, not as 192.168.1.20" in told.detail


def test_repeats_of_the_invite_are_packets_that_were_lost() -> None:
    call = Call().send("INVITE")
    call.cseq = 0
    told = step(facts(call.answered().closed(source=f"{EDGE}:4002")), "invite")
    assert told.verdict == "warning"
    assert "after 1 repeat" in told.detail


def test_credentials_that_are_accepted_refused_and_forbidden() -> None:
    def challenged(*then: int) -> Call:
        call = Call().send("INVITE").hear(401, CHALLENGE)
        call.send("INVITE", 'Authorization: Digest username="removed", realm="edge", nonce="n"')
        for status in then:
            call.hear(status, *((CHALLENGE,) if status == 401 else ()))
        return call.note("call.rejected", status=then[-1]) if then[-1] >= 300 else call

    def verdict(call: Call, provider: str = "") -> Step:
        return step(facts(call, provider=provider, username_given=True), "credentials")

    assert verdict(challenged(100, 180)).verdict == "ok"
    wrong = verdict(challenged(401), "asterisk")
    assert (wrong.verdict, "compare them with the endpoint's auth section" in wrong.change) == (
        "failed",
        True,
    )
    forbidden = verdict(challenged(100, 403), "twilio")
    assert "403 after they were sent" in forbidden.detail
    assert "under Voice > SIP Domains" in forbidden.change
    # Where the far end does not know the number, the credentials were right.
    absent = facts(challenged(404), username_given=True)
    assert (step(absent, "credentials").verdict, step(absent, "answer").verdict) == ("ok", "failed")


def test_a_provider_that_lets_in_by_address_is_told_before_passwords_are_tried() -> None:
    refused = facts(Call().send("INVITE").hear(403).note("call.rejected", status=403), provider="exotel")
    assert "public address is not on the trunk's list" in step(refused, "answer").change
    silent = Call().send("INVITE").note("call.timed_out", stage="no response")
    change = step(facts(silent, provider="exotel", transport="tcp"), "invite").change
    assert "silent to addresses that they do not know: have this machine's let in" in change
    assert "tcp at port 5070" in change


@pytest.mark.parametrize(
    ("days", "checked", "verdict"),
    [(60, "ca", "ok"), (5, "ca", "warning"), (-5, "pin", "ok"), (60, "nothing", "warning")],
)
def test_a_certificate_that_expires_soon_is_a_warning(days: int, checked: str, verdict: Verdict) -> None:
    certificate = PeerCertificate(("edge.example", "*.edge.example"), "Some CA", NOW + days * 86400)
    reached = Reached(0.05, tls_version="TLSv1.3", certificate=certificate)
    told = step(facts(transport="tls", reached=reached, checked=checked), "connection")
    assert told.verdict == verdict
    assert "for edge.example, *.edge.example; by Some CA" in told.detail


def test_a_uri_that_does_not_fit_its_provider_is_a_warning() -> None:
    other = step(facts(provider="twilio"), "uri")
    assert (other.verdict, "no host of Twilio" in other.detail) == ("warning", True)
    own = Uri.parse("sip:+15550100@p.sip.livekit.cloud")
    hinted = step(facts(provider="livekit", uri=own), "uri")
    assert (hinted.verdict, "--provider livekit" in hinted.change) == ("ok", True)
    secret = step(facts(uri=Uri.parse("sip:agent:hidden@edge.example")), "uri")
    assert secret.verdict == "warning"
    assert "hidden" not in secret.detail


def test_a_call_that_the_agent_ends_or_whose_bye_is_not_answered() -> None:
    gone = (
        Call()
        .answered()
        .note("call.ended", by="agent", reason="all done")
        .note("media.report", received=9, sent=9)
    )
    hung_up = step(facts(gone), "bye")
    assert hung_up.verdict == "failed"
    assert "after it had answered, before we were done (all done)" in hung_up.detail
    assert step(facts(gone), "media_in").verdict == "not reached"
    lost = (
        Call().answered().send("BYE").note("call.ended", by="caller", reason="").note("media.report", sent=9)
    )
    assert step(facts(lost), "bye").verdict == "failed"
    assert f"it went to {EDGE}:5060" in step(facts(lost), "bye").detail
    unknown = Call().answered().send("BYE").hear(481, method="BYE").note("media.report", sent=9)
    assert step(facts(unknown), "bye").verdict == "warning"


def told(call: Call, name: StepName, **changes: Any) -> Step:
    return step(facts(call, **changes), name)


def test_who_has_to_do_what_when_nobody_picks_up() -> None:
    def waiting(*statuses: int, session: str = "") -> Call:
        call = Call().send("INVITE").hear(100)
        for status in statuses:
            call.hear(status, session=session)
        return call

    trying = told(waiting().note("call.timed_out", stage="ringing"), "answer", provider="livekit")
    assert "100 Trying, then nothing" in trying.detail
    assert "at LiveKit SIP: see that what it routes this number to" in trying.change
    rang = told(waiting(180).note("call.timed_out", stage="ringing"), "answer")
    assert "it rang, and nobody picked up" in rang.detail
    early = waiting(183, session=_session(EDGE))
    early.note("media.started", local=f"{OURS}:4000", remote=f"{EDGE}:4002", codec="PCMU")
    early.note("media.first_packet", source=f"{EDGE}:4002").note("agent.speech_started")
    early.note("call.timed_out", stage="ringing")
    assert "183 with early audio, but nobody picked up" in told(early, "answer").detail
    assert told(early, "media_in").verdict == "ok"
    assert told(early, "media_out").detail.startswith("silence was sent")


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ((), "names no address"),
        (("Contact: <tel:+15550100>",), "to a tel URI"),
        (("Contact: <sip:agent@edge.example>",), "to edge.example, where it was tried already"),
    ],
)
def test_a_redirection_that_leads_nowhere(headers: tuple[str, ...], words: str) -> None:
    call = Call().send("INVITE").hear(302, *headers).note("call.rejected", status=302)
    refused = told(call, "answer", provider="asterisk")
    assert words in refused.detail
    assert "5550100" not in refused.detail
    assert refused.change.startswith("at Asterisk: take the call itself")


def test_a_redirection_that_was_followed_names_the_host_and_not_the_user() -> None:
    call = (
        Call()
        .send("INVITE")
        .hear(302)
        .note("call.redirected", status=302, target="sip:+15550100@far.example")
    )
    found = told(call.answered(), "answer")
    assert found.detail.endswith("sent on to far.example")


@pytest.mark.parametrize("direction", ["recvonly", "inactive"])
def test_an_answer_that_says_that_nothing_will_be_sent(direction: str) -> None:
    call = Call().answered(_session(EDGE, direction=direction)).closed()
    assert told(call, "sdp").verdict == "warning"
    silent = told(call, "media_in")
    assert (silent.verdict, f"as the answer says ({direction})" in silent.detail) == ("failed", True)
    assert "sendrecv" in silent.change


@pytest.mark.parametrize(
    ("reason", "provider", "changes", "change"),
    [
        ("the far end answered without a session description", "", {}, "let the 200 hold an SDP answer"),
        ("the far end refuses the audio stream (its port is 0)", "", {}, "let the agent take audio"),
        ("the far end offers no SRTP, which is required here", "", {"srtp": "required"}, "leave out --srtp"),
        ("no codec in common", "exotel", {"transport": "tls"}, "give --srtp required"),
        ("no codec in common", "twilio", {}, "at Twilio: allow PCMU or PCMA; Twilio takes PCMU"),
    ],
)
def test_an_answer_that_cannot_be_used(
    reason: str, provider: str, changes: dict[str, object], change: str
) -> None:
    call = Call().send("INVITE").hear(200).note("call.ended", by="network", reason=reason)
    bad = told(call, "sdp", provider=provider, **changes)
    assert (bad.verdict, bad.detail) == ("failed", reason)
    assert change in bad.change
    assert {told(call, name).verdict for name in ("media_in", "dtmf", "bye")} == {"not reached"}


def test_every_target_is_judged_by_its_own_answer() -> None:
    there = inquired(Call().send("OPTIONS").hear(200, method="OPTIONS"))
    silent = inquired(Call(edge="8.8.8.8").send("OPTIONS"))
    shut = inquired(Call(edge="8.8.4.4"), refused="udp 8.8.4.4:5060: nothing listens there")
    mixed = step(facts(inquiries=(there, silent, shut)), "options")
    assert mixed.verdict == "warning"
    assert mixed.detail.startswith(f"udp {EDGE}:5060: 200 Reason in")
    assert "udp 8.8.8.8:5060: no answer" in mixed.detail
    assert "udp 8.8.4.4:5060: nothing listens there" in mixed.detail
    assert "mend or remove the target" in mixed.change
    closed = facts(inquiries=(shut, shut))
    assert step(closed, "connection").verdict == "failed"
    assert step(closed, "options").verdict == "not reached"


def test_a_registration_is_judged_where_it_was_asked_for() -> None:
    def registering(call: Call, **changes: Any) -> Step:
        return told(call, "registration", registering=True, **changes)

    assert told(Call(), "registration").verdict == "skipped"
    assert registering(Call().note("call.registered", registrar="edge", expires_s=300)).detail == "for 300 s"
    refused = Call().note("call.registration_failed", registrar="edge", status=405, cause="405: takes none")
    assert "leave out --register" in registering(refused).change
    assert "LiveKit SIP takes calls without" in registering(refused, provider="livekit").change
    assert told(refused, "invite", registering=True).verdict == "not reached"
    wrong = Call().note("call.registration_failed", registrar="edge", status=401, cause="401")
    assert "letter by letter" in registering(wrong, username_given=True).change


def test_a_user_name_without_a_password_is_not_called_a_wrong_one() -> None:
    call = Call().send("INVITE").hear(401, CHALLENGE)
    call.send("INVITE", 'Authorization: Digest username="removed", realm="edge", nonce="n"')
    call.hear(401, CHALLENGE).note("call.rejected", status=401)
    missing = told(call, "credentials", username_given=True, password_given=False)
    assert "but no password" in missing.detail
    assert "TUNER_SIP_PASSWORD" in missing.change


@pytest.mark.parametrize("provider", [one.name for one in known_providers()])
def test_every_refusal_that_users_meet_has_advice_at_every_provider(provider: str) -> None:
    for status in (
        *range(300, 306),
        *range(400, 440),
        *range(480, 495),
        *range(500, 506),
        513,
        *range(600, 609),
    ):
        if status in (401, 407):
            continue
        call = Call().send("INVITE").hear(status).note("call.rejected", status=status)
        change = told(call, "answer", provider=provider).change
        assert change.startswith("at "), (status, change)


def test_a_session_that_is_refused_is_told_what_srtp_has_to_do_with_it() -> None:
    call = Call().send("INVITE").hear(488).note("call.rejected", status=488)
    assert "give --srtp required and ;transport=tls" in told(call, "answer").change
    assert "leave out --srtp required" in told(call, "answer", srtp="required").change


def test_a_provider_that_was_guessed_is_said_to_be() -> None:
    uri = Uri.parse("sip:agent@acme.sip.twilio.com")
    assert "Twilio, guessed from the host" in told(Call(), "uri", provider="twilio", uri=uri).detail
    named = told(Call(), "uri", provider="twilio", uri=uri, provider_named=True)
    assert "guessed" not in named.detail


def test_the_ports_of_a_provider_s_media_are_named_where_none_comes() -> None:
    known = facts(Call(ours="8.8.4.4").answered().closed(), provider="exotel")
    assert "media of Exotel is UDP 10000 to 40000" in step(known, "media_in").change


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sip:agent:s3:cret@edge.example", "sip:agent:removed@edge.example"),
        ("SIPS:agent:s3cret@edge.example;transport=tls", "SIPS:agent:removed@edge.example;transport=tls"),
        ("sip:agent@edge.example:5070", "sip:agent@edge.example:5070"),
    ],
)
def test_a_password_in_a_uri_is_not_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown


def test_a_password_is_looked_for_in_one_pass():
    assert without_password("sip:a:" * 100_000) == "sip:a:" * 100_000


def test_a_call_that_failed_never_passes_for_one_that_did_not() -> None:
    call = Call().send("INVITE").hear(180).note("media.failed")
    (failed,) = [
        one for one in judge(facts(call, problem="the media worker is gone")) if one.verdict == "failed"
    ]
    assert (failed.name, failed.detail) == ("answer", "the media worker is gone")

"""The verdicts on session description, audio both ways, keys, and packets: from the trace of an answered call."""

from __future__ import annotations

from typing import Any

from tuner_sipbridge.sdp.session import MediaDescription, SessionDescription
from tuner_sipbridge.verify import advice
from tuner_sipbridge.verify.call_verdicts import listened
from tuner_sipbridge.verify.facts import Facts, Step, Verdict
from tuner_sipbridge.verify.reading import (
    answered_session,
    far_hosts,
    host_of,
    offered_host,
    requests,
    scope_of,
    took,
)

_EVENTS = "TELEPHONE-EVENT"
_NO_HOSTS = ("0.0.0.0", "::")
"""How a hold was said before there were directions (RFC 3264 §8.4)."""
_LOST_SHARE = 0.05
"""Of the packets; with more than that speech suffers, whatever hides the gaps (ITU-T G.113, appendix I)."""
_SENDS_NOTHING = ("recvonly", "inactive")
_TAKES_NOTHING = ("sendonly", "inactive")


def sdp(facts: Facts) -> Step | None:
    """What the far end's session description says, and whether its address can be reached."""
    call = facts.call
    if call.first("media.started") is None:
        return _no_session(facts)
    session = answered_session(call)
    if session is None or not session.media:
        return Step("sdp", "ok", "agreed in another message than the answer")
    media = _audio(session)
    host = session.address_of(media) or ""
    codecs = ", ".join(codec.encoding for codec in media.codecs if codec.key[0] != _EVENTS)
    said = f"{codecs} to {host} port {media.port}{_protected(facts)}"
    verdict, problem = _address_problem(facts, host)
    if problem:
        return Step("sdp", verdict, f"{said}: {problem}", advice.on_media_address(facts))
    direction = session.direction_of(media)
    if direction != "sendrecv":
        detail = f"{said}: {direction}, {_MEANS[direction]}"
        return Step("sdp", "warning", detail, advice.on_direction(facts))
    return Step("sdp", "ok", said)


_MEANS = {
    "recvonly": "so the agent listens and will not speak",
    "sendonly": "so the agent speaks and will not listen",
    "inactive": "so the agent neither speaks nor listens",
}


def media_in(facts: Facts) -> Step | None:
    """Whether the agent's audio reaches us."""
    call = facts.call
    first, started = call.first("media.first_packet"), call.first("media.started")
    if started is None or not _reached_audio(facts):
        return None
    if call.first("agent.speech_started") is None and _report(facts) is None and not facts.over:
        return None  # sound that has come may not have been told of yet
    if first is None:
        return _nothing_came(facts)
    source, named = str(first.fields.get("source", "")), str(started.fields.get("remote", ""))
    said = f"from {source}" + (f" (its SDP names {named})" if source != named else "")
    if call.first("agent.speech_started") is None:
        change = (
            f"nothing, if the agent waits for the caller to speak; else, {facts.there}: see that its speech gets into"
            " the call"
        )
        return Step("media_in", "warning", f"packets come {said}, and all of them are silence", change)
    return Step("media_in", "ok", f"sound {said}")


def media_out(facts: Facts) -> Step | None:
    """Whether our audio goes where the far end can get it; whether it was heard, only the far end knows."""
    started = facts.call.first("media.started")
    if started is None or not _reached_audio(facts):
        return None
    named = str(started.fields.get("remote", ""))
    host, why = host_of(named), _held(facts)
    if why:
        detail = (
            f"nothing was sent, since the far end holds the call ({why}): the agent does not hear the caller"
        )
        return Step("media_out", "warning", detail, advice.on_direction(facts))
    verdict, problem = _address_problem(facts, host)
    if problem and _report(facts) is None and not facts.over:
        return None  # whether anything could be sent to such an address, the count tells
    if _unsent(facts, host):
        detail = f"no packet could be sent to {named}: there is no way from here; the agent will not hear the caller"
        return Step("media_out", "failed", detail, advice.on_media_address(facts))
    first = facts.call.first("media.first_packet")
    sent = "a tone was sent" if facts.call.first("caller.speech_started") is not None else "silence was sent"
    if problem:
        one_way = " one-way audio: the agent will not hear the caller;" if first is not None else ""
        detail = f"{sent} to {named}:{one_way} {problem}"
        return Step("media_out", verdict, detail, advice.on_media_address(facts))
    source = host_of(str(first.fields.get("source", ""))) if first is not None else ""
    if source and source != host and scope_of(host) != "a name":
        detail = (
            f"{sent} to {named}, as the SDP says, but the far end's packets come from {source}: if the agent "
            "does not hear the caller, that is why"
        )
        return Step("media_out", "warning", detail, advice.on_media_address(facts))
    return Step("media_out", "ok", f"{sent} to {named}; whether it is heard shows only there")


def dtmf(facts: Facts) -> Step | None:
    """Whether keys can be sent."""
    call = facts.call
    session = answered_session(call)
    if media_out(facts) is None or session is None or not session.media or not _reached_end(facts):
        return None
    events = [codec for codec in _audio(session).codecs if codec.key[0] == _EVENTS]
    if not events:
        return Step(
            "dtmf",
            "warning",
            "the answer takes no telephone-event, so no key can be sent",
            f"{facts.there}: allow telephone-event (RFC 4733), if the agent has to understand keys",
        )
    number, keys = events[0].payload_type, call.first("caller.digits")
    if keys is None:
        detail = f"telephone-event was agreed (type {number}), but the call ended before a key"
        return Step("dtmf", "not reached", detail)
    if _held(facts) or _unsent(
        facts, host_of(str((call.first("media.started") or keys).fields.get("remote")))
    ):
        return Step("dtmf", "warning", f"telephone-event was agreed (type {number}), but no packet was sent")
    pressed = keys.fields.get("digits", "")
    return Step(
        "dtmf", "ok", f"key {pressed} sent (type {number}); whether it was understood shows only there"
    )


def packets(facts: Facts) -> Step | None:
    """How many packets went and came, and how many were lost."""
    report = _report(facts)
    if report is None:
        return None
    received, lost, foreign = (int(report.get(name) or 0) for name in ("received", "lost", "discarded"))
    jitter = report.get("jitter_s")
    said = f"{received} came, {lost or 'none'} lost" + (f", jitter {jitter * 1000:.0f} ms" if jitter else "")
    said += f"; {int(report.get('sent') or 0)} sent"
    if foreign and not received:
        detail = (
            f"{foreign} came, and none of them is RTP that was agreed on; {int(report.get('sent') or 0)} sent"
        )
        return Step("packets", "warning", detail, advice.on_foreign_packets(facts))
    out = media_out(facts)
    if not int(report.get("sent") or 0) and out is not None and out.verdict == "ok":
        change = (
            "see what keeps this machine from sending UDP to that address: a firewall of its own, for one"
        )
        return Step("packets", "failed", f"{said}: no packet could be sent; the agent hears nothing", change)
    expected = int(report.get("expected") or received)
    if lost > _LOST_SHARE * expected:
        change = f"more than {_LOST_SHARE:.0%} lost: use a better network path, or another region of the edge"
        return Step("packets", "warning", said, change)
    return Step("packets", "ok", said)


def _no_session(facts: Facts) -> Step | None:
    """Why there is no media, where the call was answered or had an answer that cannot be used."""
    ended = facts.call.first("call.ended")
    if ended is None or ended.fields.get("by") != "network" or facts.call.first("call.rejected") is not None:
        return None
    why = str(ended.fields.get("reason") or "")
    return Step("sdp", "failed", why, advice.on_codecs(facts, why)) if why else None


def _nothing_came(facts: Facts) -> Step | None:
    """No RTP: told when the packets are counted, since what came may have been something else."""
    session = answered_session(facts.call)
    direction = session.direction_of(_audio(session)) if session is not None and session.media else "sendrecv"
    silence = "the caller does not hear the agent"
    if direction in _SENDS_NOTHING:
        detail = f"no audio came, as the answer says ({direction}): {silence}"
        return Step("media_in", "failed", detail, advice.on_direction(facts))
    report = _report(facts) or {}
    ended, taken = facts.call.first("call.ended"), facts.call.first("call.answered")
    if ended is not None and ended.fields.get("by") == "agent" and not listened(facts):
        stood = took(ended.at - (taken or ended).at)
        return Step("media_in", "not reached", f"the agent hung up after {stood}, before any packet came")
    if int(report.get("discarded") or 0):
        detail = f"{report['discarded']} packets came, and none of them is RTP that was agreed on: {silence}"
        return Step("media_in", "failed", detail, advice.on_foreign_packets(facts))
    ours, far = offered_host(facts.call), next(far_hosts(facts.call), "")
    detail = f"no packet came: {silence} (one-way audio, where the agent hears the caller)"
    if scope_of(ours) in ("private", "loopback") and scope_of(far) == "public":
        return Step(
            "media_in",
            "failed",
            f"{detail}; our SDP names {ours}, which is known behind this NAT only",
            "give what the NAT shows for this machine by --public-address, and let UDP in there"
            + advice.on_media_ports(facts),
        )
    return Step("media_in", "failed", detail, advice.on_no_packets(facts, ours))


def _reached_audio(facts: Facts) -> bool:
    """Whether audio went both ways for as long as it was to, or nothing more comes of it."""
    return listened(facts) or _reached_end(facts)


def _reached_end(facts: Facts) -> bool:
    """Whether the call is being ended, or has ended, and so every key that was to be sent has been."""
    sent_bye = bool(requests(facts.call, "BYE"))
    return (
        sent_bye or facts.call.first("call.ended", "call.rejected", "media.report") is not None or facts.over
    )


def _address_problem(facts: Facts, host: str) -> tuple[Verdict, str]:
    """What is wrong with a media address, seen from where the SIP came from; empty when nothing is."""
    scope, far = scope_of(host), next(far_hosts(facts.call), "")
    around = scope_of(far)
    if host in _NO_HOSTS:
        return "warning", "that is no address, so nothing can be sent there: the far end holds the call"
    if scope == "nowhere":
        return "failed", "no packet gets to that address"
    if scope == "loopback" and around != "loopback":
        return "failed", f"that address is the far machine itself, seen from there; its SIP comes from {far}"
    if scope == "private" and around == "public":
        return (
            "failed",
            f"that address is private, and its SIP comes from {far}: packets cannot get there from here",
        )
    if scope == "private" and around == "loopback":
        return "warning", f"that address is private, and its SIP comes from {far}: it may be out of reach"
    return "ok", ""


def _held(facts: Facts) -> str:
    """Why the far end wants nothing to be sent; empty when it does."""
    session, started = answered_session(facts.call), facts.call.first("media.started")
    direction = session.direction_of(_audio(session)) if session is not None and session.media else "sendrecv"
    if direction in _TAKES_NOTHING:
        return direction
    host = host_of(str(started.fields.get("remote", ""))) if started is not None else ""
    return f"its SDP names {host}" if host in _NO_HOSTS else ""


def _unsent(facts: Facts, host: str) -> bool:
    """Whether no packet could be sent to the address that the far end's SDP names."""
    report = _report(facts)
    counted = report is not None and not int(report.get("sent") or 0)
    return facts.no_way_out or (counted and bool(_address_problem(facts, host)[1]))


def _protected(facts: Facts) -> str:
    started = facts.call.first("media.started")
    suite = str(started.fields.get("srtp") or "") if started is not None else ""
    return f", SRTP {suite}" if suite else ""


def _audio(session: SessionDescription) -> MediaDescription:
    return next((media for media in session.media if media.media == "audio" and media.port), session.media[0])


def _report(facts: Facts) -> dict[str, Any] | None:
    """The counts of the call's media, once it is closed."""
    report = facts.call.last("media.report")
    return report.fields if report is not None and facts.call.first("media.started") is not None else None

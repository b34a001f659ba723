"""The verdicts on session description, audio both ways, and keys: from the trace of an answered call."""

from __future__ import annotations

from typing import Any

from tuner_sipbridge.sdp.session import MediaDescription, SessionDescription
from tuner_sipbridge.verify import advice
from tuner_sipbridge.verify.facts import Facts, Step
from tuner_sipbridge.verify.reading import answered_session, far_hosts, offered_host, scope_of

_EVENTS = "TELEPHONE-EVENT"
_NO_HOSTS = ("0.0.0.0", "::")
"""How a hold was said before there were directions (RFC 3264 §8.4)."""


def sdp(facts: Facts) -> Step | None:
    """What the far end's session description says, and whether its address can be reached."""
    call = facts.call
    if call.first("media.started") is None:
        if call.first("call.answered", "call.ended") is None or not (facts.over and facts.problem):
            return None
        if call.first("call.rejected") is not None:
            return None
        return Step("sdp", "failed", facts.problem, advice.on_codecs(facts))
    session = answered_session(call)
    if session is None or not session.media:
        return Step("sdp", "ok", "agreed in another message than the answer")
    media, host = _audio(session), ""
    host = session.address_of(media) or ""
    codecs = ", ".join(codec.encoding for codec in media.codecs if codec.key[0] != _EVENTS)
    said = f"{codecs} to {host} port {media.port}"
    verdict, problem = _address_problem(facts, host)
    if problem:
        return Step("sdp", verdict, f"{said}: {problem}", advice.on_media_address(facts))
    return Step("sdp", "ok", said)


def media_in(facts: Facts) -> Step | None:
    """Whether the agent's audio reaches us."""
    report = _report(facts)
    if report is None:
        return None
    received, lost = int(report.get("received") or 0), int(report.get("lost") or 0)
    first, started = facts.call.first("media.first_packet"), facts.call.first("media.started")
    if not received:
        return _nothing_came(facts, report)
    source = str(first.fields.get("source", "")) if first is not None else ""
    said = f"{received} packets from {source or 'the far end'}"
    if lost:
        said += f", {lost} lost"
    named = str(started.fields.get("remote", "")) if started is not None else ""
    if source and named and source != named:
        said += f" (its SDP names {named})"
    if facts.call.first("agent.speech_started") is None:
        return Step(
            "media_in",
            "warning",
            f"{said}, and all of them silence",
            f"nothing, if the agent waits for the caller to speak; else, {facts.there}: see that its speech gets "
            "into the call",
        )
    expected = int(report.get("expected") or received)
    if lost > 0.05 * expected:
        return Step("media_in", "warning", said, "more than 5 % lost: use a better network path")
    return Step("media_in", "ok", f"{said}, with sound")


def media_out(facts: Facts) -> Step | None:
    """Whether our audio goes where the far end can get it; whether it was heard, only the far end knows."""
    report, started = _report(facts), facts.call.first("media.started")
    if report is None or started is None:
        return None
    sent, named = int(report.get("sent") or 0), str(started.fields.get("remote", ""))
    host = named.rpartition(":")[0]
    session = answered_session(facts.call)
    direction = session.direction_of(_audio(session)) if session is not None and session.media else "sendrecv"
    held = direction in ("sendonly", "inactive") or host in _NO_HOSTS
    if not sent and held:
        detail = f"nothing was sent: the far end holds the call ({direction}, {host})"
        return Step("media_out", "warning", detail, f"{facts.there}: let the agent answer with sendrecv")
    if not sent:
        detail = f"no packet could be sent to {named}: there is no way from here; the agent will not hear the caller"
        return Step("media_out", "failed", detail, advice.on_media_address(facts))
    verdict, problem = _address_problem(facts, host)
    if problem:
        one_way = " one-way audio: the agent will not hear the caller;" if report.get("received") else ""
        detail = f"{sent} packets to {named}:{one_way} {problem}"
        return Step("media_out", verdict, detail, advice.on_media_address(facts))
    first = facts.call.first("media.first_packet")
    source = str(first.fields.get("source", "")).rpartition(":")[0] if first is not None else ""
    if source and source != host and scope_of(host) != "a name":
        return Step(
            "media_out",
            "warning",
            f"{sent} packets to {named}, as the SDP says, but the far end's come from {source}: if the agent does "
            "not hear the caller, that is why",
            advice.on_media_address(facts),
        )
    return Step(
        "media_out", "ok", f"{sent} packets of a tone to {named}; whether it is heard shows only there"
    )


def dtmf(facts: Facts) -> Step | None:
    """Whether keys can be sent."""
    call = facts.call
    session = answered_session(call)
    if call.first("media.report") is None or session is None or not session.media:
        return None
    events = [codec for codec in _audio(session).codecs if codec.key[0] == _EVENTS]
    if not events:
        return Step(
            "dtmf",
            "warning",
            "the answer takes no telephone-event, so no key can be sent",
            f"{facts.there}: allow telephone-event (RFC 4733), if the agent has to understand keys",
        )
    number = events[0].payload_type
    if not int((_report(facts) or {}).get("sent") or 0):
        return Step("dtmf", "warning", f"telephone-event was agreed (type {number}), but no packet was sent")
    keys = call.first("caller.digits")
    if keys is None:
        return Step(
            "dtmf", "warning", f"telephone-event was agreed (type {number}), but the call ended before a key"
        )
    pressed = keys.fields.get("digits", "")
    return Step(
        "dtmf", "ok", f"key {pressed} sent (type {number}); whether it was understood shows only there"
    )


def _nothing_came(facts: Facts, report: dict[str, Any]) -> Step:
    ours = offered_host(facts.call)
    far = next(far_hosts(facts.call), "")
    detail = "no packet came: the caller will not hear the agent"
    if int(report.get("discarded") or 0):
        detail = f"{report['discarded']} packets came, and none of them is RTP that was agreed on"
        return Step("media_in", "failed", detail, f"{facts.there}: see which codec and SRTP it sends with")
    if scope_of(ours) in ("private", "loopback") and scope_of(far) == "public":
        return Step(
            "media_in",
            "failed",
            f"{detail}; our SDP names {ours}, which is known behind this NAT only",
            "give what the NAT shows for this machine by --public-address, and let UDP in there",
        )
    change = (
        f"let UDP in to {ours} through every firewall; {facts.there}: see that the agent joins the call and sends "
        "audio before it is spoken to"
    )
    return Step("media_in", "failed", detail, change)


def _address_problem(facts: Facts, host: str) -> tuple[Any, str]:
    """What is wrong with a media address, seen from where the SIP came from; empty when nothing is."""
    scope, far = scope_of(host), next(far_hosts(facts.call), "")
    around = scope_of(far)
    if host in _NO_HOSTS:
        return "warning", "that is no address: the far end holds the call"
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


def _audio(session: SessionDescription) -> MediaDescription:
    return next((media for media in session.media if media.media == "audio" and media.port), session.media[0])


def _report(facts: Facts) -> dict[str, Any] | None:
    """The counts of the call's media, once it is closed."""
    report = facts.call.last("media.report")
    return report.fields if report is not None and facts.call.first("media.started") is not None else None

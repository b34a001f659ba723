"""From facts to verdicts: pure, so that every way a call can fail is tested without a socket.

`judge` may be asked at any moment. It gives the steps that are settled, in their order, and stops before the first
that is not; when the facts say that nothing follows, all that is left was not reached.
"""

from __future__ import annotations

from collections.abc import Callable

from tuner_sipbridge.call.causes import cause_of
from tuner_sipbridge.sip.digest import challenges_of
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.verify import advice
from tuner_sipbridge.verify.facts import STEPS, Facts, Step, StepName
from tuner_sipbridge.verify.media_verdicts import dtmf, media_in, media_out, sdp
from tuner_sipbridge.verify.reading import Heard, answers, requests, scope_of

_EXPIRES_SOON_S = 14 * 86400.0
_CHALLENGES = (401, 407)


def judge(facts: Facts) -> list[Step]:
    """The verdicts that are settled, in order; all of them when the facts say that nothing follows."""
    steps: list[Step] = []
    for name in STEPS:
        step = _JUDGES[name](facts)
        if step is None and not facts.over:
            break
        steps.append(step or Step(name, "not reached"))
    return steps


def _uri(facts: Facts) -> Step | None:
    if facts.uri is None:
        if not facts.uri_problem:
            return None
        return Step("uri", "failed", facts.uri_problem, advice.on_uri(facts.provider))
    uri, provider = facts.uri, facts.provider
    way = f"over {facts.transport.upper()}"
    if uri.password is not None:
        return Step(
            "uri",
            "warning",
            f"{way}; a password stands in the URI, where logs show it and no edge asks for it",
            "give --username, and the password by the environment variable TUNER_SIP_PASSWORD",
        )
    if provider is None:
        return Step("uri", "ok", f"{way}; the host is no known provider's")
    if provider.hosts and not provider.reaches(uri):
        hosts = ", ".join(provider.hosts)
        return Step(
            "uri",
            "warning",
            f"{way}; {uri.host} is no host of {provider.title}, whose hosts end in {hosts}",
            f"dial the host that {provider.title} shows, unless calls go there through another",
        )
    if provider.transports and facts.transport not in provider.transports:
        ways = ", ".join(provider.transports)
        return Step("uri", "warning", f"{way}; {provider.title} is documented to speak {ways}", f"try {ways}")
    better = provider.completed(uri)
    if better != uri and not facts.provider_named:
        ways = f"{better.transport or facts.transport} at port {better.host_port[1]}"
        change = f"calls reach {provider.title} by {ways} with --provider {provider.name}"
        return Step("uri", "ok", f"{way}; {provider.title}", change)
    return Step("uri", "ok", f"{way}; {provider.title}")


def _dns(facts: Facts) -> Step | None:
    lookup = facts.lookup
    if lookup is None:
        return None
    if not lookup.addresses:
        return Step("dns", "failed", lookup.problem, advice.on_name(facts))
    if not lookup.asked:
        return Step("dns", "ok", f"{', '.join(lookup.addresses)}: an address, nothing to look up")
    return Step("dns", "ok", f"{lookup.asked}: {', '.join(lookup.addresses)}")


def _connection(facts: Facts) -> Step | None:
    if facts.lookup is None or not facts.lookup.addresses:
        return None
    if facts.transport == "udp":
        return Step("connection", "ok", "UDP has none; the next steps show whether anybody is there")
    reached = facts.reached
    if reached is None:
        return None
    certificate = reached.certificate
    shown = ""
    if certificate is not None:
        days = (certificate.expires_at - facts.at) / 86400
        expiry = f"for {days:.0f} more days" if days > 0 else f"expired {-days:.0f} days ago"
        names = ", ".join(certificate.names) or "no name"
        shown = f"; its certificate: for {names}; by {certificate.issuer or 'nobody named'}; {expiry}"
    if facts.dead and not reached.problem:
        detail = f"{'; '.join(facts.dead)}; the next target is reached"
        return Step(
            "connection", "warning", detail + shown, f"{facts.there}: mend or remove the first target"
        )
    if reached.problem:
        return Step("connection", "failed", reached.problem + shown, advice.on_transport(facts.provider)[2:])
    said = f"{reached.tls_version or 'TCP'} in {_ms(reached.seconds)}{shown}"
    if facts.transport == "tls" and facts.checked == "nothing":
        return Step(
            "connection", "warning", f"{said}; NOT checked, as --insecure says", "leave --insecure out"
        )
    if certificate is not None and certificate.expires_at - facts.at < _EXPIRES_SOON_S:
        pinned = facts.checked == "pin"
        return Step(
            "connection",
            "ok" if pinned else "warning",
            said + ("; trusted by its pin" if pinned else ""),
            f"{facts.there}: renew the certificate",
        )
    return Step("connection", "ok", said)


def _options(facts: Facts) -> Step | None:
    sent = requests(facts.inquiry, "OPTIONS")
    final = next((one for one in answers(facts.inquiry, "OPTIONS") if one.response.status >= 200), None)
    if final is not None:
        status, took = final.response.status, _ms(final.at - sent[0][0]) if sent else ""
        headers = final.response.headers
        by = headers.get("Server") or headers.get("User-Agent") or ""
        said = f"{status} {final.response.reason} in {took}" + (f", by {by}" if by else "")
        if status < 300 or status in _CHALLENGES:
            return Step("options", "ok", said)
        return Step("options", "ok", f"{said}: somebody is there; many edges take no OPTIONS")
    if not facts.inquired or not sent:
        return None
    lost = facts.inquiry.first("call.unreachable")
    why = (
        str(lost.fields["why"])
        if lost is not None
        else "no answer; some edges ignore it, the INVITE will tell"
    )
    return Step("options", "warning", why)


def _invite(facts: Facts) -> Step | None:
    sent, heard = requests(facts.call, "INVITE"), answers(facts.call, "INVITE")
    if heard and sent:
        first = heard[0]
        # A call that went on to another target began a transaction of its own there.
        tries = [at for at, request in sent if request.via.branch == first.response.via.branch] or [
            sent[0][0]
        ]
        said = f"{first.response.status} {first.response.reason} in {_ms(first.at - tries[0])}"
        repeats = len(tries) - 1
        if repeats > 0:
            said += f", after {repeats} repeat{'s' if repeats > 1 else ''}: packets get lost on the way"
        return Step("invite", "warning" if repeats > 0 else "ok", said + _seen_as(first, sent[0][1]))
    lost = facts.call.first("call.unreachable")
    if lost is not None:
        return Step("invite", "failed", str(lost.fields["why"]), advice.on_transport(facts.provider)[2:])
    if facts.call.first("call.timed_out") is not None:
        waited = facts.call.events[-1].at - sent[0][0] if sent else 0.0
        detail = f"no answer at all to {len(sent)} INVITE{'s' if len(sent) > 1 else ''} in {waited:.0f} s"
        return Step("invite", "failed", detail, advice.on_silence(facts))
    if facts.over and facts.problem and not sent:
        return Step("invite", "failed", facts.problem)
    return None


def _seen_as(first: Heard, invite: Request) -> str:
    """What a NAT shows for us, as the far end tells (RFC 3581)."""
    via = first.response.via
    received = via.received
    if received is None or received == invite.via.host:
        return ""
    port = f":{via.rport}" if via.rport else ""
    kind = " by NAT" if scope_of(invite.via.host) == "private" else ""
    return f"; it sees us{kind} as {received}{port}, not as {invite.via.host}"


def _challenge(facts: Facts) -> Step | None:
    for heard in answers(facts.call, "INVITE"):
        response = heard.response
        if response.status in _CHALLENGES:
            return _told_challenge(heard)
        if response.status > 100:
            return Step("challenge", "ok", "none: it asks for no user name and password")
    return None


def _told_challenge(heard: Heard) -> Step:
    response = heard.response
    found = challenges_of(response)
    if not found:
        return Step(
            "challenge",
            "failed",
            f"{response.status} without a digest challenge that can be understood",
            "digest is the one scheme of RFC 3261; let the edge ask for that",
        )
    hashes = ", ".join(dict.fromkeys(one.algorithm or "MD5" for one in found))
    return Step("challenge", "ok", f'{response.status} for realm "{found[0].realm}", {hashes}')


def _credentials(facts: Facts) -> Step | None:
    challenge = _challenge(facts)
    if challenge is None or challenge.verdict == "failed":
        return None
    heard = answers(facts.call, "INVITE")
    asked = next((one.response for one in heard if one.response.status in _CHALLENGES), None)
    if asked is None:
        given = "given, but never asked for" if facts.username_given else "none needed"
        return Step("credentials", "ok", given)
    proven = {
        request.cseq.number for _, request in requests(facts.call, "INVITE") if _has_credentials(request)
    }
    after = [one.response for one in heard if one.response.cseq.number in proven]
    realm = challenges_of(asked)[0].realm
    refused = facts.call.first("call.rejected")
    if refused is not None and int(refused.fields["status"]) in _CHALLENGES:
        status = int(refused.fields["status"])
        if not facts.username_given:
            detail = f'it asks for a user name and password (realm "{realm}"), and none were given'
            return Step("credentials", "failed", detail, advice.on_credentials(facts, status))
        if not proven:
            return Step("credentials", "failed", facts.problem or "its challenge cannot be answered")
        detail = f'{status} again: it does not accept this user name and password (realm "{realm}")'
        return Step("credentials", "failed", detail, advice.on_wrong_credentials(facts, status))
    if any(response.status == 403 for response in after):
        detail = "403 after they were sent: they are wrong, or this account may not call there"
        return Step("credentials", "failed", detail, advice.on_status(facts, 403))
    if any(response.status > 100 and response.status not in _CHALLENGES for response in after):
        return Step("credentials", "ok", "accepted")
    return None


def _answer(facts: Facts) -> Step | None:
    credentials = _credentials(facts)
    if credentials is None or credentials.verdict == "failed":
        return None
    sent, heard = requests(facts.call, "INVITE"), answers(facts.call, "INVITE")
    final = next((one for one in heard if 200 <= one.response.status < 300), None)
    if final is not None:
        ringing = next((one.at for one in heard if 100 < one.response.status < 200), None)
        rang = f", after ringing for {_span(final.at - ringing)}" if ringing is not None else ""
        after = _span(final.at - sent[0][0]) if sent else "?"
        return Step("answer", "ok", f"{final.response.status} {final.response.reason} in {after}{rang}")
    if facts.call.first("call.rejected") is not None:
        refusal = heard[-1].response
        return Step("answer", "failed", cause_of(refusal), advice.on_status(facts, refusal.status))
    if facts.call.first("call.timed_out") is not None:
        return Step(
            "answer",
            "failed",
            facts.problem or "nobody picked up",
            f"{facts.there}: see that the agent is running and picks up; --ring-timeout waits longer",
        )
    lost = facts.call.first("call.unreachable", "call.ended")
    if lost is not None or (facts.over and facts.problem):
        return Step("answer", "failed", facts.problem or "the call was lost before it was answered")
    return None


def _bye(facts: Facts) -> Step | None:
    if facts.call.first("call.answered") is None:
        return None
    ended = facts.call.first("call.ended")
    if ended is not None and ended.fields.get("by") == "agent":
        why = str(ended.fields.get("reason") or "")
        detail = f"the agent hung up first, before we were done{f' ({why})' if why else ''}"
        return Step("bye", "warning", detail, f"{facts.there}: see why in the agent's log")
    sent = requests(facts.call, "BYE")
    final = next((one for one in answers(facts.call, "BYE") if one.response.status >= 200), None)
    if final is None or not sent:
        if not facts.over:
            return None
        return Step(
            "bye",
            "failed",
            f"not answered{_where_to(facts, 'BYE')}: the far end may hold the call, and bill it, until its own timer "
            "ends it",
            f"{facts.there}: see that its Contact and Record-Route name addresses that can be reached from here",
        )
    if final.response.status in _CHALLENGES or final.response.status < 300:
        return Step("bye", "ok", f"{final.response.status} in {_ms(final.at - sent[0][0])}")
    detail = f"{final.response.status} {final.response.reason}: the far end had given the call up already"
    return Step("bye", "warning", detail, f"{facts.there}: see why in the agent's log")


def _has_credentials(request: Request) -> bool:
    return "Authorization" in request.headers or "Proxy-Authorization" in request.headers


def _where_to(facts: Facts, method: str) -> str:
    """Where the last request of a method was sent, in parentheses."""
    sent = [
        event for event in facts.call.of("sip.sent") if str(event.fields["summary"]).startswith(f"{method} ")
    ]
    return f" (it went to {sent[-1].fields['peer']})" if sent else ""


def _ms(seconds: float) -> str:
    return f"{max(0.0, seconds) * 1000:.0f} ms"


def _span(seconds: float) -> str:
    return _ms(seconds) if seconds < 1 else f"{seconds:.1f} s"


_JUDGES: dict[StepName, Callable[[Facts], Step | None]] = {
    "uri": _uri,
    "dns": _dns,
    "connection": _connection,
    "options": _options,
    "invite": _invite,
    "challenge": _challenge,
    "credentials": _credentials,
    "answer": _answer,
    "sdp": sdp,
    "media_in": media_in,
    "media_out": media_out,
    "dtmf": dtmf,
    "bye": _bye,
}

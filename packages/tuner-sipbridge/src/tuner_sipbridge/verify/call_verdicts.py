"""The verdicts on the signalling of the call: registration, INVITE, challenge, credentials, answer, BYE."""

from __future__ import annotations

from tuner_sipbridge.call.causes import cause_of
from tuner_sipbridge.sip.digest import challenges_of
from tuner_sipbridge.sip.message import Request, Response
from tuner_sipbridge.sip.timers import DEFAULT_TIMERS
from tuner_sipbridge.verify import advice
from tuner_sipbridge.verify.facts import Facts, Step
from tuner_sipbridge.verify.reading import (
    Heard,
    answers,
    far_hosts,
    redirected_to,
    requests,
    scope_of,
    took,
)

_CHALLENGES = (401, 407)


def registration(facts: Facts) -> Step | None:
    """Whether the user is registered, where that was asked for."""
    if not facts.registering:
        return Step("registration", "skipped", "not asked for (--register)")
    stands = facts.call.first("call.registered")
    if stands is not None:
        return Step("registration", "ok", f"for {stands.fields['expires_s']} s")
    failed = facts.call.first("call.registration_failed")
    if failed is not None:
        status, cause = int(failed.fields["status"]), str(failed.fields["cause"])
        return Step("registration", "failed", cause, advice.on_registration(facts, status))
    if facts.over and facts.problem and not requests(facts.call, "INVITE"):
        return Step("registration", "failed", facts.problem, advice.on_registration(facts, 0))
    return None


def invite(facts: Facts) -> Step | None:
    """Whether anybody answers the INVITE at all."""
    called = registration(facts)
    if called is None or called.verdict == "failed":
        return None
    sent, heard = requests(facts.call, "INVITE"), answers(facts.call, "INVITE")
    if heard and sent:
        return _heard_first(facts, sent, heard[0])
    lost = facts.call.first("call.unreachable")
    if lost is not None:
        detail = str(lost.fields["why"])
        if facts.tls_there:
            return Step("invite", "failed", f"{detail}; that port speaks TLS", "dial it with ;transport=tls")
        return Step("invite", "failed", detail, advice.on_lost_connection(facts))
    if facts.call.first("call.timed_out") is not None:
        waited = facts.call.events[-1].at - sent[0][0] if sent else 0.0
        detail = f"no answer at all to {len(sent)} INVITE{'s' if len(sent) > 1 else ''} in {waited:.0f} s"
        if facts.hurried_s is not None:
            detail += f", nor to OPTIONS{_cut_short(facts.hurried_s)}"
        return Step("invite", "failed", _tried(facts) + detail, advice.on_silence(facts))
    if facts.over and facts.problem and not sent:
        return Step("invite", "failed", facts.problem, "nothing was sent: see what this says of the options")
    return None


def challenge(facts: Facts) -> Step | None:
    """Whether it asks for credentials, and how."""
    for heard in answers(facts.call, "INVITE"):
        response = heard.response
        if response.status in _CHALLENGES:
            return _told_challenge(facts, response)
        if response.status > 100:
            return Step("challenge", "ok", "none: it asks for no user name and password")
    if answers(facts.call, "INVITE") and facts.call.first("call.timed_out", "call.cancelled", "call.ended"):
        return Step("challenge", "ok", "none came")
    return None


def credentials(facts: Facts) -> Step | None:
    """Whether it accepts them."""
    asking = challenge(facts)
    if asking is None or asking.verdict == "failed":
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
    refused = facts.call.first("call.rejected")
    if refused is not None and int(refused.fields["status"]) in _CHALLENGES:
        cause = str(refused.fields.get("cause", ""))
        return _not_accepted(facts, asked, int(refused.fields["status"]), bool(proven), cause)
    if any(response.status == 403 for response in after):
        detail = "403 after they were sent: they are wrong, or this account may not call there"
        return Step("credentials", "failed", detail, advice.on_status(facts, 403))
    if any(response.status > 100 and response.status not in _CHALLENGES for response in after):
        return Step("credentials", "ok", "accepted")
    return None


def answer(facts: Facts) -> Step | None:
    """Whether somebody picks up."""
    known = credentials(facts)
    if known is None or known.verdict == "failed":
        return None
    sent, heard = requests(facts.call, "INVITE"), answers(facts.call, "INVITE")
    final = next((one for one in heard if 200 <= one.response.status < 300), None)
    if final is not None:
        ringing = next((one.at for one in heard if 100 < one.response.status < 200), None)
        rang = f", after ringing for {took(final.at - ringing)}" if ringing is not None else ""
        after = took(final.at - sent[0][0]) if sent else "?"
        said = f"{final.response.status} {final.response.reason} in {after}{rang}{_sent_on(facts)}"
        return Step("answer", "ok", said)
    if facts.call.first("call.rejected") is not None:
        refusal = heard[-1].response
        detail = cause_of(refusal)
        if 300 <= refusal.status < 400:
            detail = f"{refusal.status} {refusal.reason}: {_where_sent(facts, refusal)}"
        return Step("answer", "failed", _tried(facts) + detail, advice.on_status(facts, refusal.status))
    if facts.call.first("call.timed_out", "call.cancelled") is not None:
        return _nobody_came(facts, heard)
    lost = facts.call.first("call.unreachable", "call.ended")
    if lost is not None:
        why = str(
            lost.fields.get("why") or lost.fields.get("reason") or "the call was lost before the answer"
        )
        sent_on = _sent_on(facts).removeprefix(", ")
        detail = f"{sent_on}: {why}" if sent_on else why
        return Step("answer", "failed", detail, f"{facts.there}: look into its log")
    return None


def bye(facts: Facts) -> Step | None:
    """Whether the call ends when we end it, and not before."""
    taken = facts.call.first("call.answered")
    if taken is None:
        return None
    ended = facts.call.first("call.ended")
    if ended is not None and ended.fields.get("by") == "agent":
        why = str(ended.fields.get("reason") or "")
        because, in_log = f" ({why})" if why else "", f"{facts.there}: see why in the agent's log"
        if not listened(facts):
            after = took(ended.at - taken.at)
            detail = f"the agent hung up {after} after it had answered, before we were done{because}"
            return Step("bye", "failed", detail, in_log)
        return Step("bye", "warning", f"the agent hung up first, once it was heard{because}", in_log)
    sent = requests(facts.call, "BYE")
    final = next((one for one in answers(facts.call, "BYE") if one.response.status >= 200), None)
    if final is None or not sent:
        return _not_ended(facts) if facts.over else None
    if final.response.status in _CHALLENGES or final.response.status < 300:
        return Step("bye", "ok", f"{final.response.status} in {took(final.at - sent[0][0])}")
    detail = f"{final.response.status} {final.response.reason}: the far end had given the call up already"
    return Step("bye", "warning", detail, f"{facts.there}: see why in the agent's log")


def listened(facts: Facts) -> bool:
    """Whether the call stood for as long as audio was to be sent and listened to."""
    return any(not event.fields.get("interrupted") for event in facts.call.of("caller.speech_ended"))


def _heard_first(facts: Facts, sent: list[tuple[float, Request]], first: Heard) -> Step:
    # A call that went on to another target began a transaction of its own there.
    tries = [at for at, request in sent if request.via.branch == first.response.via.branch] or [sent[0][0]]
    said = f"{first.response.status} {first.response.reason} in {took(first.at - tries[0])}"
    # Connections that could not be made have their own step.
    repeats, dead = len(tries) - 1, "" if facts.dead else _tried(facts, before=first.at)
    if repeats > 0:
        said += f", after {repeats} repeat{'s' if repeats > 1 else ''}: packets get lost on the way"
    change = f"{facts.there}: mend or remove the target that fails" if dead else ""
    verdict = "warning" if repeats > 0 or dead else "ok"
    return Step("invite", verdict, dead + said + _seen_as(first, sent[0][1]), change)


def _cut_short(waited_s: float) -> str:
    """That a call would wait longer, where it would."""
    whole_s = DEFAULT_TIMERS.b
    if waited_s >= whole_s:
        return ""
    return f"; dial waits {whole_s:g} s (Timer B), and so does verify with --next-target-after {whole_s:g}"


def _tried(facts: Facts, *, before: float = float("inf")) -> str:
    """The targets that failed before the one in use, as the beginning of a sentence."""
    failed = [
        one for one in facts.call.of("call.target_failed") if one.fields.get("next") and one.at < before
    ]
    return "".join(f"{one.fields['target']}: {one.fields['why']}; then " for one in failed)


def _seen_as(first: Heard, sent: Request) -> str:
    """What a NAT shows for us, as the far end tells (RFC 3581)."""
    via = first.response.via
    received = via.received
    if received is None or received == sent.via.host:
        return ""
    port = f":{via.rport}" if via.rport else ""
    kind = " by NAT" if scope_of(sent.via.host) == "private" else ""
    return f"; it sees us{kind} as {received}{port}, not as {sent.via.host}"


def _told_challenge(facts: Facts, response: Response) -> Step:
    found = challenges_of(response)
    if not found:
        detail = f"{response.status} without a digest challenge that can be understood"
        change = f"{facts.there}: ask for digest (RFC 3261 §22), the one scheme that SIP has"
        return Step("challenge", "failed", detail, change)
    hashes = ", ".join(dict.fromkeys(one.algorithm or "MD5" for one in found))
    return Step("challenge", "ok", f'{response.status} for realm "{found[0].realm}", {hashes}')


def _not_accepted(facts: Facts, asked: Response, status: int, proven: bool, cause: str) -> Step:
    realm = challenges_of(asked)[0].realm
    if not facts.username_given:
        detail = f'it asks for a user name and password (realm "{realm}"), and none were given'
        return Step("credentials", "failed", detail, advice.on_credentials(facts, status))
    if not proven:
        detail = cause or "its challenge cannot be answered"
        return Step("credentials", "failed", detail, f"{facts.there}: offer MD5 or SHA-256")
    if not facts.password_given:
        detail = f'{status} again: a user name was given (realm "{realm}"), but no password'
        return Step("credentials", "failed", detail, advice.GIVE_PASSWORD)
    detail = f'{status} again: it does not accept this user name and password (realm "{realm}")'
    return Step("credentials", "failed", detail, advice.on_wrong_credentials(facts, status))


def _nobody_came(facts: Facts, heard: list[Heard]) -> Step:
    """Something was heard, and the time to answer is over."""
    sent, over = requests(facts.call, "INVITE"), facts.call.first("call.timed_out", "call.cancelled")
    waited = f"{over.at - sent[0][0]:.0f} s" if over is not None and sent else "the time given"
    rang = next((one for one in heard if 100 < one.response.status < 200), None)
    if rang is None:
        detail = f"100 Trying, then nothing for {waited}: the edge took the call and nobody behind it did"
        return Step("answer", "failed", detail, advice.on_nobody_behind(facts))
    if facts.call.first("media.started") is not None:
        detail = (
            f"{rang.response.status} with early audio, but nobody picked up within {waited}; it was cancelled"
        )
        change = (
            f"{facts.there}: see that the agent answers with 200; an announcement may say why it does not"
        )
        return Step("answer", "failed", detail, change)
    detail = f"it rang, and nobody picked up within {waited}; it was cancelled"
    change = f"{facts.there}: see that the agent is running and picks up; --ring-timeout waits longer"
    return Step("answer", "failed", detail, change)


def _sent_on(facts: Facts) -> str:
    hosts = [redirected_to(str(event.fields["target"])) for event in facts.call.of("call.redirected")]
    return f", sent on to {', then to '.join(hosts)}" if hosts else ""


def _where_sent(facts: Facts, refusal: Response) -> str:
    """Why a redirection could not be followed (RFC 3261 §8.1.3.4)."""
    contacts = [address.uri for address in refusal.contacts]
    if not contacts:
        return "the far end sends the call elsewhere, and names no address"
    if not any(contact.is_sip for contact in contacts):
        schemes = ", ".join(dict.fromkeys(contact.scheme for contact in contacts))
        return f"the far end sends the call to a {schemes} URI, which cannot be called by SIP alone"
    hosts = ", ".join(dict.fromkeys(contact.host for contact in contacts if contact.is_sip))
    return f"the far end sends the call to {hosts}, where it was tried already: it goes round in a loop"


def _not_ended(facts: Facts) -> Step:
    sent = [event for event in facts.call.of("sip.sent") if str(event.fields["summary"]).startswith("BYE ")]
    went_to = f" (it went to {sent[-1].fields['peer']})" if sent else ""
    detail = (
        f"not answered{went_to}: the far end may hold the call, and bill it, until its own timer ends it"
        if sent
        else "the call was lost before a BYE could be sent"
    )
    far = next(far_hosts(facts.call), "")
    elsewhere = bool(sent) and far not in str(sent[-1].fields["peer"])
    change = (
        "see that its Contact and Record-Route name addresses that can be reached from here"
        if elsewhere or not sent
        else "see that it answers BYE with 200, and that its answer gets out"
    )
    return Step("bye", "failed", detail, f"{facts.there}: {change}")


def _has_credentials(request: Request) -> bool:
    return "Authorization" in request.headers or "Proxy-Authorization" in request.headers

"""The verdicts on the way to an edge: URI, DNS, connection and certificate, OPTIONS."""

from __future__ import annotations

from tuner_sipbridge.verify import advice
from tuner_sipbridge.verify.facts import Facts, Inquired, Step
from tuner_sipbridge.verify.reading import Heard, answers, requests, took

_EXPIRES_SOON_S = 14 * 86400.0
_CHALLENGES = (401, 407)


def uri(facts: Facts) -> Step | None:
    """Whether the URI can be called, and whose edge it names."""
    if facts.uri is None:
        if not facts.uri_problem:
            return None
        return Step("uri", "failed", facts.uri_problem, advice.on_uri(facts.provider))
    called, provider = facts.uri, facts.provider
    way = f"over {facts.transport.upper()}" if not facts.trunks else f"by trunk {', '.join(facts.trunks)}"
    if called.password is not None:
        return Step(
            "uri",
            "warning",
            f"{way}; a password stands in the URI, where logs show it and no edge asks for it",
            "give --username, and the password by the environment variable TUNER_SIP_PASSWORD",
        )
    if provider is None:
        return Step("uri", "ok", f"{way}; the host is no known provider's")
    title = provider.title if facts.provider_named else f"{provider.title}, guessed from the host"
    if provider.hosts and not provider.reaches(called) and not facts.trunks:
        hosts = ", ".join(provider.hosts)
        return Step(
            "uri",
            "warning",
            f"{way}; {called.host} is no host of {provider.title}, whose hosts end in {hosts}",
            f"dial the host that {provider.title} shows, unless calls go there through another",
        )
    if provider.transports and facts.transport not in provider.transports:
        ways = ", ".join(provider.transports)
        return Step("uri", "warning", f"{way}; {title}, documented to speak {ways}", f"try {ways}")
    better = provider.completed(called)
    if better != called and not facts.provider_named:
        ways = f"{better.transport or facts.transport} at port {better.host_port[1]}"
        change = f"calls reach {provider.title} by {ways} with --provider {provider.name}"
        return Step("uri", "ok", f"{way}; {title}", change)
    return Step("uri", "ok", f"{way}; {title}")


def dns(facts: Facts) -> Step | None:
    """Where the name leads."""
    lookup = facts.lookup
    if lookup is None:
        return None
    if not lookup.addresses:
        return Step("dns", "failed", lookup.problem, advice.on_name(facts))
    found = ", ".join(lookup.addresses)
    said = f"{lookup.asked}: {found}" if lookup.asked else f"{found}: an address, nothing to look up"
    if lookup.problem:
        return Step("dns", "warning", f"{said}; {lookup.problem}", "check the hosts of the trunks")
    return Step("dns", "ok", said)


def connection(facts: Facts) -> Step | None:
    """Whether TCP and TLS stand, what the certificate says; over UDP whether the host refuses the port."""
    if facts.lookup is None or not facts.lookup.addresses:
        return None
    if facts.transport == "udp":
        return _port(facts)
    reached = facts.reached
    if reached is None:
        return None
    shown = _certificate(facts)
    if facts.dead and not reached.problem:
        detail = f"{'; '.join(facts.dead)}; the next target is reached"
        return Step(
            "connection", "warning", detail + shown, f"{facts.there}: mend or remove the first target"
        )
    if reached.problem:
        change = reached.remedy + advice.on_transport(facts.provider)
        return Step("connection", "failed", reached.problem + shown, change)
    said = f"{reached.tls_version or 'TCP'} in {took(reached.seconds)}{shown}"
    if facts.transport == "tls" and facts.checked == "nothing":
        return Step(
            "connection", "warning", f"{said}; NOT checked, as --insecure says", "leave --insecure out"
        )
    certificate = reached.certificate
    if certificate is not None and certificate.expires_at - facts.at < _EXPIRES_SOON_S:
        if facts.checked == "pin":
            return Step("connection", "ok", f"{said}; trusted by its pin")
        return Step("connection", "warning", said, f"{facts.there}: renew the certificate before it expires")
    return Step("connection", "ok", said)


def options(facts: Facts) -> Step | None:
    """Who answers OPTIONS: each target that a call may go to is asked."""
    if not facts.inquired or not facts.inquiries or _all_refused(facts):
        return None
    told = [_inquired(one) for one in facts.inquiries]
    if len(told) == 1:
        return Step("options", "ok" if told[0][0] else "warning", told[0][1])
    detail = "; ".join(
        f"{one.target}: {said.removeprefix(f'{one.target}: ')}"
        for one, (_, said) in zip(facts.inquiries, told, strict=True)
    )
    if all(answered for answered, _ in told):
        return Step("options", "ok", detail)
    change = (
        f"{facts.there}: mend or remove the target that is silent; calls wait for it before they go on"
        if any(answered for answered, _ in told)
        else ""
    )
    return Step("options", "warning", detail, change)


def _inquired(one: Inquired) -> tuple[bool, str]:
    """Whether a target answers, and its answer in words."""
    sent = requests(one.trace, "OPTIONS")
    final = next((heard for heard in answers(one.trace, "OPTIONS") if heard.response.status >= 200), None)
    if final is not None and sent:
        return True, _answered(final, sent[0][0])
    lost = one.trace.first("call.unreachable")
    if one.refused or lost is not None:
        return False, one.refused or str(lost.fields["why"] if lost is not None else "")
    return False, "no answer; some edges ignore it, the INVITE will tell"


def _answered(final: Heard, sent_at: float) -> str:
    status, headers = final.response.status, final.response.headers
    by = headers.get("Server") or headers.get("User-Agent") or ""
    said = f"{status} {final.response.reason} in {took(final.at - sent_at)}" + (f", by {by}" if by else "")
    if status < 300 or status in _CHALLENGES:
        return said
    return f"{said}: somebody is there; many edges take no OPTIONS"


def _port(facts: Facts) -> Step | None:
    if not facts.inquired and not facts.over:
        return None
    if _all_refused(facts):
        why = "; ".join(one.refused for one in facts.inquiries)
        change = "check host, port and transport, and that SIP is served there over UDP"
        return Step("connection", "failed", why, change + advice.on_transport(facts.provider))
    heard = any(answers(one.trace, "OPTIONS") for one in facts.inquiries)
    said = "packets get there and back" if heard else "the INVITE will show whether anybody is there"
    return Step("connection", "ok", f"UDP has none; {said}")


def _all_refused(facts: Facts) -> bool:
    return bool(facts.inquiries) and all(one.refused for one in facts.inquiries)


def _certificate(facts: Facts) -> str:
    """What the certificate says, as the end of a sentence; empty without one."""
    certificate = facts.reached.certificate if facts.reached is not None else None
    if certificate is None:
        return ""
    days = round((certificate.expires_at - facts.at) / 86400)
    span = "1 day" if abs(days) == 1 else f"{abs(days)} days"
    expiry = f"expires in {span}" if certificate.expires_at > facts.at else f"expired {span} ago"
    names = ", ".join(certificate.names) or "no name"
    return f"; its certificate: for {names}; by {certificate.issuer or 'nobody named'}; {expiry}"

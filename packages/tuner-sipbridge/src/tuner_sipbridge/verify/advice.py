"""What to change, and where: by what failed, and in the words of the provider where they are known."""

from __future__ import annotations

from tuner_sipbridge.providers import Provider
from tuner_sipbridge.verify.facts import Facts
from tuner_sipbridge.verify.reading import scope_of

GIVE_PASSWORD = "give the password by the environment variable TUNER_SIP_PASSWORD"
_GIVE_BOTH = "give --username, and the password by the environment variable TUNER_SIP_PASSWORD"

_BY_STATUS = {
    300: "dial one of the addresses that it names",
    400: "look into its log for what it could not read",
    402: "see that the account is paid for",
    403: "let this user name, or this machine's public address, in; where it asks for credentials, give --username",
    404: "compare the user part of the URI with the name or number that is set up",
    405: "check that the URI is that of an agent or number, and not of a registrar",
    406: "see in its log what it would accept, and allow the codec PCMU or PCMA",
    408: "see that the agent behind it is running and connected",
    410: "dial the name or number that took its place",
    413: "allow longer messages, or leave out --header and all codecs but one",
    414: "dial a shorter URI",
    415: "allow calls with SDP",
    416: "dial a sip: URI in place of sips:, or let it take sips:",
    420: "see in its Unsupported header what it does not know",
    421: "see in its Require header what it demands",
    480: "see that the agent is running, registered, and its line is ready",
    481: "see in its log which call it took this for",
    482: "let no two of its routes lead to each other",
    483: "let no two of its routes lead to each other",
    484: "dial the whole number, with country code",
    485: "dial a name that means one agent only",
    486: "end the call that stands, allow more calls at once, and see that a rule takes this number",
    487: "see in its log who gave the call up: a time-out of its own, or the agent behind it",
    488: "allow the codec PCMU or PCMA",
    500: "look into its log",
    502: "see in its log what the next hop behind it said",
    503: "see that the agent is running, and wait: it may take no more calls now",
    504: "see that the next hop behind it is up and can be reached from there",
    513: "allow longer messages, or call it over TCP",
    600: "see that the agent takes calls",
    603: "see that the agent takes calls from this caller",
    604: "compare the user part of the URI with the name or number that is set up",
    606: "allow the codec PCMU or PCMA",
    607: "take this caller off its list of unwanted ones",
    608: "ask who filters calls for it to let this caller through",
}
_BY_CLASS = {
    3: "take the call itself, or name an address that can be called by SIP",
    4: "look into its log for why it refuses the call",
    5: "look into its log",
    6: "see that the agent takes calls from this caller",
}
_SESSION_REFUSED = (406, 415, 488, 606)

_OWN_ADDRESS = {
    "asterisk": "set external_media_address and external_signaling_address of the transport in pjsip.conf",
    "freeswitch": "set ext-rtp-ip and ext-sip-ip of the Sofia profile",
    "kamailio": "put rtpengine or rtpproxy between, with the public address",
    "livekit": "set use_external_ip in the configuration of the SIP service, where you run it yourself",
}


def on_uri(provider: Provider | None) -> str:
    """What a URI looks like."""
    if provider is None:
        return "a SIP URI looks like sip:agent@edge.example;transport=tcp"
    return f"URIs of {provider.title} look like {provider.uri}"


def on_status(facts: Facts, status: int) -> str:
    """What to change after a final response of 300 or above."""
    provider = facts.provider
    if provider is not None and (known := provider.advice(status)):
        return known
    general = _BY_STATUS.get(status) or _BY_CLASS[status // 100]
    if provider is not None and status == 403 and provider.admission == "address":
        general = f"let this machine's public address in: {provider.title} asks for no password"
    return f"{facts.there}: {general}{_on_srtp(facts) if status in _SESSION_REFUSED else ''}"


def on_credentials(facts: Facts, status: int) -> str:
    """What to change where credentials are asked for and there are none."""
    provider = facts.provider
    if provider is not None and provider.admission in ("address", "digest or address"):
        return f"{_GIVE_BOTH}; {provider.title} also lets in callers by their public address, once it is entered there"
    return f"{_GIVE_BOTH}; they are those that were set {facts.there}" if status else _GIVE_BOTH


def on_wrong_credentials(facts: Facts, status: int) -> str:
    """What to change where credentials are refused."""
    provider = facts.provider
    own = "" if provider is None else provider.advice(status) or provider.advice(401) or provider.advice(407)
    check = (
        f"compare user name and password with those {facts.there}, letter by letter; a new password may take a "
        "minute to hold"
    )
    return own or check


def on_registration(facts: Facts, status: int) -> str:
    """What to change where the registration fails; `status` is 0 without an answer."""
    provider = facts.provider
    if provider is not None and provider.registers is False:
        return f"leave out --register: {provider.title} takes calls without"
    if status in (401, 407):
        return on_wrong_credentials(facts, status) if facts.username_given else on_credentials(facts, status)
    if status in (403, 404):
        return f"{facts.there}: let this user name register; --registrar says where, if it is another host"
    if status == 405:
        return "leave out --register, or say by --registrar where to register: this host takes none"
    return on_silence(facts) if not status else f"{facts.there}: look into its log"


def on_name(facts: Facts) -> str:
    """What to change where the host has no address."""
    expected = f"; {on_uri(facts.provider)}" if facts.provider is not None else ""
    return f"check the host of the URI letter by letter{expected}"


def on_silence(facts: Facts) -> str:
    """What to change where nothing answers."""
    provider, hints = facts.provider, ["check host, port and transport"]
    if facts.transport == "udp":
        hints.append("see that a firewall lets UDP out and its answers in, or try ;transport=tcp")
    elif facts.transport == "tcp":
        hints.append("what listens there may speak no SIP, or TLS: try ;transport=tls")
    if provider is not None and provider.admission == "address":
        hints.append(f"{provider.title} lets in only addresses that it knows: hand it this machine's")
    elif provider is None or provider.admission == "digest or address":
        hints.append("some edges are silent to addresses that they do not know: have this machine's let in")
    return "; ".join(hints) + on_transport(provider)


def on_lost_connection(facts: Facts) -> str:
    """What to change where a connection stands, and is closed when SIP is sent on it."""
    hint = "check port and transport: what listens there takes no SIP, or not from this address"
    return hint + on_transport(facts.provider)


def on_nobody_behind(facts: Facts) -> str:
    """What to change where an edge takes the call, and nobody rings."""
    return (
        f"{facts.there}: see that what it routes this number to (agent, trunk, registered phone) is running and can be"
        " reached from there; --ring-timeout waits longer"
    )


def on_transport(provider: Provider | None) -> str:
    """By what a provider is reached, as the end of a sentence; empty when it is not known."""
    if provider is None or not provider.transports:
        return ""
    ways = [
        f"{name} at port {provider.ports[name]}" if name in provider.ports else name
        for name in provider.transports
    ]
    return f"; {provider.title} takes {', '.join(ways)}"


def on_codecs(facts: Facts, why: str) -> str:
    """What to change where offer and answer have nothing in common."""
    provider = facts.provider
    if "SRTP" in why:
        return f"{facts.there}: switch media encryption on, or leave out --srtp required"
    if provider is not None and provider.srtp_over(facts.transport) == "required" and facts.srtp == "off":
        return f"{provider.title} demands SRTP over {facts.transport.upper()}: give --srtp required"
    if "without a session description" in why:
        return f"{facts.there}: let the 200 hold an SDP answer (RFC 3261 §13.3.1.4)"
    if "refuses the audio" in why:
        return f"{facts.there}: let the agent take audio, with PCMU or PCMA"
    known = f"; {provider.title} takes {', '.join(provider.codecs)}" if provider and provider.codecs else ""
    return f"{facts.there}: allow PCMU or PCMA{known}"


def on_direction(facts: Facts) -> str:
    """What to change where the far end says that it does not speak, or does not listen."""
    return f"{facts.there}: let the agent answer with sendrecv, and take the call off hold"


def on_no_packets(facts: Facts, ours: str) -> str:
    """What to change where no RTP comes, and no address is to blame."""
    here = "" if scope_of(ours) == "loopback" else f"let UDP in to {ours} through every firewall; "
    agent = "see that the agent joins the call and sends audio before it is spoken to"
    return f"{here}{facts.there}: {agent}{on_media_ports(facts)}"


def on_foreign_packets(facts: Facts) -> str:
    """What to change where packets come that are not what was agreed on."""
    return f"{facts.there}: see that it sends the codec of its own answer, and SRTP only where that says so"


def on_media_ports(facts: Facts) -> str:
    """Where a provider's media comes from, as the end of a sentence; empty when it is not documented."""
    provider = facts.provider
    return (
        f"; media of {provider.title} is {provider.media}" if provider is not None and provider.media else ""
    )


def _on_srtp(facts: Facts) -> str:
    """The other reason why a session is refused, as the end of a sentence."""
    if facts.srtp == "off":
        over = "" if facts.transport == "tls" else " and ;transport=tls"
        return f"; where it demands SRTP, give --srtp required{over}"
    return f"; where it takes no SRTP, leave out --srtp {facts.srtp}"


def on_media_address(facts: Facts) -> str:
    """What to change where the far end's SDP names an address that cannot be reached."""
    own = _OWN_ADDRESS.get(facts.provider.name) if facts.provider is not None else None
    return f"{facts.there}: {own or 'set the public address that its SDP is to name'}"

"""What to change, and where: by what failed, and in the words of the provider where they are known."""

from __future__ import annotations

from tuner_sipbridge.providers import Provider
from tuner_sipbridge.verify.facts import Facts

_BY_STATUS = {
    400: "look into its log for what it could not read",
    403: "let this user name, or this machine's public address, in",
    404: "compare the user part of the URI with the name or number that is set up",
    405: "check that the URI is that of an agent or number, and not of a registrar",
    408: "see that the agent behind it is running and connected",
    410: "dial the name or number that took its place",
    415: "allow calls with SDP",
    480: "see that the agent is running, registered, and its line is ready",
    484: "dial the whole number, with country code",
    486: "end the call that stands, allow more calls at once, and see that a rule takes this number",
    488: "allow the codec PCMU or PCMA, or SRTP where it is demanded",
    500: "look into its log",
    503: "see that the agent is running, and wait: it may take no more calls now",
    600: "see that the agent takes calls",
    603: "see that the agent takes calls from this caller",
    606: "allow the codec PCMU or PCMA",
}

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
    if provider is not None and (meaning := provider.meanings.get(status)):
        return f"at {provider.title} this means: {meaning.means}; {meaning.change}"
    general = _BY_STATUS.get(status) or ("look into its log" if status >= 500 else "")
    return f"{facts.there}: {general}" if general else ""


def on_credentials(facts: Facts, status: int) -> str:
    """What to change where credentials are asked for and there are none."""
    give = "give --username, and the password by the environment variable TUNER_SIP_PASSWORD"
    provider = facts.provider
    if provider is not None and provider.admission in ("address", "digest or address"):
        return (
            f"{give}; {provider.title} also lets in callers by their public address, once it is entered there"
        )
    return f"{give}; they are those that were set {facts.there}" if status else give


def on_wrong_credentials(facts: Facts, status: int) -> str:
    """What to change where credentials are refused."""
    provider = facts.provider
    own = "" if provider is None else provider.advice(status) or provider.advice(401) or provider.advice(407)
    check = (
        f"compare user name and password with those {facts.there}, letter by letter; a new password may take a "
        "minute to hold"
    )
    return own or check


def on_name(facts: Facts) -> str:
    """What to change where the host has no address."""
    expected = f"; {on_uri(facts.provider)}" if facts.provider is not None else ""
    return f"check the host of the URI letter by letter{expected}"


def on_silence(facts: Facts) -> str:
    """What to change where nothing answers."""
    provider, hints = facts.provider, ["check host, port and transport"]
    if facts.transport == "udp":
        hints.append("see that a firewall lets UDP out and its answers in, or try ;transport=tcp")
    if provider is not None and provider.admission == "address":
        hints.append(f"{provider.title} lets in only addresses that it knows: hand it this machine's")
    return "; ".join(hints) + on_transport(provider)


def on_transport(provider: Provider | None) -> str:
    """By what a provider is reached, as the end of a sentence; empty when it is not known."""
    if provider is None or not provider.transports:
        return ""
    ways = [
        f"{name} at port {provider.ports[name]}" if name in provider.ports else name
        for name in provider.transports
    ]
    return f"; {provider.title} takes {', '.join(ways)}"


def on_codecs(facts: Facts) -> str:
    """What to change where offer and answer have nothing in common."""
    provider = facts.provider
    if provider is not None and provider.srtp_over(facts.transport) == "required":
        return f"{provider.title} demands SRTP over {facts.transport.upper()}"
    known = f"; {provider.title} takes {', '.join(provider.codecs)}" if provider and provider.codecs else ""
    return f"{facts.there}: allow PCMU or PCMA{known}"


def on_media_address(facts: Facts) -> str:
    """What to change where the far end's SDP names an address that cannot be reached."""
    own = _OWN_ADDRESS.get(facts.provider.name) if facts.provider is not None else None
    return f"{facts.there}: {own or 'set the public address that its SDP is to name'}"

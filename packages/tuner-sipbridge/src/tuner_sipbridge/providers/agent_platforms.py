"""Platforms that answer a SIP call with an agent."""

from __future__ import annotations

from tuner_sipbridge.providers.model import Meaning, Provider, Quirk, SessionTimer

_LIVEKIT = "https://docs.livekit.io/telephony/start/sip-trunk-setup"
_DAILY = "https://docs.daily.co/docs/guides/features/dial-in-dial-out/sip"
_VAPI = "https://docs.vapi.ai/advanced/sip/sip-networking"
_RETELL = "https://docs.retellai.com/deploy/custom-telephony"
_JAMBONZ = "https://docs.jambonz.org/guides/get-started/jambonz-cloud"

AGENT_PLATFORMS = (
    Provider(
        name="livekit",
        title="LiveKit SIP",
        uri="sip:NUMBER@YOUR-PROJECT.sip.livekit.cloud",
        documentation=_LIVEKIT,
        hosts=("sip.livekit.cloud",),
        transports=("tcp", "udp", "tls"),
        codecs=("G722", "PCMU", "PCMA"),
        admission="digest or address",
        registers=False,
        # It takes part in none: one that is asked for would only be dropped.
        session_timer=SessionTimer(None, None, "https://github.com/livekit/sip/pull/494"),
        quirks=(
            Quirk(
                "The dialled number has to be one of the inbound trunk's, character by character, a + included, and a"
                " dispatch rule has to take it.",
                "https://github.com/livekit/sip/issues/484",
            ),
            Quirk("REGISTER is answered with 405.", "https://github.com/livekit/sip/issues/338"),
            Quirk(
                "SRTP needs media encryption switched on at the trunk, and TLS in the URI.",
                "https://docs.livekit.io/telephony/features/secure-trunking",
            ),
        ),
        meanings={
            486: Meaning(
                'no trunk or no dispatch rule takes this call (its log says "flood")',
                "compare the dialled number with the trunk's numbers, and see that a dispatch rule names the trunk",
            ),
            400: Meaning(
                "a codec, number or address it does not take", "offer PCMU, PCMA or G722, and check the trunk"
            ),
            404: Meaning("no trunk has this number", "compare the dialled number with the trunk's numbers"),
        },
    ),
    Provider(
        name="vapi",
        title="Vapi",
        uri="sip:NAME@sip.vapi.ai",
        documentation=_VAPI,
        hosts=("sip.vapi.ai",),
        transports=("udp", "tls"),
        quirks=(
            Quirk(
                "NAME is chosen when the SIP number is made (provider vapi, sipUri) and tied to an assistant there.",
                "https://github.com/VapiAI/docs/pull/109/files",
            ),
            Quirk(
                "Signalling is UDP 5060 and TLS 5061; a firewall has to let its media ports through.", _VAPI
            ),
        ),
        meanings={
            404: Meaning("no SIP number has this name", "make one with provider vapi and this sipUri"),
        },
    ),
    Provider(
        name="retell",
        title="Retell AI",
        uri="sip:CALL-ID-OR-NUMBER@sip.retellai.com;transport=tcp",
        documentation=_RETELL,
        hosts=("sip.retellai.com",),
        transports=("tcp", "udp", "tls"),
        quirks=(
            Quirk("TCP is recommended; TLS may ask for a client certificate.", _RETELL),
            Quirk(
                "A call by SIP URI has to be registered first, and the user part is the call_id that gave; a trunk's"
                " call carries an imported number.",
                _RETELL,
            ),
        ),
        meanings={
            404: Meaning(
                "neither a registered call nor an imported number has this name",
                "register the call first and dial its call_id within the time Retell gives, or import the number",
            ),
        },
    ),
    Provider(
        name="daily",
        title="Daily",
        uri="sip:ROOM@YOUR-DOMAIN.sip.daily.co",
        documentation=_DAILY,
        hosts=("sip.daily.co", "sip-us.daily.co", "dapp.signalwire.com"),
        codecs=("PCMU", "PCMA", "G722", "opus"),
        admission="open",
        quirks=(
            Quirk("A room takes the call only after its dialin-ready event.", _DAILY),
            Quirk("A room takes five SIP and telephone calls unless more was agreed.", _DAILY),
            Quirk(
                "Keys are understood as telephone events and as SIP INFO by Daily's own SIP provider.",
                "https://docs.daily.co/docs/guides/features/dial-in-dial-out/index",
            ),
        ),
        meanings={
            404: Meaning(
                "the room has no SIP endpoint, or it expired", "set sip on the room and dial its sip_uri"
            ),
            480: Meaning("the room is not ready", "dial after dialin-ready"),
        },
    ),
    Provider(
        name="jambonz",
        title="jambonz",
        uri="sip:NUMBER@YOUR-SUBDOMAIN.sip.jambonz.cloud",
        documentation=_JAMBONZ,
        hosts=("sip.jambonz.cloud", "sip.jambonz.us"),
        transports=("udp", "tcp", "tls"),
        codecs=("PCMU", "PCMA", "G722", "opus"),
        admission="digest or address",
        registers=True,
        quirks=(
            Quirk(
                "Use the account's own SIP name, also as the realm to register with; an address reaches nobody.",
                _JAMBONZ,
            ),
            Quirk(
                "The application's webhook shows the inner leg's Call-ID; the caller's is in X-CID.",
                "https://docs.rs/crate/cal-jambonz/0.1.60/source/src/assets/initial-request.json",
            ),
        ),
        meanings={
            403: Meaning(
                "no carrier has this address, and no client these credentials",
                "add this machine to a carrier's inbound gateways, or create a client",
            ),
            404: Meaning("no application takes this number", "assign the number to an application"),
        },
    ),
)
"""Sorted by how often they are met."""

"""Telephony providers: their SIP domains and trunks."""

from __future__ import annotations

from tuner_sipbridge.providers.model import Meaning, Provider, Quirk

_TWILIO = "https://www.twilio.com/docs/voice/api/sip-interface"
_TELNYX = "https://developers.telnyx.com/docs/voice/sip-trunking/get-started"
_PLIVO = "https://plivo.com/docs/voice-agents/sip-trunking/api/sip-trunking"
_EXOTEL = "https://developer.exotel.com/docs/vsip/master-guide"
_VOBIZ = "https://github.com/vobiz-ai/Vobiz-MCP-Server"
_WAVIX = "https://docs.wavix.com/sip-trunking/sip-trunks"

CARRIERS = (
    Provider(
        name="twilio",
        title="Twilio",
        uri="sip:anything@YOUR-DOMAIN.sip.twilio.com",
        documentation=_TWILIO,
        hosts=("sip.twilio.com", "sip.us1.twilio.com", "sip.ie1.twilio.com", "sip.au1.twilio.com"),
        transports=("udp", "tcp", "tls"),
        codecs=("PCMU",),
        admission="digest or address",
        quirks=(
            Quirk(
                "A SIP Domain lets nobody in until it has a credential list or an IP access control list.",
                "https://www.twilio.com/docs/api/twilio-sip/sending-sip-how-it-works",
            ),
            Quirk(
                "Of further headers only those that begin with X- reach the webhook, as SipHeader_X-…; X-Twilio- is"
                " Twilio's own.",
                "https://twilio.com/docs/api/errors/32113",
            ),
            Quirk(
                "Headers behind the ? of a SIP URI have to be fewer than 1,024 characters.",
                "https://www.twilio.com/docs/errors/21227",
            ),
        ),
        meanings={
            403: Meaning(
                "neither a credential list nor an IP access control list of the SIP Domain lets this caller in",
                "add the user name and password, or this machine's public address, under Voice > SIP Domains",
            ),
            404: Meaning(
                "there is no SIP Domain of this name in this region",
                "compare the host with Voice > SIP Domains, letter by letter",
            ),
        },
    ),
    Provider(
        name="telnyx",
        title="Telnyx",
        uri="sip:NUMBER-OR-NAME@YOUR-SUBDOMAIN.sip.telnyx.com",
        documentation=_TELNYX,
        hosts=("sip.telnyx.com", "sip.telnyx.eu", "sip.telnyx.com.au"),
        transports=("udp", "tcp", "tls"),
        admission="digest or address",
        registers=True,
        quirks=(
            Quirk(
                "The host names have NAPTR and SRV records with a second address; A records name the first only.",
                "https://sip.telnyx.com.au/",
            ),
            Quirk("At most 50 calls a second are set up from one address.", "https://sip.telnyx.com.au/"),
            Quirk(
                "Connections with address authentication may require a prefix of four digits or a token in"
                " X-Telnyx-Token.",
                "https://support.telnyx.com/en/articles/4351104-sip-connection-settings",
            ),
            Quirk(
                "SRTP is a setting of the connection and cannot be set when its transport is TLS.",
                "https://developers.telnyx.com/api-reference/ip-connections/create-an-ip-connection",
            ),
        ),
        meanings={
            403: Meaning(
                "no SIP Connection matches the credentials or the address",
                "check the connection's authentication in the portal, and the prefix or token if it has one",
            ),
        },
    ),
    Provider(
        name="plivo",
        title="Plivo",
        uri="sip:NUMBER@YOUR-TRUNK.zt.plivo.com, or sip:ENDPOINT@phone.plivo.com",
        documentation=_PLIVO,
        hosts=("zt.plivo.com", "phone.plivo.com"),
        admission="digest or address",
        quirks=(
            Quirk(
                "A trunk has either a credential or an IP access control list; `secure` asks for TLS and SRTP.",
                _PLIVO,
            ),
            Quirk(
                "To reach an application, dial an endpoint attached to it, not the application's SIP URI.",
                "https://support.plivo.com/hc/en-us/sections/360008303571-Endpoints",
            ),
        ),
    ),
    Provider(
        name="exotel",
        title="Exotel",
        uri="sip:EXOPHONE@THE-HOST-EXOTEL-NAMED;transport=tcp",
        documentation=_EXOTEL,
        hosts=("exotel.com",),
        transports=("tcp", "tls"),
        ports={"tcp": 5070, "tls": 443},
        admission="address",
        registers=False,
        srtp={"tls": "required"},
        quirks=(
            Quirk(
                "Callers are let in by their fixed public address only: hand it to Exotel first.",
                "https://developer.exotel.com/docs/vsip/tcp-integration",
            ),
            Quirk(
                "Over TLS the media is SRTP, UDP ports 10000 to 40000.",
                "https://developer.exotel.com/docs/vsip/tls-integration",
            ),
            Quirk(
                "A trunk takes 200 calls a minute unless more was agreed.",
                "https://developer.exotel.com/docs/vsip/flow-integration",
            ),
            Quirk(
                "The trunk must be in flow mode for a call to reach a Voicebot or StreamKit applet.",
                "https://developer.exotel.com/docs/sip-trunking/faqs",
            ),
        ),
        meanings={
            403: Meaning(
                "this machine's public address is not on the trunk's list",
                "have it added, and call from it without NAT",
            ),
            503: Meaning(
                "more than 200 calls a minute came in", "spread the calls, or have the limit raised"
            ),
        },
    ),
    Provider(
        name="vobiz",
        title="Vobiz",
        uri="sip:NUMBER@YOUR-TRUNK.sip.vobiz.ai",
        documentation=_VOBIZ,
        hosts=("sip.vobiz.ai",),
        admission="digest or address",
        quirks=(
            Quirk(
                "Each trunk has a SIP domain of its own; credentials and address lists belong to it.", _VOBIZ
            ),
        ),
    ),
    Provider(
        name="wavix",
        title="Wavix",
        uri="sip:NUMBER@THE-GATEWAY-WAVIX-NAMED",
        documentation=_WAVIX,
        hosts=("wavix.net", "wavix.com"),
        admission="digest or address",
        quirks=(
            Quirk("Authentication by address has to be approved by Wavix first.", _WAVIX),
            Quirk("A trunk has one caller ID unless Caller ID Passthrough was approved.", _WAVIX),
            Quirk(
                "An account begins with two calls at once.",
                "https://support.portsip.com/portsip-communications-solution/configuring-sip-trunks/"
                "wavix-sip-trunk/configuring-wavix-digest-trunk",
            ),
        ),
    ),
)
"""Sorted by how often they are met."""

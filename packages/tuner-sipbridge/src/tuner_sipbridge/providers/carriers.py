"""Telephony providers: their SIP domains and trunks."""

from __future__ import annotations

from tuner_sipbridge.providers.model import Meaning, Provider, Quirk

_TWILIO = "https://www.twilio.com/docs/voice/api/sip-interface"
_TWILIO_MEDIA = "https://www.twilio.com/docs/sip-trunking/ip-addresses"
_TWILIO_SECURE = "https://www.twilio.com/docs/voice/api/secure-media"
_TELNYX_PORTS = "https://developers.telnyx.com/docs/voice/sip-trunking/network-configuration/ip-whitelisting"
_TELNYX_CODES = "https://developers.telnyx.com/docs/voice/sip-trunking/troubleshooting/response-codes"
_EXOTEL_CODES = "https://developer.exotel.com/docs/sip-trunking/errors-troubleshooting"
_TELNYX = "https://developers.telnyx.com/docs/voice/sip-trunking/get-started"
_PLIVO = "https://plivo.com/docs/voice-agents/sip-trunking/api/sip-trunking"
_PLIVO_SPECIFICATION = "https://docs.plivo.com/docs/sip-trunking/concepts/technical-specifications"
_PLIVO_CODES = "https://docs.plivo.com/docs/sip-trunking/troubleshooting/zentrunk-hangup-codes"
_EXOTEL_FAQ = "https://developer.exotel.com/docs/sip-trunking/faqs"
_EXOTEL = "https://developer.exotel.com/docs/vsip/master-guide"
_VOBIZ = "https://github.com/vobiz-ai/Vobiz-MCP-Server/blob/main/skills/vobiz-sip-trunking/SKILL.md"
_WAVIX = "https://docs.wavix.com/sip-trunking/sip-trunks"

CARRIERS = (
    Provider(
        name="twilio",
        title="Twilio",
        uri="sip:anything@YOUR-DOMAIN.sip.twilio.com",
        documentation=_TWILIO,
        hosts=(
            "sip.twilio.com",
            "sip.us1.twilio.com",
            "sip.ie1.twilio.com",
            "sip.au1.twilio.com",
            "pstn.twilio.com",
        ),
        media="UDP 10000 to 60000 from 168.86.128.0/18",
        # What the codecs of a SIP Domain are is not documented.
        sources={"media": _TWILIO_MEDIA, "codecs": "https://www.twilio.com/docs/sip-trunking/codecs"},
        transports=("udp", "tcp", "tls"),
        codecs=("PCMU", "PCMA"),
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
            Quirk(
                "Where media security is on, calls have to come over TLS, with SRTP.",
                "https://twilio.com/docs/api/errors/32209",
            ),
            Quirk("Its media comes from one address block, in every region.", _TWILIO_MEDIA),
            Quirk(
                "A host under pstn.twilio.com is a trunk's way to the telephone network, and reaches no webhook.",
                "https://www.twilio.com/docs/sip-trunking",
            ),
        ),
        meanings={
            403: Meaning(
                "neither a credential list nor an IP access control list of the SIP Domain lets this caller in",
                "add the user name and password, or this machine's public address, under Voice > SIP Domains",
                "https://twilio.com/docs/api/errors/32201",
            ),
            401: Meaning(
                "no credential list of the SIP Domain has this user name and password",
                "use the user name of the credential list, also where the phone calls it authorization name",
                "https://www.twilio.com/docs/api/errors/32106",
            ),
            407: Meaning(
                "no credential list of the SIP Domain has this user name and password",
                "use the user name of the credential list, also where the phone calls it authorization name",
                "https://www.twilio.com/docs/api/errors/32106",
            ),
            488: Meaning(
                "media security is on and no SRTP was offered, or off and SRTP was",
                "give --srtp required with ;transport=tls, or leave --srtp out, as the SIP Domain or trunk is set",
                _TWILIO_SECURE,
            ),
            404: Meaning(
                "there is no SIP Domain of this name in this region",
                "compare the host with Voice > SIP Domains, letter by letter",
                _TWILIO,
                documented=False,
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
        media="UDP 16384 to 32768",
        sources={"transports": _TELNYX_PORTS, "media": _TELNYX_PORTS},
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
                "no SIP Connection matches the credentials or the address, or it is disabled or at its limit of calls",
                "check the connection's authentication and limits in the portal, and the prefix or token if it has one",
                _TELNYX_CODES,
            ),
            404: Meaning(
                "the SIP Connection is inactive, or the account is blocked",
                "enable the connection, and check the account's balance",
                _TELNYX_CODES,
            ),
            480: Meaning(
                "no destination or forwarding number belongs to this number",
                "give the number a connection or application",
                _TELNYX_CODES,
            ),
            488: Meaning(
                "the connection has no codec in common with the offer, or wants SRTP",
                "allow G711U in the connection, and set its encrypted media as --srtp says",
                "https://support.telnyx.com/en/articles/4351104-sip-connection-settings",
                documented=False,
            ),
        },
    ),
    Provider(
        name="plivo",
        title="Plivo",
        uri="sip:NUMBER@YOUR-TRUNK.zt.plivo.com, or sip:ENDPOINT@phone.plivo.com",
        documentation=_PLIVO,
        hosts=("zt.plivo.com", "phone.plivo.com", "sip.plivo.com"),
        codecs=("PCMU", "PCMA"),
        admission="digest or address",
        media="UDP 10000 to 30000",
        reliable="no",
        sources={name: _PLIVO_SPECIFICATION for name in ("codecs", "admission", "media", "reliable")},
        quirks=(
            Quirk(
                "A trunk has a credential, an IP access control list, or both; `secure` asks for TLS and SRTP.",
                _PLIVO_SPECIFICATION,
            ),
            Quirk(
                "Trunks know no REGISTER, PRACK, INFO and NOTIFY: keys have to be telephone-events.",
                _PLIVO_SPECIFICATION,
            ),
            Quirk(
                "Why a trunk ended or refused a call is in its X-ZT-Hangup-Code, explained on this page.",
                _PLIVO_CODES,
            ),
            Quirk(
                "To reach an application, dial an endpoint attached to it, not the application's SIP URI.",
                "https://support.plivo.com/hc/en-us/sections/360008303571-Endpoints",
            ),
        ),
        meanings={
            403: Meaning(
                "the trunk's credential or IP access control list does not let this caller in",
                "give the trunk this user name, or this machine's public address",
                _PLIVO,
                documented=False,
            ),
            404: Meaning(
                "no trunk has this host, or no endpoint this name",
                "compare the host with the trunk's, or dial an endpoint that an application is attached to",
                "https://support.plivo.com/hc/en-us/sections/360008303571-Endpoints",
                documented=False,
            ),
            488: Meaning(
                "the trunk is secure and the call is not",
                "call it over TLS with --srtp required, or switch secure off",
                _PLIVO,
                documented=False,
            ),
        },
    ),
    Provider(
        name="exotel",
        title="Exotel",
        uri="sip:EXOPHONE@THE-HOST-EXOTEL-NAMED;transport=tcp",
        documentation=_EXOTEL,
        hosts=("exotel.com",),
        transports=("tcp", "tls"),
        ports={"tcp": 5070, "tls": 443},
        codecs=("PCMU", "PCMA"),
        admission="digest or address",
        registers=False,
        srtp={"tls": "required"},
        media="UDP 10000 to 40000",
        sources={
            "codecs": _EXOTEL_CODES,
            "admission": _EXOTEL_FAQ,
            "registers": "https://developer.exotel.com/docs/vsip/tcp-integration",
            "media": "https://developer.exotel.com/docs/vsip/tcp-integration",
        },
        quirks=(
            Quirk(
                "A vSIP trunk lets callers in by their fixed public address only: hand it to Exotel first.",
                "https://developer.exotel.com/docs/vsip/tcp-integration",
            ),
            Quirk(
                "Machines whose address changes get digest credentials; TLS is preferred for production.",
                _EXOTEL_FAQ,
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
                _EXOTEL_FAQ,
            ),
        ),
        meanings={
            401: Meaning(
                "the digest credentials are not the trunk's", "compare them with the trunk's", _EXOTEL_CODES
            ),
            403: Meaning(
                "this machine's public address is not on the trunk's list",
                "have it added, and call from it without NAT",
                _EXOTEL_CODES,
            ),
            404: Meaning("the number is not mapped to the trunk", "map the ExoPhone to it", _EXOTEL_CODES),
            480: Meaning(
                "what the trunk leads to is not available",
                "see that it is up; for an agent, that the trunk is in flow mode and its flow has an applet",
                _EXOTEL_CODES,
            ),
            484: Meaning("the number is not whole", "dial it in E.164, + and country code", _EXOTEL_CODES),
            488: Meaning("no G.711 was offered, or no SRTP over TLS", "offer PCMU or PCMA", _EXOTEL_CODES),
            503: Meaning(
                "network or routing behind it fail, or more than 200 calls a minute came in",
                "call again, spread the calls, or have the limit raised",
                _EXOTEL_CODES,
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
                "Each trunk has a SIP domain of its own; credentials and address lists are linked to it.",
                _VOBIZ,
            ),
        ),
        meanings={
            403: Meaning(
                "the trunk has neither these credentials nor this machine's address",
                "add one of them to the trunk whose SIP domain is dialled",
                _VOBIZ,
                documented=False,
            ),
            404: Meaning(
                "no trunk has this SIP domain, or no number this name",
                "compare the host with the trunk's SIP domain, and give the number to the trunk",
                _VOBIZ,
                documented=False,
            ),
        },
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
        meanings={
            403: Meaning(
                "the trunk does not let this caller in, or may not call there with this caller ID",
                "check the trunk's password, have this machine's address approved, and ask for Caller ID Passthrough",
                _WAVIX,
                documented=False,
            ),
        },
    ),
)
"""Sorted by how often they are met."""

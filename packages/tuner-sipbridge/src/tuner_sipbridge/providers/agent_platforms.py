"""Platforms that answer a SIP call with an agent."""

from __future__ import annotations

from tuner_sipbridge.providers.model import Meaning, Provider, Quirk, SessionTimer

_LIVEKIT = "https://docs.livekit.io/telephony/start/sip-trunk-setup"
_DAILY = "https://docs.daily.co/docs/guides/features/dial-in-dial-out/sip"
_DAILY_OVERVIEW = "https://docs.daily.co/docs/guides/features/dial-in-dial-out/index"
_LIVEKIT_HELP = "https://docs.livekit.io/reference/telephony/troubleshooting"
_LIVEKIT_CALLS = "https://github.com/livekit/sip/blob/main/pkg/sip/inbound.go"
_VAPI = "https://docs.vapi.ai/advanced/sip/sip-networking"
_VAPI_CALLS = "https://docs.vapi.ai/advanced/sip"
_VAPI_CODES = "https://docs.vapi.ai/advanced/sip/troubleshoot-sip-response-codes"
_RETELL = "https://docs.retellai.com/deploy/custom-telephony"
_JAMBONZ = "https://docs.jambonz.org/guides/get-started/jambonz-cloud"
_JAMBONZ_CALLS = "https://github.com/jambonz/sbc-inbound/blob/main/lib/middleware.js"

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
        sources={
            "transports": "https://docs.livekit.io/telephony/features/secure-trunking",
            "codecs": "https://docs.livekit.io/reference/telephony/codecs-negotiation",
            "registers": _LIVEKIT_CALLS,
        },
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
            Quirk(
                "A call that no trunk lets in may get no answer at all, so that scanners learn nothing.",
                _LIVEKIT_CALLS,
            ),
        ),
        meanings={
            486: Meaning(
                'no trunk or no dispatch rule takes this call (its log says "flood")',
                "compare the dialled number with the trunk's numbers, and see that a dispatch rule names the trunk",
                "https://github.com/livekit/sip/issues/484",
            ),
            500: Meaning(
                "no codec in common, or SRTP is offered and not switched on at the trunk, or the other way round",
                "offer PCMU, PCMA or G722, and compare --srtp with the trunk's media encryption",
                _LIVEKIT_CALLS,
            ),
            401: Meaning(
                "the password is not that of the inbound trunk",
                "compare it with auth_username and auth_password of the trunk",
                _LIVEKIT_CALLS,
            ),
            403: Meaning(
                "the credentials or the region do not suit the trunk",
                "compare user name and password with the trunk's, and dial a host of its region",
                _LIVEKIT_HELP,
            ),
            404: Meaning(
                "no trunk has this number, or no dispatch rule takes it",
                "compare the dialled number with the trunk's numbers, and create a dispatch rule that names the trunk",
                _LIVEKIT_CALLS,
            ),
            503: Meaning(
                "the project's trunks could not be looked up",
                "call again; if that stays, see that the SIP service reaches the LiveKit server",
                _LIVEKIT_CALLS,
            ),
        },
    ),
    Provider(
        name="vapi",
        title="Vapi",
        uri="sip:NAME@sip.vapi.ai",
        documentation=_VAPI,
        hosts=("sip.vapi.ai", "sip.eu.vapi.ai"),
        transports=("udp", "tls"),
        admission="open",
        registers=False,
        media="UDP 40000 to 60000, from addresses that change",
        sources={"admission": _VAPI_CALLS, "registers": _VAPI_CALLS},
        quirks=(
            Quirk(
                "NAME is chosen when the SIP number is made (provider vapi, sipUri) and tied to an assistant there; its"
                " host is that of the region it was made in.",
                _VAPI_CALLS,
            ),
            Quirk("X- headers of the INVITE fill the assistant's template variables.", _VAPI_CALLS),
            Quirk(
                "Signalling is UDP 5060 and TLS 5061; a firewall has to let its media ports through.", _VAPI
            ),
        ),
        meanings={
            403: Meaning(
                "credentials, limits of the account, or a trunk's gateways do not let this caller in",
                "leave --username out for a SIP number; for a trunk, enter this machine's address among its gateways",
                _VAPI_CODES,
            ),
            404: Meaning(
                "the called number or name is not set up, or not assigned",
                "make a SIP number with provider vapi and this sipUri, and give it an assistant",
                _VAPI_CODES,
            ),
            480: Meaning(
                "no assistant could take the call",
                "see that the SIP number has an assistant; the call's ended reason is under Observe > Logs",
                _VAPI_CODES,
            ),
        },
    ),
    Provider(
        name="retell",
        title="Retell AI",
        uri="sip:CALL-ID-OR-NUMBER@sip.retellai.com;transport=tcp",
        documentation=_RETELL,
        hosts=("sip.retellai.com",),
        transports=("tcp", "udp", "tls"),
        codecs=("PCMU", "PCMA", "G722"),
        sources={"codecs": "https://docs.retellai.com/deploy/genesys.md"},
        media="UDP from 18.98.16.120/30, for some United States calls also 143.223.88.0/21 and 161.115.160.0/19",
        quirks=(
            Quirk("TCP is recommended; TLS may ask for a client certificate.", _RETELL),
            Quirk("Codecs are PCMU, PCMA and G722.", "https://docs.retellai.com/deploy/genesys.md"),
            Quirk("Its signalling and media come from the address blocks of this page.", _RETELL),
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
                _RETELL,
                documented=False,
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
        sources={"codecs": _DAILY_OVERVIEW, "hosts": _DAILY_OVERVIEW},
        quirks=(
            Quirk("A room takes the call only after its dialin-ready event.", _DAILY),
            Quirk("A room takes five SIP and telephone calls unless more was agreed.", _DAILY),
            Quirk(
                "Keys are understood as telephone events and as SIP INFO by Daily's own SIP provider.",
                _DAILY_OVERVIEW,
            ),
            Quirk(
                "The host is YOUR-DOMAIN.sip-us.daily.co with Daily's own SIP provider; another is the default.",
                _DAILY_OVERVIEW,
            ),
        ),
        meanings={
            404: Meaning(
                "the room has no SIP endpoint, or it expired",
                "set sip on the room and dial its sip_uri",
                _DAILY,
                documented=False,
            ),
            480: Meaning("the room is not ready", "dial after dialin-ready", _DAILY, documented=False),
            486: Meaning(
                "the room has as many calls as it takes",
                "end one, or have the limit raised",
                _DAILY,
                documented=False,
            ),
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
        media="UDP 40000 to 60000 from 54.144.249.44 and 3.218.246.146",
        sources={"admission": _JAMBONZ_CALLS},
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
                _JAMBONZ,
                documented=False,
            ),
            404: Meaning(
                "the number is not provisioned for this carrier, or no account has this SIP name",
                "add the number and give it an application, or dial the account's own SIP name",
                _JAMBONZ_CALLS,
            ),
            480: Meaning(
                "no application takes the call",
                "give the number, or the account's calls from devices, an application with a webhook",
                "https://github.com/jambonz/jambonz-feature-server/blob/main/lib/middleware.js",
            ),
            503: Meaning(
                "the account is inactive, or has as many calls as it takes",
                "see its phrase and its X-Reason header in the capture (--pcap), and the account's limits",
                _JAMBONZ_CALLS,
            ),
        },
    ),
)
"""Sorted by how often they are met."""

"""Servers that people run themselves; how callers are let in is for their configuration to say."""

from __future__ import annotations

from tuner_sipbridge.providers.model import Meaning, Provider, Quirk, SessionTimer

_ASTERISK = "https://docs.asterisk.org/Configuration/Channel-Drivers/SIP/Configuring-res_pjsip/"
_FREESWITCH = (
    "https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Configuration/Sofia-SIP-Stack/"
)
_ASTERISK_HELP = f"{_ASTERISK}Asterisk-PJSIP-Troubleshooting-Guide"
_ASTERISK_OPTIONS = "https://github.com/asterisk/asterisk/blob/master/res/res_pjsip/pjsip_config.xml"
_ASTERISK_CAUSES = "https://docs.asterisk.org/Configuration/Miscellaneous/Hangup-Cause-Mappings"
_FREESWITCH_CAUSES = (
    "https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Troubleshooting-Debugging/"
    "Hangup-Cause-Code-Table_3964945"
)
_FREESWITCH_VARIABLES = "https://github.com/signalwire/freeswitch/blob/master/conf/vanilla/vars.xml"
_KAMAILIO = "https://www.kamailio.org/docs/modules/stable/"

OWN_SERVERS = (
    Provider(
        name="asterisk",
        title="Asterisk",
        uri="sip:EXTENSION@your-server",
        documentation=_ASTERISK,
        # timers_sess_expires and timers_min_se of an endpoint, by default.
        session_timer=SessionTimer(1800, None, _ASTERISK_OPTIONS),
        quirks=(
            Quirk(
                "Each caller has to be matched to an endpoint, by user name or address: 401 again and again may mean"
                " that there is no such endpoint.",
                _ASTERISK_HELP,
            ),
            Quirk(
                "Behind NAT the endpoint needs rtp_symmetric, force_rport and rewrite_contact.",
                _ASTERISK_OPTIONS,
            ),
        ),
        meanings={
            401: Meaning(
                "the user name matches no endpoint or auth section, or the password is wrong",
                "compare them with the endpoint's auth section in pjsip.conf",
                _ASTERISK_HELP,
            ),
            404: Meaning(
                "the endpoint's context has no such extension",
                "add it to the dialplan of that context",
                _ASTERISK_CAUSES,
            ),
            403: Meaning(
                "an access list or the dialplan rejects the call",
                "look for acl in pjsip.conf and for Hangup(21) in the dialplan",
                _ASTERISK_CAUSES,
            ),
            480: Meaning(
                "the extension rang and nobody answered",
                "see that what the dialplan dials is registered and answers",
                _ASTERISK_CAUSES,
            ),
            488: Meaning(
                "the endpoint allows none of the offered codecs",
                "allow ulaw or alaw at the endpoint",
                _ASTERISK,
                documented=False,
            ),
            603: Meaning("the dialplan rejects the call", "look for Hangup(21) in it", _ASTERISK_CAUSES),
        },
    ),
    Provider(
        name="freeswitch",
        title="FreeSWITCH",
        uri="sip:EXTENSION@your-server, port 5060 (internal) or 5080 (external)",
        documentation=_FREESWITCH,
        quirks=(
            Quirk(
                "As delivered, the internal profile (5060) asks for credentials, and the external one (5080) does not.",
                _FREESWITCH_VARIABLES,
            ),
        ),
        meanings={
            403: Meaning(
                "the credentials are wrong, or an access list refuses the address",
                "check the directory's user, and acl.conf.xml",
                _FREESWITCH,
                documented=False,
            ),
            404: Meaning(
                "no dialplan entry takes this number",
                "see that the extension is in the context of the profile that is called",
                _FREESWITCH_CAUSES,
            ),
            480: Meaning(
                "a cause without a status of its own: nobody answered, or the dialplan hung up",
                "look for the hangup cause in its log",
                _FREESWITCH_CAUSES,
            ),
            488: Meaning(
                "no codec in common (INCOMPATIBLE_DESTINATION)",
                "put PCMU or PCMA into the profile's inbound-codec-prefs",
                _FREESWITCH_CAUSES,
            ),
            603: Meaning(
                "the dialplan rejects the call (CALL_REJECTED)",
                "look for hangup or respond in the extension",
                _FREESWITCH_CAUSES,
            ),
        },
    ),
    Provider(
        name="kamailio",
        title="Kamailio or OpenSIPS",
        uri="sip:NAME@your-proxy",
        documentation=_KAMAILIO,
        quirks=(
            Quirk(
                "It is a proxy: credentials are asked for with 407, and its Record-Route has to be kept.",
                f"{_KAMAILIO}modules/auth.html",
            ),
        ),
        meanings={
            404: Meaning(
                "nobody is registered under this name",
                "register the agent there, or add a route",
                f"{_KAMAILIO}modules/registrar.html",
                documented=False,
            ),
            478: Meaning(
                "the request's URI cannot be resolved there",
                "check host and transport of the URI",
                "https://github.com/kamailio/kamailio/issues/2646",
            ),
            483: Meaning(
                "it sends the request to itself",
                "add its own name to the proxy's aliases",
                f"{_KAMAILIO}modules/maxfwd.html",
                documented=False,
            ),
        },
    ),
)
"""Sorted by name."""

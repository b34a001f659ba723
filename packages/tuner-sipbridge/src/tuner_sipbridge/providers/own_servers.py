"""Servers that people run themselves; how callers are let in is for their configuration to say."""

from __future__ import annotations

from tuner_sipbridge.providers.model import Meaning, Provider, Quirk, SessionTimer

_ASTERISK = "https://docs.asterisk.org/Configuration/Channel-Drivers/SIP/Configuring-res_pjsip/"
_FREESWITCH = (
    "https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Configuration/Sofia-SIP-Stack/"
)
_KAMAILIO = "https://www.kamailio.org/docs/modules/stable/"

OWN_SERVERS = (
    Provider(
        name="asterisk",
        title="Asterisk",
        uri="sip:EXTENSION@your-server",
        documentation=_ASTERISK,
        # timers_sess_expires and timers_min_se of an endpoint, by default.
        session_timer=SessionTimer(1800, None, _ASTERISK),
        quirks=(
            Quirk(
                "A caller that no endpoint identifies is challenged all the same, so that nobody learns which names"
                " exist: 401 again and again may mean that there is no such endpoint.",
                _ASTERISK,
            ),
            Quirk(
                "Behind NAT the endpoint needs rtp_symmetric, force_rport and rewrite_contact.",
                _ASTERISK,
            ),
        ),
        meanings={
            401: Meaning(
                "the user name matches no endpoint or auth section, or the password is wrong",
                "compare them with the endpoint's auth section in pjsip.conf",
            ),
            404: Meaning(
                "the endpoint's context has no such extension", "add it to the dialplan of that context"
            ),
            488: Meaning(
                "the endpoint allows none of the offered codecs", "allow ulaw or alaw at the endpoint"
            ),
        },
    ),
    Provider(
        name="freeswitch",
        title="FreeSWITCH",
        uri="sip:EXTENSION@your-server, port 5060 (internal) or 5080 (external)",
        documentation=_FREESWITCH,
        quirks=(
            Quirk(
                "The internal profile (5060) asks for credentials, the external one (5080) does not and leads to the"
                " public dialplan.",
                _FREESWITCH,
            ),
        ),
        meanings={
            403: Meaning(
                "the credentials are wrong, or an access list refuses the address",
                "check the directory's user, and acl.conf.xml",
            ),
            480: Meaning("the dialplan did not answer", "see that the extension is in the profile's context"),
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
                _KAMAILIO,
            ),
        ),
        meanings={
            404: Meaning("nobody is registered under this name", "register the agent there, or add a route"),
            478: Meaning("the request's URI cannot be resolved there", "check host and transport of the URI"),
            483: Meaning("it sends the request to itself", "add its own name to the proxy's aliases"),
        },
    ),
)
"""Sorted by name."""

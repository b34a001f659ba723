"""Kamailio: what its HTTP clients post, as JSON or a form.

Documented (kamailio.org, pseudo-variables): `$ci` is the Call-ID of the message, `$hdr(name)` a header; `acc_json` and
its kin name it `callid`. A proxy keeps the Call-ID of the caller as it is.
Assumed: the names in a body, since the routing script writes it: `ci`, `callid` or `call_id`, beside what it takes from
the same pseudo-variables (`fu`, `tu`, `ru`, `si`, …) or from accounting (`from_tag`, `to_tag`).
"""

from __future__ import annotations

from tuner_core.identity.description import Provider, Shape

_NAMES = ("=callid", "=call_id", "=call-id", "=sip_callid")
_BESIDE = (
    "fu",
    "tu",
    "ru",
    "si",
    "ft",
    "from_tag",
    "from_uri",
    "to_uri",
    "ruri",
    "r_uri",
    "request_uri",
    "src_ip",
    "source_ip",
    "cseq",
)
"""Fields that only a SIP message gives, under the names of the pseudo-variables and under the usual longer ones."""

PROVIDER = Provider(
    name="kamailio",
    shapes=(
        Shape(
            "accounting record", {"=callid": "", "from_tag": "", "sip_code": ""}, also=("to_tag", "method")
        ),
        Shape("HTTP request", {"=ci": ""}, also=_BESIDE),
        Shape("HTTP request", {"=$ci": ""}, also=_BESIDE),
        *(
            Shape("HTTP request", {name: "", beside: ""}, also=_BESIDE)
            for name in _NAMES
            for beside in _BESIDE
        ),
        *(Shape("HTTP request", {name: "", "method": "INVITE"}) for name in _NAMES),
    ),
    fix="put $ci into the body that the routing script posts, as callid",
    end_to_end_fix="put $hdr(X-CID) into the body that the routing script posts, as X-CID",
    send_instead="$ci",
    call_id=("=ci", "=$ci", *_NAMES),
    headers=("headers", "hdr"),
)

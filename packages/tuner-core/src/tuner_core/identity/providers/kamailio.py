"""Kamailio: what its HTTP clients post, as JSON or a form.

Documented (kamailio.org, pseudo-variables): `$ci` is the Call-ID of the message, `$hdr(name)` a header; `acc_json` and
its kin name it `callid`. A proxy keeps the Call-ID of the caller as it is.
Assumed: the names in a body, since the routing script writes it: `ci`, `callid` or `call_id`, beside what it takes from
the same pseudo-variables (`fu`, `tu`, `ru`, `si`, …) or from accounting (`from_tag`, `to_tag`).
"""

from __future__ import annotations

from tuner_core.identity.description import Provider, Shape

_BESIDE = ("fu", "tu", "ru", "rm", "si", "sp", "ft", "tt", "ua", "fU", "tU", "rU", "method", "src_ip", "ruri")

PROVIDER = Provider(
    name="kamailio",
    shapes=(
        Shape("HTTP request", {"=ci": ""}, also=_BESIDE),
        Shape("HTTP request", {"=$ci": ""}, also=_BESIDE),
        Shape(
            "accounting record",
            {"=callid": "", "from_tag": ""},
            also=("to_tag", "sip_code", "sip_reason", "method"),
        ),
        Shape("HTTP request", {"=callid": "", "ruri": ""}, also=_BESIDE),
        Shape("HTTP request", {"=call_id": "", "ruri": ""}, also=_BESIDE),
    ),
    fix="put $ci into the body that the routing script posts, as callid",
    end_to_end_fix="put $hdr(X-CID) into the body that the routing script posts, as X-CID",
    send_instead="$ci",
    call_id=("=ci", "=$ci", "=callid", "=call_id"),
    headers=("headers", "hdr"),
)

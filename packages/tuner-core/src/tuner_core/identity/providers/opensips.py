"""OpenSIPS: events of its event interface, and what `rest_client` posts.

Documented (opensips.org): `$ci` is the Call-ID; `E_ACC_EVENT` and `E_DLG_STATE_CHANGED` carry it as `callid`, sent as
JSON-RPC with the event's name as `method` and its parameters in `params`.
A body that the routing script writes itself looks like Kamailio's and is recognised as that.
"""

from __future__ import annotations

from tuner_core.identity.description import Provider, Shape

PROVIDER = Provider(
    name="opensips",
    shapes=(
        Shape(
            "event",
            {"method": r"E_[A-Z_]+", "params.callid": ""},
            also=("jsonrpc", "params.from_tag", "params.to_tag"),
        ),
        Shape("event", {"event": r"E_[A-Z_]+", "callid": ""}, also=("from_tag", "to_tag")),
    ),
    fix="put $ci into the event's parameters or the posted body, as callid",
    end_to_end_fix="put $hdr(X-CID) into the event's parameters or the posted body, as X-CID",
    send_instead="$ci",
    call_id=("=callid", "=ci", "=$ci", "=call_id"),
    headers=("headers", "hdr"),
)

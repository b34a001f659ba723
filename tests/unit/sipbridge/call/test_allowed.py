from __future__ import annotations

import pytest

from tuner_sipbridge.call.allowed import AllowList
from tuner_sipbridge.call.load import Gate, Load
from tuner_sipbridge.errors import LocalProtocolError


@pytest.mark.parametrize(
    ("address", "admitted"),
    [
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("198.51.100.200", True),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("fe80::1%eth0", True),
        ("pbx.example", False),
    ],
)
def test_addresses_and_networks(address: str, admitted: bool):
    listed = AllowList.of(["192.0.2.7", "198.51.100.0/24", "2001:db8::/32", "fe80::/10"])
    assert listed.admits(address) is admitted


@pytest.mark.parametrize("entry", ["pbx.example", "192.0.2.7/24", "300.1.1.1", ""])
def test_what_is_no_network_is_refused_with_its_text(entry: str):
    with pytest.raises(LocalProtocolError, match="no address and no network"):
        AllowList.of([entry])


def test_others_get_403_and_are_counted():
    gate = Gate(Load(), AllowList.of(["192.0.2.7"]))
    assert gate.objection("192.0.2.7", calls=0, new_call=True, now=0.0) is None
    refused = gate.objection("192.0.2.9", calls=0, new_call=True, now=0.0)
    assert refused is not None
    assert (refused.status, gate.refused["source"]) == (403, 1)

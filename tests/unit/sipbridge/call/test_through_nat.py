"""Callers behind a NAT: what we send in their dialogs (RFC 3261 §12.2.1.1, and what its Contact cannot say)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.sip.message import Request

Receive = Callable[..., Any]
Invite = Callable[..., Any]
SOURCE = ("198.51.100.7", 5060)


def answered(receive: Receive, request: Request, **options: Any) -> Any:
    """A call that was taken, and that its caller acknowledged."""
    bench = receive(request, **options)
    bench.call.accept(now=bench.now, address="10.0.0.1", port=40000)
    bench.collect()
    bench.ask("ACK", number=request.cseq.number)
    return bench


def bye(bench: Any) -> tuple[Request, tuple[str, int]]:
    bench.call.hang_up(now=bench.now)
    bench.collect()
    return bench.sent[-1]


def from_contact(invite: Invite, contact: str) -> Request:
    request = invite()
    request.headers.set("Contact", f"<{contact}>")
    return request


@pytest.mark.parametrize("host", ["10.1.2.3", "172.16.0.9", "172.31.255.1", "192.168.1.20", "100.64.0.8"])
def test_a_private_contact_of_somewhere_else_is_reached_where_it_came_from(
    receive: Receive, invite: Invite, host: str
):
    bench = answered(receive, from_contact(invite, f"sip:caller@{host}:5062"), through_nat=True)
    request, address = bye(bench)
    assert request.method == "BYE"
    assert str(request.uri) == f"sip:caller@{host}:5062"
    assert address == SOURCE
    assert bench.call.nat.address == SOURCE


@pytest.mark.parametrize(
    "contact", ["sip:caller@203.0.113.5:5062", "sip:caller@172.32.0.1:5062", "sip:caller@198.51.100.7:5062"]
)
def test_any_other_contact_is_followed(receive: Receive, invite: Invite, contact: str):
    bench = answered(receive, from_contact(invite, contact), through_nat=True)
    assert bye(bench)[1] == (contact[11:-5], 5062)
    assert bench.call.nat is None


def test_every_contact_is_followed_where_that_is_wanted(receive: Receive, invite: Invite):
    bench = answered(receive, from_contact(invite, "sip:caller@10.1.2.3:5062"), through_nat=False)
    assert bye(bench)[1] == ("10.1.2.3", 5062)


def test_a_route_set_is_followed(receive: Receive, invite: Invite):
    request = from_contact(invite, "sip:caller@10.1.2.3:5062")
    request.headers.set("Record-Route", "<sip:198.51.100.9;lr>")
    assert bye(answered(receive, request, through_nat=True))[1] == ("198.51.100.9", 5060)


def test_a_proxy_that_stays_out_of_the_dialog_is_left_out(receive: Receive, invite: Invite):
    request = from_contact(invite, "sip:caller@10.1.2.3:5062")
    request.headers.add("Via", "SIP/2.0/UDP 10.1.2.3:5062;branch=z9hG4bK-caller")
    assert bye(answered(receive, request, through_nat=True))[1] == ("10.1.2.3", 5062)


def test_a_request_that_is_long_for_udp_goes_through_the_nat_all_the_same(receive: Receive, invite: Invite):
    request = from_contact(invite, f"sip:{'c' * 1300}@10.1.2.3:5062")
    bench = answered(receive, request, through_nat=True)
    assert bye(bench)[1] == SOURCE
    assert bench.hops[-1].transport == "udp"

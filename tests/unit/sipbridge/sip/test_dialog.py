from tuner_sipbridge.sip.dialog import Dialog
from tuner_sipbridge.sip.headers import Via
from tuner_sipbridge.sip.message import Request, Response, response_to
from tuner_sipbridge.sip.parser import parse_datagram

VIA = Via("UDP", "10.0.0.1", 5060, (("branch", "z9hG4bK-2"),))


def invite(*extra: str) -> Request:
    lines = [
        "INVITE sip:agent@far.example SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK-1",
        'From: "A, B" <sip:caller@10.0.0.1>;tag=a',
        "To: <sip:agent@far.example>",
        "Call-ID: c1",
        "CSeq: 4 INVITE",
        "Contact: <sip:caller@10.0.0.1:5060>",
        *extra,
    ]
    message = parse_datagram(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert isinstance(message, Request)
    return message


def accepted(*headers: tuple[str, str]) -> Response:
    return response_to(invite(), 200, to_tag="b", headers=headers)


class TestCaller:
    def test_requests_go_to_the_contact_with_both_tags_and_the_next_number(self):
        dialog = Dialog.of_caller(invite(), accepted(("Contact", "<sip:bot@192.0.2.1:5080;ob>")))
        bye = dialog.request("BYE", via=VIA)
        assert str(bye.uri) == "sip:bot@192.0.2.1:5080;ob"
        assert (bye.from_.tag, bye.to.tag, bye.call_id) == ("a", "b", "c1")
        assert bye.from_.display == "A, B"
        assert str(bye.cseq) == "5 BYE"
        assert bye.routes == []

    def test_the_ack_has_the_number_of_the_invite(self):
        dialog = Dialog.of_caller(invite(), accepted())
        assert str(dialog.request("ACK", via=VIA, cseq=4).cseq) == "4 ACK"
        assert str(dialog.request("BYE", via=VIA).cseq) == "5 BYE"

    def test_the_route_set_is_record_route_turned_round(self):
        routes = ("Record-Route", "<sip:p2.example;lr>, <sip:p1.example;lr>")
        bye = Dialog.of_caller(invite(), accepted(routes, ("Contact", "<sip:bot@192.0.2.1>"))).request(
            "BYE", via=VIA
        )
        assert [str(route.uri) for route in bye.routes] == ["sip:p1.example;lr", "sip:p2.example;lr"]
        assert str(bye.uri) == "sip:bot@192.0.2.1"

    def test_a_strict_router_changes_places_with_the_target(self):
        routes = ("Record-Route", "<sip:p2.example;lr>, <sip:p1.example>")
        bye = Dialog.of_caller(invite(), accepted(routes, ("Contact", "<sip:bot@192.0.2.1>"))).request(
            "BYE", via=VIA
        )
        assert str(bye.uri) == "sip:p1.example"
        assert [str(route.uri) for route in bye.routes] == ["sip:p2.example;lr", "sip:bot@192.0.2.1"]

    def test_an_answer_without_usable_contact_leaves_the_target(self):
        assert str(Dialog.of_caller(invite(), accepted()).target) == "sip:agent@far.example"
        by_telephone = Dialog.of_caller(invite(), accepted(("Contact", "<tel:+1555>")))
        assert str(by_telephone.target) == "sip:agent@far.example"


class TestAnswerer:
    def test_requests_go_back_to_the_caller_through_record_route_as_it_stands(self):
        asked = invite("Record-Route: <sip:p2.example;lr>", "Record-Route: <sip:p1.example;lr>")
        bye = Dialog.of_answerer(asked, "b").request("BYE", via=VIA)
        assert str(bye.uri) == "sip:caller@10.0.0.1:5060"
        assert (bye.from_.tag, bye.to.tag) == ("b", "a")
        assert [str(route.uri) for route in bye.routes] == ["sip:p2.example;lr", "sip:p1.example;lr"]
        assert str(bye.cseq) == "1 BYE"

    def test_an_older_number_is_refused(self):
        dialog = Dialog.of_answerer(invite(), "b")
        numbered = invite()
        for number, taken in ((9, True), (9, True), (8, False), (12, True)):
            numbered.headers.set("CSeq", f"{number} INVITE")
            assert dialog.takes(numbered) is taken

    def test_a_target_refresh_moves_the_target(self):
        dialog = Dialog.of_answerer(invite(), "b")
        moved = invite()
        moved.headers.set("Contact", "<sip:caller@10.0.0.2:5062>")
        dialog.refresh_target(moved)
        assert str(dialog.request("BYE", via=VIA).uri) == "sip:caller@10.0.0.2:5062"

import pytest

from tuner_sipbridge.sip.certificate_identity import is_for


def entries(*written: str) -> list[tuple[str, str]]:
    kinds = {"uri": "URI", "dns": "DNS", "ip": "IP Address"}
    return [(kinds[kind], value) for kind, _, value in (one.partition("=") for one in written)]


@pytest.mark.parametrize(
    ("alternatives", "host"),
    [
        (entries("uri=sip:far.example"), "far.example"),
        (entries("uri=SIP:Far.Example."), "fAR.example"),
        (entries("uri=sip:far.example", "uri=sip:other.example"), "other.example"),
        (entries("uri=sip:user@far.example", "dns=far.example"), "far.example"),
        (entries("uri=https://far.example", "dns=far.example"), "far.example"),
        (entries("uri=sips:other.example", "dns=far.example"), "far.example"),
        (entries("uri=%%%", "dns=far.example"), "far.example"),
        (entries("dns=far.example"), "FAR.example."),
        (entries("dns=*.far.example"), "trunk.far.example"),
        (entries("ip=192.0.2.1"), "192.0.2.1"),
        (entries("ip=2001:DB8:0:0:0:0:0:1"), "2001:db8::1"),
    ],
)
def test_a_certificate_that_is_for_the_domain(alternatives: list[tuple[str, str]], host: str):
    assert is_for(alternatives, host)


@pytest.mark.parametrize(
    ("alternatives", "host"),
    [
        ([], "far.example"),
        # With a SIP domain in it, its DNS entries do not count, nor what is below or above the domain.
        (entries("uri=sip:far.example", "dns=edge.far.example"), "edge.far.example"),
        (entries("uri=sip:far.example"), "edge.far.example"),
        (entries("uri=sip:edge.far.example"), "far.example"),
        (entries("uri=sip:far.example", "ip=192.0.2.1"), "192.0.2.1"),
        # Who may act for a user does not act for the domain.
        (entries("uri=sip:user@far.example"), "far.example"),
        (entries("uri=sips:far.example"), "far.example"),
        (entries("uri=sip:*.far.example"), "edge.far.example"),
        (entries("dns=other.example"), "far.example"),
        (entries("dns=*.far.example"), "far.example"),
        (entries("dns=*.far.example"), "a.b.far.example"),
        (entries("dns=*.example"), "far.example"),
        (entries("dns=e*.far.example"), "edge.far.example"),
        (entries("dns=192.0.2.1"), "192.0.2.1"),
        (entries("ip=192.0.2.2"), "192.0.2.1"),
    ],
)
def test_a_certificate_that_is_for_another(alternatives: list[tuple[str, str]], host: str):
    assert not is_for(alternatives, host)

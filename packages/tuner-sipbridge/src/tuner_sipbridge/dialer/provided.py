"""The URI to dial, and what a provider's description adds to a call: transport, port, headers; advice after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tuner_sipbridge.audio.codecs import BUILT_IN, check_installed, installed
from tuner_sipbridge.call.extensions import DEFAULT_EXTENSIONS, Extensions
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.providers import Provider
from tuner_sipbridge.sdp.codecs import check_codecs
from tuner_sipbridge.sdp.crypto import SrtpPolicy
from tuner_sipbridge.sip.routing import Transport, transport_of
from tuner_sipbridge.sip.uri import Uri


def dialable(target: str, *, routed: bool = False) -> Uri:
    """Read a URI that is to be dialled.

    Args:
        target: as the user gave it.
        routed: calls go through a trunk, which may also be asked for a tel URI.

    Raises:
        LocalProtocolError: it is none, or asks for a transport that the dialer does not speak.
    """
    uri = Uri.parse(target, error=LocalProtocolError)
    if uri.is_sip or not routed:
        transport_of(uri)
    return uri


def addressed(uri: Uri, provider: Provider | None, transport: Transport) -> Uri:
    """The URI with what the provider's edge wants where it names none: transport and port.

    Args:
        uri: as the user gave it.
        provider: whom the user named; None changes nothing.
        transport: of the dialer; another than UDP is the user's wish and stands before the provider's.
    """
    if provider is None or not uri.is_sip:
        return uri
    if uri.transport is None and uri.scheme == "sip" and transport != "udp":
        uri = uri.with_params(transport=transport)
    return provider.completed(uri)


def own_headers(provider: Provider | None, given: Mapping[str, str] | None) -> dict[str, str]:
    """The headers of an INVITE: the provider's, under those of the user, whose names compare without case."""
    theirs: Mapping[str, str] = {} if provider is None else provider.headers
    given = given or {}
    taken = {name.lower() for name in given}
    return {**{name: value for name, value in theirs.items() if name.lower() not in taken}, **given}


def codecs_for(asked: Sequence[str] | None, provider: Provider | None) -> tuple[str, ...]:
    """What to offer, best first: what the user asks for, else what the provider takes, else G.711.

    Of a provider's codecs those are left out whose library is missing.

    Raises:
        LocalProtocolError: the user asks for a codec that is not known, or whose library is missing.
    """
    if asked is None:
        known = () if provider is None else tuple(codec for codec in provider.codecs if installed(codec))
        return known or BUILT_IN
    check_codecs(asked)
    check_installed(asked)
    return tuple(asked)


def srtp_for(asked: SrtpPolicy, provider: Provider | None, transport: Transport) -> SrtpPolicy:
    """What to offer of SRTP: what the user asks for, else what the provider wants by this transport."""
    return provider.srtp_over(transport) if asked == "off" and provider is not None else asked


def extensions_for(asked: Extensions | None, provider: Provider | None) -> Extensions:
    """The terms of a call: those the user asks for, else what the provider wants, else the standard's usual ones."""
    if asked is not None or provider is None:
        return asked or DEFAULT_EXTENSIONS
    timer = provider.session_timer
    terms = DEFAULT_EXTENSIONS
    if timer is not None:
        terms = replace(terms, session_interval_s=timer.interval_s, refresher=timer.refresher)
    return terms if provider.reliable is None else replace(terms, reliable=provider.reliable)


def advised(text: str, status: int, provider: Provider | None) -> str:
    """The words for a refused call, with what the provider means by its status and what to change there."""
    advice = provider.advice(status) if provider is not None else ""
    return f"{text}; {advice}" if advice else text

"""All descriptions, by name and by host."""

from __future__ import annotations

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.providers.agent_platforms import AGENT_PLATFORMS
from tuner_sipbridge.providers.carriers import CARRIERS
from tuner_sipbridge.providers.model import Provider
from tuner_sipbridge.providers.own_servers import OWN_SERVERS
from tuner_sipbridge.sip.uri import Uri

_ALL = {provider.name: provider for provider in (*CARRIERS, *AGENT_PLATFORMS, *OWN_SERVERS)}


def known_providers() -> tuple[Provider, ...]:
    """Every description, sorted by name."""
    return tuple(_ALL[name] for name in sorted(_ALL))


def find_provider(name: str) -> Provider:
    """The description of this name, in any case.

    Raises:
        LocalProtocolError: there is none.
    """
    provider = _ALL.get(name.strip().lower())
    if provider is None:
        raise LocalProtocolError(f"provider {name!r} is not known; known are {', '.join(sorted(_ALL))}")
    return provider


def provider_of(uri: Uri) -> Provider | None:
    """Whose edge a URI names, None when no description has its host."""
    return next((provider for provider in _ALL.values() if provider.reaches(uri)), None)

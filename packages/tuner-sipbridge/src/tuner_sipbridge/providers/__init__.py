"""What each provider's SIP edge wants and how it behaves, as far as its documentation says: pure facts."""

from tuner_sipbridge.providers.catalog import find_provider, known_providers, provider_of
from tuner_sipbridge.providers.model import Meaning, Provider, Quirk

__all__ = ["Meaning", "Provider", "Quirk", "find_provider", "known_providers", "provider_of"]

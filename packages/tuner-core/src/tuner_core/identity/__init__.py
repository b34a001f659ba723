"""The SIP identity of a call, from whatever its provider shows.

```python
from tuner_core.identity import resolve
identity = resolve(await request.form())      # or a start message, an event, attributes, headers, SIP as text
identity.sip_call_id, identity.correlation_id, identity.warnings
```

Names are fetched when first used: who needs the model only does not load the providers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner_core.identity.description import OwnId, Provider, Shape
    from tuner_core.identity.model import SipIdentity
    from tuner_core.identity.registry import register_provider
    from tuner_core.identity.resolver import Resolution, resolution, resolve

__all__ = [
    "OwnId",
    "Provider",
    "Resolution",
    "Shape",
    "SipIdentity",
    "register_provider",
    "resolution",
    "resolve",
]

_PLACE_OF = {
    "OwnId": "description",
    "Provider": "description",
    "Resolution": "resolver",
    "Shape": "description",
    "SipIdentity": "model",
    "register_provider": "registry",
    "resolution": "resolver",
    "resolve": "resolver",
}


def __getattr__(name: str) -> object:
    """Fetch an exported name from its module, once (PEP 562)."""
    place = _PLACE_OF.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{place}"), name)
    return value

"""The SIP identity in a set of SIP headers: an INVITE's own, or those that a provider passed on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tuner_core.identity.detection import shape_of
from tuner_core.identity.fields import fields_of
from tuner_core.identity.model import SipIdentity
from tuner_core.identity.providers.sip import PROVIDER
from tuner_core.identity.resolver import assemble
from tuner_core.identity.vetting import call_id_problem, correlation_id_in

__all__ = ["call_id_problem", "correlation_id_in", "from_sip_headers"]


def from_sip_headers(headers: Mapping[str, Any] | Iterable[Any], *, provider: str = "sip") -> SipIdentity:
    """The identity that SIP headers show; names are compared without regard to case.

    Args:
        headers: a mapping of name to value (or list of values), pairs of name and value, or objects with the
            keys `name` and `value`, as providers list them.
        provider: noted in the result.
    """
    fields = fields_of(headers)
    return assemble(shape_of(PROVIDER, fields), fields, literal=True, label=provider).identity

"""Why a call came without a Call-ID, in the words of the SDK that posted it.

An SDK that left a provider's own id out says so among its repairs; one that looked for the Call-ID and found none
keeps its warnings in the record, under `general_meta_data_raw.tuner_sdk.sip_identity`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from tuner_core.identity.registry import find_provider, providers
from tuner_core.local.reasons import Remedy, remedy_at

_LEFT_OUT = "sip_call_id: left out: "
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Told:
    """What an SDK says of a missing Call-ID.

    Attributes:
        why: one sentence, "" when nothing is said.
        remedy: what to set up at the provider, as far as it is known and `why` does not say it.
    """

    why: str = ""
    remedy: Remedy = field(default_factory=Remedy)


def told_of(repairs: Sequence[str], document: Mapping[str, Any] | None) -> Told:
    """Read what a post says of its missing Call-ID.

    Args:
        repairs: what the SDK says that it changed.
        document: the body, None when it is no JSON object.
    """
    for repair in repairs:
        if repair.startswith(_LEFT_OUT):
            why = repair.removeprefix(_LEFT_OUT)[:_LONGEST]
            owner = next(
                (one for one in providers() if any(why.startswith(own.name) for own in one.own_ids)), None
            )
            return Told(why, remedy_at(owner) if owner is not None else Remedy())
    identity = _mapping(_mapping(_mapping(document).get("general_meta_data_raw")).get("tuner_sdk"))
    identity = _mapping(identity.get("sip_identity"))
    warnings = identity.get("warnings")
    said = cast("list[object]", warnings)[0] if isinstance(warnings, list) and warnings else ""
    if not isinstance(said, str) or not said:
        return Told()
    owner = find_provider(str(identity.get("provider", "")))
    # The warning ends with what to configure.
    return Told(said[:_LONGEST], Remedy(howto=remedy_at(owner).howto) if owner is not None else Remedy())


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}

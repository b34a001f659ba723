"""The SIP identity in the attributes of a LiveKit SIP participant."""

from __future__ import annotations

from collections.abc import Mapping

from tuner_core.identity.detection import shape_of
from tuner_core.identity.fields import fields_of
from tuner_core.identity.model import SipIdentity
from tuner_core.identity.providers.livekit import PROVIDER
from tuner_core.identity.resolver import assemble


def from_participant_attributes(
    attributes: Mapping[str, str], *, call_id_attribute: str | None = None
) -> SipIdentity:
    """The identity that a SIP participant's attributes show so far; they may arrive late and in parts.

    `sip.callID` is LiveKit's own id and is never taken for the Call-ID.

    Args:
        attributes: the participant's attributes; names are compared without regard to case.
        call_id_attribute: an attribute of your own that holds the Call-ID, made by `headers_to_attributes` of
            the trunk; looked at first.
    """
    fields = fields_of(attributes)
    first = (call_id_attribute,) if call_id_attribute else ()
    return assemble(shape_of(PROVIDER, fields), fields, first=first).identity

"""May this value be sent as the SIP Call-ID? A provider's own id never is, under whatever name it comes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from tuner_core.identity.carrier_ids import advice_for, recognise
from tuner_core.identity.description import OwnId, Provider
from tuner_core.identity.fields import Field, Fields
from tuner_core.identity.forwarding.alphanumeric import MARKER, decode_alphanumeric

_CALL_ID = re.compile(r"(?!<.*>$)[^\s\x00-\x1f\x7f,;]{1,256}")
"""Call-IDs may hold angle brackets (RFC 3261 §25.1), but what stands between two is an address."""
_CORRELATION = re.compile(r"[0-9a-fA-F]{32}|[A-Za-z2-7]{26}")
_TELEPHONE_NUMBER = re.compile(r"\+?[0-9]{5,15}")
_UNFILLED = re.compile(
    r"\{\{.*\}\}|\$\{.*\}|%[a-z_]+%|null|none|nil|undefined|unknown|unset|n/?a", re.IGNORECASE
)
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
_OWN_ID = re.compile(r"[\w.:=@/+-]{1,256}")

NO_CALL_ID_FORM = "the value does not have the form of a SIP Call-ID"
NO_CORRELATION_FORM = "neither 32 hex digits nor 26 base32 characters"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one value.

    Attributes:
        value: what to send, None when it must not be sent.
        problem: why not, in words; "" when it is only not meant (a telephone number in X-CID).
        own_id: what it is, when it is a provider's own id.
        owner: name of that provider.
    """

    value: str | None = None
    problem: str = ""
    own_id: str = ""
    owner: str = ""


@dataclass(slots=True)
class Vetting:
    """What is known of one payload when its values are judged.

    Attributes:
        provider: who showed it.
        visible: the provider's own ids that the payload shows, folded, to what each is.
        correlation_id: the one that was found, which is no Call-ID either.
        literal: True for SIP itself, where a value means what it says: no percent signs to resolve.
    """

    provider: Provider
    visible: dict[str, str] = field(default_factory=dict[str, str])
    correlation_id: str | None = None
    literal: bool = False

    @classmethod
    def of(cls, provider: Provider, fields: Fields, headers: frozenset[int], *, literal: bool) -> Vetting:
        """Ready to judge the values of `fields`, of which those in `headers` are SIP headers."""
        visible = {_folded(entry.text): own.name for own, entry in own_ids_shown(provider, fields, headers)}
        return cls(provider, visible, literal=literal)

    def judge(self, text: str, *, forwarded: bool) -> Verdict:
        """Judge one value.

        Args:
            text: as the payload shows it.
            forwarded: True when somebody put it there under a name like `SipCallId`, False when it stands where
                the provider itself shows the Call-ID.
        """
        # A forwarded value may stand where the provider's own would: Twilio names both SipCallId.
        may_be_encoded = forwarded or not self.literal
        value = self.decoded(text) if may_be_encoded else text
        if _UNFILLED.fullmatch(value):
            return Verdict(problem="it is a placeholder that was never filled in")
        if may_be_encoded and value.lower().startswith(MARKER):
            return Verdict(problem="its encoding was damaged on the way")
        if value.startswith("+") and _TELEPHONE_NUMBER.fullmatch(value):
            return Verdict(problem="it is a telephone number")
        if not _CALL_ID.fullmatch(value):
            return Verdict(problem=NO_CALL_ID_FORM)
        if self.correlation_id and value == self.correlation_id:
            return Verdict(problem="it is the X-Correlation-Id, which is sent on its own")
        if found := recognise(value):
            return Verdict(own_id=found.name, owner=found.provider)
        if own_id := self._own_id(value, forwarded=forwarded):
            return Verdict(own_id=own_id, owner=self.provider.name)
        return Verdict(value)

    def decoded(self, text: str) -> str:
        """A forwarded value as it was before it was forwarded."""
        text = self._unquoted(text)
        if not self.literal and len(text) > 2 and text[0] == text[-1] == '"':
            text = text[1:-1]  # as a template puts it that writes JSON
        return decode_alphanumeric(text)

    def _unquoted(self, text: str) -> str:
        return unquote(text) if not self.literal and _PERCENT.search(text) else text

    def _own_id(self, value: str, *, forwarded: bool) -> str:
        if shown := self.visible.get(_folded(value)):
            return shown
        for own in self.provider.own_ids:
            if not own.pattern or not re.fullmatch(own.pattern, value):
                continue
            if own.strict or (forwarded and not self.visible):
                return own.name
        return ""


def correlation_id_in(value: str) -> str | None:
    """`value` when it has a correlation id's form (32 hex digits or 26 base32 characters), otherwise None."""
    text = value.strip()
    return text if _CORRELATION.fullmatch(text) else None


def call_id_problem(value: str, *, provider: str | None = None) -> str | None:
    """Why `value` cannot be a SIP Call-ID, in words, or None when it can."""
    if not _CALL_ID.fullmatch(value):
        return NO_CALL_ID_FORM
    return advice_for(value, provider=provider)


def is_telephone_number(value: str) -> bool:
    """True for what a header named X-CID holds where it means the caller's number."""
    return _TELEPHONE_NUMBER.fullmatch(value) is not None


def own_ids_shown(
    provider: Provider, fields: Fields, headers: frozenset[int]
) -> Iterator[tuple[OwnId, Field]]:
    """The provider's own ids and where they stand, best first. A SIP header, say `Call-ID`, is none of them."""
    for own in provider.own_ids:
        for place in own.places:
            for entry in fields.at(place):
                if id(entry) not in headers and _OWN_ID.fullmatch(entry.text):
                    yield own, entry


def _folded(value: str) -> str:
    return value.lower().replace("-", "")

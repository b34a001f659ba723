"""Where a payload may show the Call-ID and the correlation id, best first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tuner_core.identity.description import Provider
from tuner_core.identity.fields import Field, Fields
from tuner_core.identity.names import Meaning, carrier_in, header_name, meaning
from tuner_core.identity.vetting import correlation_id_in


@dataclass(frozen=True, slots=True)
class Candidate:
    """A field that may hold the Call-ID.

    Attributes:
        field: the field.
        callers_own: True for the id that the caller made, whatever legs came after.
        middle_leg: True where the provider shows the Call-ID of one of its inner legs.
        forwarded: True when a name promises it and not the provider.
    """

    field: Field
    callers_own: bool = False
    middle_leg: bool = False
    forwarded: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """What of a payload matters for linking.

    Attributes:
        call_ids: best first: the caller's own, the provider's place for it, forwarded ones, headers, inner legs.
        correlations: fields that may hold the correlation id.
        carrier: a carrier that left its mark in the headers on the way to this provider; "" when none did.
    """

    call_ids: tuple[Candidate, ...]
    correlations: tuple[Field, ...]
    carrier: str = ""


def look(
    provider: Provider, fields: Fields, headers: frozenset[int], *, first: tuple[str, ...] = ()
) -> Sight:
    """Everything in a payload that may link the call.

    Args:
        provider: whose payload it is.
        fields: the payload.
        headers: which of the fields stand among SIP headers.
        first: places that come before all others.
    """
    by_name: dict[Meaning, list[tuple[Field, bool]]] = {kind: [] for kind in Meaning}
    carrier = ""
    for entry in fields.all:
        if not entry.text:
            continue
        among_headers = id(entry) in headers
        found = meaning(entry.name, among_headers=among_headers)
        if found is not None:
            by_name[found].append((entry, among_headers))
        if not carrier and _is_other(mark := carrier_in(entry.name, among_headers=among_headers), provider):
            carrier = mark or ""
    middle = list(_at(provider.middle_call_id, fields))
    inner = {id(entry) for entry in middle}
    ordered = [
        *(Candidate(entry) for entry in _at(first, fields)),
        *(Candidate(entry, callers_own=True) for entry in _at(provider.callers_call_id, fields)),
        *(Candidate(entry, callers_own=True, forwarded=True) for entry, _ in by_name[Meaning.CALLERS_OWN]),
        *(Candidate(entry) for entry in _at(provider.call_id, fields)),
        *_by_call_id_name(by_name[Meaning.CALL_ID], inner),
        *(Candidate(entry, middle_leg=True) for entry in middle),
    ]
    unique = {id(candidate.field): candidate for candidate in reversed(ordered)}
    kept = [candidate for candidate in ordered if unique[id(candidate.field)] is candidate]
    correlations = [entry for entry, _ in by_name[Meaning.CORRELATION]]
    # Without its X- the name is anybody's, so there the value must have the form.
    correlations += [entry for entry in fields.at("correlation-id") if correlation_id_in(entry.text)]
    return Sight(tuple(kept), tuple(correlations), carrier)


def _by_call_id_name(found: Iterable[tuple[Field, bool]], inner: set[int]) -> Iterator[Candidate]:
    """Forwarded names before bare headers, which show the leg that arrived."""
    for wanted in (False, True):
        for entry, among_headers in found:
            is_header = (header_name(entry.name) or (among_headers and entry.name)) == "callid"
            if is_header is wanted and id(entry) not in inner:
                yield Candidate(entry, forwarded=not is_header)


def _at(places: Iterable[str], fields: Fields) -> Iterator[Field]:
    for place in places:
        yield from (entry for entry in fields.at(place) if entry.text)


def _is_other(carrier: str | None, provider: Provider) -> bool:
    return carrier is not None and carrier not in (provider.name, *provider.aliases)

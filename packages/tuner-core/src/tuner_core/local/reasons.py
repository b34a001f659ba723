"""The sentences that say why a simulation is not linked, or what to mend although it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner_core.identity.carrier_ids import recognise
from tuner_core.identity.description import Provider
from tuner_core.identity.registry import providers, registered_providers
from tuner_core.local.rows import PostedCall, Refusal, Simulation

_SHOWN = 40
_HOWTO = {
    "livekit": "livekit-sip",
    "kamailio": "kamailio-opensips",
    "opensips": "kamailio-opensips",
    "bandwidth": "",
    "sip": "",
}
"""The pages of `docs/howto` that have other names than their providers; "" for none."""


def why_unlinked(
    simulation: Simulation, candidate: PostedCall | None, *, unnamed: int, refusal: Refusal | None
) -> str:
    """Say why no call was linked to the simulation, and what to change.

    Args:
        simulation: the one left over.
        candidate: the posted call most likely meant, None when there is none.
        unnamed: how many calls that belong to no simulation were posted after this one began.
        refusal: a refused post that may have been this call.
    """
    if refusal is not None and (candidate is None or refusal.sip_call_id == simulation.sip_call_id):
        return _refused(refusal, simulation)
    if candidate is not None:
        course = _course(simulation)
        ending = f"; the simulation itself did not succeed ({course})" if course else ""
        return _mismatch(simulation, candidate) + ending
    if course := _course(simulation):
        return f"the simulation did not succeed ({course}), and no call was posted that could be its own"
    if unnamed == 1:
        return (
            "the one call posted since that belongs to no simulation neither names it nor overlaps it in time"
        )
    if unnamed:
        return (
            f"none of the {unnamed} calls posted since that belong to no simulation names it or overlaps it"
        )
    return "no call was posted after this simulation"


def warning_for(simulation: Simulation, by: str, call: PostedCall, twins: Sequence[PostedCall]) -> str:
    """Say what to mend about a call that is linked, "" when there is nothing.

    Args:
        simulation: the one it is linked to.
        by: the value that joined them.
        call: the linked call.
        twins: further calls posted with the same Call-ID.
    """
    if twins:
        others = ", ".join(shown(twin.call_id) for twin in twins[:3])
        return (
            f"{len(twins) + 1} calls carry this Call-ID ({others} too): "
            "one call needs the same call_id on every retry"
        )
    if by == "sip_call_id" or call.sip_call_id == simulation.sip_call_id:
        return ""
    if call.sip_call_id is None:
        return "" if by == "recipient" else "sip_call_id was not posted"
    return _wrong_call_id(simulation, call.sip_call_id)


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to set up at the provider that a call came through.

    Attributes:
        fix: one sentence, "" where the provider is not known.
        howto: the page of the documentation on that provider, by name.
    """

    fix: str = ""
    howto: str = ""


def remedy_for(*ids: str | None) -> Remedy:
    """Say what to set up so that the SIP Call-ID arrives, where one of the ids tells the provider.

    Args:
        ids: what was posted as `sip_call_id`, the `call_id` and the like; the first that is a provider's own counts.
    """
    carrier = next((found for value in ids if value and (found := recognise(value))), None)
    if carrier is None:
        return Remedy()
    known = next((provider for provider in providers() if provider.name == carrier.provider), None)
    return remedy_at(known) if known is not None else Remedy()


def remedy_at(provider: Provider) -> Remedy:
    """Say what to set up at a provider so that the SIP Call-ID arrives."""
    fix = f"{provider.fix[:1].upper()}{provider.fix[1:]}."
    page = "" if provider in registered_providers() else _HOWTO.get(provider.name, provider.name)
    return Remedy(fix, f"docs/howto/{page}.md" if page else "")


def shown(value: str) -> str:
    """Give an id short enough for a sentence."""
    return value if len(value) <= _SHOWN else f"{value[: _SHOWN - 1]}…"


def near_miss(simulation: Simulation, call: PostedCall) -> str:
    """Say what is wrong with a posted id that is all but this simulation's; "" when none is."""
    posted = call.sip_call_id
    if posted:
        if simulation.correlation_id and _folded(posted) == _folded(simulation.correlation_id):
            return (
                "its sip_call_id is this simulation's X-Correlation-Id; "
                "send that in sip_headers, and the Call-ID of the INVITE as sip_call_id"
            )
        if _folded(posted) == _folded(simulation.sip_call_id):
            return (
                f"its sip_call_id {shown(posted)} differs from the Call-ID only in upper and lower case, "
                "spaces, brackets or header name; send it as it is in the INVITE"
            )
        if _before_host(posted) == _before_host(simulation.sip_call_id):
            return (
                f"its sip_call_id {shown(posted)} differs from the Call-ID {shown(simulation.sip_call_id)} "
                "in what follows the @; send it whole"
            )
    correlation = call.correlation_id
    if (
        correlation
        and simulation.correlation_id
        and _folded(correlation) == _folded(simulation.correlation_id)
    ):
        return "its X-Correlation-Id differs from the simulation's only in case or spaces; send it as it is"
    if correlation and correlation == simulation.sip_call_id:
        return "its X-Correlation-Id is this simulation's Call-ID; send that as sip_call_id"
    if (
        call.recipient
        and simulation.recipient
        and _user_part(call.recipient) == _user_part(simulation.recipient)
    ):
        return (
            f"its recipient {shown(call.recipient)} is not quite {shown(simulation.recipient)}; "
            "send it exactly as it was given"
        )
    return ""


def near_keys(row: Simulation | PostedCall) -> set[tuple[str, str]]:
    """Give keys of which a simulation and a call have one in common wherever `near_miss` finds something."""
    keys: set[tuple[str, str]] = set()
    is_call = isinstance(row, PostedCall)
    if row.sip_call_id:
        keys |= {("id", _folded(row.sip_call_id)), ("before host", _before_host(row.sip_call_id))}
        if not is_call:
            keys.add(("correlation as given", row.sip_call_id))
    if row.correlation_id:
        keys |= {("correlation", _folded(row.correlation_id))}
        keys.add(
            ("correlation as given", row.correlation_id) if is_call else ("id", _folded(row.correlation_id))
        )
    if row.recipient:
        keys.add(("recipient", _user_part(row.recipient)))
    return keys


def _mismatch(simulation: Simulation, call: PostedCall) -> str:
    who = f"the agent's call {shown(call.call_id)}"
    if near := near_miss(simulation, call):
        return f"{who} came, but {near}"
    if call.sip_call_id:
        return f"{who} came, but {_wrong_call_id(simulation, call.sip_call_id)}"
    if call.correlation_id:
        return (
            f"{who} came without sip_call_id, and its X-Correlation-Id {shown(call.correlation_id)} "
            f"is not this simulation's {shown(simulation.correlation_id or '(none)')}"
        )
    if simulation.recipient:
        wanted = shown(simulation.recipient)
        if call.recipient:
            return (
                f"{who} came without sip_call_id, and its recipient {shown(call.recipient)} is not {wanted}"
            )
        return f"{who} came without sip_call_id and without recipient; send recipient {wanted}"
    return (
        f"{who} came without sip_call_id and without X-Correlation-Id; "
        "send the Call-ID of the INVITE as sip_call_id"
    )


def _wrong_call_id(simulation: Simulation, posted: str) -> str:
    carrier = recognise(posted)
    if carrier is not None:
        return (
            f"the posted sip_call_id {shown(posted)} is {carrier.name}, a provider's own id, "
            f"not the SIP Call-ID; send {carrier.send_instead}"
        )
    return (
        f"the posted sip_call_id {shown(posted)} is not this simulation's Call-ID "
        f"{shown(simulation.sip_call_id)}; if a hop on the way gives calls a new Call-ID, "
        "send X-Correlation-Id in sip_headers too"
    )


def _refused(refusal: Refusal, simulation: Simulation) -> str:
    answer = f"refused with {refusal.status} ({refusal.problem})"
    call = f"call {shown(refusal.call_id)}" if refusal.call_id else "this call"
    if refusal.sip_call_id == simulation.sip_call_id:
        return f"the post of {call} was {answer}"
    return f"a post was {answer}, likely that of {call}"


def _course(simulation: Simulation) -> str:
    """How the simulation went, where that may be why there is no call; "" otherwise."""
    if simulation.outcome in (None, "success"):
        return ""
    return f"{simulation.outcome}: {simulation.detail}" if simulation.detail else str(simulation.outcome)


def _folded(value: str) -> str:
    """The value without what careless copying adds: case, spaces, angle brackets, the header's name."""
    text = value.strip().lower()
    for name in ("call-id:", "x-cid:", "i:"):
        text = text.removeprefix(name)
    return text.strip(" \t<>\"'")


def _before_host(value: str) -> str:
    return _folded(value).split("@", 1)[0]


def _user_part(uri: str) -> str:
    text = _folded(uri)
    for scheme in ("sips:", "sip:", "tel:"):
        text = text.removeprefix(scheme)
    return text.split("@", 1)[0].split(";", 1)[0]

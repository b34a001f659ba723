"""What is known of a call besides its events: what was passed, what was told since, what the caller shows."""

from __future__ import annotations

from typing import Any

from tuner_core.delivery.sink import CallFacts
from tuner_core.identity.model import SipIdentity
from tuner_livekit._identity import CallerWatch


class KnownFacts:
    """Puts the facts of a call together; what the application says wins over what the participant shows.

    Args:
        watch: looks at the participant.
        sip_call_id: as the application knows it.
        given: facts from the application.
    """

    def __init__(self, watch: CallerWatch, *, sip_call_id: str | None, given: CallFacts) -> None:
        self._watch = watch
        self._sip_call_id = sip_call_id
        self._given: CallFacts = {**given}
        self._told: dict[str, Any] = {}

    @property
    def identity(self) -> SipIdentity:
        """The SIP identity as far as it is known."""
        shown = self._given.get("identity") or self._watch.identity
        if self._sip_call_id is None:
            return shown
        given = SipIdentity(
            sip_call_id=self._sip_call_id, provider="livekit", found_at={"sip_call_id": "argument"}
        )
        return given.filled_from(shown)

    def tell(self, facts: CallFacts) -> None:
        """The application says more; what it says last under a name counts."""
        self._given.update(facts)

    def known(self) -> CallFacts:
        """All facts."""
        given = self._given
        on_the_phone = self._watch.has_sip_caller
        return {
            **given,
            "call_type": given.get("call_type") or ("phone_call" if on_the_phone else "web_call"),
            "identity": self.identity,
            "caller_phone_number": given.get("caller_phone_number") or self._watch.phone_number,
        }

    def news(self) -> CallFacts:
        """The facts, when any of them differs from what was told the last time, else none."""
        known = self.known()
        if known == self._told:
            return {}
        self._told = {**known}
        return known

    def forget_told(self) -> None:
        """Another call begins: everything is news to it."""
        self._told = {}

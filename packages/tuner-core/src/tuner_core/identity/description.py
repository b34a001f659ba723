"""How one provider shows a call: the description that all of resolving works from.

A place is where a field stands, written as a path: `start.customParameters`, `SipCallId`, `sip.callIDFull`. It is
found at any depth, so a webhook wrapped in `{"body": …}` needs nothing extra; case, `-` and `_` do not matter.
With `=` before it (`=Call-ID`) hyphens and underscores do matter.

What every provider has in common is described nowhere: `SipCallId`, `X-CID` and `X-Correlation-Id` are recognised
wherever they stand, with the prefixes that providers put before header names (`tuner_core.identity.names`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tuner_core.errors import ConfigError

UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
"""The form that most providers' ids have, and the Call-IDs of FreeSWITCH and Asterisk as well."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of payload, and how it is recognised.

    Attributes:
        name: in words: `voice webhook`, `media stream start`.
        needs: place to a pattern that its value must match whole; "" for any value, also a container. All must
            be there. A place with a pattern counts three times one without when several providers match.
        also: places that often are there; each makes the match a little stronger.
        fix: one sentence: what to configure when this payload shows no Call-ID; the provider's when empty.
    """

    name: str
    needs: Mapping[str, str]
    also: tuple[str, ...] = ()
    fix: str = ""


@dataclass(frozen=True, slots=True)
class OwnId:
    """An id that the provider itself gives to calls and that links nothing at Tuner.

    Attributes:
        name: in words, with the owner: `Twilio's CallSid`.
        places: where it stands, best first; the first that has a value becomes `provider_call_id`.
        pattern: the form of the id, matched whole; "" when it has no form worth knowing.
        certain: True when no SIP stack makes a Call-ID of this form, so that the value alone tells.
        strict: True when such a value is never taken for a Call-ID of this provider's calls. Otherwise an
            ambiguous form (a UUID) counts only where no id of the provider's own is there to compare with.
    """

    name: str
    places: tuple[str, ...] = ()
    pattern: str = ""
    certain: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider, carrier or self-hosted server.

    Example:
        ```python
        register_provider(Provider(
            name="acme",
            shapes=(Shape("call event", {"acme_call": ""}),),
            own_ids=(OwnId("Acme's acme_call", places=("acme_call",)),),
            call_id=("sip.id",),
            send_instead="sip.id of the call event",
            fix="switch on SIP details in Acme's console, so that its events carry sip.id",
        ))
        ```

    Attributes:
        name: lower case, as in `SipIdentity.provider`.
        shapes: its payloads, the most particular first: of several that fit, the first gives name and fix.
        fix: one sentence: what to configure so that the Call-ID arrives.
        end_to_end_fix: one sentence: what to configure where only a later leg's Call-ID arrives.
        send_instead: where the Call-ID stands, to finish the sentence "send …".
        own_ids: its own ids.
        callers_call_id: places of the Call-ID that the caller made, kept end to end; before all others.
        call_id: places of the Call-ID of the INVITE that reached the provider.
        middle_call_id: places of the Call-ID of a leg inside the provider; taken last, with a warning.
        headers: places of containers that hold SIP headers by their bare names; `*` for everywhere.
        aliases: further names by which it may be asked for.
    """

    name: str
    shapes: tuple[Shape, ...]
    fix: str
    end_to_end_fix: str = "carry the caller's X-CID and X-Correlation-Id headers along on every hop"
    send_instead: str = "the Call-ID header of the caller's INVITE"
    own_ids: tuple[OwnId, ...] = ()
    callers_call_id: tuple[str, ...] = ()
    call_id: tuple[str, ...] = ()
    middle_call_id: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    aliases: tuple[str, ...] = field(default=())

    def check(self) -> None:
        """Raise `ConfigError` when this description cannot work: a name, a pattern or a shape is wrong."""
        for name in (self.name, *self.aliases):
            if not re.fullmatch(r"[a-z][a-z0-9_-]*", name) or name in {"auto", "unknown"}:
                raise ConfigError(
                    f"provider name {name!r}: use lower-case letters, digits, - and _, not 'auto' or 'unknown'"
                )
        patterns = [own.pattern for own in self.own_ids]
        for shape in self.shapes:
            if not shape.needs:
                raise ConfigError(
                    f"provider {self.name}: shape {shape.name!r} needs at least one place to be known by"
                )
            patterns += shape.needs.values()
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(f"provider {self.name}: pattern {pattern!r}: {error}") from None

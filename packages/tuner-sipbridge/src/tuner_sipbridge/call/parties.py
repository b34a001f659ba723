"""Who else is named in a message: asserted identity, privacy, diversion, history, user data.

P-Asserted-Identity and Privacy (RFC 3325, RFC 3323), Diversion (RFC 5806), History-Info (RFC 7044) and
User-to-User (RFC 7433). All of it is personal: it stands in the trace, never in a log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.headers import NameAddr
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.uri import Uri, without_password


@dataclass(frozen=True, slots=True)
class Diversion:
    """One diversion or one entry of the history: the address that was left, and why.

    Attributes:
        uri: the address.
        reason: of a Diversion its `reason`; of a history entry its `cause`, or the Reason header in its URI.
        index: place in the history (`1.1.2`), empty for a Diversion.
    """

    uri: str = field(repr=False)
    reason: str = ""
    index: str = ""


@dataclass(frozen=True, slots=True)
class Parties:
    """What one message says of the parties, in its order.

    Attributes:
        asserted: URIs that a trusted network vouches for.
        privacy: what the far end wants hidden, such as `id` or `header`.
        diversions: who diverted the call, the last one first.
        history: where the call has been, oldest first.
        user_to_user: data from user to user, as written.
    """

    asserted: tuple[str, ...] = field(default=(), repr=False)
    privacy: tuple[str, ...] = ()
    diversions: tuple[Diversion, ...] = ()
    history: tuple[Diversion, ...] = ()
    user_to_user: tuple[str, ...] = field(default=(), repr=False)

    def to_fields(self) -> dict[str, Any]:
        """The fields of a trace event; what was not said is left out."""
        fields: dict[str, Any] = {
            "asserted": [without_password(one) for one in self.asserted],
            "privacy": list(self.privacy),
            "diversions": [
                {"uri": without_password(one.uri), "reason": one.reason} for one in self.diversions
            ],
            "history": [
                {"uri": without_password(one.uri), "reason": one.reason, "index": one.index}
                for one in self.history
            ],
            "user_to_user": list(self.user_to_user),
        }
        return {name: value for name, value in fields.items() if value}


NOBODY = Parties()
"""A message that names nobody beyond From and To."""

_NAMES = ("P-Asserted-Identity", "Privacy", "Diversion", "History-Info", "User-to-User")


def parties_of(message: Message) -> Parties:
    """What a message says of the parties; a value that is malformed is left out."""
    headers = message.headers
    if not any(name in headers for name in _NAMES):
        return NOBODY
    return Parties(
        asserted=tuple(str(one.uri) for one in _addresses(message, "P-Asserted-Identity")),
        privacy=tuple(
            word.strip().lower()
            for value in headers.get_all("Privacy")
            for word in value.replace(",", ";").split(";")
            if word.strip()
        ),
        diversions=tuple(
            Diversion(str(one.uri), one.param("reason") or "") for one in _addresses(message, "Diversion")
        ),
        history=tuple(
            Diversion(str(one.uri.as_request_uri()), _cause_of(one), one.param("index") or "")
            for one in _addresses(message, "History-Info")
        ),
        user_to_user=tuple(headers.get_all("User-to-User")),
    )


def _addresses(message: Message, name: str) -> list[NameAddr]:
    try:
        values = message.headers.elements(name)
    except RemoteProtocolError:
        return []
    found: list[NameAddr] = []
    for value in values:
        try:
            found.append(NameAddr.parse(value))
        except RemoteProtocolError:
            continue
    return found


def _cause_of(entry: NameAddr) -> str:
    cause = entry.uri.param("cause")
    if cause:
        return cause
    return next((value for name, value in headers_behind(entry.uri) if name.lower() == "reason"), "")


def headers_behind(uri: Uri) -> list[tuple[str, str]]:
    """The headers after the `?` of a URI, without their escapes (RFC 3261 §19.1.1)."""
    return [
        (unquote(name, errors="replace"), unquote(value, errors="replace")) for name, value in uri.headers
    ]

"""Reason and Warning headers: why a call ended or failed, as the far end says it (RFC 3326, RFC 3261 §20.43)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.grammar import (
    WHITESPACE,
    decimal,
    param_of,
    parse_params,
    quote,
    split_outside,
    unquote,
)
from tuner_sipbridge.sip.headers import Headers

_Q850 = {
    1: "the number is not assigned",
    3: "there is no route to the number",
    16: "normal call clearing",
    17: "the user is busy",
    18: "no user is responding",
    19: "nobody answered",
    20: "the subscriber is absent",
    21: "the call was rejected",
    22: "the number has changed",
    26: "the call was answered elsewhere",
    27: "the destination is out of order",
    28: "the number is incomplete or malformed",
    29: "the facility was rejected",
    31: "normal, unspecified",
    34: "no circuit is free",
    38: "the network is out of order",
    41: "a temporary failure of the network",
    42: "the switching equipment is congested",
    44: "the circuit asked for is not free",
    47: "no resource is free",
    50: "the facility asked for is not subscribed",
    57: "the bearer capability is not authorised",
    58: "the bearer capability is not free",
    65: "the bearer capability is not implemented",
    79: "the service is not implemented",
    88: "the destination is incompatible",
    102: "a timer of the network expired",
    111: "a protocol error",
    127: "interworking, unspecified",
}
"""What the causes of ITU-T Q.850 mean that telephone networks give most."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One value of a Reason header.

    Attributes:
        protocol: `SIP`, `Q.850` or another, as written.
        cause: its cause code, None when there is none.
        text: in the far end's words, without quotes.
    """

    protocol: str
    cause: int | None = None
    text: str = ""

    @classmethod
    def parse(cls, value: str) -> Reason:
        """Read one value.

        Raises:
            RemoteProtocolError: a parameter is malformed.
        """
        protocol, semicolon, rest = value.partition(";")
        params = parse_params(semicolon + rest)
        return cls(
            protocol.strip(WHITESPACE),
            decimal(param_of(params, "cause") or "", below=1000),
            param_of(params, "text") or "",
        )

    def __str__(self) -> str:
        cause = "" if self.cause is None else f";cause={self.cause}"
        return f"{self.protocol}{cause}{f';text={quote(self.text)}' if self.text else ''}"

    @property
    def words(self) -> str:
        """The reason for a person: the far end's text, the meaning of a Q.850 cause, and the code."""
        code = self.protocol if self.cause is None else f"{self.protocol} {self.cause}"
        known = _Q850.get(self.cause or 0, "") if self.protocol.upper() == "Q.850" else ""
        said = [part for part in (known, self.text) if part]
        return f"{': '.join(said)} ({code})" if said else code


@dataclass(frozen=True, slots=True)
class Warning:
    """One value of a Warning header.

    Attributes:
        code: three digits, 300 to 399.
        agent: host or pseudonym of who added it.
        text: in its words, without quotes.
    """

    code: int
    agent: str
    text: str = field(default="")

    @classmethod
    def parse(cls, value: str) -> Warning:
        """Read one value.

        Raises:
            RemoteProtocolError: it is not a code, an agent and a text.
        """
        parts = value.strip(WHITESPACE).split(None, 2)
        code = decimal(parts[0], below=1000) if parts else None
        if code is None or len(parts) < 3:
            raise RemoteProtocolError("Warning: not a code, an agent and a text")
        return cls(code, parts[1], unquote(parts[2]))

    @property
    def words(self) -> str:
        """The warning for a person."""
        return f"{self.agent} warns: {self.text} ({self.code})"


def reasons_in(text: str) -> tuple[Reason, ...]:
    """All values of a Reason header; what is malformed is left out: nothing depends on it."""
    found: list[Reason] = []
    for value in _values(text):
        try:
            found.append(Reason.parse(value))
        except RemoteProtocolError:
            continue
    return tuple(found)


def reasons_of(headers: Headers) -> tuple[Reason, ...]:
    """The reasons in a message."""
    return tuple(reason for value in headers.get_all("Reason") for reason in reasons_in(value))


def warnings_of(headers: Headers) -> tuple[Warning, ...]:
    """The warnings in a message; what is malformed is left out."""
    found: list[Warning] = []
    for line in headers.get_all("Warning"):
        for value in _values(line):
            try:
                found.append(Warning.parse(value))
            except RemoteProtocolError:
                continue
    return tuple(found)


def in_plain_words(text: str) -> str:
    """The value of a Reason header for a person; a text that is none comes back as it is."""
    reasons = [reason for reason in reasons_in(text) if reason.cause is not None]
    return "; ".join(reason.words for reason in reasons) or text


def _values(line: str) -> list[str]:
    try:
        return split_outside(line, ",")
    except RemoteProtocolError:
        return []

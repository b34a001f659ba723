"""Replaces: which dialog a new call takes the place of (RFC 3891)."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.grammar import WHITESPACE, param_of, parse_params
from tuner_sipbridge.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class Replaces:
    """The dialog as the one who is asked to give it up sees it: its own tag is the To tag (§3).

    Attributes:
        call_id: Call-ID of the dialog.
        to_tag: tag of who receives the INVITE with this header.
        from_tag: tag of that one's peer.
        early_only: only a dialog that is not answered yet may be replaced.
    """

    call_id: str = field(repr=False)
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Replaces:
        """Read the value of a Replaces header.

        Raises:
            RemoteProtocolError: a tag or the Call-ID is missing.
        """
        call_id, semicolon, rest = text.partition(";")
        params = parse_params(semicolon + rest)
        to_tag, from_tag = param_of(params, "to-tag"), param_of(params, "from-tag")
        if not call_id.strip(WHITESPACE) or not to_tag or not from_tag:
            raise RemoteProtocolError("Replaces: Call-ID, to-tag or from-tag is missing")
        return cls(call_id.strip(WHITESPACE), to_tag, from_tag, param_of(params, "early-only") is not None)

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"

    def in_uri(self, target: Uri) -> Uri:
        """`target` with this header behind its `?`, as an attended transfer writes it into Refer-To (§7)."""
        headers = tuple(one for one in target.headers if one[0].lower() != "replaces")
        return Uri(
            target.scheme,
            target.user,
            target.password,
            target.host,
            target.port,
            target.params,
            (*headers, ("Replaces", quote(str(self), safe=""))),
        )

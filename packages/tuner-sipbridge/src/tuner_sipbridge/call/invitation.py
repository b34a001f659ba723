"""The INVITE of an outbound call until its final response: tries, ring time-out, CANCEL (RFC 3261 §9.1)."""

from __future__ import annotations

from collections.abc import Sequence

from tuner_sipbridge.call.ids import Ids
from tuner_sipbridge.call.requests import Reach, again
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.client_transaction import cancel_of
from tuner_sipbridge.sip.headers import NameAddr
from tuner_sipbridge.sip.message import Request, Response
from tuner_sipbridge.sip.reason import Reason
from tuner_sipbridge.sip.routing import Hop, hop_uri, transport_of
from tuner_sipbridge.sip.timers import Timers, earliest
from tuner_sipbridge.sip.transaction_layer import TransactionLayer
from tuner_sipbridge.sip.uri import Uri

_MOST_TRIES = 8
"""INVITEs of one call, redirections and challenges together: nobody sends us round for ever."""


class Invitation:
    """Sends the INVITE, again where the far end asks for that, and gives up as the standard asks."""

    def __init__(
        self,
        invite: Request,
        layer: TransactionLayer,
        *,
        reach: Reach,
        ids: Ids,
        timers: Timers,
        ring_timeout_s: float,
        to: Hop | None = None,
    ) -> None:
        """Prepare; nothing is sent before `begin`. `to` is where it goes in place of its next hop."""
        self.request = invite
        self._layer = layer
        self._reach = reach
        self._ids = ids
        self._timers = timers
        self._ring_timeout_s = ring_timeout_s
        self._to = to
        self._tried = [invite.uri]
        self._tries = 0
        self._given_up = self._cancelled = False
        self._alternatives: list[NameAddr] = []
        self._why: Reason | None = None
        self._ring_until: float | None = None
        self._abandon_at: float | None = None
        self.heard = False
        """True when a provisional response to the present INVITE came."""
        self.preset = False
        """True when the present INVITE has credentials that nobody asked it for."""

    @property
    def begun(self) -> bool:
        """True when an INVITE was sent."""
        return self._tries > 0

    def begin(self, *, now: float) -> None:
        """Send the first INVITE."""
        self._ring_until = now + self._ring_timeout_s
        self._send(now)

    def take_provisional(self, *, now: float) -> None:
        """A provisional response came: from now on, and not before, CANCEL may be sent (§9.1)."""
        self.heard = True
        if self._given_up:
            self._cancel(now)

    def settle(self) -> None:
        """A final response came, or none can come any more."""
        self._ring_until = self._abandon_at = None

    def give_up(self, *, now: float, why: Reason | None = None) -> None:
        """CANCEL at once, or as soon as a provisional response comes; `why` goes along (RFC 3326)."""
        self._ring_until = None
        if self.begun and not self._given_up:
            self._given_up, self._why = True, why
            if self.heard:
                self._cancel(now)

    def retry(self, credentials: Sequence[tuple[str, str]], *, now: float) -> bool:
        """Send the INVITE again with credentials; False when there were too many tries."""
        return self._again(now, uri=self.request.uri, credentials=credentials)

    def change(
        self, changes: Sequence[tuple[str, str]], credentials: Sequence[tuple[str, str]], *, now: float
    ) -> bool:
        """Send the INVITE again with other headers (after 422); False when there were too many tries."""
        uri = self.request.uri
        return self._again(now, uri=uri, credentials=credentials, changes=changes, preset=bool(credentials))

    def redirect(self, response: Response, *, now: float) -> Uri | None:
        """Send the INVITE to the best address known of that was not tried yet (§8.1.3.4); None without one.

        The Contacts of a 3xx are added to those of earlier ones, and the highest q comes first; when one of
        them refuses, the next is tried. Credentials are not taken along: they were for another server.
        """
        if response.status < 400:
            self._alternatives += [contact for contact in response.contacts if _is_spoken(contact.uri)]
            self._alternatives.sort(key=_preference, reverse=True)
        while self._alternatives:
            uri = self._alternatives.pop(0).uri.as_request_uri()
            if uri not in self._tried:
                self._tried.append(uri)
                self._to = None
                return uri if self._again(now, uri=uri, credentials=()) else None
        return None

    def handle_timer(self, *, now: float) -> bool:
        """Do what is due; True when the ring time-out is over and the call is to be given up."""
        if self._abandon_at is not None and now >= self._abandon_at:
            self._abandon_at = None
            self._layer.abandon(self.request, now=now)
        return self._ring_until is not None and now >= self._ring_until

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next."""
        return earliest((self._ring_until, self._abandon_at))

    def _again(
        self,
        now: float,
        *,
        uri: Uri,
        credentials: Sequence[tuple[str, str]],
        changes: Sequence[tuple[str, str]] = (),
        preset: bool = False,
    ) -> bool:
        if self._tries >= _MOST_TRIES:
            return False
        self.preset = preset
        hop = hop_uri(uri, self.request.routes)
        self.request = again(
            self.request,
            via=self._reach.via(self._ids.branch(), towards=hop),
            cseq=self.request.cseq.number + 1,
            uri=uri,
            credentials=credentials,
            changes=changes,
        )
        self._send(now)
        return True

    def _send(self, now: float) -> None:
        self._tries += 1
        self.heard = False
        self._layer.send(self.request, now=now, to=self._to)

    def _cancel(self, now: float) -> None:
        if not self._cancelled:
            self._cancelled = True
            # A far end that ignores the CANCEL is not waited for longer than this (§9.1).
            self._abandon_at = now + self._timers.patience
            cancel = cancel_of(self.request)
            if self._why is not None:
                cancel.headers.add("Reason", str(self._why))
            self._layer.send(cancel, now=now, to=self._to)


def _is_spoken(uri: Uri) -> bool:
    try:
        transport_of(uri)
    except LocalProtocolError:
        return False
    return True


def _preference(contact: NameAddr) -> float:
    """The q value of a Contact, 1 when it has none that can be read (§20.10)."""
    try:
        return float(contact.param("q") or 1)
    except ValueError:
        return 1.0

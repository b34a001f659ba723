"""What the user of either half of a call may do while it stands."""

from __future__ import annotations

from tuner_sipbridge.call.info import DTMF_RELAY, digit_body
from tuner_sipbridge.call.invite_usage import InviteUsage
from tuner_sipbridge.call.transacting import Transacting
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.replaces import Replaces
from tuner_sipbridge.sip.uri import Uri


class InCall(Transacting):
    """Hold, resume, transfer, digits and probes. Each does nothing when the call does not stand.

    `OutboundCall` and `InboundCall` give `_standing_usage`.
    """

    def _standing_usage(self) -> InviteUsage | None:
        raise NotImplementedError

    def hold(self, *, now: float) -> None:
        """Put the far end on hold by re-INVITE with `sendonly` (RFC 3264 §8.4).

        Gives `Renegotiated` when the far end agrees, else `ChangeRefused`. When both ends change at once
        (491), it is tried again by itself after the standard's wait.
        """
        if usage := self._live_usage():
            usage.change("sendonly", now=now)
            self._pump(now)

    def resume(self, *, now: float) -> None:
        """End the hold: re-INVITE with `sendrecv`."""
        if usage := self._live_usage():
            usage.change("sendrecv", now=now)
            self._pump(now)

    def transfer(
        self, target: Uri, *, now: float, replaces: Replaces | None = None, reported: bool = True
    ) -> None:
        """Ask the far end to call somebody else (REFER, RFC 3515); gives `TransferProgress`.

        Args:
            target: whom to call.
            now: Unix time in seconds.
            replaces: the call that the new one takes the place of, as its other end sees it: an attended
                transfer (see `replaces_for_peer` of that call); None is a blind one.
            reported: ask for reports; else `TransferProgress` comes once, with the answer (RFC 4488).

        Raises:
            LocalProtocolError: a transfer of ours is under way, or the target is no SIP URI.
        """
        if not target.is_sip:
            raise LocalProtocolError(f"a transfer goes to a SIP URI, not to {target.scheme}:")
        if usage := self._live_usage():
            by = str(usage.dialog.local.uri)
            uri = replaces.in_uri(target) if replaces else target
            usage.transfers.ask(uri, now=now, referred_by=by, reported=reported)
            self._pump(now)

    def report_transfer(self, status: int, *, now: float, reason: str = "") -> None:
        """Tell the far end what became of the transfer it asked for; a status from 200 on is the last word."""
        if usage := self._live_usage():
            usage.transfers.report(status, reason, now=now)
            self._pump(now)

    def send_digit_by_info(self, digit: str, *, now: float, duration_ms: int = 160) -> None:
        """Send one DTMF digit in an INFO request, for far ends that take none in RTP.

        Raises:
            LocalProtocolError: it is no digit.
        """
        if len(digit) != 1 or digit.upper() not in "0123456789*#ABCD":
            raise LocalProtocolError("a DTMF digit is one of 0-9 * # A-D")
        if usage := self._live_usage():
            body = digit_body(digit.upper(), duration_ms)
            usage.requests.send("INFO", now=now, body=body, content_type=DTMF_RELAY)
            self._pump(now)

    def refresh(self, *, now: float) -> None:
        """Refresh the session now: a far end that is gone ends the call (RFC 4028 §10)."""
        if usage := self._live_usage():
            usage.refresh(now=now)
            self._pump(now)

    @property
    def session_interval_s(self) -> int | None:
        """The session interval that was agreed on (RFC 4028); None without a session timer."""
        usage = self._standing_usage()
        return usage.timer.interval_s if usage is not None else None

    @property
    def peer_uri(self) -> Uri | None:
        """The far end's Contact: whom an attended transfer refers to; None while nothing stands."""
        usage = self._standing_usage()
        return usage.dialog.target if usage is not None else None

    @property
    def replaces_for_peer(self) -> Replaces | None:
        """This call as its far end knows it, for an attended transfer of another call to that far end."""
        usage = self._standing_usage()
        if usage is None:
            return None
        dialog = usage.dialog
        return Replaces(dialog.call_id, dialog.remote_tag, dialog.local_tag)

    def objection_to_replacement(self, replaces: Replaces) -> int | None:
        """What an INVITE with this header is refused with (RFC 3891 §3), None when it may replace this call.

        481: it means another dialog, or one that is not answered and that we did not begin; 603: this call is over;
        486: only an early dialog was to be replaced.
        """
        usage = self._standing_usage()
        if usage is None or not usage.confirmed:
            return 481
        dialog = usage.dialog
        if (dialog.call_id, dialog.local_tag, dialog.remote_tag) != (
            replaces.call_id,
            replaces.to_tag,
            replaces.from_tag,
        ):
            return 481
        if usage.over:
            return 603
        return 486 if replaces.early_only else None

    def _live_usage(self) -> InviteUsage | None:
        usage = self._standing_usage()
        return usage if usage is not None and usage.confirmed and not usage.over else None

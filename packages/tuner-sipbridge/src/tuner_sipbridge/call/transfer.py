"""REFER and its NOTIFYs within one dialog: asking for a transfer, and being asked (RFC 3515, RFC 4488)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuner_sipbridge.call.dialog_requests import DialogRequests
from tuner_sipbridge.call.events import CallEvent, TransferProgress, TransferRequested
from tuner_sipbridge.call.parties import headers_behind
from tuner_sipbridge.call.replies import DECLINED, OK, Reply
from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.headers import NameAddr
from tuner_sipbridge.sip.message import REASONS, Request, Response
from tuner_sipbridge.sip.timers import earliest
from tuner_sipbridge.sip.uri import Uri

SIPFRAG = "message/sipfrag;version=2.0"
SUBSCRIPTION_S = 120
"""How long the reports of a transfer go on at most."""

_CARRIED = frozenset({"replaces", "require", "referred-by", "user-to-user", "subject"})
"""Headers of a Refer-To URI that the new INVITE takes; others could overwrite what is ours (RFC 3261 §19.1.5)."""


_ENDS_THE_REPORTS = frozenset({404, 405, 410, 416, *range(480, 486), 489, 501, 604})
"""What a NOTIFY is answered with when there is no such subscription, or nobody for it (RFC 6665 §4.2.2)."""


@dataclass(slots=True)
class _Report:
    """A subscription that a REFER made: `id` is the number of the REFER, unless it is the first (§2.4.6)."""

    event: str
    until: float


class Transfers:
    """Both sides of REFER in one dialog; the call to the new party is made by the user of the call."""

    def __init__(self, requests: DialogRequests, *, contact: tuple[str, str], allowed: bool) -> None:
        """Begin without any transfer.

        Args:
            requests: sends within the dialog.
            contact: our Contact header.
            allowed: whether the far end may transfer us.
        """
        self._requests = requests
        self._contact = contact
        self._allowed = allowed
        self._refers_taken = 0
        self._reports: _Report | None = None
        self._asked: Request | None = None
        self._heard_until: float | None = None
        self._after: list[Callable[[float], None]] = []
        self._events: list[CallEvent] = []

    def events(self) -> list[CallEvent]:
        """What happened; drained."""
        events, self._events = self._events, []
        return events

    def ask(self, target: Uri, *, now: float, referred_by: str, reported: bool = True) -> None:
        """Send REFER: the far end is to call `target` (§2.4.1).

        Args:
            target: whom; with Replaces behind its `?` for an attended transfer.
            now: the time.
            referred_by: our URI (RFC 3892).
            reported: ask for reports; else the far end is asked not to send any (RFC 4488).

        Raises:
            LocalProtocolError: a transfer of ours is under way.
        """
        if self._asked is not None or self._heard_until is not None:
            raise LocalProtocolError("a transfer is under way in this call: wait until it is over")
        headers = [
            self._contact,
            ("Refer-To", str(NameAddr(target))),
            ("Referred-By", f"<{referred_by}>"),
            ("Supported", "replaces, norefersub"),
        ]
        if not reported:
            headers.append(("Refer-Sub", "false"))
        self._asked = self._requests.send("REFER", now=now, then=self._take_answer, headers=headers)

    def take_refer(self, refer: Request, *, now: float) -> Reply:
        """The answer to a REFER; `after` then sends the first report (§2.4.4)."""
        if not self._allowed:
            return DECLINED
        values = refer.headers.get_all("Refer-To")
        try:
            target = NameAddr.parse(values[0]).uri if len(values) == 1 else None
        except RemoteProtocolError:
            target = None
        if target is None:
            return Reply(400, reason="Bad Request: not one Refer-To that can be read")
        if not target.is_sip:
            return Reply(416)
        if self._reports is not None:
            return Reply(491)
        method = target.param("method")
        if method is not None and method.upper() != "INVITE":
            return Reply(501, reason="Not Implemented: a transfer by INVITE only")
        wanted = (refer.headers.get("Refer-Sub") or "true").partition(";")[0].strip(" \t").lower() != "false"
        self._refers_taken += 1
        if wanted:
            number = "" if self._refers_taken == 1 else f";id={refer.cseq.number}"
            self._reports = _Report(f"refer{number}", now + SUBSCRIPTION_S)
            self._after.append(lambda now: self.report(100, REASONS[100], now=now))
        self._events.append(TransferRequested(str(target.as_request_uri()), _carried(refer, target), wanted))
        headers = (self._contact,) if wanted else (self._contact, ("Refer-Sub", "false"))
        return Reply(202 if wanted else 200, headers)

    def after(self, *, now: float) -> None:
        """Send what must follow an answer that was sent."""
        steps, self._after = self._after, []
        for step in steps:
            step(now)

    def report(self, status: int, reason: str, *, now: float) -> None:
        """Tell who transferred us what became of the call to the new party; nothing when nobody asked."""
        reports = self._reports
        if reports is None:
            return
        final = status >= 200
        left = max(0, round(reports.until - now))
        state = "terminated;reason=noresource" if final else f"active;expires={left}"
        self._requests.send(
            "NOTIFY",
            now=now,
            headers=[self._contact, ("Event", reports.event), ("Subscription-State", state)],
            body=f"SIP/2.0 {status} {reason or REASONS.get(status, '')}\r\n".encode(),
            content_type=SIPFRAG,
            then=lambda response, now: self._take_answer_to_report(reports, response),
        )
        if final:
            self._reports = None

    def _take_answer_to_report(self, reports: _Report, response: Response | None) -> None:
        """A report that nobody took is the last (RFC 6665 §4.2.2)."""
        refused = response is None or response.status in _ENDS_THE_REPORTS
        if refused and self._reports is reports:
            self._reports = None

    def take_notify(self, notify: Request) -> Reply:
        """The answer to a NOTIFY: 200 to the reports of our REFER, 481 or 489 to any other."""
        if (notify.headers.get("Event") or "").partition(";")[0].strip(" \t").lower() != "refer":
            return Reply(489, (("Allow-Events", "refer"),))
        if self._heard_until is None and self._asked is None:
            return Reply(481)
        status, text = _status_in(notify)
        state = (notify.headers.get("Subscription-State") or "").partition(";")[0].strip(" \t").lower()
        if status is None and state != "terminated":
            return Reply(400, reason="Bad Request: no status in the body")
        final = state == "terminated" or (status or 0) >= 200
        self._tell(status or 0, text, final)
        return OK

    def stop(self) -> None:
        """The call is over: nobody reports any more."""
        if self._asked is not None or self._heard_until is not None:
            self._tell(0, "the call ended before the transfer did", final=True)
        self._reports = None
        self._after.clear()

    def handle_timer(self, *, now: float) -> None:
        """Wait no longer for reports when their time is over."""
        if self._heard_until is not None and now >= self._heard_until:
            self._tell(0, f"the far end said nothing of the transfer for {SUBSCRIPTION_S} s", final=True)
        if self._reports is not None and now >= self._reports.until:
            self._reports = None

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next."""
        reports = self._reports.until if self._reports is not None else None
        return earliest((self._heard_until, reports))

    def _take_answer(self, response: Response | None, now: float) -> None:
        asked, self._asked = self._asked, None
        if asked is None or self._heard_until is not None:
            return
        if response is None:
            self._tell(0, "the far end did not answer the REFER", final=True)
        elif response.status >= 300:
            self._tell(response.status, response.reason, final=True)
        elif (response.headers.get("Refer-Sub") or "").strip(" \t").lower().startswith("false"):
            self._tell(response.status, "accepted, without reports", final=True)
        else:
            self._heard_until = now + SUBSCRIPTION_S

    def _tell(self, status: int, text: str, final: bool) -> None:
        if final:
            self._asked = self._heard_until = None
        self._events.append(TransferProgress(status, text, final))


def _carried(refer: Request, target: Uri) -> tuple[tuple[str, str], ...]:
    """The headers that the INVITE to the new party gets: those of the URI that may, and Referred-By."""
    headers = [(name, value) for name, value in headers_behind(target) if name.lower() in _CARRIED]
    by = refer.headers.get("Referred-By")
    if by is not None and all(name.lower() != "referred-by" for name, _ in headers):
        headers.append(("Referred-By", by))
    return tuple((name, value) for name, value in headers if "\r" not in value and "\n" not in value)


def _status_in(notify: Request) -> tuple[int | None, str]:
    """The status line in the body of a NOTIFY (RFC 3420)."""
    line = notify.body.decode("utf-8", "replace").split("\n", 1)[0].strip()
    parts = line.split(" ", 2)
    if notify.content_type != "message/sipfrag" or len(parts) < 2 or parts[0].upper() != "SIP/2.0":
        return None, ""
    number = parts[1]
    known = number.isascii() and number.isdigit() and 100 <= int(number[:9]) <= 699
    return (int(number), parts[2] if len(parts) > 2 else "") if known else (None, "")

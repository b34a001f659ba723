"""Session timer: who refreshes the session when, and when the far end counts as gone (RFC 4028)."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tuner_sipbridge.call.extensions import LEAST_SESSION_INTERVAL_S, Extensions
from tuner_sipbridge.call.replies import Reply
from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.grammar import decimal, param_of, parse_params
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.timers import earliest

Due: TypeAlias = Literal["refresh", "expired"]

_LONGEST_MARGIN_S = 32.0
_MOST_RAISES = 3
_LEAST_WAIT_S = 1.0
"""Between two tries of a refresh: half of what is left would never be over."""


class SessionTimer:
    """The timer of one session. It says what to write and what is due; others send.

    Both ends give up shortly before the interval is over, by 32 s or a third of it (§10).
    """

    def __init__(self, terms: Extensions) -> None:
        """Begin without a running timer."""
        self._wanted = terms.session_interval_s
        self._least = terms.least_session_interval_s
        self._refresher = terms.refresher
        self._alone = terms.refresher == "us"
        self._raises = 0
        self._interval: int | None = None
        self._ours = False
        self._refresh_at: float | None = None
        self._expire_at: float | None = None

    @property
    def interval_s(self) -> int | None:
        """The interval that was agreed on; None without a timer."""
        return self._interval

    @property
    def refreshed_by_us(self) -> bool:
        """True when it is on us to refresh the session."""
        return self._interval is not None and self._ours

    def request_headers(self) -> list[tuple[str, str]]:
        """Session-Expires and Min-SE for an INVITE or UPDATE of ours (§7.1, §7.4): roles stay as they are."""
        if self._wanted is None:
            return []
        role = {"us": ";refresher=uac", "peer": ";refresher=uas", None: ""}[self._refresher]
        if self._interval is not None:
            role = f";refresher={'uac' if self._ours else 'uas'}"
        headers = [("Session-Expires", f"{max(self._interval or self._wanted, self._least)}{role}")]
        if self._least > LEAST_SESSION_INTERVAL_S:
            headers.append(("Min-SE", str(self._least)))
        return headers

    def raised_by(self, response: Response) -> bool:
        """Take a 422: True when its Min-SE is a longer interval to try again with (§7.3)."""
        least = _seconds(response, "Min-SE")
        if self._wanted is None or least is None or least <= self._least or self._raises >= _MOST_RAISES:
            return False
        self._raises += 1
        self._least = least
        self._wanted = max(self._wanted, least)
        return True

    def objection_to(self, request: Request) -> Reply | None:
        """422 to an INVITE or UPDATE with an interval that is too short for us (§9)."""
        asked = _seconds(request, "Session-Expires")
        if self._wanted is None or asked is None or asked >= self._least or not _speaks(request):
            return None
        return Reply(422, (("Min-SE", str(self._least)),))

    def take_answer(self, response: Response, *, now: float) -> None:
        """Take the 2xx to an INVITE or UPDATE of ours (§7.2).

        Without Session-Expires no timer runs, unless we are the one to refresh: then the interval that we asked for.
        """
        interval = _seconds(response, "Session-Expires")
        if interval is None and self._wanted is not None and self._alone:
            self._start(max(self._interval or self._wanted, self._least), ours=True, now=now)
        elif self._wanted is None or interval is None:
            self._stop()
        else:
            self._start(interval, ours=_refresher(response) != "uas", now=now)

    def answer(self, request: Request, *, now: float) -> list[tuple[str, str]]:
        """Headers for our 2xx to an INVITE or UPDATE (§9), which starts the timer again.

        Where the far end neither knows of timers nor a proxy asked for one, it runs only if we are to refresh.
        """
        asked, speaks = _seconds(request, "Session-Expires"), _speaks(request)
        if self._wanted is None or (asked is None and not speaks and not self._alone):
            self._stop()
            return []
        floor = max(_seconds(request, "Min-SE") or 0, self._least)
        interval = max(self._wanted, floor) if asked is None else min(asked, max(self._wanted, floor))
        role = _refresher(request) or self._chosen_role()
        if not speaks:
            role = "uas"
        self._start(interval, ours=role == "uas", now=now)
        headers = [("Session-Expires", f"{interval};refresher={role}")]
        return [*headers, ("Require", "timer")] if speaks else headers

    def try_again(self, *, now: float) -> None:
        """A refresh of ours failed, the dialog lives: try once more half-way to the end (§10)."""
        if self._expire_at is not None and self._ours:
            self._refresh_at = now + max((self._expire_at - now) / 2, _LEAST_WAIT_S)

    def stop(self) -> None:
        """The call is over."""
        self._stop()

    def handle_timer(self, *, now: float) -> Due | None:
        """What is due at `now`, each thing once."""
        if self._expire_at is not None and now >= self._expire_at:
            self._stop()
            return "expired"
        if self._refresh_at is not None and now >= self._refresh_at:
            self._refresh_at = None
            return "refresh"
        return None

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next."""
        return earliest((self._refresh_at, self._expire_at))

    def _chosen_role(self) -> str:
        """Who refreshes when the request leaves it to us: who did before, else the terms, else the asker."""
        ours = self._ours if self._interval is not None else self._refresher == "us"
        return "uas" if ours else "uac"

    def _start(self, interval: int, *, ours: bool, now: float) -> None:
        self._interval, self._ours = interval, ours
        self._refresh_at = now + interval / 2 if ours else None
        self._expire_at = now + interval - min(_LONGEST_MARGIN_S, interval / 3)

    def _stop(self) -> None:
        self._interval, self._ours = None, False
        self._refresh_at = self._expire_at = None


def _seconds(message: Message, name: str) -> int | None:
    """The number of seconds in Session-Expires or Min-SE; None when absent or none, 0 among them."""
    value = (message.headers.get(name) or "").partition(";")[0].strip(" \t")
    return decimal(value, below=2**31) or None


def _refresher(message: Message) -> str | None:
    _, semicolon, params = (message.headers.get("Session-Expires") or "").partition(";")
    try:
        value = param_of(parse_params(semicolon + params), "refresher") or ""
    except RemoteProtocolError:
        return None
    return value.lower() if value.lower() in ("uac", "uas") else None


def _speaks(request: Request) -> bool:
    """Whether the far end knows session timers itself, not just a proxy on the way."""
    try:
        tags = request.headers.elements("Supported") + request.headers.elements("Require")
    except RemoteProtocolError:
        return False
    return any(tag.lower() == "timer" for tag in tags)

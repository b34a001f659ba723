"""Registrations that calls wait for: at edges that take calls from registered users only (RFC 3261 §10)."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from tuner_sipbridge.call.ids import Credentials, Ids
from tuner_sipbridge.call.registration import Registration
from tuner_sipbridge.call.replies import Reply
from tuner_sipbridge.dialer.kept_registration import KeptRegistration
from tuner_sipbridge.dialer.sockets import Sockets
from tuner_sipbridge.dialer.ways import Way, Ways
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.net.driver import SipDriver
from tuner_sipbridge.net.ids import new_sip_call_id
from tuner_sipbridge.sip.routing import transport_of
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.uri import Uri, escape_user
from tuner_sipbridge.trace import Trace

logger = logging.getLogger("tuner_sipbridge.dialer")

DEFAULT_USER = "tuner"
"""User part of From where none is given."""
TAKES_NO_CALLS = Reply(480, reason="Temporarily Unavailable: this simulated caller takes no calls")
"""The answer to calls that come to a registered Contact."""
_WITHDRAWN_WITHIN_S = 2.0


class Registrations:
    """The registrations of one dialer: one for each registrar and login, begun by the first call that needs it."""

    def __init__(
        self,
        ways: Ways,
        sockets: Sockets,
        *,
        registrar: Uri | None,
        user: str | None,
        expires_s: int,
        patience_s: float,
        ids: Ids,
        timers: Timers,
    ) -> None:
        """Prepare; nothing is sent before `standing`.

        Args:
            ways: finds the registrar; with trunks, through one of them.
            sockets: those to send from.
            registrar: where to register; the host of each target when None.
            user: user part of the address of record; that of the login when None.
            expires_s: for how long to ask.
            patience_s: seconds without any response after which the next way to the registrar is tried.
            ids: source of branches, tags and cnonces.
            timers: base values of RFC 3261 §17.
        """
        self._ways, self._sockets, self._patience_s = ways, sockets, patience_s
        self._registrar, self._user, self._expires_s = registrar, user, expires_s
        self._ids, self._timers = ids, timers
        self._kept: dict[tuple[str, Credentials | None], KeptRegistration] = {}
        self._lock = asyncio.Lock()

    async def standing(self, target: Uri, credentials: Credentials | None, trace: Trace) -> Uri:
        """Wait until the registration for calls to a target stands.

        Args:
            target: whom the call is for.
            credentials: of the call.
            trace: gets a row that says how the registration went; when it failed, its messages too.

        Returns:
            The address of record, for the call's From.

        Raises:
            NotRegistered: the registrar refuses, or is silent.
            NetworkError: there is no way to it.
            LocalProtocolError: the target names no registrar.
        """
        registrar = self._registrar or registrar_of(target)
        async with self._lock:
            kept = self._kept.get((str(registrar), credentials))
            if kept is None:
                kept = await self._begin(registrar, credentials)
                self._kept[str(registrar), credentials] = kept
        await kept.settled.wait()
        kept.tell(trace)
        return kept.address_of_record

    async def close(self) -> None:
        """Withdraw all Contacts; waits shortly for the registrars to agree."""
        for kept in self._kept.values():
            kept.stop()
        try:
            async with asyncio.timeout(_WITHDRAWN_WITHIN_S):
                for kept in self._kept.values():
                    await kept.over.wait()
        except TimeoutError:
            logger.warning("a registrar did not confirm that the registration is withdrawn; it will expire")
        self._kept.clear()

    async def _begin(self, registrar: Uri, credentials: Credentials | None) -> KeptRegistration:
        address_of_record = Uri(registrar.scheme, self._user_of(credentials), host=registrar.host)

        def machine_for(way: Way, driver: SipDriver, failures: int) -> Registration:
            return Registration(
                registrar,
                address_of_record=address_of_record,
                local=driver.shown(driver.local[0], way.hop.transport),
                ids=self._ids,
                sip_call_id=new_sip_call_id(),
                credentials=credentials,
                expires_s=self._expires_s,
                timers=self._timers,
                transport=way.hop.transport,
                route=() if way.trunk is None else (way.trunk.with_params(lr=None),),
                to=way.hop,
                failures=failures,
            )

        kept = KeptRegistration(
            registrar,
            address_of_record,
            ways=self._ways,
            sockets=self._sockets,
            machine_for=machine_for,
            patience_s=self._patience_s,
        )
        await kept.begin()
        return kept

    def _user_of(self, credentials: Credentials | None) -> str:
        if self._user is not None:
            return self._user
        # A login may be written as an address; its user is what stands before the "@".
        login = "" if credentials is None else credentials.username.partition("@")[0]
        return escape_user(login) or DEFAULT_USER


def registrar_of(target: Uri) -> Uri:
    """The registrar of a target's domain: its URI without the user.

    Raises:
        LocalProtocolError: it has no domain.
    """
    if not target.is_sip:
        raise LocalProtocolError(f"a {target.scheme} URI names no registrar: give its SIP URI")
    kept = tuple(pair for pair in target.params if pair[0].lower() == "transport")
    return Uri(target.scheme, host=target.host, port=target.port, params=kept)


def read_registrar(text: str) -> Uri:
    """Read the URI of a registrar.

    Raises:
        LocalProtocolError: it is no SIP URI, names a user, or asks for a transport that is not spoken.
    """
    uri = Uri.parse(text, error=LocalProtocolError)
    transport_of(uri)
    if uri.user is not None:
        raise LocalProtocolError(
            "a registrar's URI names no user (RFC 3261 §10.2): leave out what is before the @"
        )
    return replace(uri, headers=())

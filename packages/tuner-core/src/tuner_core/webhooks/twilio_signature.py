"""Twilio: `X-Twilio-Signature`, checked by `twilio.request_validator`.

Twilio signs the address it called and the form's fields, or, for any other body, its SHA-256 in the query
parameter `bodySHA256` (twilio.com, "Webhooks security"). The signature has no time in it: a captured request stays
valid, so signatures are remembered for a day, and a `Timestamp` among the signed fields must be of now.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs

from tuner_core.errors import ConfigError
from tuner_core.webhooks.request import WebhookRequest
from tuner_core.webhooks.seen import SeenStore, digest
from tuner_core.webhooks.validator import REMEMBER_S, WINDOW_S, WebhookValidator, origin_in, secrets_in

SIGNATURE = "X-Twilio-Signature"
_SETTINGS = "X-Twilio-Webhooks-Signature-Settings"


class TwilioWebhooks(WebhookValidator):
    """Checks Twilio's webhooks and the handshake of its media streams.

    Args:
        auth_token: of the account; two while one replaces the other.
        public_url: scheme, host and port as configured at Twilio, plus the path's beginning where a proxy takes
            it away. Never guessed from the request. `wss://…` for the handshake of a media stream.
        window_s: how far a signed `Timestamp` may be from now.
        seen: where signatures are remembered; by default in this process.
        allow_replays: for TwiML that sends the call to the same address again (`<Redirect>`, a `<Gather>` in a
            loop): Twilio then signs the very same request anew. For the handshake of a media stream too, which
            has no fields and so the same signature in every call.

    Raises:
        ConfigError: the package `twilio` is missing, or a setting is impossible.
    """

    provider = "twilio"

    def __init__(
        self,
        *,
        auth_token: str | Sequence[str],
        public_url: str,
        window_s: float = WINDOW_S,
        seen: SeenStore | None = None,
        allow_replays: bool = False,
    ) -> None:
        super().__init__(seen=seen, allow_replays=allow_replays, remember_s=REMEMBER_S)
        try:
            vendor: Any = importlib.import_module("twilio.request_validator")
        except ImportError:
            raise ConfigError(
                "Twilio's webhooks need its validator: pip install 'tuner-core[twilio]'"
            ) from None
        # Releases before 9.13 know one algorithm only and have no such function.
        self._algorithm_in: Any = getattr(vendor, "get_signature_algorithm", None)
        self._origin = origin_in(public_url)
        self._window_s = window_s
        self._validators = [vendor.RequestValidator(token) for token in secrets_in("auth_token", auth_token)]

    def _prove(self, request: WebhookRequest, now: float) -> str:
        signature = self._header(request, SIGNATURE)
        fields = self._signed_fields(request)
        algorithm = self._other_algorithm(request)
        url = self._origin + request.path_and_query
        if not any(validator.validate(url, fields, signature, *algorithm) for validator in self._validators):
            raise self._refused(
                "wrong",
                f"the signature is not that of {self._origin}, this path, these fields and the auth token",
            )
        if isinstance(fields, _Form):
            self._check_timestamp(fields, now)
        return digest(signature)

    def _signed_fields(self, request: WebhookRequest) -> _Form | str:
        try:
            if request.has_form:
                return _Form(request.form())
            body = request.body.decode("utf-8")
        except UnicodeDecodeError:
            raise self._refused("wrong", "the body is not UTF-8 text") from None
        if not body:
            return _Form({})
        if "bodySHA256" not in parse_qs(request.query):
            raise self._refused("wrong", "a body that is no form, and no bodySHA256 that would cover it")
        return body

    def _other_algorithm(self, request: WebhookRequest) -> tuple[str, ...]:
        settings = request.header(_SETTINGS)
        return (self._algorithm_in(settings),) if settings and self._algorithm_in else ()

    def _check_timestamp(self, fields: _Form, now: float) -> None:
        for text in fields.getall("Timestamp"):
            at = _time_in(text)
            if at is not None:
                self._check_time(at, now, self._window_s)


class _Form(dict[str, list[str]]):
    """A form in the shape that Twilio's validator takes for repeated fields."""

    def getall(self, name: str) -> list[str]:
        return self.get(name, [])


def _time_in(text: str) -> float | None:
    """Unix seconds of an RFC 2822 or ISO 8601 time with a zone; None for anything else."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            at = parse(text)
        except ValueError:
            continue
        return at.timestamp() if at.tzinfo else None
    return None

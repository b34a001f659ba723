"""Plivo: `X-Plivo-Signature-V3` with its nonce, checked by `plivo.utils.signature_v3`.

Plivo signs the address it called, the form's fields and a nonce that is new for every request (docs.plivo.com,
"Signature validation V3"). There is no time in it, so nonces are remembered for a day.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from tuner_core.errors import ConfigError
from tuner_core.webhooks.request import WebhookRequest
from tuner_core.webhooks.seen import SeenStore, digest
from tuner_core.webhooks.validator import REMEMBER_S, WebhookValidator, origin_in, secrets_in

NONCE = "X-Plivo-Signature-V3-Nonce"
SIGNATURES = ("X-Plivo-Signature-V3", "X-Plivo-Signature-Ma-V3")
"""Made with the token of the account or subaccount, and with that of the main account."""


class PlivoWebhooks(WebhookValidator):
    """Checks Plivo's webhooks.

    Args:
        auth_token: of the account, the subaccount or the main account; several while one replaces another.
        public_url: scheme, host and port as configured at Plivo, plus the path's beginning where a proxy takes it
            away. Never guessed from the request.
        seen: where nonces are remembered; by default in this process.
        allow_replays: let a nonce come again.

    Raises:
        ConfigError: the package `plivo` is missing, or a setting is impossible.
    """

    provider = "plivo"

    def __init__(
        self,
        *,
        auth_token: str | Sequence[str],
        public_url: str,
        seen: SeenStore | None = None,
        allow_replays: bool = False,
    ) -> None:
        super().__init__(seen=seen, allow_replays=allow_replays, remember_s=REMEMBER_S)
        try:
            vendor: Any = importlib.import_module("plivo.utils.signature_v3")
            exceptions: Any = importlib.import_module("plivo.exceptions")
        except ImportError:
            raise ConfigError(
                "Plivo's webhooks need its validator: pip install 'tuner-core[plivo]'"
            ) from None
        self._validate = vendor.validate_v3_signature
        self._impossible = exceptions.ValidationError
        self._origin = origin_in(public_url)
        self._tokens = secrets_in("auth_token", auth_token)

    def _prove(self, request: WebhookRequest, now: float) -> str:
        signatures = [value for name in SIGNATURES if (value := request.header(name))]
        if not signatures:
            raise self._refused("missing", f"no header {SIGNATURES[0]}")
        nonce = self._header(request, NONCE)
        fields = self._signed_fields(request)
        if not any(
            self._fits(request, nonce, token, signature, fields)
            for token in self._tokens
            for signature in signatures
        ):
            raise self._refused(
                "wrong",
                f"the signature is not that of {self._origin}, this path, these fields and the auth token",
            )
        return digest(nonce)

    def _signed_fields(self, request: WebhookRequest) -> dict[str, list[str]]:
        if not request.body:
            return {}
        if request.method != "POST" or not request.has_form:
            raise self._refused("wrong", "a body that Plivo does not sign: only the form of a POST is")
        try:
            return request.form()
        except UnicodeDecodeError:
            raise self._refused("wrong", "the body is not UTF-8 text") from None

    def _fits(
        self, request: WebhookRequest, nonce: str, token: str, signature: str, fields: dict[str, list[str]]
    ) -> bool:
        url = self._origin + request.path_and_query
        try:
            return bool(self._validate(request.method, url, nonce, token, signature, dict(fields)))
        except self._impossible:
            return False

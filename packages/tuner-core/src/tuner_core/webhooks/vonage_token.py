"""Vonage: a signed JWT in `Authorization`, checked by `vonage_jwt`, and what that leaves to the receiver.

The token is HS256 with the account's signature secret; its claims name the time (`iat`), an id (`jti`) and the SHA-256
of the content (`payload_hash`): of the body, or of a GET's query as a JSON object (developer.vonage.com, "Decoding
signed webhooks"; support article "How do I verify that the Voice API Webhook request…"). `vonage_jwt.verify_signature`
checks the signature, and that the token is not from the future by this machine's clock; it looks at no other claim.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl

from tuner_core.errors import ConfigError
from tuner_core.webhooks.request import WebhookRequest
from tuner_core.webhooks.seen import SeenStore, digest
from tuner_core.webhooks.validator import WINDOW_S, WebhookValidator, secrets_in


class VonageWebhooks(WebhookValidator):
    """Checks Vonage's signed webhooks.

    Args:
        signature_secret: of the account; several while one replaces another.
        application_id: when given, only webhooks of this application are let in; the secret is the same for all
            applications of an account.
        window_s: how far the time of issue may be from now.
        seen: where token ids are remembered; by default in this process.
        allow_replays: let a token come again.

    Raises:
        ConfigError: the package `vonage-jwt` is missing, or the secret is empty.
    """

    provider = "vonage"

    def __init__(
        self,
        *,
        signature_secret: str | Sequence[str],
        application_id: str | None = None,
        window_s: float = WINDOW_S,
        seen: SeenStore | None = None,
        allow_replays: bool = False,
    ) -> None:
        # A token stays valid for the window on both sides of its time.
        super().__init__(seen=seen, allow_replays=allow_replays, remember_s=2 * window_s)
        try:
            self._vendor: Any = importlib.import_module("vonage_jwt")
            self._jwt: Any = importlib.import_module("jwt")
        except ImportError:
            raise ConfigError(
                "Vonage's webhooks need its validator: pip install 'tuner-core[vonage]'"
            ) from None
        self._secrets = secrets_in("signature_secret", signature_secret)
        self._application_id = application_id
        self._window_s = window_s

    def _prove(self, request: WebhookRequest, now: float) -> str:
        scheme, _, token = self._header(request, "Authorization").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise self._refused("missing", "no Bearer token in the header Authorization")
        claims = self._claims(token.strip())
        issued_at = claims.get("iat")
        if not isinstance(issued_at, int | float):
            raise self._refused("wrong", "the token has no time of issue")
        self._check_time(float(issued_at), now, self._window_s)
        if self._application_id is not None and claims.get("application_id") != self._application_id:
            raise self._refused("wrong", "the token is for another application")
        self._check_content(request, claims.get("payload_hash"))
        # Without an id the signed part of the token is as good; its signature has many spellings.
        return digest(str(claims.get("jti") or token.strip().rpartition(".")[0]))

    def _claims(self, token: str) -> dict[str, Any]:
        if not any(self._fits(token, secret) for secret in self._secrets):
            raise self._refused("wrong", "the token is not signed with the signature secret")
        return self._jwt.decode(token, options={"verify_signature": False})

    def _fits(self, token: str, secret: str) -> bool:
        try:
            return bool(self._vendor.verify_signature(token, secret))
        except self._vendor.VonageVerifyJwtError as error:
            if "ImmatureSignatureError" in str(error) or "ExpiredSignatureError" in str(error):
                raise self._refused(
                    "stale", "the token is of another time: is this machine's clock right?"
                ) from None
            return False

    def _check_content(self, request: WebhookRequest, stated: Any) -> None:
        contents = list(_contents(request))
        if not contents:
            return
        if not isinstance(stated, str):
            raise self._refused("wrong", "the token does not cover the content: it has no payload_hash")
        hashes = [hashlib.sha256(content).hexdigest().encode() for content in contents]
        if not any(hmac.compare_digest(known, stated.lower().encode()) for known in hashes):
            raise self._refused("wrong", "the content is not the one that was signed")


def _contents(request: WebhookRequest) -> Iterator[bytes]:
    """The spellings of the content that Vonage may have hashed; none when there is no content."""
    if request.body:
        yield request.body
        try:
            yield _compact(json.loads(request.body))
        except (ValueError, RecursionError):
            return
    elif request.query:
        yield _compact(dict(parse_qsl(request.query, keep_blank_values=True)))


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")

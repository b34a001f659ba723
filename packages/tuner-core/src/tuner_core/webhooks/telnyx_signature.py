"""Telnyx: Ed25519 over time and body, checked by `telnyx.lib.webhook_verification`.

Telnyx signs `{timestamp}|{body}` with the key pair of the account (developers.telnyx.com, "Webhook signing"). Its
validator allows five minutes around the clock of this machine, whatever `now` a caller gives.
"""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuner_core.errors import ConfigError
from tuner_core.webhooks.request import WebhookRequest
from tuner_core.webhooks.seen import SeenStore, digest
from tuner_core.webhooks.validator import WINDOW_S, WebhookValidator, secrets_in

SIGNATURE = "Telnyx-Signature-Ed25519"
TIMESTAMP = "Telnyx-Timestamp"


class TelnyxWebhooks(WebhookValidator):
    """Checks Telnyx' webhooks, those of Call Control and of TeXML.

    Args:
        public_key: base64, from Mission Control; several while one replaces another.
        window_s: how far the signed time may be from now; at most the vendor's 300 s.
        seen: where signatures are remembered; by default in this process.
        allow_replays: let the same signed request in again.

    Raises:
        ConfigError: the package `telnyx` or `pynacl` is missing, or a key is none.
    """

    provider = "telnyx"

    def __init__(
        self,
        *,
        public_key: str | Sequence[str],
        window_s: float = WINDOW_S,
        seen: SeenStore | None = None,
        allow_replays: bool = False,
    ) -> None:
        # A signature stays valid for the window on both sides of its time.
        super().__init__(seen=seen, allow_replays=allow_replays, remember_s=2 * window_s)
        self._vendor = _vendors_validator()
        self._window_s = window_s
        self._keys = secrets_in("public_key", public_key)
        for key in self._keys:
            if not _is_public_key(key):
                raise ConfigError("public_key is not an Ed25519 key in base64: copy it from Mission Control")

    def _prove(self, request: WebhookRequest, now: float) -> str:
        signature, timestamp = self._header(request, SIGNATURE), self._header(request, TIMESTAMP)
        if not (timestamp.isascii() and timestamp.isdigit()):
            raise self._refused("wrong", f"{TIMESTAMP} is not a Unix time")
        self._check_time(float(timestamp), now, self._window_s)
        headers = {SIGNATURE: signature, TIMESTAMP: timestamp}
        if not any(self._fits(request.body, headers, key) for key in self._keys):
            raise self._refused(
                "wrong", "the signature is not that of this time, this body and the public key"
            )
        # Not of the header: base64 has many spellings of one signature.
        return digest(timestamp, request.body)

    def _fits(self, body: bytes, headers: dict[str, str], key: str) -> bool:
        try:
            self._vendor.verify_webhook_signature(body, headers, key)
        except (self._vendor.WebhookVerificationError, UnicodeDecodeError):
            return False
        return True


def _vendors_validator() -> Any:
    """The vendor's module, loaded alone: it needs nothing of its package, whose import takes seconds and 90 MB.

    Raises:
        ConfigError: it is not installed.
    """
    package = importlib.util.find_spec("telnyx")
    places = (package.submodule_search_locations if package else None) or []
    for place in places:
        path = Path(place) / "lib" / "webhook_verification.py"
        spec = importlib.util.spec_from_file_location("telnyx_webhook_verification", path)
        if path.is_file() and spec and spec.loader and importlib.util.find_spec("nacl"):
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise ConfigError("Telnyx' webhooks need its validator: pip install 'tuner-core[telnyx]'")


def _is_public_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except ValueError:
        return False

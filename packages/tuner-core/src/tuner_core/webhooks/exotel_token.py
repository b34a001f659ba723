"""Exotel: an allow-list of addresses and a token of your own, since Exotel signs nothing.

The addresses are Exotel's to tell (developer.exotel.com, Stream and Voicebot applet: "IP whitelisting"), the token is
part of the URL that you put into the applet, or the password of the Basic authentication that Exotel sends for a
`wss://key:token@host` URL.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import parse_qs

from tuner_core.errors import ConfigError
from tuner_core.webhooks.request import WebhookRequest
from tuner_core.webhooks.seen import SeenStore, digest
from tuner_core.webhooks.validator import REMEMBER_S, WebhookValidator, secrets_in


class ExotelWebhooks(WebhookValidator):
    """Checks Exotel's webhooks and the handshake of its streams.

    Args:
        networks: addresses or networks in CIDR notation that Exotel calls from; `WebhookRequest.client_ip` must be
            in one of them.
        token: the secret in your applet's URL; several while one replaces another.
        token_parameter: name of the query parameter that holds it.
        seen: where requests are remembered; by default in this process.
        allow_replays: let the same request in again, as for a handshake whose URL is the same in every call.

    Raises:
        ConfigError: a network is none, or the token is empty.
    """

    provider = "exotel"

    def __init__(
        self,
        *,
        networks: Sequence[str],
        token: str | Sequence[str],
        token_parameter: str = "token",
        seen: SeenStore | None = None,
        allow_replays: bool = False,
    ) -> None:
        super().__init__(seen=seen, allow_replays=allow_replays, remember_s=REMEMBER_S)
        try:
            self._networks = [ip_network(network, strict=False) for network in networks]
        except ValueError:
            raise ConfigError(
                "networks must be addresses or networks: 203.0.113.7 or 203.0.113.0/24"
            ) from None
        if not self._networks or isinstance(networks, str):
            raise ConfigError(
                "networks must be a list of the addresses that Exotel calls from; ask Exotel for them"
            )
        self._tokens = [token.encode("utf-8") for token in secrets_in("token", token)]
        self._token_parameter = token_parameter

    def _prove(self, request: WebhookRequest, now: float) -> str:
        self._check_address(request.client_ip)
        token = self._token_in(request)
        if token is None:
            raise self._refused(
                "missing", f"no query parameter {self._token_parameter} and no Basic password"
            )
        # Every one is compared, so that the time taken tells nothing.
        if not any([hmac.compare_digest(token, known) for known in self._tokens]):
            raise self._refused("wrong", "not the token")
        return digest(request.method, request.path_and_query, request.body)

    def _check_address(self, client_ip: str | None) -> None:
        try:
            address = ip_address(client_ip or "")
        except ValueError:
            raise self._refused("missing", "client_ip is not an address: give that of the caller") from None
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if not any(address in network for network in self._networks):
            raise self._refused("stranger", "the caller's address is not on the list")

    def _token_in(self, request: WebhookRequest) -> bytes | None:
        values = parse_qs(request.query).get(self._token_parameter, [])
        if values:
            return "".join(values).encode("utf-8") if len(values) == 1 else b""
        scheme, _, credentials = (request.header("Authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            return base64.b64decode(credentials, validate=True).partition(b":")[2]
        except ValueError:
            return b""

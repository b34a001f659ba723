"""Posts passed on to the real API, with the caller's own key, and its answer brought back as it is."""

from __future__ import annotations

import ipaddress
import json
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from tuner_core.local.rows import Upstream

FORWARD_TIMEOUT_S = 14.0
"""Longest wait for the API: shorter than the 15 s of an SDK's try, which so learns what happened."""

_REQUEST_HEADERS = ("authorization", "content-type", "content-encoding", "user-agent", "accept")
_ANSWER_HEADERS = ("content-type", "retry-after", "x-request-id", "www-authenticate", "location")
_DETAIL_LIMIT = 500
_PORTS = {"http": 80, "https": 443}


class ForwardError(ValueError):
    """An address that posts cannot be passed on to; the message says why."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The answer of the API, to be given to the SDK as it is.

    Attributes:
        status: HTTP status; 502 or 504 where the API gave no whole answer.
        headers: those that matter to an SDK.
        body: as received.
        upstream: what is put down of it.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    upstream: Upstream


class Forwarder:
    """Passes requests on to one base URL.

    Args:
        base_url: as in TUNER_BASE_URL.
        timeout_s: longest wait for an answer.

    Raises:
        ForwardError: it is no http or https URL.
    """

    def __init__(self, base_url: str, *, timeout_s: float = FORWARD_TIMEOUT_S) -> None:
        self.base_url = _checked(base_url)
        self._timeout_s = timeout_s
        self._via = f"tuner-local-{secrets.token_hex(8)}"
        self._client: httpx.AsyncClient | None = None

    async def pass_on(self, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Passed:
        """Post what was received, and give the answer; what goes wrong is an answer too.

        Args:
            path: of the request, from the slash.
            query: of the request, as received.
            headers: of the request, with lower-case names.
            body: as received.
        """
        began = time.monotonic()
        if self._via in headers.get("via", ""):
            return _own(
                508, "this local Tuner forwards to itself; give --forward the address of the API", began
            )
        given = {name: headers[name] for name in _REQUEST_HEADERS if name in headers}
        given["via"] = ", ".join(filter(None, (headers.get("via", ""), f"1.1 {self._via}")))
        url = f"{self.base_url}{path}" + (f"?{query}" if query else "")
        try:
            answer = await self._open().post(url, headers=given, content=body)
        except httpx.TimeoutException:
            return _own(504, f"{self._host} gave no answer within {self._timeout_s:g} s", began)
        except httpx.HTTPError as error:
            return _own(502, f"{self._host} gave no whole answer: {_cause(error)}", began)
        kept = {name: answer.headers[name] for name in _ANSWER_HEADERS if name in answer.headers}
        upstream = Upstream(answer.status_code, _detail(answer), _ms_since(began))
        return Passed(answer.status_code, kept, answer.content, upstream)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    @property
    def _host(self) -> str:
        return urlsplit(self.base_url).netloc

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._timeout_s, follow_redirects=False)
        return self._client


def is_itself(base_url: str, host: str, port: int) -> bool:
    """Whether a base URL leads to the server that listens on `host` and `port`."""
    parts = urlsplit(base_url)
    if (parts.port or _PORTS.get(parts.scheme)) != port or parts.hostname is None:
        return False
    mine = _addresses(host)
    listens_everywhere = any(address.is_unspecified for address in mine)
    for address in _addresses(parts.hostname):
        if address in mine or address.is_unspecified:
            return True
        if listens_everywhere and _is_of_this_machine(address):
            return True
    return False


def _checked(base_url: str) -> str:
    parts = urlsplit(base_url.strip())
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ForwardError("the address to forward to must be an http or https URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ForwardError("the address to forward to must have no user, password, query or fragment")
    return base_url.strip().rstrip("/")


def _own(status: int, detail: str, began: float) -> Passed:
    body = json.dumps({"detail": detail}).encode()
    return Passed(
        status, {"content-type": "application/json"}, body, Upstream(None, detail, _ms_since(began))
    )


def _ms_since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)


def _cause(error: httpx.HTTPError) -> str:
    """Why a connection failed, without the request, whose headers hold the key."""
    return str(error) or type(error).__name__


def _detail(answer: httpx.Response) -> str:
    """The API's own words in an answer that is no receipt."""
    if answer.is_success:
        return ""
    try:
        document: object = answer.json()
    except (ValueError, RecursionError):
        return answer.text[:_DETAIL_LIMIT]
    said = (
        cast("dict[str, Any]", document).get("detail", document) if isinstance(document, dict) else document
    )
    return (said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))[:_DETAIL_LIMIT]


def _addresses(host: str) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {ipaddress.ip_address(str(item[4][0]).partition("%")[0]) for item in found}


def _is_of_this_machine(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Only an address of this machine can be bound to."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True

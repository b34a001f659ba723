"""As much HTTP/1.1 as a client of Create Call speaks (RFC 9112), for servers in tests."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

_END_OF_HEADERS = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """A request that arrived in full.

    Attributes:
        key: the bearer token.
        body: as received.
    """

    key: str = field(repr=False)
    body: bytes = field(repr=False)


def request_in(received: bytearray) -> Request | None:
    """Take the next request out of what was received, None when it is not there in full."""
    end = received.find(_END_OF_HEADERS)
    if end < 0:
        return None
    headers: dict[str, str] = {}
    for line in received[:end].decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    begin = end + len(_END_OF_HEADERS)
    length = int(headers.get("content-length", "0"))
    if len(received) < begin + length:
        return None
    body = bytes(received[begin : begin + length])
    del received[: begin + length]
    return Request(headers.get("authorization", "").removeprefix("Bearer "), body)


def answer(status: int, document: Any, headers: Mapping[str, str] | None = None) -> bytes:
    """A response with a JSON body."""
    body = json.dumps(document).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{name}: {fields[name]}" for name in fields),
    ]
    return "\r\n".join(lines).encode("latin-1") + _END_OF_HEADERS + body


def reset_on_close(connection: socket.socket) -> None:
    """Make closing send RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

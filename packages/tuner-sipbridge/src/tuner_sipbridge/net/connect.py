"""Opening a TCP connection from the port that we listen on."""

from __future__ import annotations

import asyncio
import errno
import socket
from asyncio.trsock import TransportSocket

from tuner_sipbridge.sip.routing import Address

_TAKEN = {errno.EADDRINUSE, errno.EADDRNOTAVAIL}
_SHARED: int | None = getattr(socket, "SO_REUSEPORT", None)


def share_port(end: socket.socket | TransportSocket) -> None:
    """Let connections of ours leave from the port of a listening socket; nothing where the system cannot."""
    if _SHARED is not None:
        end.setsockopt(socket.SOL_SOCKET, _SHARED, 1)


async def connect(far: Address, *, host: str | None, port: int) -> socket.socket:
    """A socket that is connected to an address.

    Many far ends send requests on a connection of ours only when it comes from the address in our Contact: they
    look for one to that address and know nothing of `alias` (RFC 5923). A caller over TLS has no other way to hear
    that the call is over.

    Args:
        far: address and port.
        host: local address; None is any.
        port: local port, one that was given to `share_port`. Another is taken where the system cannot share it, or
            the last connection from there to `far` is not forgotten yet.

    Raises:
        OSError: there is no connection.
    """
    family = socket.AF_INET6 if ":" in far[0] else socket.AF_INET
    for own in (port, 0) if port and _SHARED is not None else (0,):
        end = socket.socket(family, socket.SOCK_STREAM)
        try:
            end.setblocking(False)
            if own:
                share_port(end)
            if own or host:
                end.bind((host or "", own))
            await asyncio.get_running_loop().sock_connect(end, far)
        except OSError as error:
            end.close()
            if not own or error.errno not in _TAKEN:
                raise
        except BaseException:
            end.close()
            raise
        else:
            return end
    raise AssertionError("unreachable: the last port either connects or raises")

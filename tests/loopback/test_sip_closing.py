"""SIP sockets are closed to the last one, also those of connections that come at that very moment."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import warnings

import pytest

from tuner_sipbridge.net.driver import SipDriver


@pytest.mark.parametrize("turns", range(5))
async def test_a_connection_that_comes_while_the_port_is_closed_is_closed_too(turns: int) -> None:
    driver = SipDriver()
    await driver.open(host="127.0.0.1")
    with warnings.catch_warnings(record=True) as told, socket.socket() as caller:
        warnings.simplefilter("always", ResourceWarning)
        caller.connect(driver.local)
        for _ in range(turns):
            await asyncio.sleep(0)
        await driver.close()
        gc.collect()
        caller.settimeout(1)
        with contextlib.suppress(ConnectionResetError):
            assert caller.recv(1) == b""
    assert not [str(one.message) for one in told]

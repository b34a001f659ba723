"""agent-transport (Rust): N calls through one endpoint, audio handed over in half seconds. It signals over TCP.

Usage: `python agent_transport_caller.py CALLS HOST:PORT [--record DIRECTORY]`

`--record` lets the library record both sides of every call, which is what our dialer always does.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import agent_transport

PIECE_FRAMES = 25
LOW_WATER_MS = 600
AT_ONCE = 8


def main() -> None:
    calls, target = int(sys.argv[1]), sys.argv[2]
    folder = sys.argv[sys.argv.index("--record") + 1] if "--record" in sys.argv else None
    endpoint = agent_transport.SipEndpoint(sip_server=target.partition(":")[0], stun_server="", log_level=0)
    endpoint.register("bench", "bench")
    time.sleep(0.5)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    sessions: list[str] = []

    def dial(number: int) -> None:
        session = endpoint.call(f"sip:agent{number}@{target}")
        if folder:
            endpoint.start_recording(session, os.path.join(folder, f"{number}.wav"), True)
        sessions.append(session)

    piece = os.urandom(320 * PIECE_FRAMES)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        dialled = [pool.submit(dial, number) for number in range(calls)]
        while not over.wait(0.1):
            for session in list(sessions):
                if endpoint.queued_duration_ms(session) < LOW_WATER_MS:
                    # "buffer full" while the call's media is not running yet.
                    with contextlib.suppress(RuntimeError):
                        endpoint.send_audio_bytes(session, piece, 8000, 1)
        for task in dialled:
            task.cancel()
    for session in sessions:
        endpoint.hangup(session)
    os._exit(0)


if __name__ == "__main__":
    main()

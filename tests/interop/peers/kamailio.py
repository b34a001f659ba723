"""Kamailio, an independent SIP proxy and registrar."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from ...certificates import Authority
from .ports import START_S, Transport, free_port
from .sipp import Sipp

CONFIGURATION = Path(__file__).parents[1] / "kamailio" / "kamailio.cfg"


class Kamailio:
    """Kamailio as proxy and registrar: see `kamailio/kamailio.cfg`."""

    realm, username, password = "edge.test", "probe", "s3cret"

    def __init__(self, folder: Path) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.log = folder / "kamailio.log"
        self._folder = folder

    def uri(self, user: str, transport: Transport = "udp") -> str:
        """Reaches a user by this proxy."""
        port = self.tls_port if transport == "tls" else self.port
        return f"sip:{user}@127.0.0.1:{port}" + ("" if transport == "udp" else f";transport={transport}")

    async def register(self, sipp: Sipp, user: str, contact: str) -> None:
        """Let SIPp register a contact, as an agent platform would."""
        options = ("-s", user, "-au", user, "-ap", self.password, "-key", "contact", contact)
        await sipp.play("register", f"127.0.0.1:{self.port}", *options)

    @contextlib.contextmanager
    def running(self, authority: Authority) -> Generator[None]:
        """The program in the foreground, until left."""
        issued = authority.issue("127.0.0.1")
        names: Mapping[str, object] = {
            "REALM": self.realm,
            "USERNAME": self.username,
            "PASSWORD": self.password,
            "CERTIFICATE": issued.certificate,
            "KEY": issued.key,
            "CA": authority.file,
        }
        listen = (
            f"udp:127.0.0.1:{self.port}",
            f"tcp:127.0.0.1:{self.port}",
            f"tls:127.0.0.1:{self.tls_port}",
        )
        command = [
            "kamailio",
            "-f",
            str(CONFIGURATION),
            "-DD",
            "-E",
            "-m",
            "32",
            "-M",
            "8",
        ]
        command += ["-Y", str(self._folder), "-w", str(self._folder)]
        command += [word for each in listen for word in ("-l", each)]
        command += [word for name, value in names.items() for word in ("-A", f'{name}="{value}"')]
        with self.log.open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                self._wait_until_it_answers(process)
                yield
            finally:
                process.terminate()
                try:
                    process.wait(START_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.settimeout(0.05)
            own = f"127.0.0.1:{probe.getsockname()[1]}"
            options = (
                f"OPTIONS sip:127.0.0.1:{self.port} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKprobe\r\n"
                f"From: <sip:{own}>;tag=1\r\nTo: <sip:127.0.0.1:{self.port}>\r\nCall-ID: probe\r\n"
                "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
            until = time.monotonic() + START_S
            while process.poll() is None and time.monotonic() < until:
                probe.sendto(options.encode(), ("127.0.0.1", self.port))
                with contextlib.suppress(OSError):
                    if probe.recv(65536).startswith(b"SIP/2.0 200"):
                        return
        raise AssertionError(f"Kamailio did not start:\n{self.log.read_text(errors='replace')}")

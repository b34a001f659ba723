"""Whose LiveKit project makes the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tuner_sipbridge.errors import LocalProtocolError

VARIABLES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
"""The names that LiveKit's own tools read."""


@dataclass(frozen=True, slots=True)
class LiveKitAccount:
    """A LiveKit project.

    Attributes:
        url: `wss://PROJECT.livekit.cloud`, or `ws://`, `http://` or `https://` of a server of one's own.
        api_key: the project's API key.
        api_secret: its secret; tokens are signed with it, it is never sent.

    Raises:
        LocalProtocolError: the URL is none of these.
    """

    url: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"ws", "wss", "http", "https"} or not parts.hostname:
            raise LocalProtocolError(
                "LIVEKIT_URL is no address of a LiveKit server: it looks like wss://PROJECT.livekit.cloud"
            )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> LiveKitAccount:
        """Read the three variables.

        Raises:
            LocalProtocolError: one is not set, or the URL is none.
        """
        missing = [name for name in VARIABLES if not environ.get(name, "").strip()]
        if missing:
            raise LocalProtocolError(
                f"calls through LiveKit need {', '.join(missing)} in the environment: LiveKit shows them"
                " under Settings, API keys"
            )
        return cls(*(environ[name].strip() for name in VARIABLES))

    @property
    def host(self) -> str:
        """Host and port as they stand in the URL."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def websocket_url(self) -> str:
        """The URL by which rooms are joined."""
        return "ws" + self.url[4:] if self.url.startswith("http") else self.url

    @property
    def http_scheme(self) -> str:
        """What carries the requests: `HTTP` or `HTTPS`."""
        return "HTTPS" if urlsplit(self.url).scheme in {"wss", "https"} else "HTTP"

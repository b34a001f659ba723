"""The files that pages load from this server: style, script, icon. Each name holds a digest of the content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: the path it is served at, its media type and content."""

    path: str
    media_type: str
    content: bytes = field(repr=False)


def _asset(name: str, media_type: str) -> Asset:
    content = (files("tuner_core.local.pages") / "static" / name).read_bytes()
    stem, _, extension = name.partition(".")
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Asset(f"/static/{stem}-{digest}.{extension}", media_type, content)


STYLE = _asset("style.css", "text/css")
SCRIPT = _asset("page.js", "text/javascript")
ICON = _asset("icon.svg", "image/svg+xml")
ASSETS = {asset.path: asset for asset in (STYLE, SCRIPT, ICON)}

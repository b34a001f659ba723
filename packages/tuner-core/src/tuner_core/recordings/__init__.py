"""The recording of a call: a URL that becomes known late, or a file that is uploaded after the call is delivered."""

from __future__ import annotations

from tuner_core.recordings.recording import Recording
from tuner_core.recordings.source import WAIT_S, UrlSource, known_url, known_url_sync
from tuner_core.recordings.target import UploadTarget

__all__ = ["WAIT_S", "Recording", "UploadTarget", "UrlSource", "known_url", "known_url_sync"]

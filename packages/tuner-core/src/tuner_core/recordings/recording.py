"""The recording of a call as a file on this machine, to be uploaded once the call is delivered."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from tuner_core.recordings.channels import HEADER_BYTES, channels_in
from tuner_core.records import CallRecord

_EXTENSION = re.compile(r"[a-z0-9]{1,10}")


@dataclass(frozen=True, slots=True, init=False)
class Recording:
    """A recording to upload: its file, and who is on which channel.

    ```python
    Recording("c-81.wav")                      # both speakers mixed into one
    Recording("c-81.wav", caller_channel=0)    # stereo, the caller on the first channel
    ```

    Attributes:
        path: the file, complete by the time it is handed over.
        caller_channel: 0-based channel of the caller; None for a mono mix.
        extension: of the file, without a dot, which tells Tuner its format; the path's own when omitted.
        delete_after: remove the file once Tuner has it.

    Raises:
        ValueError: neither the path nor `extension` says the file's format, or `caller_channel` is no channel.
    """

    # Names of recordings often hold phone numbers.
    path: Path = field(repr=False)
    caller_channel: int | None
    extension: str
    delete_after: bool

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        caller_channel: int | None = None,
        extension: str | None = None,
        delete_after: bool = False,
    ) -> None:
        given: Any = caller_channel
        if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 0):
            raise ValueError("caller_channel is the caller's channel counted from 0, or None for a mono mix")
        # Absolute from the start: whoever resumes the upload has another working directory.
        file = Path(os.path.abspath(Path(path).expanduser()))
        format_ = (extension if extension is not None else file.suffix).strip().lower().removeprefix(".")
        if not _EXTENSION.fullmatch(format_):
            raise ValueError(
                "the recording's file name has no extension that tells its format: pass extension='wav' or the like"
            )
        object.__setattr__(self, "path", file)
        object.__setattr__(self, "caller_channel", caller_channel)
        object.__setattr__(self, "extension", format_)
        object.__setattr__(self, "delete_after", delete_after)

    def fields(self) -> dict[str, Any]:
        """What the record says of it: the fields of Create Call that ask for an upload target."""
        fields: dict[str, Any] = {"recording_file_extension": self.extension}
        if self.caller_channel is not None:
            fields["recording_s3_multi_channel"] = True
            fields["recording_s3_caller_channel"] = self.caller_channel
        return fields

    def checked(self) -> tuple[Recording, tuple[str, ...]]:
        """The recording as its file's header allows, and what contradicted it, in words for a receipt's repairs.

        Flags of a stereo recording on a file with one channel would make Tuner take apart what is not apart, so they
        are left out. Two channels without `caller_channel` are sent as the mix they were called, and said. A file
        that cannot be read or has another format is taken as it was described. Reads the first 4 KiB; blocks.
        """
        channels = channels_in(_header(self.path))
        if channels is None:
            return self, ()
        if self.caller_channel is None:
            if channels == 1:
                return self, ()
            note = f"the file has {channels} channels and no caller_channel was given, sent as a mono mix"
            return self, (f"recording: {note}",)
        if self.caller_channel < channels and channels > 1:
            return self, ()
        if channels == 1:
            note = "caller_channel was given and the file has one channel, sent as a mono mix"
        else:
            note = f"caller_channel is not one of the file's {channels} channels, sent as a mono mix"
        return replace(self, caller_channel=None), (f"recording: {note}",)

    def described_in(self, record: CallRecord | Mapping[str, Any]) -> CallRecord | Mapping[str, Any]:
        """A copy of the record that asks for an upload target for this recording."""
        unset = dict.fromkeys(("recording_s3_multi_channel", "recording_s3_caller_channel"))
        fields: dict[str, Any] = {**unset, **self.fields()}
        if isinstance(record, CallRecord):
            return record.model_copy(update=fields)
        # What is neither is told by `conform`.
        given: Any = record
        return {**cast("Mapping[str, Any]", given), **fields} if isinstance(given, Mapping) else record


def _header(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEADER_BYTES)
    except OSError:
        return b""

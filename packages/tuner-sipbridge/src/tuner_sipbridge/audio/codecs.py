"""The codecs of a call by name, and those whose packets are more than one octet a sample: G.722 and Opus.

Inside, audio is G.711 at 8000 Hz whatever the wire carries. A codec that is not G.711 has an encoder for what is sent
and a decoder for what comes, one of each a stream, because both remember what went before.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, Protocol, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.audio.g711 import Law
from tuner_sipbridge.errors import LocalProtocolError

Codec: TypeAlias = Literal["PCMU", "PCMA", "G722", "opus"]
"""Encoding names of RFC 3551 and RFC 7587."""

NAMES: tuple[Codec, ...] = get_args(Codec)
BUILT_IN: tuple[Codec, ...] = ("PCMU", "PCMA")
"""What is spoken without any extra."""

_FRAME_SAMPLES = 160
_LIBRARIES: dict[str, tuple[str, str]] = {"G722": ("G722", "g722"), "opus": ("av", "opus")}
"""Module that a codec needs, and the extra of this package that brings it."""


class Encoder(Protocol):
    """Codes one stream, frame after frame."""

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Payload of one packet: 20 ms at 8000 Hz, shape (160,)."""
        ...


class Decoder(Protocol):
    """Decodes one stream, packet after packet."""

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Samples at 8000 Hz of one packet of any length; none for a payload that cannot be read."""
        ...


def law_of(codec: Codec) -> Law:
    """The law in which a stream of this codec is queued, heard and recorded."""
    return "PCMA" if codec == "PCMA" else "PCMU"


def installed(codec: str) -> bool:
    """Whether the library that a codec needs is there."""
    return codec not in _LIBRARIES or find_spec(_LIBRARIES[codec][0]) is not None


def check_installed(codecs: Iterable[str]) -> None:
    """Refuse codecs whose library is missing.

    Raises:
        LocalProtocolError: one is; the text names the extra that brings it.
    """
    for codec in codecs:
        if not installed(codec):
            module, extra = _LIBRARIES[codec]
            raise LocalProtocolError(
                f"codec {codec} needs the module {module}: pip install 'tuner-sipbridge[{extra}]'"
            )


def load(codecs: Iterable[Codec]) -> None:
    """Import what these codecs need and use it once, so that the first call of one does not wait for it.

    Raises:
        ImportError: a library is missing.
    """
    for codec in codecs:
        encoder, decoder = encoder_of(codec), decoder_of(codec)
        if encoder is not None and decoder is not None:
            decoder.decode(encoder.encode(np.zeros(_FRAME_SAMPLES, np.int16)))


def encoder_of(codec: Codec) -> Encoder | None:
    """A fresh encoder; None for G.711, which needs none.

    Raises:
        ImportError: the codec's library is missing.
    """
    if codec in BUILT_IN:
        return None
    return cast(Encoder, _module_of(codec).Encoder())


def decoder_of(codec: Codec) -> Decoder | None:
    """A fresh decoder; None for G.711, which needs none.

    Raises:
        ImportError: the codec's library is missing.
    """
    if codec in BUILT_IN:
        return None
    return cast(Decoder, _module_of(codec).Decoder())


def _module_of(codec: Codec):
    return import_module("tuner_sipbridge.audio.opus" if codec == "opus" else "tuner_sipbridge.audio.g722")

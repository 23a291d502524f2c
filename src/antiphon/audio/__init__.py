"""Sound: formats, rates, codings, pieces and levels. Pure: no clock, no waiting, no files.

Importing this loads no numpy; whatever computes imports it at its first use.
"""

from __future__ import annotations

from antiphon.audio.formats import (
    TELEPHONE,
    WIDEBAND,
    AudioFormat,
    mix_down,
    pick_channel,
    to_float,
    to_pcm,
)
from antiphon.audio.framing import Framer, Windows
from antiphon.audio.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from antiphon.audio.level import LevelMeter
from antiphon.audio.resample import Resampler, change_rate
from antiphon.audio.wave import read_wav, write_wav

__all__ = [
    "TELEPHONE",
    "WIDEBAND",
    "AudioFormat",
    "Framer",
    "LevelMeter",
    "Resampler",
    "Windows",
    "alaw_decode",
    "alaw_encode",
    "change_rate",
    "mix_down",
    "pick_channel",
    "read_wav",
    "to_float",
    "to_pcm",
    "ulaw_decode",
    "ulaw_encode",
    "write_wav",
]

"""Sound devices of this machine over PortAudio, through the library sounddevice.

Holds the two devices of `antiphon.transports.local` and the list of what there is. Must not hold a
session. Importing this loads nothing; whoever opens a device or asks for the list does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from antiphon.audio.formats import WIDEBAND, AudioFormat
from antiphon.errors import TransportError, UsageError
from antiphon.transports.line import PACKET

__all__ = ["Device", "PortAudioMicrophone", "PortAudioSpeaker", "list_devices"]

_USUAL_RATES = (48_000, 44_100)
"""Hz, tried last: what every sound card offers. Higher ones carry no more of a voice."""

_LIST = "antiphon talk --list-devices shows what there is"

_Kind = Literal["input", "output"]
_NAMES: dict[_Kind, str] = {"input": "microphone", "output": "loudspeaker"}


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device of this machine.

    Attributes:
        number: What it is chosen by, besides a part of its name.
        name: As the system calls it.
        inputs: Channels that hear; 0 if it is no microphone.
        outputs: Channels that play; 0 if it is no loudspeaker.
        sample_rate: Its own, in Hz.
        is_default_input: It is the microphone that is used if none is named.
        is_default_output: The same for the loudspeaker.
    """

    number: int
    name: str
    inputs: int
    outputs: int
    sample_rate: int
    is_default_input: bool
    is_default_output: bool


def list_devices() -> list[Device]:
    """The sound devices of this machine.

    Raises:
        UsageError: The library or PortAudio is missing; the text says what to install.
    """
    library = _library()
    with _explained(library, "the sound devices cannot be listed"):
        default_input, default_output = library.default.device
        return [
            Device(
                number=number,
                name=str(found["name"]),
                inputs=int(found["max_input_channels"]),
                outputs=int(found["max_output_channels"]),
                sample_rate=round(found["default_samplerate"]),
                is_default_input=number == default_input,
                is_default_output=number == default_output,
            )
            for number, found in enumerate(library.query_devices())
        ]


class _Device:
    """A stream that is open, and not started yet."""

    def __init__(self, kind: _Kind, device: int | str | None) -> None:
        self._library = _library()
        self._kind = kind
        self._is_stopping = False
        self._callback: Callable[..., None] = _nothing
        self._lost: Callable[[str], None] = _nothing
        rate = self._rate(device, self._find(device))
        self.format = AudioFormat(rate)
        classes = {"input": "RawInputStream", "output": "RawOutputStream"}
        with _explained(self._library, f"the {_NAMES[kind]} cannot be opened"):
            self._stream = getattr(self._library, classes[kind])(
                samplerate=rate,
                blocksize=round(rate * PACKET),
                device=device,
                channels=1,
                dtype="int16",
                latency="low",
                callback=lambda *args: self._callback(*args),
                finished_callback=self._finished,
            )
        self.latency = float(self._stream.latency)

    def stop(self) -> None:
        """Let go of the device; more than once does no harm."""
        self._is_stopping = True
        self._stream.close(ignore_errors=True)

    def _begin(self, callback: Callable[..., None], lost: Callable[[str], None]) -> None:
        self._callback, self._lost = callback, lost
        try:
            self._stream.start()
        except self._library.PortAudioError as error:
            problem = f"the {_NAMES[self._kind]} does not start: {_reason(error)}"
            raise TransportError("device", f"{problem}; {_LIST}") from error

    def _finished(self) -> None:
        if not self._is_stopping:
            self._lost("the system ended it")

    def _find(self, device: int | str | None) -> Any:
        kind = self._kind
        try:
            return self._library.query_devices(device, kind)
        except ValueError as error:
            # No device of that name, several, or one that is not of this kind.
            raise UsageError(f"no {_NAMES[kind]} {device!r}: {error}; {_LIST}") from error
        except self._library.PortAudioError as error:
            if device is None:
                problem = f"this machine has no {_NAMES[kind]} that PortAudio can use"
                more = "connect one, or in a container pass the sound server's socket in"
                raise UsageError(f"{problem}: {more}; {_LIST}") from error
            problem = f"no {_NAMES[kind]} {device!r}: {_reason(error)}"
            raise UsageError(f"{problem}; {_LIST}") from error

    def _rate(self, device: int | str | None, found: Any) -> int:
        """16 kHz if the device offers it, else its own rate; the pipeline changes it then."""
        own = round(found["default_samplerate"])
        check = getattr(self._library, f"check_{self._kind}_settings")
        refused: Exception | None = None
        for rate in dict.fromkeys((WIDEBAND.sample_rate, own, *_USUAL_RATES)):
            if not 8_000 <= rate <= 48_000:
                continue
            try:
                check(device=device, channels=1, dtype="int16", samplerate=rate)
            except self._library.PortAudioError as error:
                refused = error
            else:
                return int(rate)
        assert refused is not None
        problem = f"the {_NAMES[self._kind]} {found['name']!r} offers no rate that can be used"
        raise UsageError(f"{problem}: {_reason(refused)}; {_LIST}") from refused


class PortAudioMicrophone(_Device):
    """A microphone, open and not started.

    Args:
        device: Its number or a part of its name; None: the system's default.

    Raises:
        UsageError: There is none, or the library is missing; the text says what to do.
    """

    def __init__(self, device: int | str | None = None) -> None:
        super().__init__("input", device)

    def start(self, heard: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """Begin to hear; see `antiphon.transports.local.Microphone`."""
        self._begin(lambda pcm, frames, time, status: heard(bytes(pcm)), lost)


class PortAudioSpeaker(_Device):
    """A loudspeaker, open and not started.

    Args:
        device: Its number or a part of its name; None: the system's default.

    Raises:
        UsageError: There is none, or the library is missing; the text says what to do.
    """

    def __init__(self, device: int | str | None = None) -> None:
        super().__init__("output", device)

    def start(self, pull: Callable[[int], bytes], lost: Callable[[str], None]) -> None:
        """Begin to play; see `antiphon.transports.local.Speaker`."""

        def fill(pcm: Any, frames: int, time: Any, status: Any) -> None:
            pcm[:] = pull(len(pcm))

        self._begin(fill, lost)


def _nothing(*args: object) -> None:
    """Before it is started."""


def _library() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        if error.name != "sounddevice":
            raise
        problem = "microphone and loudspeaker need the library sounddevice"
        raise UsageError(f"{problem}: pip install 'antiphon[talk]'") from error
    except OSError as error:
        problem = "PortAudio, which reaches the sound devices, is not installed"
        on = "on Debian and Ubuntu: apt install libportaudio2, on macOS: brew install portaudio"
        raise UsageError(f"{problem}; {on}") from error
    return sounddevice


@contextmanager
def _explained(library: Any, problem: str) -> Iterator[None]:
    try:
        yield
    except library.PortAudioError as error:
        raise UsageError(f"{problem}: {_reason(error)}; {_LIST}") from error


def _reason(error: Exception) -> str:
    """PortAudio's own words, without its number."""
    return str(error.args[0] if error.args else error).rstrip(".")

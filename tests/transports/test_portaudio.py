"""Against a library in memory: what PortAudio offers differs from machine to machine."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from antiphon.errors import TransportError, UsageError
from antiphon.transports.portaudio import PortAudioMicrophone, PortAudioSpeaker, list_devices


class PortAudioError(Exception):
    pass


class Stream:
    latency = 0.03

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.closed = 0
        self.problem: Exception | None = None

    def start(self) -> None:
        if self.problem:
            raise self.problem

    def close(self, ignore_errors: bool) -> None:
        self.closed += 1
        self.options["finished_callback"]()


class Library:
    """One card at `rate`, that offers `rates`."""

    PortAudioError = PortAudioError
    RawInputStream = RawOutputStream = Stream
    default = SimpleNamespace(device=(0, -1))

    def __init__(self, rate: float = 44_100.0, rates: tuple[int, ...] = (44_100,)) -> None:
        self.rate, self.rates = rate, rates
        self.card = {
            "name": "Card",
            "max_input_channels": 2,
            "max_output_channels": 0,
            "default_samplerate": rate,
        }

    def query_devices(self, device: Any = None, kind: str | None = None) -> Any:
        if kind is None:
            return [self.card]
        if device == "USB":
            raise ValueError("No input device matching 'USB'")
        if kind == "output" or device == 7:
            raise PortAudioError("Error querying device -1")
        return self.card

    def check_input_settings(self, *, samplerate: int, **options: Any) -> None:
        if samplerate not in self.rates:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")


@pytest.fixture
def library(monkeypatch):
    library = Library()
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    return library


@pytest.mark.parametrize(
    ("own", "offered", "chosen"),
    [
        (48_000.0, (16_000, 48_000), 16_000),
        (44_100.0, (44_100, 48_000), 44_100),
        (192_000.0, (192_000, 48_000), 48_000),
        (96_000.0, (96_000, 44_100), 44_100),
    ],
)
def test_16_khz_if_offered_else_its_own_rate_else_a_usual_one(library, own, offered, chosen):
    library.__init__(own, offered)
    microphone = PortAudioMicrophone()
    assert microphone.format.sample_rate == chosen
    assert microphone._stream.options["blocksize"] == chosen // 50


def test_a_device_without_a_rate_that_can_be_used(library):
    library.__init__(192_000.0, (192_000,))
    with pytest.raises(UsageError, match=r"'Card' offers no rate .* Invalid sample rate"):
        PortAudioMicrophone()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: PortAudioSpeaker(), "has no loudspeaker that PortAudio can use: connect one"),
        (lambda: PortAudioMicrophone("USB"), "no microphone 'USB': No input device matching"),
        (lambda: PortAudioMicrophone(7), "no microphone 7: Error querying device -1"),
    ],
)
def test_no_such_device(library, make, text):
    with pytest.raises(UsageError, match=text) as caught:
        make()
    assert "antiphon talk --list-devices shows what there is" in str(caught.value)


def test_sound_reaches_who_listens_and_an_unwanted_end_is_told(library):
    heard: list[bytes] = []
    lost: list[str] = []
    microphone = PortAudioMicrophone()
    options = microphone._stream.options
    options["callback"](b"\1\0", 1, None, None)  # before it is started: nobody listens
    microphone.start(heard.append, lost.append)
    options["callback"](memoryview(b"\2\0"), 1, None, None)
    assert heard == [b"\2\0"]
    options["finished_callback"]()
    assert lost == ["the system ended it"]
    microphone.stop()
    assert lost == ["the system ended it"]
    assert microphone._stream.closed == 1


def test_a_device_that_does_not_start(library):
    microphone = PortAudioMicrophone()
    microphone._stream.problem = PortAudioError("Device unavailable")
    with pytest.raises(TransportError, match="microphone does not start: Device unavailable"):
        microphone.start(bytes, str)


def test_the_list(library):
    (card,) = list_devices()
    assert (card.number, card.name, card.inputs, card.outputs) == (0, "Card", 2, 0)
    assert (card.is_default_input, card.is_default_output) == (True, False)


def test_without_the_library_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UsageError, match=r"pip install 'antiphon\[talk\]'"):
        PortAudioMicrophone()


def test_without_portaudio_it_says_how_to_install_it(monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="apt install libportaudio2"):
        list_devices()

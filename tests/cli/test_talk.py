from __future__ import annotations

import asyncio
import os
import pty

import pytest

from antiphon.cli.talk import _pressed
from support.commands import run

# A sound library without PortAudio behind it, and one whose machine has no device.
NO_PORTAUDIO = "raise OSError('PortAudio library not found')"
NO_DEVICE = """
class PortAudioError(Exception):
    pass

class default:
    device = (-1, -1)

def query_devices(device=None, kind=None):
    if kind is None:
        return []
    raise PortAudioError("Error querying device -1")
"""


@pytest.fixture
def talk(tmp_path):
    """Run ``antiphon talk`` with the given text as its sound library."""

    def with_library(text: str, *arguments: str):
        (tmp_path / "sounddevice.py").write_text(text)
        path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
        return run("talk", *arguments, cwd=tmp_path, PYTHONPATH=path)

    return with_library


@pytest.mark.parametrize(
    ("library", "text"),
    [
        ("raise ModuleNotFoundError(name='sounddevice')", "pip install 'antiphon[talk]'"),
        (NO_PORTAUDIO, "apt install libportaudio2"),
        (NO_DEVICE, "this machine has no microphone that PortAudio can use: connect one"),
    ],
)
def test_what_is_missing_is_one_paragraph_that_says_what_to_do(talk, library, text):
    result = talk(library)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error  ")
    assert result.stderr.count("\n") == 1
    assert text in result.stderr


def test_a_list_without_devices(talk):
    result = talk(NO_DEVICE, "--list-devices")
    assert result.returncode == 1
    assert result.stdout.startswith("No sound devices: connect one")


def test_an_agent_that_is_not_there_is_told_before_the_devices(talk):
    result = talk(NO_DEVICE, "nowhere.py")
    assert result.returncode == 1
    assert "nowhere.py" in result.stderr


def test_help_names_the_options(talk):
    result = talk(NO_DEVICE, "--help")
    assert result.returncode == 0
    for option in ("--input-device", "--output-device", "--list-devices", "--full-duplex"):
        assert option in result.stdout
    assert "antiphon[talk]" in result.stdout


@pytest.mark.real_time
async def test_the_key_acts_without_enter_and_the_terminal_is_as_before(monkeypatch):
    import termios

    ours, theirs = pty.openpty()
    with os.fdopen(ours, "wb", 0) as keyboard, os.fdopen(theirs) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        before = termios.tcgetattr(terminal)
        pressed = asyncio.Event()
        with _pressed("q", pressed.set):
            keyboard.write(b"x")
            keyboard.write(b"Q")
            async with asyncio.timeout(5):
                await pressed.wait()
        assert termios.tcgetattr(terminal) == before

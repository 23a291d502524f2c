"""Models that are missing or damaged: each command says which, and what to do, and ends with 1."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from antiphon.models.store import Store
from support.commands import run

QUESTION = str(resources.files("antiphon.cli").joinpath("assets", "question.wav"))
COMMANDS = {
    "call": ("call", QUESTION, "--fast"),
    "json": ("call", QUESTION, "--json"),
    "demo": ("demo", "--no-browser", "--port", "0"),
    "serve": ("serve", "--port", "0"),
}


@pytest.fixture
def damaged(tmp_path):
    """A copy of this machine's store, in which one file has another byte."""
    for folder in Store().folder.iterdir():
        copy = tmp_path / "models" / folder.name
        copy.mkdir(parents=True)
        for file in folder.iterdir():
            if not file.name.startswith("."):
                (copy / file.name).symlink_to(file)
    model = tmp_path / "models" / "silero-vad" / "silero_vad.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.unlink()
    model.write_bytes(content)
    return tmp_path / "models"


def complaint(command: str, models: Path, cwd: Path) -> str:
    done = run(*COMMANDS[command], cwd=cwd, ANTIPHON_MODELS=str(models))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    if command == "json":
        assert done.stdout == ""
    assert done.stderr.count("error  model '") == 1
    return done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_models(tmp_path, command):
    models = tmp_path / "models"
    models.mkdir()
    text = complaint(command, models, tmp_path)
    assert "is missing; run: antiphon models pull " in text
    assert list(models.iterdir()) == []


@pytest.mark.parametrize("command", ["call", "demo"])
def test_a_damaged_model(damaged, tmp_path, command):
    text = complaint(command, damaged, tmp_path)
    assert "error  model 'silero-vad': " in text
    assert "is damaged or of another version; run: antiphon models pull silero-vad" in text

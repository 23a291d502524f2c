"""An agent that follows its file: new sessions get what was saved last and works.

Holds the watch and the exchange. Must not hold how a file is loaded (`loading`).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import Change, DefaultFilter, awatch

from antiphon.cli.loading import AgentReference
from antiphon.cli.problems import explain
from antiphon.cli.running import shown
from antiphon.cli.warming import warm
from antiphon.errors import AntiphonError
from antiphon.pipeline.offload import offload
from antiphon.server import create_app, serve

if TYPE_CHECKING:
    from rich.console import Console

    from antiphon.agent.agent import Agent
    from antiphon.server.options import ServerOptions

__all__ = ["Reloading", "folders_to_watch"]

_SOURCES = frozenset({".py", ".txt", ".md", ".json", ".toml", ".yaml", ".yml", ".csv"})
"""Endings of files that an agent is written in; a recording beside it is none."""

_NOT_OURS = frozenset({"__pycache__", "node_modules", "site-packages"})
_MOST_FOLDERS = 500


class Reloading:
    """Serves an agent whose file changes.

    Args:
        reference: Where the agent is written down.
        console: Where conversations and mistakes are shown.

    Attributes:
        agent: The last that could be loaded: what new sessions get.

    Raises:
        UsageError: The agent cannot be loaded now.
    """

    def __init__(self, reference: AgentReference, console: Console) -> None:
        self._reference = reference
        self._console = console
        self.agent: Agent = reference.load()

    async def serve(self, options: ServerOptions) -> None:
        """Load the models, then serve and follow the file until Ctrl-C.

        Raises:
            AntiphonError: A model is missing, a provider refuses, or the port is taken.
        """
        await warm(self.agent, self._console)
        app = create_app(shown(lambda: self.agent, self._console), options)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch(), name="watch")
            await serve(app, options, started=self._started)
            watching.cancel()

    def _started(self, address: str) -> None:
        folder = self._reference.folder()
        self._console.print(f"\n[bold]Talk to it:[/bold] {address}")
        self._console.print(f"[dim]Follows changes in {folder}. Ctrl-C ends it.[/dim]\n")

    async def _watch(self) -> None:
        folders = folders_to_watch(self._reference.folder())
        changed = awatch(*folders, watch_filter=_Sources(), recursive=False, raise_interrupt=False)
        try:
            async for changes in changed:
                names = sorted({Path(path).name for _, path in changes})
                await self.reload(", ".join(names[:3]))
        except OSError as error:
            # Such as too many folders for the system: what is served stays as it is.
            self._console.print(f"[bold red]error[/bold red]  cannot follow changes: {error}")

    async def reload(self, changed: str) -> None:
        """Load the agent anew; if that fails, say why and keep the one there is.

        Args:
            changed: What has changed, in words.
        """
        try:
            agent = await offload(self._load)
            await agent.prewarm()
        except AntiphonError as error:
            self._console.print(f"[bold red]error[/bold red]  {explain(error)}", markup=True)
            self._console.print(f"[dim]{changed}: not taken; the agent from before stays[/dim]\n")
        else:
            self.agent = agent
            self._console.print(f"[green]reloaded[/green] [dim]{changed}; new sessions get it\n")

    def _load(self) -> Agent:
        self._reference.forget()
        return self._reference.load()


def folders_to_watch(folder: Path) -> list[Path]:
    """Give `folder` and those in it that may hold an agent's code; alone if they are very many.

    Environments, caches and hidden folders hold tens of thousands, more than a system watches.
    """
    folders = [folder]
    for at, names, _ in os.walk(folder):
        names[:] = [n for n in names if not n.startswith(".") and n not in _NOT_OURS]
        names[:] = [n for n in names if not Path(at, n, "pyvenv.cfg").exists()]
        folders += [Path(at, name) for name in names]
        if len(folders) > _MOST_FOLDERS:
            return [folder]
    return folders


class _Sources(DefaultFilter):
    """What an agent is written in, but nothing of caches, environments and hidden folders."""

    def __call__(self, change: Change, path: str) -> bool:
        return Path(path).suffix in _SOURCES and super().__call__(change, path)

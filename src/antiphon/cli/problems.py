"""How a command ends when something is wrong: one paragraph and an exit code, no traceback.

Holds the ending. Must not hold the texts: the errors carry them. Exit codes: 0 it worked, 1 it did
not and the text says who can mend it, 2 the command was typed wrong, 130 Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TypeAlias

import typer

from antiphon.errors import AntiphonError, ModelError

__all__ = ["INTERRUPTED", "Debug", "explain", "explained"]

INTERRUPTED = 130
"""Source: what shells report for a program that SIGINT ended: 128 and the signal's number."""

_BEHIND_OPTIONS = ("ServerOptions", "WavTransport")
"""Classes that options of commands are handed to; who types a command knows nothing of them."""

Debug: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--debug",
        help="Show the traceback when something goes wrong.",
        envvar="ANTIPHON_DEBUG",
        show_envvar=False,
        rich_help_panel="When something goes wrong",
    ),
]


def explain(error: AntiphonError) -> str:
    """The paragraph that says what happened, with the cause where only that says it."""
    text, cause = str(error), error.__cause__
    for owner in _BEHIND_OPTIONS:
        text = text.removeprefix(f"{owner}: ")
    if isinstance(error, ModelError) and _not_ready() > 1:
        text += f" ({_not_ready()} models are not ready: antiphon models pull fetches all)"
    if error.code == "stage" and cause is not None:
        return f"{text}: {type(cause).__name__}: {cause}".rstrip(": ")
    return text


def _not_ready() -> int:
    """How many of the models that an agent uses by default are missing or damaged."""
    from antiphon.models.store import State, Store

    try:
        store = Store()
        wanted = [model.name for model in store.manifest.models if model.default and model.files]
        return sum(store.state(name) is not State.READY for name in wanted)
    except AntiphonError:
        return 0


@contextmanager
def explained(*, debug: bool) -> Iterator[None]:
    """Turn errors that somebody can mend into a paragraph on stderr and exit code 1.

    Any other error is a bug of ours or of an agent's author, and keeps its traceback.
    """
    try:
        yield
    except AntiphonError as error:
        if debug:
            raise
        typer.echo(f"{typer.style('error', fg='red', bold=True)}  {explain(error)}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        if debug:
            raise
        raise typer.Exit(INTERRUPTED) from error

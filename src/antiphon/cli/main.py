"""``antiphon``: the command line, put together from one module per group of commands.

Holds the mounting and the first words. Must not hold a command's work, nor import anything heavy:
every command imports what it needs when it runs.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from antiphon.cli import call, demo, models, serve, talk

__all__ = ["app", "main"]

_TALK, _BUILD, _SET_UP = "Talk", "Build", "Set up"

app = typer.Typer(
    help="Real-time voice agents: people speak, it answers, and stops at once when interrupted.",
    epilog="Every command explains itself, with examples: antiphon COMMAND --help",
    rich_markup_mode="rich",
    # Errors that somebody can mend are explained (see `problems`); the others are bugs.
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo", help=demo.HELP, rich_help_panel=_TALK)(demo.demo)
app.command("talk", help=talk.HELP, rich_help_panel=_TALK)(talk.talk)
app.command("call", help=call.HELP, rich_help_panel=_TALK)(call.call)
app.command("dev", help=serve.DEV_HELP, rich_help_panel=_BUILD)(serve.dev)
app.command("serve", help=serve.SERVE_HELP, rich_help_panel=_BUILD)(serve.serve)
app.add_typer(models.app, name="models", rich_help_panel=_SET_UP)

_FIRST = """[bold]antiphon[/bold] {version}: real-time voice agents on this machine

  {models}
  [cyan]antiphon demo[/cyan]             talk to a sample agent, offline and without a key
  [cyan]antiphon dev my_agent.py[/cyan]  write your own; saved changes count at once
  [cyan]antiphon call hello.wav[/cyan]   hear what it answers to a recording

[dim]antiphon --help shows all commands, antiphon COMMAND --help explains one.[/dim]"""

_PULL = "[cyan]antiphon models pull[/cyan]      fetch the models, once: {size}\n"


def _version() -> str:
    from importlib.metadata import version

    return version("antiphon")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"antiphon {_version()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        _print_first()


def _print_first() -> None:
    """What to do first, on this machine as it is."""
    from rich.filesize import decimal

    from antiphon.cli.printing import make_console
    from antiphon.errors import AntiphonError
    from antiphon.models.store import State, Store

    text = _FIRST
    try:
        store = Store()
        wanted = [model for model in store.manifest.models if model.default and model.files]
        missing = [model for model in wanted if store.state(model.name) is not State.READY]
    except AntiphonError as error:
        text = text.replace("{models}\n", f"[red]{error}[/red]\n\n")
    else:
        size = decimal(sum(model.size for model in missing))
        first = _PULL.format(size=size) if missing else ""
        text = text.replace("  {models}\n", f"  {first}" if first else "")
    make_console().print(text.replace("{version}", _version()))


def main() -> None:
    """Run the command line."""
    # A terminal without some sign shows "?" for it instead of a traceback.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    app()

"""``antiphon``: the command line, put together from one module per group of commands.

Holds the mounting. Must not hold a command's work.
"""

from __future__ import annotations

import typer

from antiphon.cli import models

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, help="Real-time voice agents.")
app.add_typer(models.app, name="models")


@app.callback()
def _root() -> None:
    """Keep the groups even while there is only one."""


def main() -> None:
    """Run the command line."""
    app()

"""How the command line shows a conversation: lines that stay, and below them what is going on now.

Holds the look, for terminals of 80 columns, dark and light, and for pipes. Must not hold what is
shown (`conversation`), nor wait.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from rich.bar import Bar
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from antiphon.cli.conversation import Turn, View
from antiphon.frames import AgentState, ServiceFailed, WaterfallPart

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import RenderableType

__all__ = ["Failures", "Printed", "Waiting", "make_console", "show_turn", "waterfall_table"]

_INDENT = 7
"""Columns before the words: the longest label and two spaces."""

_SETTING = 25
"""Columns for what governs a part: the longest name of an option."""

_NARROW = 76
"""Columns below which that would leave no room for the bars."""

_COLOURS = ("cyan", "magenta", "green", "blue", "red", "yellow")
"""Named colours, which each terminal's own theme makes readable on its background."""

_Row: TypeAlias = "tuple[str, str, RenderableType]"


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads on, as with ``| head``: be quiet, and let what goes on go on."""
        self.quiet = True
        # The interpreter writes what is left at its end, and would complain.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def make_console(*, stderr: bool = False) -> Console:
    """A console that colours only what it is told to."""
    return _Console(stderr=stderr, highlight=False, emoji=False)


# ---- lines that stay --------------------------------------------------------------------------


def _line(label: str, words: Text, style: str) -> Table:
    grid = Table.grid(padding=0)
    grid.add_column(width=_INDENT, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label, style=style), words)
    return grid


def asked_line(turn: Turn) -> Table:
    """What the person said."""
    return _line("you", Text(turn.user), "bold cyan")


def answered_line(turn: Turn, *, can_strike: bool) -> Table:
    """What was heard of the answer, and what was cut off of it."""
    words = Text(turn.agent)
    if not (turn.agent or turn.unheard):
        words = Text("(no answer)", style="dim")
    if turn.interrupted and turn.unheard:
        if can_strike:
            words.append(" ").append(turn.unheard, style="dim strike")
            words.append(" (interrupted)", style="red")
        else:
            words.append(f" (interrupted; not heard: {turn.unheard})")
    elif turn.interrupted:
        words.append(" (interrupted)", style="red")
    return _line("agent", words, "bold magenta")


def tool_lines(turn: Turn) -> list[Table]:
    """The functions that ran, with what they were given."""
    lines = []
    for tool in turn.tools:
        given = ", ".join(f"{name}={value!r}" for name, value in tool.call.arguments.items())
        words = Text(f"{tool.call.name}({given})", style="dim")
        words.append(f"  {_milliseconds(tool.seconds)}", style="dim")
        if tool.failed:
            words.append("  failed", style="red")
        lines.append(_line("tool", words, "dim"))
    return lines


def waterfall_table(parts: Sequence[WaterfallPart], *, width: int = 80) -> Table:
    """Where the time of a turn went: one bar for each part, its owner and what governs it.

    Args:
        parts: Of one turn.
        width: Columns that there are; where they are few, what governs it is left out.
    """
    total = sum(part.seconds for part in parts)
    owners = list(dict.fromkeys(part.owner for part in parts))
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    table.add_column("part", no_wrap=True)
    table.add_column("", min_width=10, ratio=1)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("owner", no_wrap=True)
    if width >= _NARROW:
        table.add_column("governed by", max_width=_SETTING, overflow="fold", style="dim")
    end = 0.0
    for part in parts:
        begin, end = end, end + part.seconds
        time = _milliseconds(part.seconds)
        # Where no time goes none can be won.
        if time != _milliseconds(0.0):
            colour = _COLOURS[owners.index(part.owner) % len(_COLOURS)]
            bar = Bar(total, begin, end, color=colour)
            row = (part.name, bar, time, part.owner, part.setting)
            table.add_row(*row[: len(table.columns)])
    table.add_row(
        Text("voice to voice", style="bold"), "", Text(_milliseconds(total), style="bold")
    )
    return table


def show_turn(console: Console, turn: Turn) -> None:
    """Print what the agent made of a turn, below the line of what was asked."""
    for line in tool_lines(turn):
        console.print(line)
    console.print(answered_line(turn, can_strike=console.is_terminal))
    if turn.parts:
        console.print()
        console.print(Padding(waterfall_table(turn.parts, width=console.width), (0, 0, 0, 2)))
    console.print()


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


# ---- what is going on now ---------------------------------------------------------------------


class Failures(View):
    """Prints nothing but what failed.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def failed(self, problem: ServiceFailed) -> None:
        """Print what failed."""
        # An error's own text names its service already.
        text = problem.problem.removeprefix(f"{problem.service}: ")
        self._console.print(_line("error", Text(f"{problem.service}: {text}"), "bold red"))


class Printed(Failures):
    """Prints the conversation; on a terminal also, in a last line that changes, what is being said.

    Use it as a context manager.

    Args:
        console: Where to.
        live: Show the changing line; of no use where time is not real.
    """

    def __init__(self, console: Console, *, live: bool = True) -> None:
        super().__init__(console)
        self._heard = ""
        self._live: Live | None = None
        if live and console.is_terminal:
            self._live = Live(
                console=console, transient=True, refresh_per_second=10, redirect_stderr=False
            )

    def __enter__(self) -> Printed:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def hearing(self, words: str) -> None:
        """Show the words as they come."""
        self._heard = words
        self._now(_line("you", Text(words + " …", style="dim"), "bold cyan"))

    def saying(self, words: str) -> None:
        """Show the answer as it is spoken."""
        self._now(_line("agent", Text(words + " …", style="dim"), "bold magenta"))

    def state(self, state: AgentState) -> None:
        """Show that the agent thinks: between the two voices nothing else is seen."""
        if state is AgentState.THINKING:
            heard = _line("you", Text(self._heard, style="dim"), "bold cyan")
            self._now(Group(heard, Spinner("dots", Text("thinking", style="dim"))))

    def asked(self, turn: Turn) -> None:
        """Print what was asked."""
        self._heard = ""
        self._now("")
        if turn.user:
            self._console.print(asked_line(turn))

    def answered(self, turn: Turn) -> None:
        """Print the answer and its waterfall."""
        self._now("")
        show_turn(self._console, turn)

    def _now(self, shown: RenderableType) -> None:
        if self._live is not None:
            self._live.update(shown)


class Waiting:
    """Shows several things that become ready side by side, and how long each took.

    Use it as a context manager. Elsewhere than on a terminal each is printed when it is ready.

    Args:
        console: Where to.
        what: Key, name and purpose of each.
    """

    def __init__(self, console: Console, what: Sequence[tuple[str, str, str]]) -> None:
        self._console = console
        self._what = tuple(what)
        self._seconds: dict[str, float] = {}
        self._spinner = Spinner("dots")
        self._widths = [max(map(len, column), default=0) for column in zip(*what, strict=True)]
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(self, console=console, refresh_per_second=12, redirect_stderr=False)

    def __enter__(self) -> Waiting:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def ready(self, key: str, seconds: float) -> None:
        """One of them is ready."""
        self._seconds[key] = seconds
        if self._live is None:
            self._console.print(self._table([entry for entry in self._what if entry[0] == key]))

    def __rich__(self) -> Group:
        return Group(self._table(self._what))

    def _table(self, what: Sequence[tuple[str, str, str]]) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=2, justify="right")
        for width, style in zip(self._widths[1:], ("", "dim"), strict=False):
            table.add_column(min_width=width, style=style)
        table.add_column(justify="right", min_width=8)
        for key, name, purpose in what:
            seconds = self._seconds.get(key)
            if seconds is None:
                table.add_row(self._spinner, name, purpose, "")
            else:
                table.add_row(Text("✓", style="green"), name, purpose, _milliseconds(seconds))
        return table

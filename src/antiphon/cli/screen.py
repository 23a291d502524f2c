"""The full-screen view of one conversation: state, microphone, what is said, where the time went.

Holds the look, for terminals of 80 columns and 24 lines or more. Must not hold what is shown
(`conversation`), nor keys (`talk`). The lines themselves are those of `printing`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Group
from rich.layout import Layout
from rich.live import Live
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from antiphon.cli.conversation import Turn, View
from antiphon.cli.printing import answered_line, asked_line, tool_lines, waterfall_table
from antiphon.frames import AgentState, ServiceFailed

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

__all__ = ["Screen", "level_bar"]

_QUIETEST, _LOUDEST = -60.0, 0.0
"""dBFS that the meter spans: a quiet room to the largest sample."""

_TOO_LOUD = -6.0
"""dBFS of the window's rms above which speech is cut off at its peaks."""

_METER = 24
"""Columns of the meter."""

_MOST_TURNS = 50
"""Turns that are kept for the screen; more fit on none."""

_STATES = {
    AgentState.LISTENING: ("listening", "green"),
    AgentState.THINKING: ("thinking", "yellow"),
    AgentState.SPEAKING: ("speaking", "magenta"),
}


def level_bar(level: float, *, width: int = _METER) -> Text:
    """The microphone's loudness as a bar.

    Args:
        level: In dBFS, -96 to 0.
        width: Columns.
    """
    share = (min(max(level, _QUIETEST), _LOUDEST) - _QUIETEST) / (_LOUDEST - _QUIETEST)
    full = round(share * width)
    bar = Text("█" * full, style="red" if level > _TOO_LOUD else "green")
    return bar.append("·" * (width - full), style="dim")


class Screen(View):
    """Shows the conversation on the whole terminal. Use it as a context manager.

    Args:
        console: Of a terminal.
        who: Name of the agent.
        microphone: Gives the loudness now, in dBFS, and whether the microphone is not heard.
    """

    def __init__(
        self, console: Console, who: str, microphone: Callable[[], tuple[float, bool]]
    ) -> None:
        self._who = who
        self._microphone = microphone
        self._console = console
        self._state = AgentState.LISTENING
        self._lines: list[RenderableType] = []
        self._now: RenderableType | None = None
        self._last: Turn | None = None
        # The screen is drawn by a thread of its own: what it reads is replaced, never changed.
        self._live = Live(
            console=console,
            screen=True,
            refresh_per_second=12,
            redirect_stderr=False,
            get_renderable=self._draw,
        )

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    # ---- what happens ---------------------------------------------------------------------

    def hearing(self, words: str) -> None:
        """Show the words as they come."""
        self._now = asked_line(Turn(f"{words} …"))

    def state(self, state: AgentState) -> None:
        """Show what the agent does."""
        self._state = state

    def asked(self, turn: Turn) -> None:
        """Show what was asked."""
        self._now = None
        if turn.user:
            self._add(asked_line(turn))

    def saying(self, words: str) -> None:
        """Show the answer as it is spoken."""
        self._now = answered_line(Turn("", agent=f"{words} …"), can_strike=True)

    def answered(self, turn: Turn) -> None:
        """Show the answer as it was heard, and where its time went."""
        self._now = None
        self._add(*tool_lines(turn), answered_line(turn, can_strike=True), Text())
        if turn.parts:
            self._last = turn

    def failed(self, problem: ServiceFailed) -> None:
        """Show what failed."""
        text = problem.problem.removeprefix(f"{problem.service}: ")
        self._add(Text(f"{problem.service}: {text}", style="red"))

    def _add(self, *lines: RenderableType) -> None:
        self._lines = [*self._lines, *lines][-4 * _MOST_TURNS :]

    # ---- the picture ----------------------------------------------------------------------

    def _draw(self) -> Layout:
        now = self._now
        lines = self._lines if now is None else [*self._lines, now]
        if not lines:
            lines = [Text("Say something.", style="dim")]
        layout = Layout()
        parts = [
            Layout(self._head(), size=2),
            Layout(Padding(_Tail(Group(*lines)), (0, 1)), ratio=1, minimum_size=4),
        ]
        if self._last is not None:
            table = waterfall_table(self._last.parts, width=self._console.width - 2)
            # What is above a third of the screen is left to the words.
            most = max(self._console.height // 2 - 1, 4)
            size = min(len(table.rows) + 2, most)
            parts.append(Layout(Padding(table, (1, 1, 0, 1)), size=size))
        parts.append(Layout(Text(" q or Ctrl-C ends it", style="dim"), size=1))
        layout.split_column(*parts)
        return layout

    def _head(self) -> Table:
        level, is_guarded = self._microphone()
        word, colour = _STATES[self._state]
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
        grid.add_column(no_wrap=True, width=11)
        grid.add_column(no_wrap=True, width=_METER + 4)
        if is_guarded:
            meter = Text("mic waits for the agent", style="dim")
        else:
            meter = Text("mic ", style="dim").append_text(level_bar(level))
        name = Text(f" {self._who}", style="bold")
        grid.add_row(name, Text(f"● {word}", style=colour), meter)
        return grid


class _Tail:
    """The last lines of something that is longer than its place."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        lines = console.render_lines(self._inner, options.update(height=None))
        for line in lines[-height:]:
            yield from line
            yield Segment.line()

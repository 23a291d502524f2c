from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from antiphon.cli.conversation import Turn
from antiphon.cli.printing import Printed, Waiting, show_turn, waterfall_table
from antiphon.frames import AgentState, WaterfallPart

STRIKE = "\x1b[2;9m"
PARTS = (
    WaterfallPart("voice detection", 0.1, "vad", "VoiceOptions.stop_silence"),
    WaterfallPart("turn decision", 0.3, "turn policy", "TurnOptions.min_wait, max_wait, curve"),
)


@pytest.fixture
def terminal():
    return Console(
        file=io.StringIO(), force_terminal=True, width=80, color_system="standard", highlight=False
    )


@pytest.fixture
def pipe():
    return Console(file=io.StringIO(), width=80, highlight=False)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_what_was_not_heard_is_struck_through(terminal):
    show_turn(terminal, Turn("Hi", "We are open", unheard="on Monday.", interrupted=True))
    assert f"We are open {STRIKE}on Monday." in printed(terminal)
    assert "(interrupted)" in printed(terminal)


def test_where_nothing_can_be_struck_through_it_is_said(pipe):
    show_turn(pipe, Turn("Hi", "We are open", unheard="on Monday.", interrupted=True))
    assert "We are open (interrupted; not heard: on Monday.)" in printed(pipe)


def test_bars_follow_one_another_over_the_whole_width(pipe):
    pipe.print(waterfall_table(PARTS))
    lines = printed(pipe).splitlines()
    assert max(map(len, lines)) <= 80
    detection = next(line for line in lines if "voice detection" in line)
    decision = next(line for line in lines if "turn decision" in line)
    assert 2.5 < decision.count("█") / detection.count("█") <= 4
    assert decision.index("█") >= detection.rindex("█")
    assert "400 ms" in lines[-1]


def test_a_part_without_time_is_left_out(pipe):
    pipe.print(waterfall_table([*PARTS, WaterfallPart("output", 0.0004, "transport", "network")]))
    assert "output" not in printed(pipe)


@pytest.mark.parametrize("width", [40, 60, 200])
def test_any_width_keeps_every_number(width):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(waterfall_table(PARTS, width=width))
    assert all(text in printed(console) for text in ("100 ms", "300 ms", "400 ms"))
    assert max(map(len, printed(console).splitlines())) <= width
    assert ("stop_silence" in printed(console)) is (width >= 80)


def test_markup_in_words_is_not_markup(pipe):
    show_turn(pipe, Turn("Hi", "Press [bold]1[/bold] :smile:"))
    assert "Press [bold]1[/bold] :smile:" in printed(pipe)


def test_on_a_terminal_the_words_are_shown_as_they_come_and_then_replaced(terminal):
    with Printed(terminal) as view:
        view.hearing("Are you")
        view._live.refresh()
        view.state(AgentState.THINKING)
        view._live.refresh()
        view.asked(Turn("Are you open?"))
        view.saying("Yes")
        view._live.refresh()
        view.answered(Turn("Are you open?", "Yes, we are."))
    shown = plain(printed(terminal))
    places = [
        shown.index(text)
        for text in ("Are you …", "thinking", "Are you open?", "Yes …", "Yes, we are.")
    ]
    assert places == sorted(places)


def test_elsewhere_only_what_stays_is_printed(pipe):
    with Printed(pipe) as view:
        view.hearing("Are you")
        view.state(AgentState.THINKING)
        view.saying("Yes")
    assert printed(pipe) == ""


WHAT = [("a", "silero", "hears voices"), ("b", "whisper/tiny.en", "understands words")]


def test_each_that_is_ready_is_printed_in_columns(pipe):
    with Waiting(pipe, WHAT) as waiting:
        waiting.ready("b", 0.5)
        waiting.ready("a", 1.25)
    first, second = printed(pipe).splitlines()
    assert "whisper/tiny.en" in first
    assert first.index("500 ms") + 6 == second.index("1250 ms") + 7
    assert first.index("understands") == second.index("hears")


def test_on_a_terminal_those_that_are_not_ready_are_shown_too(terminal):
    with Waiting(terminal, WHAT) as waiting:
        waiting.ready("b", 0.5)
    last = plain(printed(terminal)).splitlines()[-2:]
    assert "silero" in last[0]
    assert "ms" not in last[0]
    assert "✓" in last[1]

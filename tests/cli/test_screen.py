from __future__ import annotations

import io

import pytest
from rich.console import Console

from antiphon.cli.conversation import Turn
from antiphon.cli.screen import Screen, level_bar
from antiphon.frames import AgentState, ServiceFailed, WaterfallPart

PARTS = tuple(WaterfallPart(f"part {n}", 0.05, "owner", "Agent.option") for n in range(7))


def screen(level: float = -20.0, *, is_guarded: bool = False, height: int = 24) -> Screen:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=height)
    return Screen(console, "my_agent.py", lambda: (level, is_guarded))


def drawn(shown: Screen, *, styled: bool = False) -> list[str]:
    console = shown._console
    lines = console.render_lines(shown._draw(), pad=True)
    if styled:
        return [
            "".join(s.style.render(s.text) if s.style else s.text for s in line) for line in lines
        ]
    return ["".join(segment.text for segment in line) for line in lines]


@pytest.mark.parametrize(
    ("level", "full"), [(-96.0, 0), (-60.0, 0), (-30.0, 12), (-15.0, 18), (0.0, 24)]
)
def test_the_meter(level, full):
    assert level_bar(level).plain == "█" * full + "·" * (24 - full)


def test_an_empty_screen_says_what_to_do():
    lines = drawn(screen())
    assert len(lines) == 24
    assert {len(line) for line in lines} == {80}
    assert "my_agent.py" in lines[0]
    assert "● listening" in lines[0]
    assert "mic ████████████████········" in lines[0]
    assert any("Say something." in line for line in lines)
    assert "q or Ctrl-C ends it" in lines[-1]


def test_words_come_as_they_are_heard_and_stay_when_they_are_settled():
    shown = screen()
    shown.hearing("Where is")
    assert any("Where is …" in line for line in drawn(shown))
    shown.asked(Turn("Where is it?"))
    shown.state(AgentState.SPEAKING)
    shown.saying("It ships")
    lines = drawn(shown)
    assert not any("Where is …" in line for line in lines)
    assert any("Where is it?" in line for line in lines)
    assert any("It ships …" in line for line in lines)
    assert "● speaking" in lines[0]


def test_cut_words_are_struck_through():
    shown = screen()
    shown.answered(Turn("Where?", agent="It ships", unheard="tomorrow", interrupted=True))
    (line,) = [line for line in drawn(shown, styled=True) if "tomorrow" in line]
    # 9 is the sign for struck through.
    assert "\x1b[2;9mtomorrow" in line
    assert "(interrupted)" in line


def test_on_80_by_24_a_long_conversation_keeps_its_end_and_the_last_waterfall():
    shown = screen(is_guarded=True)
    for n in range(60):
        turn = Turn(f"question {n}", agent=f"answer {n} " + "word " * 30, parts=PARTS)
        shown.asked(turn)
        shown.answered(turn)
    lines = drawn(shown)
    assert len(lines) == 24
    text = "\n".join(lines)
    assert "mic waits for the agent" in lines[0]
    assert "answer 59" in text
    assert "question 0" not in text
    assert "part 6" in text
    assert "voice to voice" in text
    assert "350 ms" in text
    assert "q or Ctrl-C" in lines[-1]


def test_what_failed_is_shown():
    shown = screen()
    shown.failed(ServiceFailed("acme", "remote", "acme: refused: no key", 1))
    assert any("acme: refused: no key" in line for line in drawn(shown))

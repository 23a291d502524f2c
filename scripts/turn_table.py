"""Write docs/turns.md from the table of the turn machine: `python scripts/turn_table.py`.

A test compares the file with what this prints, so that the picture cannot drift from the code.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from antiphon.turns.machine import TABLE, TIMERS
from antiphon.turns.state import Phase

PAGE = Path(__file__).parent.parent / "docs" / "turns.md"

HEAD = """\
# Who has the floor

Made from `src/antiphon/turns/machine.py` by `python scripts/turn_table.py`; do not edit.

The machine takes an event at `now`, gives orders, and says when it wants to be called next. It
reads no clock and waits for nothing, so every row below is tested by values, and a stateful
property test holds for any order of events: no word is lost and none is answered twice, one reply
at a time, never deaf, never stuck, no timer spins, a stale reply changes nothing.
"""


def first_line(action: object) -> str:
    """What an action means: the first line of its docstring."""
    return (inspect.getdoc(action) or "").splitlines()[0]


def picture() -> Iterator[str]:
    """The phases and what leads from one to another, as a Mermaid diagram."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "  [*] --> listening"
    for phase, rows in TABLE.items():
        ways: dict[Phase, list[str]] = {}
        for event, row in rows.items():
            for target in Phase:
                if target in row.leads_to and target is not phase:
                    ways.setdefault(target, []).append(event.__name__)
        for target in Phase:
            if phase in TIMERS and target in TIMERS[phase][1] and target is not phase:
                ways.setdefault(target, []).append("time")
        for target, events in ways.items():
            yield f"  {phase.value} --> {target.value}: {', '.join(events)}"
    yield "```"


def table(phase: Phase) -> Iterator[str]:
    """What every event does in one phase."""
    yield f"## {phase.value}"
    yield ""
    yield "| event | what it does | may lead to |"
    yield "|---|---|---|"
    for event, row in TABLE[phase].items():
        targets = ", ".join(p.value for p in Phase if p in row.leads_to)
        yield f"| {event.__name__} | {first_line(row.action)} | {targets} |"
    if phase in TIMERS:
        action, leads_to = TIMERS[phase]
        targets = ", ".join(p.value for p in Phase if p in leads_to)
        yield f"| *time* | {first_line(action)} | {targets} |"
    yield ""


def page() -> str:
    """The whole page."""
    lines = [HEAD, *picture(), ""]
    for phase in Phase:
        lines += table(phase)
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.name}\n")

"""Conversations in virtual time, and what a test of a voice agent needs.

Only re-exports, each loaded when it is first asked for: pytest imports this package at start-up
in every project that has antiphon installed. Must not import anything by itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.testing.cancellation import cancel_at_every_step
    from antiphon.testing.loop_errors import Deadlock, Livelock, NotVirtual, TimeLimitReached
    from antiphon.testing.virtual_time import LoopStatistics, VirtualLoop, run

__all__ = [
    "Deadlock",
    "Livelock",
    "LoopStatistics",
    "NotVirtual",
    "TimeLimitReached",
    "VirtualLoop",
    "cancel_at_every_step",
    "run",
]

_HOMES = {
    "cancellation": ("cancel_at_every_step",),
    "loop_errors": ("Deadlock", "Livelock", "NotVirtual", "TimeLimitReached"),
    "virtual_time": ("LoopStatistics", "VirtualLoop", "run"),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

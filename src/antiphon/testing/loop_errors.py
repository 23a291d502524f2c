"""What a virtual loop raises, and what it refuses.

Holds the errors and the one text of a refusal. Must not hold a loop, nor anything that waits.
"""

from __future__ import annotations

from antiphon.errors import UsageError

__all__ = ["Deadlock", "Livelock", "NotVirtual", "Stuck", "TimeLimitReached", "not_virtual"]


class Stuck(UsageError):
    """A virtual loop cannot go on.

    Attributes:
        now: Virtual time, in seconds.
        tasks: One text per task: its coroutine and the lines at which it waits.
    """

    def __init__(self, problem: str, now: float, tasks: tuple[str, ...]) -> None:
        told = "\n  ".join(tasks) or "there is no task"
        super().__init__(f"at {now!r} s of virtual time {problem}\n  {told}")
        self.now = now
        self.tasks = tasks


class Deadlock(Stuck):
    """Every task waits and nothing can wake one."""

    code = "deadlock"


class Livelock(Stuck):
    """The loop turns and turns at one instant; the text names what is ready."""

    code = "livelock"


class TimeLimitReached(Stuck):
    """The next timer lies beyond the loop's time limit."""

    code = "time-limit"


class NotVirtual(UsageError):
    """Something real, such as a socket or another thread, was asked of a virtual loop."""

    code = "not-virtual"


def not_virtual(what: str, instead: str = "") -> NotVirtual:
    """Make the error for something real that was asked of a virtual loop.

    Args:
        what: What was asked, such as ``"create_connection()"``.
        instead: What to do; by default, to use a stand-in of antiphon.testing.

    Returns:
        The error, to be raised.
    """
    instead = instead or "use a scripted or in-memory stand-in of antiphon.testing"
    return NotVirtual(
        f"{what} has no place in virtual time: {instead}, "
        "or use a real loop (in a test: @pytest.mark.real_time)"
    )

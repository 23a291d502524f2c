"""`Script`: what a scripted service says the first time, the second time and so on.

Holds the place in a script. Must not know what stands in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from antiphon.errors import UsageError

__all__ = ["Script"]

Item = TypeVar("Item")


class Script(Generic[Item]):
    """Gives one item after the other; a script of one constant never ends.

    Args:
        owner: Whose it is, such as ``"ScriptedLLM"``.
        asked: What a request for an item is, such as ``"a reply"``.
        items: In order.
        constant: Given every time, instead of `items`.
    """

    __slots__ = ("_asked", "_constant", "_items", "_owner", "taken")

    def __init__(
        self, owner: str, asked: str, items: Sequence[Item] = (), *, constant: Item | None = None
    ) -> None:
        self._owner = owner
        self._asked = asked
        self._items = tuple(items)
        self._constant = constant
        self.taken = 0
        """Items given so far."""

    def next(self) -> Item:
        """Give the next item.

        Raises:
            UsageError: The script has no more: the test did not foresee this request.
        """
        self.taken += 1
        if self._constant is not None:
            return self._constant
        if self.taken > len(self._items):
            raise UsageError(
                f"the script of {self._owner} has {len(self._items)} items, but was asked for "
                f"{self._asked} for the {self.taken}. time"
            )
        return self._items[self.taken - 1]

    def fresh(self, *, after: int = 0) -> Script[Item]:
        """The same script, read from its start or from behind `after` items."""
        again = Script(self._owner, self._asked, self._items, constant=self._constant)
        again.taken = after
        return again

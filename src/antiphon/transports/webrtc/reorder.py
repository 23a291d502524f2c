"""`Reorder`: RTP packets in the order in which they were sent, waiting for none but the misplaced.

A server that transcribes has no clock to feed, so what is in order is handed over at once. Pure:
must not hold sound, nor read a clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["MOST_HELD", "Reorder"]

Item = TypeVar("Item")

MOST_HELD = 2
"""Packets that wait for one before them: 40 ms, then it counts as lost."""

_RANGE = 1 << 16
_JUMP = 250
"""Packets, 5 s: whoever is further away than this has begun to count anew."""


class Reorder(Generic[Item]):
    """Orders one stream by its 16-bit sequence numbers (RFC 3550, section 5.1).

    Args:
        most_held: Packets that are held back at most while one before them is missing.
    """

    def __init__(self, most_held: int = MOST_HELD) -> None:
        self._most_held = most_held
        self._held: dict[int, Item] = {}
        """By their distance from the next one that is to be handed over; never 0."""
        self._next: int | None = None

    def take(self, sequence: int, item: Item) -> list[tuple[int, Item]]:
        """A packet came.

        Args:
            sequence: Its number, 0 to 65535.
            item: Whatever belongs to it.

        Returns:
            What is to be handed over now, in order: the number of packets that were lost just
            before, and the item. Duplicates, and what comes after it was given up, vanish.
        """
        if self._next is None:
            self._next = sequence
        ahead = (sequence - self._next) % _RANGE
        if ahead >= _RANGE - _JUMP:
            return []
        if ahead > _JUMP:
            waiting = [(0, self._held[distance]) for distance in sorted(self._held)]
            self._held.clear()
            self._next = (sequence + 1) % _RANGE
            return [*waiting, (0, item)]
        self._held.setdefault(ahead, item)
        released = list(self._consecutive())
        if len(self._held) > self._most_held:
            lost = min(self._held)
            self._move(lost)
            (_, first), *others = self._consecutive()
            released += [(lost, first), *others]
        return released

    def _consecutive(self) -> Iterator[tuple[int, Item]]:
        while 0 in self._held:
            yield 0, self._held.pop(0)
            self._move(1)

    def _move(self, by: int) -> None:
        assert self._next is not None
        self._next = (self._next + by) % _RANGE
        self._held = {distance - by: item for distance, item in self._held.items()}

"""Options that are declared, so that a wrong name fails where it is written.

Holds the base class whose subclasses refuse unknown keyword arguments, and the checks of values
that many options share. Must not hold any option itself.
"""

from __future__ import annotations

import inspect
from abc import ABCMeta
from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, Any

from antiphon.errors import OptionError, unknown_option

__all__ = ["Declared", "one_of", "within"]


@cache
def _keywords(cls: type) -> tuple[frozenset[str], frozenset[str], bool]:
    """Names that `cls` takes, names that it needs, and whether it takes any."""
    # mypy warns of subclasses with another signature; here exactly this class is called.
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    needed = (p.name for p in named if p.default is p.empty and p.kind is p.KEYWORD_ONLY)
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return frozenset(p.name for p in named), frozenset(needed), is_open


class _DeclaredMeta(ABCMeta):
    # Hidden from the type checker, which then reads the signature of `__init__` itself.
    if not TYPE_CHECKING:

        def __call__(cls, *args: Any, **options: Any) -> Any:
            known, needed, is_open = _keywords(cls)
            if not is_open:
                for name in options:
                    if name not in known:
                        raise unknown_option(cls.__name__, name, known)
            for name in sorted(needed - options.keys()):
                raise OptionError(f"{cls.__name__} needs the option {name!r}")
            return super().__call__(*args, **options)


class Declared(metaclass=_DeclaredMeta):
    """Base of everything that a user configures.

    Raises:
        OptionError: On construction, for an unknown or missing keyword, with the nearest name.
    """

    __slots__ = ()


def within(owner: str, name: str, value: float, low: float, high: float, unit: str) -> None:
    """Refuse a number outside [low, high].

    Raises:
        OptionError: With the value, the range, the unit, and a guess where the unit was mistaken.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise OptionError(f"{owner}: {name} must be a number of {unit}, not {value!r}")
    if low <= value <= high:
        return
    hint = ""
    if unit == "seconds" and low <= value / 1000 <= high:
        hint = f"; if you meant milliseconds, write {value / 1000:g}"
    elif unit == "milliseconds" and low <= value * 1000 <= high:
        hint = f"; if you meant seconds, write {value * 1000:g}"
    raise OptionError(f"{owner}: {name}={value!r} is outside {low:g} to {high:g} {unit}{hint}")


def one_of(owner: str, name: str, value: object, known: Collection[str]) -> None:
    """Refuse a word that is not in `known`.

    Raises:
        OptionError: With the words that are.
    """
    if value not in known:
        words = ", ".join(repr(word) for word in sorted(known))
        raise OptionError(f"{owner}: {name}={value!r} is not one of {words}")

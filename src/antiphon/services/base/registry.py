"""Services by name: ``"whisper/tiny.en"`` instead of an import.

Names are found among the entry points of the group ``antiphon.services``, as ``KIND.NAME``, so that
anyone's package adds its own. What follows the slash is the service's `model`. Must not import a
service before it is named.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, TypeVar

from antiphon.errors import OptionError
from antiphon.services.base.service import Service

__all__ = ["Kind", "resolve"]

Kind = Literal["vad", "turn", "stt", "llm", "tts"]

AnyService = TypeVar("AnyService", bound=Service)


@cache
def _known() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="antiphon.services")}


def resolve(kind: Kind, service: str | AnyService, contract: type[AnyService]) -> AnyService:
    """Give the service object for a name, or the object itself if it is one already.

    Args:
        kind: What it is to do.
        service: ``"NAME"`` or ``"NAME/MODEL"``, or a service.
        contract: What the object must be.

    Raises:
        OptionError: Nothing has that name, or the object does something else.
    """
    made = _by_name(kind, service) if isinstance(service, str) else service
    if not isinstance(made, contract):
        raise OptionError(f"{kind}={service!r} is no {contract.__name__}")
    return made


def _by_name(kind: Kind, name: str) -> Service:
    base, _, model = name.partition("/")
    point = _known().get(f"{kind}.{base}")
    if point is None:
        names = sorted(n.removeprefix(f"{kind}.") for n in _known() if n.startswith(f"{kind}."))
        near = get_close_matches(base, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
        raise OptionError(f"no {kind} service is called {base!r}; {hint}")
    made: Service = point.load()(**({"model": model} if model else {}))
    return made

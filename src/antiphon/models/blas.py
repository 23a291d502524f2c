"""numpy's matrix products on one thread.

numpy's OpenBLAS takes every core for a product of any size that models have, and its threads then
spin for 50 ms in wait of the next one: on a machine that also hears and speaks, each short product
costs ten times what it computes. Holds the one call that stops this.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

__all__ = ["use_one_blas_thread"]

_SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)


@cache
def use_one_blas_thread() -> bool:
    """Let numpy's matrix products of this whole process run in the thread that asks for them.

    Does nothing if ``OPENBLAS_NUM_THREADS`` is set: then its owner has decided. To be called by
    whoever multiplies matrices in a model, when it is loaded.

    Returns:
        Whether a library was found and told so.

    Source: measured on 2 cores, one sentence of MiniLM every 50 ms: 58 ms of CPU each with two
    threads, 5.4 ms with one.
    """
    if "OPENBLAS_NUM_THREADS" in os.environ:
        return False
    import numpy as np

    package = Path(np.__file__).parent
    # Where wheels keep the libraries that they bring: beside the package, or inside on macOS.
    found = [
        *package.with_name("numpy.libs").glob("*openblas*"),
        *package.glob(".dylibs/*openblas*"),
    ]
    setters = [getattr(ctypes.CDLL(str(path)), name, None) for path in found for name in _SETTERS]
    known = [setter for setter in setters if setter is not None]
    for setter in known:
        setter(1)
    return bool(known)

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Prints how many threads the library then works with; 0 if numpy brought none.
SHOW = """
import ctypes
from pathlib import Path
import numpy
from antiphon.models.blas import use_one_blas_thread
told = use_one_blas_thread()
package = Path(numpy.__file__).parent
found = [*package.with_name("numpy.libs").glob("*openblas*"), *package.glob(".dylibs/*openblas*")]
threads = ctypes.CDLL(str(found[0])).scipy_openblas_get_num_threads64_() if found else 0
print(told, threads)
"""


def show(**environment):
    rest = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=rest | environment, capture_output=True, check=True
    )
    told, threads = done.stdout.decode().split()
    if threads == "0":
        pytest.skip("this numpy does not come with OpenBLAS")
    return told, int(threads)


def test_products_run_on_one_thread():
    assert show() == ("True", 1)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_the_owner_of_the_machine_may_decide_otherwise():
    assert show(OPENBLAS_NUM_THREADS="2") == ("False", 2)

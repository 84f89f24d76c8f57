"""Python's garbage collector, which only costs time while modules are imported.

Importing torch and its compiler makes half a million objects that stay. Looking through them again
and again for garbage takes a fifth of the time to the first step.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_rest() -> Iterator[None]:
    """Let the collector rest until `at_work`, at most as long as the block lasts."""
    worked = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if worked:
            gc.enable()


@contextmanager
def at_work() -> Iterator[None]:
    """Let the collector work; where it rested until now, it ignores what there is already."""
    rested = not gc.isenabled()
    if rested:
        gc.freeze()
        gc.enable()
    try:
        yield
    finally:
        if rested:
            gc.unfreeze()

"""The runs that these tests begin, and how they wait for them."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = ("threads=1", "device=cpu", "model.hidden=[8]", "monitor.tensorboard=false")
LONG = ("steps=1000000", "eval.every=0", "checkpoint.every=50")
"""One that is never at its end before it is told to stop."""

needs_submitit = pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None, reason="needs submitit"
)


def wait_for(done: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def has_checkpoint(folder: Path) -> bool:
    return bool(list(folder.glob("checkpoints/step*")))

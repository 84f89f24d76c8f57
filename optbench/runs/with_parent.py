"""A process that ends with the one that it works for, also where that is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

GRACE_SECONDS = 20.0
"""In which a run writes its checkpoint when it is asked to end; then its process is ended."""

LOOKS_SECONDS = 0.2
"""Between two looks whether the parent is still there."""


def end_with(parent: int, busy: Callable[[], bool] = lambda: True) -> None:
    """Have this process, and its group, end once its parent is gone.

    It is asked to end, by SIGTERM, where it is at something, and ended after that.

    Args:
        parent: the process number of who began this one.
        busy: whether something is to be ended in order.
    """
    threading.Thread(target=_watch, args=(parent, busy), daemon=True).start()


def _watch(parent: int, busy: Callable[[], bool]) -> None:
    while os.getppid() == parent:
        time.sleep(LOOKS_SECONDS)
    if busy():
        os.kill(os.getpid(), signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        while busy() and time.monotonic() < until:
            time.sleep(0.05)
    os.killpg(0, signal.SIGKILL)

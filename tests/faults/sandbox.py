"""A call in a process of its own, which may take neither long nor much memory."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from optbench.errors import ArgumentError, UserError

SECONDS = 120
"""Only what hangs takes as long, on a machine with much else to do."""

MEMORY = 2 << 30


class Outcome(NamedTuple):
    """How a call ended.

    Attributes:
        how: `done`, `refused` (UserError, ArgumentError), `failed` (any other error), or `killed`.
        what: what it returned, the message, the traceback, or the signal's number.
    """

    how: str
    what: Any


def bounded(call: Callable[[], Any], seconds: int = SECONDS, memory: int = MEMORY) -> Outcome:
    """Calls in a fork that is killed after `seconds`, and gets at most `memory` bytes more."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)
            _limit(memory)
            answer = pickle.dumps(_called(call))
        except BaseException as error:
            answer = pickle.dumps(Outcome("failed", repr(error)))
        with os.fdopen(writing, "wb") as file:
            file.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = file.read()
    _, status = os.waitpid(child, 0)
    return pickle.loads(answer) if answer else Outcome("killed", os.WTERMSIG(status))


def _limit(memory: int) -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _called(call: Callable[[], Any]) -> Outcome:
    try:
        return Outcome("done", call())
    except (ArgumentError, UserError) as error:
        return Outcome("refused", str(error))
    except BaseException:
        return Outcome("failed", traceback.format_exc())

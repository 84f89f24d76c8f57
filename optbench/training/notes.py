"""Notes that the ranks leave for one another in torchrun's store, and for themselves begun anew.

The store is in torchrun's own process. What it is told outlives a rank that is killed, and all
ranks when torchrun begins them anew (`--max-restarts`).
"""

from __future__ import annotations

import json
import os
import re
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from optbench.errors import UserError, memory_wanting, reason

PATIENCE_SECONDS = 3.0
"""How long rank 0 waits for another rank's word on why it is gone."""

TOLD_SECONDS = 2.0
"""How long another rank waits for rank 0 to have told of the same error."""

_GLOO = re.compile(r"\bgloo/")
"""A file of gloo's, which its errors name; they come out of a backward pass too."""

_GONE = re.compile(r"gloo|nccl|connection|peer|broken pipe|timed out", re.IGNORECASE)
_TORCH = os.path.dirname(torch.__file__)
_OF_RANKS = (
    os.path.join(_TORCH, "distributed", ""),
    os.path.join(_TORCH, "nn", "parallel", "distributed.py"),
)
"""Where torch's exchange between ranks stands."""


class RankError(RuntimeError):
    """What went wrong on another rank; its traceback is a note of the exception."""


def attempt() -> int:
    """Return how often torchrun has begun the ranks anew."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def _store() -> dist.Store:
    """Return a connection of its own to the store through which the ranks found one another."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    timeout = timedelta(seconds=30)
    return dist.TCPStore(address, port, None, False, timeout, wait_for_workers=False)


def _key(*parts: object) -> str:
    run = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return "/".join(map(str, ("optbench", run, *parts)))


def remember_folder(folder: str) -> None:
    """Note where these ranks write, for the same ranks begun anew."""
    _store().set(_key("folder", attempt()), json.dumps(folder))


def remembered_folder() -> str | None:
    """Return what `remember_folder` was told before torchrun began the ranks anew; else None.

    Raises:
        UserError: torchrun has no store that could know.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        raise UserError(
            "torchrun began the ranks anew, but keeps no store that knows their folder: "
            "go on with optbench resume RUN"
        )
    store = _store()
    for earlier in reversed(range(attempt())):
        key = _key("folder", earlier)
        if store.check([key]):
            return str(json.loads(store.get(key)))
    return None


def leave_word(run: int, rank: int, error: BaseException) -> None:
    """Tell rank 0 why this rank fails, before it is gone; `run`: the how many-th of the ranks."""
    word = {
        "lost": is_of_a_lost_rank(error),
        "user": isinstance(error, UserError),
        "message": said(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
    _store().set(_key("error", attempt(), run, rank), json.dumps(word))


def cause(run: int, size: int, error: BaseException) -> BaseException:
    """Return the error itself; or, if it is that another rank is gone, that rank's error."""
    if not is_of_a_lost_rank(error):
        return error
    store, until = _store(), time.monotonic() + PATIENCE_SECONDS
    while True:
        for rank in range(1, size):
            key = _key("error", attempt(), run, rank)
            word = json.loads(store.get(key)) if store.check([key]) else {"lost": True}
            if not word["lost"]:
                return _of_rank(rank, word)
        if time.monotonic() > until:
            gone = RankError(f"another rank does not answer: {said(error)}")
            gone.__cause__ = error
            return gone
        time.sleep(0.05)


def leave_told(message: str) -> None:
    """Tell the other ranks that rank 0 has shown an error."""
    with suppress(RuntimeError, OSError):  # torchrun is gone too
        _store().set(_key("told", attempt(), message), "")


def is_told(message: str, rank: int) -> bool:
    """Return whether rank 0 shows the error as well, as its own or as this rank's."""
    keys = [_key("told", attempt(), line) for line in (message, _by_rank(rank, message))]
    until = time.monotonic() + TOLD_SECONDS
    with suppress(RuntimeError, OSError):
        store = _store()
        while True:
            if any(store.check([key]) for key in keys):
                return True
            if time.monotonic() > until:
                break
            time.sleep(0.05)
    return False


def _by_rank(rank: int, message: str) -> str:
    return f"rank {rank}: {message}"


def _of_rank(rank: int, word: Mapping[str, Any]) -> Exception:
    message = _by_rank(rank, word["message"])
    error = UserError(message) if word["user"] else RankError(message)
    error.add_note(f"On rank {rank}:\n{word['traceback']}")
    return error


def is_of_a_lost_rank(error: BaseException) -> bool:
    """Return whether an error only says that another rank does not answer.

    Its text is not enough: code of a user's own may have lost some other connection.
    """
    if isinstance(error, dist.DistError):
        return True
    if type(error) is not RuntimeError:
        return False
    if _GLOO.search(str(error)):
        return True
    return _raised_in(error).startswith(_OF_RANKS) and _GONE.search(str(error)) is not None


def _raised_in(error: BaseException) -> str:
    """Return the file that raised the error."""
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].filename if frames else ""


def said(error: BaseException) -> str:
    """Return an error in a line."""
    if isinstance(error, UserError | RankError):
        return str(error)
    if isinstance(error, OSError):
        return reason(error)
    if (wanting := memory_wanting(error)) is not None:
        return wanting
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")

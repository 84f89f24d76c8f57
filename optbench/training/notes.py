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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from optbench.errors import UserError, memory_wanting, reason

PATIENCE_SECONDS = 3.0
"""How long a rank waits for the others' words on why they are gone."""

TOLD_SECONDS = 2.0
"""How long another rank waits for rank 0 to have told of the same error."""

_GLOO = re.compile(r"\bgloo/")
"""A file of gloo's, which its errors name; they come out of a backward pass too."""

_GONE = re.compile(r"gloo|nccl|connection|peer|broken pipe|timed out", re.IGNORECASE)
_LATE = re.compile(r"timed out|timeout", re.IGNORECASE)
_TORCH = os.path.dirname(torch.__file__)
_OF_RANKS = (
    os.path.join(_TORCH, "distributed", ""),
    os.path.join(_TORCH, "nn", "parallel", "distributed.py"),
)
"""Where torch's exchange between ranks stands."""


class RankError(RuntimeError):
    """What went wrong on another rank; its traceback is a note of the exception."""


class SilentRankError(RankError):
    """Another rank does not answer, and left no word of why."""


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
    """Tell the others why this rank fails, before it is gone; `run`: which of the ranks' runs."""
    word = {
        "lost": is_of_a_lost_rank(error),
        "late": is_of_a_late_rank(error),
        "user": isinstance(error, UserError),
        "message": said(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
    _store().set(_key("error", attempt(), run, rank), json.dumps(word))


def cause(run: int, size: int, rank: int, error: BaseException, timeout: float) -> BaseException:
    """Return the error itself; or, if it is that another rank is gone or late, that rank's error.

    Args:
        run: which of the ranks' runs.
        size: how many they are.
        rank: whose error it is.
        error: what it met.
        timeout: seconds that one rank waits for another.
    """
    if not is_of_a_lost_rank(error):
        return error
    others = [other for other in range(size) if other != rank]
    words = _words(run, others)
    for other, word in words.items():
        if not word["lost"]:
            return _of_rank(other, word)
    silent = [other for other in others if other not in words]
    late = any(word["late"] for word in words.values()) or is_of_a_late_rank(error)
    told = SilentRankError(_of_silent(silent, timeout if late else None, said(error)))
    told.__cause__ = error
    return told


def _words(run: int, others: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return what other ranks say of why they fail: all, those of `PATIENCE_SECONDS`, or enough."""
    store, until = _store(), time.monotonic() + PATIENCE_SECONDS
    words: dict[int, dict[str, Any]] = {}
    while True:
        for rank in others:
            key = _key("error", attempt(), run, rank)
            if rank not in words and store.check([key]):
                words[rank] = json.loads(store.get(key))
        enough = len(words) == len(others) or not all(word["lost"] for word in words.values())
        if enough or time.monotonic() > until:
            return words
        time.sleep(0.05)


def _of_silent(ranks: Sequence[int], timeout: float | None, why: str) -> str:
    """Say which ranks left no word: one that is late would not, nor one that was killed."""
    if not ranks:
        return f"the ranks lost one another: {why}"
    which = f"rank {', '.join(map(str, ranks))}"
    if timeout is None:
        return f"{which} {'does' if len(ranks) == 1 else 'do'} not answer: {why}"
    return f"{which} did not come within {timeout:g} s (rank_timeout)"


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


def is_of_a_late_rank(error: BaseException) -> bool:
    """Return whether an error says that another rank does not come, though it may not be gone."""
    return is_of_a_lost_rank(error) and _LATE.search(str(error)) is not None


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

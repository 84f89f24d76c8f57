"""The ranks of a run launched by torchrun; one rank otherwise."""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from optbench.errors import UserError
from optbench.launched import launched_rank, launched_ranks, local_rank
from optbench.torch_internals import set_rank_timeout
from optbench.training import notes

T = TypeVar("T")

TIMEOUT_SECONDS = 1800.0
"""What one rank waits for another; the first exchange may have to wait for data to be read."""

REST_SECONDS = 2.0
"""What a rank that ends waits at most for its threads to rest."""


@dataclass(frozen=True)
class World:
    """This process among the ranks.

    Attributes:
        device: where this rank computes.
        rank: 0 to size - 1; rank 0 writes the run folder.
        size: the number of ranks.
        joined: the how many-th time that this process joined the others.
        timeout: seconds that one rank waits for another.
    """

    device: torch.device
    rank: int = 0
    size: int = 1
    joined: int = 0
    timeout: float = TIMEOUT_SECONDS

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over ranks, on every rank, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean over ranks, on every rank."""
        return self.sum(value.clone()) / self.size if self.size > 1 else value

    def broadcast(self, tensors: Iterable[Tensor], source: int = 0) -> None:
        """Give every rank the values of rank `source`, in place."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=source)

    def from_main(self, value: T) -> T:
        """Return rank 0's value, on every rank."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0)
        received: T = box[0]
        return received

    def on_main(self, make: Callable[[], T]) -> T:
        """Return what `make` gives on rank 0, on every rank; what it raises there, every rank
        raises."""
        if self.size == 1:
            return make()
        outcome: tuple[Any, Exception | None] = (None, None)
        if self.is_main:
            try:
                outcome = (make(), None)
            except Exception as raised:
                outcome = (None, raised)
        value, error = self.from_main(outcome)
        if error is not None:
            if isinstance(error, UserError):
                error.rank = 0
            raise error
        made: T = value
        return made

    def cause(self, error: BaseException) -> BaseException:
        """Return why a run fails: what another rank left word of before it was gone, or which rank
        it is that does not answer."""
        if self.size == 1:
            return error
        try:
            notes.leave_word(self.joined, self.rank, error)
            return notes.cause(self.joined, self.size, self.rank, error, self.timeout)
        except (RuntimeError, OSError) as unreachable:  # torchrun is gone too
            error.add_note(f"torchrun's store can't be asked: {unreachable}")
        return error

    def gather(self, value: T) -> list[T]:
        """Return every rank's value, by rank, on every rank."""
        if self.size == 1:
            return [value]
        box: list[Any] = [None] * self.size
        dist.all_gather_object(box, value)
        return box

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.size > 1:
            dist.barrier()


def join(device: str, timeout: float = TIMEOUT_SECONDS) -> World:
    """Join the process group, once a process, and give this rank its device.

    The group is kept for all runs of a multirun: making it anew for each hangs.

    Args:
        device: `auto`, `cpu` or `cuda`.
        timeout: seconds that one rank waits for another, from now on.
    """
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if launched_ranks() == 1:
        return World(torch.device("cuda", torch.cuda.current_device()) if cuda else _cpu())
    here = _cpu()
    if cuda:
        local = local_rank()
        if local >= torch.cuda.device_count():
            lacking = UserError(f"device=cuda: rank {local} of this machine has no GPU of its own")
            lacking.rank = launched_rank()
            raise lacking
        here = torch.device("cuda", local)
        torch.cuda.set_device(here)
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        _make_group(backend, timedelta(seconds=TIMEOUT_SECONDS))
    set_rank_timeout(timedelta(seconds=timeout))
    return World(here, dist.get_rank(), dist.get_world_size(), next(_joined), timeout)


_joined = itertools.count(1)


def _make_group(backend: str, timeout: timedelta) -> None:
    store, rank, size = next(dist.rendezvous("env://", timeout=timeout))
    # Not the addresses of ranks that are gone, which torchrun's store keeps when it begins anew.
    own = dist.PrefixStore(f"attempt-{notes.attempt()}", store)
    dist.init_process_group(backend, timeout=timeout, store=own, rank=rank, world_size=size)
    atexit.register(leave)


def leave() -> None:
    """End the process group, if there is one, and wait until its threads rest.

    gloo's threads live on, as DistributedDataParallel keeps the group, and one that drops a tensor
    while Python takes itself apart aborts the process ("terminate called without an active
    exception"): without the wait, about every second script of two ranks on a busy machine.
    """
    if dist.is_available() and dist.is_initialized():
        with suppress(RuntimeError):
            dist.destroy_process_group()
        until = time.monotonic() + REST_SECONDS
        looks_at_rest = 0
        while looks_at_rest < 3 and time.monotonic() < until:
            time.sleep(0.001)  # without the lock that such a thread may be waiting for
            looks_at_rest = 0 if _others_run() else looks_at_rest + 1


def _others_run() -> bool:
    """Whether another thread of this process has something to do, as Linux tells it."""
    own = threading.get_native_id()
    for thread in Path("/proc/self/task").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            state = (thread / "stat").read_text(encoding="ascii", errors="replace")
            if int(thread.name) != own and state.rpartition(")")[2].split()[0] == "R":
                return True
    return False


def end(code: int) -> NoReturn:
    """End this process; one of several ranks leaves the group first.

    A rank does what Python does before it takes itself apart, and goes (see `leave`).
    """
    if not (dist.is_available() and dist.is_initialized()):
        sys.exit(code)
    leave()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or none
            stream.flush()
    os._exit(code)


def _cpu() -> torch.device:
    return torch.device("cpu")


class AsyncFlagReduce:
    """Small numbers on which all ranks agree, one step late and without waiting.

    Each step every rank gives its flags; the largest over ranks come back at the next step, so
    that the exchange runs beside the computation. With one rank they come back at once.

    Args:
        world: the ranks.
        count: how many flags.
    """

    def __init__(self, world: World, count: int) -> None:
        self._alone = world.size == 1
        self._pending: tuple[Any, Tensor] | None = None
        self._none = [0] * count

    def exchange(self, flags: list[int]) -> list[int]:
        """Give this step's flags; return the agreed ones of the step before."""
        if self._alone:
            return flags
        agreed = self._arrived()
        values = torch.tensor(flags, dtype=torch.int64)
        self._pending = (dist.all_reduce(values, dist.ReduceOp.MAX, async_op=True), values)
        return agreed

    def settle(self, flags: list[int]) -> list[int]:
        """Give the last flags and wait for what is agreed of them and of those before."""
        if self._alone:
            return flags
        before = self.exchange(flags)
        return [max(pair) for pair in zip(before, self._arrived(), strict=True)]

    def _arrived(self) -> list[int]:
        if self._pending is None:
            return list(self._none)
        work, values = self._pending
        work.wait()
        self._pending = None
        return [int(v) for v in values]

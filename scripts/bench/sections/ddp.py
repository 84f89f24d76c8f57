"""What DistributedDataParallel adds to a step of two processes on this machine's processor."""

from __future__ import annotations

import json
import os
import socket
from argparse import Namespace
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as processes

import resnet
from optbench.training.distributed import World, leave
from runs import Stretches, build, scratch
from timing import Row, Times, alternate, estimate, print_rows, ratio

RANKS = 2
ROUNDS, STEPS = 8, 3
TARGET_RATIO = 1.15


def section(arguments: Namespace) -> None:
    """Every rank does the same work with DDP and without, in turn."""
    torch.set_num_threads(1)
    batch = resnet.batch_for(arguments.step_ms)
    rounds, steps = (1, 1) if arguments.quick else (ROUNDS, STEPS)
    with scratch() as folder:
        given = (_free_port(), batch, rounds, steps, str(folder))
        # daemon: they end with this process, whatever ends it
        processes.spawn(_rank, args=given, nprocs=RANKS, daemon=True)
        times: Times = json.loads((folder / "times.json").read_text(encoding="utf-8"))
    rows = []
    for accumulate in (4, 1):
        plain, ranks = _names(accumulate)
        rows.append(Row(plain, estimate(times[plain]).times(1e3 / steps), "ms a step"))
        rows.append(Row(ranks, estimate(times[ranks]).times(1e3 / steps), "ms a step"))
        target = TARGET_RATIO if accumulate == 4 else None
        what = f"accumulate={accumulate}: DDP to none"
        rows.append(Row(what, ratio(times, ranks, plain), "times", target))
    print_rows(
        f"ddp: ResNet-18, {RANKS} gloo processes of one thread, micro-batches of {batch} of 32x32; "
        f"{rounds} rounds of {steps} steps; wall time of rank 0",
        rows,
    )


def _names(accumulate: int) -> tuple[str, str]:
    return f"accumulate={accumulate}, no DDP", f"accumulate={accumulate}, DDP"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _rank(rank: int, port: int, batch: int, rounds: int, steps: int, folder: str) -> None:
    """What each process does; rank 0 leaves the times."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(RANKS)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    own = Path(folder) / f"rank-{rank}"
    own.mkdir()
    candidates = {}
    for accumulate in (4, 1):
        share = batch * accumulate
        for name, world in zip(_names(accumulate), (World(torch.device("cpu")), None), strict=True):
            size = share if world is not None else share * RANKS
            given = resnet.overrides(size, f"accumulate={accumulate}", "threads=1")
            spec, experiment = build(given, world)
            stretches = Stretches(spec, experiment, own / name, monitor=0)
            candidates[name] = partial(_together, stretches, steps)
    times = alternate(candidates, rounds)
    if rank == 0:
        (Path(folder) / "times.json").write_text(json.dumps(times), encoding="utf-8")
    leave()


def _together(stretches: Stretches, steps: int) -> float:
    """Both processes at once; what counts is the time in steps."""
    dist.barrier()
    return stretches(steps)

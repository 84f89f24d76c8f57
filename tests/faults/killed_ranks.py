"""What torchrun starts in `test_killed_ranks.py`: optbench, one rank of which is killed each time.

Arguments: `save` or `step`, how many times in all, where the attempts are told, the run's folder;
then optbench's own. After each kill torchrun begins the ranks anew.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import sys
from pathlib import Path

import torch

from optbench.__main__ import main
from optbench.monitor.record import Recorder
from optbench.training import checkpoint
from optbench.training.distributed import World

BEFORE, WITHIN = 2, 3
"""As `enum mode` of shim.c has them."""

how, times, told, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
del sys.argv[1:5]
attempt, rank = int(os.environ["TORCHELASTIC_RESTART_COUNT"]), int(os.environ["RANK"])
ranks = int(os.environ["WORLD_SIZE"])


def tell() -> None:
    """Say what is wrong with the newest two checkpoints, and whether the newest can be read.

    Of older ones a kill may have left half, for they were being deleted.
    """
    kept, problems = folder / "checkpoints", list[str | None]()
    newest = checkpoint.newest_verified(kept, problems.append)
    problems += [checkpoint.damage(kept / f"step-{n:08d}") for n in checkpoint.steps(kept)[-2:]]
    if newest is not None:
        world = World(torch.device("cpu"), ranks - 1, ranks)
        if checkpoint.read_checkpoint(kept, newest, world).own is None:
            problems.append(f"rank {ranks - 1} has no part")
    said = {"newest": newest, "problems": [each for each in problems if each]}
    with told.open("a", encoding="utf-8") as file:
        file.write(json.dumps(said) + "\n")


def killed_while_saving() -> None:
    """Be killed at an operation of the checkpoints: each time another one, before it or within."""
    shim, operation = ctypes.CDLL(None), 1 + attempt * 5 % (37 if rank == 0 else 7)
    mode = BEFORE if attempt // 2 % 2 else WITHIN
    where = os.fsencode(folder / "checkpoints")
    shim.faults_arm(where, mode, ctypes.c_long(operation), 0, -1)


def killed_after_steps() -> None:
    """Be killed somewhere in or after one of the next steps, by this process's own clock."""
    tick, taken, drawn = Recorder.tick, [0], random.Random(attempt)
    last = drawn.randint(2, 8)

    def dying(self: Recorder, step: int) -> None:
        tick(self, step)
        taken[0] += 1
        if taken[0] == last:  # SIGVTALRM, which nothing handles, ends it as SIGKILL does
            signal.setitimer(signal.ITIMER_VIRTUAL, drawn.uniform(1e-6, 0.003))

    Recorder.tick = dying  # type: ignore[method-assign]


if rank == 0:
    tell()
if attempt < times and rank == attempt % ranks:
    (killed_while_saving if how == "save" else killed_after_steps)()
main()

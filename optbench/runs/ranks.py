"""Which rank of a torchrun tells of an error: rank 0 of what all met, the others of their own."""

from __future__ import annotations

import sys
import time

from optbench.errors import UserError
from optbench.launched import launched_rank
from optbench.runs.tracebacks import show

HEAD_START_SECONDS = 1.0
"""What rank 0 has to tell of an error, before torchrun ends it because another rank has ended."""


def tell(error: UserError) -> None:
    """Show the error, unless another rank does."""
    try:
        rank = launched_rank()
    except UserError:  # which says so itself, or is what is told
        show(error)
        return
    if rank:
        if _is_own(error, rank):
            show(error, f"[rank {rank}] ")
        return
    show(error)
    if have_joined():  # only now: the others end when they know, and torchrun then ends this one
        from optbench.training.notes import leave_told

        leave_told(str(error))


def _is_own(error: UserError, rank: int) -> bool:
    """Return whether an error is this rank's own, not rank 0's."""
    if error.rank is not None:
        return error.rank == rank
    if not have_joined():  # every rank has read the same command line and config
        time.sleep(HEAD_START_SECONDS)
        return False
    from optbench.training.notes import is_told

    return not is_told(str(error), rank)


def have_joined() -> bool:
    """Return whether this process has found the other ranks."""
    if "torch.distributed" not in sys.modules:
        return False
    import torch.distributed as dist

    return dist.is_available() and dist.is_initialized()

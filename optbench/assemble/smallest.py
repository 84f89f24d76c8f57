"""Whether a model can be trained on the smallest micro-batch of its run, tried before the run.

Batch norm can't be trained on one example, unless it has several places: what is left over at an
epoch's end, or a rank's or micro-batch's share of it, may be one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

from optbench.config.run_config import RunConfig
from optbench.errors import UserError
from optbench.tasks.base import Task
from optbench.training import rng
from optbench.training.batches import BatchStream
from optbench.training.buffers import Buffers
from optbench.training.precision import Precision


def check_smallest(
    config: RunConfig,
    task: Task,
    modules: Mapping[str, nn.Module],
    feed: BatchStream,
    steps: int,
    precision: Precision,
) -> None:
    """Compute the losses of one example if a micro-batch of the first `steps` has no more.

    Weights, batch norm's statistics, random generators and what the task carries stay as they are.

    Raises:
        UserError: that fails, and does not with two.
    """
    if task.carries or _smallest(feed, feed.batch_size, steps) > 1:
        return
    with untouched(modules, task, config.compile):
        why = _failure(1, task, modules, feed, precision)
        if why is None or _failure(2, task, modules, feed, precision) is not None:
            return
    nearest = _nearest(feed, steps if config.steps else None)
    sizes = " or ".join(f"batch_size={size}" for size in nearest)
    parts = [f"accumulate={feed.accumulate}"] if feed.accumulate > 1 else []
    parts += [f"{feed.ranks} ranks"] if feed.ranks > 1 else []
    among = f" ({', '.join(parts)})" if parts else ""
    raise UserError(
        f"batch_size={config.batch_size}: of {len(feed.indices)} examples some would be alone in"
        f" a micro-batch{among}, and the model can't be trained on one ({why}); "
        + (f"{sizes} leaves none alone" if sizes else "take more examples, or fewer parts")
    )


def _smallest(feed: BatchStream, batch_size: int, steps: int | None) -> int:
    """Return the size of the smallest micro-batch of any rank; `steps` None is all of an epoch."""
    whole, left = divmod(len(feed.indices), batch_size)
    sizes = [batch_size]
    if left and not feed.lanes and (steps is None or steps > whole):
        sizes.append(left)
    shares = [size // feed.ranks for size in sizes]
    return min(max(share // feed.accumulate, 1) for share in shares)


def _nearest(feed: BatchStream, steps: int | None) -> list[int]:
    """Return the next smaller and larger batch size without a micro-batch of one example."""
    size, most = feed.batch_size, len(feed.indices)
    ways = (range(size - 1, 1, -1), range(size + 1, most + 1))
    found = [next((s for s in way if _smallest(feed, s, steps) > 1), None) for way in ways]
    return [size for size in found if size is not None]


def _failure(
    count: int,
    task: Task,
    modules: Mapping[str, nn.Module],
    feed: BatchStream,
    precision: Precision,
) -> str | None:
    """Return what goes wrong with the losses of so many examples, in one line."""
    few = feed.indices[:count]
    few = few.repeat(count)[:count]  # there may be one only
    try:
        for batch in feed.source.stream(few, [(0, count)]):
            for player in modules:
                with precision.forward():
                    task.loss(modules, batch, player)
    except UserError:
        raise
    except Exception as error:  # whatever a model of a user's own raises
        return " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return None


@contextmanager
def untouched(modules: Mapping[str, nn.Module], task: Task, compiled: bool) -> Iterator[None]:
    """Have the modules in training mode; put them, and all that is drawn, back afterwards."""
    state, carried = rng.capture(), task.state_dict()
    every = [module for module in modules.values() for module in module.modules()]
    modes = [module.training for module in every]
    buffers = Buffers(every)
    buffers.remember()
    eagerly = torch.compiler.set_stance("force_eager") if compiled else nullcontext()
    for module in modules.values():
        module.train()
    try:
        with eagerly:  # or it would be compiled for one example
            yield
    finally:
        for module, mode in zip(every, modes, strict=True):
            module.training = mode
        buffers.put_back()
        task.load_state_dict(carried)
        rng.restore(state)

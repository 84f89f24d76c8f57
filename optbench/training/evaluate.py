"""Scoring a model on a set, each example once."""

from __future__ import annotations

import torch
from torch import Tensor

from optbench.data.dataset import Source
from optbench.data.order import share
from optbench.tasks.base import Modules, Task
from optbench.training.distributed import AsyncFlagReduce, World
from optbench.training.precision import Precision
from optbench.training.signals import Abandoned, Interruption


@torch.no_grad()
def evaluate(
    task: Task,
    modules: Modules,
    source: Source,
    indices: Tensor,
    batch_size: int,
    precision: Precision,
    world: World,
    interruption: Interruption,
) -> dict[str, float]:
    """Score `indices` by each metric; the ranks share the examples, none is padded.

    Between batches the ranks look together whether the run has been asked to stop, as often on
    each, for one may have a batch more than another.

    Args:
        modules: bare modules, in evaluation mode: a rank may have more batches than another, so
            nothing in them may wait for other ranks.
        indices: which examples of the source, int64.
        batch_size: examples in a forward pass.
        interruption: whether the run has been asked to stop.

    Raises:
        Abandoned: it has, and there are batches left.
    """
    bounds = _bounds(len(indices), batch_size, world.size, world.rank)
    most = max(
        len(_bounds(len(indices), batch_size, world.size, rank)) for rank in range(world.size)
    )
    agreement = AsyncFlagReduce(world, 1)
    totals: dict[str, Tensor] = {}
    collected: list[Tensor] = []
    batches = iter(source.stream(indices, bounds))
    for number in range(most):
        asked = agreement.exchange([interruption.number])[0] if number else 0
        if asked:
            raise Abandoned(asked)
        batch = next(batches, None)
        if batch is None:
            continue
        with precision.forward():
            sums = task.score(modules, batch)
            rows = task.collect(modules, batch)
        if rows is not None:
            collected.append(rows)
        sums["size"] = torch.tensor(task.size(batch))
        for name, value in sums.items():
            value = value.double()
            totals[name] = totals[name] + value if name in totals else value
    agreement.settle([0])
    names = world.gather(list(totals))
    agreed = max(names, key=len)
    zero = torch.zeros((), dtype=torch.float64)
    values = torch.stack([totals.get(name, zero).to("cpu") for name in agreed])
    total = dict(zip(agreed, world.sum(values).tolist(), strict=True))
    size = total.pop("size")
    scores = task.derive({name: value / size for name, value in total.items()})
    return scores | _of_the_whole(task, modules, collected, precision, world)


def _bounds(count: int, batch_size: int, ranks: int, rank: int) -> list[tuple[int, int]]:
    """Return the bounds of a rank's batches: the first example, and the one after the last."""
    start, stop = share(count, ranks, rank)
    return [(low, min(low + batch_size, stop)) for low in range(start, stop, batch_size)]


def _of_the_whole(
    task: Task, modules: Modules, own: list[Tensor], precision: Precision, world: World
) -> dict[str, float]:
    """Return the scores that are no sums, from the rows of all ranks."""
    rows = [torch.cat(own)] if own else []
    if world.size > 1:
        parts = world.gather([part.cpu() for part in rows])
        rows = [part.to(world.device) for each in parts for part in each]
    if not rows:
        return {}
    with precision.forward():
        return task.whole(modules, torch.cat(rows))

"""Who of several ranks does what."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from optbench.training.distributed import World


def shared(costs: Sequence[float], ranks: int) -> list[int]:
    """Return the rank of each job: the dearest first, to whoever has least to do (Graham 1969).

    Example:
        >>> shared([1, 5, 3, 3], ranks=2)
        [0, 0, 1, 1]
    """
    loads, owners = [0.0] * ranks, [0] * len(costs)
    for job in sorted(range(len(costs)), key=lambda job: -costs[job]):
        owner = min(range(ranks), key=loads.__getitem__)
        owners[job], loads[owner] = owner, loads[owner] + costs[job]
    return owners


def share_out(
    world: World,
    costs: Sequence[float],
    results: Sequence[Sequence[Tensor]],
    compute: Callable[[int], None],
) -> None:
    """Do `Objective.share_out` among these ranks."""
    owners = shared(costs, world.size)
    for job, owner in enumerate(owners):
        if owner == world.rank:
            compute(job)
    for job, owner in enumerate(owners):
        world.broadcast(results[job], source=owner)

"""A dummy step, after which several ranks always add gradients in the same order."""

from __future__ import annotations

from optbench.training import rng
from optbench.training.batches import StepBatch
from optbench.training.buffers import Buffers
from optbench.training.train_step import TrainStep


def rebuild_buckets(step: TrainStep, work: StepBatch) -> None:
    """Do a forward and backward pass whose gradients are thrown away.

    DistributedDataParallel sorts its buckets anew after the first backward, and with more than two
    ranks the order of summation, so the last bit of a sum, depends on a gradient's place in them. A
    resumed run would take its first step with the buckets of a fresh one. After this, neither does.
    Random generators are left as they were, and the buffers of all players, for the one whose turn
    it is calls the others.
    """
    if not step.player.needs.gradients:
        return
    state = rng.capture()
    buffers = Buffers.of_all(step.bare.values())
    buffers.remember()
    for _ in range(2):  # the buckets are sorted when the second forward begins
        step.loss_and_gradients(work)
        step.player.clear_gradients()
    buffers.put_back()
    rng.restore(state)

"""What a training makes of its device: operations a second, and memory by part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from optbench.monitor.flops import counter
from optbench.monitor.peak_flops import peak_flops
from optbench.training.checkpointer import RunState
from optbench.training.room import tensor_bytes
from optbench.training.train_step import TrainStep


class Efficiency:
    """Counts the operations of one forward and backward pass of each player, as it is taken.

    The pass is the first one in this process, which takes a moment longer for it and has the same
    bits. Of a player that evaluates its loss by itself (a closure) nothing is counted, for nobody
    knows how often.

    Args:
        state: of the run.
        steps: whose passes are counted.
    """

    def __init__(self, state: RunState, steps: Sequence[TrainStep]) -> None:
        self._state = state
        self._counted: dict[str, float] = {}
        self._wanted = {step.player.name for step in steps}
        for step in steps:
            if not step.player.needs.closure:
                self._count_first(step)

    def _count_first(self, step: TrainStep) -> None:
        whole, player = step.loss_and_gradients, step.player

        def counted(work: Any, looked: Any = None, **how: Any) -> Tensor:
            del step.loss_and_gradients  # this one: the class has its own
            with counter() as found:
                loss = whole(work, looked, **how)
            own = found.get_total_flops() * self._state.world.size / work.examples
            self._counted[player.name] = own / player.every
            return loss

        step.loss_and_gradients = counted  # type: ignore[method-assign]

    @property
    def flops_per_example(self) -> float | None:
        """Operations that an example costs, of all players; None where not all are known."""
        known = self._counted.keys() == self._wanted
        return sum(self._counted.values()) if known else None

    def peak(self) -> tuple[float, str]:
        """Return the most operations a second, over all ranks, and where that is from."""
        dtype = self._state.precision.autocast or torch.float32
        rate, source = peak_flops(self._state.world.device, dtype)
        return rate * self._state.world.size, source

    def at(self, speed: float) -> dict[str, float]:
        """Return what is recorded at so many examples a second."""
        cost = self.flops_per_example
        found = {f"memory/{part}_mib": size / 2**20 for part, size in memory(self._state).items()}
        if cost is not None:
            found["throughput/tflops"] = cost * speed / 1e12
            found["throughput/mfu"] = cost * speed / self.peak()[0]
        return found

    def told(self) -> dict[str, Any]:
        """Return what the run's summary says of it."""
        progress = self._state.progress
        cost = self.flops_per_example
        if cost is None or not progress.seconds:
            return {}
        rate, source = self.peak()
        share = cost * progress.examples / progress.seconds / rate
        return {"flops_per_example": cost, "mfu": share, "peak_flops": rate, "peak_of": source}


def memory(state: RunState) -> dict[str, int]:
    """Return the bytes on this rank, by part, of what lasts from step to step.

    What is left of the peak are activations, and whatever a step needs for a moment.
    """
    players = state.players
    modules = [player.module for player in players]
    return {
        "parameters": _bytes(p for module in modules for p in module.parameters()),
        "buffers": _bytes(b for module in modules for b in module.buffers()),
        "gradients": _bytes(p for player in players for p in player.parameters),
        "optimizer": sum(player.state_bytes for player in players),
        "average": _bytes(a for player in players if player.ema for a in player.ema.averages),
    }


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Return what this rank has of some tensors; of a sharded one its own rows."""
    return tensor_bytes(t.to_local() if hasattr(t, "to_local") else t for t in tensors)

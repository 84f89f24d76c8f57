"""DistributedMuon in one process too, and with a state that is whole on every rank."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import pytorch_optimizer
import torch
import torch.distributed as dist
from torch import Tensor

from optbench.optim.steps import evaluated, unhooked


class DistributedMuon(pytorch_optimizer.DistributedMuon):
    """Muon whose ranks share out the matrices (Jordan et al. 2024).

    The library's wants a process group even for one process, matrices of one shape, and leaves the
    momentum of a matrix on the rank that steps it. Here each rank steps its share as Muon does, all
    of them in one process, and sends weights and momenta to the others, so that the state that the
    first rank saves is all of it.

    Args:
        params: groups, each with `use_muon`: whether it has hidden matrices.
        settings: as of the library's.
    """

    @wraps(pytorch_optimizer.DistributedMuon.__init__)  # type: ignore[misc]
    def __init__(self, params: Any, **settings: Any) -> None:
        pytorch_optimizer.Muon.__init__(self, params, **settings)
        together = dist.is_available() and dist.is_initialized()
        self.world_size = dist.get_world_size() if together else 1
        self.rank = dist.get_rank() if together else 0

    def init_group(self, group: dict[str, Any], **kwargs: Any) -> None:
        """Make state for the parameters that have gradients."""
        pytorch_optimizer.Muon.init_group(self, group, **kwargs)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one update."""
        loss = evaluated(closure)
        groups = [group for group in self.param_groups if group["use_muon"]]
        matrices = [p for group in groups for p in group["params"] if p.grad is not None]
        for group in groups:
            self.init_group(group)
        others = [(p, p.grad) for i, p in enumerate(matrices) if i % self.world_size != self.rank]
        for parameter, _ in others:
            parameter.grad = None
        try:
            unhooked(pytorch_optimizer.Muon)(self)
        finally:
            for parameter, gradient in others:
                parameter.grad = gradient
        self._exchange(matrices)
        return loss

    def _exchange(self, matrices: list[Tensor]) -> None:
        """Give every rank what the others have stepped."""
        if self.world_size == 1:
            return
        for number, matrix in enumerate(matrices):
            for tensor in (matrix, self.state[matrix]["momentum_buffer"]):
                dist.broadcast(tensor, src=number % self.world_size)

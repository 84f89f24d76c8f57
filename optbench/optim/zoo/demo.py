"""DeMo on gradients that are the same on every rank."""

from __future__ import annotations

from typing import Any

import einops  # noqa: F401  # the library misses it only when it steps
import pytorch_optimizer
import torch

from optbench.optim.steps import unhooked
from optbench.optim.zoo.shapes import vectors_and_matrices


class _SGD(torch.optim.SGD):
    """What the library's step ends in, without a second round of hooks."""

    def step(self, closure: Any = None) -> Any:
        return unhooked(torch.optim.SGD)(self, closure)


class DeMo(pytorch_optimizer.DeMo, _SGD):
    """Steps by the sign of the momentum's largest frequencies (Peng et al. 2024, algorithm 1).

    The library has every rank keep a momentum of its own and exchanges those frequencies. Here
    gradients are averaged over ranks before a step, so that every rank's momentum is the same and
    there is nothing to exchange: the algorithm of one rank, without the saving of traffic.

    Args:
        params: vectors and matrices.
        lr: learning rate.
        compression_decay: of the momentum, in [0, 1).
        compression_top_k: frequencies kept of each block.
        compression_chunk: the largest size of a block's side.
        weight_decay: decoupled.
        foreach: whether the last step is taken for many parameters at once.
        maximize: climb instead of descending.

    Raises:
        ValueError: a parameter that is no vector or matrix.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        compression_decay: float = 0.999,
        compression_top_k: int = 32,
        compression_chunk: int = 64,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        alone: Any = _Alone()
        settings = (lr, compression_decay, compression_top_k, compression_chunk, weight_decay)
        super().__init__(params, *settings, alone, maximize, foreach)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group as torch does; refuse what is neither a vector nor a matrix."""
        super().add_param_group(param_group)
        vectors_and_matrices("DeMo", self.param_groups[-1]["params"])


class _Alone:
    """The only thing that is asked of a process group of one."""

    def size(self) -> int:
        return 1

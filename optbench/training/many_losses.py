"""The loss of many parameter vectors at once: by vmap or one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from optbench.torch_internals import weights_of_now
from optbench.training import rng
from optbench.training.aside import Aside
from optbench.training.batches import StepBatch

Way = Literal["vmap", "loop"]


class ManyLosses:
    """Losses [K] of K parameter vectors, on the same examples with the same random numbers.

    `vmap` computes all K in one pass, where it can; `loop` one after the other. Which is faster
    depends on the model, on K and on the machine: at the first call with a K both are run, and if
    they agree up to rounding they are timed.

    Args:
        aside: whose losses.
    """

    def __init__(self, aside: Aside) -> None:
        self._aside = aside
        self._module = _Loss(aside)
        self._ways: dict[int, Way] = {}

    def __call__(
        self,
        work: StepBatch,
        start: rng.Generators,
        stacked: Sequence[Tensor],
        way: Way | None = None,
    ) -> Tensor:
        """Return this rank's losses; their mean over ranks is the step's.

        Args:
            work: whose micro-batches are at hand.
            start: where the random generators begin.
            stacked: one tensor [K, *shape] for each parameter of the player, in their order.
            way: `vmap` or `loop`; None takes the faster.

        Raises:
            ValueError: tensors of other shapes.
        """
        count = _check(stacked, self._aside.player.parameters)
        chosen = way or self._ways.get(count)
        with torch.no_grad():
            if chosen is None:
                self._ways[count], losses = self._find_way(work, start, stacked)
                return losses
            if chosen == "loop":
                return self._loop(work, start, stacked)
            return self._vmap(work, start, stacked)

    def _find_way(
        self, work: StepBatch, start: rng.Generators, stacked: Sequence[Tensor]
    ) -> tuple[Way, Tensor]:
        losses = self._loop(work, start, stacked)
        try:
            others = self._vmap(work, start, stacked)
        except (RuntimeError, NotImplementedError, ValueError, TypeError):  # whatever vmap can't
            return "loop", losses
        if not self._agree(losses, others):  # as where vmap draws other random numbers
            return "loop", losses
        by_loop = self._seconds(lambda: self._loop(work, start, stacked))
        by_vmap = self._seconds(lambda: self._vmap(work, start, stacked))
        return ("vmap", others) if by_vmap < by_loop else ("loop", losses)

    def _loop(self, work: StepBatch, start: rng.Generators, stacked: Sequence[Tensor]) -> Tensor:
        points = zip(*stacked, strict=True)
        return torch.stack([self._losses(work, start, self._module.of, each) for each in points])

    def _vmap(self, work: StepBatch, start: rng.Generators, stacked: Sequence[Tensor]) -> Tensor:
        from torch.func import vmap

        def together(values: Sequence[Tensor], batch: Any) -> Tensor:
            each = vmap(lambda point: self._module.of(point, batch), randomness="same")
            losses: Tensor = each(tuple(values))
            return losses

        with sdpa_kernel(SDPBackend.MATH):  # vmap knows no other
            return self._losses(work, start, together, stacked)

    def _losses(
        self,
        work: StepBatch,
        start: rng.Generators,
        loss: Callable[[Sequence[Tensor], Any], Tensor],
        values: Sequence[Tensor],
    ) -> Tensor:
        with self._aside.untouched(start):
            parts = [loss(values, batch) * weight for batch, weight in work.micros]
        return torch.stack(parts).sum(dim=0)

    def _agree(self, losses: Tensor, others: Tensor) -> bool:
        """Return whether both agree up to half the digits, of a format autocast makes shorter."""
        narrow = self._aside.precision.autocast
        digits = torch.finfo(losses.dtype if narrow is None else narrow).eps ** 0.5
        return torch.allclose(losses, others.to(losses.dtype), digits, digits, equal_nan=True)

    def _seconds(self, compute: Callable[[], Tensor]) -> float:
        start = time.perf_counter()
        compute().cpu()  # a GPU is waited for
        return time.perf_counter() - start


def _check(stacked: Sequence[Tensor], parameters: Sequence[Tensor]) -> int:
    """Return how many parameter vectors there are; raise ValueError for tensors of other shapes."""
    count = len(stacked[0]) if len(stacked) and stacked[0].ndim else 0
    wanted = [[count, *parameter.shape] for parameter in parameters]
    found = [list(tensor.shape) for tensor in stacked]
    if not count or found != wanted:
        shapes = [["K", *parameter.shape] for parameter in parameters]
        raise ValueError(f"losses: tensors of the shapes {found}, not {shapes} with a K above 0")
    return count


class _Loss(nn.Module):
    """The task's loss as a module, in which `functional_call` replaces one player's parameters.

    The players' modules stay modules, so that a task finds their attributes.
    """

    def __init__(self, aside: Aside) -> None:
        super().__init__()
        self._aside = aside
        self.players = nn.ModuleList(aside.modules.values())
        number = list(aside.modules).index(aside.player.name)
        self._names = [f"players.{number}.{name}" for name in aside.player.names]

    def of(self, values: Sequence[Tensor], batch: Any) -> Tensor:
        """Return the mean loss of a micro-batch with these parameters."""
        from torch.func import functional_call  # 10 ms, for which no other run waits

        loss: Tensor = functional_call(self, dict(zip(self._names, values, strict=True)), (batch,))
        return loss

    def forward(self, batch: Any) -> Tensor:
        with weights_of_now(self):
            return self._aside.loss(batch)

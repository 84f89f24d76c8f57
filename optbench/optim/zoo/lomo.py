"""LOMO and AdaLOMO, stepped after the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytorch_optimizer
import torch
from torch import Tensor, nn

from optbench.optim.steps import evaluated
from optbench.optim.zoo.shapes import vectors_and_matrices


class LOMO(pytorch_optimizer.LOMO):
    """Gradient descent whose gradients need not all be there at once (Lv et al. 2023).

    The library updates each weight inside the backward pass, as soon as its gradient is there. Here
    gradients are measured, clipped and unscaled first, so `step` updates all weights: the same
    numbers, without the saving of memory.

    Args:
        model: whose parameters are trained.
        lr: learning rate.
        clip_grad_norm: the largest norm of all gradients together; None for no limit.
        clip_grad_value: the largest size of a gradient's entry; None for no limit.
        maximize: climb instead of descending.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
        maximize: bool = False,
    ) -> None:
        super().__init__(model, lr, clip_grad_norm, clip_grad_value, maximize)
        self.grad_func = _leave  # which the hooks call

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one update. Gradients that are not finite are not left out, as the library leaves
        them: whoever wants that looks at all of them before."""
        loss = evaluated(closure)
        lr, limit = self.param_groups[0]["lr"], self.clip_grad_value
        coefficient = _coefficient(self.model.parameters(), self.clip_grad_norm)
        for parameter in self.model.parameters():
            if parameter.grad is None:
                continue
            gradient = parameter.grad.float()
            if limit:
                gradient = gradient.clamp(-limit, limit)
            if coefficient is not None:
                gradient = gradient * coefficient
            step = lr if self.maximize else -lr
            parameter.copy_(parameter.float().add(gradient, alpha=step))
        return loss


class AdaLOMO(pytorch_optimizer.AdaLOMO):
    """LOMO with factored second moments and updates of a size relative to the weights' (Lv et al.
    2023), stepped after the backward pass like `LOMO`.

    Args:
        model: whose parameters are trained, vectors and matrices.
        lr: learning rate, of the weights' root mean square.
        weight_decay: decoupled.
        clip_threshold: the largest root mean square of an update.
        decay_rate: the second moments' decay at step t is 1 - t^decay_rate.
        clip_grad_norm, clip_grad_value: as of `LOMO`.
        eps1: added to squared gradients.
        eps2: the least root mean square of weights that lr is multiplied with.

    Raises:
        ValueError: a parameter that is no vector or matrix.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        clip_threshold: float = 1.0,
        decay_rate: float = -0.8,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
        eps1: float = 1e-30,
        eps2: float = 1e-3,
    ) -> None:
        vectors_and_matrices("AdaLOMO", model.parameters())
        moments = (clip_threshold, decay_rate, clip_grad_norm, clip_grad_value, eps1, eps2)
        super().__init__(model, lr, weight_decay, 0.0, *moments)

    def fuse_update(self) -> Callable[[Any], Any]:
        """Return what the library is to hang on every gradient; keep its own for `step`."""
        self._update = super().fuse_update()
        return _leave

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one update; leave the gradients None afterwards."""
        loss = evaluated(closure)
        self.lr = self.param_groups[0]["lr"]
        self.weight_decay = self.param_groups[0]["weight_decay"]
        self.clip_coef = _coefficient(self.model.parameters(), self.clip_grad_norm)
        self.num_steps += 1
        self._update(0)
        return loss


def _leave(*given: Any) -> Any:
    return given[0]


def _coefficient(parameters: Iterable[Tensor], limit: float | None) -> Tensor | None:
    """Return the factor that brings the gradients' norm to the limit at most, None for none."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not limit or not gradients:
        return None
    norm = torch.stack([torch.linalg.vector_norm(g.float()) for g in gradients]).norm()
    return torch.clamp(limit / (norm + 1e-6), max=1.0)

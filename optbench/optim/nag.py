"""Nesterov's accelerated gradient, taken at the look-ahead point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.ops import per_member
from optbench.optim.momentum import Momentum


class NAG(Momentum):
    """Momentum whose gradient is taken where the velocity is about to lead (Nesterov 1983; this
    form: Sutskever et al. 2013, equations 3 and 4).

        v_t     = momentum v_{t-1} + lr g(theta_{t-1} - momentum v_{t-1})
        theta_t = theta_{t-1} - v_t

    The weights between two steps, those that are validated and saved, are theta, not the look-ahead
    point. torch's SGD with `nesterov=True` steps the look-ahead point itself and equals this up to
    that change of variables at a constant lr and momentum.

    `step` needs the closure: it moves the weights to the look-ahead point, has the loss and the
    gradients computed there, once, and moves them back exactly. For that it holds a second copy of
    the weights, which is no state: a checkpoint does not have it.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        momentum: in [0, 1).
        weight_decay: L2 regularisation, added to the gradient, of the weights theta.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    _weights: dict[Tensor, Tensor]

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """One update; returns the loss at the look-ahead point."""
        moved: list[Tensor] = []
        try:
            for group in self.param_groups:
                moved += self._look_ahead(group)
            with torch.enable_grad():
                loss = closure()
        finally:
            self._move_back(moved)
        self._apply_updates()
        return loss

    @torch.no_grad()
    def _look_ahead(self, group: Mapping[str, Any]) -> list[Tensor]:
        """Moves the group's parameters that have a velocity; they are returned."""
        trained = [p for p in group["params"] if p.requires_grad]  # not what was frozen since
        moved = [p for p in trained if "velocity" in self.state.get(p, ())]
        velocities = [self.state[parameter]["velocity"] for parameter in moved]
        kept = [self._memory(parameter) for parameter in moved]
        if not moved:
            return []
        torch._foreach_copy_(kept, moved)
        momentum = group["momentum"]
        if isinstance(momentum, Tensor):
            for parameter, velocity in zip(moved, velocities, strict=True):
                parameter.sub_(velocity * per_member(momentum, parameter.ndim))
        else:
            torch._foreach_add_(moved, velocities, alpha=-momentum)
        return moved

    @torch.no_grad()
    def _move_back(self, moved: list[Tensor]) -> None:
        if moved:
            torch._foreach_copy_(moved, [self._weights[parameter] for parameter in moved])

    def _memory(self, parameter: Tensor) -> Tensor:
        """Where its weights are kept; used again, for fresh memory costs more than the copy."""
        kept = self._weights.get(parameter)
        if kept is None or (kept.shape, kept.dtype, kept.device) != (
            parameter.shape,
            parameter.dtype,
            parameter.device,
        ):
            kept = self._weights[parameter] = torch.empty_like(parameter)
        return kept

    def _forget(self) -> None:
        super()._forget()
        self._weights = {}

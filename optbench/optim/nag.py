"""Nesterov's accelerated gradient, taken at the look-ahead point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from optbench.optim.engine.ops import per_member, plus_
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
    gradients computed there, once, and moves them back exactly.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        momentum: in [0, 1).
        weight_decay: L2 regularisation, added to the gradient, of the weights theta.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """One update; returns the loss at the look-ahead point."""
        kept = self._look_ahead()
        try:
            with torch.enable_grad():
                loss = closure()
        finally:
            with torch.no_grad():
                for parameter, weights in kept:
                    parameter.copy_(weights)
        self._apply_updates()
        return loss

    @torch.no_grad()
    def _look_ahead(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        kept = []
        for group in self.param_groups:
            for parameter in group["params"]:
                velocity = self.state[parameter].get("velocity")
                if velocity is not None:
                    kept.append((parameter, parameter.clone()))
                    plus_(parameter, velocity, -per_member(group["momentum"], parameter.ndim))
        return kept

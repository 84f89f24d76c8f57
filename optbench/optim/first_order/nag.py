"""Nesterov's accelerated gradient, taken at the look-ahead point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.ops import Operand, per_member, plus_
from optbench.optim.engine.rule_optimizer import NARROW
from optbench.optim.first_order.momentum import Momentum
from optbench.optim.needs import Needs

Ahead = dict[Tensor, Tensor]
"""The parameters at the look-ahead point, and what they were."""


class NAG(Momentum):
    """Momentum whose gradient is taken where the velocity is about to lead (Nesterov 1983; this
    form: Sutskever et al. 2013, equations 3 and 4).

        v_t     = momentum v_{t-1} + lr g(theta_{t-1} - momentum v_{t-1})
        theta_t = theta_{t-1} - v_t

    The weights between two steps, those that are validated and saved, are theta, not the look-ahead
    point. torch's SGD with `nesterov=True` steps the look-ahead point itself and equals this up to
    that change of variables at a constant lr and momentum.

    `step` needs the closure: it moves the weights to the look-ahead point, has the loss and the
    gradients computed there, once, and steps on from there: the velocity cancels,

        theta_t = (theta_{t-1} - momentum v_{t-1}) - lr g_t

    so that no way back is needed. Where there is no gradient, or the closure raises, the weights
    are what they were, to the bit: for that it copies them before it moves. Weights in fp16 and
    bf16 always go back: rounded twice a step, they would stand still at small rates.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        momentum: in [0, 1).
        weight_decay: L2 regularisation, added to the gradient, of the weights theta.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    needs = Needs(objective="once")
    decay = "none"  # the rule has it, of weights that it alone can tell

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Take one update; return the loss at the look-ahead point."""
        ahead: Ahead = {}
        try:
            self._look_ahead(ahead, lambda p: p.requires_grad)  # not what was frozen since
            with torch.enable_grad():
                loss = closure()
        except BaseException:
            self._move_back(ahead, lambda p: True)
            raise
        self._move_back(ahead, lambda p: p.grad is None or p.dtype in NARROW)
        self._look_ahead(
            ahead, lambda p: p.grad is not None and p.dtype not in NARROW and p not in ahead
        )
        self._apply_updates()
        return loss

    @torch.no_grad()
    def _look_ahead(self, ahead: Ahead, wanted: Callable[[Tensor], bool]) -> None:
        """Move the wanted parameters that have a velocity, and add them to those ahead."""
        for group in self.param_groups:
            momentum = group["momentum"]
            moving = [
                p for p in group["params"] if wanted(p) and "velocity" in self.state.get(p, ())
            ]
            if not moving:
                continue
            velocities = [self.state[parameter]["velocity"] for parameter in moving]
            ahead.update({parameter: parameter.clone() for parameter in moving})
            if isinstance(momentum, Tensor):
                for parameter, velocity in zip(moving, velocities, strict=True):
                    parameter.sub_(velocity * per_member(momentum, parameter.ndim))
            else:
                torch._foreach_add_(moving, velocities, alpha=-momentum)

    @torch.no_grad()
    def _move_back(self, ahead: Ahead, wanted: Callable[[Tensor], bool]) -> None:
        back = [parameter for parameter in ahead if wanted(parameter)]
        if back:
            torch._foreach_copy_(back, [ahead[parameter] for parameter in back])

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the last formula above, at the look-ahead point; a narrow parameter is theta."""
        velocity = state["velocity"]
        if hp.decays:
            theta = parameter if hp.narrow else parameter + velocity * hp.momentum
            gradient = gradient + theta * hp.weight_decay
        plus_(velocity.mul_(hp.momentum), gradient, hp.lr)
        return (velocity, 1.0) if hp.narrow else (gradient, hp.lr)

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return the momentum, and whether there is weight decay."""
        decay = group["weight_decay"]
        return {"momentum": group["momentum"], "decays": isinstance(decay, Tensor) or decay != 0}

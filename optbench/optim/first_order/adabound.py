"""AdaBound and AMSBound: from Adam to SGD by bounds that close in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from optbench.optim.engine.ops import (
    Operand,
    Product,
    clamp_,
    ema_,
    ema_of_square_,
    ema_weights,
    maximum_,
)
from optbench.optim.engine.ranges import above_zero, at_least_zero, betas_in_range
from optbench.optim.engine.rule_optimizer import RuleOptimizer


class AdaBound(RuleOptimizer):
    """Adam with steps between two bounds that close in on SGD's (Luo et al. 2019, algorithm 2).

        m_t, v_t as Adam's
        s_t     = lr sqrt(1 - beta2^t) / (1 - beta1^t)
        f_t     = final_lr lr / base_lr
        step_t  = clip(s_t / (sqrt(v_t) + eps), f_t - f_t / (gamma t + 1), f_t + f_t / (gamma t))
        theta_t = theta_{t-1} - step_t m_t

    `base_lr` is the lr that the group was made with, so the bounds follow a schedule. At an lr of 0
    they are 0 both; at another one, of a group that was made with 0, f_t is `final_lr`.

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        betas: decay of the first and the second moment, each in [0, 1).
        eps: added to the root, at least 0.
        final_lr: SGD's learning rate, that of the end, above 0.
        gamma: how fast the bounds close in, above 0.
        weight_decay: L2 regularisation, added to the gradient.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    state_names: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    decay = "coupled"

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        final_lr: float = 0.1,
        gamma: float = 1e-3,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "final_lr": final_lr, "gamma": gamma, "eps": eps}
        defaults["weight_decay"] = weight_decay
        super().__init__(params, defaults, maximize=maximize, implementation=implementation)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Remember the lr that the bounds are relative to: a tensor's copy, for it may change."""
        base_lr = param_group.get("lr", self.defaults["lr"])
        if isinstance(base_lr, Tensor):
            base_lr = base_lr.detach().clone()
        super().add_param_group({"base_lr": base_lr, **param_group})

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the formula above."""
        m = ema_(state["exp_avg"], gradient, hp.beta1)
        v = ema_of_square_(state["exp_avg_sq"], gradient, hp.beta2)
        return AdaBound.bounded(m, v, hp), 1.0

    @staticmethod
    def bounded(m: Operand, v: Operand, hp: Any) -> Any:
        """Return the clipped step along m."""
        steps = v.sqrt().add_(hp.eps).reciprocal_().mul_(hp.step_size)
        return Product(clamp_(steps, hp.lower, hp.upper), m)

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return betas, eps, the corrected step size and its bounds."""
        beta1, beta2 = group["betas"]
        lr, gamma = group["lr"], group["gamma"]
        final = group["final_lr"] * _fraction(lr, group["base_lr"])
        return {
            "beta1": ema_weights(beta1),
            "beta2": ema_weights(beta2),
            "eps": group["eps"],
            "step_size": lr * (1 - beta2**step) ** 0.5 / (1 - beta1**step),
            "lower": final * (1 - 1 / (gamma * step + 1)),
            "upper": final * (1 + 1 / (gamma * step)),
        }

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Check betas in [0, 1), eps at least 0, final_lr and gamma above 0."""
        betas_in_range(group["betas"])
        at_least_zero(group, "eps")
        above_zero(group, "final_lr", "gamma")


class AMSBound(AdaBound):
    """AdaBound over a second moment that never falls (Luo et al. 2019, section 4): `v_t` in the
    step is `max(v_1, ..., v_t)`. Arguments and errors are AdaBound's."""

    state_names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return AdaBound's step with the maximum."""
        m = ema_(state["exp_avg"], gradient, hp.beta1)
        v = ema_of_square_(state["exp_avg_sq"], gradient, hp.beta2)
        return AdaBound.bounded(m, maximum_(state["max_exp_avg_sq"], v), hp), 1.0


def _fraction(lr: Any, base_lr: Any) -> Any:
    """Return `lr / base_lr`; where the latter is 0 too, 0: the bounds let nothing through."""
    if isinstance(base_lr, Tensor):
        lr = torch.as_tensor(lr, device=base_lr.device)
        return torch.where(base_lr == 0, (lr != 0).to(base_lr.dtype), lr / base_lr)
    return lr / base_lr if base_lr else float(lr != 0)

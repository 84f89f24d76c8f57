"""Adan: Nesterov momentum for adaptive steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.optim.engine.ops import (
    Operand,
    Quotient,
    ema_,
    ema_of_square_,
    ema_weights,
    is_set,
    plus,
)
from optbench.optim.engine.ranges import at_least_zero, betas_in_range
from optbench.optim.engine.rule_optimizer import RuleOptimizer


class Adan(RuleOptimizer):
    """Adaptive Nesterov momentum (Xie et al. 2022, algorithm 1, with the authors' bias correction
    and with betas as decays, 1 minus the paper's).

        d_t     = g_t - g_{t-1}, 0 at the first step
        m_t     = beta1 m_{t-1} + (1 - beta1) g_t
        v_t     = beta2 v_{t-1} + (1 - beta2) d_t
        n_t     = beta3 n_{t-1} + (1 - beta3) (g_t + beta2 d_t)^2
        c_t     = m_t / (1 - beta1^t) + beta2 v_t / (1 - beta2^t)
        u_t     = c_t / (sqrt(n_t / (1 - beta3^t)) + eps)
        theta_t = (theta_{t-1} - lr u_t) / (1 + lr weight_decay)

    Args:
        params: as in torch.
        lr: learning rate, at least 0.
        betas: of gradient, difference and square, each in [0, 1).
        eps: added to the root, at least 0.
        weight_decay: decoupled and proximal, as in the last line above.
        maximize, implementation: see `RuleOptimizer`.

    Raises:
        ValueError: a hyperparameter out of range.
    """

    state_names = ("exp_avg", "exp_avg_diff", "exp_avg_sq", "previous_gradient")
    decay = "none"

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        implementation: str = "foreach",
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults, maximize=maximize, implementation=implementation)

    @staticmethod
    def rule(parameter: Operand, gradient: Operand, state: Mapping[str, Operand], hp: Any) -> Any:
        """Return the formula above, fractions expanded by the corrections."""
        if hp.first:
            state["previous_gradient"].copy_(gradient)
        difference = gradient - state["previous_gradient"]
        state["previous_gradient"].copy_(gradient)
        m = ema_(state["exp_avg"], gradient, hp.beta1)
        v = ema_(state["exp_avg_diff"], difference, hp.beta2)
        n = ema_of_square_(state["exp_avg_sq"], plus(gradient, difference, hp.beta2.kept), hp.beta3)
        root = n.sqrt().add_(hp.eps * hp.root3)
        looking = plus(m, v, hp.beta2.kept * hp.correction1 / hp.correction2)
        size = hp.lr * hp.root3 / hp.correction1
        if not hp.decays:
            return Quotient(looking, root), size
        return looking.div_(root).mul_(size * hp.shrink).add_(parameter * hp.shrunk), 1.0

    @staticmethod
    def scalars(group: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return betas, their corrections, eps, decay, and what the first step and no decay leave
        out."""
        found = {"eps": group["eps"], "first": step == 1, "decays": is_set(group["weight_decay"])}
        decay = group["lr"] * group["weight_decay"]
        found |= {"shrink": 1 / (1 + decay), "shrunk": decay / (1 + decay)}
        for number, beta in enumerate(group["betas"], start=1):
            found |= {f"beta{number}": ema_weights(beta), f"correction{number}": 1 - beta**step}
        return found | {"root3": (1 - group["betas"][2] ** step) ** 0.5}

    @staticmethod
    def check(group: Mapping[str, Any]) -> None:
        """Check betas in [0, 1) and eps at least 0."""
        betas_in_range(group["betas"])
        at_least_zero(group, "eps")
